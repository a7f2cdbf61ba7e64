"""The page of a Pod (`describePod` in k8s.io/kubectl/pkg/describe)."""

from __future__ import annotations

from testbed.cli.describing.containers import containers, placing, volumes
from testbed.cli.describing.page import Page
from testbed.cli.describing.parts import NONE, Object, controller, events, head, marks
from testbed.kube.api.tables.duration import since
from testbed.kube.client import Client


def pod(page: Page, obj: Object, client: Client) -> None:
    """Where it is, how it does, its containers, what happened to it."""
    spec, status = obj["spec"], obj.get("status", {})
    head(page, obj)
    if "priority" in spec:
        page.field("Priority", spec["priority"])
    if spec.get("serviceAccountName"):
        page.field("Service Account", spec["serviceAccountName"])
    page.field("Node", f"{spec['nodeName']}/{status.get('hostIP', '')}" if spec.get("nodeName") else NONE)
    if status.get("startTime"):
        page.field("Start Time", page.time(status["startTime"]))
    marks(page, obj)
    _status(page, obj)
    _addresses(page, obj)
    if spec.get("initContainers"):
        containers(page, "Init Containers", obj, "initContainers")
    containers(page, "Containers", obj, "containers")
    _gates(page, obj)
    if status.get("conditions"):
        page.line("Conditions:")
        page.line("Type\tStatus", 1)
        for condition in status["conditions"]:
            page.line(f"{condition['type']} \t{condition['status']} ", 1)
    volumes(page, spec)
    page.field("QoS Class", status.get("qosClass", "BestEffort"))
    placing(page, spec)
    events(page, obj, client)


def _status(page: Page, obj: Object) -> None:
    status, metadata = obj.get("status", {}), obj["metadata"]
    if "deletionTimestamp" in metadata and status.get("phase") not in ("Failed", "Succeeded"):
        page.field("Status", f"Terminating (lasts {since(metadata['deletionTimestamp'], page.now)})")
        page.field("Termination Grace Period", f"{metadata.get('deletionGracePeriodSeconds', 0)}s")
    else:
        page.field("Status", status.get("phase", ""))
    for name in ("reason", "message"):
        if status.get(name):
            page.field(name.capitalize(), status[name])


def _addresses(page: Page, obj: Object) -> None:
    status = obj.get("status", {})
    page.field("IP", status.get("podIP", ""))
    page.line("IPs:" if status.get("podIPs") else f"IPs:\t{NONE}")
    for entry in status.get("podIPs") or ():
        page.field("IP", entry["ip"], 1)
    if controller(obj):
        page.field("Controlled By", controller(obj))
    if status.get("nominatedNodeName"):
        page.field("NominatedNodeName", status["nominatedNodeName"])


def _gates(page: Page, obj: Object) -> None:
    gates = obj["spec"].get("readinessGates")
    if not gates:
        return
    found = {c["type"]: c["status"] for c in obj.get("status", {}).get("conditions") or ()}
    page.line("Readiness Gates:")
    page.line("Type\tStatus", 1)
    for gate in gates:
        page.line(f"{gate['conditionType']} \t{found.get(gate['conditionType'], NONE)} ", 1)
