"""The agent of a node, what kube-proxy is to a Kubernetes node: watch → plan → apply, each step timed.

Knows the store, the proxier and one datapath through its contract; never which datapath it is.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from ipaddress import ip_address, ip_network
from typing import Any, Protocol

from testbed.cluster.pace import Pace
from testbed.datapaths.contract import Applied, Datapath, Tends
from testbed.errors import KernelStateError, TestbedError
from testbed.kube.objects import ClusterConfig, KubeProxy
from testbed.kube.store import Event, EventType, Object, Store
from testbed.machine import collecting
from testbed.machine.netns import Netns
from testbed.proxier.plan import Family, IPAddress, IPNetwork, NodeFacts, NodePlan, PlanDelta
from testbed.proxier.proxier import Change, Proxier, Settings

log = logging.getLogger(__name__)

WATCHED = ("EndpointSlice", "Node", "Service", "ServiceCIDR")
RESYNC_TIMEOUT = 600.0
KEPT_SYNCS = 10_000
# Names of KubeProxyConfiguration that stand beside the datapath's own options in `kubeProxy.<mode>`.
KUBE_PROXY_NAMES = frozenset({"masqueradeAll", "localhostNodePorts", "minSyncPeriod", "syncPeriod"})


@dataclass(frozen=True, slots=True)
class Sync:
    """One round of an agent, in seconds: how long planning, rendering and handing over to the kernel took."""

    number: int
    full: bool
    services: int  # service ports in the whole plan
    changed: int  # service ports in the delta
    plan_seconds: float
    render_seconds: float
    restore_seconds: float
    lines: int
    bytes: int
    ended: float  # seconds since the epoch


class Follower(Protocol):
    """What else a kube-proxy does on a node once the kernel obeys: conntrack, health checks, metrics.

    Called in the agent's thread, so everything must be quick and must not raise: what takes time belongs into a
    thread of the follower's own.
    """

    def noticed(self, changes: Sequence[Change]) -> None:
        """Objects have changed; a round that takes them in will come."""
        ...

    def programmed(self, plan: NodePlan, delta: PlanDelta | None, sync: Sync) -> None:
        """A round has written; `delta` is None after a full pass."""
        ...

    def settled(self, failure: str) -> None:
        """A round is over, be it without writing; `failure` says why the kernel does not obey, else it is empty."""
        ...


class Agent:
    """Keeps one node's kernel at the plan that the store's objects ask for. One thread."""

    def __init__(
        self,
        store: Store,
        node: Object,
        cluster: ClusterConfig,
        datapath: Datapath,
        followers: Sequence[Follower] = (),
    ) -> None:
        self.netns = Netns(node["metadata"]["name"])
        self._node, self._cluster = node, cluster
        self.syncs: deque[Sync] = deque(maxlen=KEPT_SYNCS)
        self.failure = ""
        self.datapath = datapath
        self._followers = tuple(followers)
        self._store = store
        self._watch = store.watch(WATCHED)
        self._local: frozenset[IPAddress] = frozenset()
        self._proxier = self._new_proxier()
        self._tends = datapath if isinstance(datapath, Tends) else None
        self._pace = Pace(
            cluster.kube_proxy.min_sync_period,
            cluster.kube_proxy.sync_period,
            tending=self._tends.tend_seconds if self._tends else math.inf,
        )
        self._synced = 0
        self._programmed = False  # or the next round is a full one
        self._stopping = False
        self._alarmed = threading.Event()
        self._resync = threading.Event()
        self._resynced = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"agent-{self.netns.name}", daemon=True)

    @property
    def name(self) -> str:
        return self.netns.name

    @property
    def plan(self) -> NodePlan:
        """The plan as of the last round."""
        return self._proxier.plan

    @property
    def synced_version(self) -> int:
        """The store's version that the kernel is known to obey; objects of other kinds count as obeyed."""
        return self._synced

    def start(self) -> None:
        """Begin: the first round programs the whole plan."""
        self._thread.start()

    @property
    def running(self) -> bool:
        """True between `start` and `stop`."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End after the round under way; the kernel keeps its rules."""
        self._stopping = True
        self._resync.set()
        self._watch.close()
        self._thread.join()

    def resync_and_wait(self) -> None:
        """A full pass: the whole plan made anew from the store, and all of it written.

        It repairs, and it is something to measure. Raises KernelStateError if it does not end.
        """
        self._resynced.clear()
        self._resync.set()
        self._watch.poke()
        if not self._resynced.wait(RESYNC_TIMEOUT):
            raise KernelStateError(
                f"agent of {self.name}: no full pass within {RESYNC_TIMEOUT:g} s. {self.failure}"
            )

    def look(self) -> None:
        """Look soon whether the rules are still there. For any thread: an alarm has rung."""
        self._alarmed.set()
        self._watch.poke()

    def _run(self) -> None:
        while True:
            events = self._noticed(self._watch.drain(self._pace.patience()))
            self._resync.wait(self._pace.pause())  # who asks for a full pass does not want to wait for it
            if self._stopping:
                return
            moved = self._has_other_addresses()
            # A transaction may be half told: wait for its end, so that it becomes one round.
            with self._store.transaction():
                version = self._store.version
                events += self._noticed(self._watch.drain())
                again = self._is_another_node(events) or moved or self._resync.is_set()
                changes = self._everything() if again else events
            try:
                self._look_after_rules()
                with collecting.paused():
                    self._round(changes, again=again)
                self._tend()
            except TestbedError as error:
                self.failure, self._programmed = str(error), False
                log.error("agent of %s: %s", self.name, error)
            else:
                self.failure = ""
            for follower in self._followers:
                follower.settled(self.failure)
            if not self.failure:
                self._synced = version  # last: who waits for it finds the followers' work done too

    def _noticed(self, events: Sequence[Event]) -> list[Change]:
        changes = [_change(event) for event in events]
        for follower in self._followers:
            follower.noticed(changes)
        return changes

    def _is_another_node(self, changes: Sequence[Change]) -> bool:
        """Other addresses or pod ranges of the node are another beginning: kube-proxy starts anew, too."""
        for kind, _, new in changes:
            if kind == "Node" and new is not None and new["metadata"]["name"] == self.name:
                before, self._node = facts(self._node, self._cluster), new
                if facts(new, self._cluster) != before:
                    return True
        return False

    def _has_other_addresses(self) -> bool:
        """True if the node's devices have got or lost addresses that nodePortAddresses may mean.

        As kube-proxy, looks at each round; not where every local address answers, or the node's own alone.
        """
        if self._cluster.kube_proxy.node_port_addresses in ((), ("primary",)):
            return False
        before = self._local
        try:
            self._local = local_addresses(self.netns)
        except TestbedError as error:  # the round itself will fail, too, and be tried again
            log.error("agent of %s: %s", self.name, error)
        return self._local != before

    def _new_proxier(self) -> Proxier:
        known = facts(self._node, self._cluster)
        addresses = (*known.addresses, *sorted(self._local.difference(known.addresses), key=str))
        how = settings(self._cluster, known)
        return Proxier(replace(known, addresses=addresses), self._node["metadata"].get("labels") or {}, how)

    def _look_after_rules(self) -> None:
        """Sees to a full pass if the rules were flushed, or if the last full pass is long ago."""
        if self._programmed and (self._alarmed.is_set() or self._pace.look_due()):
            self._alarmed.clear()
            self._programmed = self.datapath.intact(self.netns)
            self._pace.looked(intact=self._programmed)
            if not self._programmed:
                log.warning("agent of %s: the rules were flushed by somebody else", self.name)
        if self._programmed and self._pace.full_due():
            if self.datapath.spares_full_passes(self.plan):
                self._pace.skipped()
            else:
                self._programmed = False

    def _tend(self) -> None:
        """Lets the datapath carry on with what had to wait, when it is time."""
        if self._tends and self._pace.tend_due():
            self._pace.tended()
            self._tends.tend(self.netns)

    def _everything(self) -> list[Change]:
        return [(kind, None, obj) for kind in WATCHED for obj in self._store.list(kind)]

    def _round(self, changes: Sequence[Change], *, again: bool) -> None:
        """One round; with `again` the changes are all objects, and the plan so far is made anew."""
        start = time.perf_counter()
        if again:
            self._proxier = self._new_proxier()
        known = self._proxier.plan.facts
        delta = self._proxier.update(changes)
        plan = self._proxier.plan
        planned = time.perf_counter() - start
        full = again or not self._programmed or plan.facts != known
        if not full and not delta:
            return
        applied = None
        try:
            applied = self.datapath.apply(self.netns, plan, None if full else delta)
        finally:
            self._pace.ended(full=bool(applied and applied.full), failed=applied is None)
        self._programmed = True
        self._record(planned, delta, applied)
        for follower in self._followers:
            follower.programmed(plan, None if full else delta, self.syncs[-1])
        if again:
            self._resync.clear()
            self._resynced.set()

    def _record(self, planned: float, delta: PlanDelta, applied: Applied) -> None:
        number = self.syncs[-1].number + 1 if self.syncs else 1
        changed = len(delta.changed) + len(delta.removed)
        steps = (planned, applied.render_seconds, applied.restore_seconds)
        size = (applied.lines, applied.bytes)
        services = len(self._proxier.plan.services)
        self.syncs.append(Sync(number, applied.full, services, changed, *steps, *size, time.time()))

    def describe(self) -> dict[str, Any]:
        """The agent's state for `testbed inspect`."""
        last = asdict(self.syncs[-1]) if self.syncs else None
        return {
            "node": self.name, "datapath": self.datapath.name, "synced": self._synced, "failure": self.failure,
            "lastSync": last,
        }  # fmt: skip


