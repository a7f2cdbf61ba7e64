"""Rules for a Pod, and for the pod template of a Deployment (pkg/apis/core/validation `ValidatePodSpec`).

Knows the parts of a pod that testbed acts on: containers, ports, probes, environment, policies. Unlike
Kubernetes it asks for no image: nothing is pulled, and a pod without a command serves its ports.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from testbed.kube.objects.fields import (
    FieldError,
    FieldErrors,
    at_least,
    forbidden,
    invalid,
    one_of,
    required,
    unique,
)
from testbed.kube.objects.ips import ordinary_ip
from testbed.kube.objects.names import (
    dns_label,
    dns_subdomain,
    labels,
    named,
    port_name,
    port_number,
    port_number_or_name,
)
from testbed.kube.objects.pod_placement import placement_errors
from testbed.kube.objects.service import PROTOCOLS
from testbed.kube.objects.source import child

_RESTART_POLICIES = ("Always", "Never", "OnFailure")
_DNS_POLICIES = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_PROBE_NUMBERS = (
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
)
_HANDLERS = ("exec", "grpc", "httpGet", "tcpSocket")

Part = Mapping[str, Any]


def pod_errors(body: Part) -> FieldErrors:
    """The mistakes in a defaulted Pod."""
    yield from pod_spec_errors("spec", body["spec"])
    status = body.get("status", {})
    for i, pod_ip in enumerate(status.get("podIPs", ())):
        yield from ordinary_ip(f"status.podIPs[{i}].ip", pod_ip.get("ip", ""))


def pod_spec_errors(path: str, spec: Part) -> FieldErrors:
    """The mistakes in the spec of a pod, which stands at `path`."""
    if not spec.get("containers"):
        yield required(f"{path}.containers", hint="a pod has at least one container")
    for field in ("containers", "initContainers"):
        for i, container in enumerate(spec.get(field, ())):
            yield from _container(child(f"{path}.{field}", i), container, bool(spec.get("hostNetwork")))
    yield from _unique_containers(path, spec)
    yield from one_of(f"{path}.restartPolicy", spec["restartPolicy"], _RESTART_POLICIES)
    yield from one_of(f"{path}.dnsPolicy", spec["dnsPolicy"], _DNS_POLICIES)
    yield from at_least(f"{path}.terminationGracePeriodSeconds", spec["terminationGracePeriodSeconds"])
    yield from labels(f"{path}.nodeSelector", spec.get("nodeSelector", {}))
    for field, rule in (("nodeName", dns_subdomain), ("hostname", dns_label), ("subdomain", dns_label)):
        if spec.get(field):
            yield from named(f"{path}.{field}", spec[field], rule)
    yield from _volumes(path, spec)
    yield from placement_errors(path, spec)


def _volumes(path: str, spec: Part) -> FieldErrors:
    """Volumes have names of their own, and a container mounts none that is not there (`ValidateVolumeMounts`).

    The latter is asked of pods alone: a StatefulSet's template may mount what volumeClaimTemplates name.
    """
    volumes = [volume.get("name", "") for volume in spec.get("volumes", ())]
    yield from unique(f"{path}.volumes", enumerate(volumes), "name")
    for i, name in enumerate(volumes):
        yield from named(f"{path}.volumes[{i}].name", name, dns_label)
    for field in ("containers", "initContainers"):
        for i, container in enumerate(spec.get(field, ())):
            for j, mount in enumerate(container.get("volumeMounts", ())):
                place = f"{path}.{field}[{i}].volumeMounts[{j}]"
                if path == "spec" and mount.get("name") not in volumes:
                    hint = f"volumes: {', '.join(volumes) or 'none'}"
                    yield FieldError(f"{place}.name", f'Not found: "{mount.get("name")}"', hint)
                if not mount.get("mountPath"):
                    yield required(f"{place}.mountPath")


def _unique_containers(path: str, spec: Part) -> FieldErrors:
    containers = spec.get("containers", [])
    names = [container.get("name", "") for container in containers]
    yield from unique(f"{path}.containers", ((i, name) for i, name in enumerate(names) if name), "name")
    both = [(i, c.get("name", "")) for i, c in enumerate(spec.get("initContainers", ()))]
    for i, name in both:
        if name and name in names:
            yield forbidden(f"{path}.initContainers[{i}].name", f'"{name}" is the name of a container, too')
    yield from unique(f"{path}.initContainers", ((i, name) for i, name in both if name), "name")


def _container(path: str, container: Part, host_network: bool) -> FieldErrors:
    name = container.get("name", "")
    if name:
        yield from named(f"{path}.name", name, dns_label)
    else:
        yield required(f"{path}.name")
    yield from _ports(f"{path}.ports", container.get("ports", []), host_network)
    for i, variable in enumerate(container.get("env", ())):
        yield from _variable(child(f"{path}.env", i), variable)
    for probe in _PROBES:
        if probe in container:
            yield from _probe(f"{path}.{probe}", container[probe], readiness=probe == "readinessProbe")


def _ports(path: str, ports: list[Part], host_network: bool) -> FieldErrors:
    for i, port in enumerate(ports):
        place = child(path, i)
        number, host_port = port.get("containerPort", 0), port.get("hostPort", 0)
        if port.get("name"):
            yield from named(f"{place}.name", port["name"], port_name)
        yield from port_number(f"{place}.containerPort", number)
        yield from one_of(f"{place}.protocol", port["protocol"], PROTOCOLS)
        if host_port:
            yield from port_number(f"{place}.hostPort", host_port)
        if host_network and host_port != number and "hostPort" in port:
            yield invalid(
                f"{place}.hostPort", host_port, "must match `containerPort` when `hostNetwork` is true"
            )
    yield from unique(path, ((i, port["name"]) for i, port in enumerate(ports) if port.get("name")), "name")


def _variable(path: str, variable: Part) -> FieldErrors:
    name = variable.get("name", "")
    if not name:
        yield required(f"{path}.name")
    elif "=" in name or not name.isascii() or not name.isprintable():
        detail = (
            "a valid environment variable name must consist only of printable ASCII characters other than '='"
        )
        yield invalid(f"{path}.name", name, detail)
    if variable.get("value") and "valueFrom" in variable:
        yield invalid(f"{path}.valueFrom", "", "may not be specified when `value` is not empty")


def _probe(path: str, probe: Part, *, readiness: bool) -> FieldErrors:
    handlers = [handler for handler in _HANDLERS if handler in probe]
    if not handlers:
        yield required(path, "must specify a handler type", f"one of {', '.join(_HANDLERS)}")
    for handler in handlers[1:]:
        yield forbidden(
            f"{path}.{handler}", "may not specify more than 1 handler type", f"keep {handlers[0]}"
        )
    for field in (
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ):
        yield from at_least(f"{path}.{field}", probe.get(field, 0))
    if not readiness and probe["successThreshold"] > 1:
        yield invalid(f"{path}.successThreshold", probe["successThreshold"], "must be 1")
    yield from _handlers(path, probe)


def _handlers(path: str, probe: Part) -> FieldErrors:
    if "httpGet" in probe:
        yield from port_number_or_name(f"{path}.httpGet.port", probe["httpGet"].get("port", 0))
        yield from one_of(f"{path}.httpGet.scheme", probe["httpGet"]["scheme"], ("HTTP", "HTTPS"))
    if "tcpSocket" in probe:
        yield from port_number_or_name(f"{path}.tcpSocket.port", probe["tcpSocket"].get("port", 0))
    if "grpc" in probe:
        yield from port_number(f"{path}.grpc.port", probe["grpc"].get("port", 0))
    if "exec" in probe and not probe["exec"].get("command"):
        yield required(f"{path}.exec.command")
