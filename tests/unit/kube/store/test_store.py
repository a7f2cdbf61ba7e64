"""The store: versions, conflicts, transactions."""

from __future__ import annotations

import datetime
import threading
from typing import Any

import pytest

from testbed.errors import Conflict, NotFound
from testbed.kube.store import EventType, Store


def thing(name: str = "a", namespace: str = "ns", kind: str = "Thing", **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace}, **fields}


def test_created_object_has_uid_version_and_time() -> None:
    moment = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.UTC)
    metadata = Store(lambda: moment).create(thing())["metadata"]
    assert metadata["resourceVersion"] == "1"
    assert metadata["creationTimestamp"] == "2026-01-02T03:04:05Z"
    assert len(metadata["uid"]) == 36


def test_given_object_is_not_changed() -> None:
    given = thing()
    Store().create(given)
    assert given == thing()


def test_one_counter_for_all_kinds() -> None:
    store = Store()
    versions = [store.create(thing(kind=kind))["metadata"]["resourceVersion"] for kind in ("A", "B", "C")]
    assert versions == ["1", "2", "3"]
    assert store.version == 3


def test_create_twice_conflicts() -> None:
    store = Store()
    store.create(thing())
    with pytest.raises(Conflict, match="Thing ns/a exists already"):
        store.create(thing())


def test_same_name_in_another_namespace_is_another_object() -> None:
    store = Store()
    first, second = store.create(thing()), store.create(thing(namespace="other"))
    assert first["metadata"]["uid"] != second["metadata"]["uid"]


def test_update_keeps_identity_and_raises_version() -> None:
    store = Store()
    old = store.create(thing())["metadata"]
    new = store.update(thing(spec=1))["metadata"]
    assert new["uid"] == old["uid"]
    assert new["creationTimestamp"] == old["creationTimestamp"]
    assert new["resourceVersion"] == "2"


def test_update_without_change_is_no_change() -> None:
    store = Store()
    old = store.create(thing(spec=1))
    with store.watch(["Thing"], initial=False) as watch:
        assert store.update(thing(spec=1)) is old
        assert watch.drain() == []
    assert store.version == 1


def test_update_of_a_stale_version_conflicts() -> None:
    store = Store()
    old = store.create(thing())
    store.update(thing(spec=1))
    with pytest.raises(Conflict, match="changed meanwhile"):
        store.update({**old, "spec": 2})


def test_update_of_nothing_is_not_found() -> None:
    with pytest.raises(NotFound, match="Thing ns/a"):
        Store().update(thing())


def test_mutate_writes_what_the_function_returns() -> None:
    store = Store()
    store.create(thing(spec=1))
    new = store.mutate("Thing", "ns", "a", lambda old: {**old, "spec": old["spec"] + 1})
    assert new["spec"] == 2
    assert store.get("Thing", "ns", "a") is new


def test_mutate_of_nothing_is_not_found() -> None:
    with pytest.raises(NotFound):
        Store().mutate("Thing", "ns", "a", lambda old: old)


def test_delete_returns_the_last_version() -> None:
    store = Store()
    last = store.create(thing())
    assert store.delete("Thing", "ns", "a") is last
    assert store.get("Thing", "ns", "a") is None
    assert store.version == 2


def test_delete_of_nothing_is_not_found() -> None:
    with pytest.raises(NotFound):
        Store().delete("Thing", "ns", "a")


def test_list_is_sorted_and_filtered_by_namespace() -> None:
    store = Store()
    for name, namespace in (("b", "y"), ("a", "y"), ("c", "x")):
        store.create(thing(name, namespace))
    assert [obj["metadata"]["name"] for obj in store.list("Thing")] == ["c", "a", "b"]
    assert [obj["metadata"]["name"] for obj in store.list("Thing", "y")] == ["a", "b"]


def test_kinds_are_those_with_objects() -> None:
    store = Store()
    store.create(thing(kind="B"))
    store.create(thing(kind="A"))
    store.delete("B", "ns", "a")
    assert store.kinds() == ("A",)


def test_counting_from_many_threads_loses_nothing() -> None:
    store = Store()
    store.create(thing(spec=0))

    def count() -> None:
        for _ in range(200):
            store.mutate("Thing", "ns", "a", lambda old: {**old, "spec": old["spec"] + 1})

    threads = [threading.Thread(target=count) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.list("Thing")[0]["spec"] == 1000


def test_a_transaction_is_seen_whole_by_readers() -> None:
    store, seen, inside = Store(), [], threading.Event()

    def read() -> None:
        inside.wait()
        seen.append(len(store.list("Thing")))

    reader = threading.Thread(target=read)
    reader.start()
    with store.transaction():
        store.create(thing("a"))
        inside.set()
        store.create(thing("b"))
    reader.join()
    assert seen == [2]


def test_a_transaction_is_told_at_its_end() -> None:
    store = Store()
    with store.watch(["Thing"]) as watch:
        with store.transaction():
            store.create(thing("a"))
            with store.transaction():
                store.create(thing("b"))
            assert watch.drain() == []
        assert [event.type for event in watch.drain()] == [EventType.ADDED, EventType.ADDED]


def test_what_a_failed_transaction_wrote_is_told() -> None:
    store = Store()
    with store.watch(["Thing"]) as watch:
        with pytest.raises(NotFound), store.transaction():
            store.create(thing("a"))
            store.delete("Thing", "ns", "b")
        assert len(watch.drain()) == 1


def test_timestamp_counts_seconds_on() -> None:
    moment = datetime.datetime(2026, 1, 1, 0, 0, 50, tzinfo=datetime.UTC)
    assert Store(lambda: moment).timestamp(30) == "2026-01-01T00:01:20Z"