def local_addresses(netns: Netns) -> frozenset[IPAddress]:
    """The addresses that the devices of a namespace have, without loopback. Raises CommandFailed.

    Devices that are down are passed over: a datapath may keep service addresses on one, as kube-ipvs0 does.
    """
    devices = [d for d in json.loads(netns.run(["ip", "-j", "address"]).stdout) if "UP" in d["flags"]]
    found = (ip_address(each["local"]) for device in devices for each in device.get("addr_info", ()))
    return frozenset(address for address in found if not address.is_loopback)


def facts(node: Object, cluster: ClusterConfig) -> NodeFacts:
    """What a plan must know of the node itself. The pods' ranges are the cluster's, or with detectLocalMode
    NodeCIDR the node's own; of several of one family the first counts (kube-proxy's getLocalDetectors).
    """
    ips = [ip_address(a["address"]) for a in node["status"]["addresses"] if a["type"] == "InternalIP"]
    ranges: Iterable[IPNetwork] = cluster.pod_ranges()
    if cluster.kube_proxy.detect_local_mode == "NodeCIDR":
        ranges = map(ip_network, node["spec"].get("podCIDRs") or ())
    first = {network.version: network for network in reversed(list(ranges))}
    return NodeFacts(node["metadata"]["name"], tuple(ips), tuple(first[v] for v in sorted(first)))


