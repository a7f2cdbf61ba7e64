"""Manifests that are sound one by one, and that a cluster refuses or doubts: what it says to NAME.yaml is NAME.txt.

tests/errors/applied holds what is refused, tests/errors/warnings what comes in with a warning. The cluster is the
default one of three nodes. `TESTBED_GOLDEN=write` rewrites the expected texts.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from testbed.errors import ManifestErrors
from testbed.kube.objects import load_text
from tests.unit.kube.api.builders import started

FOLDER = Path(__file__).parents[3] / "errors"
REFUSED = sorted((FOLDER / "applied").glob("*.yaml"))
DOUBTED = sorted((FOLDER / "warnings").glob("*.yaml"))


def judged(told: str, source: Path) -> None:
    expected = source.with_suffix(".txt")
    if os.environ.get("TESTBED_GOLDEN") == "write":
        expected.write_text(told)
    assert told == expected.read_text()


@pytest.mark.parametrize("source", REFUSED, ids=lambda path: path.stem)
def test_what_the_cluster_refuses_changes_nothing(source: Path) -> None:
    store, registry = started()
    before = store.version
    with pytest.raises(ManifestErrors) as caught:
        registry.apply(load_text(source.read_text(), source.name).manifests)
    judged(f"{caught.value}\n", source)
    assert store.version == before


@pytest.mark.parametrize("source", DOUBTED, ids=lambda path: path.stem)
def test_what_is_hardly_meant_comes_in_with_a_warning(source: Path) -> None:
    _, registry = started()
    loaded = load_text(source.read_text(), source.name)
    assert len(registry.apply(loaded.manifests)) == len(loaded.manifests)
    judged("".join(f"{line}\n" for line in (*loaded.warnings, *registry.doubts(loaded.manifests))), source)


@pytest.mark.parametrize(
    "expected", sorted(path for folder in ("applied", "warnings") for path in (FOLDER / folder).glob("*.txt")),
    ids=lambda path: path.stem,
)  # fmt: skip
def test_no_expectation_without_input(expected: Path) -> None:
    assert expected.with_suffix(".yaml") in REFUSED + DOUBTED
