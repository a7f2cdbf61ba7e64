"""The pages of Services, Endpoints, EndpointSlices and ServiceCIDRs (k8s.io/kubectl/pkg/describe)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from testbed.cli.describing.page import Page
from testbed.cli.describing.parts import NONE, UNSET, Object, events, head, marks
from testbed.kube.api.tables.services import host_port
from testbed.kube.api.tables.text import labels_text, listed
from testbed.kube.client import Client, Query

SERVICE_LABEL = "kubernetes.io/service-name"


def service(page: Page, obj: Object, client: Client) -> None:
    """Its addresses, its ports with their endpoints, its policies."""
    spec = obj["spec"]
    name, namespace = obj["metadata"]["name"], obj["metadata"]["namespace"]
    slices = client.list("EndpointSlice", namespace, Query(labels=f"{SERVICE_LABEL}={name}")).items
    head(page, obj)
    marks(page, obj)
    page.field("Selector", labels_text(spec.get("selector")))
    page.field("Type", spec["type"])
    _addresses(page, obj)
    for port in spec.get("ports") or ():
        _port(page, port, slices)
    _policies(page, spec)
    events(page, obj, client)


def _addresses(page: Page, obj: Object) -> None:
    spec = obj["spec"]
    if spec.get("ipFamilyPolicy"):
        page.field("IP Family Policy", spec["ipFamilyPolicy"])
    page.field("IP Families", ",".join(spec.get("ipFamilies") or ()) or NONE)
    page.field("IP", spec.get("clusterIP", ""))
    page.field("IPs", ",".join(spec.get("clusterIPs") or ()) or NONE)
    if spec.get("externalIPs"):
        page.field("External IPs", ",".join(spec["externalIPs"]))
    if spec.get("loadBalancerIP"):
        page.field("Desired LoadBalancer IP", spec["loadBalancerIP"])
    if spec.get("externalName"):
        page.field("External Name", spec["externalName"])
    ingress = obj.get("status", {}).get("loadBalancer", {}).get("ingress")
    if ingress:
        page.field("LoadBalancer Ingress", ", ".join(map(_ingress, ingress)))


def _ingress(entry: Object) -> str:
    if not entry.get("ip"):
        return str(entry.get("hostname", ""))
    return f"{entry['ip']} ({entry['ipMode']})" if entry.get("ipMode") else str(entry["ip"])


def _port(page: Page, port: Object, slices: Sequence[Object]) -> None:
    name, protocol = port.get("name") or UNSET, port.get("protocol", "TCP")
    page.field("Port", f"{name}\t{port['port']}/{protocol}")
    page.field("TargetPort", f"{port.get('targetPort', port['port'])}/{protocol}")
    if port.get("appProtocol"):
        page.field("AppProtocol", port["appProtocol"])
    if port.get("nodePort"):
        page.field("NodePort", f"{name}\t{port['nodePort']}/{protocol}")
    ready = list(_ready(slices, port.get("name", "")))
    page.field("Endpoints", listed(ready, "" if slices else NONE))


def _ready(slices: Sequence[Object], port_name: str) -> Iterator[str]:
    """`formatEndpointSlices`: address and port of those that are ready, for one port of the Service."""
    for piece in slices:
        addresses = [
            endpoint["addresses"][0]
            for endpoint in piece.get("endpoints") or ()
            if (endpoint.get("conditions") or {}).get("ready", True)
        ]
        if not piece.get("ports"):
            yield from addresses
        for port in piece.get("ports") or ():
            if port.get("name", "") == port_name and "port" in port:
                yield from (host_port(address, port["port"]) for address in addresses)


_POLICIES = (
    ("Session Affinity", "sessionAffinity"),
    ("External Traffic Policy", "externalTrafficPolicy"),
    ("Internal Traffic Policy", "internalTrafficPolicy"),
    ("HealthCheck NodePort", "healthCheckNodePort"),
)


def _policies(page: Page, spec: Object) -> None:
    for title, key in _POLICIES:
        if spec.get(key):
            page.field(title, spec[key])
    if spec.get("loadBalancerSourceRanges"):
        page.field("LoadBalancer Source Ranges", ",".join(spec["loadBalancerSourceRanges"]))
    if spec.get("trafficDistribution"):
        page.field("Traffic Distribution", spec["trafficDistribution"])


def endpoints(page: Page, obj: Object, client: Client) -> None:
    """Addresses that are ready, those that are not, and their ports."""
    head(page, obj)
    marks(page, obj)
    page.line("Subsets:")
    for subset in obj.get("subsets") or ():
        for title, key in (("Addresses", "addresses"), ("NotReadyAddresses", "notReadyAddresses")):
            page.field(title, ",".join(each["ip"] for each in subset.get(key) or ()) or NONE, 1)
        if subset.get("ports"):
            page.line("Ports:", 1)
            page.table(("Name", "Port", "Protocol"), map(_port_row, subset["ports"]), 2)
        page.line()
    events(page, obj, client)


def _port_row(port: Object) -> tuple[str, str, str]:
    return port.get("name") or UNSET, str(port.get("port", UNSET)), port.get("protocol", "TCP")


def endpoint_slice(page: Page, obj: Object, client: Client) -> None:
    """Its ports and each endpoint, of which serving and terminating are told, too; kubectl tells only ready."""
    head(page, obj)
    marks(page, obj)
    page.field("AddressType", obj["addressType"])
    page.line("Ports:" if obj.get("ports") else f"Ports: {UNSET}")
    if obj.get("ports"):
        page.table(("Name", "Port", "Protocol"), map(_port_row, obj["ports"]))
    page.line("Endpoints:" if obj.get("endpoints") else f"Endpoints: {NONE}")
    for endpoint in obj.get("endpoints") or ():
        _endpoint(page, endpoint)
    events(page, obj, client)


def _endpoint(page: Page, endpoint: Object) -> None:
    page.field("- Addresses", ", ".join(endpoint.get("addresses") or ()) or NONE, 1)
    page.line("Conditions:", 2)
    given = endpoint.get("conditions") or {}
    for name in ("ready", "serving", "terminating"):
        if name == "ready" or name in given:
            page.field(name.capitalize(), str(given.get(name, UNSET)).lower(), 3)
    page.field("Hostname", endpoint.get("hostname") or UNSET, 2)
    target = endpoint.get("targetRef")
    if target:
        page.field("TargetRef", f"{target.get('kind', '')}/{target.get('name', '')}", 2)
    page.field("NodeName", endpoint.get("nodeName") or UNSET, 2)
    page.field("Zone", endpoint.get("zone") or UNSET, 2)
    zones = [hint["name"] for hint in (endpoint.get("hints") or {}).get("forZones") or ()]
    if zones:
        page.field("For Zones", ",".join(zones), 2)


def service_cidr(page: Page, obj: Object, client: Client) -> None:
    """The ranges of cluster IPs."""
    head(page, obj, namespace=False)
    marks(page, obj)
    page.field("CIDRs", ", ".join(obj.get("spec", {}).get("cidrs") or ()))
    found = obj.get("status", {}).get("conditions")
    if found:
        page.line("Status:")
        page.line("Conditions:")
        header = ("Type", "Status", "LastTransitionTime", "Reason", "Message")
        page.table(header, (_condition_row(page, condition) for condition in found))
    events(page, obj, client)


def _condition_row(page: Page, condition: Object) -> tuple[str, ...]:
    time = page.time(condition.get("lastTransitionTime"))
    return (
        condition["type"],
        condition["status"],
        time,
        condition.get("reason", ""),
        condition.get("message", ""),
    )
