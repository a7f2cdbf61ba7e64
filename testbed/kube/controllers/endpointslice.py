"""EndpointSlices and Endpoints of Services with a selector (Kubernetes' pkg/controller/endpointslice, endpoint).

Keeps indexes, so that a pod's change touches only the Services that select it, and a Service only the pods
that carry one of its labels. What an endpoint is says `endpoints.py`; how slices are laid out, `slices.py`; whom an
endpoint is for, `topology.py`; what the Endpoints object says, `endpointsobject.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from testbed.kube.controllers.endpoints import Selected, weight_text
from testbed.kube.controllers.endpointsobject import endpoints_object
from testbed.kube.controllers.events import warn
from testbed.kube.controllers.selectors import Labels, has_all, labels_of
from testbed.kube.controllers.slices import SERVICE_NAME, Changes, Group, arrange, managed
from testbed.kube.controllers.topology import ZONE, automatic, cpu_ratios, dealt_out, distributed
from testbed.kube.objects.extensions import MOST_WEIGHT, PLAIN_WEIGHT, WEIGHT, weight_of
from testbed.kube.store import Event, EventType, Key, Object, Store, key_of, terminating

TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"

Pair = tuple[str, str, str]  # namespace, label, value
Name = tuple[str, str]  # namespace and name of a Service


def selector_of(service: Object) -> Labels:
    """The labels that the Service's pods have; empty if its slices are not the controller's to make."""
    spec = service["spec"]
    if spec.get("type") == "ExternalName":
        return {}
    return spec.get("selector") or {}


class EndpointSliceController:
    """Writes only the slices that change."""

    name = "endpointslice"
    kinds = ("EndpointSlice", "Endpoints", "Node", "Pod", "Service")

    def __init__(self) -> None:
        self._services: dict[Name, Object] = {}
        self._selecting: dict[Pair, set[Name]] = {}  # Services by the first label of their selector
        self._pods: dict[Pair, dict[Key, Object]] = {}  # pods by each of their labels
        self._on_node: dict[str, dict[Key, Object]] = {}
        self._zones: dict[str, str] = {}
        self._nodes: dict[str, Object] = {}
        self._ratios: dict[str, float] | None = None  # of the zones' CPUs
        self._automatic: dict[Name, None] = {}  # Services whose hints follow these
        self._endpoints: dict[Name, Object] = {}
        self._seen: dict[Name, tuple[Object, dict[str, Selected]]] = {}  # a Service's pods as it sees them
        self._slices: dict[Name, dict[str, Object]] = {}
        self._dirty: dict[Name, None] = {}
        self._moment = ""  # when the changes in hand were seen

    def handle(self, store: Store, events: Sequence[Event]) -> None:
        """Learn, then look at each Service that is concerned once."""
        learn = {
            "EndpointSlice": self._learn_slice,
            "Endpoints": self._learn_endpoints,
            "Node": self._learn_node,
            "Pod": self._learn_pod,
            "Service": self._learn_service,
        }
        self._moment = store.now().isoformat(timespec="microseconds").replace("+00:00", "Z")
        for event in events:
            learn[event.object["kind"]](event)
            if event.object["kind"] == "Pod" and event.type is not EventType.DELETED:
                _warn_of_weight(store, event.object, event.old)
        for name in list(self._dirty):
            service = self._services.get(name)
            if service is None:
                self._drop_endpoints(store, name)
            elif selector_of(service):
                pods = self._as_seen(name, service)
                changes = self._changes(store, name, service, pods)
                if terminating(service):  # the collector deletes them: neither would find a rest
                    changes.create.clear()
                self._write(store, name, changes)
                self._write_endpoints(store, name, endpoints_object(service, pods, self._endpoints.get(name)))
        self._dirty.clear()

    def _learn_service(self, event: Event) -> None:
        service = event.object
        name = service["metadata"]["namespace"], service["metadata"]["name"]
        old = self._services.pop(name, None)
        if old is not None and selector_of(old):
            self._selecting[_index_pair(old)].discard(name)
        self._automatic.pop(name, None)
        if event.type is EventType.DELETED:
            self._seen.pop(name, None)
            self._dirty[name] = None
            return
        self._services[name] = service
        if automatic(service):
            self._automatic[name] = None
        if selector_of(service):
            self._selecting.setdefault(_index_pair(service), set()).add(name)
            self._dirty[name] = None

    def _learn_slice(self, event: Event) -> None:
        for slice_ in (event.old, event.object):
            if slice_ is None or not managed(slice_):
                continue
            name = slice_["metadata"]["namespace"], labels_of(slice_).get(SERVICE_NAME, "")
            slices = self._slices.setdefault(name, {})
            current = slice_ is event.object and event.type is not EventType.DELETED
            if current and slices.get(slice_["metadata"]["name"]) is slice_:
                continue  # our own writing
            slices.pop(slice_["metadata"]["name"], None)
            if current:
                slices[slice_["metadata"]["name"]] = slice_
            self._dirty[name] = None

    def _learn_endpoints(self, event: Event) -> None:
        name = event.object["metadata"]["namespace"], event.object["metadata"]["name"]
        current = event.type is not EventType.DELETED
        if current and self._endpoints.get(name) is event.object:
            return  # our own writing
        self._endpoints.pop(name, None)
        if current:
            self._endpoints[name] = event.object
        if name in self._services:
            self._dirty[name] = None

    def _learn_node(self, event: Event) -> None:
        name = event.object["metadata"]["name"]
        self._nodes.pop(name, None)
        if event.type is not EventType.DELETED:
            self._nodes[name] = event.object
        ratios = cpu_ratios(self._nodes.values())
        if ratios != self._ratios:
            self._ratios = ratios
            self._dirty |= self._automatic
        zone = "" if event.type is EventType.DELETED else labels_of(event.object).get(ZONE, "")
        if self._zones.get(name, "") != zone:
            self._zones[name] = zone
            for pod in self._on_node.get(name, {}).values():
                self._touch(pod)

    def _learn_pod(self, event: Event) -> None:
        key = key_of(event.object)
        if event.old is not None:
            self._forget_pod(key, event.old)
        if event.type is EventType.DELETED:
            return
        for pair in _pairs(event.object):
            self._pods.setdefault(pair, {})[key] = event.object
        self._on_node.setdefault(event.object["spec"].get("nodeName", ""), {})[key] = event.object
        self._touch(event.object)

    def _forget_pod(self, key: Key, pod: Object) -> None:
        for pair in _pairs(pod):
            self._pods.get(pair, {}).pop(key, None)
        self._on_node.get(pod["spec"].get("nodeName", ""), {}).pop(key, None)
        self._touch(pod)

    def _touch(self, pod: Object) -> None:
        """The Services that select the pod want another look."""
        for pair in _pairs(pod):
            for name in self._selecting.get(pair, ()):
                if has_all(labels_of(pod), selector_of(self._services[name])):
                    self._dirty[name] = None

    def _changes(self, store: Store, name: Name, service: Object, pods: Sequence[Selected]) -> Changes:
        slices, namespace = self._slices.get(name, {}), name[0]
        existing = [slices[key] for key in sorted(slices)]
        wanted = self._hinted(store, service, self._wanted(service, pods))
        weights = {address: weight for pod in pods for address, weight in pod.weights().items()}
        return arrange(
            service, wanted, existing, lambda n: store.get("EndpointSlice", namespace, n) is not None, weights
        )

    def _hinted(
        self, store: Store, service: Object, wanted: dict[Group, dict[str, Object]]
    ) -> dict[Group, dict[str, Object]]:
        """The same endpoints with hints for zones and nodes, if the Service wants any."""
        if not automatic(service):
            return {group: distributed(service, endpoints) for group, endpoints in wanted.items()}
        hinted: dict[Group, dict[str, Object]] = {}
        for group, endpoints in wanted.items():
            hinted[group], trouble = dealt_out(endpoints, self._ratios)
            if trouble and endpoints:
                message = f"{trouble}, addressType: {group[0]}"
                warn(store, "endpoint-slice-controller", service, "TopologyAwareHintsDisabled", message)
        return hinted

    def _wanted(self, service: Object, pods: Sequence[Selected]) -> dict[Group, dict[str, Object]]:
        """The Service's endpoints by family and ports; an empty group for a family without any."""
        wanted: dict[Group, dict[str, Object]] = {}
        for family in service["spec"].get("ipFamilies") or ("IPv4",):
            for pod in pods:
                if family in pod.endpoints:
                    wanted.setdefault((family, pod.ports), {})[pod.uid] = pod.endpoints[family]
            if not any(group[0] == family for group in wanted):
                wanted[family, ()] = {}
        return wanted

    def _as_seen(self, name: Name, service: Object) -> list[Selected]:
        """The Service's pods; what neither pod nor Service nor node has changed is as it was."""
        known_service, known = self._seen.get(name, (service, {}))
        if known_service is not service:
            known = {}
        found = []
        for pod in self._selected(service):
            zone = self._zones.get(pod["spec"].get("nodeName", ""), "")
            each = known.get(pod["metadata"]["uid"])
            if each is None or each.pod is not pod or each.zone != zone:
                each = Selected(service, pod, zone)
            found.append(each)
        self._seen[name] = service, {each.uid: each for each in found}
        return found

    def _selected(self, service: Object) -> list[Object]:
        """The Service's pods in the order of their names, found by the rarest of its labels."""
        namespace, selector = service["metadata"]["namespace"], selector_of(service)
        candidates = [self._pods.get((namespace, *item), {}) for item in selector.items()]
        pods = min(candidates, key=len)
        return [pods[key] for key in sorted(pods) if has_all(labels_of(pods[key]), selector)]

    def _write(self, store: Store, name: Name, changes: Changes) -> None:
        slices = self._slices.setdefault(name, {})
        for slice_ in changes.delete:
            store.delete(*key_of(slice_))
            del slices[slice_["metadata"]["name"]]
        for slice_ in changes.create:
            slices[slice_["metadata"]["name"]] = store.create(_stamped(slice_, self._moment, 1))
        for slice_ in changes.update:
            number = int(slice_["metadata"].get("generation", 1)) + 1
            slices[slice_["metadata"]["name"]] = store.update(_stamped(slice_, self._moment, number))

    def _write_endpoints(self, store: Store, name: Name, new: Object) -> None:
        old = self._endpoints.get(name)
        if old is None:
            self._endpoints[name] = store.create(_stamped(new, self._moment))
        elif new != old:
            self._endpoints[name] = store.update(_stamped(new, self._moment))

    def _drop_endpoints(self, store: Store, name: Name) -> None:
        """Endpoints go with their Service, by name: nobody owns them."""
        endpoints = self._endpoints.pop(name, None)
        if endpoints is not None:
            store.delete(*key_of(endpoints))


def _warn_of_weight(store: Store, pod: Object, old: Object | None) -> None:
    """Tell of a weight that is none, once for each time that it is written."""
    text = weight_text(pod)
    if text and (old is None or weight_text(old) != text) and weight_of(text) is None:
        message = f"{WEIGHT}: {text!r} is no number from 0 to {MOST_WEIGHT}; it counts as {PLAIN_WEIGHT}"
        warn(store, "endpoint-slice-controller", pod, "InvalidWeight", message)


def _stamped(obj: Object, moment: str, generation: int = 0) -> Object:
    """With the time of the change that led to it, from which kube-proxy counts its programming latency.

    Kubernetes takes it from the pods' conditions, in whole seconds; here it is when the controller saw the change.
    """
    metadata = dict(obj["metadata"])
    metadata["annotations"] = {**(metadata.get("annotations") or {}), TRIGGER_TIME: moment}
    if generation:
        metadata["generation"] = generation
    return {**obj, "metadata": metadata}


def _pairs(pod: Object) -> list[Pair]:
    namespace = pod["metadata"]["namespace"]
    return [(namespace, *item) for item in labels_of(pod).items()]


def _index_pair(service: Object) -> Pair:
    return service["metadata"]["namespace"], *min(selector_of(service).items())
