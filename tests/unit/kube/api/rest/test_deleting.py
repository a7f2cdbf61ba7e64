"""Delete: grace, preconditions, policies and finalizers; whole collections, evictions."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.kube.store import Object
from tests.unit.kube.api.builders import pod, stored
from tests.unit.kube.api.rest.asking import APPS, DEFAULT, Asked, asked, config_map, deployment, names, value

MAPS = f"{DEFAULT}/configmaps"


def test_a_delete_says_which_object_is_gone() -> None:
    made = asked()
    uid = made.post(MAPS, config_map())["metadata"]["uid"]
    told = value(made.ask("DELETE", f"{MAPS}/c"), 200)
    assert (told["status"], told["details"]) == ("Success", {"name": "c", "kind": "configmaps", "uid": uid})
    assert made.store.get("ConfigMap", "default", "c") is None


def running(made: Asked) -> Object:
    made.apply(pod("a", nodeName="node1"))
    return stored(made.store, "Pod", "a")


@pytest.mark.parametrize(
    ("query", "body", "seconds"),
    [
        ("", None, 30),
        ("?gracePeriodSeconds=7", None, 7),
        ("", {"gracePeriodSeconds": 7}, 7),
        ("?gracePeriodSeconds=9", {"gracePeriodSeconds": 7}, 7),
        ("", {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}, 30),
    ],
)
def test_a_pod_gets_time_to_end(query: str, body: Any, seconds: int) -> None:
    made = asked()
    running(made)
    left = value(made.ask("DELETE", f"{DEFAULT}/pods/a{query}", body), 200)
    assert (left["kind"], left["metadata"]["deletionGracePeriodSeconds"]) == ("Pod", seconds)


def test_a_pod_is_gone_at_once() -> None:
    made = asked()
    running(made)
    assert value(made.ask("DELETE", f"{DEFAULT}/pods/a?gracePeriodSeconds=0"), 200)["status"] == "Success"


@pytest.mark.parametrize(
    ("precondition", "code"), [({"uid": "x"}, 409), ({"resourceVersion": "1"}, 409), ({}, 200)]
)
def test_preconditions(precondition: dict[str, str], code: int) -> None:
    made = asked()
    made.post(MAPS, config_map())
    assert made.ask("DELETE", f"{MAPS}/c", {"preconditions": precondition}).code == code


@pytest.mark.parametrize(
    "body",
    [
        [], "x", {"gracePeriodSeconds": -1}, {"gracePeriodSeconds": "soon"}, {"gracePeriodSeconds": True},
        {"propagationPolicy": "Sideways"}, {"preconditions": 7}, {"propagationPolicy": ["Orphan"]},
    ],
)  # fmt: skip
def test_options_that_make_no_sense(body: Any) -> None:
    made = asked()
    made.post(MAPS, config_map())
    assert value(made.ask("DELETE", f"{MAPS}/c", body), 400)["reason"] == "BadRequest"


def test_delete_of_nothing() -> None:
    assert value(asked().ask("DELETE", f"{MAPS}/c"), 404)["reason"] == "NotFound"


@pytest.mark.parametrize("path", ["/api/v1/namespaces/default", "/api/v1/nodes/node1"])
def test_what_may_not_be_deleted(path: str) -> None:
    assert value(asked().ask("DELETE", path), 403)["reason"] == "Forbidden"


def test_all_that_match_are_deleted() -> None:
    made = asked()
    for name, app in (("a", "web"), ("b", "web"), ("c", "api")):
        made.post(MAPS, config_map(name, labels={"app": app}))
    found = value(made.ask("DELETE", f"{MAPS}?labelSelector=app%3Dweb"), 200)
    assert (found["kind"], names(found)) == ("ConfigMapList", ["a", "b"])
    assert names(made.get(MAPS)) == ["c"]


def test_an_eviction_is_a_delete() -> None:
    made = asked()
    running(made)
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a"}}
    made.post(f"{DEFAULT}/pods/a/eviction", body)
    assert "deletionTimestamp" in stored(made.store, "Pod", "a")["metadata"]


# ── finalizers ───────────────────────────────────────────────────────────────────────────────────────────


def held(made: Asked) -> None:
    made.post(MAPS, config_map(finalizers=["example.com/hold"]))
    value(made.ask("DELETE", f"{MAPS}/c"), 200)


def test_an_object_with_finalizers_is_only_marked() -> None:
    made = asked()
    held(made)
    metadata = stored(made.store, "ConfigMap", "c")["metadata"]
    assert (metadata["finalizers"], metadata["deletionGracePeriodSeconds"]) == (["example.com/hold"], 0)


def test_the_last_finalizer_takes_the_object_along() -> None:
    made = asked()
    held(made)
    made.patch(f"{MAPS}/c", {"metadata": {"finalizers": None}})
    assert made.store.get("ConfigMap", "default", "c") is None


def test_what_is_ending_gets_no_new_finalizers() -> None:
    made = asked()
    held(made)
    told = made.patch(f"{MAPS}/c", {"metadata": {"finalizers": ["example.com/more"]}}, code=422)
    assert "no new finalizers can be added if the object is being deleted" in told["message"]


def test_a_mark_cannot_be_taken_off() -> None:
    made = asked()
    held(made)
    new = made.patch(f"{MAPS}/c", {"metadata": {"deletionTimestamp": None}})
    assert "deletionTimestamp" in new["metadata"]


@pytest.mark.parametrize(
    ("policy", "finalizer"), [("Orphan", "orphan"), ("Foreground", "foregroundDeletion")]
)
def test_a_policy_is_left_to_the_garbage_collector(policy: str, finalizer: str) -> None:
    made = asked()
    made.post(f"{APPS}/deployments", deployment())
    left = value(made.ask("DELETE", f"{APPS}/deployments/web", {"propagationPolicy": policy}), 200)
    assert left["metadata"]["finalizers"] == [finalizer]
