"""Paths of the API: which kind, namespace, name and subresource one stands for.

    /api/v1/…  and  /apis/GROUP/VERSION/…
        RESOURCE[/NAME[/SUBRESOURCE]]
        namespaces/NAMESPACE/RESOURCE[/NAME[/SUBRESOURCE]]
        watch/…                                             (deprecated in Kubernetes, and still served)

Goes by the table of kinds; has no list of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from testbed.kube.objects import KINDS, Kind

KINDS_BY_RESOURCE: Mapping[tuple[str, str], Kind] = MappingProxyType(
    {(kind.api_version, kind.plural): kind for kind in KINDS.values()}
)


@dataclass(frozen=True, slots=True)
class Route:
    """A place below a group's version. `namespace` is None for all of them, empty for a kind that has none."""

    kind: Kind
    namespace: str | None
    name: str = ""
    subresource: str = ""
    watch: bool = False


def subresources(kind: Kind) -> tuple[str, ...]:
    """What can be had below one object of a kind."""
    own = ("log", "eviction") if kind.name == "Pod" else ()
    return (*(["status"] if kind.status else []), *(["scale"] if kind.scale else []), *own)


def route(path: str) -> Route | None:
    """The place that a path names, or None."""
    parts = path.strip("/").split("/")
    version = parts[1] if parts[0] == "api" and len(parts) > 1 else "/".join(parts[1:3])
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    if parts[0] not in ("api", "apis") or not rest or "" in rest:
        return None
    watch = rest[0] == "watch"
    return _below(version, rest[1:] if watch else rest, watch=watch)


def _below(version: str, rest: list[str], *, watch: bool) -> Route | None:
    namespace = None
    if len(rest) > 2 and rest[0] == "namespaces" and (version, rest[2]) in KINDS_BY_RESOURCE:
        namespace, rest = rest[1], rest[2:]
    kind = KINDS_BY_RESOURCE.get((version, rest[0])) if rest else None
    name, subresource = (rest[1:] + ["", ""])[:2]
    if kind is None or len(rest) > 3 or (subresource and subresource not in subresources(kind)):
        return None
    if kind.namespaced != (namespace is not None) and (namespace is not None or name):
        return None  # a namespace where there is none, or one object without its namespace
    return Route(kind, namespace if kind.namespaced else "", name, subresource, watch)
