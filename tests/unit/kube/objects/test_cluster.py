"""The Cluster document."""

from __future__ import annotations

import json
from ipaddress import ip_network

import pytest

from testbed.kube.objects import ClusterConfig, KubeProxy, Networking, NodeConfig, default_cluster, load_text
from testbed.kube.objects.cluster import cluster_of, seconds

HEAD = "apiVersion: testbed.dev/v1alpha1\nkind: Cluster\nmetadata: {name: lab}\n"


def cluster(text: str) -> ClusterConfig:
    found = load_text(HEAD + text, "f.yaml").cluster
    assert found is not None
    return found


FULL = """
networking:
  ipFamily: dual
  podSubnet: 10.10.0.0/16, fd00:1::/56
  serviceSubnet: fd00:2::/112,10.97.0.0/16
  loadBalancerSubnet: 198.51.100.0/25,fd00:3::/112
  kubeProxyMode: iptables
kubeProxy:
  nodePortAddresses: [192.168.0.0/24]
  detectLocalMode: ClusterCIDR
  iptables:
    {masqueradeAll: true, localhostNodePorts: false, minSyncPeriod: 500ms, syncPeriod: 1m30s, variant: legacy}
nodes:
- {role: control-plane, name: head, labels: {topology.kubernetes.io/zone: za}}
- {count: 2}
clients: 2
"""


def test_every_field() -> None:
    assert cluster(FULL) == ClusterConfig(
        name="lab",
        nodes=(
            NodeConfig("head", "control-plane", {"topology.kubernetes.io/zone": "za"}),
            NodeConfig("node2"),
            NodeConfig("node3"),
        ),
        networking=Networking(
            ip_family="dual",
            pod_subnets=(ip_network("10.10.0.0/16"), ip_network("fd00:1::/56")),
            service_subnets=(ip_network("fd00:2::/112"), ip_network("10.97.0.0/16")),
            kube_proxy_mode="iptables",
            load_balancer_subnets=(ip_network("198.51.100.0/25"), ip_network("fd00:3::/112")),
        ),
        kube_proxy=KubeProxy(
            masquerade_all=True,
            localhost_node_ports=False,
            node_port_addresses=("192.168.0.0/24",),
            min_sync_period=0.5,
            sync_period=90.0,
            options={
                "masqueradeAll": True,
                "localhostNodePorts": False,
                "minSyncPeriod": "500ms",
                "syncPeriod": "1m30s",
                "variant": "legacy",
            },
        ),
        clients=2,
    )


@pytest.mark.parametrize(
    ("mode", "said", "addresses"),
    [
        ("iptables", "", ()),
        ("ipvs", "", ()),
        ("nftables", "", ("primary",)),
        ("nftables", "nodePortAddresses: []", ("primary",)),
        ("nftables", "nodePortAddresses: [0.0.0.0/0]", ("0.0.0.0/0",)),
    ],
)
def test_where_node_ports_answer_unless_said(mode: str, said: str, addresses: tuple[str, ...]) -> None:
    text = f"networking: {{kubeProxyMode: {mode}}}\nkubeProxy: {{{said}}}\n"
    assert cluster(text).kube_proxy.node_port_addresses == addresses


def test_nothing_said_is_the_default_cluster() -> None:
    assert cluster("") == ClusterConfig(
        "lab", default_cluster().nodes, Networking(), KubeProxy(), default_cluster().clients
    )
    assert [node.name for node in default_cluster().nodes] == ["node1", "node2", "node3"]


@pytest.mark.parametrize(("family", "versions"), [("ipv4", [4]), ("ipv6", [6]), ("dual", [4, 6])])
def test_default_subnets_follow_the_family(family: str, versions: list[int]) -> None:
    networking = cluster(f"networking: {{ipFamily: {family}}}").networking
    assert [subnet.version for subnet in networking.pod_subnets] == versions
    assert [subnet.version for subnet in networking.service_subnets] == versions
    assert [subnet.version for subnet in networking.load_balancer_subnets] == versions


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("iptables", KubeProxy(masquerade_all=True, options={"masqueradeAll": True})),
        ("ipvs", KubeProxy(masquerade_all=True, min_sync_period=0.0, options={"scheduler": "mh"})),
        (
            "nftables",
            KubeProxy(node_port_addresses=("primary",), sync_period=5.0, options={"syncPeriod": "5s"}),
        ),
        ("ebpf", KubeProxy(masquerade_all=True, options={"algorithm": "maglev"})),
    ],
)
def test_the_section_of_the_mode_counts(mode: str, expected: KubeProxy) -> None:
    text = (
        f"networking: {{kubeProxyMode: {mode}}}\nkubeProxy:\n  iptables: {{masqueradeAll: true}}\n"
        "  ipvs: {scheduler: mh}\n  nftables: {syncPeriod: 5s}\n  ebpf: {algorithm: maglev}\n"
    )
    assert cluster(text).kube_proxy == expected


@pytest.mark.parametrize(
    ("nodes", "names"),
    [
        ("[{}]", ["node1"]),
        ("[{count: 3}]", ["node1", "node2", "node3"]),
        ("[{name: a}, {count: 2}, {name: b}, {}]", ["a", "node2", "node3", "b", "node5"]),
    ],
)
def test_names(nodes: str, names: list[str]) -> None:
    assert [node.name for node in cluster(f"nodes: {nodes}").nodes] == names


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0.0),
        ("0s", 0.0),
        ("1s", 1.0),
        ("1.5s", 1.5),
        ("1m30s", 90.0),
        ("2h", 7200.0),
        ("250ms", 0.25),
        ("5us", 5e-6),
        ("", None),
        ("1", None),
        ("s", None),
        ("-1s", None),
        ("1 s", None),
        ("1d", None),
    ],
)
def test_duration(text: str, value: float | None) -> None:
    assert seconds(text) == pytest.approx(value)


@pytest.mark.parametrize("config", [default_cluster(), cluster(FULL)], ids=["default", "full"])
def test_round_trip(config: ClusterConfig) -> None:
    assert ClusterConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_settings_of_the_kubelets() -> None:
    body = {"metadata": {"name": "x"}, "kubelet": {"crashLoopBackOff": {"maxContainerRestartPeriod": "1s"}}}
    found = cluster_of(body)
    assert found.kubelet.max_container_restart_period == 1.0
    assert ClusterConfig.from_json(found.to_json()) == found
