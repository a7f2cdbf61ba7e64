"""The endpoint slice controller over a store: what makes it write, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.kube.controllers.slices import MANAGER
from tests.unit.kube.api.builders import deployment, manifest, namespace, pod, service
from tests.unit.kube.controllers.playground import Playground


@pytest.fixture
def play() -> Playground:
    """Two ready pods behind the Service `web`."""
    ground = Playground()
    ground.apply(service(ports=[{"port": 80, "targetPort": "http"}]), pod("web-1"), pod("web-2"))
    ground.all_ready()
    return ground


def test_endpoints_are_the_selected_pods(play: Playground) -> None:
    play.apply(pod("other", labels={"app": "api"}))
    play.report("other")
    assert list(play.endpoints()) == ["web-1", "web-2"]


def test_every_label_of_the_selector_counts() -> None:
    play = Playground()
    play.apply(service(selector={"app": "web", "tier": "front"}))
    play.apply(pod("a"), pod("b", labels={"app": "web", "tier": "front"}))
    play.all_ready()
    assert list(play.endpoints()) == ["b"]


def test_ready_pod_becomes_ready_at_once(play: Playground) -> None:
    play.apply(pod("web-3"))
    assert "web-3" not in play.endpoints()
    play.report("web-3", ready=False)
    assert not play.endpoints()["web-3"]["conditions"]["ready"]
    play.report("web-3")
    assert play.endpoints()["web-3"]["conditions"]["ready"]


def test_pod_that_is_not_ready_any_more(play: Playground) -> None:
    play.report("web-1", ready=False)
    assert play.endpoints()["web-1"]["conditions"] == {"ready": False, "serving": False, "terminating": False}


def test_pod_that_is_told_to_end(play: Playground) -> None:
    play.delete("Pod", "web-1")
    assert play.endpoints()["web-1"]["conditions"] == {"ready": False, "serving": True, "terminating": True}


def test_pod_that_is_gone(play: Playground) -> None:
    play.gone("web-1")
    assert list(play.endpoints()) == ["web-2"]


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_pod_that_ended(play: Playground, phase: str) -> None:
    play.report("web-1", phase=phase)
    assert list(play.endpoints()) == ["web-2"]


def test_pod_whose_label_is_taken_away(play: Playground) -> None:
    play.apply(pod("web-1", labels={"app": "debug"}))
    assert list(play.endpoints()) == ["web-2"]


def test_selector_that_changes(play: Playground) -> None:
    play.apply(pod("api-1", labels={"app": "api"}))
    play.report("api-1")
    play.apply(service(selector={"app": "api"}))
    assert list(play.endpoints()) == ["api-1"]


def test_pods_of_another_namespace_are_not_selected(play: Playground) -> None:
    play.apply(namespace("shop"), service(namespace="shop"))
    shop = [s for s in play.slices() if s["metadata"]["namespace"] == "shop"]
    assert [s["endpoints"] for s in shop] == [[]]


@pytest.mark.parametrize(
    ("spec", "families"),
    [
        ({}, {"IPv4"}),
        ({"ipFamilies": ["IPv6"]}, {"IPv6"}),
        ({"ipFamilyPolicy": "PreferDualStack"}, {"IPv4", "IPv6"}),
        ({"clusterIP": "None", "ipFamilyPolicy": "PreferDualStack"}, {"IPv4", "IPv6"}),
    ],
)
def test_slices_for_each_family(spec: dict[str, Any], families: set[str]) -> None:
    play = Playground()
    play.apply(service(**spec), pod("web-1"))
    play.all_ready()
    assert {s["addressType"] for s in play.slices()} == families
    assert all(list(play.endpoints(family=family)) == ["web-1"] for family in families)


def test_family_that_is_given_up_loses_its_slices() -> None:
    play = Playground()
    play.apply(service(ipFamilyPolicy="PreferDualStack"), pod("web-1"))
    play.all_ready()
    play.apply(service(ipFamilyPolicy="SingleStack"))
    assert [s["addressType"] for s in play.slices()] == ["IPv4"]


def test_named_port_that_differs_between_pods() -> None:
    play = Playground()
    new = [{"name": "main", "image": "x:2", "ports": [{"name": "http", "containerPort": 9090}]}]
    play.apply(service(ports=[{"port": 80, "targetPort": "http"}]), pod("a"), pod("b", containers=new))
    play.all_ready()
    assert sorted(s["ports"][0]["port"] for s in play.slices()) == [8080, 9090]
    assert list(play.endpoints()) == ["a", "b"] or list(play.endpoints()) == ["b", "a"]


def test_not_ready_pods_are_published_if_asked_for() -> None:
    play = Playground()
    play.apply(service(publishNotReadyAddresses=True), pod("web-1"))
    play.report("web-1", ready=False)
    assert play.endpoints()["web-1"]["conditions"] == {"ready": True, "serving": False, "terminating": False}


def test_zone_comes_from_the_node(play: Playground) -> None:
    zone = {"labels": {"topology.kubernetes.io/zone": "zone-a"}}
    play.apply(manifest("Node", "node1", metadata=zone))
    assert {name: e.get("zone") for name, e in play.endpoints().items()} == {"web-1": "zone-a", "web-2": None}


def test_hundred_to_a_slice() -> None:
    play = Playground()
    play.apply(service(), deployment(replicas=150))
    play.all_ready()
    assert sorted(len(s["endpoints"]) for s in play.slices()) == [50, 100]


def test_service_without_selector_is_left_to_its_user() -> None:
    play = Playground()
    label = {"labels": {"kubernetes.io/service-name": "web"}}
    mine = {"addressType": "IPv4", "endpoints": [{"addresses": ["203.0.113.9"]}], "ports": [{"port": 80}]}
    play.apply(service(selector={}), manifest("EndpointSlice", "mine", metadata=label, **mine))
    assert [s["metadata"]["name"] for s in play.slices()] == ["mine"]


def test_slice_of_the_user_beside_ours_is_left_alone(play: Playground) -> None:
    label = {"labels": {"kubernetes.io/service-name": "web"}}
    mine = {"addressType": "IPv4", "endpoints": [], "ports": []}
    play.apply(manifest("EndpointSlice", "mine", metadata=label, **mine))
    play.gone("web-1")
    assert play.get("EndpointSlice", "mine")["endpoints"] == []
    assert list(play.endpoints()) == ["web-2"]


def test_external_name_has_no_slices() -> None:
    play = Playground()
    play.apply(service(type="ExternalName", externalName="example.org", ports=[]))
    assert play.slices() == []


def test_slice_that_somebody_deletes_comes_back(play: Playground) -> None:
    (slice_,) = play.slices()
    play.delete("EndpointSlice", slice_["metadata"]["name"])
    assert list(play.endpoints()) == ["web-1", "web-2"]


def test_slice_that_somebody_changes_is_put_right(play: Playground) -> None:
    (slice_,) = play.slices()
    play.change("EndpointSlice", slice_["metadata"]["name"], endpoints=[])
    assert list(play.endpoints()) == ["web-1", "web-2"]


def test_slices_go_with_their_service(play: Playground) -> None:
    play.delete("Service", "web")
    assert play.slices() == []


def test_slices_of_a_service_made_anew_belong_to_the_new_one(play: Playground) -> None:
    play.registry.delete("Service", "default", "web")
    play.apply(service())
    (slice_,) = play.slices()
    assert slice_["metadata"]["ownerReferences"][0]["uid"] == play.get("Service", "web")["metadata"]["uid"]
    assert list(play.endpoints()) == ["web-1", "web-2"]


def test_one_pod_writes_one_slice_however_many_services_there_are(play: Playground) -> None:
    play.apply(*(service(f"s{n}") for n in range(200)))
    with play.store.watch(["EndpointSlice"], initial=False) as watch:
        play.report("web-1", ready=False)
        (event,) = watch.drain()
    assert event.object["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] == MANAGER
    assert event.object["metadata"]["labels"]["kubernetes.io/service-name"] == "web"


def test_news_without_consequence_write_nothing(play: Playground) -> None:
    version = play.store.version
    status = {**play.get("Pod", "web-1")["status"], "startTime": "2026-01-01T00:00:00Z"}
    play.change("Pod", "web-1", status=status)
    assert play.store.version == version + 1


def test_a_slice_counts_its_versions_and_tells_when_it_changed(play: Playground) -> None:
    (before,) = [s for s in play.slices() if s["addressType"] == "IPv4"]
    play.later(5)
    play.report("web-1", ready=False)
    (after,) = [s for s in play.slices() if s["addressType"] == "IPv4"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1
    trigger = after["metadata"]["annotations"]["endpoints.kubernetes.io/last-change-trigger-time"]
    assert trigger == play.store.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def zoned(*zones: str) -> Playground:
    """A node and a ready pod in each of these zones."""
    ground = Playground(nodes=len(zones))
    for number, zone in enumerate(zones, 1):
        labels = {"topology.kubernetes.io/zone": zone}
        ground.apply(manifest("Node", f"node{number}", metadata={"labels": labels}))
        ground.apply(pod(f"web-{number}", nodeName=f"node{number}"))
    ground.all_ready()
    return ground


def hints(play: Playground) -> list[Any]:
    return [endpoint.get("hints") for endpoint in play.endpoints().values()]


def test_traffic_distribution_gives_hints() -> None:
    play = zoned("a", "b")
    play.apply(service(trafficDistribution="PreferSameZone"))
    assert hints(play) == [{"forZones": [{"name": "a"}]}, {"forZones": [{"name": "b"}]}]


def test_topology_mode_auto_follows_the_nodes() -> None:
    play = zoned("a", "b")
    auto = {"annotations": {"service.kubernetes.io/topology-mode": "Auto"}}
    play.apply(manifest("Service", "web", namespace="default", metadata=auto, spec={
        "ports": [{"port": 80}], "selector": {"app": "web"}}))  # fmt: skip
    assert hints(play) == [{"forZones": [{"name": "a"}]}, {"forZones": [{"name": "b"}]}]
    play.apply(manifest("Node", "node2", metadata={"labels": {"topology.kubernetes.io/zone": "a"}}))
    assert hints(play) == [None, None]
    assert "TopologyAwareHintsDisabled" in {reason for reason, _, _ in play.told("Service", "web")}
