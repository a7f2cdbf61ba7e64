"""What churns: pods that stay where they are, and Services whose slices are written by hand, at random.

A pod that is no endpoint any more still answers, so a packet that goes to it wrongly is seen. Knows objects and
what the Services are for; knows no traffic.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

from tests.net.churn.history import State, Way

Object = dict[str, Any]

NODES = ("node1", "node2")
PODS = {f"web-{node[-1]}{letter}": node for node in NODES for letter in "abc"}
ASKERS = {f"ask-{node[-1]}": node for node in NODES}
PORT, TARGET_PORT = 80, 8080
LOCAL_ON = {node: frozenset(name for name, where in PODS.items() if where == node) for node in NODES}
EMPTY, SAME_POLICIES = 0.15, 0.9  # shares of the changes that scale to 0, and that leave the policies alone


@dataclass(frozen=True, slots=True)
class Kind:
    """A Service of the world: its name, and in what it differs from the others."""

    name: str
    family: str
    spec: Mapping[str, Any]


KINDS = (
    Kind("plain", "IPv4", {}),
    Kind("six", "IPv6", {"type": "NodePort"}),
    Kind("port", "IPv4", {"type": "NodePort"}),
    Kind("balanced", "IPv4", {"type": "LoadBalancer"}),
    Kind("sticky", "IPv4", {"sessionAffinity": "ClientIP"}),
)


def cluster(datapath: str, options: Mapping[str, Any]) -> str:
    """The Cluster document. Rounds follow each other at once: changes are as many as the machine can make."""
    return yaml.safe_dump({
        "apiVersion": "testbed.dev/v1alpha1",
        "kind": "Cluster",
        "metadata": {"name": "churn"},
        "networking": {"ipFamily": "dual", "kubeProxyMode": datapath},
        "kubeProxy": {datapath: {**options, "minSyncPeriod": "0s"}},
        "nodes": [{"role": "worker", "count": len(NODES)}],
        "clients": 1,
    })  # fmt: skip


def pods() -> str:
    """The pods, as manifests."""
    return yaml.safe_dump_all([_pod(name, node) for name, node in {**PODS, **ASKERS}.items()])


def _pod(name: str, node: str) -> Object:
    ports = [{"containerPort": TARGET_PORT, "protocol": protocol} for protocol in ("TCP", "UDP")]
    container = {"name": "web", "image": "web", "ports": ports}
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"nodeName": node, "containers": [container]},
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class World:
    """The Services as objects; `addresses` are the pods', by name and then by family."""

    addresses: Mapping[str, Mapping[str, str]]

    def manifests(self, states: Mapping[str, State]) -> str:
        """The Services of these names and their slices."""
        kinds = [kind for kind in KINDS if kind.name in states]
        objects = [each for kind in kinds for each in self._objects(kind, states[kind.name])]
        return yaml.dump_all(objects, Dumper=yaml.CSafeDumper)

    def _objects(self, kind: Kind, state: State) -> Iterator[Object]:
        ports = [{"name": protocol.lower(), "protocol": protocol} for protocol in ("TCP", "UDP")]
        spec: Object = {
            "ipFamilyPolicy": "SingleStack", "ipFamilies": [kind.family],
            "internalTrafficPolicy": state.internal, **kind.spec,
            "ports": [{**port, "port": PORT, "targetPort": TARGET_PORT} for port in ports],
        }  # fmt: skip
        if "type" in kind.spec:
            spec["externalTrafficPolicy"] = state.external
        yield {"apiVersion": "v1", "kind": "Service", "metadata": {"name": kind.name}, "spec": spec}
        yield {
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": f"{kind.name}-1", "labels": {"kubernetes.io/service-name": kind.name}},
            "addressType": kind.family,
            "ports": [{**port, "port": TARGET_PORT} for port in ports],
            "endpoints": [
                {"addresses": [self.addresses[pod][kind.family]], "nodeName": PODS[pod],
                 "conditions": {"ready": True, "serving": True, "terminating": False}}
                for pod in sorted(state.pods)
            ],
        }  # fmt: skip

    def targets(
        self, services: Mapping[str, Object], nodes: Mapping[str, Mapping[str, str]]
    ) -> Iterator[Object]:
        """Whom to ask from where, with the Way that this is. `services` as the API has them."""
        for kind in KINDS:
            spec = services[kind.name]["spec"]
            for asker, node in {
                **{f"default_{name}": node for name, node in ASKERS.items()},
                "node1": "node1",
            }.items():
                yield _target(kind.name, asker, node, spec["clusterIP"], PORT, external=False)
            if "type" in kind.spec:
                node_port = spec["ports"][0]["nodePort"]
                for node in NODES:
                    address = nodes[node][kind.family]
                    yield _target(kind.name, "client1", node, address, node_port, external=True)
            for ingress in services[kind.name]["status"].get("loadBalancer", {}).get("ingress", ()):
                yield _target(kind.name, "client1", "node1", ingress["ip"], PORT, external=True)


def _target(service: str, asker: str, node: str, address: str, port: int, *, external: bool) -> Object:
    way = Way(service, external, LOCAL_ON[node])
    return {"service": service, "netns": asker, "address": address, "port": port, "way": way}


def beginning() -> dict[str, State]:
    """Every Service with every pod."""
    return {kind.name: State(frozenset(PODS)) for kind in KINDS}


def changed(states: Mapping[str, State], dice: random.Random) -> dict[str, State]:
    """One to three Services, changed: other endpoints, none, or another policy."""
    names = dice.sample([kind.name for kind in KINDS], dice.choice((1, 1, 2, 3)))
    return {name: _changed(states[name], dice) for name in names}


def _changed(state: State, dice: random.Random) -> State:
    if dice.random() > SAME_POLICIES:
        return replace(state, internal=_other(state.internal, dice), external=_other(state.external, dice))
    pods = frozenset() if dice.random() < EMPTY else frozenset(dice.sample(sorted(PODS), dice.randint(1, 4)))
    return replace(state, pods=pods)


def _other(policy: str, dice: random.Random) -> str:
    return dice.choice((policy, "Local" if policy == "Cluster" else "Cluster"))
