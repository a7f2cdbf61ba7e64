"""Hints: by spec.trafficDistribution, and dealt out by the zones' CPUs."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.kube.controllers import topology
from testbed.kube.controllers.topology import cpu_ratios, dealt_out, distributed


def endpoints(text: str) -> dict[str, dict[str, Any]]:
    """One endpoint for each letter: its zone; a capital one is not ready, `-` has no zone."""
    return {
        f"e{i}": {
            "conditions": {"ready": not c.isupper()},
            "nodeName": f"n{i}",
            **({"zone": c.lower()} if c != "-" else {}),
        }
        for i, c in enumerate(text)
    }


def zones(found: dict[str, Any]) -> str:
    """The zone in each endpoint's hints, `.` for none."""
    return "".join(e["hints"]["forZones"][0]["name"] if "hints" in e else "." for e in found.values())


def node(zone: str, cpu: str = "1", **labels: str) -> dict[str, Any]:
    status = {"allocatable": {"cpu": cpu}, "conditions": [{"type": "Ready", "status": "True"}]}
    return {"metadata": {"name": "n", "labels": {topology.ZONE: zone, **labels}}, "status": status}


def service(wish: str) -> dict[str, Any]:
    return {"metadata": {"name": "web"}, "spec": {"trafficDistribution": wish}}


@pytest.mark.parametrize("wish", ["PreferClose", "PreferSameZone"])
def test_each_zone_for_itself(wish: str) -> None:
    assert zones(distributed(service(wish), endpoints("abA-"))) == "ab.."


def test_each_node_for_itself() -> None:
    found = distributed(service("PreferSameNode"), endpoints("a-"))
    assert found["e0"]["hints"] == {"forZones": [{"name": "a"}], "forNodes": [{"name": "n0"}]}
    assert found["e1"]["hints"] == {"forNodes": [{"name": "n1"}]}


def test_no_wish_no_hints() -> None:
    given = endpoints("ab")
    assert distributed({"metadata": {}, "spec": {}}, given) == given


@pytest.mark.parametrize(
    ("nodes", "ratios"),
    [
        ([node("a"), node("b")], {"a": 0.5, "b": 0.5}),
        ([node("a", "3"), node("b", "1000m")], {"a": 0.75, "b": 0.25}),
        ([node("a"), node("b", **{"node-role.kubernetes.io/control-plane": ""})], {"a": 1.0}),
        ([node("a"), node("")], None),
        ([node("a", "many")], None),
        ([], None),
    ],
)
def test_ratios(nodes: list[Any], ratios: dict[str, float] | None) -> None:
    assert cpu_ratios(nodes) == ratios


EVEN = {"a": 0.5, "b": 0.5}


@pytest.mark.parametrize(
    ("given", "ratios", "found"),
    [
        pytest.param("aabb", EVEN, "aabb", id="balanced"),
        pytest.param("aaab", EVEN, "baab", id="one moves"),
        pytest.param("aaaa", EVEN, "bbaa", id="two move"),
        pytest.param("aaaaB", EVEN, "bbaa.", id="those that are not ready do not count"),
        pytest.param("aabbcc", {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}, "aabbcc", id="three zones"),
        pytest.param("aaaaaacc", {"a": 0.5, "b": 0.5}, "bbaaaabb", id="a zone without nodes gives all"),
    ],
)
def test_dealt_out(given: str, ratios: dict[str, float], found: str) -> None:
    hinted, trouble = dealt_out(endpoints(given), ratios)
    assert trouble == ""
    assert sorted(zones(hinted)) == sorted(found)


@pytest.mark.parametrize(
    ("given", "ratios", "trouble"),
    [
        ("ab", None, topology.NO_RATIOS),
        ("ab", {"a": 1.0}, topology.ONE_ZONE),
        ("a", EVEN, f"{topology.TOO_FEW} (1 endpoints, 2 zones)"),
        ("aab", EVEN, f"{topology.OVERLOADED} (3 endpoints, 2 zones)"),
        ("aab-", EVEN, topology.NO_ZONE),
    ],
)
def test_no_hints_and_why(given: str, ratios: dict[str, float] | None, trouble: str) -> None:
    hinted, told = dealt_out(endpoints(given), ratios)
    assert (set(zones(hinted)), told) == ({"."}, trouble)
