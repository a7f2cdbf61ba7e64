"""What a run will do: its cells and their order, its filler Services, the clusters of its arms."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv4Address

import pytest

from testbed.kube.objects import Loaded, field_errors, load_text
from testbed.scenario import fillers
from testbed.scenario.measure import cells, order
from testbed.scenario.run import Allowance
from testbed.scenario.shape import cluster_for
from testbed.scenario.spec import ArmSpec, ProbeSpec, Spec, Target

ARMS = (
    ArmSpec("direct", "none", "", "direct", 0),
    ArmSpec("nft", "iptables", "nft", "service", 1),
    ArmSpec("nft", "iptables", "nft", "service", 100),
)
PROBES = (
    ProbeSpec("first-packet", 100, 1000.0, 0, (0.0, 5000.0)),
    ProbeSpec("distribution", 100, 1000.0, 0, (0.0,)),
)
SPEC = Spec(
    "tiny",
    "",
    "",
    Loaded(()),
    "client",
    None,
    Target("zz-target", 9, 80),
    ARMS,
    PROBES,
    repeats=2,
    seconds=60.0,
)
CLUSTER = """
apiVersion: testbed.dev/v1alpha1
kind: Cluster
metadata: {name: small}
networking: {kubeProxyMode: iptables}
kubeProxy:
  iptables: {minSyncPeriod: 5s, variant: legacy}
"""


def test_every_arm_meets_every_probe_under_every_load() -> None:
    met = Counter((cell.arm, cell.probe.probe, cell.load) for cell in cells(SPEC))
    assert set(met.values()) == {1}
    assert set(met) == {
        *((arm, "first-packet", load) for arm in ("direct", "nft-1", "nft-100") for load in (0.0, 5000.0)),
        ("nft-1", "distribution", 0.0),
        ("nft-100", "distribution", 0.0),
    }


@pytest.mark.parametrize("repeat", range(3))
def test_each_repeat_has_every_cell_once(repeat: int) -> None:
    assert Counter(order(SPEC, repeat, seed=1)) == Counter(cells(SPEC))


def test_the_same_seed_draws_the_same_order() -> None:
    assert order(SPEC, 3, seed=7) == order(SPEC, 3, seed=7)


def test_repeats_and_seeds_differ_in_order() -> None:
    drawn = {tuple(order(SPEC, repeat, seed)) for repeat in range(3) for seed in range(3)}
    assert len(drawn) == 9


def test_fillers_are_ordinary_valid_manifests() -> None:
    made = list(fillers.manifests(3))
    assert [manifest.body["kind"] for manifest in made] == ["Service", "EndpointSlice"] * 3
    assert not [error for manifest in made for error in field_errors(manifest.body)]


def test_fillers_have_an_endpoint_each() -> None:
    slices = [m.body for m in fillers.manifests(1000) if m.body["kind"] == "EndpointSlice"]
    assert len({body["endpoints"][0]["addresses"][0] for body in slices}) == 1000


def test_the_measured_service_comes_last_by_name() -> None:
    names = [m.body["metadata"]["name"] for m in fillers.manifests(1000) if m.body["kind"] == "Service"]
    assert sorted([*names, SPEC.target.service]) == [*names, SPEC.target.service]


def test_a_filler_can_move() -> None:
    moved = fillers.endpoint_slice(2, IPv4Address("10.244.255.1"))
    assert moved["metadata"]["name"] == "filler-00002-1"
    assert moved["endpoints"][0]["addresses"] == ["10.244.255.1"]


@pytest.mark.parametrize(
    ("datapath", "variant", "options"),
    [
        ("iptables", "", {"minSyncPeriod": "5s", "variant": "legacy"}),
        ("iptables", "nft", {"minSyncPeriod": "5s", "variant": "nft"}),
        ("none", "", {}),
        ("ipvs", "", {}),
    ],
)
def test_an_arms_cluster_has_its_own_datapath(datapath: str, variant: str, options: dict[str, str]) -> None:
    cluster = cluster_for(load_text(CLUSTER, "cluster.yaml"), datapath, variant)
    assert cluster.name == "small"
    assert cluster.networking.kube_proxy_mode == datapath
    assert cluster.kube_proxy.options == options
    assert cluster.kube_proxy.min_sync_period == 0.0


def test_without_a_cluster_document_there_is_the_usual_one() -> None:
    assert cluster_for(Loaded(()), "iptables").networking.kube_proxy_mode == "iptables"


@pytest.mark.parametrize(
    ("now", "lasts", "fits", "over"),
    [(100, 60, True, False), (140, 20, True, False), (140, 21, False, False), (165, 1, False, False),
     (167, 0, False, True)],
)  # fmt: skip
def test_a_repeat_is_begun_if_it_fits_and_cut_if_it_is_far_too_long(
    now: float, lasts: float, fits: bool, over: bool
) -> None:
    allowance = Allowance(begun=100.0, seconds=60.0, clock=lambda: now)
    assert (allowance.fits(lasts), allowance.over()) == (fits, over)
