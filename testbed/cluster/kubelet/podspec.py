"""What a pod's manifest says about running it. Pure.

A container with a `command` is a program of this machine and is run for real. One without is served by the
pod server: there are no images here, so `args` alone have no program that they could be arguments of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from testbed.cluster.kubelet.environment import expand
from testbed.cluster.podserver.spec import Port

DEFAULT_GRACE = 30.0  # core/v1 terminationGracePeriodSeconds

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Command:
    """A container's program."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str


def command_of(container: Json, env: Mapping[str, str]) -> Command | None:
    """The program of a container with this environment; None if it is served."""
    if not container.get("command"):
        return None
    words = (*container["command"], *(container.get("args") or ()))
    return Command(tuple(expand(word, env) for word in words), env, container.get("workingDir") or "")


def ports_of(container: Json) -> Iterator[Port]:
    """The ports that a served container opens."""
    for port in container.get("ports") or ():
        yield Port(port["containerPort"], port.get("protocol") or "TCP", port.get("name") or "")


def is_sidecar(container: Json) -> bool:
    """True for an init container that stays beside the others (KEP-753)."""
    return bool(container.get("restartPolicy") == "Always")


def restart_policy(pod: Json) -> str:
    """Always, OnFailure or Never."""
    return str(pod["spec"].get("restartPolicy") or "Always")


def grace_of(pod: Json) -> float:
    """Seconds that a pod has between SIGTERM and SIGKILL; those of its deletion once it is being deleted."""
    deletion = pod["metadata"].get("deletionGracePeriodSeconds")
    wanted = pod["spec"].get("terminationGracePeriodSeconds") if deletion is None else deletion
    return DEFAULT_GRACE if wanted is None else float(wanted)
