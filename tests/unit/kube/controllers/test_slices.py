"""Laying endpoints into slices with as little change as can be."""

from __future__ import annotations

from typing import Any

from testbed.kube.controllers.endpoints import SlicePort
from testbed.kube.controllers.slices import MANAGED_BY, MANAGER, MAX_ENDPOINTS, Changes, Group, arrange
from testbed.kube.store import Object

PORT = (SlicePort("", 80, "TCP"),)
OTHER = (SlicePort("", 81, "TCP"),)
GROUP: Group = ("IPv4", PORT)
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web", "namespace": "default", "uid": "s", "labels": {"team": "a"}},
    "spec": {"clusterIP": "10.96.0.1"},
}


def endpoints(*numbers: int) -> dict[str, Object]:
    return {f"u{n}": {"addresses": [f"10.0.0.{n}"], "targetRef": {"uid": f"u{n}"}} for n in numbers}


def carry_out(existing: list[Any], changes: Changes) -> list[Any]:
    """The slices as they are after the changes, in the order of their names."""
    gone = {s["metadata"]["name"] for s in [*changes.delete, *changes.update]}
    left = [s for s in existing if s["metadata"]["name"] not in gone]
    return sorted([*left, *changes.create, *changes.update], key=lambda s: s["metadata"]["name"])


def made(*numbers: int, group: Group = GROUP, existing: list[Any] | None = None) -> list[Any]:
    changes = arrange(SERVICE, {group: endpoints(*numbers)}, existing or [], lambda name: False)
    return carry_out(existing or [], changes)


def uids(slice_: Object) -> list[str]:
    return [e["targetRef"]["uid"] for e in slice_["endpoints"]]


def test_slice_is_labelled_and_owned() -> None:
    (slice_,) = made(1)
    assert slice_["metadata"]["labels"] == {
        "team": "a",
        "kubernetes.io/service-name": "web",
        MANAGED_BY: MANAGER,
    }
    assert slice_["metadata"]["ownerReferences"][0]["uid"] == "s"
    assert slice_["addressType"] == "IPv4"
    assert slice_["ports"] == [{"name": "", "port": 80, "protocol": "TCP"}]


def test_slice_of_a_headless_service_says_so() -> None:
    headless = {**SERVICE, "spec": {"clusterIP": "None"}}
    (slice_,) = arrange(headless, {GROUP: endpoints(1)}, [], lambda name: False).create
    assert slice_["metadata"]["labels"]["service.kubernetes.io/headless"] == ""


def test_names_follow_from_the_service_alone() -> None:
    assert made(1)[0]["metadata"]["name"] == made(2)[0]["metadata"]["name"]


def test_name_that_is_taken_is_passed_over() -> None:
    first = made(1)[0]["metadata"]["name"]
    (slice_,) = arrange(SERVICE, {GROUP: endpoints(1)}, [], lambda name: name == first).create
    assert slice_["metadata"]["name"] != first


def test_no_slice_holds_more_than_a_hundred() -> None:
    slices = made(*range(250))
    assert sorted(len(s["endpoints"]) for s in slices) == [50, MAX_ENDPOINTS, MAX_ENDPOINTS]
    assert len({s["metadata"]["name"] for s in slices}) == 3


def test_equal_endpoints_are_no_change() -> None:
    existing = made(*range(150))
    assert arrange(SERVICE, {GROUP: endpoints(*range(150))}, existing, lambda name: False) == Changes()


def test_one_that_goes_touches_its_slice_alone() -> None:
    existing = made(*range(150))
    wanted = {GROUP: endpoints(*(n for n in range(150) if n != 3))}
    changes = arrange(SERVICE, wanted, existing, lambda name: False)
    assert (len(changes.update), changes.create, changes.delete) == (1, [], [])
    assert "u3" not in uids(changes.update[0])


def test_new_one_goes_into_a_slice_that_changes_anyhow() -> None:
    existing = made(*range(250))
    full = next(s for s in existing if len(s["endpoints"]) == MAX_ENDPOINTS)
    gone = int(uids(full)[0][1:])
    wanted = {GROUP: endpoints(*(n for n in range(251) if n != gone))}
    changes = arrange(SERVICE, wanted, existing, lambda name: False)
    assert [s["metadata"]["name"] for s in changes.update] == [full["metadata"]["name"]]


def test_changed_endpoint_stays_in_its_place() -> None:
    existing = made(1, 2, 3)
    wanted = endpoints(1, 2, 3)
    wanted["u2"] = {**wanted["u2"], "nodeName": "node1"}
    (slice_,) = arrange(SERVICE, {GROUP: wanted}, existing, lambda name: False).update
    assert uids(slice_) == ["u1", "u2", "u3"]
    assert slice_["endpoints"][1]["nodeName"] == "node1"


def test_slice_that_has_become_empty_is_deleted() -> None:
    existing = made(*range(150))
    small = next(s for s in existing if len(s["endpoints"]) == 50)
    left = [int(uid[1:]) for s in existing if s is not small for uid in uids(s)]
    changes = arrange(SERVICE, {GROUP: endpoints(*left)}, existing, lambda name: False)
    assert changes == Changes(delete=[small])


def test_other_ports_make_other_slices() -> None:
    wanted = {GROUP: endpoints(1), ("IPv4", OTHER): endpoints(2)}
    changes = arrange(SERVICE, wanted, [], lambda name: False)
    assert sorted((s["ports"][0]["port"], uids(s)) for s in changes.create) == [(80, ["u1"]), (81, ["u2"])]


def test_slice_is_used_again_when_its_ports_change() -> None:
    (old,) = made(1)
    changes = arrange(SERVICE, {("IPv4", OTHER): endpoints(1)}, [old], lambda name: False)
    assert (changes.create, changes.delete) == ([], [])
    assert changes.update[0]["metadata"]["name"] == old["metadata"]["name"]
    assert changes.update[0]["ports"][0]["port"] == 81


def test_slice_is_not_used_again_for_another_family() -> None:
    (old,) = made(1)
    changes = arrange(SERVICE, {("IPv6", PORT): endpoints(1)}, [old], lambda name: False)
    assert changes.delete == [old]
    assert [s["addressType"] for s in changes.create] == ["IPv6"]


def test_service_without_endpoints_has_an_empty_slice() -> None:
    (slice_,) = made(group=("IPv4", ()))
    assert (slice_["endpoints"], slice_["ports"]) == ([], [])


def test_empty_slice_stays_as_it_is() -> None:
    existing = made(group=("IPv4", ()))
    assert arrange(SERVICE, {("IPv4", ()): {}}, existing, lambda name: False) == Changes()


def test_empty_slice_becomes_the_first_real_one() -> None:
    existing = made(group=("IPv4", ()))
    (slice_,) = made(1, existing=existing)
    assert slice_["metadata"]["name"] == existing[0]["metadata"]["name"]


def test_last_endpoint_leaves_an_empty_slice() -> None:
    existing = made(1)
    (slice_,) = made(group=("IPv4", ()), existing=existing)
    assert slice_["metadata"]["name"] == existing[0]["metadata"]["name"]
    assert (slice_["endpoints"], slice_["ports"]) == ([], [])


def test_labels_follow_the_service() -> None:
    existing = made(1)
    renamed = {**SERVICE, "metadata": {**SERVICE["metadata"], "labels": {"team": "b"}}}
    (slice_,) = arrange(renamed, {GROUP: endpoints(1)}, existing, lambda name: False).update
    assert slice_["metadata"]["labels"]["team"] == "b"
