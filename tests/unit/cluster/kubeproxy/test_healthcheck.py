"""healthCheckNodePort: what is served where, and what it says (kube-proxy's TestServer and its kin)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from testbed.cluster.kubeproxy.fake import FakeSockets
from testbed.cluster.kubeproxy.healthcheck import HealthChecks, addresses, answer
from testbed.proxier.plan import Family
from testbed.proxier.proxier import Settings
from tests.unit.cluster.kubeproxy.plans import Node, Object
from tests.unit.proxier.objects import FACTS, NODE, endpoint, endpoint_slice, port, service

ANY, PORT = "0.0.0.0", 30914
HERE, THERE = "10.244.0.5", "10.244.1.5"


def local(name: str = "web", number: int = PORT, **spec: Any) -> Object:
    """A Service that is asked for on `number`."""
    ports = [port(80, "http", node_port=30080), port(443, "https", node_port=30443)]
    policy: Object = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": number}
    return service(name, ports, **{**policy, **spec})


def endpoints(*items: Object, of: str = "web") -> Object:
    ports = [
        {"name": name, "port": number, "protocol": "TCP"}
        for name, number in (("http", 8080), ("https", 8443))
    ]
    return endpoint_slice(items, of, ports=ports)


class Proxy:
    """A node's plan and the servers that follow it."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.node, self.sockets, self.healthy = Node(settings), FakeSockets(), True
        self.checks = HealthChecks(self.sockets.listen, lambda: self.healthy)

    def put(self, *objects: Object) -> None:
        self.checks.update(*self.node.put(*objects))

    def drop(self, *objects: Object) -> None:
        self.checks.update(*self.node.drop(*objects))

    def count(self, number: int = PORT) -> tuple[int, str]:
        """Status and weight."""
        told = self.sockets.get(ANY, number)
        return told.status, told.headers["X-Load-Balancing-Endpoint-Weight"]


@pytest.fixture
def proxy() -> Proxy:
    return Proxy()


COUNTED = [
    pytest.param([endpoint(HERE, NODE)], 1, id="one here"),
    pytest.param([endpoint(HERE, NODE), endpoint("10.244.0.6", NODE)], 2, id="two here"),
    pytest.param([endpoint(HERE, NODE), endpoint(THERE)], 1, id="one here, one elsewhere"),
    pytest.param([endpoint(THERE)], 0, id="one elsewhere"),
    pytest.param([], 0, id="none"),
    pytest.param([endpoint(HERE, NODE, ready=False)], 0, id="unready"),
    pytest.param([endpoint(HERE, NODE, ready=False, serving=True, terminating=True)], 0, id="terminating"),
    pytest.param([endpoint(HERE, None)], 0, id="without a node"),
]


@pytest.mark.parametrize(("items", "count"), COUNTED)
def test_ready_pods_of_this_node_count_once_each(proxy: Proxy, items: list[Object], count: int) -> None:
    proxy.put(local(), endpoints(*items))
    assert proxy.count() == (200 if count else 503, str(count))


def test_the_count_follows_the_endpoints(proxy: Proxy) -> None:
    proxy.put(local(), endpoints(endpoint(HERE, NODE)))
    proxy.put(endpoints(endpoint(THERE)))
    assert proxy.count() == (503, "0")


def test_an_unhealthy_proxy_is_not_to_be_trusted(proxy: Proxy) -> None:
    proxy.put(local(), endpoints(endpoint(HERE, NODE)))
    proxy.healthy = False
    assert proxy.count() == (503, "1")


NOT_SERVED = [
    pytest.param({"externalTrafficPolicy": "Cluster"}, id="policy Cluster"),
    pytest.param({"type": "NodePort"}, id="type NodePort"),
    pytest.param({"type": "ClusterIP"}, id="type ClusterIP"),
    pytest.param({"healthCheckNodePort": 0}, id="no port"),
]


@pytest.mark.parametrize("spec", NOT_SERVED)
def test_only_a_load_balancer_with_policy_local_is_asked_for(proxy: Proxy, spec: Object) -> None:
    proxy.put(local(**spec), endpoints(endpoint(HERE, NODE)))
    assert proxy.sockets.open == {}


@pytest.mark.parametrize("spec", NOT_SERVED)
def test_what_is_not_asked_for_any_more_is_closed(proxy: Proxy, spec: Object) -> None:
    proxy.put(local(), endpoints(endpoint(HERE, NODE)))
    proxy.put(local(**spec))
    assert proxy.sockets.open == {}


