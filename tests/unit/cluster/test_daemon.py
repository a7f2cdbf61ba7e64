"""What a deploy refuses before anything is started."""

from __future__ import annotations

import dataclasses

import pytest

from testbed.cluster import daemon
from testbed.cluster.posts import check_datapath
from testbed.datapaths import find
from testbed.errors import FeatureMissing, ManifestErrors, UsageError
from testbed.kube.objects import ClusterConfig, KubeProxy, default_cluster, load_text

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.97.0.1, ports: [{port: 80}]}
"""


def cluster(mode: str, **options: object) -> ClusterConfig:
    shape = default_cluster()
    networking = dataclasses.replace(shape.networking, kube_proxy_mode=mode)
    return dataclasses.replace(shape, networking=networking, kube_proxy=KubeProxy(options=options))


def test_a_datapath_that_is_not_there_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match=r"no datapath 'carrier-pigeon'; there are: .*iptables"):
        daemon.check(cluster("carrier-pigeon"), ())


def test_an_option_that_the_datapath_does_not_have_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="no variant 'bogus'"):
        daemon.check(cluster("iptables", variant="bogus"), ())


def test_what_the_cluster_would_refuse_is_told() -> None:
    with pytest.raises(ManifestErrors, match="10.97.0.1"):
        daemon.check(cluster("none"), load_text(SERVICE, "-").manifests)


class BareMachine:
    """`datapaths.contract.Machine` on which nothing is installed."""

    def has(self, feature: str) -> bool:
        return False

    def why_not(self, feature: str) -> str:
        return f"no {feature} here"


def test_what_the_machine_lacks_is_told_with_what_mends_it() -> None:
    with pytest.raises(FeatureMissing) as raised:
        check_datapath(find.load("iptables", {"variant": "legacy"}), BareMachine())
    assert (raised.value.feature, raised.value.reason, raised.value.fix) == (
        "datapath iptables",
        "iptables-legacy: no iptables-legacy here",
        "apt-get install iptables",
    )
