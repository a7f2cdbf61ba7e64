"""A Mininet that starts nothing: hosts and links come and go in its views, and no process is made for them."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from testbed.cluster.lean import LeanNet


@pytest.fixture
def net() -> LeanNet:
    made = LeanNet()
    made.addSwitch("s1")
    made.plug("node1", "eth0", "s1", "s1-node1", "192.168.0.1/24")
    made.plug("default_web", "eth0", "node1", "veth01", "10.244.0.2/32")
    return made


def test_hosts_are_found_by_name(net: LeanNet) -> None:
    assert [host.name for host in net.hosts] == ["node1", "default_web"]
    assert net["default_web"].netns.name == "default_web"


def test_no_shell_is_started(net: LeanNet) -> None:
    assert [net[name].shell for name in ("s1", "node1", "default_web")] == [None] * 3
    assert Path("/proc/thread-self/children").read_text() == ""


def test_addresses_are_known_without_asking(net: LeanNet) -> None:
    assert (net["node1"].IP(), net["default_web"].IP()) == ("192.168.0.1", "10.244.0.2")


def test_links_have_their_devices(net: LeanNet) -> None:
    assert [(str(link.intf1), str(link.intf2)) for link in net.links] == [
        ("eth0", "s1-node1"),
        ("eth0", "veth01"),
    ]


def test_unplugged_it_is_gone_from_both_ends(net: LeanNet) -> None:
    net.unplug("default_web")
    assert [host.name for host in net.hosts] == ["node1"]
    assert len(net.links) == 1
    assert net["node1"].intfNames() == ["eth0"]


def test_a_name_may_come_again(net: LeanNet) -> None:
    net.unplug("default_web")
    net.plug("default_web", "eth0", "node1", "veth01", "10.244.0.3/32")
    assert net["default_web"].IP() == "10.244.0.3"


def test_many_hosts_on_one_node(net: LeanNet) -> None:
    for number in range(300):
        net.plug(f"default_p{number}", "eth0", "node1", f"veth-{number}", "10.244.0.9/32")
    for number in range(300):
        net.unplug(f"default_p{number}")
    assert len(net.hosts) == 2


def test_loggers_stay_what_they_are() -> None:
    """Mininet would make every logger one that writes its lines a second time, without an end."""
    assert logging.getLoggerClass() is logging.Logger
