"""Moves a running cluster from one datapath to another, node by node, with nobody restarted but the agents.

On each node the new rules come in before the old ones go: connections that stand keep the kernel's translation, and
new ones find the old rules or the new ones, never none. Only where both write to the same names (`Datapath.ground`)
the old ones must go first. kube-proxy does neither: to nftables and from there it removes the old rules before its
first sync, between iptables and ipvs none at all (cmd/kube-proxy/app/server_linux.go, platformCleanup).

Knows posts and the datapaths' contract. Knows nothing of what packets meet meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from testbed.cluster.agent import Agent
from testbed.cluster.posts import Post, Posts, await_first_round
from testbed.datapaths.contract import Datapath
from testbed.errors import Conflict, KernelStateError, TestbedError, UsageError
from testbed.kube.objects import ClusterConfig
from testbed.kube.store import Object, Store

NEW_FIRST, OLD_FIRST, IN_PLACE = "new-first", "old-first", "in-place"
ORDERS = (NEW_FIRST, OLD_FIRST)

Told = Callable[[dict[str, Any]], None]
"""Told of progress: `node`, `step`, `done` nodes of `nodes`."""


@dataclass(slots=True)
class Moved:
    """What became of one node. Moments are CLOCK_MONOTONIC's, in seconds, by the step that ended then."""

    node: str
    order: str
    began: float = field(default_factory=time.monotonic)
    ended: dict[str, float] = field(default_factory=dict)
    before: dict[str, int] = field(default_factory=dict)  # sizes as the datapaths read them back
    after: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Note when it ended, if it ended well."""
        yield
        self.ended[name] = time.monotonic()


class Switcher:
    """Holds the posts of all nodes. One switch at a time. `agents` is kept up to date: who is in office where."""

    def __init__(self, store: Store, posts: Posts, agents: dict[str, Agent]) -> None:
        self._store, self._posts, self._agents = store, posts, agents
        self._held: dict[str, Post] = {}
        self._cluster: ClusterConfig | None = None
        self._lock = threading.Lock()
        self._started = threading.Event()

    def man(self, cluster: ClusterConfig) -> None:
        """A post on every node, not started yet."""
        self._cluster = cluster
        for node in self._store.list("Node"):
            self._take(self._posts.make(node, cluster))

    def start(self) -> None:
        """The agents begin."""
        for agent in self._agents.values():
            agent.start()
        self._started.set()

    def switch(self, wanted: ClusterConfig, order: str, told: Told) -> list[Moved]:
        """Bring every node to the mode and options of `wanted`; nothing to do gives an empty list.

        Raises Conflict if another switch is under way, UsageError for an order that cannot be, and KernelStateError
        if a node cannot be moved: then all nodes are back at the old datapath, and the error says so.
        """
        if not self._lock.acquire(blocking=False):
            raise Conflict("a switch of this cluster's datapath is under way already")
        try:
            self._started.wait()
            return self._switch(wanted, order, told)
        finally:
            self._lock.release()

    def _switch(self, wanted: ClusterConfig, order: str, told: Told) -> list[Moved]:
        if self._cluster is None:
            raise UsageError(
                "this cluster was deployed without a datapath (mode none): nothing can be switched"
            )
        before, nodes = self._cluster, self._store.list("Node")
        if _mode(before) == _mode(wanted):
            return []
        chosen = order_of(self._posts.load(before), self._posts.load(wanted), order)
        moved: list[Moved] = []
        try:
            for number, node in enumerate(nodes):
                name = node["metadata"]["name"]
                moved.append(Moved(name, chosen))
                self._move(node, wanted, moved[-1], _teller(told, name, number, len(nodes)))
        except TestbedError as error:
            raise KernelStateError(self._go_back(nodes[: len(moved)], before, wanted, error)) from error
        self._cluster = wanted
        told({"node": "", "step": "done", "done": len(nodes), "nodes": len(nodes)})
        return moved

    def _move(self, node: Object, wanted: ClusterConfig, moved: Moved, tell: Callable[[str], None]) -> None:
        """One node's turn. Raises TestbedError at the first thing that is not as it shall be."""
        tell("stopping")
        name = moved.node
        old = self._held[name].agent.datapath
        netns = self._held[name].agent.netns
        moved.before = dict(old.observe(netns).size)
        with moved.step("stopped"):
            self._posts.end(self._held[name])
        if moved.order == OLD_FIRST:
            tell("removing the old rules")
            self._remove(old, moved)
        tell("programming")
        with moved.step("programmed"):
            agent = self._begin(node, wanted)
        if moved.order == NEW_FIRST:
            tell("removing the old rules")
            self._remove(old, moved)
            tell("looking after the new ones")
            with moved.step("mended"):  # the old one may have taken settings along that both had set
                agent.resync_and_wait()
        if not agent.datapath.intact(netns):
            raise KernelStateError(
                f"{name}: the rules of {agent.datapath.name} are not whole after the switch"
            )
        moved.after = dict(agent.datapath.observe(netns).size)

    def _begin(self, node: Object, cluster: ClusterConfig) -> Agent:
        post = self._posts.make(node, cluster)
        self._take(post)
        post.agent.start()
        await_first_round(post.agent)
        return post.agent

    def _remove(self, datapath: Datapath, moved: Moved) -> None:
        netns = self._held[moved.node].agent.netns
        with moved.step("removed"):
            datapath.remove(netns)
        if datapath.present(netns):
            raise KernelStateError(
                f"{moved.node}: rules of {datapath.name} are there still after their removal"
            )

    def _go_back(
        self, nodes: list[Object], before: ClusterConfig, wanted: ClusterConfig, error: TestbedError
    ) -> str:
        """Every node that was touched gets the old datapath again; what is to be said of it."""
        troubles = [trouble for node in nodes if (trouble := self._return(node, before, wanted))]
        old, new = _mode(before)[0], _mode(wanted)[0]
        story = f"the switch to {new} failed: {error}"
        if troubles:
            return f"{story}\n    and going back to {old} failed as well: {'; '.join(troubles)}"
        return f"{story}\n    every node is back at {old}"

    def _return(self, node: Object, before: ClusterConfig, wanted: ClusterConfig) -> str:
        """Undo whatever there is of a move; empty, or why that was not possible."""
        post = self._held[node["metadata"]["name"]]
        try:
            if post.agent.running:
                self._posts.end(post)
            self._posts.load(wanted).remove(post.agent.netns)
            self._begin(node, before)
        except TestbedError as error:
            return str(error)
        return ""

    def _take(self, post: Post) -> None:
        self._held[post.agent.name] = post
        self._agents[post.agent.name] = post.agent


def order_of(old: Datapath, new: Datapath, asked: str) -> str:
    """In which order the rules of two datapaths follow each other. Raises UsageError for what cannot be."""
    if asked and asked not in ORDERS:
        raise UsageError(f"no order {asked!r}; there are: {', '.join(ORDERS)}")
    if (old.name, old.ground) == (new.name, new.ground):
        return IN_PLACE  # the same names for the same things: a full pass changes what differs
    common = old.ground & new.ground
    if common and asked == NEW_FIRST:
        names = ", ".join(sorted(common))
        raise UsageError(f"{old.name} and {new.name} both write to {names}: the old rules must go first")
    return asked or (OLD_FIRST if common else NEW_FIRST)


def _mode(cluster: ClusterConfig) -> tuple[str, dict[str, Any]]:
    return cluster.networking.kube_proxy_mode, dict(cluster.kube_proxy.options)


def _teller(told: Told, node: str, done: int, nodes: int) -> Callable[[str], None]:
    return lambda step: told({"node": node, "step": step, "done": done, "nodes": nodes})
