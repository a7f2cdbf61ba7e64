"""docs/kube-proxy.md keeps its word: what it names exists, and no line of kube-proxy's checklist is left out."""

from __future__ import annotations

import ast
import functools
import re
from dataclasses import dataclass

import pytest

from tests.house.source import ROOT
from tests.net.case_file import case_files, load

PAGE = ROOT / "docs/kube-proxy.md"
E2E = ROOT / "tests/data/sig-network-e2e.txt"
NAME = re.compile(r"`([a-z0-9-]+/[^`\s]+)`")
EXCUSES = ("not here: ", "not shown yet")

LINES = {
    "Which objects count": 9,
    "ClusterIP": 6,
    "NodePort": 5,
    "LoadBalancer and externalIPs": 4,
    "Traffic policies": 5,
    "No endpoints": 2,
    "Readiness, terminating fallback, topology": 6,
    "Session affinity": 2,
    "Health-check node port": 4,
    "Connection tracking": 3,
    "iptables layout": 8,
    "nftables layout": 6,
    "IPVS layout": 5,
    "Who is local": 1,
}
"""How many lines each section of the checklist has that this page answers."""


@dataclass(frozen=True)
class Row:
    """A line of a table: the section it stands in, what kube-proxy does, what shows it."""

    section: str
    behaviour: str
    shown: str


@functools.cache
def rows() -> tuple[Row, ...]:
    """Every line of every table, without the tables' heads."""
    found, section = [], ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("#"):
            section = line.strip("# ")
        elif line.startswith("| ") and not line.startswith(
            ("| ---", "| kube-proxy |", "| end-to-end test |")
        ):
            behaviour, shown = (cell.strip() for cell in line.split("|")[1:3])
            found.append(Row(section, behaviour, shown))
    return tuple(found)


def end_to_end_tests() -> list[str]:
    """The names of sig-network's end-to-end tests about Services."""
    return [line for line in E2E.read_text().splitlines() if line and not line.startswith("#")]


NAMED = sorted({name for name in NAME.findall(PAGE.read_text()) if name.partition("/")[0] != "tests"})


@functools.cache
def functions(path: str) -> frozenset[str]:
    """The names of all functions of a test file, parsed and not run."""
    tree = ast.parse((ROOT / "tests" / path).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("name", [name for name in NAMED if ".py" not in name])
def test_a_case_that_is_named_is_there(name: str) -> None:
    assert (ROOT / "tests/cases" / f"{name}.yaml").is_file()


@pytest.mark.parametrize("name", [name for name in NAMED if ".py" in name])
def test_a_test_that_is_named_is_there(name: str) -> None:
    path, _, function = name.partition("::")
    assert (ROOT / "tests" / path).is_file()
    assert function in functions(path)


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row.section}: {row.behaviour[:40]}")
def test_every_line_names_what_shows_it_or_why_nothing_does(row: Row) -> None:
    assert NAME.search(row.shown) or row.shown.startswith(EXCUSES)


@pytest.mark.parametrize(("section", "count"), LINES.items(), ids=LINES)
def test_no_line_of_the_checklist_is_left_out(section: str, count: int) -> None:
    assert sum(row.section == section for row in rows()) == count


def re_enacted() -> list[tuple[str, str]]:
    """Each packet case with the end-to-end tests that it says it re-enacts."""
    return [(case.name, name) for case in map(load, case_files()) for name in case.e2e]


@pytest.mark.parametrize(("case", "name"), re_enacted(), ids=lambda text: text[:60])
def test_what_a_case_re_enacts_is_a_test_that_the_page_knows(case: str, name: str) -> None:
    (row,) = [row for row in rows() if row.behaviour == name]
    assert not row.shown.startswith(EXCUSES), f"{case} shows it"


@pytest.mark.parametrize("name", end_to_end_tests())
def test_every_end_to_end_test_has_its_line(name: str) -> None:
    assert [row for row in rows() if row.behaviour == name]
