"""EndpointSlices of Endpoints that somebody made by hand, for Services without a selector.

kube-proxy reads slices only; so Kubernetes mirrors such Endpoints (pkg/controller/endpointslicemirroring): one
slice for each port list and family. Knows Endpoints, their Services and the slices that it made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from testbed.kube.controllers.events import warn
from testbed.kube.controllers.metadata import owner_reference, short_hash
from testbed.kube.controllers.selectors import labels_of
from testbed.kube.controllers.slices import MANAGED_BY, SERVICE_NAME
from testbed.kube.store import Event, EventType, Key, Object, Store, key_of, terminating

MANAGER = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
MAX_ADDRESSES = 1000  # kube-controller-manager --mirroring-max-endpoints-per-subset

Name = tuple[str, str]  # namespace and name of a Service and its Endpoints


class MirroringController:
    """Keeps the slices of each Endpoints object that is to be mirrored."""

    name = "endpointslicemirroring-controller"
    kinds = ("EndpointSlice", "Endpoints", "Service")

    def __init__(self) -> None:
        self._slices: dict[Name, dict[Key, Object]] = {}

    def handle(self, store: Store, events: Sequence[Event]) -> None:
        """Learn, then look at each Service that is concerned once."""
        concerned: dict[Name, None] = {}
        for event in events:
            name = self._learn(event)
            if name is not None:
                concerned[name] = None
        for name in concerned:
            self._sync(store, name)

    def _learn(self, event: Event) -> Name | None:
        obj = event.object
        namespace = obj["metadata"]["namespace"]
        if obj["kind"] != "EndpointSlice":
            return namespace, obj["metadata"]["name"]
        if labels_of(obj).get(MANAGED_BY) != MANAGER:
            return None
        name = namespace, labels_of(obj).get(SERVICE_NAME, "")
        slices = self._slices.setdefault(name, {})
        if event.type is EventType.DELETED:
            slices.pop(key_of(obj), None)
        elif slices.get(key_of(obj)) is obj:
            return None  # our own writing
        else:
            slices[key_of(obj)] = obj
        return name

    def _sync(self, store: Store, name: Name) -> None:
        service, endpoints = store.get("Service", *name), store.get("Endpoints", *name)
        wanted: dict[Key, dict[str, Any]] = {}
        coming = endpoints is not None and not terminating(
            endpoints
        )  # else the collector deletes what is made
        if service is not None and endpoints is not None and mirrored(service, endpoints):
            wanted = {key_of(slice_): slice_ for slice_ in _slices_of(endpoints)}
            self._warn(store, endpoints)
        known = self._slices.setdefault(name, {})
        for key in [key for key in known if key not in wanted]:
            del known[key]
            store.delete(*key)
        for key, slice_ in wanted.items():
            old = known.get(key)
            if old is None and coming and store.get(*key) is None:
                known[key] = store.create(slice_)
            elif old is not None:
                known[key] = store.update(
                    {**old, **slice_, "metadata": {**old["metadata"], **slice_["metadata"]}}
                )

    def _warn(self, store: Store, endpoints: Object) -> None:
        skipped = sum(max(0, _size(subset) - MAX_ADDRESSES) for subset in endpoints.get("subsets") or ())
        if skipped:
            message = (
                f"A max of {MAX_ADDRESSES} addresses can be mirrored to EndpointSlices per Endpoints subset. "
                f"{skipped} addresses were skipped"
            )
            warn(store, self.name, endpoints, "TooManyAddressesToMirror", message)


def mirrored(service: Object, endpoints: Object) -> bool:
    """True if these Endpoints are somebody's own work, for a Service without selector (`shouldMirror`)."""
    if service["spec"].get("selector") or service["spec"].get("type") == "ExternalName":
        return False
    leads = LEADER in (endpoints["metadata"].get("annotations") or {})
    return labels_of(endpoints).get(SKIP) != "true" and not leads


def _size(subset: Object) -> int:
    return len(subset.get("addresses") or ()) + len(subset.get("notReadyAddresses") or ())


def _slices_of(endpoints: Object) -> Iterator[dict[str, Any]]:
    """The slices, each under a name that follows from family and ports."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    ports: dict[str, list[dict[str, Any]]] = {}
    for subset in endpoints.get("subsets") or ():
        numbers = [{"name": "", "protocol": "TCP", **port} for port in subset.get("ports") or ()]
        ports[short_hash(numbers, 10)] = numbers
        for address, ready in _addresses(subset):
            family = "IPv6" if ":" in address["ip"] else "IPv4"
            groups.setdefault((family, short_hash(numbers, 10)), []).append(_endpoint(address, ready))
    for (family, mark), members in sorted(groups.items(), key=lambda item: item[0]):
        suffix = short_hash([endpoints["metadata"]["name"], family, mark, MANAGER], 5)
        yield {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": _metadata(endpoints, f"{endpoints['metadata']['name']}-{suffix}"),
            "addressType": family,
            "endpoints": members,
            "ports": ports[mark],
        }


def _addresses(subset: Object) -> list[tuple[Mapping[str, Any], bool]]:
    """A subset's addresses, ready ones first, as many as are mirrored."""
    ready = [(address, True) for address in subset.get("addresses") or ()]
    return [*ready, *((address, False) for address in subset.get("notReadyAddresses") or ())][:MAX_ADDRESSES]


def _endpoint(address: Mapping[str, Any], ready: bool) -> dict[str, Any]:
    """`addressToEndpoint`; nothing is known of serving and terminating."""
    found: dict[str, Any] = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
    for field in ("hostname", "nodeName", "targetRef"):
        if address.get(field):
            found[field] = address[field]
    return found


def _metadata(endpoints: Object, name: str) -> dict[str, Any]:
    metadata = endpoints["metadata"]
    given = metadata.get("annotations") or {}
    return {
        "name": name,
        "namespace": metadata["namespace"],
        "labels": {**labels_of(endpoints), SERVICE_NAME: metadata["name"], MANAGED_BY: MANAGER},
        "annotations": {k: v for k, v in given.items() if k not in (TRIGGER_TIME, LAST_APPLIED)},
        "ownerReferences": [owner_reference(endpoints)],
    }
