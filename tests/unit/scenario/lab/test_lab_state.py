"""What is kept with an instance."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from testbed.errors import UsageError
from testbed.machine.process import ProcessId
from testbed.machine.sandbox import Instance
from testbed.scenario.lab import state
from testbed.scenario.lab.state import State


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    """An instance whose folder is a test's own."""

    class Elsewhere(Instance):
        @property
        def folder(self) -> Path:
            return tmp_path

    me = ProcessId.of(os.getpid())
    return Elsewhere("one", me, me, 0.0)


def test_what_is_written_is_read_again(instance: Instance) -> None:
    kept = State("clusterip", {"chain": "KUBE-SVC-X"}, {"chain": 2}, {"chain": ["right"]})
    state.write(instance, kept)
    assert state.read(instance) == kept


def test_an_instance_that_is_no_lab(instance: Instance) -> None:
    with pytest.raises(UsageError, match="'one' was not started as a lab"):
        state.read(instance)


def test_what_has_passed_stays_so() -> None:
    kept = State("clusterip")
    kept.judged("chain", True, ["right"])
    assert kept.passed == {"chain": ["right"]}
    kept.judged("chain", False, ["no"])
    kept.judged("other", False, ["no"])
    assert kept.passed == {"chain": ["right"]}
