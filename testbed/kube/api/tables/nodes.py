"""The tables of Nodes and Namespaces (printers.go)."""

from __future__ import annotations

import datetime

from testbed.kube.api.tables.duration import UNKNOWN, age
from testbed.kube.api.tables.layout import AGE, NAME, Cells, Column, Layout
from testbed.kube.api.tables.text import NONE
from testbed.kube.store import Object

_ROLE_PREFIX = "node-role.kubernetes.io/"
_ROLE_LABEL = "kubernetes.io/role"


def roles(node: Object) -> list[str]:
    """`findNodeRoles`: from labels `node-role.kubernetes.io/<role>` and `kubernetes.io/role=<role>`; sorted."""
    labels = node["metadata"].get("labels") or {}
    found = {key.removeprefix(_ROLE_PREFIX) for key in labels if key.startswith(_ROLE_PREFIX)}
    return sorted((found | {labels.get(_ROLE_LABEL, "")}) - {""})


def _node_status(node: Object) -> str:
    conditions = node.get("status", {}).get("conditions") or ()
    words = [
        "Ready" if condition["status"] == "True" else "NotReady"
        for condition in conditions
        if condition["type"] == "Ready"
    ]
    disabled = ["SchedulingDisabled"] if node.get("spec", {}).get("unschedulable") else []
    return ",".join((words or ["Unknown"]) + disabled)


def _address(node: Object, kind: str) -> str:
    addresses = node.get("status", {}).get("addresses") or ()
    return next((entry["address"] for entry in addresses if entry["type"] == kind), NONE)


def _node(node: Object, now: datetime.datetime) -> Cells:
    info = node.get("status", {}).get("nodeInfo") or {}
    return (
        node["metadata"]["name"],
        _node_status(node),
        ",".join(roles(node)) or NONE,
        age(node, now),
        info.get("kubeletVersion", ""),
        _address(node, "InternalIP"),
        _address(node, "ExternalIP"),
        info.get("osImage") or UNKNOWN,
        info.get("kernelVersion") or UNKNOWN,
        info.get("containerRuntimeVersion") or UNKNOWN,
    )


def _namespace(namespace: Object, now: datetime.datetime) -> Cells:
    return namespace["metadata"]["name"], namespace.get("status", {}).get("phase", ""), age(namespace, now)


NODES = Layout(
    (
        NAME,
        Column("Status", description="The status of the node"),
        Column("Roles", description="The roles of the node"),
        AGE,
        Column("Version", description="Kubelet Version reported by the node."),
        Column("Internal-IP", description="Its first address inside the cluster.", priority=1),
        Column("External-IP", description="Its first address outside.", priority=1),
        Column("OS-Image", description="OS Image reported by the node.", priority=1),
        Column("Kernel-Version", description="Kernel Version reported by the node.", priority=1),
        Column("Container-Runtime", description="What runs the containers.", priority=1),
    ),
    _node,
)
NAMESPACES = Layout((NAME, Column("Status", description="The status of the namespace"), AGE), _namespace)
