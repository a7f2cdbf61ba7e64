"""The kinds of objects that testbed knows, with the names that people type for them.

Knows names. Knows neither fields (`schema.py`) nor what an object means.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from testbed.errors import UsageError


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind, as `kubectl api-resources -o wide` lists it; `categories` are its groups (`kubectl get all`)."""

    name: str
    api_version: str
    plural: str
    singular: str
    short_names: tuple[str, ...]
    namespaced: bool
    categories: tuple[str, ...] = ()
    status: bool = True  # has /status, written apart from the rest
    scale: bool = False  # has /scale

    def words(self) -> frozenset[str]:
        """Every word that names this kind on a command line, in lower case."""
        return frozenset((self.name.lower(), self.plural, self.singular, *self.short_names))


CLUSTER = Kind("Cluster", "testbed.dev/v1alpha1", "clusters", "cluster", (), False)
"""Ours: what Kubernetes does not say (nodes, subnets, datapath). It is read from files, never stored."""

_ALL = ("all",)

_STORED = (
    Kind("Namespace", "v1", "namespaces", "namespace", ("ns",), False),
    Kind("Node", "v1", "nodes", "node", ("no",), False),
    Kind("ServiceCIDR", "networking.k8s.io/v1", "servicecidrs", "servicecidr", (), False),
    Kind("ConfigMap", "v1", "configmaps", "configmap", ("cm",), True, status=False),
    Kind("Secret", "v1", "secrets", "secret", (), True, status=False),
    Kind("Pod", "v1", "pods", "pod", ("po",), True, _ALL),
    Kind("ReplicaSet", "apps/v1", "replicasets", "replicaset", ("rs",), True, _ALL, scale=True),
    Kind("Deployment", "apps/v1", "deployments", "deployment", ("deploy",), True, _ALL, scale=True),
    Kind("StatefulSet", "apps/v1", "statefulsets", "statefulset", ("sts",), True, _ALL, scale=True),
    Kind("DaemonSet", "apps/v1", "daemonsets", "daemonset", ("ds",), True, _ALL),
    Kind(
        "ControllerRevision", "apps/v1", "controllerrevisions", "controllerrevision", (), True, status=False
    ),
    Kind("Service", "v1", "services", "service", ("svc",), True, _ALL),
    Kind("Endpoints", "v1", "endpoints", "endpoints", ("ep",), True, status=False),
    Kind("EndpointSlice", "discovery.k8s.io/v1", "endpointslices", "endpointslice", (), True, status=False),
    Kind("Event", "v1", "events", "event", ("ev",), True, status=False),
)

KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in _STORED})
"""Every kind of stored object by its name. The Cluster document is not one of them."""

_BY_WORD = {word: kind for kind in _STORED for word in kind.words()}


def kind_named(word: str) -> Kind:
    """The kind that `word` names: `svc`, `service`, `services`, `Service`, `deployments.apps`, `deploy.v1.apps`.

    Else UsageError with what may have been meant, or with the list.
    """
    name, _, group = word.lower().partition(".")
    kind = _BY_WORD.get(name)
    if kind is not None and group in _groups(kind):
        return kind
    near = difflib.get_close_matches(word.lower(), _BY_WORD, 1, 0.7)
    known = ", ".join("/".join((kind.plural, *kind.short_names)) for kind in _STORED)
    hint = f"did you mean {_BY_WORD[near[0]].plural}?" if near else f"known kinds: {known}"
    raise UsageError(f"there is no kind {word!r}; {hint}")


def _groups(kind: Kind) -> tuple[str, ...]:
    """What may stand behind the name of a kind and a dot, as kubectl has it."""
    group, _, version = kind.api_version.rpartition("/")
    return ("", group, f"{version}.{group}")
