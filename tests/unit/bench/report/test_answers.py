"""What the report claims, against runs whose truth is known: answers, notes, names."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from testbed.bench.report.answers import answers
from testbed.bench.report.looks import looks
from testbed.bench.report.notes import Level, notes
from testbed.bench.report.tables import latency_table
from testbed.bench.report.text import WIDTH, columns, summary_text
from testbed.bench.report.units import GLUE
from testbed.bench.results.model import Run
from testbed.bench.stats.summary import Summary, series_of, summarise
from tests.unit.bench.report.synthetic import SLOPE, Shape, write

SHAPE = Shape(services=(1, 1000, 5000), loads=(0.0, 20_000.0), repeats=5, samples=120)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return write(tmp_path_factory.mktemp("run") / "r", SHAPE)


@pytest.fixture(scope="module")
def summary(run: Run) -> Summary:
    return summarise(run)


def told(folder: Path, shape: Shape, level: Level = Level.WARNING) -> str:
    """The notes of one level about a small run with something wrong."""
    small = dataclasses.replace(shape, services=(1,), loads=(0.0, 20_000.0), repeats=3, samples=40)
    found = notes(summarise(write(folder / "r", small)))
    return " ".join(note.text for note in found if note.level is level).replace(GLUE, " ")


def test_there_are_three_answers(summary: Summary) -> None:
    assert len(answers(summary)) == 3


@pytest.mark.parametrize("variant", ["legacy", "nft"])
def test_the_first_says_what_a_thousand_services_cost(summary: Summary, variant: str) -> None:
    sentence = answers(summary)[0].sentence.replace(GLUE, " ")
    match = re.search(rf"\+([\d.]+) \[[\d.]+, [\d.]+\] µs with iptables-{variant}", sentence)
    assert match, sentence
    assert float(match.group(1)) == pytest.approx(SLOPE[variant], rel=0.12)


def test_the_second_says_no_difference_only_with_what_would_have_been_seen(summary: Summary) -> None:
    sentence = answers(summary)[1].sentence.replace(GLUE, " ")
    assert "no difference from 1 to 5,000 Services" in sentence
    assert sentence.count("× ") == len(re.findall(r"minimum detectable [\d.]+ %", sentence))


def test_the_third_says_syncs_and_spread(summary: Summary) -> None:
    sentence = answers(summary)[2].sentence
    assert sentence.startswith("A full sync that finds 5,000 Services in the kernel already takes")
    assert "as an even random choice would" in sentence


def test_an_arm_that_takes_turns_is_not_called_random(summary: Summary) -> None:
    even = tuple(
        dataclasses.replace(s, spread=dataclasses.replace(s.spread, p_even=1e-9)) for s in summary.spreads
    )
    assert "more evenly" in answers(dataclasses.replace(summary, spreads=even))[2].sentence


def test_an_endpoint_that_is_favoured_is_told(summary: Summary) -> None:
    odd = tuple(
        dataclasses.replace(s, spread=dataclasses.replace(s.spread, p_uneven=1e-9)) for s in summary.spreads
    )
    assert "less evenly" in answers(dataclasses.replace(summary, spreads=odd))[2].sentence


def test_a_single_size_is_compared_with_the_direct_path(tmp_path: Path) -> None:
    one = summarise(write(tmp_path / "r", dataclasses.replace(SHAPE, services=(1000,))))
    assert "takes the direct path's time ×" in answers(one)[0].sentence


def test_a_single_repeat_claims_nothing(tmp_path: Path) -> None:
    once = summarise(write(tmp_path / "r", dataclasses.replace(SHAPE, repeats=1)))
    for answer in answers(once)[:2]:
        assert "no difference" not in answer.sentence
        assert "no growth" not in answer.sentence
        assert answer.sentence.endswith("too few repeats to tell this from noise.")
    assert any("1 repeat only: there is no interval" in note.text for note in notes(once))
    assert not any("no difference" in cell for row in latency_table(once, "established").rows for cell in row)


def test_a_run_of_nothing_has_no_answer(run: Run) -> None:
    assert answers(summarise(dataclasses.replace(run, blocks=(), syncs=()))) == ()


def test_a_good_run_has_no_warning(summary: Summary) -> None:
    assert [note.text for note in notes(summary) if note.level is Level.WARNING] == []


@pytest.mark.parametrize(
    ("shape", "warning"),
    [
        (Shape(partial=True), "This run is partial"),
        (Shape(unmatched=2), "packets in 72 blocks were sent and never seen again (4.8 % of those blocks)"),
        (Shape(tap_drops=3), "The taps dropped 216 packets"),
        (Shape(stolen=2000), "The hypervisor took 10 % of the CPU time"),
        (Shape(canary_jump=1.6), "was more than 30 % off its median (2.9"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, shape: Shape, warning: str) -> None:
    assert warning in told(tmp_path, shape)


def test_few_samples_are_told(tmp_path: Path) -> None:
    remarks = told(tmp_path, Shape(), Level.NOTE)
    assert "have no 99th percentile: it needs 1,000 samples, they have 120 or more" in remarks
    assert "3 repeats" in remarks


def test_a_load_that_was_not_reached_is_told(run: Run) -> None:
    slow = tuple(dataclasses.replace(b, load_achieved=b.load_pps * 0.5) for b in run.blocks)
    texts = [note.text for note in notes(summarise(dataclasses.replace(run, blocks=slow)))]
    assert any("background load fell short" in text and "50" in text for text in texts)


def test_what_the_run_itself_says_is_passed_on(run: Run) -> None:
    found = notes(summarise(dataclasses.replace(run, notes=("nft was left out: no nft here",))))
    assert "nft was left out: no nft here" in [note.text for note in found]


def test_direct_is_grey_and_each_variant_has_its_colour(summary: Summary) -> None:
    found = {look.name: look.colour for look in looks(summary).values()}
    assert found == {"direct": "grey", "iptables-legacy": "vermilion", "iptables-nft": "blue"}


def test_a_further_datapath_gets_a_colour_of_its_own(run: Run) -> None:
    arms = tuple(
        dataclasses.replace(arm, datapath="ipvs", variant="") if arm.variant == "nft" else arm
        for arm in run.arms
    )
    other = summarise(dataclasses.replace(run, arms=arms))
    colours = {looks(other)[series_of(arm)].colour for arm in arms}
    assert len(colours) == 3


def test_the_terminal_gets_answers_tables_and_warnings(run: Run) -> None:
    partial = dataclasses.replace(run, partial=True)
    text = summary_text(partial)
    assert "First packet of a new connection" in text
    assert "iptables-legacy" in text
    assert "warning: This run is partial." in text
    assert text.endswith("\n")


def test_the_terminal_is_not_overrun(run: Run) -> None:
    # a heading may need more than its column; figures stay in theirs
    assert max(len(line) for line in summary_text(run).splitlines()) <= WIDTH + 15


def test_columns_are_as_wide_as_they_must_be() -> None:
    assert columns(["arm", "p50"], [["a", "1 µs"], ["longer", "20 µs"]]) == (
        "arm       p50\na        1 µs\nlonger  20 µs"
    )
