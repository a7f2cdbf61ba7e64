"""Addresses and networks as the API server lets them in."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from testbed.kube.objects import ips


@pytest.mark.parametrize("text", ["10.0.0.1", "fd00::1", "2001:DB8::1", "255.255.255.255"])
def test_address(text: str) -> None:
    assert ips.address_of(text) == ip_address(text)
    assert list(ips.ip("p", text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10.0.0",
        "10.0.0.256",
        "010.0.0.1",
        "::ffff:10.0.0.1",
        "fe80::1%eth0",
        "10.0.0.1/32",
        " 10.0.0.1",
        "1",
    ],
)
def test_no_address(text: str) -> None:
    assert ips.address_of(text) is None
    (error,) = ips.ip("p", text)
    assert "must be a valid IP address" in error.message


@pytest.mark.parametrize(("text", "version"), [("10.0.0.1", 6), ("fd00::1", 4)])
def test_address_of_the_other_version(text: str, version: int) -> None:
    (error,) = ips.ip("p", text, version)
    assert f"must be a valid IPv{version} address" in error.message


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("127.1.2.3", "loopback"),
        ("::1", "loopback"),
        ("169.254.0.1", "link-local"),
        ("fe80::1", "link-local"),
        ("224.0.0.1", "multicast"),
        ("239.1.1.1", "multicast"),
        ("ff02::1", "multicast"),
    ],
)
def test_address_that_is_nobodys(text: str, why: str) -> None:
    (error,) = ips.ordinary_ip("p", text)
    assert why in error.message


@pytest.mark.parametrize("text", ["10.0.0.0/8", "fd00::/8", "0.0.0.0/0", "10.0.0.1/32"])
def test_network(text: str) -> None:
    assert ips.network_of(text) == ip_network(text)
    assert list(ips.cidr("p", text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "10.0.0.0",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0.0/255.0.0.0",
        "10.0.0.0/+8",
        "fe80::%a/64",
        "x/8",
    ],
)
def test_no_network(text: str) -> None:
    assert ips.network_of(text) is None
    (error,) = ips.cidr("p", text)
    assert "must be a valid CIDR value" in error.message
