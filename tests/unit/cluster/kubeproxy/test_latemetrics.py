"""Metrics that are counted late say what those say that are counted at once."""

from __future__ import annotations

import pytest

from testbed.cluster.kubeproxy.latemetrics import KEPT, LateMetrics
from testbed.cluster.kubeproxy.metrics import Metrics
from testbed.proxier.plan import Family
from tests.unit.cluster.kubeproxy.plans import Node
from tests.unit.cluster.kubeproxy.test_metrics import Clock, change, sync
from tests.unit.proxier.objects import service


def lived(metrics: Metrics | LateMetrics, clock: Clock, rounds: int) -> str:
    """What is told after a life of some rounds, each a second after the other."""
    node = Node()
    for number in range(rounds):
        clock.seconds += 1.0
        metrics.noticed([change(service(f"s{number}"))])
        plan, delta = node.put(service(f"s{number}"))
        metrics.programmed(plan, delta if number else None, sync(full=not number))
        metrics.settled("not today" if number == 1 else "")
        metrics.healthz_answered(200)
        metrics.livez_answered(503)
    clock.seconds += 100.0
    return metrics.text().decode()


@pytest.mark.parametrize("rounds", [0, 1, 3, KEPT])
def test_both_say_the_same(rounds: int) -> None:
    now, then = Clock(), Clock()
    families = (Family.IPV4, Family.IPV6)
    at_once = lived(Metrics(families, now), now, rounds)
    assert lived(LateMetrics(families, then), then, rounds) == at_once
