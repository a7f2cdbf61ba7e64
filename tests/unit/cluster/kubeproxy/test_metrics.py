"""/metrics: kube-proxy's names, and what makes each of them move."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from testbed.cluster.agent import Sync
from testbed.cluster.kubeproxy.cleanup import Cleaned
from testbed.cluster.kubeproxy.metrics import TRIGGER_TIME, Metrics
from testbed.datapaths.contract import RuleCounts
from testbed.proxier.plan import Family
from tests.unit.cluster.kubeproxy.plans import Node
from tests.unit.proxier.objects import NODE, Object, endpoint, endpoint_slice, port, service

NOW = 1_795_000_000.0
BOTH = (Family.IPV4, Family.IPV6)
NAMES = [
    "conntrack_reconciler_deleted_entries_total",
    "conntrack_reconciler_sync_duration_seconds",
    "network_programming_duration_seconds",
    "proxy_healthz_total",
    "proxy_livez_total",
    "sync_full_proxy_rules_duration_seconds",
    "sync_partial_proxy_rules_duration_seconds",
    "sync_proxy_rules_duration_seconds",
    "sync_proxy_rules_endpoint_changes_pending",
    "sync_proxy_rules_endpoint_changes_total",
    "sync_proxy_rules_iptables_last",
    "sync_proxy_rules_iptables_partial_restore_failures_total",
    "sync_proxy_rules_iptables_restore_failures_total",
    "sync_proxy_rules_iptables_total",
    "sync_proxy_rules_last_queued_timestamp_seconds",
    "sync_proxy_rules_last_timestamp_seconds",
    "sync_proxy_rules_no_local_endpoints_total",
    "sync_proxy_rules_service_changes_pending",
    "sync_proxy_rules_service_changes_total",
]


class Clock:
    """A clock that a test moves."""

    seconds = NOW

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def metrics(clock: Clock) -> Metrics:
    return Metrics(BOTH, clock)


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"kubeproxy_{name}", {"ip_family": "IPv4", **labels})


def sync(*, full: bool, seconds: float = 0.25) -> Sync:
    return Sync(1, full, 1, 1, seconds, 0.0, 0.0, 0, 0, NOW)


def change(obj: Object, old: Object | None = None) -> tuple[str, Any, Any]:
    return obj["kind"], old, obj


def touched(seconds: float) -> Object:
    """A slice that tells when what it tells of happened."""
    made = endpoint_slice([endpoint("10.244.1.5")])
    stamp = datetime.fromtimestamp(seconds, UTC).isoformat()
    return {**made, "metadata": {**made["metadata"], "annotations": {TRIGGER_TIME: stamp}}}


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_there_from_the_start(metrics: Metrics, name: str) -> None:
    assert re.search(rf"^# TYPE kubeproxy_{name} \w+$", metrics.text().decode(), re.MULTILINE)


def test_nothing_is_there_that_go_would_not_write(metrics: Metrics) -> None:
    metrics.programmed(*Node().put(service()), sync(full=True))
    assert "_created" not in metrics.text().decode()


@pytest.mark.parametrize(
    ("full", "moved", "still"),
    [
        (True, "sync_full_proxy_rules", "sync_partial_proxy_rules"),
        (False, "sync_partial_proxy_rules", "sync_full_proxy_rules"),
    ],
)
def test_a_round_counts_as_what_it_was(metrics: Metrics, full: bool, moved: str, still: str) -> None:
    plan, delta = Node().put(service())
    metrics.programmed(plan, None if full else delta, sync(full=full))
    for name, count in ((moved, 1), (still, 0), ("sync_proxy_rules", 1)):
        assert value(metrics, f"{name}_duration_seconds_count") == count
    assert value(metrics, f"{moved}_duration_seconds_sum") == 0.25
    assert value(metrics, "sync_proxy_rules_last_timestamp_seconds") == NOW


def test_a_refused_delta_is_a_partial_failure(metrics: Metrics) -> None:
    metrics.programmed(*Node().put(service()), sync(full=True))
    assert value(metrics, "sync_proxy_rules_iptables_partial_restore_failures_total") == 1
    assert value(metrics, "sync_proxy_rules_iptables_restore_failures_total") == 0


def test_a_refused_round_is_a_failure_and_changes_wait_on(metrics: Metrics) -> None:
    metrics.noticed([change(service())])
    metrics.settled("not today")
    assert value(metrics, "sync_proxy_rules_iptables_restore_failures_total") == 1
    assert value(metrics, "sync_proxy_rules_service_changes_pending") == 1


def test_changes_are_pending_until_they_are_obeyed(metrics: Metrics) -> None:
    metrics.noticed([change(service("a")), change(service("b")), change(service("a"))])
    assert value(metrics, "sync_proxy_rules_service_changes_pending") == 2
    metrics.settled("")
    assert value(metrics, "sync_proxy_rules_service_changes_pending") == 0
    assert value(metrics, "sync_proxy_rules_service_changes_total") == 3


@pytest.mark.parametrize(("family", "counted"), [("IPv4", (1, 0)), ("IPv6", (0, 1)), ("FQDN", (0, 0))])
def test_a_slice_concerns_the_family_of_its_addresses(
    metrics: Metrics, family: str, counted: tuple[int, int]
) -> None:
    metrics.noticed([change(endpoint_slice([], family=family))])
    metrics.settled("")
    name = "sync_proxy_rules_endpoint_changes_total"
    assert (value(metrics, name), value(metrics, name, ip_family="IPv6")) == counted


def test_a_deleted_slice_is_a_change(metrics: Metrics) -> None:
    metrics.noticed([("EndpointSlice", endpoint_slice([]), None)])
    assert value(metrics, "sync_proxy_rules_endpoint_changes_pending") == 1


def test_programming_takes_from_the_trigger_to_the_rules(metrics: Metrics, clock: Clock) -> None:
    clock.seconds += 10
    metrics.noticed([change(touched(NOW + 8.5))])
    clock.seconds += 1
    metrics.settled("")
    assert value(metrics, "network_programming_duration_seconds_sum") == pytest.approx(2.5)
    metrics.settled("")
    assert value(metrics, "network_programming_duration_seconds_count") == 1


@pytest.mark.parametrize("piece", [touched(NOW - 1), endpoint_slice([])], ids=["before it began", "not told"])
def test_what_cannot_be_its_delay_does_not_count(metrics: Metrics, piece: Object) -> None:
    metrics.noticed([change(piece)])
    metrics.settled("")
    assert value(metrics, "network_programming_duration_seconds_count") == 0


def test_a_trigger_time_that_is_none_is_passed_over(metrics: Metrics) -> None:
    piece = touched(NOW + 1)
    piece["metadata"]["annotations"][TRIGGER_TIME] = "yesterday"
    metrics.noticed([change(piece)])
    metrics.settled("")
    assert value(metrics, "network_programming_duration_seconds_count") == 0


def test_rules_are_counted_by_table(metrics: Metrics) -> None:
    nat, refusals = (Family.IPV4, "nat"), (Family.IPV4, "filter")
    metrics.counted(RuleCounts({nat: 40, refusals: 7}, {nat: 3}))
    name = "sync_proxy_rules_iptables"
    totals = [value(metrics, f"{name}_total", table=table) for table in ("nat", "filter")]
    last = [value(metrics, f"{name}_last", table=table) for table in ("nat", "filter")]
    assert (totals, last) == ([40, 7], [3, 0])


def test_flows_that_were_deleted(metrics: Metrics) -> None:
    metrics.cleaned([Cleaned(Family.IPV4, 0.5, 3), Cleaned(Family.IPV6, 0.5, 0)])
    assert value(metrics, "conntrack_reconciler_deleted_entries_total") == 3
    assert value(metrics, "conntrack_reconciler_sync_duration_seconds_count", ip_family="IPv6") == 1


LOCAL = {"type": "NodePort", "externalTrafficPolicy": "Local", "internalTrafficPolicy": "Local"}
WITHOUT = [
    pytest.param({"internalTrafficPolicy": "Local"}, "node2", (1, 0), id="internal"),
    pytest.param({"type": "NodePort", "externalTrafficPolicy": "Local"}, "node2", (0, 1), id="external"),
    pytest.param(LOCAL, "node2", (1, 1), id="both"),
    pytest.param(LOCAL, NODE, (0, 0), id="an endpoint here"),
    pytest.param({}, "node2", (0, 0), id="policy Cluster"),
]


@pytest.mark.parametrize(("spec", "where", "counts"), WITHOUT)
def test_services_without_local_endpoints(
    metrics: Metrics, spec: Object, where: str, counts: tuple[int, int]
) -> None:
    web = service(ports=[port(node_port=30080)], **spec)
    plan, delta = Node().put(web, endpoint_slice([endpoint("10.244.1.5", where)]))
    metrics.programmed(plan, delta, sync(full=False))
    name = "sync_proxy_rules_no_local_endpoints_total"
    assert tuple(value(metrics, name, traffic_policy=p) for p in ("internal", "external")) == counts


def test_a_service_that_gets_endpoints_or_goes_counts_no_more(metrics: Metrics) -> None:
    node = Node()
    slices = [endpoint_slice([endpoint("10.244.1.5")], of) for of in ("a", "b")]
    services = [
        service(n, clusterIP=f"10.96.0.{i}", internalTrafficPolicy="Local") for i, n in enumerate("ab", 10)
    ]
    metrics.programmed(*node.put(*services, *slices), sync(full=False))
    counts = [value(metrics, "sync_proxy_rules_no_local_endpoints_total", traffic_policy="internal")]
    for step in (node.drop(services[0]), node.put(endpoint_slice([endpoint("10.244.0.5", NODE)], "b"))):
        metrics.programmed(*step, sync(full=False))
        counts.append(value(metrics, "sync_proxy_rules_no_local_endpoints_total", traffic_policy="internal"))
    assert counts == [2, 1, 0]


@pytest.mark.parametrize("page", ["healthz", "livez"])
def test_questions_are_counted_by_their_answers(metrics: Metrics, page: str) -> None:
    for status in (200, 503, 503):
        getattr(metrics, f"{page}_answered")(status)
    counts = [
        metrics.registry.get_sample_value(f"kubeproxy_proxy_{page}_total", {"code": c})
        for c in ("200", "503")
    ]
    assert counts == [1, 2]
