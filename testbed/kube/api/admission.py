"""What the server adds to an object of each kind and what it refuses, beyond the object on its own.

Knows the store and the other objects of the same call. Checks and fills drafts; writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from testbed.kube.api.cluster_ips import ClusterIPs
from testbed.kube.api.draft import Draft, keep_status
from testbed.kube.api.families import choose_families
from testbed.kube.api.node_ports import NodePorts, carry_over_ports
from testbed.kube.api.service_cidrs import service_networks
from testbed.kube.objects import ClusterConfig
from testbed.kube.store import Key, Store, key_of, terminating


def check_unique(drafts: Sequence[Draft]) -> None:
    """One call says one thing about an object."""
    seen: set[Key] = set()
    for item in drafts:
        if item.key in seen:
            message = f"{item.kind} {item.key[2]} is given twice"
            item.mistake("metadata.name", message, "remove one of the two documents")
        seen.add(item.key)


def check_namespaces(store: Store, drafts: Sequence[Draft]) -> None:
    """The namespace is there, or comes in the same call, and is not on its way out."""
    coming = {item.key[2] for item in drafts if item.kind == "Namespace"}
    leaving = {n["metadata"]["name"] for n in store.list("Namespace") if terminating(n)}
    known = coming | {n["metadata"]["name"] for n in store.list("Namespace")}
    for item in drafts:
        namespace = item.key[1]
        if namespace and namespace not in known:
            hint = "add a Namespace document, or use one of: " + ", ".join(sorted(known))
            item.mistake("metadata.namespace", f'namespaces "{namespace}" not found', hint)
        elif namespace in leaving and item.old is None:
            message = "unable to create new content in namespace {} because it is being terminated"
            item.mistake("metadata.namespace", message.format(namespace), "wait until it is gone")


def _admit_namespace(_: Store, item: Draft) -> None:
    labels = item.body["metadata"].get("labels") or {}
    item.body["metadata"]["labels"] = labels | {"kubernetes.io/metadata.name": item.key[2]}
    item.body["spec"] = {"finalizers": ["kubernetes"]}
    keep_status(item, {"phase": "Active"})


def _admit_node(_: Store, item: Draft) -> None:
    if item.old is None:
        message = f"this cluster has no node {item.key[2]}"
        item.mistake("metadata.name", message, "nodes come from the Cluster document alone")
        return
    given = item.body["metadata"].get("labels") or {}
    item.body["metadata"]["labels"] = given | {"kubernetes.io/hostname": item.key[2]}
    ranges = {k: item.old_spec[k] for k in ("podCIDR", "podCIDRs") if k in item.old_spec}
    item.body["spec"] = item.body.get("spec", {}) | ranges
    keep_status(item, {})


def _admit_pod(store: Store, item: Draft) -> None:
    keep_status(item, {"phase": "Pending"})
    node = item.spec.get("nodeName")
    if node and store.get("Node", "", node) is None:
        names = ", ".join(n["metadata"]["name"] for n in store.list("Node"))
        item.mistake("spec.nodeName", f"this cluster has no node {node}", f"nodes: {names or 'none'}")
    if item.old is None:
        return
    if not node and "nodeName" in item.old_spec:
        item.spec["nodeName"] = item.old_spec["nodeName"]
    if item.spec != item.old_spec:
        hint = "a pod's spec cannot change: delete and create it"
        item.mistake("spec", "pod updates may not change fields other than labels and annotations", hint)


def _admit_workload(_: Store, item: Draft) -> None:
    """metadata.generation counts the versions of the spec; the selector is for life."""
    keep_status(item, {})
    if item.old is None:
        item.body["metadata"]["generation"] = 1
        return
    if item.spec["selector"] != item.old_spec["selector"]:
        item.mistake("spec.selector", "field is immutable", f"delete the {item.kind} first")
    changed = item.spec != item.old_spec
    item.body["metadata"]["generation"] = item.old["metadata"].get("generation", 1) + changed


_SET_FIELDS = (  # ValidateStatefulSetUpdate
    "minReadySeconds",
    "ordinals",
    "persistentVolumeClaimRetentionPolicy",
    "replicas",
    "revisionHistoryLimit",
    "template",
    "updateStrategy",
)


def _admit_stateful_set(store: Store, item: Draft) -> None:
    _admit_workload(store, item)
    if item.old is None:
        return
    fixed = (item.spec.keys() | item.old_spec.keys()) - {*_SET_FIELDS, "selector"}
    for field in sorted(field for field in fixed if item.spec.get(field) != item.old_spec.get(field)):
        allowed = ", ".join(f"'{name}'" for name in _SET_FIELDS)
        message = f"updates to statefulset spec for fields other than {allowed} are forbidden"
        item.mistake(f"spec.{field}", f"Forbidden: {message}", "delete the StatefulSet first")


def _admit_config(_: Store, item: Draft) -> None:
    """An immutable ConfigMap or Secret stays as it is (`ValidateConfigMapUpdate`, `ValidateSecretUpdate`)."""
    if item.old is None:
        return
    if item.kind == "Secret" and item.body["type"] != item.old["type"]:
        item.mistake("type", "field is immutable", "delete the Secret first")
    if item.old.get("immutable"):
        for field in ("data", "binaryData", "immutable"):
            if item.body.get(field) != item.old.get(field):
                item.mistake(field, "Forbidden: field is immutable when `immutable` is set")


def _admit_service(_: Store, item: Draft) -> None:
    """A status with addresses is honoured (recorded objects are replayed so), any other is kept as stored."""
    given = item.body.get("status") or {}
    if not given.get("loadBalancer", {}).get("ingress"):
        keep_status(item, {"loadBalancer": {}})


ADMIT: dict[str, Callable[[Store, Draft], None]] = {
    "ConfigMap": _admit_config,
    "DaemonSet": _admit_workload,
    "Deployment": _admit_workload,
    "Namespace": _admit_namespace,
    "Node": _admit_node,
    "Pod": _admit_pod,
    "ReplicaSet": _admit_workload,
    "Secret": _admit_config,
    "Service": _admit_service,
    "StatefulSet": _admit_stateful_set,
}
"""What to do for kinds that need more than their manifest says; any other comes in as it is."""


def allocate(store: Store, cluster: ClusterConfig, drafts: Sequence[Draft]) -> None:
    """Families, cluster IPs and node ports of all Services of a call.

    In passes over all of them: what is held already goes before new wishes, wishes before numbers that are
    given out, so that the order of the documents does not decide who is wrong.
    """
    services = [item for item in drafts if item.kind == "Service"]
    if not services:
        return
    coming = [item.body for item in drafts if item.kind == "ServiceCIDR" and item.old is None]
    networks = service_networks(store, cluster, coming)
    families = tuple(dict.fromkeys(f"IPv{network.version}" for network in networks))
    for item in services:
        choose_families(item, families)
        carry_over_ports(item)
    sound = [item for item in services if not item.mistakes]
    touched = {item.key for item in services}
    others = [service["spec"] for service in store.list("Service") if key_of(service) not in touched]
    for allocator in (ClusterIPs(networks), NodePorts()):
        for spec in others:
            allocator.hold(spec)
        for step in (allocator.keep, allocator.claim, allocator.fill):
            for item in sound:
                step(item)
