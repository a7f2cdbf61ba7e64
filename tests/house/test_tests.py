"""Habits of the tests: they wait by condition, skip only on proof, and patch nothing."""

from __future__ import annotations

import ast

import pytest

from testbed.datapaths import find
from tests.house.source import ROOT, Source, called_name, sources

TESTS = sources("tests")
SKIPS = {
    "pytest.skip",
    "pytest.xfail",
    "pytest.importorskip",
    "unittest.skip",
    "skip",
    "xfail",
    "importorskip",
}
SKIP_MARKS = {"pytest.mark.skip", "pytest.mark.skipif", "pytest.mark.xfail"}
MAY_SKIP = "tests/require.py"
MAY_SLEEP = "tests/waiting.py"


def names(source: Source) -> list[tuple[str, str]]:
    """Every dotted name in a file with its place."""
    nodes = [node for node in ast.walk(source.tree) if isinstance(node, ast.Attribute | ast.Name)]
    return [(called_name(node), source.where(node)) for node in nodes]


@pytest.mark.parametrize("source", [s for s in TESTS if str(s) != MAY_SLEEP], ids=str)
def test_nobody_sleeps(source: Source) -> None:
    sleeps = [where for name, where in names(source) if name in ("time.sleep", "asyncio.sleep", "sleep")]
    assert not sleeps, f"wait by condition, with {MAY_SLEEP}"


@pytest.mark.parametrize("source", [s for s in TESTS if str(s) != MAY_SKIP], ids=str)
def test_only_a_probe_skips(source: Source) -> None:
    skips = [where for name, where in names(source) if name in SKIPS | SKIP_MARKS]
    assert not skips, f"skip through {MAY_SKIP}, which has a proof"


@pytest.mark.parametrize("source", TESTS, ids=str)
def test_nobody_patches_a_module(source: Source) -> None:
    patches = [
        where
        for name, where in names(source)
        if name in ("monkeypatch.setattr", "mock.patch", "unittest.mock", "mocker.patch")
    ]
    assert not patches, "a fake lives beside the real thing and is handed in"


@pytest.mark.parametrize("source", [s for s in TESTS if s.path.name.startswith("test_")], ids=str)
def test_every_test_asserts(source: Source) -> None:
    """A test has an assert, expects an error, or hands over to a helper whose name says that it checks."""
    idle = [source.where(f) for f in source.functions() if f.name.startswith("test_") and not judges(f)]
    assert not idle, "a test that cannot fail"


def judges(function: ast.AST) -> bool:
    """True if something in the function can fail it."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        called = called_name(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""
        if called in ("raises", "fail", "warns") or called.startswith(
            ("assert_", "check", "judge", "expect")
        ):
            return True
    return False


@pytest.mark.parametrize("folder", find.names())
def test_a_datapath_brings_its_page_and_golden_files(folder: str) -> None:
    assert (ROOT / "testbed/datapaths" / folder / "README.md").is_file()
    assert any((ROOT / "tests/golden" / folder).iterdir())
