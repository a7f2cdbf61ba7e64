"""What the section `conntrack` of a Cluster document sets on a node."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.cluster.sysctls import conntrack_sysctls

DEFAULTS = {
    "nf_conntrack_tcp_timeout_established": "86400",
    "nf_conntrack_tcp_timeout_close_wait": "3600",
}


@pytest.mark.parametrize(
    ("fields", "more"),
    [
        ({}, {}),
        ({"tcpCloseWaitTimeout": "1m30s"}, {"nf_conntrack_tcp_timeout_close_wait": "90"}),
        ({"udpTimeout": "10s"}, {"nf_conntrack_udp_timeout": "10"}),
        ({"udpStreamTimeout": "2m"}, {"nf_conntrack_udp_timeout_stream": "120"}),
        ({"tcpBeLiberal": True}, {"nf_conntrack_tcp_be_liberal": "1"}),
        ({"tcpBeLiberal": False, "maxPerCore": 1, "min": 2}, {}),
    ],
)
def test_what_is_set(fields: dict[str, Any], more: dict[str, str]) -> None:
    assert dict(conntrack_sysctls(fields)) == DEFAULTS | more


def test_nothing_is_left_to_the_kernel_by_0() -> None:
    assert dict(conntrack_sysctls(dict.fromkeys(("tcpEstablishedTimeout", "tcpCloseWaitTimeout"), "0"))) == {}
