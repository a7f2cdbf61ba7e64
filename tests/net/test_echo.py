"""Echo requests against known answers: a host that answers, one that refuses, one that says nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.machine.netns import Netns
from tests.namespaces import fresh_namespace
from tests.net.echo import Ping, checksum

ADDRESS = {"iptables": "127.0.0.1", "ip6tables": "::1"}
REQUEST = {"iptables": ("icmp", "--icmp-type", "8"), "ip6tables": ("icmpv6", "--icmpv6-type", "128")}
REFUSAL = {"iptables": "icmp-port-unreachable", "ip6tables": "icmp6-port-unreachable"}
BOTH = pytest.mark.parametrize("tool", ADDRESS)
SECONDS = 20.0


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Netns]:
    """A namespace that can talk to itself."""
    with fresh_namespace(tmp_path, "host") as made:
        made.run(["ip", "link", "set", "lo", "up"])
        yield made


def outcome(place: Netns, tool: str, seconds: float = SECONDS) -> str:
    ping = Ping(place, ADDRESS[tool], seconds)
    try:
        return str((ping.wait(seconds) or {"outcome": "silent"})["outcome"])
    finally:
        ping.close()


def rule(place: Netns, tool: str, *verdict: str) -> None:
    """What becomes of requests that come in."""
    protocol, *kind = REQUEST[tool]
    place.run([tool, "-A", "INPUT", "-p", protocol, *kind, "-j", *verdict])


@BOTH
def test_a_host_answers(place: Netns, tool: str) -> None:
    assert outcome(place, tool) == "answered"


@BOTH
def test_a_refusal_is_told(place: Netns, tool: str) -> None:
    rule(place, tool, "REJECT", "--reject-with", REFUSAL[tool])
    assert outcome(place, tool) == "refused"


@BOTH
def test_silence_is_silence(place: Netns, tool: str) -> None:
    rule(place, tool, "DROP")
    assert outcome(place, tool, 0.1) == "silent"


@BOTH
def test_somebody_else_s_reply_is_none(place: Netns, tool: str) -> None:
    first, second = (Ping(place, ADDRESS[tool], SECONDS) for _ in range(2))
    answers = [first.wait(SECONDS), second.wait(SECONDS)]
    assert first.mark != second.mark
    assert [answer and answer["outcome"] for answer in answers] == ["answered"] * 2
    first.close()
    second.close()


def test_the_checksum_of_rfc_1071() -> None:
    """Its own example (section 3): the sum of these is ddf2."""
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2
