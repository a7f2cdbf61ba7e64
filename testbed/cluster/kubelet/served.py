"""Containers without a command: their ports are open in the pod server, asked for in batches.

A served container ends when it is closed or drained, or when the server dies: then all end at once, as processes
that were killed, and the server is started again before the first of them restarts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial

from testbed.cluster.kubelet.backoff import Backoff
from testbed.cluster.kubelet.contract import Argv, Serving
from testbed.cluster.kubelet.loop import Loop
from testbed.cluster.podserver.spec import PodSpec, PortError
from testbed.errors import CommandFailed, TestbedError

DRAIN_SECONDS = 5.0  # how long a container that got SIGTERM waits for its clients
DRAIN_LOOK_SECONDS = 0.05
SIGTERM_EXIT, SIGKILL_EXIT = 143, 137  # 128 + the signal's number, as a shell tells it

Opened = Callable[[tuple[PortError, ...]], None]
Exited = Callable[[int], None]


class ServedContainer:
    """One container's ports in the server."""

    container_id = ""

    def __init__(self, owner: ServedContainers, spec: PodSpec, opened: Opened, exited: Exited) -> None:
        self.spec, self.opened, self.exited = spec, opened, exited
        self._owner = owner

    def enter(self, argv: Argv) -> Argv:
        """It has no process, so no namespace but the network's."""
        return argv

    def terminate(self) -> None:
        """Finish what is being asked, then end: at once if no connection is open."""
        self._owner.drain(self)

    def kill(self) -> None:
        """Close the ports."""
        self._owner.end(self, SIGKILL_EXIT)


class ServedContainers:
    """All of them. Every method is called in the loop; `now` is monotonic seconds."""

    def __init__(self, serving: Serving, loop: Loop, executor: Executor, now: Callable[[], float]) -> None:
        self._serving, self._loop, self._executor, self._now = serving, loop, executor, now
        self._alive: dict[str, ServedContainer] = {}
        self._opening: list[ServedContainer] = []
        self._closing: list[str] = []
        self._draining: dict[
            str, tuple[ServedContainer, float]
        ] = {}  # with the time of the end at the latest
        self._backoff = Backoff()  # of the server itself, in case it cannot live at all
        self._life = 0  # counts the server's deaths
        self._asking = False  # a question whether clients are gone is under way
        self._up = False

    def start_server(self) -> None:
        """Start the server process; it is started again whenever it dies."""
        life = self._life
        self._loop.submit(self._executor, partial(self._start, life), partial(self._started, life))

    def start(self, spec: PodSpec, opened: Opened, exited: Exited) -> ServedContainer:
        """Open a container's ports with the next batch.

        `opened` gets the ports that could not be opened; `exited` gets the exit code, once, when it has ended.
        """
        container = self._alive[spec.key] = ServedContainer(self, spec, opened, exited)
        self._opening.append(container)
        return container

    def end(self, container: ServedContainer, code: int) -> None:
        """Close it with the next batch; it has ended, as far as anybody can tell."""
        if self._lives(container):
            self._closing.append(container.spec.key)
            self._loop.post(partial(self._bury(container).exited, code))

    def drain(self, container: ServedContainer) -> None:
        """Let a container's clients come to an end, for some seconds at most; new ones are still answered."""
        if self._lives(container):
            self._draining[container.spec.key] = container, self._now() + DRAIN_SECONDS
            self._ask_drained()

    def _ask_drained(self) -> None:
        if self._up and self._draining and not self._asking:
            self._asking = True
            asked = tuple(self._draining)  # who comes while this is under way is asked about the next time
            job = partial(self._serving.drain, asked)
            self._loop.submit(self._executor, job, partial(self._drained, asked))

    def _drained(self, asked: Sequence[str], busy: Sequence[str] | TestbedError) -> None:
        self._asking = False
        if isinstance(busy, TestbedError):
            return _unless_dead(busy)
        for key, (container, latest) in tuple(self._draining.items()):
            if not self._lives(container):
                del self._draining[key]
            elif (key in asked and key not in busy) or self._now() >= latest:
                del self._draining[key]
                self.end(container, SIGTERM_EXIT)
        if self._draining:
            self._loop.after(DRAIN_LOOK_SECONDS, self._ask_drained)
        return None

    def flush(self) -> None:
        """Send what was gathered: first what closes, because the same ports may open again.

        While there is no server nothing is open, so nothing needs closing, and what opens waits for it.
        """
        keys, self._closing = self._closing, []
        if not self._up:
            return
        batch, self._opening = [c for c in self._opening if self._lives(c)], []
        if keys:
            self._loop.submit(self._executor, partial(self._serving.close, keys), _unless_dead)
        if batch:
            specs = [container.spec for container in batch]
            self._loop.submit(
                self._executor, partial(self._serving.open, specs), partial(self._opened, batch)
            )

    def _lives(self, container: ServedContainer) -> bool:
        return self._alive.get(container.spec.key) is container

    def _bury(self, container: ServedContainer) -> ServedContainer:
        return self._alive.pop(container.spec.key)

    def _opened(
        self, batch: Sequence[ServedContainer], result: Mapping[str, tuple[PortError, ...]] | TestbedError
    ) -> None:
        if isinstance(result, TestbedError):
            return _unless_dead(result)  # dead: `_server_died` ends the batch with all others
        for container in filter(self._lives, batch):
            container.opened(result.get(container.spec.key, ()))
        return None

    def _start(self, life: int) -> None:
        self._serving.start(lambda _: self._loop.post(partial(self._server_died, life)))

    def _started(self, life: int, result: None | TestbedError) -> None:
        _unless_dead(result)
        self._up = life == self._life  # it may be dead already, and its death may have been told first

    def _server_died(self, life: int) -> None:
        """Every container that it served was killed with it; one that still waits to be opened was not."""
        self._life, self._up = life + 1, False
        self._draining.clear()
        self._loop.after(self._backoff.ended(self._now()), self._restart)
        waiting = {container.spec.key for container in self._opening}
        for container in [c for key, c in self._alive.items() if key not in waiting]:
            self._bury(container).exited(SIGKILL_EXIT)

    def _restart(self) -> None:
        self._backoff.restarted(self._now())
        self.start_server()


def _unless_dead(result: object) -> None:
    """Let an error pass that only says that the server is dead: that is told by its exit."""
    if isinstance(result, TestbedError) and not isinstance(result, CommandFailed):
        raise result
