"""Watches: what a client is told, from where on, and until when."""

from __future__ import annotations

import json
from typing import Any

from testbed.kube.api import Registry
from testbed.kube.api.rest.watching import INITIAL_END, QUEUE
from testbed.kube.store import Store
from tests.unit.kube.api.builders import cluster, namespace
from tests.unit.kube.api.rest.asking import DEFAULT, Asked, asked, config_map, value

MAPS = f"{DEFAULT}/configmaps"


def told(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["type"], event["object"]["metadata"]["name"]) for event in events]


def with_maps(*names: str) -> Asked:
    made = asked()
    for name in names:
        made.post(MAPS, config_map(name))
    return made


def changed(made: Asked) -> str:
    """One created, one changed, one deleted; the version before all that."""
    version = str(made.store.version)
    made.post(MAPS, config_map("new"))
    made.patch(f"{MAPS}/a", {"data": {"a": "c"}})
    value(made.ask("DELETE", f"{MAPS}/b"), 200)
    return version


def test_without_a_version_what_is_there_comes_first() -> None:
    assert told(with_maps("a", "b").events(f"{MAPS}?watch=true", 2)) == [("ADDED", "a"), ("ADDED", "b")]


def test_from_a_version_on() -> None:
    made = with_maps("a", "b")
    version = changed(made)
    events = made.events(f"{MAPS}?watch=1&resourceVersion={version}", 3)
    assert told(events) == [("ADDED", "new"), ("MODIFIED", "a"), ("DELETED", "b")]


def test_a_deleted_object_has_the_version_of_its_end() -> None:
    made = with_maps("a", "b")
    version = changed(made)
    last = made.events(f"{MAPS}?watch=1&resourceVersion={version}", 3)[-1]["object"]["metadata"]
    assert last["resourceVersion"] == str(made.store.version)


def test_the_old_path_of_a_watch() -> None:
    made = with_maps("a", "b")
    assert told(made.events("/api/v1/watch/namespaces/default/configmaps/b", 1)) == [("ADDED", "b")]


def test_only_the_namespace_that_was_asked_for() -> None:
    made = asked()
    made.apply(namespace("shop"))
    made.post("/api/v1/namespaces/shop/configmaps", config_map("a"))
    made.post(MAPS, config_map("b"))
    assert told(made.events(f"{MAPS}?watch=true", 1)) == [("ADDED", "b")]


def test_labels_that_begin_or_cease_to_match() -> None:
    made = asked()
    version = made.store.version
    made.post(MAPS, config_map("a", labels={"app": "other"}))
    for label in ("web", "web", "other", "web"):
        made.patch(f"{MAPS}/a", {"metadata": {"labels": {"app": label, "n": str(made.store.version)}}})
    value(made.ask("DELETE", f"{MAPS}/a"), 200)
    events = made.events(f"{MAPS}?watch=true&labelSelector=app%3Dweb&resourceVersion={version}", 5)
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"]
    assert events[2]["object"]["metadata"]["labels"]["app"] == "other"


def small(remembered: int) -> Asked:
    """An API over a store that forgets soon."""
    store = Store(remembered=remembered)
    return Asked(store, Registry(store, cluster()))


def test_a_version_that_is_forgotten() -> None:
    made = small(2)
    version = made.store.version
    for name in "abc":
        made.post(MAPS, config_map(name))
    gone = value(made.ask("GET", f"{MAPS}?watch=true&resourceVersion={version}"), 410)
    assert (gone["reason"], gone["message"].split(":")[0]) == ("Expired", "too old resource version")


def test_a_version_that_is_just_remembered() -> None:
    made = small(2)
    made.post(MAPS, config_map("a"))
    version = made.store.version
    for name in "bc":
        made.post(MAPS, config_map(name))
    events = made.events(f"{MAPS}?watch=true&resourceVersion={version}", 2)
    assert told(events) == [("ADDED", "b"), ("ADDED", "c")]


def test_a_version_of_the_future() -> None:
    assert value(asked().ask("GET", f"{MAPS}?watch=true&resourceVersion=99999"), 504)["reason"] == "Timeout"


def lines(made: Asked, query: str) -> list[dict[str, Any]]:
    """Everything that a watch of a second says."""
    body = made.ask("GET", f"{MAPS}?watch=true&timeoutSeconds=1&{query}").body
    assert not isinstance(body, bytes)
    return [json.loads(line) for data in body for line in data.splitlines()]


def test_a_watch_ends_in_time_with_a_bookmark() -> None:
    made = with_maps("a")
    *_, last = lines(made, "allowWatchBookmarks=true")
    assert last["type"] == "BOOKMARK"
    assert last["object"] == {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": str(made.store.version), "creationTimestamp": None},
    }


def test_without_being_asked_no_bookmark_comes() -> None:
    assert [event["type"] for event in lines(with_maps("a"), "")] == ["ADDED"]


def test_the_end_of_what_is_there_is_marked() -> None:
    made = with_maps("a", "b")
    query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    events = made.events(f"{MAPS}?watch=true&{query}", 3)
    assert [event["type"] for event in events] == ["ADDED", "ADDED", "BOOKMARK"]
    assert events[-1]["object"]["metadata"]["annotations"] == {INITIAL_END: "true"}


def test_only_what_happens_from_now_on() -> None:
    made = with_maps("a")
    body = made.ask("GET", f"{MAPS}?watch=true&sendInitialEvents=false").body
    assert not isinstance(body, bytes)
    assert next(body) == b""
    made.post(MAPS, config_map("b"))
    assert told([json.loads(next(body))]) == [("ADDED", "b")]
    body.close()


def test_a_client_that_never_reads_is_cut_off() -> None:
    made = with_maps("a")
    body = made.ask("GET", f"{MAPS}?watch=true").body
    assert not isinstance(body, bytes)
    next(body)
    for number in range(QUEUE + 2):
        made.store.update(
            {**config_map("a"), "metadata": {"name": "a", "namespace": "default"}, "data": number}
        )
    (line,) = list(body)
    event = json.loads(line)
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)


def test_who_hangs_up_leaves_no_watch_behind() -> None:
    made = with_maps("a")
    made.events(f"{MAPS}?watch=true", 1)
    with made.store.watch(["ConfigMap"], initial=False) as only:
        assert made.store.watching() == [only]


def test_rows_of_a_table_come_one_by_one() -> None:
    made = with_maps("a", "b")
    response = made.ask("GET", f"{MAPS}?watch=true", accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    assert not isinstance(response.body, bytes)
    first, second = (json.loads(line)["object"] for line in next(response.body).splitlines())
    response.body.close()
    assert [row["cells"][0] for table in (first, second) for row in table["rows"]] == ["a", "b"]
    assert first["columnDefinitions"][0]["name"] == "Name"
    assert second["columnDefinitions"] is None
