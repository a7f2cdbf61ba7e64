"""A whole run summarised: the laws that were put into made-up samples come out again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from testbed.bench.results.model import Arm, Run
from testbed.bench.stats.cells import direct_for
from testbed.bench.stats.summary import Summary, series_of, summarise
from tests.unit.bench.report.synthetic import LOAD_FACTOR, SLOPE, Shape, write

SHAPE = Shape(services=(1, 1000, 5000), repeats=6, samples=200)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return write(tmp_path_factory.mktemp("run") / "r", SHAPE)


@pytest.fixture(scope="module")
def summary(run: Run) -> Summary:
    return summarise(run)


@pytest.mark.parametrize("variant", ["legacy", "nft"])
def test_the_cost_of_a_rule_comes_out(summary: Summary, variant: str) -> None:
    (growth,) = [
        g
        for g in summary.growths
        if g.probe == "first-packet" and g.load_pps == 0 and g.series.variant == variant
    ]
    assert growth.line is not None
    assert growth.line.slope.low <= SLOPE[variant] * 1.05
    assert growth.line.slope.high >= SLOPE[variant] * 0.98
    assert growth.line.r_squared > 0.95


def test_established_packets_are_flat(summary: Summary) -> None:
    slopes = [g.line.slope.estimate for g in summary.growths if g.probe == "established" and g.line]
    assert len(slopes) == 6
    assert max(np.abs(slopes)) < 0.6


def test_each_arm_is_compared_with_the_direct_one_of_its_size(summary: Summary) -> None:
    (cell,) = [c for c in summary.of("first-packet", 0.0) if c.arm.id == "nft-5000-10"]
    assert cell.versus_direct is not None
    assert cell.versus_direct.ratio.estimate == pytest.approx((14_560 + 47 * 5000) / 14_000, rel=0.15)
    assert cell.versus_direct.pairs == SHAPE.repeats


def test_direct_itself_is_compared_with_nothing(summary: Summary) -> None:
    assert all(c.versus_direct is None for c in summary.cells if c.arm.path == "direct")


def test_load_is_compared_with_idle(summary: Summary) -> None:
    loaded = [cell.versus_idle for cell in summary.cells if cell.load_pps]
    ratios = [compared.ratio.estimate for compared in loaded if compared]
    assert np.median(ratios) == pytest.approx(LOAD_FACTOR, rel=0.05)
    assert all(cell.versus_idle is None for cell in summary.cells if cell.load_pps == 0)


def test_a_cell_has_all_samples_of_its_repeats(summary: Summary) -> None:
    assert {len(cell.values) for cell in summary.cells} == {SHAPE.repeats * SHAPE.samples}
    assert all(np.all(np.diff(cell.values) >= 0) for cell in summary.cells)


def test_quantiles_are_in_order(summary: Summary) -> None:
    for cell in summary.cells:
        assert cell.p50 and cell.p90 and cell.p99
        assert cell.p50.estimate < cell.p90.estimate < cell.p99.estimate


def test_a_quantile_without_enough_samples_is_left_out(tmp_path: Path) -> None:
    few = summarise(write(tmp_path / "r", Shape(services=(1,), loads=(0.0,), repeats=3, samples=40)))
    assert all(cell.p50 and cell.p90 and cell.p99 is None for cell in few.cells)


def test_connections_of_all_repeats_are_counted_together(summary: Summary) -> None:
    assert {found.spread.total for found in summary.spreads} == {SHAPE.repeats * SHAPE.samples}
    assert {found.arm.path for found in summary.spreads} == {"service"}


def test_syncs_are_gathered_by_arm_and_kind(summary: Summary) -> None:
    assert len(summary.syncs) == 2 * 6
    assert all(len(found.syncs) == SHAPE.repeats for found in summary.syncs)
    assert all(found.plan.estimate <= found.total.estimate for found in summary.syncs)


def test_a_single_size_has_no_line(tmp_path: Path) -> None:
    found = summarise(write(tmp_path / "r", Shape(services=(5,), loads=(0.0,), repeats=3, samples=40)))
    assert found.growths
    assert all(growth.line is None and growth.ends is None for growth in found.growths)


def test_a_direct_path_has_one_series_whatever_its_endpoints() -> None:
    arms = [Arm("a", "none", "", "direct", 1, endpoints) for endpoints in (1, 50)]
    assert len({series_of(arm) for arm in arms}) == 1


@pytest.mark.parametrize(
    ("others", "chosen"),
    [
        (["none 1", "none 1000", "legacy 1000"], "none 1000"),
        (["none 1", "nft 1000", "legacy 1000"], "none 1"),
        (["nft 1000", "legacy 1"], "legacy 1"),
        ([], None),
    ],
)
def test_the_direct_arm_to_compare_with(others: list[str], chosen: str | None) -> None:
    def direct(name: str) -> Arm:
        variant, services = name.split()
        datapath = "none" if variant == "none" else "iptables"
        return Arm(name, datapath, variant.replace("none", ""), "direct", int(services), 10)

    arm = Arm("x", "iptables", "legacy", "service", 1000, 10)
    found = direct_for(arm, [direct(name) for name in others])
    assert (found.id if found else None) == chosen
