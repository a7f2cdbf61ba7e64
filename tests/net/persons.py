"""Who runs a command: root, or an ordinary user with a home of its own. No account is made for that.

Knows how to become somebody; knows nothing of what is run.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.require import require

PERSONS = ("root", "ordinary")
NOBODY = 65534  # an id that every system has and that owns nothing


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who runs commands. `home` is free to write in, `root` the folder of this person's lab instances."""

    prefix: tuple[str, ...]
    env: Mapping[str, str]
    home: Path
    root: Path

    def folder(self, name: str) -> Path:
        """Where the lab instance called `name` leaves its record."""
        return self.root / name


@contextlib.contextmanager
def person(kind: str) -> Iterator[Person]:
    """One of PERSONS, with a home that is gone afterwards."""
    if kind != "root":
        require("userns", "checkout-for-all")
    home = Path(tempfile.mkdtemp(prefix="tb-"))  # a socket's path has room for 107 characters
    try:
        yield Person((), dict(os.environ), home, Path("/run/testbed")) if kind == "root" else _ordinary(home)
    finally:
        shutil.rmtree(home)


def _ordinary(home: Path) -> Person:
    os.chown(home, NOBODY, NOBODY)
    env = {**os.environ, "HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
    become = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    return Person(become, env, home, home / "testbed")