def test_a_deleted_service_is_closed(proxy: Proxy) -> None:
    proxy.put(local())
    proxy.drop(local())
    assert proxy.sockets.open == {}


def test_a_new_port_takes_the_place_of_the_old_one(proxy: Proxy) -> None:
    proxy.put(local())
    proxy.put(local(number=30915))
    assert list(proxy.sockets.open) == [(ANY, 30915)]


def test_services_have_servers_of_their_own(proxy: Proxy) -> None:
    proxy.put(local("a"), local("b", 30915, clusterIP="10.96.0.11"), endpoints(endpoint(HERE, NODE), of="b"))
    assert (proxy.count(PORT), proxy.count(30915)) == ((503, "0"), (200, "1"))


def test_a_full_pass_closes_what_is_not_in_the_plan(proxy: Proxy) -> None:
    proxy.put(local())
    plan, _ = proxy.node.drop(local())
    proxy.checks.update(plan, None)
    assert proxy.sockets.open == {}


def test_a_port_that_is_taken_is_tried_again(proxy: Proxy) -> None:
    proxy.sockets.taken.add(PORT)
    proxy.put(local(), endpoints(endpoint(HERE, NODE)))
    assert proxy.sockets.open == {}
    proxy.sockets.taken.clear()
    proxy.put(service("another", clusterIP="10.96.0.11"))
    assert proxy.count() == (200, "1")


def test_it_moves_with_the_node_s_addresses(proxy: Proxy) -> None:
    plan, _ = proxy.node.put(local(), endpoints(endpoint(HERE, NODE)))
    ranges = (ip_network("192.168.0.0/24"),)
    places = []
    for address in ("192.168.0.1", "192.168.0.7"):
        facts = replace(plan.facts, addresses=(ip_address(address),), node_port_ranges=ranges)
        proxy.checks.update(replace(plan, facts=facts), None)
        places.append(list(proxy.sockets.open))
    assert places == [[("192.168.0.1", PORT)], [("192.168.0.7", PORT)]]


def test_each_family_has_a_server_of_its_own(proxy: Proxy) -> None:
    proxy.put(local(clusterIPs=["10.96.0.10", "fd00:10:96::a"]), endpoints(endpoint(HERE, NODE)))
    assert proxy.sockets.get("0.0.0.0", PORT).status == 200
    assert proxy.sockets.get("::", PORT).status == 503


def test_everything_is_closed_in_the_end(proxy: Proxy) -> None:
    proxy.put(local())
    proxy.checks.close()
    assert proxy.sockets.open == {}


RANGES = [
    pytest.param([], ["0.0.0.0"], id="nothing said"),
    pytest.param(["0.0.0.0/0"], ["0.0.0.0"], id="all of IPv4"),
    pytest.param(["192.168.0.0/24"], ["192.168.0.1"], id="the node's network"),
    pytest.param(["10.0.0.0/8"], [], id="another network"),
    pytest.param(["fd00:10:192::/64"], [], id="the other family only"),
]


@pytest.mark.parametrize(("ranges", "expected"), RANGES)
def test_servers_listen_where_node_ports_answer(ranges: list[str], expected: list[str]) -> None:
    facts = replace(FACTS, node_port_ranges=tuple(map(ip_network, ranges)))
    assert list(map(str, addresses(Family.IPV4, facts))) == expected


@pytest.mark.parametrize(
    ("name", "count", "length"), [("etp-local", 1, 120), ("etp-local-noep", 0, 125)], ids=["200", "503"]
)
def test_the_answer_is_as_long_as_the_real_kube_proxy_s(name: str, count: int, length: int) -> None:
    """Recorded from kube-proxy v1.36.2: Content-Length 120 and 125."""
    told = answer((Family.IPV4, "default", name), count, healthy=True)
    assert len(told.body) == length


def test_the_answer_word_for_word() -> None:
    told = answer((Family.IPV4, "default", "etp-local"), 1, healthy=True)
    assert told.body.decode() == (
        '{\n\t"service": {\n\t\t"namespace": "default",\n\t\t"name": "etp-local"\n\t},\n'
        '\t"localEndpoints": 1,\n\t"serviceProxyHealthy": true\n}'
    )
    assert (told.status, told.headers) == (
        200,
        {
            "Content-Type": "application/json",
            "X-Content-Type-Options": "nosniff",
            "X-Load-Balancing-Endpoint-Weight": "1",
        },
    )
