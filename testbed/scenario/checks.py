"""What can be wrong with a scenario beyond what its schema says, told before anything is built.

Knows the fields of `scenario.yaml` and the manifests that they name. Knows nothing of how arms are built.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from testbed.cluster.agent import datapath_options
from testbed.datapaths import find
from testbed.errors import Mistake, UsageError
from testbed.kube.objects import Loaded
from testbed.kube.objects.documents import Document
from testbed.scenario.shape import DISCARD_PORT, NAMESPACE, NO_DATAPATH, cluster_for

DEFAULT_SECONDS = 170.0


def own_mistakes(document: Document) -> Iterator[Mistake]:
    """What is wrong with the scenario whatever its manifests say."""
    body, source = document.body, document.source
    known = (NO_DATAPATH, *find.names())
    ids = [arm["id"] for arm in body["arms"]]
    for number, arm in enumerate(body["arms"]):
        path = f"arms[{number}]"
        if arm["datapath"] not in known:
            message, hint = f"no datapath {arm['datapath']!r}", f"one of {', '.join(known)}"
            yield source.mistake(f"{path}.datapath", message, hint)
        if arm["id"] in ids[:number]:
            yield source.mistake(f"{path}.id", f"{arm['id']!r} is there already")
        if arm["path"] == "service" and arm["datapath"] == NO_DATAPATH:
            message = "no datapath would bring packets through a Service"
            yield source.mistake(f"{path}.path", message, "path: direct, or a datapath")
    yield from _probe_mistakes(document)


def _probe_mistakes(document: Document) -> Iterator[Mistake]:
    body, source = document.body, document.source
    if any(load > 0 for probe in body["probes"] for load in probe.get("load", ())) and "noise" not in body:
        hint = "noise: {from: POD, to: POD}"
        yield source.mistake("probes", "a probe asks for a load, but nobody makes noise", hint)
    allowed = body.get("seconds", DEFAULT_SECONDS)
    for number, probe in enumerate(body["probes"]):
        lasts = (probe["count"] + probe.get("warmUp", 0)) / probe["rate"]
        if lasts > allowed:
            message = f"one block alone would take {lasts:.0f} s, and the scenario has {allowed:g} s"
            yield source.mistake(f"probes[{number}].rate", message, "a higher rate, or a lower count")


def mistakes_with(document: Document, loaded: Loaded) -> Iterator[Mistake]:
    """What does not fit together with the manifests."""
    pods = _named(loaded, "Pod")
    noise = document.body.get("noise", {})
    wanted = {"client": document.body["client"], **{f"noise.{end}": name for end, name in noise.items()}}
    for path, name in wanted.items():
        if name not in pods:
            message = f"no Pod {name!r} among the manifests, in namespace {NAMESPACE}"
            yield document.source.mistake(path, message, _one_of(pods))
    sink = pods.get(noise.get("to", ""))
    if sink is not None and (DISCARD_PORT, "UDP") not in _container_ports(sink):
        message = f"the Pod {noise['to']!r} takes no packets on port {DISCARD_PORT}/UDP"
        hint = f"ports: [{{name: discard, containerPort: {DISCARD_PORT}, protocol: UDP}}]"
        yield document.source.mistake("noise.to", message, hint)
    yield from _target_mistakes(document, _named(loaded, "Service"))
    yield from _option_mistakes(document, loaded)


def _target_mistakes(document: Document, services: Mapping[str, Any]) -> Iterator[Mistake]:
    target = document.body["target"]
    name = target["service"]
    if name not in services:
        message = f"no Service {name!r} among the manifests, in namespace {NAMESPACE}"
        yield document.source.mistake("target.service", message, _one_of(services))
        return
    ports = {(port["port"], port["protocol"]) for port in services[name]["spec"].get("ports", ())}
    for field, protocol in (("udpPort", "UDP"), ("tcpPort", "TCP")):
        if (target[field], protocol) not in ports:
            message = f"the Service {name!r} has no port {target[field]}/{protocol}"
            hint = _one_of([f"{port}/{has}" for port, has in sorted(ports)])
            yield document.source.mistake(f"target.{field}", message, hint)


def _option_mistakes(document: Document, loaded: Loaded) -> Iterator[Mistake]:
    """Variants and options that the datapath itself refuses."""
    for number, arm in enumerate(document.body["arms"]):
        name, variant = arm["datapath"], arm.get("variant", "")
        path = f"arms[{number}].{'variant' if variant else 'datapath'}"
        if name == NO_DATAPATH and variant:
            yield document.source.mistake(path, f"no datapath, so no variant {variant!r}", "leave it out")
        elif name in find.names():
            try:
                find.load(name, datapath_options(cluster_for(loaded, name, variant).kube_proxy))
            except UsageError as error:
                yield document.source.mistake(path, str(error))


def _named(loaded: Loaded, kind: str) -> dict[str, Any]:
    """The manifests of a kind in our namespace, by name."""
    bodies = (manifest.body for manifest in loaded.manifests)
    ours = (body for body in bodies if body["kind"] == kind)
    return {
        body["metadata"]["name"]: body
        for body in ours
        if body["metadata"].get("namespace", NAMESPACE) == NAMESPACE
    }


def _container_ports(pod: Mapping[str, Any]) -> set[tuple[int, str]]:
    ports = (port for container in pod["spec"]["containers"] for port in container.get("ports", ()))
    return {(port["containerPort"], port.get("protocol", "TCP")) for port in ports}


def _one_of(names: Collection[str]) -> str:
    return f"one of {', '.join(names)}" if names else ""
