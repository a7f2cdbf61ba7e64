"""Small sets of objects whose rendered rules are kept as golden files, for every datapath there is."""

from __future__ import annotations

from ipaddress import ip_network

from testbed.proxier.plan import NodePlan
from testbed.proxier.proxier import Settings, node_plan
from tests.unit.proxier.objects import FACTS, NODE, Object, endpoint, endpoint_slice, port, service

HERE, THERE = endpoint("10.244.0.5", NODE), endpoint("10.244.1.5")
BOTH = endpoint_slice([HERE, THERE])
NODE_PORT = [port(node_port=30080)]
LOAD_BALANCER = {"type": "LoadBalancer", "ports": NODE_PORT, "ingress": [{"ip": "198.51.100.1"}]}
TERMINATING = endpoint("10.244.0.5", NODE, ready=False, serving=True, terminating=True)
GONE = endpoint("10.244.1.5", ready=False, serving=False, terminating=True)
ASSOC = [port(3868, "assoc", "SCTP", 30868)]
ASSOC_SLICE_PORTS = [{"name": "assoc", "port": 3868, "protocol": "SCTP"}]
HINTED = [
    {**HERE, "hints": {"forNodes": [{"name": NODE}]}},
    {**THERE, "hints": {"forNodes": [{"name": "node2"}]}},
]
DNS_PORTS = [port(53, "dns", "UDP"), port(53, "dns-tcp")]
DNS_SLICE_PORTS = [
    {"name": "dns", "port": 5353, "protocol": "UDP"},
    {"name": "dns-tcp", "port": 5353, "protocol": "TCP"},
]

CASES: dict[str, tuple[Settings, list[Object]]] = {
    "nothing": (Settings(), []),
    "cluster-ip": (Settings(), [service(), BOTH]),
    "cluster-ip-masquerade-all": (Settings(masquerade_all=True), [service(), BOTH]),
    "no-endpoints": (Settings(), [service(**LOAD_BALANCER, externalIPs=["203.0.113.9"])]),
    "node-port": (Settings(), [service(type="NodePort", ports=NODE_PORT), BOTH]),
    "node-port-not-on-localhost": (
        Settings(localhost_node_ports=False),
        [service(type="NodePort", ports=NODE_PORT), BOTH],
    ),
    "external-policy-local": (
        Settings(),
        [service(**LOAD_BALANCER, externalTrafficPolicy="Local", healthCheckNodePort=31000), BOTH],
    ),
    "external-policy-local-none-here": (
        Settings(),
        [service(type="NodePort", ports=NODE_PORT, externalTrafficPolicy="Local"), endpoint_slice([THERE])],
    ),
    "internal-policy-local": (Settings(), [service(internalTrafficPolicy="Local"), BOTH]),
    "source-ranges": (
        Settings(),
        [service(**LOAD_BALANCER, loadBalancerSourceRanges=["203.0.113.0/25", "192.168.0.0/24"]), BOTH],
    ),
    "affinity": (Settings(), [service(sessionAffinity="ClientIP"), BOTH]),
    "udp-and-tcp": (
        Settings(),
        [service("dns", DNS_PORTS), endpoint_slice([HERE, THERE], "dns", ports=DNS_SLICE_PORTS)],
    ),
    "affinity-policy-local": (
        Settings(),
        [service(**LOAD_BALANCER, sessionAffinity="ClientIP", externalTrafficPolicy="Local"), BOTH],
    ),
    "both-policies-local": (
        Settings(),
        [
            service(
                type="NodePort", ports=NODE_PORT, internalTrafficPolicy="Local", externalTrafficPolicy="Local"
            ),
            BOTH,
        ],
    ),
    "external-ips": (
        Settings(),
        [service(externalIPs=["203.0.113.9", "203.0.113.10"], externalTrafficPolicy="Local"), BOTH],
    ),
    "local-by-bridge": (
        Settings(detect_local="BridgeInterface", interface="cni0"),
        [service(type="NodePort", ports=NODE_PORT, externalTrafficPolicy="Local"), BOTH],
    ),
    "local-by-device-prefix": (
        Settings(detect_local="InterfaceNamePrefix", interface="veth"),
        [service(type="NodePort", ports=NODE_PORT, externalTrafficPolicy="Local"), BOTH],
    ),
    "local-by-nothing": (
        Settings(detect_local="None"),
        [service(type="NodePort", ports=NODE_PORT, externalTrafficPolicy="Local"), BOTH],
    ),
    "node-hints": (Settings(), [service(), endpoint_slice(HINTED)]),
    "node-ports-in-a-range": (
        Settings(node_port_ranges=(ip_network("192.168.0.0/24"),)),
        [service(type="NodePort", ports=NODE_PORT), BOTH],
    ),
    "sctp": (
        Settings(),
        [
            service("assoc", ASSOC, type="NodePort"),
            endpoint_slice([HERE, THERE], "assoc", ports=ASSOC_SLICE_PORTS),
        ],
    ),
    "several-services": (
        Settings(),
        [
            service(type="NodePort", ports=NODE_PORT),
            BOTH,
            service("api", clusterIP="10.96.0.11"),
            endpoint_slice([THERE], "api"),
            service("none", clusterIP="10.96.0.12"),
        ],
    ),
    "terminating-fallback": (Settings(), [service(), endpoint_slice([TERMINATING, GONE])]),
    "dual-stack": (
        Settings(),
        [
            service(clusterIPs=["10.96.0.10", "fd00:10:96::a"], type="NodePort", ports=NODE_PORT),
            BOTH,
            endpoint_slice([endpoint("fd00:10:244:1::5")], name="web-2", family="IPv6"),
        ],
    ),
}


def plan(case: str) -> NodePlan:
    """The plan of a case."""
    settings, objects = CASES[case]
    kinds = {kind: [o for o in objects if o["kind"] == kind] for kind in ("Service", "EndpointSlice")}
    return node_plan(FACTS, settings, kinds["Service"], kinds["EndpointSlice"])
