"""The collector is off inside, and on again when the last one is out, whatever happened."""

from __future__ import annotations

import gc
import sys

import pytest

from testbed.errors import TestbedError
from testbed.machine import collecting
from testbed.machine.run import run


def test_it_is_off_inside_and_on_again_after_the_last() -> None:
    with collecting.paused():
        with collecting.paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_an_error_turns_it_on_again() -> None:
    with pytest.raises(TestbedError), collecting.paused():
        raise TestbedError("no")
    assert gc.isenabled()


def test_what_is_there_already_is_not_looked_at_again() -> None:
    script = (
        "import gc; from testbed.machine.collecting import rarely; rarely(); print(gc.get_freeze_count() > 0)"
    )
    assert run([sys.executable, "-c", script]).stdout == "True\n"
