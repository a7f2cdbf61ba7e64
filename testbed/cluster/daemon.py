"""The daemon of a lab instance: store, controllers, network, kubelets and agents, put together.

Runs as process 1 of its sandbox. What it can be asked is in `verbs.py`.
"""

from __future__ import annotations

import logging
import resource
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.cluster.agent import Agent
from testbed.cluster.apisockets import ApiSockets
from testbed.cluster.beside import Beside
from testbed.cluster.health import Health
from testbed.cluster.kubelet.contract import Machinery
from testbed.cluster.kubelet.kubelets import Kubelets, real_machinery
from testbed.cluster.network import ClusterNetwork
from testbed.cluster.nodeinfo import memory, node_info
from testbed.cluster.podserver.client import PodServer
from testbed.cluster.posts import Posts, check_datapath, check_options, datapath_of
from testbed.cluster.readiness import Readiness
from testbed.cluster.server import Server
from testbed.cluster.switch import Moved, Switcher, Told
from testbed.cluster.verbs import Verbs
from testbed.errors import Conflict, Mistake, NotFound
from testbed.kube.api import Registry
from testbed.kube.controllers import Manager, all_controllers, create_nodes
from testbed.kube.objects import ClusterConfig, Manifest
from testbed.kube.store import Store
from testbed.machine import collecting
from testbed.machine.features import ThisMachine
from testbed.machine.reaper import Reaper
from testbed.machine.sandbox import Ready

if TYPE_CHECKING:
    from testbed.kube.api.rest import Api

FIRST_ROUND_PATIENCE = 1.0  # seconds; as long as kube-proxy's default period between two rounds
PODS = "pods"  # the folder of what the kubelets keep of pods
NO_DATAPATH = "none"  # kind's word: service addresses lead nowhere, which is the baseline of measurements

ALL_LOCAL_ADDRESSES = """nodePortAddresses is unset; NodePort connections will be accepted on all local IPs. \
Consider using `nodePortAddresses: [primary]`"""  # kube-proxy's words

log = logging.getLogger(__name__)


class Daemon:
    """One cluster. `start` builds it; the verbs serve it."""

    def __init__(self, name: str, folder: Path, cluster: ClusterConfig) -> None:
        self.name, self.folder, self.cluster = name, folder, cluster
        self.started = time.time()
        self.health = Health()
        self.store = Store()
        self.network = ClusterNetwork(cluster)
        self.registry = Registry(self.store, cluster)
        self.manager = Manager(self.store, all_controllers(cluster))
        self.kubelets: Kubelets | None = None
        self.agents: dict[str, Agent] = {}
        self.posts = Posts(self.store)
        self.switcher = Switcher(self.store, self.posts, self.agents)
        self.beside = Beside(self.store, self.posts, self.agents)
        self.readiness = Readiness(self.store, self.manager, self.agents)

    def start(self, manifests: Sequence[Manifest]) -> None:
        """Nodes, network, objects, controllers, kubelets, agents; pods follow as objects come."""
        Reaper().start()
        create_nodes(self.store, self.cluster, node_info(), memory())
        self.network.build(self.store.list("Node"))
        self.registry.apply(manifests)
        self._make_agents()
        # Watching before the controllers begin, it meets pods in the order in which they are bound: so equal
        # input gives equal addresses.
        self.kubelets = Kubelets(self.store, self.network, PodServer(), self.folder / PODS, self._machinery())
        self.manager.start()
        self.kubelets.start()
        threading.Thread(target=self._start_agents, name="agents", daemon=True).start()

    def make_api(self) -> Api:
        """The Kubernetes API of the cluster; loaded here, since not everybody asks for it."""
        from testbed.cluster.kubelet.logreading import LogReader
        from testbed.kube.api.rest import Api

        return Api(self.store, self.registry, LogReader(self.folder / PODS), self.health.check)

    def _machinery(self) -> Machinery:
        return real_machinery(longest_backoff=self.cluster.kubelet.max_container_restart_period)

    def _start_agents(self) -> None:
        """kube-proxy begins when its caches are filled, and comes up beside the pods: so an agent's first round
        has the first pods in it, unless they take their time."""
        self.readiness.wait_for_pods(FIRST_ROUND_PATIENCE)
        self.switcher.start()

    def _make_agents(self) -> None:
        if self.cluster.networking.kube_proxy_mode == NO_DATAPATH:
            return
        if not self.cluster.kube_proxy.node_port_addresses:
            log.warning(ALL_LOCAL_ADDRESSES)
        self.switcher.man(self.cluster)

    def switch(self, mode: str, options: Mapping[str, Any], order: str, told: Told) -> Sequence[Moved]:
        """Another datapath for all nodes. Raises UsageError, FeatureMissing, and what `Switcher.switch` raises."""
        if self.beside.there:
            raise Conflict(
                f"{self.beside.there} is there as well: testbed datapath remove {self.beside.there}"
            )
        wanted = self._wanted(mode, options)
        moved = self.switcher.switch(wanted, order, told)
        self.cluster = wanted
        return moved

    def add_beside(self, mode: str, options: Mapping[str, Any]) -> None:
        """A second datapath, on purpose. Raises UsageError, FeatureMissing, and what `Beside.add` raises."""
        self.beside.add(self._wanted(mode, options))

    def _wanted(self, mode: str, options: Mapping[str, Any]) -> ClusterConfig:
        check_options(mode, options)
        wanted = self.cluster.with_mode(mode, options)
        check_datapath(datapath_of(wanted), ThisMachine())
        return wanted

    def agent(self, node: str) -> Agent:
        """The agent of a node. Raises NotFound."""
        if node not in self.agents:
            raise NotFound(f"no node {node!r}; there are: {', '.join(self.agents)}")
        return self.agents[node]


def check(
    cluster: ClusterConfig, manifests: Sequence[Manifest], mistakes: Sequence[Mistake] = ()
) -> Sequence[str]:
    """What this cluster or this machine would refuse, before anything is started; returns what is hardly meant.

    `mistakes` are those that were found in the files already. Raises ManifestErrors with them and with more;
    UsageError if the datapath or an option of it does not exist. Whether a kernel can do it is `launch.need`.
    """
    store = Store()
    create_nodes(store, cluster)
    registry = Registry(store, cluster)
    registry.apply(manifests, mistakes)
    if cluster.networking.kube_proxy_mode != NO_DATAPATH:
        datapath_of(cluster)
    return registry.doubts(manifests)


def run(
    name: str, cluster: ClusterConfig, folder: Path, ready: Ready, *, manifests: Sequence[Manifest] = ()
) -> None:
    """Be the daemon, for ever: `sandbox.start` calls this in process 1. The objects are there from the start."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    collecting.rarely()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a container with a command costs four files
    daemon = Daemon(name, folder, cluster)
    threading.excepthook = daemon.health.thread_died
    api = ApiSockets(folder, name, daemon.make_api)
    with Server(folder / "api.sock", Verbs(daemon).table()) as server:
        daemon.start(manifests)
        api.start()
        ready()
        server.serve_forever()
