"""What the kubelets need of others, and nothing of how it is done."""

from __future__ import annotations

import datetime
import enum
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from testbed.cluster.kubelet.backoff import LONGEST
from testbed.cluster.kubelet.probe import Action, Probe
from testbed.cluster.podserver.spec import PodSpec, PortError
from testbed.errors import TestbedError
from testbed.kube.store.store import Object

PodKey = tuple[str, str]  # namespace, name
Argv = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PodAttachment:
    """A pod's place in the network: its namespace's name, and its addresses, the primary one first."""

    netns: str
    ips: tuple[str, ...]


class PodNetwork(Protocol):
    """Links pods to their nodes, many at once. Called in one thread, one call at a time."""

    def attach(self, pods: Sequence[Object]) -> Mapping[PodKey, PodAttachment | TestbedError]:
        """Make the pods' namespaces and links; for a pod that cannot be attached, the error.

        Raises TestbedError where it fails as a whole: then none of them is attached.
        """
        ...

    def detach(self, keys: Sequence[PodKey]) -> None:
        """Take them away again; a key that is not attached is left alone."""
        ...


class Serving(Protocol):
    """The pod server, `podserver.client.PodServer`. Called in one thread, one call at a time."""

    def start(self, on_exit: Callable[[int], None] | None = None) -> None:
        """Start the process unless it runs; `on_exit` is called in any thread when it ends."""
        ...

    def open(self, pods: Sequence[PodSpec]) -> Mapping[str, tuple[PortError, ...]]:
        """Serve these; returns the ports in trouble by key. Raises TestbedError if the process is dead."""
        ...

    def close(self, keys: Sequence[str]) -> None:
        """Serve them no more. Raises TestbedError if the process is dead."""
        ...

    def drain(self, keys: Sequence[str]) -> Sequence[str]:
        """Answer what is asked on open connections, and nothing after that; the keys that still have any.

        Raises TestbedError if the process is dead.
        """
        ...

    def stop(self) -> None:
        """End the process."""
        ...


@dataclass(frozen=True, slots=True)
class Mount:
    """A file or folder of a volume, and where the container sees it."""

    source: Path
    path: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """A process to run as a container: in this network namespace, with this host name, output to `log`
    (see `logs.py`).

    With `mounts` it has a root file system of its own: this machine's, with these in it.
    """

    argv: Argv
    env: Mapping[str, str]
    cwd: str  # empty for the root folder
    netns: str
    hostname: str
    log: Path
    mounts: tuple[Mount, ...] = ()


class Process(Protocol):
    """A running container: a process tree that goes as a whole, or served ports."""

    @property
    def container_id(self) -> str:
        """Kubernetes' `type://id`; empty where nothing has one."""
        ...

    def enter(self, argv: Argv) -> Argv:
        """What to run so that `argv` runs in the container's namespaces (the network's apart)."""
        ...

    def terminate(self) -> None:
        """SIGTERM to its first process. May be too late; may be ignored."""
        ...

    def kill(self) -> None:
        """SIGKILL to all of its processes."""
        ...


class Processes(Protocol):
    """Starts processes as containers and notices their ends."""

    def start(self, spec: ProcessSpec, on_exit: Callable[[int], None]) -> Process:
        """Start one. `on_exit` gets its exit code (128 + the signal's number) once, in any thread.

        Raises TestbedError if it cannot be started.
        """
        ...

    def stop(self) -> None:
        """Kill what still runs; nothing is noticed any more."""
        ...


class Outcome(enum.Enum):
    """What one probe found; UNKNOWN changes nothing (a probe that cannot be run)."""

    SUCCESS = "success"
    FAILURE = "failure"
    UNKNOWN = "unknown"


Report = Callable[[Outcome, str], None]
Cancel = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a probe goes: to `ip` from the node's namespace, or by exec into the container."""

    ip: str
    node_netns: str
    pod_netns: str
    enter: Callable[[Argv], Argv]


class Prober(Protocol):
    """Runs probes and hooks. Reports in any thread."""

    def start(self, probe: Probe, target: Target, report: Report) -> Cancel:
        """Probe again and again, as the probe's delay and period say, until cancelled."""
        ...

    def once(self, action: Action, target: Target, timeout: float, report: Report) -> None:
        """Do it once, for at most `timeout` seconds (a lifecycle hook)."""
        ...

    def stop(self) -> None:
        """End all probes."""
        ...


@dataclass(frozen=True, slots=True)
class Clock:
    """The time of day (UTC) for what people read, and monotonic seconds for what is waited for."""

    now: Callable[[], datetime.datetime]
    monotonic: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Machinery:
    """Everything that a test replaces: see `fake.py`."""

    processes: Processes
    prober: Prober
    clock: Clock
    network_executor: Executor  # one thread: attaching and detaching keep their order
    serving_executor: Executor  # one thread: opening and closing keep their order
    longest_backoff: float = LONGEST  # seconds
