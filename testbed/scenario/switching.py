"""A switch of the datapath while callers call: which ways they take, and what they met.

Knows a lab instance's sockets and the callers. Knows nothing of how a datapath is switched.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from testbed.bench.stats.disturbance import Disturbance, disturbance
from testbed.bench.traffic.child import Child, python
from testbed.cluster.rpc import Client, Progress
from testbed.kube import client as kube
from testbed.machine.sandbox import Instance

MODULE = "testbed.bench.traffic.callers"
SERVICES = 3  # as many are called; more would only make each way's next call later
BEFORE_SECONDS, AFTER_SECONDS = 0.5, 1.0
RATE = 200.0  # new connections a second, over all ways


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for. `order` is empty or one of `cluster.switch.ORDERS`; rate 0: nobody calls."""

    datapath: str
    options: Mapping[str, Any] = field(default_factory=dict)
    order: str = ""
    rate: float = RATE


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the nodes, and what callers met; None if nobody could call."""

    nodes: Sequence[Mapping[str, Any]]
    met: Disturbance | None


def switch(instance: Instance, request: Request, told: Progress) -> Outcome:
    """Switch a running instance's datapath, measured. Raises what the daemon's verb `switch` raises."""
    with Client(instance.socket) as client, kube.Client(instance.kube_socket) as api:
        ways = list(found_ways(client, api)) if request.rate else []
        if not ways:
            return Outcome(_ask(client, request, told), None)
        with Child([*instance.enter_argv(), *python(MODULE)]) as callers:
            standing = callers.ask({"ways": ways, "rate": request.rate})["standing"]
            if any(standing):
                time.sleep(BEFORE_SECONDS)
            nodes = _ask(client, request, told)
            time.sleep(AFTER_SECONDS if any(standing) else 0.0)
            heard = callers.ask({"stop": True})
    attempts = [tuple(each) for each in heard["attempts"]]
    held = [tuple(each) for each in heard["held"]]
    return Outcome(nodes, disturbance(attempts, held, request.rate) if held else None)


def _ask(client: Client, request: Request, told: Progress) -> list[dict[str, Any]]:
    asked = {"datapath": request.datapath, "options": dict(request.options), "order": request.order}
    nodes: list[dict[str, Any]] = client.call("switch", told, **asked)
    return nodes


def found_ways(client: Client, api: kube.Client) -> Iterator[dict[str, Any]]:
    """From a pod on each node (or the node itself) and from a client, to some Services with ready endpoints.

    Over TCP. Who does not answer before the switch is left out by the callers.
    """
    network = client.call("inspect")["network"]
    sources = [*map(_source_on, network["nodes"], itertools.repeat(network["pods"]))]
    sources += [place["netns"] for place in network["clients"][:1]]
    for service in itertools.islice(_services(api), SERVICES):
        port = next(port["port"] for port in service["spec"]["ports"] if port.get("protocol", "TCP") == "TCP")
        for netns in sources:
            yield {"netns": netns, "address": service["spec"]["clusterIP"], "port": port}


def _source_on(node: Mapping[str, Any], pods: Sequence[Mapping[str, Any]]) -> str:
    own = (pod["netns"] for pod in pods if pod["node"] == node["name"] and pod["nodeDevice"])
    return str(next(own, node["netns"]))


def _services(api: kube.Client) -> Iterator[Mapping[str, Any]]:
    ready = {
        (piece["metadata"]["namespace"], piece["metadata"]["labels"].get("kubernetes.io/service-name"))
        for piece in api.list("EndpointSlice", None).items
        if any(each.get("conditions", {}).get("ready") for each in piece.get("endpoints") or ())
    }
    for service in api.list("Service", None).items:
        spec, where = service["spec"], (service["metadata"]["namespace"], service["metadata"]["name"])
        tcp = any(port.get("protocol", "TCP") == "TCP" for port in spec.get("ports") or ())
        if where in ready and tcp and spec.get("clusterIP", "None") not in ("", "None"):
            yield service
