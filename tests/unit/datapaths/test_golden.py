"""Rendered text against golden files, so that a change of the rules is seen in review. Packets decide.

`TESTBED_GOLDEN=write` writes the files anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from testbed.datapaths import find
from tests.unit.datapaths import golden_cases

FOLDER = Path(__file__).parents[2] / "golden"


@pytest.mark.parametrize("case", golden_cases.CASES)
@pytest.mark.parametrize("name", find.names())
def test_rendered_text_is_the_golden_file(name: str, case: str) -> None:
    rendered = find.load(name).render(golden_cases.plan(case))
    path = FOLDER / name / f"{case}.txt"
    if os.environ.get("TESTBED_GOLDEN") == "write":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rendered)
    assert path.read_text() == rendered


@pytest.mark.parametrize("name", find.names())
def test_there_is_no_golden_file_without_a_case(name: str) -> None:
    assert {path.stem for path in (FOLDER / name).glob("*.txt")} == golden_cases.CASES.keys()
