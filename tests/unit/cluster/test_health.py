"""A service thread that dies of a bug is noticed, and told to everyone who asks."""

from __future__ import annotations

import threading

import pytest

from testbed.cluster.health import Health
from testbed.errors import TestbedError


def death(error: BaseException) -> threading.ExceptHookArgs:
    """What Python hands to the hook when a thread ends with `error`."""
    thread = threading.Thread(name="kubelets")
    try:
        raise error
    except type(error) as caught:
        return threading.ExceptHookArgs((type(caught), caught, caught.__traceback__, thread))


def test_as_long_as_all_live_there_is_nothing_to_say() -> None:
    health = Health()
    health.check()
    assert health.failure == ""


def test_a_death_is_told_with_thread_place_and_reason() -> None:
    health = Health()
    health.thread_died(death(KeyError("podIP")))
    with pytest.raises(
        TestbedError, match=r"thread kubelets died of a bug at .*test_health.*: KeyError: 'podIP'"
    ):
        health.check()


def test_a_death_is_in_the_log_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    Health().thread_died(death(KeyError("podIP")))
    assert "Traceback (most recent call last)" in caplog.text


def test_the_first_death_is_the_cause() -> None:
    health = Health()
    health.thread_died(death(KeyError("first")))
    health.thread_died(death(KeyError("second")))
    assert "first" in health.failure


def test_a_thread_may_end_itself() -> None:
    health = Health()
    health.thread_died(death(SystemExit()))
    assert health.failure == ""
