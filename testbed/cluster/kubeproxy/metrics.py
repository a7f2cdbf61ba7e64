"""A node's /metrics under kube-proxy's names (pkg/proxy/metrics/metrics.go, v1.36), one registry for each node.

Knows names, labels and buckets, and counts what it is told. One round here serves both families, so its seconds
stand under each of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from testbed.cluster.agent import Sync
from testbed.cluster.kubeproxy.cleanup import Cleaned
from testbed.datapaths.contract import RuleCounts
from testbed.kube.store import Object
from testbed.proxier.plan import (
    Family,
    NodePlan,
    Origin,
    PlanDelta,
    Scope,
    ServiceKey,
    ServicePlan,
    WhenEmpty,
)
from testbed.proxier.proxier import Change

TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"
SYNC_BUCKETS = tuple(0.001 * 2**n for n in range(15))
PROGRAMMING_BUCKETS = (0.25, 0.5, *range(1, 60), *range(60, 120, 5), *range(120, 301, 30))
INTERNAL, EXTERNAL = "internal", "external"
FAMILY = ("ip_family",)
OF_TABLE = (*FAMILY, "table")
OF_ADDRESS_TYPE = {"IPv4": Family.IPV4, "IPv6": Family.IPV6}

disable_created_metrics()  # type: ignore[no-untyped-call]  # lines that Go's client does not write


class Metrics:
    """One node's metrics. Written by the agent's thread, printed by the servers' thread."""

    def __init__(self, families: Sequence[Family], now: Callable[[], float] = time.time) -> None:
        self._families, self._now, self._started = tuple(families), now, now()
        self.registry = CollectorRegistry()
        histogram, gauge, counter = self._histogram, self._gauge, self._counter
        self._sync = histogram("sync_proxy_rules", "SyncProxyRules latency in seconds")
        self._full = histogram("sync_full_proxy_rules", "SyncProxyRules latency in seconds for full resyncs")
        self._partial = histogram(
            "sync_partial_proxy_rules", "SyncProxyRules latency in seconds for partial resyncs"
        )
        self._programming = histogram(
            "network_programming", "In Cluster Network Programming Latency in seconds", PROGRAMMING_BUCKETS
        )
        self._reconciled = histogram(
            "conntrack_reconciler_sync", "ReconcileConntrackFlowsLatency latency in seconds"
        )
        self._deleted = counter(
            "conntrack_reconciler_deleted_entries",
            "Cumulative conntrack flows deleted by conntrack reconciler",
        )
        self._last = gauge(
            "sync_proxy_rules_last_timestamp_seconds", "The last time proxy rules were successfully synced"
        )
        self._queued = gauge(
            "sync_proxy_rules_last_queued_timestamp_seconds", "The last time a sync of proxy rules was queued"
        )
        self._changes = {
            "EndpointSlice": _Changes(self, "endpoint", "Endpoint"),
            "Service": _Changes(self, "service", "Service"),
        }
        self._no_local = gauge(
            "sync_proxy_rules_no_local_endpoints_total",
            "Number of services with a Local traffic policy and no endpoints",
            (*FAMILY, "traffic_policy"),
        )
        self._restore_failures = counter(
            "sync_proxy_rules_iptables_restore_failures", "Cumulative proxy iptables restore failures"
        )
        self._partial_failures = counter(
            "sync_proxy_rules_iptables_partial_restore_failures",
            "Cumulative proxy iptables partial restore failures",
        )
        self._rules = gauge(
            "sync_proxy_rules_iptables_total", "Total number of iptables rules owned by kube-proxy", OF_TABLE
        )
        self._written = gauge(
            "sync_proxy_rules_iptables_last",
            "Number of iptables rules written by kube-proxy in last sync",
            OF_TABLE,
        )
        self._healthz = counter("proxy_healthz", "Cumulative proxy healthz HTTP status", ("code",))
        self._livez = counter("proxy_livez", "Cumulative proxy livez HTTP status", ("code",))
        self._without_local: dict[tuple[Family, str], set[ServiceKey]] = {}
        self._triggers: list[tuple[Family, float]] = []
        self._appear()

    def text(self) -> bytes:
        """Everything in Prometheus' text format (version 0.0.4)."""
        return generate_latest(self.registry)

    def noticed(self, changes: Sequence[Change]) -> None:
        """Objects have changed."""
        queued: set[Family] = set()
        for kind, counter in self._changes.items():
            objects = [new or old for each, old, new in changes if each == kind]
            for family in self._families:
                concerned = [obj for obj in objects if obj and _concerns(family, obj)]
                if concerned:
                    counter.noticed(family, concerned)
                    queued.add(family)
        for family in queued:
            self._queued.labels(_label(family)).set(self._now())
        for kind, _, new in changes:
            if kind == "EndpointSlice" and new is not None:
                self._triggers += self._triggered(new)

    def programmed(self, plan: NodePlan, delta: PlanDelta | None, sync: Sync) -> None:
        """A round has written."""
        seconds = sync.plan_seconds + sync.render_seconds + sync.restore_seconds
        if delta is not None and sync.full:  # the datapath was refused the delta, and tried all of it
            self._count_failures(self._partial_failures)
        for family in self._families:
            label = _label(family)
            for histogram in (self._sync, self._full if sync.full else self._partial):
                histogram.labels(label).observe(seconds)
            self._last.labels(label).set(self._now())
        self._count_without_local(plan, delta)

    def counted(self, counts: RuleCounts) -> None:
        """So many rules are there now, and so many of them the round has written."""
        for gauge, rules in ((self._rules, counts.total), (self._written, counts.last)):
            for family, table in counts.total:
                gauge.labels(_label(family), table).set(rules.get((family, table), 0))

    def cleaned(self, looks: Iterable[Cleaned]) -> None:
        """Connection tracking was cleaned."""
        for look in looks:
            self._reconciled.labels(_label(look.family)).observe(look.seconds)
            self._deleted.labels(_label(look.family)).inc(look.deleted)

    def settled(self, failure: str) -> None:
        """A round is over."""
        if failure:
            self._count_failures(self._restore_failures)
            return
        for changes in self._changes.values():
            changes.settled(self._families)
        for family, triggered in self._triggers:
            self._programming.labels(_label(family)).observe(max(0.0, self._now() - triggered))
        self._triggers.clear()

    def healthz_answered(self, status: int) -> None:
        """/healthz was asked."""
        self._healthz.labels(str(status)).inc()

    def livez_answered(self, status: int) -> None:
        """/livez was asked."""
        self._livez.labels(str(status)).inc()

    def _triggered(self, piece: Object) -> Iterator[tuple[Family, float]]:
        """When what the slice tells of happened; what was before this proxy began is nobody's delay."""
        text = (piece["metadata"].get("annotations") or {}).get(TRIGGER_TIME)
        if not text:
            return
        try:
            moment = datetime.fromisoformat(text).timestamp()
        except ValueError:
            return
        if moment > self._started:
            yield from ((family, moment) for family in self._families if _concerns(family, piece))

    def _count_failures(self, counter: Counter) -> None:
        for family in self._families:
            counter.labels(_label(family)).inc()

    def _count_without_local(self, plan: NodePlan, delta: PlanDelta | None) -> None:
        if delta is None:
            self._without_local.clear()
        for keys in self._without_local.values():
            keys.difference_update(() if delta is None else (*delta.removed, *delta.changed))
        for key, service in (plan.services if delta is None else delta.changed).items():
            for policy in without_local(service):
                self._without_local.setdefault((key.family, policy), set()).add(key)
        for family in self._families:
            for policy in (INTERNAL, EXTERNAL):
                number = len(self._without_local.get((family, policy), ()))
                self._no_local.labels(_label(family), policy).set(number)

    def _appear(self) -> None:
        """As kube-proxy's, every metric has its lines from the start, with zeros."""
        labelled = (self._sync, self._full, self._partial, self._programming, self._reconciled, self._deleted,
                    self._last, self._queued, self._restore_failures, self._partial_failures)  # fmt: skip
        for metric in labelled:
            for family in self._families:
                metric.labels(_label(family))

    def _histogram(self, what: str, words: str, buckets: Sequence[float] = SYNC_BUCKETS) -> Histogram:
        name = f"kubeproxy_{what}_duration_seconds"
        return Histogram(name, words, FAMILY, buckets=buckets, registry=self.registry)

    def _gauge(self, what: str, words: str, labels: Sequence[str] = FAMILY) -> Gauge:
        return Gauge(f"kubeproxy_{what}", words, labels, registry=self.registry)

    def _counter(self, what: str, words: str, labels: Sequence[str] = FAMILY) -> Counter:
        return Counter(f"kubeproxy_{what}_total", words, labels, registry=self.registry)


