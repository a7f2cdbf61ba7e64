"""What can be asked about a cluster, by name: each fact looks at the kernel, at packets or at objects.

A fact is never compared with a file: what is right is what the learner's own cluster shows. Knows kube-proxy's
rules and Kubernetes' objects; knows neither tasks nor learners.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from testbed.errors import NotFound
from testbed.kube.objects import kind_named
from testbed.scenario.lab import kernelfacts
from testbed.scenario.lab.answers import Compare, Seen
from testbed.scenario.lab.rules import Rules
from testbed.scenario.lab.running import Answer, Cluster, Object, Target

COUNT = 24  # connections, if a fact says no other number: one of three pods stays unseen once in 5,000 times
SERVICE_LABEL = "kubernetes.io/service-name"

Arguments = Mapping[str, Any]


def look(cluster: Cluster, fact: Mapping[str, Arguments]) -> Seen:
    """Look at one fact now. Raises NotFound if what it is about is not there."""
    [(name, arguments)] = fact.items()
    return FACTS[name](cluster, arguments)


def target(cluster: Cluster, to: Arguments) -> Target:
    """Where a connection to a Service, a node's port or a pod's port goes. Raises NotFound."""
    if "service" in to:
        service = named(cluster, "Service", to["service"])
        port = to.get("port", service["spec"]["ports"][0]["port"])
        return Target(f"Service {to['service']}", service["spec"]["clusterIP"], port)
    place = to["node"] if "node" in to else f"pod/{to['pod']}"
    return Target(f"{place}:{to['port']}", cluster.address(place), to["port"])


def named(cluster: Cluster, kind: str, name: str) -> Object:
    """An object by its kind and name. Raises NotFound."""
    for obj in cluster.objects(kind):
        if obj["metadata"]["name"] == name:
            return obj
    raise NotFound(f"there is no {kind} {name}")


def spread(answers: Sequence[Answer], count: int, way: str) -> str:
    """What became of connections: `3 of 3 connections from a to b: answered by web-1 (3) with source c`."""
    parts = []
    for outcome, number in Counter(answer.outcome for answer in answers).most_common():
        if outcome == "answered":
            pods = Counter(answer.pod for answer in answers if answer.pod)
            sources = " and ".join(sorted({answer.source for answer in answers if answer.source}))
            by = ", ".join(f"{pod} ({pods[pod]})" for pod in sorted(pods))
            parts.append(f"answered by {by}{f' with source {sources}' if sources else ''}")
        else:
            notes = sorted({answer.note for answer in answers if answer.outcome == outcome and answer.note})
            parts.append(f"{number} {outcome}{f' ({notes[0]})' if notes else ''}")
    return f"{len(answers)} of {count} connections {way}: {'; '.join(parts)}"


def _service_chain(cluster: Cluster, arguments: Arguments) -> Seen:
    rules, (address, port) = cluster.rules(arguments["node"]), _front(cluster, arguments["service"])
    chain = rules.service_chain(address, port)
    text = f"on {arguments['node']} KUBE-SERVICES sends {address}:{port} to {chain or 'no chain'}"
    return Seen(_some(chain), Compare.WORDS, text, _meanings(rules))


def _external_chain(cluster: Cluster, arguments: Arguments) -> Seen:
    rules, port = cluster.rules(arguments["node"]), _node_port(cluster, arguments["service"])
    chain = rules.node_port_chain(port)
    text = f"on {arguments['node']} KUBE-NODEPORTS sends port {port} to {chain or 'no chain'}"
    return Seen(_some(chain), Compare.WORDS, text, _meanings(rules))


def _probabilities(cluster: Cluster, arguments: Arguments) -> Seen:
    rules = cluster.rules(arguments["node"])
    chances = [r.option("--probability") or "1" for r in rules.choices(_chain(cluster, rules, arguments))]
    text = f"the rules for endpoints on {arguments['node']} have the probabilities {' '.join(chances)}"
    return Seen(tuple(chances), Compare.NUMBERS, text)


def _endpoint_chain(cluster: Cluster, arguments: Arguments) -> Seen:
    rules = cluster.rules(arguments["node"])
    chain, destination = _endpoint(cluster, rules, arguments)
    text = f"{chain} sends packets to {destination}, which is {arguments['pod']}"
    return Seen((chain,), Compare.WORDS, text, _meanings(rules))


def _destination(cluster: Cluster, arguments: Arguments) -> Seen:
    rules = cluster.rules(arguments["node"])
    chain, destination = _endpoint(cluster, rules, arguments)
    elsewhere = {address: f"is the address of {title}" for address, title in _addresses(cluster).items()}
    return Seen((destination,), Compare.WORDS, f"{chain} has a DNAT to {destination}", elsewhere)


def _affinity_seconds(cluster: Cluster, arguments: Arguments) -> Seen:
    rules = cluster.rules(arguments["node"])
    found = {rule.option("--seconds") for rule in rules.of(_chain(cluster, rules, arguments))} - {""}
    seconds = tuple(sorted(found))
    text = f"the rules on {arguments['node']} remember a source for {' '.join(seconds) or 'no'} seconds"
    return Seen(seconds, Compare.NUMBERS, text)


def _remembered(cluster: Cluster, arguments: Arguments) -> Seen:
    """The endpoint chains of a Service under which a node remembers a source."""
    rules, source = cluster.rules(arguments["node"]), cluster.address(arguments["source"])
    ours = {rule.jump for rule in rules.choices(_chain(cluster, rules, arguments))}
    chains = sorted(
        c for c, sources in cluster.remembered(arguments["node"]).items() if source in sources and c in ours
    )
    where = f"under {' and '.join(chains)}" if chains else "nowhere"
    return Seen(
        tuple(chains), Compare.SET, f"{arguments['node']} remembers {source} {where}", _meanings(rules)
    )


def _is_remembered(cluster: Cluster, arguments: Arguments) -> Seen:
    seen = _remembered(cluster, arguments)
    return Seen(("yes" if seen.values else "no",), Compare.WORDS, seen.text)


def _pods(cluster: Cluster, arguments: Arguments) -> Seen:
    answers, text = _asked(cluster, arguments)
    return Seen(tuple(sorted({answer.pod for answer in answers if answer.pod})), Compare.SET, text)


def _number_of_pods(cluster: Cluster, arguments: Arguments) -> Seen:
    answers, text = _asked(cluster, arguments)
    return Seen((str(len({answer.pod for answer in answers if answer.pod})),), Compare.NUMBERS, text)


def _spread(cluster: Cluster, arguments: Arguments) -> Seen:
    """How many connections each pod got, the fewest first."""
    answers, text = _asked(cluster, arguments)
    counts = Counter(answer.pod for answer in answers if answer.pod)
    return Seen(tuple(map(str, sorted(counts.values()))), Compare.NUMBERS, text)


def _rules_passed(cluster: Cluster, arguments: Arguments) -> Seen:
    """How many rules of KUBE-SERVICES are read until that of a Service matches, its own included."""
    rules, (address, port) = cluster.rules(arguments["node"]), _front(cluster, arguments["service"])
    number = rules.place(address, port)
    text = (
        f"on {arguments['node']} {address}:{port} is the subject of rule {number or 'none'} of KUBE-SERVICES"
    )
    return Seen((str(number),), Compare.NUMBERS, text)


def _packets_counted(cluster: Cluster, arguments: Arguments) -> Seen:
    """How many packets of one connection, opened now, a Service's rule of KUBE-SERVICES counts."""
    node, place = arguments["node"], arguments["from"]
    there = target(cluster, {"service": arguments["service"]})
    chain = _chain(cluster, cluster.rules(node), arguments)
    before = cluster.counted(node, chain)
    answers = cluster.connect(place, there, 1)
    number = cluster.counted(node, chain) - before
    said = spread(answers, 1, f"from {place} to {there.title}")
    return Seen((str(number),), Compare.NUMBERS, f"{said}; its rule on {node} counted {number} packets")


