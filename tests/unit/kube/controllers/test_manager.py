"""The manager: one thread, failures that stay with the one that failed, and settling."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

import pytest

from testbed.errors import Conflict
from testbed.kube.controllers import Manager
from testbed.kube.store import Event, Store
from tests.unit.kube.api.builders import deployment, service
from tests.unit.kube.controllers.playground import Playground


class Watcher:
    """A controller that runs a function on every batch and keeps what it saw."""

    def __init__(self, act: Callable[[Store, Sequence[Event]], None] = lambda store, events: None) -> None:
        self.name, self.kinds = "watcher", ("Thing",)
        self.seen: list[str] = []
        self.called = threading.Event()
        self._act = act

    def handle(self, store: Store, events: Sequence[Event]) -> None:
        self._act(store, events)
        self.seen += [event.object["metadata"]["name"] for event in events]
        self.called.set()


def thing(name: str) -> dict[str, object]:
    return {"kind": "Thing", "metadata": {"name": name}}


def failing(times: int) -> Callable[[Store, Sequence[Event]], None]:
    left = iter(range(times))

    def act(store: Store, events: Sequence[Event]) -> None:
        if next(left, None) is not None:
            raise Conflict("somebody else was faster")

    return act


def test_settles_without_a_thread() -> None:
    store, watcher = Store(), Watcher()
    manager = Manager(store, [watcher])
    store.create(thing("a"))
    assert manager.settle(5)
    assert watcher.seen == ["a"]


def test_what_is_there_before_comes_first() -> None:
    store, watcher = Store(), Watcher()
    store.create(thing("a"))
    assert Manager(store, [watcher]).settle(5)
    assert watcher.seen == ["a"]


def test_settling_includes_what_follows() -> None:
    def grow(store: Store, events: Sequence[Event]) -> None:
        if len(store.list("Thing")) < 5:
            store.create(thing(f"n{len(store.list('Thing'))}"))

    store = Store()
    manager = Manager(store, [Watcher(grow), Watcher()])
    store.create(thing("n0"))
    assert manager.settle(5)
    assert len(store.list("Thing")) == 5


def test_what_never_rests_does_not_settle() -> None:
    def spin(store: Store, events: Sequence[Event]) -> None:
        store.mutate("Thing", "", "a", lambda old: {**old, "spec": old.get("spec", 0) + 1})

    store = Store()
    store.create(thing("a"))
    assert not Manager(store, [Watcher(spin)]).settle(0.05)


def test_failure_is_logged_and_tried_again_with_the_same_events(caplog: pytest.LogCaptureFixture) -> None:
    store, watcher = Store(), Watcher(failing(2))
    store.create(thing("a"))
    with caplog.at_level(logging.ERROR):
        assert Manager(store, [watcher]).settle(5)
    assert watcher.seen == ["a"]
    assert [record.getMessage() for record in caplog.records] == [
        "controller watcher failed and will try again"
    ] * 2


def test_failure_does_not_hold_up_the_others() -> None:
    store, other = Store(), Watcher()
    manager = Manager(store, [Watcher(failing(10**9)), other])
    store.create(thing("a"))
    assert not manager.settle(0.01)
    assert other.seen == ["a"]


def test_thread_works_as_events_come() -> None:
    store, watcher = Store(), Watcher()
    manager = Manager(store, [watcher])
    manager.start()
    try:
        for name in "abc":
            watcher.called.clear()
            store.create(thing(name))
            assert watcher.called.wait(10)
    finally:
        manager.stop()
    assert watcher.seen == ["a", "b", "c"]


def test_thread_tries_again_by_itself() -> None:
    store, watcher = Store(), Watcher(failing(1))
    manager = Manager(store, [watcher])
    manager.start()
    try:
        store.create(thing("a"))
        assert watcher.called.wait(10)
    finally:
        manager.stop()


def test_settle_waits_for_the_thread() -> None:
    store, watcher = Store(), Watcher()
    manager = Manager(store, [watcher])
    manager.start()
    try:
        for number in range(50):
            store.create(thing(f"n{number:02}"))
        assert manager.settle(10)
        assert len(watcher.seen) == 50
    finally:
        manager.stop()


def test_stopped_manager_hears_nothing() -> None:
    store, watcher = Store(), Watcher()
    manager = Manager(store, [watcher])
    manager.start()
    manager.stop()
    store.create(thing("a"))
    assert manager.settle(5)
    assert watcher.seen == []


def test_controllers_write_in_one_piece() -> None:
    def two(store: Store, events: Sequence[Event]) -> None:
        if len(store.list("Thing")) == 1:
            store.create(thing("b"))
            assert outside.drain() == []
            store.create(thing("c"))

    store = Store()
    outside = store.watch(["Thing"], initial=False)
    manager = Manager(store, [Watcher(two)])
    store.create(thing("a"))
    outside.drain()
    assert manager.settle(5)
    assert len(outside.drain()) == 2


def test_all_controllers_in_their_thread() -> None:
    """From an apply in one thread to ready endpoints, with the kubelet's word in between."""
    play = Playground()
    play.manager.start()
    try:
        play.registry.apply([service(), deployment(replicas=20)])
        play.settle()
        play.all_ready()
        assert len(play.endpoints()) == 20
        assert all(endpoint["conditions"]["ready"] for endpoint in play.endpoints().values())
    finally:
        play.manager.stop()
