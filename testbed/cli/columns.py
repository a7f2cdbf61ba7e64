"""The columns of `testbed get`, by kind: what kubectl prints between NAME and AGE."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Object = Mapping[str, Any]


def _pod(pod: Object) -> tuple[str, ...]:
    status = pod.get("status", {})
    containers = status.get("containerStatuses", [])
    ready = sum(c.get("ready", False) for c in containers)
    waiting = [
        c["state"]["waiting"]["reason"]
        for c in containers
        if c.get("state", {}).get("waiting", {}).get("reason")
    ]
    phase = (
        "Terminating"
        if "deletionTimestamp" in pod["metadata"]
        else (waiting or [status.get("phase", "Pending")])[0]
    )
    restarts = sum(c.get("restartCount", 0) for c in containers)
    return (
        f"{ready}/{len(pod['spec']['containers'])}",
        phase,
        str(restarts),
        status.get("podIP", ""),
        pod["spec"].get("nodeName", ""),
    )


def _service(service: Object) -> tuple[str, ...]:
    spec = service["spec"]
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress", [])
    external = [i.get("ip", "") for i in ingress] + list(spec.get("externalIPs", []))
    if spec["type"] == "ExternalName":
        external = [spec.get("externalName", "")]
    ports = [
        f"{p['port']}{':' + str(p['nodePort']) if 'nodePort' in p else ''}/{p.get('protocol', 'TCP')}"
        for p in spec.get("ports", [])
    ]
    return spec["type"], spec.get("clusterIP", ""), ",".join(external), ",".join(ports)


def _node(node: Object) -> tuple[str, ...]:
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", []))
    addresses = [a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP"]
    return "Ready" if ready else "NotReady", ",".join(addresses), ",".join(node["spec"].get("podCIDRs", []))


def _deployment(deployment: Object) -> tuple[str, ...]:
    status, wanted = deployment.get("status", {}), deployment["spec"].get("replicas", 1)
    counts = (status.get("updatedReplicas", 0), status.get("availableReplicas", 0))
    return f"{status.get('readyReplicas', 0)}/{wanted}", str(counts[0]), str(counts[1])


def _slice(endpoint_slice: Object) -> tuple[str, ...]:
    addresses = [a for e in endpoint_slice.get("endpoints") or [] for a in e["addresses"]]
    shown = ",".join(addresses[:3]) + (f" + {len(addresses) - 3} more..." if len(addresses) > 3 else "")
    ports = ",".join(str(p.get("port", "")) for p in endpoint_slice.get("ports") or [])
    return endpoint_slice["addressType"], ports, shown


# kubectl's own columns (kubernetes/pkg/printers/internalversion); pods and nodes as with `-o wide`, since
# addresses are what one looks for here.
COLUMNS: Mapping[str, tuple[tuple[str, ...], Callable[[Object], tuple[str, ...]]]] = {
    "Pod": (("READY", "STATUS", "RESTARTS", "IP", "NODE"), _pod),
    "Service": (("TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)"), _service),
    "Node": (("STATUS", "INTERNAL-IP", "POD-CIDR"), _node),
    "Deployment": (("READY", "UP-TO-DATE", "AVAILABLE"), _deployment),
    "EndpointSlice": (("ADDRESSTYPE", "PORTS", "ENDPOINTS"), _slice),
    "Namespace": (("STATUS",), lambda obj: (obj.get("status", {}).get("phase", "Active"),)),
}
