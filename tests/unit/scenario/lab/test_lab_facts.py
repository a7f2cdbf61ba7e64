"""What is seen in rules, packets and objects."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.errors import NotFound
from testbed.scenario.lab.answers import Compare, Seen
from testbed.scenario.lab.facts import FACTS, look
from testbed.scenario.lab.running import Answer
from tests.unit.scenario.lab import scene

ON = {"node": "node1", "service": "web"}
NODE_PORT = {"from": "client1", "to": {"node": "node1", "port": 30080}, "count": 4}
TWO_PODS = scene.in_turn(
    Answer("answered", "web-1", "192.168.0.1"), Answer("answered", "web-2", "203.0.113.11")
)


def seen(name: str, arguments: dict[str, Any], **changes: Any) -> Seen:
    return look(scene.cluster(**changes), {name: arguments})


@pytest.mark.parametrize(
    ("name", "arguments", "values"),
    [
        ("serviceChain", ON, (scene.SVC,)),
        ("externalChain", ON, (scene.EXT,)),
        ("probabilities", ON, ("0.50000000000", "1")),
        ("affinitySeconds", ON, ("10800",)),
        ("endpointChain", {**ON, "pod": "web-2"}, (scene.SEP2,)),
        ("destination", {**ON, "pod": "web-2"}, ("10.244.1.2:8080",)),
        ("remembered", {**ON, "source": "client1"}, (scene.SEP2,)),
        ("remembered", {**ON, "source": "client2"}, ()),
        ("isRemembered", {**ON, "source": "client1"}, ("yes",)),
        ("isRemembered", {**ON, "source": "client2"}, ("no",)),
    ],
)
def test_what_the_rules_say(name: str, arguments: dict[str, Any], values: tuple[str, ...]) -> None:
    assert seen(name, arguments).values == values


def test_a_chain_of_something_else_is_explained() -> None:
    told = seen("serviceChain", ON).elsewhere["KUBE-SVC-API"]
    assert "10.96.0.70/32" in told


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("pods", ("web-1", "web-2")),
        ("numberOfPods", ("2",)),
        ("sources", ("192.168.0.1", "203.0.113.11")),
        ("outcome", ("answered",)),
    ],
)
def test_what_packets_meet(name: str, values: tuple[str, ...]) -> None:
    assert seen(name, NODE_PORT, network=TWO_PODS).values == values


def test_several_places_ask_alike() -> None:
    arguments = {**NODE_PORT, "from": ["client1", "client2"]}
    network = scene.from_to(
        {
            ("client1", "node1:30080"): Answer("answered", "web-1"),
            ("client2", "node1:30080"): Answer("answered", "web-2"),
        }
    )
    found = seen("pods", arguments, network=network)
    assert found.values == ("web-1", "web-2")
    assert found.text.startswith("8 of 8 connections from client1 and client2 to node1:30080")


def test_silence_is_an_outcome() -> None:
    assert seen("outcome", NODE_PORT).values == ("dropped",)


def test_who_a_source_is_stands_beside_it() -> None:
    assert (
        "192.168.0.1 is node1, 203.0.113.11 is client1" in seen("sources", NODE_PORT, network=TWO_PODS).text
    )


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("spec.sessionAffinity", ("ClientIP",)),
        ("spec.selector.app", ("web",)),
        ("spec.externalName", ()),
        ("spec.selector.app.x", ()),
    ],
)
def test_a_field_of_an_object(path: str, values: tuple[str, ...]) -> None:
    service = scene.service(sessionAffinity="ClientIP", selector={"app": "web"})
    assert (
        seen("field", {"object": "service/web", "path": path}, kinds={"Service": [service]}).values == values
    )


def test_an_empty_selector_is_none() -> None:
    kinds = {"Service": [scene.service(selector={})]}
    assert seen("field", {"object": "service/web", "path": "spec.selector"}, kinds=kinds).values == ()


def test_conditions_of_an_endpoint() -> None:
    found = seen("conditions", {"service": "web", "pod": "web-2"})
    assert found.values == ("ready=false", "serving=true", "terminating=false")
    assert found.compare is Compare.SET


def test_a_pod_that_is_in_no_slice() -> None:
    assert seen("conditions", {"service": "web", "pod": "web-9"}).values == ()


def test_endpoints_that_are_ready_and_all_of_them() -> None:
    assert seen("readyEndpoints", {"service": "web"}).values == ("web-1",)
    assert seen("numberOfEndpoints", {"service": "web"}).values == ("2",)


@pytest.mark.parametrize(("probe", "values"), [({}, ("no",)), ({"readinessProbe": {}}, ("yes",))])
def test_a_readiness_probe(probe: dict[str, Any], values: tuple[str, ...]) -> None:
    pods = [scene.pod("web-1", containers=[{"name": "web", **probe}])]
    assert seen("hasProbe", {"pod": "web-1"}, kinds={"Pod": pods}).values == values


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("serviceChain", {**ON, "service": "nosuch"}, "no Service nosuch"),
        ("probabilities", {**ON, "service": "shop"}, "no rule for 10.96.0.85:80"),
        ("endpointChain", {**ON, "pod": "web-9"}, "no pod/web-9"),
        ("externalChain", {**ON, "service": "shop"}, "no node port"),
    ],
)
def test_what_is_not_there_is_told(name: str, arguments: dict[str, Any], words: str) -> None:
    shop = {"metadata": {"name": "shop"}, "spec": {"clusterIP": "10.96.0.85", "ports": [{"port": 80}]}}
    with pytest.raises(NotFound, match=words):
        seen(name, arguments, kinds={"Service": [scene.service(), shop]})


def test_every_fact_of_the_schema_is_known() -> None:
    import json
    from pathlib import Path

    import testbed.scenario.lab

    schema = json.loads((Path(testbed.scenario.lab.__file__).parent / "lab.schema.json").read_text())
    assert set(schema["definitions"]["fact"]["properties"]) == set(FACTS)
