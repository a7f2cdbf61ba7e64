"""The lab instances of one test process: a case borrows one of its shape and leaves it as it was.

Deploying costs more than most cases, and a cluster that nothing is left in is as good as a new one. Whether
nothing is left is looked at after every case (`Lab.reset`); an instance in which a case failed is not used again.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack

from tests.net.lab import Lab, deployed

KEPT = 3  # instances at once in a process: both variants of one shape, and one more
_numbers = itertools.count(1)

Deploy = Callable[[str, str], AbstractContextManager[Lab]]


class Labs:
    """Running instances by their Cluster document, the one used last at the end."""

    def __init__(self, deploy: Deploy = deployed) -> None:
        self._deploy = deploy
        self._running: OrderedDict[str, tuple[Lab, ExitStack]] = OrderedDict()

    @contextlib.contextmanager
    def borrowed(self, cluster: str) -> Iterator[Lab]:
        """A lab of this shape in which nobody has left anything. Raises TestbedError if the borrower does."""
        lab, _ = self._running.get(cluster) or self._start(cluster)
        self._running.move_to_end(cluster)
        try:
            yield lab
            lab.reset()
        except BaseException:
            self._end(cluster)
            raise

    def close(self) -> None:
        """Destroy them all."""
        for cluster in [*self._running]:
            self._end(cluster)

    def _start(self, cluster: str) -> tuple[Lab, ExitStack]:
        while len(self._running) >= KEPT:
            self._end(next(iter(self._running)))
        stack = ExitStack()
        lab = stack.enter_context(self._deploy(f"case-{os.getpid()}-{next(_numbers)}", cluster))
        self._running[cluster] = lab, stack
        return self._running[cluster]

    def _end(self, cluster: str) -> None:
        _, stack = self._running.pop(cluster)
        stack.close()
