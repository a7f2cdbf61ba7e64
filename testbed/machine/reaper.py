"""Process 1's duty: take in orphans. A daemon that is process 1 of its pid namespace inherits every process
whose parent died, and must wait for it, or it stays as a zombie (pid_namespaces(7)).

Our own children are waited for where they were started (`subprocess`); they are told from orphans by never
reaping a zombie at first sight: a starter that wants its child's status takes it at once.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

SECONDS = 1.0
ROUNDS = 10  # a zombie that nobody waited for in so many rounds is an orphan


class Reaper:
    """Looks for zombies once a second; two orphans' worth of work is a file read."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reaper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        self._thread.join()

    def step(self) -> None:
        """One round: reap the zombies that were there in the last ROUNDS rounds."""
        zombies = {pid for pid in _children() if _is_zombie(pid)}
        self._seen = {pid: self._seen.get(pid, 0) + 1 for pid in zombies}
        for pid, rounds in self._seen.items():
            if rounds > ROUNDS:
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)

    def _run(self) -> None:
        while not self._stop.wait(SECONDS):
            self.step()


def _children() -> list[int]:
    own = os.getpid()
    found: list[int] = []
    for task in Path(f"/proc/{own}/task").iterdir():
        with suppress(OSError):
            found += [int(word) for word in (task / "children").read_text().split()]
    return found


def _is_zombie(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text[text.rindex(")") + 2] == "Z"
