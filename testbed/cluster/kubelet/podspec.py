"""What a pod's manifest says about running it. Pure.

A container with a `command` is a program of this machine and is run for real. One without is served by the
pod server: there are no images here, so `args` alone have no program that they could be arguments of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from testbed.cluster.podserver.spec import Port
from testbed.errors import UsageError

REFERENCE = re.compile(r"\$(?:\$|\(([^()]*)\))")
LABEL_PATH = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")
LONGEST_HOSTNAME = 63  # characters
DEFAULT_GRACE = 30.0  # core/v1 terminationGracePeriodSeconds

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Addresses:
    """What the downward API knows only once the pod is attached."""

    pod: Sequence[str]
    host: Sequence[str]


@dataclass(frozen=True, slots=True)
class Command:
    """A container's program."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str


def command_of(pod: Json, container: Json, addresses: Addresses) -> Command | None:
    """The program of a container; None if it is served.

    Raises UsageError for an environment variable that comes from something that is not here.
    """
    if not container.get("command"):
        return None
    env = environment(pod, container, addresses)
    words = (*container["command"], *(container.get("args") or ()))
    return Command(tuple(expand(word, env) for word in words), env, container.get("workingDir") or "")


def environment(pod: Json, container: Json, addresses: Addresses) -> dict[str, str]:
    """The variables of a container, each value expanded with those before it. Raises UsageError."""
    env = {"HOSTNAME": hostname(pod)}
    for variable in container.get("env") or ():
        source = variable.get("valueFrom")
        name = variable["name"]
        if source:
            env[name] = _from(name, source, pod, addresses)
        else:
            env[name] = expand(str(variable.get("value") or ""), env)
    return env


def expand(text: str, env: Mapping[str, str]) -> str:
    """Kubernetes' `$(NAME)`; `$$` is a dollar, and a name that is not known stays as it is written."""

    def value(match: re.Match[str]) -> str:
        return "$" if match[1] is None else env.get(match[1], match[0])

    return REFERENCE.sub(value, text)


def _from(name: str, source: Json, pod: Json, addresses: Addresses) -> str:
    match source:
        case {"fieldRef": {"fieldPath": str(path)}}:
            return _field(name, path, pod, addresses)
    raise UsageError(f"env {name}: valueFrom.{next(iter(source))} is not supported")


def _field(name: str, path: str, pod: Json, addresses: Addresses) -> str:
    """A fieldRef, with the paths that core/v1 ObjectFieldSelector allows."""
    metadata, label = pod["metadata"], LABEL_PATH.fullmatch(path)
    if label:
        return str((metadata.get(label[1]) or {}).get(label[2], ""))
    fields = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata.get("uid", ""),
        "spec.nodeName": pod["spec"].get("nodeName", ""),
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName", "default"),
        "status.podIP": next(iter(addresses.pod), ""),
        "status.podIPs": ",".join(addresses.pod),
        "status.hostIP": next(iter(addresses.host), ""),
        "status.hostIPs": ",".join(addresses.host),
    }
    if path not in fields:
        raise UsageError(f"env {name}: fieldPath {path} is not supported")
    return str(fields[path])


def hostname(pod: Json) -> str:
    """The pod's host name: spec.hostname, else its name, cut to what a host name may have.

    As kubelet's GetHostname and truncatePodHostnameIfNeeded do it (pkg/kubelet/kubelet_pods.go).
    """
    name = str(pod["spec"].get("hostname") or pod["metadata"]["name"])
    return name if len(name) <= LONGEST_HOSTNAME else name[:LONGEST_HOSTNAME].rstrip("-.")


def ports_of(container: Json) -> Iterator[Port]:
    """The ports that a served container opens."""
    for port in container.get("ports") or ():
        yield Port(port["containerPort"], port.get("protocol") or "TCP", port.get("name") or "")


def restart_policy(pod: Json) -> str:
    """Always, OnFailure or Never."""
    return str(pod["spec"].get("restartPolicy") or "Always")


def grace_of(pod: Json) -> float:
    """Seconds that a pod has between SIGTERM and SIGKILL; those of its deletion once it is being deleted."""
    deletion = pod["metadata"].get("deletionGracePeriodSeconds")
    wanted = pod["spec"].get("terminationGracePeriodSeconds") if deletion is None else deletion
    return DEFAULT_GRACE if wanted is None else float(wanted)
