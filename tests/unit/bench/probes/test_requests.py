"""What the worker answers to requests that it cannot fulfil, and raw samples through a file."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from testbed.bench.probes.crossing import Measured
from testbed.bench.results.samples import Samples
from testbed.bench.worker.raw import read, summary, write
from testbed.bench.worker.serve import serve
from testbed.errors import MeasurementInvalid, UsageError

MEASURED = Measured(
    Samples(
        probe="first-packet", unit="ns", values=np.array([5, 6], np.int64), endpoint=np.array([0, 1], np.int16),
        sent=3, seen_out=3, matched=2, unmatched=1, duplicates=0, tap_drops=0, warm_up=10, rate=100.0,
        achieved_rate=99.5, seconds=0.03,
    ),
    np.array([1, 2], np.int64), np.array([0, 7], np.int64), refused=0,
)  # fmt: skip


def answers(*lines: str) -> list[dict[str, object]]:
    out = io.StringIO()
    serve(lines, out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nonsense", "one JSON document"),
        ("[]", "JSON object"),
        ("{}", "one of probe"),
        ('{"facts": true, "release": true}', "one of probe"),
        ('{"probe": "telepathy"}', "no probe 'telepathy'"),
        ('{"probe": "first-packet"}', "no 'path'"),
        ('{"self_test": {}}', "no 'path'"),
        ('{"background": {"stop": true}}', "no background load runs"),
    ],
)
def test_a_wrong_request_is_answered_and_the_next_one_served(line: str, message: str) -> None:
    wrong, right = answers(line, '{"release": true}')
    assert wrong["ok"] is False
    error = wrong["error"]
    assert isinstance(error, dict)
    assert error["type"] == "UsageError"
    assert message in error["message"]
    assert right == {"ok": True}


def test_a_measurement_survives_the_pipe(tmp_path: Path) -> None:
    write(MEASURED, tmp_path / "raw.npz")
    again = read(json.loads(json.dumps(summary(MEASURED))), tmp_path / "raw.npz")
    assert summary(again) == summary(MEASURED)
    assert again.samples.values.tolist() == [5, 6]
    assert again.samples.endpoint.tolist() == [0, 1]
    assert (again.sent_ns.tolist(), again.late_ns.tolist()) == ([1, 2], [0, 7])


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="raw.npz"):
        write(MEASURED, tmp_path / "no" / "raw.npz")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MeasurementInvalid, match="cannot be read"):
        read(summary(MEASURED), tmp_path / "raw.npz")
