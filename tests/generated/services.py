"""Generated Services, valid as an API server would store them: every type, family, policy and odd spelling."""

from __future__ import annotations

from random import Random

from tests.generated import addresses
from tests.generated.addresses import odd, odd_range
from tests.generated.scene import FAMILIES, Object

NAMES = ("a", "web", "db-0", "z" * 63)
NAMESPACES = ("default", "kube-system", "n" * 63)
PORTS = (("http", "TCP", 80), ("dns", "UDP", 53), ("dns-tcp", "TCP", 53), ("sig", "SCTP", 2905))
TYPES = ("ClusterIP", "ClusterIP", "NodePort", "LoadBalancer", "LoadBalancer", "ExternalName", "")
HIDING = ("service.kubernetes.io/headless", "service.kubernetes.io/service-proxy-name")
BY_FAMILY = (("IPv4",), ("IPv6",), ("IPv4", "IPv6"), ("IPv6", "IPv4"))


def service(rng: Random, number: int) -> Object:
    """A Service; equal numbers have equal names and addresses, so that a later one can replace an earlier."""
    families = rng.choice(BY_FAMILY)
    spec: Object = {
        "type": rng.choice(TYPES),
        "ports": _ports(rng, number),
        "ipFamilies": list(families),
        "selector": {"app": "x"},
    }
    _address(rng, number, spec)
    _policies(rng, spec)
    _external(rng, number, spec)
    _affinity(rng, spec)
    labels = {rng.choice(HIDING): rng.choice(("", "other"))} if rng.random() < 0.07 else {"app": "x"}
    namespace, name = identity(number)
    made = {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {"namespace": namespace, "name": name, "labels": labels},
        "spec": spec,
    }
    return made | ({"status": _status(rng, number, families)} if spec["type"] == "LoadBalancer" else {})


def identity(number: int) -> tuple[str, str]:
    """Namespace and name of the service with this number."""
    name = NAMES[number] if number < len(NAMES) else f"svc-{number}"
    return NAMESPACES[number % len(NAMESPACES)], name


def _ports(rng: Random, number: int) -> list[Object]:
    """One port with or without a name, or several with names: other numbers, other protocols, the same."""
    if rng.random() < 0.4:
        name, protocol, port = rng.choice(PORTS)
        only: Object = {"port": port, "targetPort": 8080}
        if rng.random() < 0.5:
            only["name"] = name
        if protocol != "TCP" or rng.random() < 0.7:  # TCP is the default
            only["protocol"] = protocol
        return [only]
    chosen = rng.sample(PORTS, rng.randint(2, 4))
    return [{"name": n, "protocol": protocol, "port": port} for n, protocol, port in chosen]


def _address(rng: Random, number: int, spec: Object) -> None:
    if spec["type"] == "ExternalName":
        spec["externalName"] = "db.example.org"
        if rng.random() < 0.5:
            return  # some keep the cluster IP of an earlier type
    if spec["type"] in ("ClusterIP", "") and rng.random() < 0.15:
        spec["clusterIP"] = rng.choice(("None", "None", ""))
        if rng.random() < 0.5:
            spec["clusterIPs"] = ["None"]
        return
    ips = [odd(rng, addresses.cluster_ip(family, number + 1)) for family in spec["ipFamilies"]]
    spec["clusterIP"] = ips[0]
    if len(ips) > 1 or rng.random() < 0.7:  # objects older than dual-stack have no list
        spec["clusterIPs"] = ips


def _policies(rng: Random, spec: Object) -> None:
    if rng.random() < 0.7:
        spec["internalTrafficPolicy"] = rng.choice(("Cluster", "Local", "Local"))
    if rng.random() < 0.8:
        spec["externalTrafficPolicy"] = rng.choice(("Cluster", "Local"))


def _external(rng: Random, number: int, spec: Object) -> None:
    if spec["type"] in ("NodePort", "LoadBalancer") and rng.random() < 0.85:
        for index, port in enumerate(spec["ports"]):
            port["nodePort"] = 30000 + 10 * number + index
    elif spec["type"] == "LoadBalancer":
        spec["allocateLoadBalancerNodePorts"] = False
    if spec["type"] == "LoadBalancer" and rng.random() < 0.8:
        spec["healthCheckNodePort"] = 31000 + number
    if rng.random() < 0.35:
        found = [
            addresses.external_ip(rng.choice(FAMILIES), number + 1 + n) for n in range(rng.randint(1, 3))
        ]
        if rng.random() < 0.2:
            found.append(addresses.ingress_ip("IPv4", number + 1))  # the load balancer's own, once more
        if rng.random() < 0.2:
            found.append(rng.choice(("", found[0])))
        spec["externalIPs"] = [odd(rng, ip) if ip else ip for ip in found]
    if spec["type"] == "LoadBalancer" and rng.random() < 0.6:
        spec["loadBalancerSourceRanges"] = _ranges(rng)


def _ranges(rng: Random) -> list[str]:
    families = rng.choice((FAMILIES, FAMILIES, FAMILIES[:1], FAMILIES[1:]))
    found = [odd_range(rng, rng.choice(addresses.SOURCE_RANGES[family])) for family in families]
    found += [
        odd_range(rng, rng.choice(addresses.SOURCE_RANGES[families[0]])) for _ in range(rng.randint(0, 2))
    ]
    return found


def _affinity(rng: Random, spec: Object) -> None:
    if rng.random() < 0.3:
        spec["sessionAffinity"] = "ClientIP"
        if rng.random() < 0.7:
            timeout = rng.choice((1, 600, 10800, 86400))
            spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": timeout}}
    elif rng.random() < 0.5:
        spec["sessionAffinity"] = "None"


def _status(rng: Random, number: int, families: tuple[str, ...]) -> Object:
    """What a cloud's controller writes: addresses or names, virtual or the balancer's own (KEP-1860)."""
    ingress: list[Object] = []
    for n in range(rng.choice((0, 1, 1, 2, 2, 3))):
        if rng.random() < 0.1:
            ingress.append({"hostname": "lb.example.org"})
            continue
        ip = odd(rng, addresses.ingress_ip(rng.choice(families + FAMILIES), number + 1 + 100 * (n % 2)))
        ingress.append(
            {"ip": ip}
            | ({"ipMode": rng.choice(("VIP", "VIP", "VIP", "Proxy"))} if rng.random() < 0.6 else {})
        )
    return {"loadBalancer": {"ingress": ingress} if ingress or rng.random() < 0.5 else {}}
