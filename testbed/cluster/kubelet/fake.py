"""Pretended machinery for tests: a network, a server, processes and probes that do what a test tells them.

Time stands still until a test moves it, and jobs of executors are done where they are submitted, so a test
waits for nothing: it calls `Kubelets.step`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import ParamSpec, TypeVar

from testbed.cluster.kubelet.contract import (
    Argv,
    Cancel,
    Clock,
    Machinery,
    Outcome,
    PodAttachment,
    PodKey,
    ProcessSpec,
    Report,
    Target,
)
from testbed.cluster.kubelet.probe import Action, Probe, ProbeKind
from testbed.cluster.kubelet.wiring import pod_key
from testbed.cluster.podserver.spec import PodSpec, PortError
from testbed.errors import CommandFailed, KernelStateError, TestbedError
from testbed.kube.store.store import Object

P = ParamSpec("P")
T = TypeVar("T")


class InlineExecutor(Executor):
    """Does a job where it is submitted."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """The job's result or error, already there."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except TestbedError as error:
            future.set_exception(error)
        return future


class FakeTime:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        """22 November 2026, 10:00 UTC, and what a test has added."""
        return datetime(2026, 11, 22, 10, 0, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def clock(self) -> Clock:
        """As the kubelets take it."""
        return Clock(self.now, lambda: self.seconds)


class FakeNetwork:
    """Gives the n-th pod the address 10.244.0.n+1. `batches` records the calls."""

    def __init__(self) -> None:
        self.attached: dict[PodKey, PodAttachment] = {}
        self.batches: list[tuple[str, tuple[PodKey, ...]]] = []
        self.broken = ""
        self.refused: dict[PodKey, str] = {}
        self._hosts = itertools.count(2)

    def attach(self, pods: Sequence[Object]) -> Mapping[PodKey, PodAttachment | TestbedError]:
        """Give each pod a namespace's name and an address, unless it is `refused`."""
        keys = tuple(map(pod_key, pods))
        self.batches.append(("attach", keys))
        if self.broken:
            raise KernelStateError(self.broken)
        new = {key: self._place(key) for key in keys if key not in self.refused}
        self.attached |= new
        return {**new, **{key: KernelStateError(self.refused[key]) for key in keys if key in self.refused}}

    def _place(self, key: PodKey) -> PodAttachment:
        return PodAttachment("_".join(key), (f"10.244.0.{next(self._hosts)}",))

    def detach(self, keys: Sequence[PodKey]) -> None:
        """Forget them."""
        self.batches.append(("detach", tuple(keys)))
        for key in keys:
            self.attached.pop(key, None)


class FakeServing:
    """A pod server without sockets; `die` is kill -9."""

    def __init__(self) -> None:
        self.open_pods: dict[str, PodSpec] = {}
        self.refused: dict[str, tuple[PortError, ...]] = {}
        self.starts = 0
        self.busy: set[str] = set()
        self.drained: list[tuple[str, ...]] = []
        self.batches: list[tuple[str, tuple[str, ...]]] = []
        self._on_exit: Callable[[int], None] | None = None

    def start(self, on_exit: Callable[[int], None] | None = None) -> None:
        """Count the start."""
        self.starts += 1
        self._on_exit = on_exit

    def open(self, pods: Sequence[PodSpec]) -> Mapping[str, tuple[PortError, ...]]:
        """Take them; answer with what `refused` says."""
        self._check()
        self.batches.append(("open", tuple(pod.key for pod in pods)))
        self.open_pods |= {pod.key: pod for pod in pods}
        return {pod.key: self.refused[pod.key] for pod in pods if pod.key in self.refused}

    def close(self, keys: Sequence[str]) -> None:
        """Forget them."""
        self._check()
        self.batches.append(("close", tuple(keys)))
        for key in keys:
            self.open_pods.pop(key, None)

    def drain(self, keys: Sequence[str]) -> Sequence[str]:
        """Those that a test says have clients."""
        self._check()
        self.drained.append(tuple(keys))
        return [key for key in keys if key in self.busy]

    def stop(self) -> None:
        """End in peace."""
        self.die(0)

    def die(self, status: int = -9) -> None:
        """End as a killed process does: nothing is open, and it is told."""
        on_exit, self._on_exit = self._on_exit, None
        self.open_pods.clear()
        if on_exit is not None:
            on_exit(status)

    def _check(self) -> None:
        if self._on_exit is None:
            raise CommandFailed(("podserver",), -9, "the pod server has ended")


@dataclass
class FakeProcess:
    """Ends when a test says so, or by SIGKILL; by SIGTERM only if `graceful`."""

    spec: ProcessSpec
    on_exit: Callable[[int], None]
    graceful: bool
    signals: list[str] = field(default_factory=list)
    alive: bool = True
    container_id: str = "process://1"

    def enter(self, argv: Argv) -> Argv:
        """Marked, so that a test can tell."""
        return ("nsenter", *argv)

    def terminate(self) -> None:
        """Recorded; the end of a graceful one."""
        self.signals.append("TERM")
        if self.graceful:
            self.exit(0)

    def kill(self) -> None:
        """Recorded; the end."""
        self.signals.append("KILL")
        self.exit(137)

    def exit(self, code: int) -> None:
        """The program ends by itself."""
        if self.alive:
            self.alive = False
            self.on_exit(code)


class FakeProcesses:
    """All processes ever started, the latest last."""

    def __init__(self) -> None:
        self.started: list[FakeProcess] = []
        self.graceful = True
        self.broken = ""

    def start(self, spec: ProcessSpec, on_exit: Callable[[int], None]) -> FakeProcess:
        """Record it, and let it run."""
        if self.broken:
            raise CommandFailed(spec.argv, 127, self.broken)
        process = FakeProcess(spec, on_exit, self.graceful)
        self.started.append(process)
        return process

    def stop(self) -> None:
        """Kill them all."""
        for process in self.started:
            process.kill()


class FakeProber:
    """Probes that are under way, and hooks that were run; a test gives the outcomes."""

    def __init__(self) -> None:
        self.running: dict[ProbeKind, tuple[Probe, Target, Report]] = {}
        self.hooks: list[tuple[Action, Target, float, Report]] = []

    def start(self, probe: Probe, target: Target, report: Report) -> Cancel:
        """Record it as under way."""
        entry = self.running[probe.kind] = probe, target, report
        return lambda: self._cancel(probe.kind, entry)

    def _cancel(self, kind: ProbeKind, entry: tuple[Probe, Target, Report]) -> None:
        if self.running.get(kind) is entry:
            del self.running[kind]

    def once(self, action: Action, target: Target, timeout: float, report: Report) -> None:
        """Record it as a hook; a test calls its report."""
        self.hooks.append((action, target, timeout, report))

    def find(self, kind: ProbeKind, outcome: Outcome, message: str = "") -> None:
        """The probe of this kind has found something."""
        self.running[kind][2](outcome, message)

    def stop(self) -> None:
        """Forget all."""
        self.running.clear()


@dataclass
class FakeMachinery:
    """All of it, each part at hand for a test."""

    time: FakeTime = field(default_factory=FakeTime)
    network: FakeNetwork = field(default_factory=FakeNetwork)
    serving: FakeServing = field(default_factory=FakeServing)
    processes: FakeProcesses = field(default_factory=FakeProcesses)
    prober: FakeProber = field(default_factory=FakeProber)

    def machinery(self) -> Machinery:
        """As the kubelets take it."""
        executor = InlineExecutor()
        return Machinery(self.processes, self.prober, self.time.clock(), executor, executor)
