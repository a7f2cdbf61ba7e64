"""Bad manifests in tests/errors/NAME.yaml, and in NAME.txt exactly what is said about each.

`TESTBED_GOLDEN=write` rewrites the expected texts; git shows the difference, and a person judges it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from testbed.errors import ManifestErrors
from testbed.kube.objects import load_text

FOLDER = Path(__file__).parents[3] / "errors"
INPUTS = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("source", INPUTS, ids=lambda path: path.stem)
def test_every_mistake_is_told(source: Path) -> None:
    with pytest.raises(ManifestErrors) as caught:
        load_text(source.read_text(), source.name)
    told = f"{caught.value}\n"
    expected = source.with_suffix(".txt")
    if os.environ.get("TESTBED_GOLDEN") == "write":
        expected.write_text(told)
    assert told == expected.read_text()


@pytest.mark.parametrize("expected", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.stem)
def test_no_expectation_without_input(expected: Path) -> None:
    assert expected.with_suffix(".yaml") in INPUTS
