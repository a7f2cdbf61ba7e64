"""What goes when its owner or its namespace goes."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.kube.controllers.collector import FOREGROUND, ORPHAN
from testbed.kube.store import end, terminating
from tests.unit.kube.api.builders import deployment, manifest, namespace, pod, service
from tests.unit.kube.controllers.playground import Playground


@pytest.fixture
def play() -> Playground:
    """A Deployment with ready pods, a Service, and a pod of nobody."""
    ground = Playground()
    ground.apply(deployment(replicas=2), service(), pod("alone", labels={}))
    ground.all_ready()
    return ground


def owned(uid: str) -> dict[str, Any]:
    """A pod that says that it belongs to a Deployment of this uid."""
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x", "uid": uid, "controller": True}
    metadata = {"name": "orphan", "namespace": "default", "ownerReferences": [reference]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": []}, "status": {}}


def test_pods_of_a_deployment_end_with_it_gracefully(play: Playground) -> None:
    play.delete("Deployment", "web")
    ending = {p["metadata"]["name"]: terminating(p) for p in play.store.list("Pod")}
    assert ending.pop("alone") is False
    assert list(ending.values()) == [True, True]


def test_pods_of_a_deployment_made_anew_are_new(play: Playground) -> None:
    before = set(play.living()) - {"alone"}
    play.delete("Deployment", "web")
    play.apply(deployment(replicas=2))
    ending = {p["metadata"]["name"] for p in play.store.list("Pod") if terminating(p)}
    assert ending == before
    assert len(set(play.living()) - before) == 3


def test_object_whose_owner_is_long_gone_goes(play: Playground) -> None:
    play.store.create(owned("nobody"))
    play.settle()
    assert terminating(play.get("Pod", "orphan"))


def test_object_whose_owner_lives_stays(play: Playground) -> None:
    play.store.create(owned(play.get("Service", "web")["metadata"]["uid"]))
    play.settle()
    assert not terminating(play.get("Pod", "orphan"))


def test_object_with_one_living_owner_stays(play: Playground) -> None:
    obj = owned(play.get("Service", "web")["metadata"]["uid"])
    obj["metadata"]["ownerReferences"].append({"kind": "Deployment", "name": "y", "uid": "nobody"})
    play.store.create(obj)
    play.settle()
    assert not terminating(play.get("Pod", "orphan"))


def test_namespace_goes_with_everything_in_it() -> None:
    play = Playground()
    play.apply(namespace("shop"), service(namespace="shop"), service())
    play.delete("Namespace", "shop", "")
    assert play.store.get("Namespace", "", "shop") is None
    assert {s["metadata"]["namespace"] for s in play.store.list("Service")} == {"default"}
    assert {s["metadata"]["namespace"] for s in play.store.list("EndpointSlice")} == {"default"}


def test_namespace_waits_for_its_pods() -> None:
    play = Playground()
    play.apply(namespace("shop"), pod("web-1", namespace="shop"))
    play.delete("Namespace", "shop", "")
    assert terminating(play.get("Pod", "web-1", "shop"))
    assert play.get("Namespace", "shop", "")["status"]["phase"] == "Terminating"
    play.store.delete("Pod", "shop", "web-1")
    play.settle()
    assert play.store.get("Namespace", "", "shop") is None


def test_deployment_in_a_namespace_that_goes_makes_no_new_pods() -> None:
    play = Playground()
    whole = deployment()
    whole.body["metadata"]["namespace"] = "shop"
    play.apply(namespace("shop"), whole)
    play.delete("Namespace", "shop", "")
    assert [terminating(p) for p in play.store.list("Pod", "shop")] == [True, True, True]


def test_orphaned_dependents_live_on(play: Playground) -> None:
    before = play.living()
    end(play.store, play.get("Deployment", "web"), finalizers=(ORPHAN,))
    play.settle()
    assert play.names("Deployment") == []
    (replica_set,) = play.store.list("ReplicaSet")
    assert replica_set["metadata"]["ownerReferences"] == []
    assert play.living() == before


def test_a_deployment_adopts_the_set_that_another_left(play: Playground) -> None:
    before = play.living()
    end(play.store, play.get("Deployment", "web"), finalizers=(ORPHAN,))
    play.settle()
    play.apply(deployment(replicas=2))
    (replica_set,) = play.store.list("ReplicaSet")
    assert (
        replica_set["metadata"]["ownerReferences"][0]["uid"]
        == play.get("Deployment", "web")["metadata"]["uid"]
    )
    assert play.living() == before


def test_in_the_foreground_dependents_go_first(play: Playground) -> None:
    pods = [name for name in play.living() if name != "alone"]
    end(play.store, play.get("Deployment", "web"), finalizers=(FOREGROUND,))
    play.settle()
    assert terminating(play.get("Deployment", "web"))
    assert all(terminating(play.get("Pod", name)) for name in pods)
    assert len(play.names("ReplicaSet")) == 1
    for name in pods:
        play.gone(name)
    assert (play.names("ReplicaSet"), play.names("Deployment")) == ([], [])


@pytest.mark.parametrize(
    ("kind", "name"), [("Service", "web"), ("Service", "manual"), ("Endpoints", "manual")]
)
def test_slices_of_what_goes_in_the_foreground_are_not_made_anew(kind: str, name: str) -> None:
    """The finalizer of somebody else keeps the owner for a while."""
    play = Playground()
    address = {"addresses": [{"ip": "10.244.0.9"}], "ports": [{"port": 80}]}
    play.apply(service(), pod("web-1"), service("manual", selector={}))
    play.apply(manifest("Endpoints", "manual", namespace="default", subsets=[address]))
    play.all_ready()
    assert play.slices(name)
    end(play.store, play.get(kind, name), finalizers=(FOREGROUND, "example.com/mine"))
    play.settle()
    assert terminating(play.get(kind, name))
