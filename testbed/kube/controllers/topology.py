"""Hints in endpoints: which zone's or node's clients they are for. Pure.

Two ways, as in kubernetes/endpointslice: spec.trafficDistribution gives each endpoint to its own zone (or node),
however uneven that is (trafficdist.go); the annotation topology-mode: Auto deals the endpoints out to the zones by
their share of the nodes' CPUs, or gives no hints where that would overload a zone (topologycache, KEP-2433).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from testbed.kube.controllers.metadata import condition_true
from testbed.kube.controllers.selectors import labels_of
from testbed.kube.store import Object

ZONE = "topology.kubernetes.io/zone"
MODES = ("service.kubernetes.io/topology-mode", "service.kubernetes.io/topology-aware-hints")
OVERLOAD = 0.2  # topologycache overloadThreshold
NO_RATIOS = "Nodes do not have all the information needed for topology hints: zone and allocatable cpu"
ONE_ZONE = "Nodes only ready in one zone"
NO_ZONE = "One or more endpoints do not have a zone specified"
TOO_FEW = "Insufficient number of endpoints"
OVERLOADED = "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold"

_CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m?)")

Endpoints = Mapping[str, Object]


def automatic(service: Object) -> bool:
    """True if the Service asks for hints by annotation; that goes before trafficDistribution."""
    annotations = service["metadata"].get("annotations") or {}
    return any(annotations.get(mode, "").lower() == "auto" for mode in MODES)


def distributed(service: Object, endpoints: Endpoints) -> dict[str, Object]:
    """The endpoints with the hints that spec.trafficDistribution asks for; only ready ones get any."""
    wish = service["spec"].get("trafficDistribution")
    if wish not in ("PreferClose", "PreferSameZone", "PreferSameNode"):
        return dict(endpoints)
    return {
        uid: _hinted(each, _near(each, by_node=wish == "PreferSameNode")) for uid, each in endpoints.items()
    }


def _near(endpoint: Object, *, by_node: bool) -> dict[str, Any]:
    if not endpoint["conditions"]["ready"]:
        return {}
    hints = {"forZones": [{"name": endpoint["zone"]}]} if endpoint.get("zone") else {}
    if by_node and endpoint.get("nodeName"):
        hints["forNodes"] = [{"name": endpoint["nodeName"]}]
    return hints


def _hinted(endpoint: Object, hints: Mapping[str, Any]) -> Object:
    return {**endpoint, "hints": hints} if hints else endpoint


def cpu_ratios(nodes: Iterable[Object]) -> dict[str, float] | None:
    """Each zone's share of the CPUs of nodes that are ready and no control plane; None if a node does not say."""
    cpus: dict[str, float] = {}
    for node in nodes:
        if any(label in labels_of(node) for label in _CONTROL_PLANE) or not condition_true(node, "Ready"):
            continue
        zone, cpu = labels_of(node).get(ZONE, ""), _cpus(node)
        if not zone or not cpu:
            return None
        cpus[zone] = cpus.get(zone, 0.0) + cpu
    return {zone: cpus[zone] / sum(cpus.values()) for zone in sorted(cpus)} if cpus else None


def _cpus(node: Object) -> float:
    """The node's allocatable CPUs; 0 if it does not say, or not so that it can be understood."""
    match = _QUANTITY.fullmatch(str(node.get("status", {}).get("allocatable", {}).get("cpu", "")))
    return float(match[1]) / (1000 if match[2] else 1) if match else 0.0


def dealt_out(endpoints: Endpoints, ratios: Mapping[str, float] | None) -> tuple[dict[str, Object], str]:
    """The endpoints with hints for zones by their ratios; or without any, and why not."""
    ready = [uid for uid, each in endpoints.items() if each["conditions"]["ready"]]
    trouble = _trouble([endpoints[uid] for uid in ready], ratios)
    if trouble or ratios is None:
        return dict(endpoints), trouble
    zones = {uid: str(endpoints[uid]["zone"]) for uid in ready}
    desired = {zone: ratio * len(ready) for zone, ratio in ratios.items()}
    for uid, zone in _moves(zones, desired).items():
        zones[uid] = zone
    hinted = {uid: _hinted(endpoints[uid], {"forZones": [{"name": zone}]}) for uid, zone in zones.items()}
    return {**endpoints, **hinted}, ""


def _trouble(ready: Sequence[Object], ratios: Mapping[str, float] | None) -> str:
    """Why there are no hints (topologycache getAllocations, AddHints)."""
    if ratios is None:
        return NO_RATIOS
    if len(ratios) < 2:
        return ONE_ZONE
    counted = f"({len(ready)} endpoints, {len(ratios)} zones)"
    if len(ratios) > len(ready):
        return f"{TOO_FEW} {counted}"
    if sum(math.ceil(ratio * len(ready) / (1 + OVERLOAD)) for ratio in ratios.values()) > len(ready):
        return f"{OVERLOADED} {counted}"
    return "" if all(each.get("zone") for each in ready) else NO_ZONE


def _moves(zones: Mapping[str, str], desired: Mapping[str, float]) -> dict[str, str]:
    """Which endpoints serve another zone than their own: one after the other from the zone with most to spare
    to the one that lacks most, until no whole endpoint is to be moved (getGivingAndReceivingZones)."""
    spare = Counter(zones.values())
    balance = {zone: spare[zone] - desired.get(zone, 0.0) for zone in sorted({*spare, *desired})}
    rows = {zone: [uid for uid, own in zones.items() if own == zone] for zone in balance}
    moved: dict[str, str] = {}
    while balance:
        giver = max(balance, key=lambda zone: balance[zone])
        taker = min(balance, key=lambda zone: balance[zone])
        if balance[giver] <= 0 or balance[taker] >= 0 or (balance[giver] < 1 and balance[taker] > -1):
            break
        balance[giver] -= 1
        balance[taker] += 1
        moved[rows[giver].pop(0)] = taker
    return moved
