"""Which endpoints kube-proxy uses for each traffic policy: the checklist's section on readiness and topology.

Must not import testbed: it is what testbed is held against.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.generated.oracle.reading import Ending, Port
from tests.generated.scene import Scene


@dataclass
class Choice:
    """The endpoints under policy Cluster and under policy Local; are there any on any node?"""

    cluster: list[Ending]
    local: list[Ending]
    any: bool

    @property
    def reachable(self) -> list[Ending]:
        """Every endpoint that some rule of this node leads to, sorted by its text."""
        found = {each.text: each for each in self.cluster + self.local}
        return [found[text] for text in sorted(found)]


def choose(port: Port, scene: Scene) -> Choice:
    """Policy Cluster is asked for by the cluster IP unless it is Local, and by every external address (pods and
    the node itself pass by policy Local there); policy Local by whatever follows it.
    """
    uses_cluster = port.external or not port.internal_local
    uses_local = port.internal_local or (port.external and port.external_local)
    here = [each for each in port.known if each.local]
    return Choice(
        cluster=(_hinted(port.known, scene) or _leaving(port.known)) if uses_cluster else [],
        local=(_ready(here) or _leaving(here)) if uses_local else [],
        any=bool(_ready(port.known) or _leaving(port.known)),
    )


def _ready(endings: list[Ending]) -> list[Ending]:
    return [each for each in endings if each.ready]


def _leaving(endings: list[Ending]) -> list[Ending]:
    return [each for each in endings if each.fallback]


def _hinted(endings: list[Ending], scene: Scene) -> list[Ending]:
    """The ready ones. Hints count if all of these have some, and one names this node; else the same by zone."""
    ready = _ready(endings)
    for_node = [each for each in ready if scene.node in each.nodes]
    for_zone = [each for each in ready if scene.zone in each.zones]
    if for_node and all(each.nodes for each in ready):
        return for_node
    if for_zone and all(each.zones for each in ready):
        return for_zone
    return ready
