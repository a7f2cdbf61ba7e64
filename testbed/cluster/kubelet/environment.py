"""The environment of a container: values, and what comes from the pod itself, ConfigMaps and Secrets. Pure.

Knows core/v1 EnvVar and kubelet's words for what is missing (pkg/kubelet/kubelet_pods.go,
makeEnvironmentVariables). Service links ({NAME}_SERVICE_HOST) are not made.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from testbed.errors import UsageError

REFERENCE = re.compile(r"\$(?:\$|\(([^()]*)\))")
LABEL_PATH = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")
QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
FACTORS = {
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}
LONGEST_HOSTNAME = 63  # characters

Json = Mapping[str, Any]
Lookup = Callable[[str, str], Json | None]
"""The ConfigMap or Secret of a name in the pod's namespace, None if it is not there: (kind, name) → object."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """What the downward API knows only once the pod is attached."""

    pod: Sequence[str]
    host: Sequence[str]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything beside the container that its environment and its volumes may speak of."""

    pod: Json
    addresses: Addresses
    lookup: Lookup


def environment(container: Json, around: Surroundings) -> dict[str, str]:
    """The variables of a container, each value expanded with those before it.

    Raises UsageError, in kubelet's words, for one that comes from something that is not here.
    """
    env = {"HOSTNAME": hostname(around.pod)}
    for source in container.get("envFrom") or ():
        env |= _all_of(source, around)
    for variable in container.get("env") or ():
        name, source = variable["name"], variable.get("valueFrom")
        value = _from(source, container, around) if source else expand(str(variable.get("value") or ""), env)
        if value is not None:
            env[name] = value
    return env


def expand(text: str, env: Mapping[str, str]) -> str:
    """Kubernetes' `$(NAME)`; `$$` is a dollar, and a name that is not known stays as it is written."""

    def value(match: re.Match[str]) -> str:
        return "$" if match[1] is None else env.get(match[1], match[0])

    return REFERENCE.sub(value, text)


def content(obj: Json) -> dict[str, bytes]:
    """What a ConfigMap or a Secret holds, by key."""
    texts, blobs = obj.get("data") or {}, obj.get("binaryData") or {}
    if obj["kind"] == "Secret":
        texts, blobs = {}, texts
    plain = {key: text.encode() for key, text in texts.items()}
    return plain | {key: base64.b64decode(text) for key, text in blobs.items()}


def held(kind: str, reference: Json, around: Surroundings) -> dict[str, bytes]:
    """The content of a ConfigMap or Secret; nothing if it is optional and not there. Raises UsageError."""
    obj = around.lookup(kind, reference.get("name", ""))
    if obj is not None:
        return content(obj)
    if reference.get("optional"):
        return {}
    raise UsageError(f'{kind.lower()} "{reference.get("name", "")}" not found')


def _all_of(source: Json, around: Surroundings) -> dict[str, str]:
    """envFrom: every key of one object, with a prefix."""
    kind, field = ("ConfigMap", "configMapRef") if "configMapRef" in source else ("Secret", "secretRef")
    values = held(kind, source.get(field) or {}, around)
    return {source.get("prefix", "") + key: data.decode(errors="replace") for key, data in values.items()}


def _from(source: Json, container: Json, around: Surroundings) -> str | None:
    """valueFrom; None for an optional key that is not there."""
    match source:
        case {"fieldRef": {"fieldPath": str(path)}}:
            return field_value(path, around)
        case {"configMapKeyRef": reference}:
            return _key("ConfigMap", reference, around)
        case {"secretKeyRef": reference}:
            return _key("Secret", reference, around)
        case {"resourceFieldRef": reference}:
            return _resource(reference, container)
    raise UsageError(f"valueFrom.{next(iter(source), '')} is not supported")


def _key(kind: str, reference: Json, around: Surroundings) -> str | None:
    values, key = held(kind, reference, around), reference["key"]
    if key in values:
        return values[key].decode(errors="replace")
    if reference.get("optional"):
        return None
    place = f"{around.pod['metadata']['namespace']}/{reference.get('name', '')}"
    raise UsageError(f"couldn't find key {key} in {kind} {place}")


def _resource(reference: Json, container: Json) -> str:
    """resourceFieldRef: a limit or request of the container, rounded up to whole divisors; 0 if it has none."""
    group, _, name = reference["resource"].partition(".")
    amount = _quantity(((container.get("resources") or {}).get(group) or {}).get(name, 0))
    divisor = _quantity(reference.get("divisor") or 1) or 1.0
    return str(math.ceil(amount / divisor))


def _quantity(value: object) -> float:
    match = QUANTITY.fullmatch(str(value))
    if match is None:
        raise UsageError(f"quantity {value} is not supported")
    return float(match[1]) * FACTORS.get(match[2] or "", 1.0)


def field_value(path: str, around: Surroundings) -> str:
    """A fieldRef, with the paths that core/v1 ObjectFieldSelector allows. Raises UsageError."""
    metadata, spec, label = around.pod["metadata"], around.pod["spec"], LABEL_PATH.fullmatch(path)
    if label:
        return str((metadata.get(label[1]) or {}).get(label[2], ""))
    addresses = around.addresses
    fields = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata.get("uid", ""),
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", "default"),
        "status.podIP": next(iter(addresses.pod), ""),
        "status.podIPs": ",".join(addresses.pod),
        "status.hostIP": next(iter(addresses.host), ""),
        "status.hostIPs": ",".join(addresses.host),
    }
    if path not in fields:
        raise UsageError(f"fieldPath {path} is not supported")
    return str(fields[path])


def hostname(pod: Json) -> str:
    """The pod's host name: spec.hostname, else its name, cut to what a host name may have.

    As kubelet's GetHostname and truncatePodHostnameIfNeeded do it (pkg/kubelet/kubelet_pods.go).
    """
    name = str(pod["spec"].get("hostname") or pod["metadata"]["name"])
    return name if len(name) <= LONGEST_HOSTNAME else name[:LONGEST_HOSTNAME].rstrip("-.")
