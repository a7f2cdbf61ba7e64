"""A scene handed to testbed: the plan of its node, and the rules that a node of dictionaries then holds."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import Any

from testbed.datapaths.iptables import datapath
from testbed.datapaths.iptables.fake import FakeNode
from testbed.datapaths.iptables.ruleset import Ruleset
from testbed.proxier.plan import NodeFacts
from testbed.proxier.proxier import ZONE_LABEL, Change, Proxier, Settings
from tests.generated.oracle.rules import Tables
from tests.generated.scene import Object, Scene

TOOLS = {"IPv4": "iptables", "IPv6": "ip6tables"}


def proxier(scene: Scene) -> Proxier:
    """testbed's proxier of the scene's node, with all its objects taken in."""
    facts = NodeFacts(
        scene.node, tuple(map(ip_address, scene.addresses)), tuple(map(ip_network, scene.pod_cidrs))
    )
    settings = Settings(
        masquerade_all=scene.proxy.masquerade_all,
        localhost_node_ports=scene.proxy.localhost_node_ports,
        node_port_ranges=tuple(map(ip_network, scene.proxy.node_port_addresses)),
        detect_local=scene.proxy.detect_local_mode,
        interface=scene.proxy.interface,
    )
    made = Proxier(facts, {ZONE_LABEL: scene.zone} if scene.zone else {}, settings)
    made.update(changes((None, each) for each in scene.objects))
    return made


def changes(batch: Iterable[tuple[Object | None, Object | None]]) -> list[Change]:
    """What a watch tells of objects that went from one state to another."""
    return [((new or old or {})["kind"], old, new) for old, new in batch if old or new]


def options(scene: Scene) -> dict[str, Any]:
    """What the Cluster document would say of the iptables datapath."""
    return {"masqueradeBit": scene.proxy.masquerade_bit}


def node(scene: Scene) -> FakeNode:
    """A node whose kernel offers what the scene says."""
    made = FakeNode(scene.node, has_nfacct=scene.proxy.counters)
    made.sysctls["net.netfilter.nf_conntrack_tcp_be_liberal"] = str(int(scene.proxy.tcp_be_liberal))
    return made


def programmed(scene: Scene) -> FakeNode:
    """A node after a full pass."""
    made = node(scene)
    datapath(options(scene)).apply(made, proxier(scene).plan, None)
    return made


def held(ruleset: Ruleset) -> Tables:
    """A ruleset as tables of chains of rules."""
    return {name: table.chains for name, table in ruleset.items()}