class _Changes:
    """Changes of one kind of object: how many there were, how many objects wait."""

    def __init__(self, metrics: Metrics, what: str, words: str) -> None:
        name = f"sync_proxy_rules_{what}_changes"
        self._pending = metrics._gauge(f"{name}_pending", f"Pending proxy rules {words} changes")
        self._total = metrics._counter(name, f"Cumulative proxy rules {words} changes")
        self._waiting: dict[Family, set[tuple[str, str]]] = {}

    def noticed(self, family: Family, objects: Sequence[Object]) -> None:
        """Objects have changed; several changes of one wait as one."""
        waiting = self._waiting.setdefault(family, set())
        waiting.update((obj["metadata"].get("namespace", ""), obj["metadata"]["name"]) for obj in objects)
        self._pending.labels(_label(family)).set(len(waiting))
        self._total.labels(_label(family)).inc(len(objects))

    def settled(self, families: Iterable[Family]) -> None:
        """Nothing waits any more."""
        self._waiting.clear()
        for family in families:
            self._pending.labels(_label(family)).set(0)
            self._total.labels(_label(family))


def without_local(service: ServicePlan) -> set[str]:
    """The traffic policies, internal or external, by which this node drops what other nodes would serve."""
    return {
        INTERNAL if frontend.origin is Origin.CLUSTER_IP else EXTERNAL
        for frontend in service.frontends
        for route in frontend.routes[-1:]
        if route.scope is Scope.LOCAL and not route.endpoints and route.when_empty is WhenEmpty.DROP
    }


def _concerns(family: Family, obj: Object) -> bool:
    """A Service's change concerns each family's proxier, a slice's that of its addresses."""
    return obj["kind"] == "Service" or OF_ADDRESS_TYPE.get(obj["addressType"]) == family


def _label(family: Family) -> str:
    return f"IPv{family.value}"
