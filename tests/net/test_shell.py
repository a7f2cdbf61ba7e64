"""`testbed shell`: Mininet's command line on a running instance; nothing is made, nothing removed."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.net import manifests as m
from tests.net.command import Command, deployed
from tests.net.persons import PERSONS
from tests.require import require

POD = re.compile(r"inet (\S+)/32 scope global eth0")


@pytest.fixture(scope="module", params=PERSONS)
def lab(request: pytest.FixtureRequest) -> Iterator[Command]:
    require("mininet", "ping")
    objects = m.text(m.cluster(nodes=2), *m.pods(2))
    with deployed("shell", request.param, objects) as made:
        yield made


def said(lab: Command, *commands: str) -> str:
    """What the shell answers to commands on its standard input."""
    return lab.ok("shell", stdin="\n".join(commands))


def test_nodes_are_all_hosts_and_the_switch(lab: Command) -> None:
    names = said(lab, "nodes").splitlines()[1].split()
    assert names == ["client1", "default_web-1", "default_web-2", "node1", "node2", "s1"]


def test_net_shows_every_link_from_both_ends(lab: Command) -> None:
    told = dict(line.split(maxsplit=1) for line in said(lab, "net").splitlines())
    assert told["client1"] == "eth0:s1-client1"
    assert told["s1"].split() == ["s1-node1:eth0", "s1-node2:eth0", "s1-client1:eth0"]
    first = re.fullmatch(r"eth0:(veth[0-9a-f]{8})", told["default_web-1"])
    assert first
    assert told["node1"] == f"eth0:s1-node1 {first[1]}:eth0"


def test_every_link_is_up(lab: Command) -> None:
    links = said(lab, "links").splitlines()
    assert len(links) == 5
    assert all(link.strip().endswith("(OK OK)") for link in links)


@pytest.mark.parametrize(
    ("expression", "address"),
    [
        ("node2", "192.168.0.2"),
        ("client1", "203.0.113.11"),
        ("default_web_1", "10.244.0.2"),
        ('net["default_web-2"]', "10.244.1.2"),
    ],
)
def test_mininet_knows_each_hosts_address(lab: Command, expression: str, address: str) -> None:
    assert said(lab, f"py {expression}.IP()").strip() == address


def test_dump_shows_addresses(lab: Command) -> None:
    assert "<LeanHost default_web-2: eth0:10.244.1.2 " in said(lab, "dump")


def test_a_command_runs_in_the_hosts_own_namespace(lab: Command) -> None:
    found = POD.findall(said(lab, "default_web-1 ip -4 address", "default_web-2 ip -4 address"))
    assert found == ["10.244.0.2", "10.244.1.2"]


@pytest.mark.parametrize("command", ["client1 ping -c1 node1", "node1 ping -c1 default_web-2"])
def test_names_stand_for_addresses(lab: Command, command: str) -> None:
    assert " 0% packet loss" in said(lab, command)


def test_pingall_loses_nothing(lab: Command) -> None:
    assert "*** Results: 0% dropped (20/20 received)" in said(lab, "pingall")


def test_an_unknown_command_is_named_and_the_next_one_runs(lab: Command) -> None:
    assert said(lab, "nonsense", "py 6 * 7").splitlines() == ["*** Unknown command: nonsense", "42"]


def test_exit_ends_it_whatever_follows(lab: Command) -> None:
    assert said(lab, "py 1", "exit", "py 2").split() == ["1"]


def test_a_command_does_not_eat_the_next_one(lab: Command) -> None:
    assert said(lab, "node1 cat /proc/sys/net/ipv4/ip_forward", "py 2").split() == ["1", "2"]


def test_it_leaves_everything_as_it_was(lab: Command) -> None:
    before = seen(lab)
    said(lab, "links", "pingall", "default_web-1 true")
    assert seen(lab) == before


def seen(lab: Command) -> tuple[str, ...]:
    """Devices, addresses and routes of a node and a pod, the namespaces, and the programs that run inside."""
    places = ("node1", "pod/web-1")
    shown = [
        lab.ok("exec", place, "--", "ip", *what) for place in places for what in (("-br", "link"), ("route",))
    ]
    programs = lab.ok("exec", "--sandbox", "--", "ps", "-eo", "args", "--sort", "pid")
    return (*shown, lab.ok("exec", "--sandbox", "--", "ip", "netns"), programs)
