"""Watches: every change once, in order, with no gap after the objects that were there."""

from __future__ import annotations

import threading
from typing import Any

from testbed.kube.store import Event, EventType, Store

ADDED, MODIFIED, DELETED = EventType.ADDED, EventType.MODIFIED, EventType.DELETED


def thing(name: str = "a", kind: str = "Thing", **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name}, **fields}


def told(events: list[Event]) -> list[tuple[EventType, str]]:
    return [(event.type, event.object["metadata"]["name"]) for event in events]


def test_the_life_of_an_object() -> None:
    store = Store()
    with store.watch(["Thing"]) as watch:
        store.create(thing())
        store.update(thing(spec=1))
        store.delete("Thing", "", "a")
        assert told(watch.drain()) == [(ADDED, "a"), (MODIFIED, "a"), (DELETED, "a")]


def test_a_change_carries_the_object_before_and_after() -> None:
    store = Store()
    old = store.create(thing())
    with store.watch(["Thing"], initial=False) as watch:
        new = store.update(thing(spec=1))
        (event,) = watch.drain()
    assert event.old is old
    assert event.object is new


def test_existing_objects_come_first_by_kind_and_name() -> None:
    store = Store()
    for name, kind in (("z", "B"), ("y", "A"), ("x", "A")):
        store.create(thing(name, kind))
    with store.watch(["B", "A"]) as watch:
        store.create(thing("w", "A"))
        assert told(watch.drain()) == [(ADDED, "x"), (ADDED, "y"), (ADDED, "z"), (ADDED, "w")]


def test_without_initial_only_changes_come() -> None:
    store = Store()
    store.create(thing("a"))
    with store.watch(["Thing"], initial=False) as watch:
        store.create(thing("b"))
        assert told(watch.drain()) == [(ADDED, "b")]


def test_other_kinds_are_not_told() -> None:
    store = Store()
    with store.watch(["Thing"]) as watch:
        store.create(thing(kind="Other"))
        assert watch.drain() == []


def test_a_watch_made_inside_a_transaction_hears_everything_once() -> None:
    store = Store()
    with store.transaction():
        store.create(thing("a"))
        watch = store.watch(["Thing"])
        store.create(thing("b"))
    assert told(watch.drain()) == [(ADDED, "a"), (ADDED, "b")]


def test_drain_waits_for_the_first_event() -> None:
    store = Store()
    with store.watch(["Thing"]) as watch:
        writer = threading.Thread(target=store.create, args=(thing(),))
        writer.start()
        assert told(watch.drain(timeout=10)) == [(ADDED, "a")]
        writer.join()


def test_drain_gives_up_after_its_timeout() -> None:
    with Store().watch(["Thing"]) as watch:
        assert watch.drain(timeout=0.01) == []


def test_poke_wakes_a_waiting_drain() -> None:
    with Store().watch(["Thing"]) as watch:
        poker = threading.Thread(target=watch.poke)
        poker.start()
        assert watch.drain(timeout=10) == []
        poker.join()
        assert watch.drain() == []


def test_close_wakes_a_waiting_drain() -> None:
    watch = Store().watch(["Thing"])
    closer = threading.Thread(target=watch.close)
    closer.start()
    assert watch.drain(timeout=None) == []
    closer.join()
    assert watch.closed


def test_a_closed_watch_hears_nothing() -> None:
    store = Store()
    with store.watch(["Thing"]) as watch:
        pass
    store.create(thing())
    assert watch.drain() == []


def test_watches_opened_amid_writing_miss_and_repeat_nothing() -> None:
    store = Store()

    def write() -> None:
        for number in range(300):
            store.create(thing(f"n{number:03}"))

    writer = threading.Thread(target=write)
    writer.start()
    watches = [store.watch(["Thing"]) for _ in range(20)]
    writer.join()
    for watch in watches:
        versions = [int(event.object["metadata"]["resourceVersion"]) for event in watch.drain()]
        assert versions == list(range(1, 301))
