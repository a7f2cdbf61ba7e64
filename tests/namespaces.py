"""A fresh network namespace for a test, under a name in the test's own folder: parallel tests never meet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testbed.machine import netns
from testbed.machine.netns import Netns


@contextmanager
def fresh_namespace(folder: Path, name: str = "node1") -> Iterator[Netns]:
    """A namespace that is gone afterwards. It is a `contract.Node`, too. Needs root."""
    (made,) = netns.create([name], folder=folder)
    try:
        yield made
    finally:
        netns.delete(made)
