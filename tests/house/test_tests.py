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
JUDGES = {"raises", "warns", "fail", "until"}
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
def test_every_test_can_fail(source: Source) -> None:
    """A test has an assert, expects an error, waits for something, or calls a helper that does."""
    functions = {function.name: function for function in source.functions()}
    judging = {name for name, function in functions.items() if judges(function, JUDGES)}
    tests = [function for name, function in functions.items() if name.startswith("test_")]
    idle = [source.where(test) for test in tests if not judges(test, JUDGES | judging)]
    assert not idle, "a test that cannot fail"


def judges(function: ast.AST, names: set[str]) -> bool:
    """True if there is an assert in the function, or a call of one of these names."""
    nodes = list(ast.walk(function))
    called = {called_name(node.func).rpartition(".")[2] for node in nodes if isinstance(node, ast.Call)}
    return bool(called & names) or any(isinstance(node, ast.Assert) for node in nodes)


@pytest.mark.parametrize("folder", find.names())
def test_a_datapath_brings_its_page_and_golden_files(folder: str) -> None:
    assert (ROOT / "testbed/datapaths" / folder / "README.md").is_file()
    assert any((ROOT / "tests/golden" / folder).iterdir())
