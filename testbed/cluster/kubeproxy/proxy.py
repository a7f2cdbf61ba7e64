"""The kube-proxy of a node, put together: it follows the node's agent and answers for it over HTTP.

Knows the parts of this folder. Knows nothing of how a plan is made or written.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from ipaddress import IPv4Address, IPv6Address

from testbed.cluster.agent import Sync, facts
from testbed.cluster.kubeproxy.cleanup import Cleanup
from testbed.cluster.kubeproxy.health import ProxyHealth
from testbed.cluster.kubeproxy.healthcheck import ANY, Closable, HealthChecks, Listen
from testbed.cluster.kubeproxy.http import NOT_FOUND, Answer, Handler, HttpServers
from testbed.cluster.kubeproxy.latemetrics import LateMetrics
from testbed.datapaths.contract import CountsRules, Datapath, RuleCounts
from testbed.errors import KernelStateError
from testbed.kube.objects import ClusterConfig
from testbed.kube.store import Object
from testbed.machine.conntrack import Conntrack
from testbed.machine.netns import Netns
from testbed.proxier.plan import Family, IPAddress, NodePlan, PlanDelta
from testbed.proxier.proxier import Change

HEALTHZ_PORT, METRICS_PORT = 10256, 10249  # KubeProxyConfiguration: healthzBindAddress, metricsBindAddress
LOOPBACK: dict[Family, IPAddress] = {Family.IPV4: IPv4Address("127.0.0.1"), Family.IPV6: IPv6Address("::1")}
PROMETHEUS = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
TEXT = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}
JSON = {"Content-Type": "application/json", "X-Content-Type-Options": "nosniff"}

log = logging.getLogger(__name__)


class KubeProxy:
    """One node's: an `agent.Follower`."""

    def __init__(
        self,
        node: Object,
        cluster: ClusterConfig,
        listen: Listen,
        cleanup: Cleanup,
        count: Callable[[], RuleCounts] | None = None,
    ) -> None:
        self.name = node["metadata"]["name"]
        versions = {subnet.version for subnet in cluster.networking.service_subnets}
        families = tuple(Family(version) for version in sorted(versions))
        self._mode = cluster.networking.kube_proxy_mode
        self.health = ProxyHealth(2 * cluster.kube_proxy.sync_period, families)
        self.metrics = LateMetrics(families)
        self.health.see_node(node)
        self._checks = HealthChecks(listen, lambda: self.health.healthy)
        self._cleanup, self._listen, self._count = cleanup, listen, count
        self._own = families_of(node, cluster)
        self._open: list[Closable] = []

    def start(self) -> None:
        """Serve /healthz on every address of the node, /metrics on its loopback one."""
        metrics = {"/metrics": self._metrics, "/proxyMode": self._proxy_mode, "/healthz": lambda: _OK}
        for family in self._own:
            self._serve(ANY[family], HEALTHZ_PORT, {"/healthz": self._healthz, "/livez": self._livez})
        self._serve(LOOPBACK[self._own[0]], METRICS_PORT, metrics)

    def stop(self) -> None:
        """Free all ports."""
        self._checks.close()
        while self._open:
            self._open.pop().close()

    def noticed(self, changes: Sequence[Change]) -> None:
        """See agent.Follower."""
        self.metrics.noticed(changes)
        for kind, _, new in changes:
            if kind == "Node" and new is not None and new["metadata"]["name"] == self.name:
                self.health.see_node(new)
        if changes:
            self.health.queued()

    def programmed(self, plan: NodePlan, delta: PlanDelta | None, sync: Sync) -> None:
        """See agent.Follower. Flows are cleaned here and not later: once a round is over, the kernel obeys."""
        cleaned = self._cleanup.clean(plan, delta)
        self._checks.update(plan, delta)
        self.metrics.programmed(plan, delta, sync)
        self.metrics.cleaned(cleaned)
        if self._count:
            self.metrics.counted(self._count())

    def settled(self, failure: str) -> None:
        """See agent.Follower."""
        self.metrics.settled(failure)
        if not failure:
            self.health.updated()

    def _serve(self, address: IPAddress, port: int, pages: dict[str, Callable[[], Answer]]) -> None:
        """A port that is taken is told in the log; a kube-proxy goes on without, too."""
        try:
            self._open.append(self._listen(address, port, _handler(pages)))
        except KernelStateError as error:
            log.error("%s", error)

    def _healthz(self) -> Answer:
        good, body = self.health.healthz()
        answer = Answer(body.encode(), 200 if good else 503, JSON)
        self.metrics.healthz_answered(answer.status)
        return answer

    def _livez(self) -> Answer:
        good, body = self.health.livez()
        answer = Answer(body.encode(), 200 if good else 503, JSON)
        self.metrics.livez_answered(answer.status)
        return answer

    def _metrics(self) -> Answer:
        return Answer(self.metrics.text(), 200, PROMETHEUS)

    def _proxy_mode(self) -> Answer:
        return Answer(self._mode.encode(), 200, TEXT)


_OK = Answer(b"ok", 200, TEXT)


class KubeProxies:
    """The kube-proxies of all nodes, served by one thread."""

    def __init__(self) -> None:
        self._servers = HttpServers()

    def start(self, node: Object, cluster: ClusterConfig, datapath: Datapath) -> KubeProxy:
        """A node's kube-proxy, which serves already; to be handed to its agent as a follower."""
        netns = Netns(node["metadata"]["name"])
        cleanup = Cleanup(netns.name, partial(netns.call, Conntrack))
        count = partial(datapath.rule_counts, netns) if isinstance(datapath, CountsRules) else None
        proxy = KubeProxy(node, cluster, partial(self._servers.listen, netns), cleanup, count)
        proxy.start()
        return proxy


def families_of(node: Object, cluster: ClusterConfig) -> list[Family]:
    """The families in which the node has addresses, its primary one first."""
    return list(dict.fromkeys(Family(a.version) for a in facts(node, cluster).addresses))


def _handler(pages: dict[str, Callable[[], Answer]]) -> Handler:
    return lambda path: pages[path]() if path in pages else NOT_FOUND
