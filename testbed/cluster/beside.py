"""A second datapath beside the cluster's own, on purpose: to see what two of them do to each other; who is there.

Two kube-proxies on one node, or the rules that a former one left behind, are a mistake that clusters meet. So a
second one must be asked for. Its agents keep its rules only; when they end, its rules may stay, and then nobody
follows the objects any more. Knows posts and the contract; knows nothing of a switch.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

from testbed.cluster.agent import Agent
from testbed.cluster.posts import Post, Posts, await_first_round
from testbed.datapaths import find
from testbed.datapaths.contract import Datapath, Machine
from testbed.errors import Conflict, NotFound
from testbed.kube.objects import ClusterConfig
from testbed.kube.store import Store
from testbed.machine.netns import Netns


class Beside:
    """At most one second datapath in a cluster. `agents` are those in office."""

    def __init__(self, store: Store, posts: Posts, agents: Mapping[str, Agent]) -> None:
        self._store, self._posts, self._agents = store, posts, agents
        self._held: list[Post] = []
        self._left: list[tuple[Datapath, Netns]] = []  # whose agents are gone, and whose rules are not
        self._lock = threading.Lock()

    @property
    def there(self) -> str:
        """The second one's name, its rules alone included; empty without."""
        both = [post.agent.datapath for post in self._held] + [datapath for datapath, _ in self._left]
        return both[0].name if both else ""

    def add(self, wanted: ClusterConfig) -> None:
        """Let agents write the rules of a second datapath on every node. Raises Conflict, KernelStateError."""
        with self._lock:
            self._check(self._posts.load(wanted))
            try:
                for node in self._store.list("Node"):
                    self._held.append(self._posts.make(node, wanted, bare=True))
                    self._held[-1].agent.start()
                    await_first_round(self._held[-1].agent)
            except BaseException:
                self._take_away(keep_rules=False)
                raise

    def remove(self, name: str, *, keep_rules: bool) -> None:
        """End its agents; take its rules away, or leave them to nobody. Raises NotFound."""
        with self._lock:
            if not name or name != self.there:
                raise NotFound(
                    f"no {name} beside this cluster's own datapath; there is {self.there or 'none'}"
                )
            self._take_away(keep_rules=keep_rules)

    def _check(self, second: Datapath) -> None:
        if self.there:
            raise Conflict(f"{self.there} is there already, beside this cluster's own datapath")
        for agent in self._agents.values():
            common = agent.datapath.ground & second.ground
            if common:
                what = f"both write to {', '.join(sorted(common))}"
                raise Conflict(f"{second.name} cannot stand beside {agent.datapath.name}: {what}")

    def _take_away(self, *, keep_rules: bool) -> None:
        while self._held:
            post = self._held.pop()
            self._posts.end(post)
            self._left.append((post.agent.datapath, post.agent.netns))
        while self._left and not keep_rules:
            datapath, netns = self._left.pop()
            datapath.remove(netns)


def present(netns: Netns, machine: Machine) -> Iterator[str]:
    """Whose rules a node's kernel holds, whoever put them there: `iptables nft`, `nftables`."""
    for name in find.names():
        for options in find.choices(name):
            datapath = find.load(name, options)
            if not datapath.missing(machine) and datapath.present(netns):
                yield " ".join((name, *map(str, options.values())))


def told(agents: Mapping[str, Agent], machine: Machine) -> dict[str, Any]:
    """For each node whose rules are there."""
    return {name: list(present(agent.netns, machine)) for name, agent in agents.items()}