def _scheduler(cluster: Cluster, arguments: Arguments) -> Seen:
    address, port = _front(cluster, arguments["service"])
    return kernelfacts.scheduler(cluster, arguments["node"], f"{address}:{port}")


def _sources(cluster: Cluster, arguments: Arguments) -> Seen:
    answers, text = _asked(cluster, arguments)
    sources = tuple(sorted({answer.source for answer in answers if answer.source}))
    known = _addresses(cluster)
    elsewhere = {address: f"is the address of {title}" for address, title in known.items()}
    whose = ", ".join(f"{source} is {known.get(source, 'nobody known')}" for source in sources)
    return Seen(sources, Compare.SET, f"{text}{f'; {whose}' if whose else ''}", elsewhere)


def _outcome(cluster: Cluster, arguments: Arguments) -> Seen:
    answers, text = _asked(cluster, {"count": 3, **arguments})
    outcomes = sorted({answer.outcome for answer in answers})
    return Seen(tuple(outcomes), Compare.SET, text)


def _field(cluster: Cluster, arguments: Arguments) -> Seen:
    kind, _, name = arguments["object"].partition("/")
    value: Any = named(cluster, kind_named(kind).name, name)
    for key in arguments["path"].split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    shown = "" if value is None or value == {} else str(value)
    text = f"{arguments['object']} has {arguments['path']} {shown or 'unset'}"
    return Seen(_some(shown), Compare.WORDS, text)


