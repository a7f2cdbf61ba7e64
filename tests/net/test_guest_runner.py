"""The runner of cases that guests use, as a plain process: what it tells, and what becomes of one that dies."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.errors import TestbedError
from tests.net.arms import Arm
from tests.net.guest import RUNNER, Guests, Runner
from tests.require import require

ARM = Arm("iptables", "iptables-nft", {"variant": "nft"})
UNUSED = """
title: A port of a node that nobody listens on refuses
packets:
- {from: client/client1, to: "node/node1:9", expect: {OUTCOME: true}}
"""
DIES = "import sys; print('Kernel panic - not syncing', file=sys.stderr); sys.exit(3)"


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    """One process for several cases."""
    require(ARM.feature)
    made = Runner(RUNNER)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("outcome", "told"), [("refused", ""), ("dropped", "expected to be dropped, but 1 of 1: refused")]
)
def test_what_is_wrong_is_told(runner: Runner, outcome: str, told: str) -> None:
    found = runner.told(Path("x.yaml"), UNUSED.replace("OUTCOME", outcome), ARM)
    assert (told in found) if told else found == ""


def test_what_cannot_be_judged_is_an_error_and_the_next_case_goes_on(runner: Runner) -> None:
    with pytest.raises(TestbedError, match='ManifestErrors: x.yaml:1: "packets"'):
        runner.told(Path("x.yaml"), "title: A case without packets\n", ARM)
    assert runner.told(Path("x.yaml"), UNUSED.replace("OUTCOME", "refused"), ARM) == ""


def test_one_that_dies_tells_its_last_words_and_the_next_case_gets_another() -> None:
    booted = []

    @contextlib.contextmanager
    def boot(kernel: str) -> Iterator[list[str]]:
        booted.append(kernel)
        yield [sys.executable, "-c", DIES]

    guests = Guests(boot)
    for _ in range(2):
        with pytest.raises(TestbedError, match="status 3\nKernel panic"):
            guests.told(Path("x.yaml"), UNUSED, ARM)
    guests.close()
    assert booted == ["native", "native"]
