"""/healthz and /livez: the rows of kube-proxy's TestHealthzServer and TestLivezServer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from testbed.cluster.kubeproxy.health import TO_BE_DELETED, ProxyHealth
from testbed.proxier.plan import Family

TIMEOUT = 60.0


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1_795_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> ProxyHealth:
    return ProxyHealth(TIMEOUT, (Family.IPV4, Family.IPV6), clock)


def node(*taints: str, **metadata: Any) -> dict[str, Any]:
    spec = {"taints": [{"key": key, "effect": "NoSchedule"} for key in taints]}
    return {"kind": "Node", "metadata": {"name": "node1", **metadata}, "spec": spec}


def test_what_has_nothing_to_do_is_healthy_for_ever(health: ProxyHealth, clock: Clock) -> None:
    clock.seconds += 1000 * TIMEOUT
    assert health.healthz()[0]


@pytest.mark.parametrize(("seconds", "healthy"), [(0.0, True), (TIMEOUT - 1, True), (TIMEOUT, False)])
def test_a_change_may_wait_so_long(health: ProxyHealth, clock: Clock, seconds: float, healthy: bool) -> None:
    health.queued()
    clock.seconds += seconds
    assert (health.healthz()[0], health.livez()[0]) == (healthy, healthy)


def test_the_oldest_change_counts(health: ProxyHealth, clock: Clock) -> None:
    health.queued()
    clock.seconds += TIMEOUT - 1
    health.queued()
    clock.seconds += 2
    assert not health.healthy


def test_obeyed_it_is_healthy_again(health: ProxyHealth, clock: Clock) -> None:
    health.queued()
    clock.seconds += 2 * TIMEOUT
    health.updated()
    assert health.healthy


@pytest.mark.parametrize(
    ("obj", "eligible"),
    [
        pytest.param(node(), True, id="no taint"),
        pytest.param(node("other"), True, id="another taint"),
        pytest.param(node("other", TO_BE_DELETED), False, id="to be deleted"),
        pytest.param(node(deletionTimestamp="2026-11-23T00:00:00Z"), False, id="being deleted"),
        pytest.param({"metadata": {"name": "node1"}}, True, id="no spec"),
        pytest.param(None, False, id="gone"),
    ],
)
def test_a_node_that_goes_gets_nothing_new_but_lives(
    health: ProxyHealth, obj: dict[str, Any] | None, eligible: bool
) -> None:
    health.see_node(obj)
    assert (health.healthz()[0], health.livez()[0]) == (eligible, True)


def test_the_body_of_healthz(health: ProxyHealth) -> None:
    health.see_node(node(TO_BE_DELETED))
    now = "2026-11-18T11:06:40Z"
    status = {"lastUpdated": now, "healthy": True}
    assert json.loads(health.healthz()[1]) == {
        "lastUpdated": now,
        "currentTime": now,
        "healthy": True,
        "status": {"IPv4": status, "IPv6": status},
        "nodeEligible": False,
    }


def test_livez_says_nothing_of_the_node(health: ProxyHealth) -> None:
    assert "nodeEligible" not in json.loads(health.livez()[1])


def test_an_unhealthy_one_tells_when_it_was_well(health: ProxyHealth, clock: Clock) -> None:
    health.updated()
    health.queued()
    clock.seconds += 2 * TIMEOUT
    body = json.loads(health.livez()[1])
    assert (body["lastUpdated"], body["currentTime"]) == ("2026-11-18T11:06:40Z", "2026-11-18T11:08:40Z")