def _conditions(cluster: Cluster, arguments: Arguments) -> Seen:
    """The conditions that the EndpointSlices tell of a pod, in Kubernetes' order."""
    for endpoint in _endpoints(cluster, arguments["service"]):
        if (endpoint.get("targetRef") or {}).get("name") == arguments["pod"]:
            told = endpoint.get("conditions") or {}
            shown = [f"{key}={str(told.get(key)).lower()}" for key in ("ready", "serving", "terminating")]
            return Seen(tuple(shown), Compare.SET, f"the slice says of {arguments['pod']}: {' '.join(shown)}")
    return Seen(
        (), Compare.SET, f"no EndpointSlice of Service {arguments['service']} names {arguments['pod']}"
    )


def _ready_endpoints(cluster: Cluster, arguments: Arguments) -> Seen:
    endpoints = _endpoints(cluster, arguments["service"])
    ready = [e for e in endpoints if (e.get("conditions") or {}).get("ready") is not False]
    names = sorted(_title(endpoint) for endpoint in ready)
    text = (
        f"Service {arguments['service']} has {len(endpoints)} endpoints, ready: {', '.join(names) or 'none'}"
    )
    return Seen(tuple(names), Compare.SET, text)


def _number_of_endpoints(cluster: Cluster, arguments: Arguments) -> Seen:
    number = len(_endpoints(cluster, arguments["service"]))
    return Seen((str(number),), Compare.NUMBERS, f"Service {arguments['service']} has {number} endpoints")


def _has_probe(cluster: Cluster, arguments: Arguments) -> Seen:
    containers = named(cluster, "Pod", arguments["pod"])["spec"]["containers"]
    has = all("readinessProbe" in container for container in containers)
    text = f"pod {arguments['pod']} has {'a' if has else 'no'} readiness probe"
    return Seen(("yes" if has else "no",), Compare.WORDS, text)


