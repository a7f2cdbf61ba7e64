"""The collector is off inside, and on again when the last one is out, whatever happened."""

from __future__ import annotations

import gc

import pytest

from testbed.errors import TestbedError
from testbed.machine import collecting


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
