"""The posts of the nodes: on each one a kube-proxy in one mode, i.e. an agent, its datapath, follower and alarm.

Knows how they are put together and taken away. Knows nothing of why one takes another's place (`switch.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from testbed.cluster.agent import Agent, datapath_options
from testbed.cluster.kubeproxy.proxy import KubeProxies, KubeProxy
from testbed.cluster.sentry import Sentry
from testbed.cluster.sysctls import set_conntrack
from testbed.datapaths import find
from testbed.datapaths.contract import Alarm, Datapath, Machine
from testbed.errors import FeatureMissing, KernelStateError, UsageError
from testbed.kube.objects import ClusterConfig
from testbed.kube.objects.kinds import CLUSTER
from testbed.kube.objects.validate import field_errors
from testbed.kube.store import Object, Store
from testbed.machine.netns import Netns

FIRST_ROUND_SECONDS = 600.0  # a whole plan of many thousand Services on a slow kernel
LOOK_SECONDS = 0.002

Load = Callable[[ClusterConfig], Datapath]


@dataclass(slots=True)
class Post:
    """One kube-proxy on one node. `proxy` is None for one that only writes rules, beside another."""

    agent: Agent
    proxy: KubeProxy | None = None
    alarm: Alarm | None = None


def datapath_of(cluster: ClusterConfig) -> Datapath:
    """The datapath of a cluster's mode with its options. Raises UsageError."""
    return find.load(cluster.networking.kube_proxy_mode, datapath_options(cluster.kube_proxy))


def check_datapath(datapath: Datapath, machine: Machine) -> None:
    """Raise FeatureMissing with everything that the datapath lacks on a machine, and what mends it."""
    lacks = datapath.missing(machine)
    if lacks:
        reasons = "; ".join(f"{lack.feature}: {lack.reason}" for lack in lacks)
        fix = "; ".join(dict.fromkeys(lack.fix for lack in lacks))
        raise FeatureMissing(f"datapath {datapath.name}", reasons, fix)


def check_options(mode: str, options: Mapping[str, Any]) -> None:
    """Raise UsageError with everything that a Cluster document could not say under `kubeProxy.<mode>`."""
    body = {
        "apiVersion": CLUSTER.api_version, "kind": CLUSTER.name, "metadata": {"name": "asked"},
        "networking": {"kubeProxyMode": mode}, "kubeProxy": {mode: dict(options)},
    }  # fmt: skip
    wrong = field_errors(body)
    if wrong:
        raise UsageError("; ".join(f"{error.path}: {error.message}" for error in wrong))


class Posts:
    """Makes and ends posts. `load` gives each agent a datapath of its own: it remembers what it wrote."""

    def __init__(self, store: Store, load: Load = datapath_of, *, bare: bool = False) -> None:
        self.load = load
        self._store, self._bare = store, bare
        self._sentry = Sentry()
        self._proxies: KubeProxies | None = None

    def make(self, node: Object, cluster: ClusterConfig, *, bare: bool = False) -> Post:
        """A post whose agent is not started yet; `bare`: without what a kube-proxy does besides rules."""
        datapath = self.load(cluster)
        proxy = None if bare or self._bare else self._proxy(node, cluster, datapath)
        post = Post(Agent(self._store, node, cluster, datapath, [proxy] if proxy else []), proxy)
        post.alarm = datapath.alarm(post.agent.netns)
        if post.alarm:
            self._sentry.watch(post.alarm, post.agent.look)
        return post

    def end(self, post: Post) -> None:
        """Stop it and free its ports; the kernel keeps its rules."""
        if post.alarm:
            self._sentry.forget(post.alarm)
        post.agent.stop()
        if post.proxy:
            post.proxy.stop()

    def _proxy(self, node: Object, cluster: ClusterConfig, datapath: Datapath) -> KubeProxy:
        self._proxies = self._proxies or KubeProxies()
        proxy = self._proxies.start(node, cluster, datapath)
        set_conntrack(Netns(proxy.name), cluster.kube_proxy.conntrack)
        return proxy


def await_first_round(agent: Agent, timeout: float = FIRST_ROUND_SECONDS) -> None:
    """Return when an agent's kernel obeys for the first time. Raises KernelStateError with the reason if not."""
    end = time.monotonic() + timeout
    while not agent.synced_version:
        if agent.failure:
            raise KernelStateError(f"{agent.name}: {agent.failure}")
        if time.monotonic() > end:
            raise KernelStateError(f"{agent.name}: no first round within {timeout:g} s")
        time.sleep(LOOK_SECONDS)