FACTS: Mapping[str, Callable[[Cluster, Arguments], Seen]] = {
    "serviceChain": _service_chain,
    "externalChain": _external_chain,
    "probabilities": _probabilities,
    "endpointChain": _endpoint_chain,
    "destination": _destination,
    "affinitySeconds": _affinity_seconds,
    "remembered": _remembered,
    "isRemembered": _is_remembered,
    "pods": _pods,
    "numberOfPods": _number_of_pods,
    "sources": _sources,
    "outcome": _outcome,
    "field": _field,
    "conditions": _conditions,
    "readyEndpoints": _ready_endpoints,
    "numberOfEndpoints": _number_of_endpoints,
    "hasProbe": _has_probe,
    "spread": _spread,
    "rulesPassed": _rules_passed,
    "packetsCounted": _packets_counted,
    "serviceScheduler": _scheduler,
    **kernelfacts.FACTS,
}


def _asked(cluster: Cluster, arguments: Arguments) -> tuple[Sequence[Answer], str]:
    """Connections as the arguments say, from each place as many, and what became of them."""
    there, count, places = target(cluster, arguments["to"]), arguments.get("count", COUNT), arguments["from"]
    places = [places] if isinstance(places, str) else places
    answers = [answer for place in places for answer in cluster.connect(place, there, count)]
    return answers, spread(answers, count * len(places), f"from {' and '.join(places)} to {there.title}")


def _front(cluster: Cluster, service: str) -> tuple[str, int]:
    """A Service's cluster IP and first port."""
    spec = named(cluster, "Service", service)["spec"]
    return spec["clusterIP"], spec["ports"][0]["port"]


def _node_port(cluster: Cluster, service: str) -> int:
    port = named(cluster, "Service", service)["spec"]["ports"][0].get("nodePort")
    if not port:
        raise NotFound(f"Service {service} has no node port")
    return int(port)


def _chain(cluster: Cluster, rules: Rules, arguments: Arguments) -> str:
    """The chain of a Service. Raises NotFound if the kernel has none."""
    address, port = _front(cluster, arguments["service"])
    chain = rules.service_chain(address, port)
    if not chain:
        raise NotFound(f"KUBE-SERVICES on {arguments['node']} has no rule for {address}:{port}")
    return chain


def _endpoint(cluster: Cluster, rules: Rules, arguments: Arguments) -> tuple[str, str]:
    """The chain of a Service's endpoint on a pod, and where it sends packets. Raises NotFound."""
    address = cluster.address(f"pod/{arguments['pod']}")
    for rule in rules.choices(_chain(cluster, rules, arguments)):
        destination = rules.destination(rule.jump)
        if destination.partition(":")[0] == address:
            return rule.jump, destination
    raise NotFound(
        f"no rule of Service {arguments['service']} on {arguments['node']} leads to {arguments['pod']}"
    )


def _endpoints(cluster: Cluster, service: str) -> list[Mapping[str, Any]]:
    """The endpoints of all EndpointSlices of a Service."""
    slices = cluster.objects("EndpointSlice")
    ours = [s for s in slices if (s["metadata"].get("labels") or {}).get(SERVICE_LABEL) == service]
    return [endpoint for piece in ours for endpoint in piece.get("endpoints") or ()]


def _title(endpoint: Mapping[str, Any]) -> str:
    """A pod's name, or an address that is nobody's."""
    return str((endpoint.get("targetRef") or {}).get("name") or endpoint["addresses"][0])


def _addresses(cluster: Cluster) -> dict[str, str]:
    """Who has which address: pods and nodes, and the clients as they are always numbered."""
    found = {f"203.0.113.{number}": f"client{number - 10}" for number in range(11, 20)}
    for node in cluster.objects("Node"):
        for told in node["status"]["addresses"]:
            found[told["address"]] = str(node["metadata"]["name"])
    for pod in cluster.objects("Pod"):
        if ip := pod.get("status", {}).get("podIP"):
            found[ip] = f"pod {pod['metadata']['name']}"
    return found


def _meanings(rules: Rules) -> dict[str, str]:
    """Of every chain of ours the first rule that leads there."""
    return {chain: f"is where this rule leads: {rule}" for chain, rule in rules.first_leading().items()}


def _some(value: str) -> tuple[str, ...]:
    return (value,) if value else ()
