"""More pods than fit: those that fit run, the others say why they do not, and nobody is hindered."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.net import manifests as m
from tests.net.command import Command, deployed

ROOM = 253  # pod addresses in a /24
LONGEST = "a" * 253


@pytest.fixture(scope="module")
def crowded() -> Iterator[Command]:
    """A node, and the pod with the longest name."""
    long = m.pod(LONGEST, command=["sleep", "infinity"])
    with deployed("crowded", manifests=m.text(m.cluster(), long)) as made:
        yield made


def test_the_longest_name_runs(crowded: Command) -> None:
    assert crowded.ok("exec", f"pod/{LONGEST}", "--", "hostname").strip() == "a" * 63


def test_those_that_fit_run_and_the_others_say_why(crowded: Command) -> None:
    bound = [m.pod(f"bound-{n}", spec={"nodeName": "node1"}) for n in range(ROOM)]
    done = crowded.run("apply", "-f", "-", "--wait", "--timeout", "5", stdin=m.text(*bound, m.pod("loose")))
    assert done.returncode == 1
    assert f"{ROOM} of {ROOM + 2} pods" in done.stderr
    assert "no free pod address left in 10.244.0.0/24" in done.stderr
    assert "pod default/loose: 0/1 nodes are available: 1 Too many pods." in done.stderr
