"""The datapaths that cases are judged with, in which kernels, and the Cluster document that each case runs in.

Every datapath is judged natively, where this machine's kernel has what it needs, and in a User Mode Linux, which
has all of it. Knows names and options of datapaths; knows nothing of what they do.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from testbed.datapaths import find
from testbed.machine.kernels import NATIVE
from tests.net.case import Case

# Options with which a datapath is judged, each with what the machine must have. Without an entry: as it comes.
VARIANTS: dict[str, dict[str, Mapping[str, Any]]] = {
    "iptables": {"iptables-nft": {"variant": "nft"}, "iptables-legacy": {"variant": "legacy"}},
    "ipvs": {"ip_vs": {}},
}
VARIABLE = "TESTBED_CASE_KERNELS"  # the environment's word for other kernels than the usual two
CASE_KERNELS = tuple(os.environ.get(VARIABLE, f"{NATIVE},uml").split(","))
ZONE = "topology.kubernetes.io/zone"
NODES = ({"labels": {ZONE: "zone-1"}}, {"labels": {ZONE: "zone-2"}})
# Settings of kube-proxy that stand in a Cluster document beside the options of its mode.
OF_THE_MODE = ("localhostNodePorts", "masqueradeAll", "syncPeriod")


@dataclass(frozen=True, slots=True)
class Arm:
    """A datapath with its options, in a kernel."""

    datapath: str
    feature: str
    options: Mapping[str, Any]
    kernel: str = NATIVE

    def __str__(self) -> str:
        name = self.feature if len(VARIANTS.get(self.datapath, ())) > 1 else self.datapath
        return name if self.kernel == NATIVE else f"{name}-{self.kernel}"

    def cluster(self, case: Case) -> str:
        """The Cluster document for a case: two nodes in two zones and two clients, unless it says otherwise.

        A case writes kube-proxy's settings without a mode; here they come under the one that runs.
        """
        given = dict(case.cluster.get("kubeProxy", {}))
        # A case waits for each of its steps; it need not wait for the period between two rounds as well.
        sections = {self.datapath: {**self.options, "minSyncPeriod": "0s"}}
        for name in given.keys() & {*OF_THE_MODE}:
            # As in KubeProxyConfiguration: mode ipvs takes this one from the section of iptables.
            borrowed = (self.datapath, name) == ("ipvs", "masqueradeAll")
            sections.setdefault("iptables" if borrowed else self.datapath, {})[name] = given.pop(name)
        document = {
            "apiVersion": "testbed.dev/v1alpha1",
            "kind": "Cluster",
            "metadata": {"name": "case"},
            "networking": {"ipFamily": "dual", "kubeProxyMode": self.datapath},
            "kubeProxy": {**given, **sections},
            "nodes": [*case.cluster.get("nodes", NODES)],
            "clients": 2,
        }
        return yaml.safe_dump(document)


def arms(kernel: str = NATIVE) -> Iterator[Arm]:
    """Every datapath that is found, in every variant."""
    for name in find.names():
        for feature, options in VARIANTS.get(name, {name: {}}).items():
            yield Arm(name, feature, options, kernel)


def pairs(paths: Iterable[Path]) -> Iterator[tuple[Path, Arm]]:
    """Every case with every arm, in the order in which lab instances serve longest: natively there are a few at
    once in a process, so arms take turns; in a guest there is memory for fewer, so they follow one another."""
    for kernel in CASE_KERNELS:
        if kernel == NATIVE:
            yield from itertools.product(paths, arms())
        else:
            yield from ((path, arm) for arm in arms(kernel) for path in paths)
