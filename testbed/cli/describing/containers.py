"""The containers of a pod or of a pod template, and what else both have (`describeContainers`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from testbed.cli.describing.page import Page, labels
from testbed.cli.describing.parts import NONE, notes
from testbed.cli.resources import jsonpath

Json = Mapping[str, Any]

PROBES = (("Liveness", "livenessProbe"), ("Readiness", "readinessProbe"), ("Startup", "startupProbe"))


def containers(page: Page, name: str, pod: Json, key: str, level: int = 0) -> None:
    """All containers under `key` (`containers`, `initContainers`) of a pod, or of a template (`level` 1).

    A template has no status; then what only a status knows is left out.
    """
    statuses = {c["name"]: c for c in pod.get("status", {}).get(f"{key[:-1]}Statuses") or ()}
    page.line("  " * level + f"{name}:")
    for container in pod["spec"].get(key) or ():
        # kubectl moves a template's container names by a single blank.
        page.line(f"{' ' * level}{container['name']}:", 1)
        _container(page, container, statuses.get(container["name"]), pod)


def _container(page: Page, container: Json, status: Json | None, pod: Json) -> None:
    if status:
        page.field("Container ID", status.get("containerID", ""), 2)
    page.field("Image", container.get("image", ""), 2)
    if status:
        page.field("Image ID", status.get("imageID", ""), 2)
    _ports(page, container.get("ports") or ())
    for title, key in (("Command", "command"), ("Args", "args")):
        if container.get(key):
            page.line(f"{title}:", 2)
            for line in (line for word in container[key] for line in word.split("\n")):
                page.line(line, 3)
    if status:
        _state(page, status)
    _resources(page, container.get("resources") or {})
    for title, key in PROBES:
        if container.get(key):
            page.field(title, probe_text(container[key]), 2)
    _environment(page, container, pod)
    _mounts(page, container.get("volumeMounts") or ())


def _ports(page: Page, ports: Sequence[Json]) -> None:
    many = "s" if len(ports) > 1 else ""
    for title, key in (("Port", "containerPort"), ("Host Port", "hostPort")):
        words = [
            f"{port.get(key, 0)}/{port.get('protocol', 'TCP')}" + (f" ({port['name']})" if port.get("name") else "")
            for port in ports
        ]  # fmt: skip
        page.field(title + many, ", ".join(words) or NONE, 2)


def _state(page: Page, status: Json) -> None:
    _one_state(page, "State", status.get("state") or {})
    if "terminated" in (status.get("lastState") or {}):
        _one_state(page, "Last State", status["lastState"])
    page.field("Ready", bool(status.get("ready")), 2)
    page.field("Restart Count", status.get("restartCount", 0), 2)


def _one_state(page: Page, name: str, state: Json) -> None:
    match state:
        case {"running": running}:
            page.field(name, "Running", 2)
            page.field("Started", page.time(running.get("startedAt")), 3)
        case {"terminated": ended}:
            page.field(name, "Terminated", 2)
            for title, key in (("Reason", "reason"), ("Message", "message")):
                if ended.get(key):
                    page.field(title, ended[key], 3)
            page.field("Exit Code", ended["exitCode"], 3)
            if ended.get("signal"):
                page.field("Signal", ended["signal"], 3)
            page.field("Started", page.time(ended.get("startedAt")), 3)
            page.field("Finished", page.time(ended.get("finishedAt")), 3)
        case _:
            page.field(name, "Waiting", 2)
            if state.get("waiting", {}).get("reason"):
                page.field("Reason", state["waiting"]["reason"], 3)


def _resources(page: Page, resources: Json) -> None:
    for title, key in (("Limits", "limits"), ("Requests", "requests")):
        if resources.get(key):
            page.line(f"{title}:", 2)
            for name, quantity in sorted(resources[key].items()):
                page.field(name, quantity, 3)


def probe_text(probe: Json) -> str:
    """`DescribeProbe`: what is done, and how often."""
    times = (
        f"delay={probe.get('initialDelaySeconds', 0)}s timeout={probe.get('timeoutSeconds', 1)}s "
        f"period={probe.get('periodSeconds', 10)}s #success={probe.get('successThreshold', 1)} "
        f"#failure={probe.get('failureThreshold', 3)}"
    )
    match probe:
        case {"exec": action}:
            return f"exec [{' '.join(action.get('command') or ())}] {times}"
        case {"httpGet": action}:
            place = f"{action.get('host', '')}:{action['port']}"
            return (
                f"http-get {action.get('scheme', 'HTTP').lower()}://{place}{action.get('path', '')} {times}"
            )
        case {"tcpSocket": action}:
            return f"tcp-socket {action.get('host', '')}:{action['port']} {times}"
        case {"grpc": action}:
            return f"grpc <pod>:{action['port']} {action.get('service', '')} {times}"
    return f"unknown {times}"


def _environment(page: Page, container: Json, pod: Json) -> None:
    if container.get("envFrom"):
        page.line("Environment Variables from:", 2)
        for entry in container["envFrom"]:
            page.line(_source(entry), 3)
    entries = [line for entry in container.get("env") or () for line in _variable(entry, pod)]
    page.line("Environment:" if entries else f"Environment:\t{NONE}", 2)
    for line in entries:
        page.line(line, 3)


def _source(entry: Json) -> str:
    kind, key = ("ConfigMap", "configMapRef") if "configMapRef" in entry else ("Secret", "secretRef")
    prefix = f" with prefix '{entry['prefix']}'" if entry.get("prefix") else ""
    optional = str(bool(entry[key].get("optional"))).lower()
    return f"{entry[key].get('name', '')}\t{kind}{prefix}\tOptional: {optional}"


def _variable(entry: Json, pod: Json) -> Iterator[str]:
    name = entry["name"]
    match entry.get("valueFrom"):
        case {"fieldRef": field}:
            found = jsonpath.find(field["fieldPath"], pod) if "status" in pod else []
            value = "".join(map(str, found[:1]))
            yield f"{name}:\t{value} ({field.get('apiVersion', 'v1')}:{field['fieldPath']})"
        case {"resourceFieldRef": resource}:
            yield f"{name}:\t{_resource(resource, pod)} ({resource['resource']})"
        case {"secretKeyRef": key}:
            optional = str(bool(key.get("optional"))).lower()
            yield f"{name}:\t<set to the key '{key['key']}' in secret '{key['name']}'>\tOptional: {optional}"
        case {"configMapKeyRef": key}:
            optional = str(bool(key.get("optional"))).lower()
            yield f"{name}:\t<set to the key '{key['key']}' of config map '{key['name']}'>\tOptional: {optional}"
        case _:
            first, *more = entry.get("value", "").split("\n")
            yield f"{name}:\t{first}"
            yield from (f"\t{line}" for line in more)


def _resource(reference: Json, pod: Json) -> str:
    """What a container asks for or may have at most; `node allocatable` where that is open."""
    kind, _, name = reference["resource"].partition(".")
    for container in pod["spec"]["containers"]:
        if container["name"] == reference.get("containerName", container["name"]):
            value = (container.get("resources") or {}).get(kind, {}).get(name)
            return value or ("node allocatable" if kind == "limits" else "0")
    return ""


def _mounts(page: Page, mounts: Sequence[Json]) -> None:
    page.line("Mounts:" if mounts else f"Mounts:\t{NONE}", 2)
    for mount in sorted(mounts, key=lambda mount: str(mount["mountPath"])):
        flags = "ro" if mount.get("readOnly") else "rw"
        if mount.get("subPath"):
            flags += f',path="{mount["subPath"]}"'
        page.line(f"{mount['mountPath']} from {mount['name']} ({flags})", 3)


def volumes(page: Page, spec: Json, level: int = 0) -> None:
    """The volumes with their kind of source. (kubectl explains each kind in words; here no volume is mounted.)"""
    found = spec.get("volumes") or ()
    page.line("  " * level + ("Volumes:" if found else f"Volumes:\t{NONE}"))
    for volume in found:
        page.line(f"{' ' * level}{volume['name']}:", 1)
        kinds = [key for key in volume if key != "name"]
        page.field("Type", ", ".join(kinds) or "<unknown>", 2)


def placing(page: Page, spec: Json, level: int = 0) -> None:
    """Node selectors and tolerations."""
    labels(page, "  " * level + "Node-Selectors", spec.get("nodeSelector"))
    tolerations = sorted(spec.get("tolerations") or (), key=lambda each: str(each.get("key", "")))
    page.several("  " * level + "Tolerations", map(_toleration, tolerations))


def _toleration(toleration: Json) -> str:
    text = str(toleration.get("key", ""))
    text += f"={toleration['value']}" if toleration.get("value") else ""
    text += f":{toleration['effect']}" if toleration.get("effect") else ""
    if toleration.get("operator") == "Exists" and not toleration.get("value"):
        text += " op=Exists" if text else "op=Exists"
    seconds = toleration.get("tolerationSeconds")
    return text if seconds is None else f"{text} for {seconds}s"


def template(page: Page, made: Json) -> None:
    """A workload's pod template (`DescribePodTemplate`)."""
    page.line("Pod Template:")
    metadata, spec = made.get("metadata") or {}, made["spec"]
    labels(page, "  Labels", metadata.get("labels"))
    if metadata.get("annotations"):
        notes(page, "  Annotations", metadata["annotations"])
    if spec.get("serviceAccountName"):
        page.field("Service Account", spec["serviceAccountName"], 1)
    if spec.get("initContainers"):
        containers(page, "Init Containers", {"spec": spec}, "initContainers", 1)
    containers(page, "Containers", {"spec": spec}, "containers", 1)
    volumes(page, spec, 1)
    placing(page, spec, 1)
