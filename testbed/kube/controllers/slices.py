"""A Service's endpoints, laid into slices with as little change as can be. Pure.

Knows the EndpointSlices that a Service has and the endpoints that it shall have. An endpoint stays in its
slice; what is new goes where there is room, in slices that change anyhow first (kubernetes/endpointslice
reconciler.go, reconcileByPortMapping).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from testbed.kube.controllers.endpoints import SlicePort, slice_ports
from testbed.kube.controllers.metadata import owner_reference, short_hash
from testbed.kube.controllers.selectors import labels_of
from testbed.kube.objects.extensions import WEIGHTS, weights_text
from testbed.kube.store import Object

MAX_ENDPOINTS = 100  # kube-controller-manager --max-endpoints-per-slice
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
SERVICE_NAME = "kubernetes.io/service-name"
HEADLESS = "service.kubernetes.io/headless"

Group = tuple[str, tuple[SlicePort, ...]]
"""What the endpoints of one slice have in common: address family and port numbers."""

Endpoints = Mapping[str, Object]
"""Endpoints by the uid of their pod."""

Weights = Mapping[str, int]
"""Weights by address, of those pods that are given one (`kube.objects.extensions`)."""

ALL_PLAIN: Weights = {}


@dataclass
class Changes:
    """What to write. The objects are whole."""

    create: list[Object] = field(default_factory=list)
    update: list[Object] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)


def managed(slice_: Object) -> bool:
    """True for a slice that the controller keeps; those of users and of others are theirs."""
    return labels_of(slice_).get(MANAGED_BY) == MANAGER


def arrange(
    service: Object,
    wanted: Mapping[Group, Endpoints],
    existing: Iterable[Object],
    taken: Callable[[str], bool],
    weights: Weights = ALL_PLAIN,
) -> Changes:
    """The changes that bring `existing` (sorted by name) to `wanted`. `taken` says if a name is in use.

    `wanted` has a group for every family of the Service, if need be an empty one without ports: that one
    gets a slice without endpoints, as in Kubernetes, and any other group that is empty gets none.
    """
    describe = _Describer(service, weights)
    groups: dict[Group, list[Object]] = {}
    for slice_ in existing:
        groups.setdefault((slice_["addressType"], slice_ports(slice_)), []).append(slice_)
    changes, created = Changes(), list[tuple[Group, list[Object]]]()
    for group in sorted(groups.keys() | wanted.keys()):
        if group not in wanted:
            changes.delete += groups[group]
            continue
        old = groups.get(group, [])
        kept, fresh = _fill(old, wanted[group])
        if not old and not fresh and not group[1]:
            fresh = [[]]
        _compare(describe, old, kept, changes)
        created += [(group, endpoints) for endpoints in fresh]
    for group, endpoints in created:
        _create(describe, group, endpoints, changes, taken)
    return changes


def _create(
    describe: _Describer,
    group: Group,
    endpoints: list[Object],
    changes: Changes,
    taken: Callable[[str], bool],
) -> None:
    """A new slice, or an update of one that would be deleted (finalize in Kubernetes)."""
    family, ports = group
    content = {"endpoints": endpoints, "ports": [port.to_object() for port in ports]}
    spare = next((slice_ for slice_ in changes.delete if slice_["addressType"] == family), None)
    if spare is not None:
        changes.delete.remove(spare)
        changes.update.append({**spare, "metadata": describe(endpoints, spare["metadata"]), **content})
        return
    names = {slice_["metadata"]["name"] for slice_ in changes.create}
    of = describe.service["metadata"]
    name = _free_name(of["name"], family, lambda n: n in names or taken(n))
    metadata = describe(endpoints, {"name": name, "namespace": of["namespace"]})
    head = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata}
    changes.create.append({**head, "addressType": family, **content})


def _fill(old: Sequence[Object], wanted: Endpoints) -> tuple[list[list[Object]], list[list[Object]]]:
    """Endpoints of each old slice as they shall be, and those of new slices."""
    left = dict(wanted)
    kept: list[list[Object]] = []
    for slice_ in old:
        uids = [e.get("targetRef", {}).get("uid", "") for e in slice_.get("endpoints") or ()]
        kept.append([left.pop(uid) for uid in uids if uid in left])
    new = list(left.values())
    changed = [list(s.get("endpoints") or ()) != now for s, now in zip(old, kept, strict=True)]
    for index in sorted(range(len(old)), key=lambda i: not changed[i]):
        room = MAX_ENDPOINTS - len(kept[index])
        kept[index] += new[:room]
        new = new[room:]
    return kept, [new[i : i + MAX_ENDPOINTS] for i in range(0, len(new), MAX_ENDPOINTS)]


def _compare(
    describe: _Describer, old: Sequence[Object], kept: Sequence[list[Object]], changes: Changes
) -> None:
    """Update what differs; delete what has become empty, but for the last slice of a group without ports."""
    for index, (slice_, endpoints) in enumerate(zip(old, kept, strict=True)):
        last = index == 0 and not any(kept) and not slice_.get("ports")
        if not endpoints and not last:
            changes.delete.append(slice_)
            continue
        new = {**slice_, "metadata": describe(endpoints, slice_["metadata"]), "endpoints": endpoints}
        if new != slice_:
            changes.update.append(new)


@dataclass(frozen=True, slots=True)
class _Describer:
    """Writes the metadata of a Service's slices."""

    service: Object
    weights: Weights

    def __call__(self, endpoints: Sequence[Object], old: Mapping[str, Any]) -> dict[str, Any]:
        """What a slice with these endpoints says of itself; `old` is what it has besides."""
        annotations = {k: v for k, v in (old.get("annotations") or {}).items() if k != WEIGHTS}
        if self.weights:
            found = {a: self.weights[a] for e in endpoints for a in e["addresses"] if a in self.weights}
            annotations |= {WEIGHTS: text} if (text := weights_text(found)) else {}
        metadata = {**old, **_metadata(self.service), "annotations": annotations}
        if not annotations:
            del metadata["annotations"]
        return metadata


def _metadata(service: Object) -> dict[str, Any]:
    """Labels and owner of a slice: the Service's own labels, and ours."""
    ours = {SERVICE_NAME: service["metadata"]["name"], MANAGED_BY: MANAGER}
    if service["spec"].get("clusterIP") == "None":
        ours[HEADLESS] = ""
    theirs = {k: v for k, v in labels_of(service).items() if k not in (SERVICE_NAME, MANAGED_BY, HEADLESS)}
    return {"labels": theirs | ours, "ownerReferences": [owner_reference(service)]}


def _free_name(service: str, family: str, taken: Callable[[str], bool]) -> str:
    """`<service>-<suffix>`: drawn at random in Kubernetes, here the first of a fixed row that is free."""
    number = 0
    while taken(name := f"{service}-{short_hash([service, family, number], 5)}"):
        number += 1
    return name