def settings(cluster: ClusterConfig, known: NodeFacts) -> Settings:
    """kube-proxy's settings as the Cluster document has them, for one node."""
    proxy = cluster.kube_proxy
    versions = {subnet.version for subnet in cluster.networking.service_subnets}
    return Settings(
        masquerade_all=proxy.masquerade_all,
        localhost_node_ports=proxy.localhost_node_ports,
        node_port_ranges=_node_port_ranges(proxy, known),
        detect_local=proxy.detect_local_mode,
        families=tuple(Family(version) for version in sorted(versions)),
        interface=proxy.detect_local_interface,
    )


def datapath_options(proxy: KubeProxy) -> Mapping[str, Any]:
    """What in `kubeProxy.<mode>` is the datapath's own."""
    return {name: value for name, value in proxy.options.items() if name not in KUBE_PROXY_NAMES}


def _node_port_ranges(proxy: KubeProxy, known: NodeFacts) -> tuple[IPNetwork, ...]:
    """nodePortAddresses; the word `primary` stands for the node's own InternalIPs (KEP-3866)."""
    if "primary" in proxy.node_port_addresses:
        return tuple(ip_network(address) for address in known.addresses)
    return tuple(ip_network(cidr) for cidr in proxy.node_port_addresses)


def _change(event: Event) -> Change:
    gone = event.type is EventType.DELETED
    return event.object["kind"], event.old, None if gone else event.object
