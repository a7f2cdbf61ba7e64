"""A relay and an agent as real processes on this machine, joined by a socket pair: a guest without a kernel."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed.machine.kernels.relay import Relay
from tests.waiting import until

CONSOLE = "Run /init as init process\nKernel panic - not syncing: a test\n"
ENTER = "testbed.machine.kernels.enter"
SECONDS = 60.0


@dataclass
class Pretended:
    """The folder outside, the one inside, and the agent."""

    folder: Path
    inside: Path
    agent: subprocess.Popen[bytes]

    def argv(self, *argv: str, options: Sequence[str] = ()) -> list[str]:
        """A command line that runs `argv` inside."""
        return [sys.executable, "-m", ENTER, str(self.folder), *options, "--", *argv]

    def run(self, *argv: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run it to its end."""
        return subprocess.run(
            self.argv(*argv), input=given, capture_output=True, timeout=SECONDS, check=False
        )


@contextmanager
def pretended(folder: Path) -> Iterator[Pretended]:
    """Both ends of a wire, while the context lasts."""
    inside = folder / "inside"
    inside.mkdir()
    (folder / "console.log").write_text(CONSOLE)
    outer, inner = socket.socketpair()
    relay = os.fork()
    if relay == 0:
        inner.close()
        serve(outer, folder, inside)
    outer.close()
    argv = [sys.executable, "-m", "testbed.machine.kernels.guest.agent", f"fd:{inner.fileno()}"]
    agent = subprocess.Popen(argv, pass_fds=[inner.fileno()], stderr=subprocess.DEVNULL)
    inner.close()
    try:
        until(lambda: (folder / "greeted").exists(), "the agent to greet")
        yield Pretended(folder, inside, agent)
    finally:
        agent.kill()
        agent.wait()
        os.waitpid(relay, 0)


def serve(outer: socket.socket, folder: Path, inside: Path) -> None:
    """In the child: be the relay, and end with the wire."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        Relay(outer.fileno(), folder, inside, lambda: (folder / "greeted").touch()).run()
    finally:
        os._exit(0)
