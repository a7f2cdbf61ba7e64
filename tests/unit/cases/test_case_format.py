"""The format of a case: what a file becomes, and what is said of a bad one."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.errors import ManifestErrors
from tests.net.case import Case, Destination, Host, Outcome, Step
from tests.net.case_file import default_count, parse

HEAD = "title: something that is shown\n"


def case_of(rows: str, extra: str = "") -> Case:
    return parse(f"{HEAD}{extra}packets:\n{rows}\n", Path("x.yaml"))


def test_lists_become_one_packet_for_each_combination() -> None:
    case = case_of(
        "- {from: [node/node1, node/node2], to: service/web, protocol: [TCP, UDP], expect: {refused: true}}"
    )
    packets = [str(packet) for packet in case.steps[0].packets]
    assert len(packets) == 8
    assert packets[0] == "node/node1 -> service/web TCP IPv4"
    assert packets[-1] == "node/node2 -> service/web UDP IPv6"


@pytest.mark.parametrize(
    ("text", "destination"),
    [
        ("service/web", Destination("service", "web")),
        ("service/web:http", Destination("service", "web", "http")),
        ("nodePort/web@node2", Destination("nodePort", "web", "", "node2")),
        ("nodePort/web:8080@node2", Destination("nodePort", "web", "8080", "node2")),
        ("nodePort/web:8080@localhost", Destination("nodePort", "web", "8080", "localhost")),
        ("healthCheck/web@node2", Destination("healthCheck", "web", "", "node2")),
        ("loadBalancer/web:http", Destination("loadBalancer", "web", "http")),
        ("externalIP/web", Destination("externalIP", "web")),
        ("address/10.96.0.7:80", Destination("address", "10.96.0.7", "80")),
        ("pod/web-1:8080", Destination("pod", "web-1", "8080")),
        ("node/node1:30080", Destination("node", "node1", "30080")),
    ],
)
def test_destinations(text: str, destination: Destination) -> None:
    case = case_of(f'- {{from: node/a, to: "{text}", family: IPv4, expect: {{refused: true}}}}')
    assert case.steps[0].packets[0].destination == destination
    assert str(destination) == text


@pytest.mark.parametrize(
    ("expect", "outcome", "endpoints"),
    [
        ("{refused: true}", Outcome.REFUSED, ()),
        ("{dropped: true}", Outcome.DROPPED, ()),
        ("{endpoints: [pod/b, pod/a]}", Outcome.ANSWERED, ("pod/a", "pod/b")),
    ],
)
def test_outcomes(expect: str, outcome: Outcome, endpoints: tuple[str, ...]) -> None:
    case = case_of(f"- {{from: pod/a, to: service/web, expect: {expect}}}")
    found = case.steps[0].packets[0].expect
    assert (found.outcome, found.endpoints) == (outcome, endpoints)


@pytest.mark.parametrize("endpoints", [2, 3, 5, 10])
def test_the_default_count_finds_every_endpoint(endpoints: int) -> None:
    missed = endpoints * (1 - 1 / endpoints) ** default_count(endpoints)
    assert missed <= 1e-7


def test_one_packet_is_enough_for_one_endpoint() -> None:
    assert default_count(1) == 1


def test_steps_follow_one_another() -> None:
    rows = "- {from: pod/a, to: service/web, expect: {refused: true}}"
    later = f"then:\n- delete: [service/web]\n  packets:\n  {rows}\n"
    case = case_of(rows, later)
    assert [step.delete for step in case.steps] == [(), ("service/web",)]


def test_what_a_step_can_do() -> None:
    rows = "- {from: pod/a, to: service/web, expect: {refused: true}}"
    does = "apply: x, rejected: already, lose: [node/node1], resync: [node/node2], unready: [pod/b], ended: [pod/c]"
    [_, step] = case_of(rows, f"then:\n- {{{does}, packets: [{rows[2:]}]}}\n").steps
    assert step == Step(
        "x", (), "already", ("node1",), ("node2",), ("pod/b",), ("pod/c",), case_of(rows).steps[0].packets
    )


def test_what_is_sent() -> None:
    case = case_of(
        "- {from: pod/a, to: service/web, family: IPv4, bytes: 9000, sourcePort: 4000, every: 1.5, count: 7,"
        " get: /healthz, expect: {status: 503, localEndpoints: 0}}"
    )
    [packet] = case.steps[0].packets
    assert (packet.size, packet.source_port, packet.every, packet.count) == (9000, 4000, 1.5, 7)
    assert (packet.path, packet.expect.status, packet.expect.local_endpoints) == ("/healthz", 503, 0)


def test_a_datapath_may_do_otherwise_by_design() -> None:
    case = case_of(
        "- {from: pod/a, to: service/web, family: IPv4, expect: {refused: true},"
        " unlike: {ipvs: {expect: {dropped: true}, because: so it says of itself}}}"
    )
    outcomes = {
        name: [packet.expect.outcome for step in case.under(name).steps for packet in step.packets]
        for name in ("iptables", "ipvs")
    }
    assert outcomes == {"iptables": [Outcome.REFUSED], "ipvs": [Outcome.DROPPED]}
    assert case.steps[0].packets[0].unlike["ipvs"].because == "so it says of itself"


@pytest.mark.parametrize(("said", "counts"), [("", (1, default_count(2))), ("count: 7, ", (7, 7))])
def test_as_many_are_sent_as_it_takes_to_see_what_is_expected(said: str, counts: tuple[int, int]) -> None:
    case = case_of(
        f"- {{from: pod/a, to: service/web, family: IPv4, {said}expect: {{refused: true}},"
        " unlike: {ipvs: {expect: {endpoints: [pod/b, pod/c]}, because: so it says of itself}}}"
    )
    told = [case.under(name).steps[0].packets[0].count for name in ("iptables", "ipvs")]
    assert tuple(told) == counts


@pytest.mark.parametrize(
    ("expect", "count", "endpoints"),
    [
        ("{counts: {pod/a: 6, pod/b: 0}}", 6, ("pod/a", "pod/b")),
        ("{endpoints: [pod/a, pod/b], ranks: [5, 3]}", 8, ("pod/a", "pod/b")),
    ],
)
def test_counts_say_how_often(expect: str, count: int, endpoints: tuple[str, ...]) -> None:
    packet = case_of(f"- {{from: pod/c, to: service/web, expect: {expect}}}").steps[0].packets[0]
    assert (packet.count, packet.expect.endpoints) == (count, endpoints)


def test_what_a_scheduler_is_asked() -> None:
    case = case_of(
        "- {from: client/a, to: [service/b@node1, service/c@node1], family: IPv4, sources: 9, name: first,"
        " count: 18, expect: {endpoints: [pod/a], sticks: source}}\n"
        "- {from: pod/a, to: service/b, family: IPv4, hold: true,"
        " expect: {endpoints: [pod/a], moved: {since: first, most: 0.1}}}"
    )
    first, second, third = case.steps[0].packets
    assert (first.sources, first.row, second.row, third.row) == (9, 0, 0, 1)
    assert (first.name, first.expect.sticks, str(second.destination)) == (
        "first",
        "source",
        "service/c@node1",
    )
    assert (third.hold, third.expect.since, third.expect.moved) == (True, "first", 0.1)


def test_second_addresses() -> None:
    rows = "- {from: client/a, to: nodePort/web@node1/secondary, expect: {refused: true}}"
    case = case_of(rows, "secondary: [node/node1]\n")
    assert case.secondary == (Host("node", "node1"),)
    assert case.steps[0].packets[0].destination == Destination("nodePort", "web", "", "node1", "/secondary")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("should do what it says", ("should do what it says",)),
        ("[should do this, should do that]", ("should do this", "should do that")),
    ],
)
def test_the_end_to_end_tests_it_stands_for(text: str, names: tuple[str, ...]) -> None:
    assert case_of("- {from: pod/a, to: service/web, expect: {refused: true}}", f"e2e: {text}\n").e2e == names


ROW = "- {from: pod/a, to: %s, expect: %s}"


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (ROW % ("service", "{refused: true}"), "x.yaml:3: packets[0].to: 'service' is no destination"),
        (ROW % ("nodePort/web", "{refused: true}"), "a node port is somewhere: add @NODE"),
        (ROW % ("service/web@node1", "{refused: true}"), "@NODE is for clients outside"),
        (ROW % ("pod/web-1", "{refused: true}"), "a plain address is KIND/NAME:NUMBER"),
        (ROW % ("service/web", "{refused: true, dropped: true}"), "packets[0].expect"),
        (ROW % ("service/web", "{}"), "packets[0].expect"),
        (ROW % ("service/web", "{refused: true, spread: even}"), "packets[0].expect"),
        (ROW % ("service/web", "{endpoints: [web-1]}"), "packets[0].expect.endpoints[0]"),
        (
            "- {from: client/client1, to: service/web, expect: {refused: true}}",
            "a client sends by way of a node",
        ),
        ("- {from: a, to: service/web, expect: {refused: true}}", "packets[0].from"),
        ("- {from: pod/a, to: service/web, protocol: IGMP, expect: {refused: true}}", "packets[0].protocol"),
        (
            "- {from: pod/a, to: service/web, protocol: ICMP, expect: {endpoints: [pod/b]}}",
            "x.yaml:3: packets[0].expect: an echo request is answered, refused, dropped or",
        ),
        (ROW % ("service/web", "{answered: true}"), "`answered` is for protocol ICMP"),
        (ROW % ("service/web", "{endpoints: [pod/a], within: 1}"), "`within` is about `counts` or `ranks`"),
        (
            ROW % ("service/web", "{endpoints: [pod/a], moved: {since: first, most: 0.1}}"),
            "no row before has `name: first`",
        ),
        (ROW % ("service/web", "{counts: {web-1: 3}}"), "packets[0].expect"),
        (
            "- {from: pod/a, to: service/web, protocol: UDP, hold: true, expect: {refused: true}}",
            "packets[0].hold: only TCP",
        ),
        (
            "- {from: pod/a, to: service/web, sources: 9, expect: {refused: true}}",
            "packets[0].sources: only a client",
        ),
        (ROW % ('"address/10.0.0.1:80"', "{refused: true}"), "say `family: IPv4`, and ADDRESS:NUMBER"),
        (ROW % ("[service/web, servce/b]", "{refused: true}"), "'servce/b' is no destination"),
        (ROW % ("service/web", "{refused: true}, unlike: {ipvs: {expect: {dropped: true}}}"), "because"),
        (
            ROW
            % ("service/web", "{refused: true}, unlike: {ipvs: {expect: {}, because: it is so by design}}"),
            "packets[0].unlike.ipvs.expect",
        ),
        ("- {from: pod/a, to: service/web, exqect: {refused: true}}", "exqect"),
        (ROW % ("nodePort/web@node1/secondary", "{refused: true}"), "add `secondary: [node/node1]`"),
        (ROW % ("nodePort/web@localhost", "{refused: true}"), "only a node has node ports on its loopback"),
        (ROW % ("healthCheck/web", "{status: 200}"), "a node port is somewhere: add @NODE"),
        (ROW % ("service/web", "{refused: true, localEndpoints: 1}"), "packets[0].expect"),
        (ROW % ("service/web", "{endpoints: [pod/a], affinity: lost}"), "packets[0].expect.affinity"),
        ("- [", "x.yaml:4: not YAML"),
    ],
)
def test_a_bad_case_is_told(rows: str, told: str) -> None:
    with pytest.raises(ManifestErrors) as error:
        case_of(rows)
    assert told in str(error.value)


def test_every_mistake_at_once() -> None:
    rows = "\n".join([ROW % ("nowhere", "{refused: true}"), ROW % ("nodePort/web", "{refused: true}")])
    with pytest.raises(ManifestErrors) as error:
        case_of(rows, "cast: [strangers]\n")
    assert [mistake.path for mistake in error.value.mistakes] == ["cast[0]", "packets[0].to", "packets[1].to"]
    assert [mistake.line for mistake in error.value.mistakes] == [2, 4, 5]
