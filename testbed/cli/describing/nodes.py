"""The pages of Nodes and Namespaces (k8s.io/kubectl/pkg/describe).

A node has no lease here, so the page has none.
"""

from __future__ import annotations

from collections.abc import Sequence

from testbed.cli.describing.page import Page
from testbed.cli.describing.parts import NONE, Object, events, head, marks
from testbed.cli.describing.quantity import Quantities, share
from testbed.kube.api.tables.duration import age
from testbed.kube.api.tables.nodes import roles
from testbed.kube.client import Client, Query

_INFO = (
    ("Machine ID", "machineID"),
    ("System UUID", "systemUUID"),
    ("Boot ID", "bootID"),
    ("Kernel Version", "kernelVersion"),
    ("OS Image", "osImage"),
    ("Operating System", "operatingSystem"),
    ("Architecture", "architecture"),
    ("Container Runtime Version", "containerRuntimeVersion"),
    ("Kubelet Version", "kubeletVersion"),
)
RESOURCES = ("cpu", "memory", "ephemeral-storage")


def node(page: Page, obj: Object, client: Client) -> None:
    """Its addresses, conditions, pod ranges, and the pods that it has."""
    spec, status = obj.get("spec", {}), obj.get("status", {})
    head(page, obj, namespace=False)
    page.field("Roles", ",".join(roles(obj)) or NONE)
    marks(page, obj)
    page.field("CreationTimestamp", page.time(obj["metadata"].get("creationTimestamp")))
    taints = sorted(spec.get("taints") or (), key=lambda taint: (taint["effect"], taint["key"]))
    page.several("Taints", map(_taint, taints))
    page.field("Unschedulable", str(bool(spec.get("unschedulable"))).lower())
    _conditions(page, status.get("conditions") or ())
    page.line("Addresses:")
    for address in status.get("addresses") or ():
        page.field(address["type"], address["address"], 1)
    for title in ("Capacity", "Allocatable"):
        if status.get(title.lower()):
            page.line(f"{title}:")
            for name, amount in sorted(status[title.lower()].items()):
                page.field(name, amount, 1)
    page.line("System Info:")
    for title, key in _INFO:
        page.field(title, (status.get("nodeInfo") or {}).get(key, ""), 1)
    if spec.get("podCIDR"):
        page.field("PodCIDR", spec["podCIDR"])
    if spec.get("podCIDRs"):
        page.field("PodCIDRs", ",".join(spec["podCIDRs"]))
    _pods(page, obj, client)
    events(page, obj, client)


def _taint(taint: Object) -> str:
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint['key']}{value}:{taint['effect']}"


def _conditions(page: Page, found: Sequence[Object]) -> None:
    if found:
        page.line("Conditions:")
        rows = (
            (
                f"{c['type']} ",
                f"{c['status']} ",
                f"{page.time(c.get('lastHeartbeatTime'))} ",
                f"{page.time(c.get('lastTransitionTime'))} ",
                f"{c.get('reason', '')} ",
                c.get("message", ""),
            )
            for c in found
        )
        page.table(("Type", "Status", "LastHeartbeatTime", "LastTransitionTime", "Reason", "Message"), rows)


def _pods(page: Page, obj: Object, client: Client) -> None:
    """The pods that are not done, and what they ask for in all (`describeNodeResource`)."""
    name = obj["metadata"]["name"]
    fields = f"spec.nodeName={name},status.phase!=Succeeded,status.phase!=Failed"
    pods = client.list("Pod", None, Query(fields=fields)).items
    status = obj.get("status", {})
    room = Quantities(status.get("allocatable") or status.get("capacity") or {})
    page.field("Non-terminated Pods", f"({len(pods)} in total)")
    header = (
        "Namespace",
        "Name",
        "",
        "CPU Requests",
        "CPU Limits",
        "Memory Requests",
        "Memory Limits",
        "Age",
    )
    page.table(header, ((*_pod_row(pod, room), age(pod, page.now)) for pod in pods))
    page.line("Allocated resources:")
    page.line("(Total limits may be over 100 percent, i.e., overcommitted.)", 1)
    asked, limits = (sum((_of(pod, key) for pod in pods), Quantities()) for key in ("requests", "limits"))
    rows = ((name, share(name, asked, room), share(name, limits, room)) for name in RESOURCES)
    page.table(("Resource", "Requests", "Limits"), rows)


def _of(pod: Object, key: str) -> Quantities:
    """What the containers of a pod request, or are limited to, together."""
    amounts = ((container.get("resources") or {}).get(key) or {} for container in pod["spec"]["containers"])
    return sum(map(Quantities, amounts), Quantities())


def _pod_row(pod: Object, room: Quantities) -> tuple[str, ...]:
    metadata, asked, limits = pod["metadata"], _of(pod, "requests"), _of(pod, "limits")
    shares = (share(name, each, room) for name in ("cpu", "memory") for each in (asked, limits))
    return metadata["namespace"], metadata["name"], "", *shares


def namespace(page: Page, obj: Object, _: Client) -> None:
    """Whether it is there or on its way out."""
    head(page, obj, namespace=False)
    marks(page, obj)
    page.field("Status", obj.get("status", {}).get("phase", ""))
