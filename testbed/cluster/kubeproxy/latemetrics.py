"""A node's metrics that cost nothing until somebody reads them: what is counted is written down first.

Nobody asks most nodes for their metrics, and prometheus_client and a registry for every node would take a tenth of
the time that a cluster needs to come up. Knows that counting can wait; what is counted is `metrics.py`'s.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from testbed.cluster.agent import Sync
from testbed.datapaths.contract import RuleCounts
from testbed.proxier.plan import Family, NodePlan, PlanDelta
from testbed.proxier.proxier import Change

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from testbed.cluster.kubeproxy.cleanup import Cleaned
    from testbed.cluster.kubeproxy.metrics import Metrics

KEPT = 100  # notes: they hold plans and objects, which must not pile up

Note = Callable[["Metrics"], None]


class LateMetrics:
    """Takes what `Metrics` takes, from any thread; each note counts with the time at which it was made."""

    def __init__(self, families: Sequence[Family], now: Callable[[], float] = time.time) -> None:
        self._families, self._now, self._started = tuple(families), now, now()
        self._metrics: Metrics | None = None
        self._notes: list[tuple[float, Note]] = []
        self._moment = self._started  # what the clock of `Metrics` shows
        self._lock = threading.Lock()

    @property
    def registry(self) -> CollectorRegistry:
        """Everything until now, by name and labels."""
        with self._lock:
            return self._counted().registry

    def text(self) -> bytes:
        """Everything until now in Prometheus' text format."""
        with self._lock:
            return self._counted().text()

    def noticed(self, changes: Sequence[Change]) -> None:
        """Objects have changed."""
        if changes:
            self._note(lambda metrics: metrics.noticed(changes))

    def programmed(self, plan: NodePlan, delta: PlanDelta | None, sync: Sync) -> None:
        """A round has written."""
        self._note(lambda metrics: metrics.programmed(plan, delta, sync))

    def counted(self, counts: RuleCounts) -> None:
        """So many rules are there now, and so many of them the round has written."""
        self._note(lambda metrics: metrics.counted(counts))

    def cleaned(self, looks: Iterable[Cleaned]) -> None:
        """Connection tracking was cleaned."""
        if looks := tuple(looks):
            self._note(lambda metrics: metrics.cleaned(looks))

    def settled(self, failure: str) -> None:
        """A round is over."""
        self._note(lambda metrics: metrics.settled(failure))

    def healthz_answered(self, status: int) -> None:
        """/healthz was asked."""
        self._note(lambda metrics: metrics.healthz_answered(status))

    def livez_answered(self, status: int) -> None:
        """/livez was asked."""
        self._note(lambda metrics: metrics.livez_answered(status))

    def _note(self, note: Note) -> None:
        with self._lock:
            self._notes.append((self._now(), note))
            if len(self._notes) >= KEPT:
                self._counted()

    def _counted(self) -> Metrics:
        """The metrics with all notes in them; the lock is held."""
        if self._metrics is None:
            from testbed.cluster.kubeproxy.metrics import Metrics

            self._moment = self._started
            self._metrics = Metrics(self._families, lambda: self._moment)
        for moment, note in self._notes:
            self._moment = moment
            note(self._metrics)
        self._moment = self._now()
        self._notes.clear()
        return self._metrics
