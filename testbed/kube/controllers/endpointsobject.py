"""The Endpoints object of a Service with a selector (pkg/controller/endpoint), the slices' elder brother. Pure.

Kubernetes has deprecated it (v1.33) and still keeps it: of the Service's first family, without terminating pods.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from testbed.kube.controllers.endpoints import Selected
from testbed.kube.controllers.selectors import labels_of
from testbed.kube.store import Object

MAX_ADDRESSES = 1000  # maxCapacity
MANAGED_BY = "endpoints.kubernetes.io/managed-by"
MANAGER = "endpoint-controller"
HEADLESS = "service.kubernetes.io/headless"
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"

_Row = dict[str, list[dict[str, Any]]]


def endpoints_object(service: Object, pods: Iterable[Selected], old: Object | None) -> Object:
    """The object as it shall be, with what `old` has besides; subsets in the order of their ports."""
    subsets = _subsets(service, pods)
    cut = _truncated(subsets)
    annotations = dict((old or service)["metadata"].get("annotations") or {}) if old else {}
    annotations.pop(OVER_CAPACITY, None)
    if cut:
        annotations[OVER_CAPACITY] = "truncated"
    ours = {MANAGED_BY: MANAGER, **({HEADLESS: ""} if service["spec"].get("clusterIP") == "None" else {})}
    theirs = {key: value for key, value in labels_of(service).items() if key != HEADLESS}
    metadata: dict[str, Any] = {
        **(old["metadata"] if old else {}),
        "name": service["metadata"]["name"],
        "namespace": service["metadata"]["namespace"],
        "labels": {**theirs, **ours},
    }
    metadata.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations
    whole = {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata}
    return {**whole, "subsets": subsets} if subsets else whole


def _subsets(service: Object, pods: Iterable[Selected]) -> list[dict[str, Any]]:
    """Addresses that have the same ports stand together (`RepackSubsets`)."""
    publish = bool(service["spec"].get("publishNotReadyAddresses"))
    family = (service["spec"].get("ipFamilies") or ["IPv4"])[0]
    rows: dict[tuple[Any, ...], _Row] = {}
    for pod in pods:
        seen = pod.endpoints.get(family)
        if seen is None or (seen["conditions"]["terminating"] and not publish):
            continue
        if not pod.ports and service["spec"].get("ports"):
            continue  # none of the Service's named ports is the pod's
        row = rows.setdefault(pod.ports, {"addresses": [], "notReadyAddresses": []})
        row["addresses" if publish or seen["conditions"]["serving"] else "notReadyAddresses"].append(
            _address(seen)
        )
    found = []
    for ports in sorted(rows):
        sorted_rows = {name: sorted(row, key=_by_ip) for name, row in rows[ports].items()}
        told = {name: addresses for name, addresses in sorted_rows.items() if addresses}
        found.append({**told, "ports": [_port(port.to_object()) for port in ports]} if ports else told)
    return found


def _by_ip(address: Mapping[str, Any]) -> str:
    """By text, as `SortSubsets` does."""
    return str(address["ip"])


def _port(port: Mapping[str, Any]) -> dict[str, Any]:
    """A port without name has none here, where a slice has an empty one."""
    return {key: value for key, value in port.items() if value != ""}


def _address(endpoint: Object) -> dict[str, Any]:
    """core/v1 EndpointAddress out of a slice's endpoint."""
    found: dict[str, Any] = {"ip": endpoint["addresses"][0], "targetRef": endpoint["targetRef"]}
    return found | {field: endpoint[field] for field in ("nodeName", "hostname") if field in endpoint}


def _truncated(subsets: list[dict[str, Any]]) -> bool:
    """Cut to a thousand addresses, ready ones before others; True if something was cut (`truncateEndpoints`)."""
    room, cut = MAX_ADDRESSES, False
    for place in ("addresses", "notReadyAddresses"):
        for subset in subsets:
            if place in subset:
                cut |= len(subset[place]) > room
                subset[place] = subset[place][:room]
                room -= len(subset[place])
                if not subset[place]:
                    del subset[place]
    subsets[:] = [each for each in subsets if each.get("addresses") or each.get("notReadyAddresses")]
    return cut
