"""From a case's names to addresses."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.errors import UsageError
from tests.net.case import Destination, Expect, Host, Outcome, Packet
from tests.net.targets import Directory, Target, documents, filled

WEB: dict[str, Any] = {
    "spec": {
        "clusterIPs": ["10.96.0.7", "fd00:10:96::7"],
        "healthCheckNodePort": 31000,
        "externalIPs": ["198.51.100.200"],
        "ports": [
            {"name": "http", "port": 80, "nodePort": 30080, "protocol": "TCP"},
            {"name": "query", "port": 80, "nodePort": 30081, "protocol": "UDP"},
            {"name": "admin", "port": 9000, "nodePort": 30082, "protocol": "TCP"},
        ],
    },
    "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.1", "ipMode": "VIP"}]}},
}
ADDRESSES = {
    "node/node1": ["192.168.0.1", "192.168.0.200", "fd00:10:192::1"],
    "node/node2": ["192.168.0.2", "fd00:10:192::2"],
    "client/client1": ["203.0.113.1"],
    "pod/web-1": ["10.244.0.2", "fd00:10:244::2"],
    "pod/host-1": ["192.168.0.1", "192.168.0.200", "fd00:10:192::1"],
}
LAB = Directory(ADDRESSES, {"web": WEB})


def packet(to: Destination, protocol: str = "TCP", family: str = "IPv4") -> Packet:
    return Packet(Host("client", "client1"), to, protocol, family, 1, Expect(Outcome.REFUSED))


@pytest.mark.parametrize(
    ("to", "protocol", "family", "target"),
    [
        (Destination("service", "web", "http"), "TCP", "IPv4", Target("10.96.0.7", 80)),
        (Destination("service", "web", "9000"), "TCP", "IPv6", Target("fd00:10:96::7", 9000)),
        (Destination("service", "web"), "UDP", "IPv4", Target("10.96.0.7", 80)),
        (Destination("service", "web", "80", "node2"), "TCP", "IPv4", Target("10.96.0.7", 80, "192.168.0.2")),
        (Destination("nodePort", "web", "admin", "node2"), "TCP", "IPv6", Target("fd00:10:192::2", 30082)),
        (
            Destination("nodePort", "web", "http", "node1", "/secondary"),
            "TCP",
            "IPv4",
            Target("192.168.0.200", 30080),
        ),
        (Destination("nodePort", "web", "http", "localhost"), "TCP", "IPv4", Target("127.0.0.1", 30080)),
        (Destination("nodePort", "web", "http", "localhost"), "TCP", "IPv6", Target("::1", 30080)),
        (Destination("healthCheck", "web", "", "node2"), "TCP", "IPv4", Target("192.168.0.2", 31000)),
        (
            Destination("loadBalancer", "web", "http", "node1"),
            "TCP",
            "IPv4",
            Target("198.51.100.1", 80, "192.168.0.1"),
        ),
        (Destination("externalIP", "web"), "UDP", "IPv4", Target("198.51.100.200", 80)),
        (Destination("pod", "web-1", "8080"), "TCP", "IPv6", Target("fd00:10:244::2", 8080)),
        (Destination("node", "node1", "30080"), "UDP", "IPv4", Target("192.168.0.1", 30080)),
    ],
)
def test_where_a_packet_goes(to: Destination, protocol: str, family: str, target: Target) -> None:
    assert LAB.target(packet(to, protocol, family)) == target


@pytest.mark.parametrize(
    ("to", "family", "message"),
    [
        (Destination("service", "shop"), "IPv4", "no such Service"),
        (Destination("service", "web"), "IPv4", "2 service ports for TCP"),
        (Destination("service", "web", "ftp"), "IPv4", "0 service ports for TCP"),
        (Destination("loadBalancer", "web", "http"), "IPv6", "loadBalancer/web:http has no IPv6 address"),
        (Destination("nodePort", "web", "http", "node2", "/secondary"), "IPv4", "no second IPv4 address"),
        (Destination("pod", "web-9", "80"), "IPv4", "pod/web-9 has no IPv4 address"),
    ],
)
def test_what_is_not_there(to: Destination, family: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        LAB.target(packet(to, family=family))


def test_who_has_an_address() -> None:
    owners = LAB.owners()
    assert owners["10.244.0.2"] == "pod/web-1"
    assert owners["fd00:10:192::2"] == "node/node2"
    assert owners["192.168.0.1"] == "node/node1"  # not pod/host-1, which lives in its network
    assert owners["203.0.113.1"] == "client/client1"


def test_documents_with_placeholders_wait() -> None:
    assert documents("a: 1\n---\nb: $(pod/web-1)\n---\n\n---\nc: 2\n") == (
        "a: 1\n\n---\n\nc: 2\n",
        "\nb: $(pod/web-1)\n",
    )


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$(pod/web-1)", "10.244.0.2"),
        ("$(pod/web-1:IPv6)/128", "fd00:10:244::2/128"),
        ("$(client/client1)/32", "203.0.113.1/32"),
        ("$(HOME)", "$(HOME)"),
    ],
)
def test_placeholders(text: str, result: str) -> None:
    assert filled(text, LAB) == result


def test_a_placeholder_for_nobody() -> None:
    with pytest.raises(UsageError, match="pod/web-9 has no IPv4 address"):
        filled("$(pod/web-9)", LAB)
