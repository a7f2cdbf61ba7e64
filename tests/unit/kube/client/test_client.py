"""The client against the real API on a real socket: verbs, watches, logs, errors that keep their class."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed.errors import ManifestErrors, Mistake, StatusError, TestbedError, UsageError
from testbed.kube.client import TABLE, Client, DeleteOptions, LogOptions, Query
from tests.unit.cli.serving import Served, served
from tests.unit.kube.api.builders import manifest, pod, service
from tests.unit.kube.api.written import set_state, write

CONFIG: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "conf", "namespace": "default"},
    "data": {"a": "1"},
}


@pytest.fixture
def api() -> Iterator[Served]:
    with served() as made:
        made.registry.apply([pod("web-1"), pod("web-2", labels={"app": "db"}), service("web")])
        yield made


def test_one_object(api: Served) -> None:
    got = api.client.get("Pod", "default", "web-1")
    assert (got["kind"], got["metadata"]["name"]) == ("Pod", "web-1")


def test_a_list_and_its_version(api: Served) -> None:
    found = api.client.list("Pod", "default")
    assert [(o["kind"], o["apiVersion"], o["metadata"]["name"]) for o in found.items] == [
        ("Pod", "v1", "web-1"), ("Pod", "v1", "web-2")
    ]  # fmt: skip
    assert found.version == str(api.store.version)


@pytest.mark.parametrize(
    ("namespace", "query", "names"),
    [
        (None, Query(), ["web-1", "web-2"]),
        ("kube-system", Query(), []),
        ("default", Query(labels="app=db"), ["web-2"]),
        ("default", Query(labels="app in (db, web),!old"), ["web-1", "web-2"]),
        ("default", Query(fields="metadata.name=web-1"), ["web-1"]),
    ],
)
def test_a_query(api: Served, namespace: str | None, query: Query, names: list[str]) -> None:
    assert [obj["metadata"]["name"] for obj in api.client.list("Pod", namespace, query).items] == names


def test_tables(api: Served) -> None:
    table = api.client.table("Service", "default")
    assert (table["kind"], [row["cells"][0] for row in table["rows"]]) == ("Table", ["web"])
    assert api.client.get("Service", "default", "web", TABLE)["kind"] == "Table"
    (whole,) = api.client.table("Service", "default", include="Object")["rows"]
    assert whole["object"]["spec"]["ports"][0]["port"] == 80


def test_create_replace_patch_delete(api: Served) -> None:
    made = api.client.create(CONFIG)
    assert api.client.replace({**made, "data": {"a": "2"}})["data"] == {"a": "2"}
    changed = api.client.patch("ConfigMap", "default", "conf", {"data": {"b": "3"}})
    assert changed["data"] == {"a": "2", "b": "3"}
    assert api.client.patch("ConfigMap", "default", "conf", {"data": None}, "merge").get("data") is None
    assert api.client.delete("ConfigMap", "default", "conf") == made["metadata"]["uid"]
    assert api.client.list("ConfigMap").items == []


def test_a_dry_run_changes_nothing(api: Served) -> None:
    before = api.store.version
    assert api.client.create(CONFIG, dry_run=True)["data"] == {"a": "1"}
    api.client.delete("Service", "default", "web", DeleteOptions(dry_run=True))
    assert api.client.apply([service("new")], dry_run=True)[0]["verb"] == "created"
    assert api.store.version == before


def test_what_was_changed_meanwhile_is_a_conflict(api: Served) -> None:
    made = api.client.create(CONFIG)
    api.client.replace({**made, "data": {"a": "2"}})
    with pytest.raises(StatusError) as refused:
        api.client.replace({**made, "data": {"a": "3"}})
    assert (refused.value.reason, refused.value.code) == ("Conflict", 409)


def test_a_scale(api: Served) -> None:
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "x"}}, "template": template}
    api.registry.apply([manifest("Deployment", "web", namespace="default", spec=spec)])
    scale = api.client.scale("Deployment", "default", "web")
    assert scale["spec"] == {"replicas": 2}
    api.client.set_scale("Deployment", "default", "web", {**scale, "spec": {"replicas": 5}})
    assert api.client.get("Deployment", "default", "web")["spec"]["replicas"] == 5


def test_apply_tells_what_became_of_each(api: Served) -> None:
    told = api.client.apply([service("web"), service("new")])
    assert [(each["kind"], each["name"]) for each in told] == [("Service", "web"), ("Service", "new")]
    assert told[1]["verb"] == "created"


def test_mistakes_keep_file_and_line(api: Served) -> None:
    found = Mistake("a.yaml", 3, "spec", "wrong")
    with pytest.raises(ManifestErrors) as refused:
        api.client.apply([service("other", clusterIP="10.97.0.1")], [found])
    assert found in refused.value.mistakes
    assert {mistake.file for mistake in refused.value.mistakes} == {"a.yaml", "test.yaml"}


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("Pod", "x", 'pods "x" not found'),
        ("Deployment", "a b; $(c)", 'deployments.apps "a b; $(c)" not found'),
        ("Pod", "x" * 300, f'pods "{"x" * 300}" not found'),
        ("Pod", "ü\n", 'pods "ü\n" not found'),
    ],
)
def test_what_is_not_there(api: Served, kind: str, name: str, message: str) -> None:
    with pytest.raises(StatusError) as refused:
        api.client.get(kind, "default", name)
    assert (refused.value.reason, str(refused.value)) == ("NotFound", message)


def test_a_name_that_leads_elsewhere_is_not_sent(api: Served) -> None:
    with pytest.raises(UsageError, match="invalid resource name"):
        api.client.delete("Pod", "default", "../services/web")


def test_a_connection_is_used_again(api: Served) -> None:
    names = {obj["metadata"]["name"] for _ in range(50) for obj in api.client.list("Pod").items}
    assert names == {"web-1", "web-2"}


def test_after_a_refusal_the_client_goes_on(api: Served) -> None:
    with pytest.raises(StatusError):
        api.client.get("Pod", "default", "x")
    assert api.client.get("Pod", "default", "web-1")["kind"] == "Pod"


def test_a_watch_tells_what_happens(api: Served) -> None:
    version = api.client.list("Service").version
    events = api.client.watch("Service", "default", Query(version=version))
    api.client.apply([service("new")])
    api.client.delete("Service", "default", "new")
    told = [(event.type, event.object["metadata"]["name"]) for event in itertools.islice(events, 2)]
    assert told == [("ADDED", "new"), ("DELETED", "new")]


def test_a_watch_of_tables(api: Served) -> None:
    events = api.client.watch("Service", "default", accept=TABLE)
    first = next(events)
    assert (first.type, first.object["rows"][0]["cells"][0]) == ("ADDED", "web")


def test_a_watch_of_what_is_wrong_is_refused_at_once(api: Served) -> None:
    with pytest.raises(StatusError) as refused:
        api.client.watch("Pod", "default", Query(labels="a b c"))
    assert refused.value.code == 400


def test_a_log(api: Served) -> None:
    set_state(api.store, "web-1")
    write(api.logs, "one\ntwo\nthree", "web-1")
    assert list(api.client.log("default", "web-1")) == [b"one\n", b"two\n", b"three"]
    assert list(api.client.log("default", "web-1", LogOptions(tail=1))) == [b"three"]


def test_a_log_of_no_container(api: Served) -> None:
    with pytest.raises(StatusError) as refused:
        api.client.log("default", "web-1", LogOptions(container="x"))
    assert "container x is not valid for pod web-1" in str(refused.value)


def test_nobody_answers(tmp_path: Path) -> None:
    with (
        Client(tmp_path / "nothing.sock") as client,
        pytest.raises(TestbedError, match="no daemon answers at"),
    ):
        client.list("Pod")
