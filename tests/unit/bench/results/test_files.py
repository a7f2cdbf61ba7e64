"""The folder of a run: what is written is read back; cut off, from the future, damaged."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from testbed.bench.results.facts import Facts
from testbed.bench.results.files import JOURNAL, RESULT, RunFolder, convert, load_run
from testbed.bench.results.model import Arm, Block, Scenario, Sync
from testbed.bench.results.samples import Samples
from testbed.errors import MeasurementInvalid, UsageError

SCENARIO = Scenario("cost", "What it costs", "How much?")
FACTS = Facts(kernel="6.12.48", load=(0.1, 0.2, 0.3), cpu_ticks={"user": 5, "steal": 1})
ARM = Arm("legacy-1000", "iptables", "legacy", "service", 1000, 10, {"nat": 6012}, "legacy")
BLOCK = Block("legacy-1000", 2, 7, 20_000.0, 19_940.5, 2_901.0)
SYNC = Sync("legacy-1000", "full", 0.01, 0.02, 0.4, 9_000, 800_000, 2)
SAMPLES = Samples(
    "first-packet", "ns", np.array([15_000, 14_000, 1 << 40]), np.array([0, -1, 3], dtype=np.int16),
    sent=5, seen_out=4, matched=3, unmatched=1, duplicates=0, tap_drops=2, warm_up=100, rate=2000.0,
    achieved_rate=1999.5, seconds=0.0025,
)  # fmt: skip


def started(path: Path) -> RunFolder:
    """A run with one of everything, not finished."""
    folder = RunFolder(path, SCENARIO, ("testbed", "bench", "a b"), FACTS)
    folder.add_arm(ARM)
    folder.add_block(BLOCK, SAMPLES)
    folder.add_sync(SYNC)
    folder.add_note("connect was left out")
    return folder


def change(path: Path, **fields: Any) -> None:
    """Rewrite fields of a result file."""
    document = json.loads((path / RESULT).read_text())
    (path / RESULT).write_text(json.dumps({**document, **fields}))


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    written = started(tmp_path / "run").finish(FACTS)
    assert load_run(tmp_path / "run") == written


def test_the_file_may_be_named_instead_of_its_folder(tmp_path: Path) -> None:
    written = started(tmp_path / "run").finish(FACTS)
    assert load_run(tmp_path / "run" / RESULT) == written


def test_a_finished_run_says_what_it_was_given(tmp_path: Path) -> None:
    run = started(tmp_path / "run").finish(FACTS)
    assert (run.scenario, run.command, run.facts_after) == (SCENARIO, ("testbed", "bench", "a b"), FACTS)
    assert (run.arms, run.syncs, run.notes) == ((ARM,), (SYNC,), ("connect was left out",))
    assert not run.partial


def test_the_file_tells_its_schema_first(tmp_path: Path) -> None:
    started(tmp_path / "run").finish(FACTS)
    assert list(json.loads((tmp_path / "run" / RESULT).read_text()))[0] == "schema"
    assert json.loads((tmp_path / "run" / RESULT).read_text())["schema"] == 1


def test_a_block_takes_its_counts_from_the_samples(tmp_path: Path) -> None:
    (block,) = started(tmp_path / "run").finish(FACTS).blocks
    assert (block.probe, block.unit, block.sent, block.unmatched) == ("first-packet", "ns", 5, 1)
    assert (block.arm, block.repeat, block.order, block.canary) == ("legacy-1000", 2, 7, 2_901.0)


def test_samples_come_back_bit_by_bit(tmp_path: Path) -> None:
    run = started(tmp_path / "run").finish(FACTS)
    again = run.samples(run.blocks[0])
    assert np.array_equal(again.values, SAMPLES.values)
    assert np.array_equal(again.endpoint, SAMPLES.endpoint)
    plain = {"values": None, "endpoint": None}
    assert dataclasses.replace(again, **plain) == dataclasses.replace(SAMPLES, **plain)


def test_an_arm_said_twice_counts_once(tmp_path: Path) -> None:
    folder = started(tmp_path / "run")
    counted = dataclasses.replace(ARM, rules={"nat": 7000})
    folder.add_arm(counted)
    assert folder.finish(FACTS).arms == (counted,)


def test_a_run_that_was_cut_off_is_partial_and_whole_to_its_last_line(tmp_path: Path) -> None:
    started(tmp_path / "run")
    run = load_run(tmp_path / "run")
    assert run.partial
    assert run.finished == ""
    assert (run.arms, len(run.blocks), run.syncs, run.notes) == (
        (ARM,), 1, (SYNC,), ("connect was left out",)
    )  # fmt: skip
    assert run.samples(run.blocks[0]).matched == 3


def test_half_a_last_line_is_passed_over(tmp_path: Path) -> None:
    started(tmp_path / "run")
    with open(tmp_path / "run" / JOURNAL, "a") as journal:
        journal.write('{"sync": {"arm": "lega')
    assert load_run(tmp_path / "run").syncs == (SYNC,)


def test_a_broken_line_in_the_middle_is_an_error(tmp_path: Path) -> None:
    started(tmp_path / "run")
    with open(tmp_path / "run" / JOURNAL, "a") as journal:
        journal.write('{"sync": \n{"note": "x"}\n')
    with pytest.raises(MeasurementInvalid, match=r"journal\.jsonl:5"):
        load_run(tmp_path / "run")


def test_nothing_of_the_journal_is_left_at_the_end(tmp_path: Path) -> None:
    started(tmp_path / "run").finish(FACTS)
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [RESULT, "samples"]


def test_a_result_is_never_written_over(tmp_path: Path) -> None:
    started(tmp_path / "run").finish(FACTS)
    with pytest.raises(UsageError, match="holds a result already"):
        started(tmp_path / "run")


def test_two_blocks_may_not_share_a_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`order` must differ"):
        started(tmp_path / "run").add_block(BLOCK, SAMPLES)


def test_an_arm_may_have_any_name(tmp_path: Path) -> None:
    folder = started(tmp_path / "run")
    odd = folder.add_block(dataclasses.replace(BLOCK, arm="../a b/c"), SAMPLES)
    assert (tmp_path / "run" / odd.samples).parent == tmp_path / "run" / "samples"


def test_the_future_is_refused(tmp_path: Path) -> None:
    started(tmp_path / "run").finish(FACTS)
    change(tmp_path / "run", schema=2)
    with pytest.raises(UsageError, match="schema 2, this testbed reads up to 1; a newer testbed"):
        load_run(tmp_path / "run")


def test_the_past_is_converted_step_by_step() -> None:
    converters = {1: lambda d: {**d, "b": d["a"] + 1}, 2: lambda d: {**d, "c": d["b"] + 1}}
    assert convert({"schema": 1, "a": 1}, Path("f"), converters, 3) == {"schema": 1, "a": 1, "b": 2, "c": 3}


def test_a_past_that_nothing_converts_is_refused() -> None:
    with pytest.raises(UsageError, match="too old"):
        convert({"schema": 1}, Path("f"), {}, 2)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "not JSON"),
        ("[]", "damaged"),
        ("{}", "damaged"),
        ('{"schema": 1}', "damaged"),
        ('{"schema": 1, "surprise": 3}', "damaged"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / RESULT).write_text(text)
    with pytest.raises(MeasurementInvalid, match=complaint) as caught:
        load_run(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_no_result_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no result there"):
        load_run(tmp_path)


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 nonsense"])
def test_damaged_samples_are_named(tmp_path: Path, damage: bytes) -> None:
    run = started(tmp_path / "run").finish(FACTS)
    (tmp_path / "run" / run.blocks[0].samples).write_bytes(damage)
    with pytest.raises(MeasurementInvalid, match="samples cannot be read"):
        run.samples(run.blocks[0])


def test_lost_samples_are_named(tmp_path: Path) -> None:
    run = started(tmp_path / "run").finish(FACTS)
    (tmp_path / "run" / run.blocks[0].samples).unlink()
    with pytest.raises(MeasurementInvalid, match="first-packet"):
        run.samples(run.blocks[0])


def test_a_figure_that_is_no_number_is_not_stored(tmp_path: Path) -> None:
    folder = started(tmp_path / "run")
    with pytest.raises(MeasurementInvalid, match="not a number"):
        folder.add_sync(dataclasses.replace(SYNC, plan_seconds=float("nan")))


def test_reading_results_needs_no_numpy() -> None:
    code = "import sys, testbed.bench.results.files as f; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
