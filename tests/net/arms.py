"""The datapaths that cases are judged with, and the Cluster document that each case runs in.

Knows names and options of datapaths; knows nothing of what they do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from testbed.datapaths import find
from tests.net.case import Case

# Options with which a datapath is judged, each with what the machine must have. Without an entry: as it comes.
VARIANTS: dict[str, dict[str, Mapping[str, Any]]] = {
    "iptables": {"iptables-nft": {"variant": "nft"}, "iptables-legacy": {"variant": "legacy"}}
}
ZONE = "topology.kubernetes.io/zone"
NODES = ({"labels": {ZONE: "zone-1"}}, {"labels": {ZONE: "zone-2"}})
# Settings of kube-proxy that stand in a Cluster document beside the options of its mode.
OF_THE_MODE = ("localhostNodePorts", "masqueradeAll", "syncPeriod")


@dataclass(frozen=True, slots=True)
class Arm:
    """A datapath with its options."""

    datapath: str
    feature: str
    options: Mapping[str, Any]

    def __str__(self) -> str:
        return self.feature

    def cluster(self, case: Case) -> str:
        """The Cluster document for a case: two nodes in two zones and two clients, unless it says otherwise.

        A case writes kube-proxy's settings without a mode; here they come under the one that runs.
        """
        given = dict(case.cluster.get("kubeProxy", {}))
        # A case waits for each of its steps; it need not wait for the period between two rounds as well.
        options = {**self.options, "minSyncPeriod": "0s"}
        options |= {name: given.pop(name) for name in OF_THE_MODE if name in given}
        document = {
            "apiVersion": "testbed.dev/v1alpha1",
            "kind": "Cluster",
            "metadata": {"name": "case"},
            "networking": {"ipFamily": "dual", "kubeProxyMode": self.datapath},
            "kubeProxy": {**given, self.datapath: options},
            "nodes": [*case.cluster.get("nodes", NODES)],
            "clients": 2,
        }
        return yaml.safe_dump(document)


def arms() -> Iterator[Arm]:
    """Every datapath that is found, in every variant."""
    for name in find.names():
        for feature, options in VARIANTS.get(name, {name: {}}).items():
            yield Arm(name, feature, options)
