"""Probes as a container's manifest has them, and the verdict on a row of their outcomes. Pure.

Defaults are core/v1 `Probe`'s; the judging is pkg/kubelet/prober/worker.go's.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class ProbeKind(enum.StrEnum):
    """The three probes of a container; the value is the field's name."""

    STARTUP = "startupProbe"
    LIVENESS = "livenessProbe"
    READINESS = "readinessProbe"

    def __str__(self) -> str:
        """As kubelet's messages have it: `Readiness probe failed`."""
        return self.name.capitalize()


@dataclass(frozen=True, slots=True)
class HttpGet:
    """Success is a status from 200 to 399. An empty host is the pod's address."""

    port: int
    path: str = "/"
    host: str = ""
    scheme: str = "HTTP"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class TcpSocket:
    """Success is a connection."""

    port: int
    host: str = ""


@dataclass(frozen=True, slots=True)
class Exec:
    """Success is status 0."""

    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unsupported:
    """An action that cannot be run here, and why."""

    reason: str


Action = HttpGet | TcpSocket | Exec | Unsupported


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe; times in seconds."""

    kind: ProbeKind
    action: Action
    initial_delay: float = 0.0
    period: float = 10.0
    timeout: float = 1.0
    success_threshold: int = 1
    failure_threshold: int = 3
    grace: float | None = None  # terminationGracePeriodSeconds of the probe, instead of the pod's


def probes_of(container: Mapping[str, Any]) -> dict[ProbeKind, Probe]:
    """The probes that a container has."""
    return {kind: _probe(kind, container) for kind in ProbeKind if container.get(kind.value)}


def _probe(kind: ProbeKind, container: Mapping[str, Any]) -> Probe:
    fields = container[kind.value]
    return Probe(
        kind,
        action_of(fields, container.get("ports", ())),
        initial_delay=float(fields.get("initialDelaySeconds") or 0),
        period=float(fields.get("periodSeconds") or 10),
        timeout=float(fields.get("timeoutSeconds") or 1),
        success_threshold=fields.get("successThreshold") or 1,
        failure_threshold=fields.get("failureThreshold") or 3,
        grace=fields.get("terminationGracePeriodSeconds"),
    )


def action_of(handler: Mapping[str, Any], ports: Sequence[Mapping[str, Any]]) -> Action:
    """The action of a probe or a lifecycle hook; a named port is looked up among the container's."""
    match handler:
        case {"httpGet": http}:
            headers = tuple((h["name"], h.get("value", "")) for h in http.get("httpHeaders") or ())
            path, scheme = http.get("path") or "/", http.get("scheme") or "HTTP"
            port = _port(http["port"], ports)
            return port if isinstance(port, Unsupported) else HttpGet(
                port, path if path.startswith("/") else f"/{path}", http.get("host") or "", scheme, headers
            )  # fmt: skip
        case {"tcpSocket": tcp}:
            port = _port(tcp["port"], ports)
            return port if isinstance(port, Unsupported) else TcpSocket(port, tcp.get("host") or "")
        case {"exec": {"command": [*argv]}}:
            return Exec(tuple(argv))
        case {"grpc": _}:
            return Unsupported("grpc probes are not supported")
    return Unsupported(f"no supported action among: {', '.join(sorted(handler))}")


def _port(port: int | str, ports: Sequence[Mapping[str, Any]]) -> int | Unsupported:
    if isinstance(port, int):
        return port
    if port.isdecimal():
        return int(port)
    named = (p["containerPort"] for p in ports if p.get("name") == port)
    return next(named, Unsupported(f"no container port is named {port}"))


class Verdict:
    """What a row of outcomes says: it turns when enough of them in a row say the same."""

    def __init__(self, probe: Probe) -> None:
        # Until proven: not ready, alive, and neither started nor failed to start.
        self.passed = {ProbeKind.READINESS: False, ProbeKind.LIVENESS: True, ProbeKind.STARTUP: None}[
            probe.kind
        ]
        self._thresholds = {True: probe.success_threshold, False: probe.failure_threshold}
        self._last: bool | None = None
        self._run = 0

    def add(self, success: bool) -> bool:
        """Take one outcome; True if the verdict turned with it."""
        self._run = self._run + 1 if success == self._last else 1
        self._last = success
        if self._run < self._thresholds[success] or self.passed is success:
            return False
        self.passed = success
        return True
