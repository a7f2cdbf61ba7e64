"""The Endpoints object beside the slices, and slices that mirror Endpoints made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.kube.controllers.endpoints import Selected
from testbed.kube.controllers.endpointsobject import MAX_ADDRESSES, OVER_CAPACITY, endpoints_object
from testbed.kube.controllers.mirroring import MANAGER
from testbed.kube.controllers.slices import MANAGED_BY
from testbed.kube.objects import Manifest
from testbed.kube.store import Object
from tests.unit.kube.api.builders import manifest, pod, service
from tests.unit.kube.controllers.playground import Playground


@pytest.fixture
def play() -> Playground:
    """Two ready pods behind the Service `web`."""
    ground = Playground()
    ground.apply(service(ports=[{"port": 80, "targetPort": "http"}]), pod("web-1"), pod("web-2"))
    ground.all_ready()
    return ground


def addresses(obj: Object, place: str = "addresses") -> list[str]:
    return [a["targetRef"]["name"] for subset in obj.get("subsets", ()) for a in subset.get(place, ())]


def test_the_selected_pods(play: Playground) -> None:
    found = play.get("Endpoints", "web")
    assert addresses(found) == ["web-1", "web-2"]
    assert found["subsets"][0]["ports"] == [{"port": 8080, "protocol": "TCP"}]
    assert found["subsets"][0]["addresses"][0]["nodeName"] == "node1"


def test_a_pod_that_is_not_ready_is_told_apart(play: Playground) -> None:
    play.report("web-1", ready=False)
    found = play.get("Endpoints", "web")
    assert (addresses(found), addresses(found, "notReadyAddresses")) == (["web-2"], ["web-1"])


def test_a_pod_that_ends_is_none(play: Playground) -> None:
    play.delete("Pod", "web-1")
    assert addresses(play.get("Endpoints", "web")) == ["web-2"]


def test_without_pods_there_are_no_subsets() -> None:
    play = Playground()
    play.apply(service())
    assert "subsets" not in play.get("Endpoints", "web")


def test_ports_that_differ_make_two_subsets(play: Playground) -> None:
    other = [{"name": "main", "ports": [{"name": "http", "containerPort": 9090}]}]
    play.apply(pod("web-3", containers=other))
    play.report("web-3")
    ports = [subset["ports"][0]["port"] for subset in play.get("Endpoints", "web")["subsets"]]
    assert ports == [8080, 9090]


def test_it_goes_with_its_service(play: Playground) -> None:
    play.delete("Service", "web")
    assert play.names("Endpoints") == []


def test_what_somebody_changes_is_put_right(play: Playground) -> None:
    play.change("Endpoints", "web", subsets=[])
    assert addresses(play.get("Endpoints", "web")) == ["web-1", "web-2"]


def test_more_than_a_thousand_are_cut(play: Playground) -> None:
    web, one = play.get("Service", "web"), play.get("Pod", "web-1")
    many = [Selected(web, {**one, "metadata": {**one["metadata"], "name": f"w{n}"}}, "") for n in range(1001)]
    found = endpoints_object(web, many, None)
    assert len(addresses(found)) == MAX_ADDRESSES
    assert found["metadata"]["annotations"] == {OVER_CAPACITY: "truncated"}


# ── mirrored ─────────────────────────────────────────────────────────────────────────────────────────────────


def by_hand(*subsets: dict[str, Any], **metadata: Any) -> Manifest:
    return manifest("Endpoints", "legacy", namespace="default", metadata=metadata, subsets=list(subsets))


SUBSET = {"addresses": [{"ip": "192.0.2.1"}, {"ip": "192.0.2.2"}], "ports": [{"port": 5432}]}


def test_endpoints_made_by_hand_are_mirrored() -> None:
    play = Playground()
    play.apply(service("legacy", selector={}), by_hand(SUBSET))
    (slice_,) = play.slices("legacy")
    assert slice_["metadata"]["labels"][MANAGED_BY] == MANAGER
    assert [e["addresses"] for e in slice_["endpoints"]] == [["192.0.2.1"], ["192.0.2.2"]]
    assert slice_["ports"] == [{"name": "", "protocol": "TCP", "port": 5432}]


def test_a_slice_for_each_family_and_port_list() -> None:
    play = Playground()
    mixed = {"addresses": [{"ip": "192.0.2.1"}, {"ip": "2001:db8::1"}], "ports": [{"port": 1}]}
    play.apply(service("legacy", selector={}), by_hand(SUBSET, mixed))
    found = sorted((s["addressType"], s["ports"][0]["port"]) for s in play.slices("legacy"))
    assert found == [("IPv4", 1), ("IPv4", 5432), ("IPv6", 1)]


def test_a_change_is_followed_in_place() -> None:
    play = Playground()
    play.apply(service("legacy", selector={}), by_hand(SUBSET))
    before = play.names("EndpointSlice")
    play.apply(by_hand({**SUBSET, "addresses": [{"ip": "192.0.2.9"}]}))
    (slice_,) = play.slices("legacy")
    assert (play.names("EndpointSlice"), slice_["endpoints"][0]["addresses"]) == (before, ["192.0.2.9"])


@pytest.mark.parametrize("kind", ["Service", "Endpoints"])
def test_slices_go_with_either(kind: str) -> None:
    play = Playground()
    play.apply(service("legacy", selector={}), by_hand(SUBSET))
    play.delete(kind, "legacy")
    assert play.slices("legacy") == []


@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        {"annotations": {"control-plane.alpha.kubernetes.io/leader": "me"}},
    ],
)
def test_what_asks_not_to_be_mirrored_is_not(metadata: dict[str, Any]) -> None:
    play = Playground()
    play.apply(service("legacy", selector={}), by_hand(SUBSET, **metadata))
    assert play.slices("legacy") == []


def test_endpoints_of_a_service_with_selector_are_not_mirrored(play: Playground) -> None:
    managers = {s["metadata"]["labels"][MANAGED_BY] for s in play.slices()}
    assert MANAGER not in managers


def test_more_than_a_thousand_are_skipped_and_told() -> None:
    play = Playground()
    many = [{"ip": f"192.0.{n // 256}.{n % 256}"} for n in range(1002)]
    play.apply(service("legacy", selector={}), by_hand({**SUBSET, "addresses": many}))
    (slice_,) = play.slices("legacy")
    assert len(slice_["endpoints"]) == 1000
    assert [reason for reason, _, _ in play.told("Endpoints", "legacy")] == ["TooManyAddressesToMirror"]
