"""One container through all its lives: started, probed, ended, started again.

Knows processes, probes and back-off. Knows of its pod only the facts below, and of other containers nothing.
Every method is called in the kubelets' loop; what comes from another thread is posted there, and is dropped if
the life that it belongs to is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec

from testbed.cluster.kubelet import logs, volumes
from testbed.cluster.kubelet.backoff import Backoff
from testbed.cluster.kubelet.contract import (
    Argv,
    Outcome,
    Process,
    ProcessSpec,
    Target,
)
from testbed.cluster.kubelet.environment import Addresses, Surroundings, environment, hostname
from testbed.cluster.kubelet.host import Host, PodFacts
from testbed.cluster.kubelet.loop import Task, Timer
from testbed.cluster.kubelet.podspec import (
    Command,
    command_of,
    grace_of,
    is_sidecar,
    ports_of,
    restart_policy,
)
from testbed.cluster.kubelet.probe import ProbeKind, action_of, probes_of
from testbed.cluster.kubelet.probing import Probing
from testbed.cluster.kubelet.status import ContainerReport, Running, State, Terminated, Waiting, stamp
from testbed.cluster.layout import pod_namespace
from testbed.cluster.podserver.spec import Identity, PodSpec, PortError
from testbed.errors import TestbedError, UsageError
from testbed.kube.store.store import Object

P = ParamSpec("P")

CONFIG_AGAIN_SECONDS = 1.0  # until the next look for a ConfigMap or Secret that is not there
START_ERROR = 128  # the exit code that kubelet's runtimes report for a command that cannot be started


class Container:
    """One entry of spec.containers, or with `init` of spec.initContainers."""

    def __init__(self, facts: PodFacts, spec: Object, host: Host, *, init: bool = False) -> None:
        self._facts, self._spec, self._host, self._init = facts, spec, host, init
        self.name: str = spec["name"]
        self.sidecar = init and is_sidecar(spec)
        self._probing = Probing({} if init and not self.sidecar else probes_of(spec))
        first = "PodInitializing" if facts.pod["spec"].get("initContainers") else "ContainerCreating"
        self._state: State = Waiting(first)
        self._last: Terminated | None = None
        self._restarts = 0
        self._backoff = Backoff(host.longest_backoff)
        self._life = 0  # how often it was started: what belongs to an earlier life is dropped
        self._process: Process | None = None
        self._stopping = False
        self._retired = False
        self._hooked = False  # its postStart hook runs
        self._restart_timer: Timer | None = None
        self._kill_timer: Timer | None = None

    # ── what others see ──────────────────────────────────────────────────────────────────────────────────

    @property
    def begun(self) -> bool:
        """True once it was started for the first time."""
        return self._life > 0

    @property
    def running(self) -> bool:
        """True while there is something that would have to be ended."""
        return self._process is not None

    @property
    def stopping(self) -> bool:
        """True once it has been told to end."""
        return self._stopping

    @property
    def opening(self) -> bool:
        """True while it is being started; it is not ready, and that has been told before."""
        return self._process is not None and isinstance(self._state, Waiting) and not self._hooked

    @property
    def succeeded(self) -> bool:
        """True if it ended well and stays so."""
        return isinstance(self._state, Terminated) and self._state.exit_code == 0

    @property
    def done(self) -> bool:
        """True for an init container that the next one need not wait for any more."""
        if not self.sidecar:
            return self.succeeded
        return isinstance(self._state, Running) and self._probing.passed(ProbeKind.STARTUP)

    @property
    def over(self) -> bool:
        """True if it has ended and will not start again."""
        return isinstance(self._state, Terminated) and self._process is None and self._restart_timer is None

    def report(self) -> ContainerReport:
        """What the pod's status says about it."""
        up = isinstance(self._state, Running)
        started = up and self._probing.passed(ProbeKind.STARTUP)
        ready = started and self._probing.passed(ProbeKind.READINESS)
        return ContainerReport(
            name=self.name,
            image=self._spec.get("image", ""),
            state=self._state,
            last=self._last,
            ready=self.succeeded if self._init and not self.sidecar else ready,
            started=started,
            restart_count=self._restarts,
            container_id=self._process.container_id if self._process and up else "",
            message="" if ready or not up else self._probing.message,
            sidecar=self.sidecar,
        )

    def enter(self, argv: Argv) -> Argv:
        """What to run so that `argv` runs in its namespaces (the network's apart)."""
        return self._process.enter(argv) if self._process else argv

    # ── starting ─────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Begin its next life."""
        self._life += 1
        self._stopping = False
        self._restart_timer = None
        exited = self._posted(self._ended)
        try:
            self._launch(exited)
        except UsageError as error:
            self._state = Waiting("CreateContainerConfigError", str(error))
            self._tell("Failed", f"Error: {error}", warning=True)
            self._restart_timer = self._after(CONFIG_AGAIN_SECONDS, self.start)
        except TestbedError as error:
            self._over(START_ERROR, "StartError", str(error))
        self._facts.changed()

    def _launch(self, exited: Callable[[int], None]) -> None:
        around = self._surroundings()
        command = command_of(self._spec, environment(self._spec, around))
        if command is not None:
            spec = self._process_spec(command, around)
            self._process = self._host.processes.start(spec, exited)
            self._running()
        elif self._init and not self.sidecar:
            self._over(0, "Completed")  # nothing to run, so nothing to wait for
        else:
            self._process = self._host.serve(self._serve_spec(), self._posted(self._opened), exited)

    def _surroundings(self) -> Surroundings:
        facts = self._facts
        lookup = partial(self._host.lookup, facts.key[0])
        return Surroundings(facts.pod, Addresses(facts.ips, facts.host_ips), lookup)

    def _process_spec(self, command: Command, around: Surroundings) -> ProcessSpec:
        facts, pod = self._facts, self._facts.pod
        folder = self._host.volume_folder / pod_namespace(*facts.key)
        mounts = tuple(volumes.lay_out(self._spec, folder, around))
        for name in volumes.not_made(pod, self._spec):
            self._tell(
                "FailedMount", f"volume {name} is not made here: {self.name} runs without it", warning=True
            )
        log = self._log_path()
        logs.forget_earlier(log)
        return ProcessSpec(command.argv, command.env, command.cwd, facts.netns, hostname(pod), log, mounts)

    def _serve_spec(self) -> PodSpec:
        facts = self._facts
        namespace, name = facts.key
        identity = Identity(name, namespace, facts.pod["spec"]["nodeName"], facts.ips[0] if facts.ips else "")
        return PodSpec(f"{namespace}/{name}/{self.name}", facts.netns, identity, tuple(ports_of(self._spec)))

    def _opened(self, errors: tuple[PortError, ...]) -> None:
        """Served; as a program would, it writes to its log what is wrong, and gives up if it has no port."""
        if errors:
            self._write_log(f"cannot listen on {error}" for error in errors)
        if errors and len(errors) == len(self._spec.get("ports") or ()):
            assert self._process is not None
            self._process.kill()
            self._over(1, "Error", "; ".join(map(str, errors)))
        else:
            self._running()

    def _running(self) -> None:
        """It has begun; with a postStart hook it counts as running when that has ended."""
        hook: dict[str, Any] = (self._spec.get("lifecycle") or {}).get("postStart") or {}
        self._tell("Started", f"Started container {self.name}")
        if not hook:
            self._up()
            return
        self._hooked = True
        action, grace = action_of(hook, self._spec.get("ports") or ()), grace_of(self._facts.pod)
        self._host.prober.once(action, self._target(), grace, self._posted(self._post_started))

    def _post_started(self, outcome: Outcome, message: str) -> None:
        self._up()
        if outcome is not Outcome.SUCCESS:
            self._tell("FailedPostStartHook", f"PostStartHook failed: {message}", warning=True)
            self.stop(grace_of(self._facts.pod))

    def _up(self) -> None:
        self._hooked = False
        self._state = Running(self._now())
        self._probing.begin()
        self._watch(self._probing.first())
        self._facts.changed()

    # ── probes ───────────────────────────────────────────────────────────────────────────────────────────

    def _watch(self, kinds: tuple[ProbeKind, ...]) -> None:
        self._probing.watch(
            kinds, self._host.prober, self._target(), lambda kind: self._posted(partial(self._probed, kind))
        )

    def _target(self) -> Target:
        facts = self._facts
        ip = facts.ips[0] if facts.ips else ""
        return Target(ip, facts.pod["spec"]["nodeName"], facts.netns, self.enter)

    def _probed(self, kind: ProbeKind, outcome: Outcome, message: str) -> None:
        turned = self._probing.take(kind, outcome, message)
        if turned is None:
            return  # under way when it was cancelled
        if outcome is not Outcome.SUCCESS:
            how = "failed" if outcome is Outcome.FAILURE else "errored and resulted in unknown state"
            self._tell("Unhealthy", f"{kind} probe {how}: {message}", warning=True)
        if turned:
            self._turned(kind)
        self._facts.changed()

    def _turned(self, kind: ProbeKind) -> None:
        """A probe's verdict changed."""
        passed = self._probing.passed(kind)
        if kind is ProbeKind.STARTUP and passed:
            self._probing.unwatch(kind)
            self._watch((ProbeKind.LIVENESS, ProbeKind.READINESS))
        elif kind is not ProbeKind.READINESS and not passed:
            self._tell(
                "Killing", f"Container {self.name} failed {str(kind).lower()} probe, will be restarted"
            )
            grace = self._probing.probes[kind].grace
            self._stop(grace_of(self._facts.pod) if grace is None else grace)

    # ── ending ───────────────────────────────────────────────────────────────────────────────────────────

    def stop(self, grace: float) -> None:
        """End it as kubelet does: preStop hook, SIGTERM, and `grace` seconds after the beginning SIGKILL.

        Readiness is still probed meanwhile: a terminating pod may serve. Asked again, only the time changes.
        """
        if self._process is not None and not self._stopping:
            self._tell("Killing", f"Stopping container {self.name}")
        self._stop(grace)

    def retire(self, grace: float) -> None:
        """End a sidecar for good: the containers that it stood beside have done their work."""
        if not self._retired:
            self._retired = True
            self.stop(grace)

    def _stop(self, grace: float) -> None:
        self._cancel_restart()
        if self._process is None:
            return
        self._probing.unwatch(ProbeKind.LIVENESS, ProbeKind.STARTUP)
        if self._kill_timer is not None:
            self._kill_timer.cancel()
        self._kill_timer = self._after(grace, self.kill)
        if not self._stopping:
            self._stopping = True
            self._pre_stop(grace)

    def kill(self) -> None:
        """SIGKILL to all of it, and no restart that is waiting for its time."""
        self._cancel_restart()
        if self._process is not None:
            self._process.kill()

    def _pre_stop(self, grace: float) -> None:
        hook: dict[str, Any] = (self._spec.get("lifecycle") or {}).get("preStop") or {}
        if "sleep" in hook:  # KEP-3960
            self._after(min(float(hook["sleep"]["seconds"]), grace), self._terminate)
        elif hook:
            action = action_of(hook, self._spec.get("ports") or ())
            report = self._posted(self._pre_stopped)
            self._host.prober.once(action, self._target(), grace, report)
        else:
            self._terminate()

    def _pre_stopped(self, outcome: Outcome, message: str) -> None:
        if outcome is not Outcome.SUCCESS:
            self._tell("FailedPreStopHook", f"PreStopHook failed: {message}", warning=True)
        self._terminate()

    def _cancel_restart(self) -> None:
        if self._restart_timer is not None:
            self._restart_timer.cancel()
            self._restart_timer = None

    def _terminate(self) -> None:
        if self._process is not None:
            self._process.terminate()

    def _ended(self, code: int) -> None:
        if self._process is not None:
            self._over(code, "Completed" if code == 0 else "Error")

    def _over(self, code: int, reason: str, message: str = "") -> None:
        """It has ended: say so, and start it again if its policy says so, now or later."""
        self._probing.unwatch(*ProbeKind)
        if self._kill_timer is not None:
            self._kill_timer.cancel()
        self._process, self._hooked = None, False
        since = self._state.started_at if isinstance(self._state, Running) else self._now()
        end = self._state = Terminated(code, reason, since, self._now(), message)
        if self._restarts_after(code):
            delay = self._backoff.ended(self._host.monotonic())
            if delay:
                text = f"back-off {delay:.0f}s restarting failed container={self.name}"
                self._last, self._state = end, Waiting("CrashLoopBackOff", text)
                self._tell_back_off()
            self._restart_timer = self._after(delay, partial(self._restart, end))
        self._facts.changed()

    def _tell_back_off(self) -> None:
        metadata = self._facts.pod["metadata"]
        pod = f"{metadata['name']}_{metadata['namespace']}({metadata.get('uid', '')})"
        self._tell("BackOff", f"Back-off restarting failed container {self.name} in pod {pod}", warning=True)

    def _tell(self, reason: str, message: str, *, warning: bool = False) -> None:
        self._host.tell(self._facts.pod, reason, message, warning=warning)

    def _restarts_after(self, code: int) -> bool:
        policy = "Always" if self.sidecar else restart_policy(self._facts.pod)
        if self._facts.terminating or self._retired or policy == "Never":
            return False
        if self.sidecar:
            return True
        return code != 0 if self._init or policy == "OnFailure" else True

    def _restart(self, end: Terminated) -> None:
        self._backoff.restarted(self._host.monotonic())
        self._last, self._state = end, Waiting("ContainerCreating")
        self._restarts += 1
        self.start()

    # ── helpers ──────────────────────────────────────────────────────────────────────────────────────────

    def _posted(self, task: Callable[P, None]) -> Callable[P, None]:
        """`task` for another thread to call: it is done in the loop, if this life is not over by then."""
        life = self._life

        def post(*args: P.args, **kwargs: P.kwargs) -> None:
            self._host.post(partial(self._in_life, life, partial(task, *args, **kwargs)))

        return post

    def _after(self, seconds: float, task: Task) -> Timer:
        return self._host.after(seconds, partial(self._in_life, self._life, task))

    def _in_life(self, life: int, task: Task) -> None:
        if life == self._life:
            task()

    def _now(self) -> str:
        return stamp(self._host.now())

    def _log_path(self) -> Path:
        return logs.log_path(self._host.log_folder, self._facts.key, self.name, self._restarts)

    def _write_log(self, lines: Iterable[str]) -> None:
        log = logs.Log(self._log_path())
        log.take("stderr", "".join(f"{line}\n" for line in lines).encode())
        log.close()
