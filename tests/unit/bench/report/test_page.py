"""The files that a report consists of: complete, closed in itself, the same each time."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from testbed.bench.report.page import report
from testbed.bench.report.plots.latency import curve
from testbed.bench.report.theme import COLOURS
from testbed.bench.results.files import load_run
from tests.unit.bench.report.synthetic import SMALL, Shape, write

PROBES = ("first-packet", "established", "connect")
LOADS = ("idle", "load20000")
SVG = "{http://www.w3.org/2000/svg}"


class Page(HTMLParser):
    """What a page holds: ids, addresses that it refers to, words by tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href", "action", "data", "poster"):
                self.addresses.append(value or "")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "r"
    write(path, SMALL)
    report(path)
    return path


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return (folder / "report.html").read_text()


@pytest.mark.parametrize(
    "name",
    [
        *(f"{kind}-{probe}-{load}" for kind in ("latency", "growth") for probe in PROBES for load in LOADS),
        *(f"load-{probe}" for probe in PROBES),
        "spread-idle", "spread-load20000", "sync-full", "sync-delta",
    ],
)  # fmt: skip
def test_a_plot_is_there_as_svg_and_png_and_in_the_page(folder: Path, page: str, name: str) -> None:
    root = ElementTree.parse(folder / "plots" / f"{name}.svg").getroot()
    assert len(list(root.iter(f"{SVG}path"))) > 5
    assert (folder / "plots" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert f'id="plot-{name}"' in page


def test_every_figure_carries_its_environment(folder: Path) -> None:
    lacking = [
        f.name
        for f in (folder / "plots").glob("*.svg")
        if "Linux 6.12.48-amd64 · 2 × AMD" not in f.read_text()
    ]
    assert not lacking


def test_the_page_needs_nothing_from_elsewhere(page: str) -> None:
    found = Page(page)
    assert {a for a in found.addresses if not a.startswith(("#", "data:"))} == set()
    assert not re.search(r"@import|url\((?!#)", page)
    assert not {"script", "iframe", "img", "object", "embed"} & set(found.tags)


def test_no_two_elements_share_an_id(page: str) -> None:
    ids = Page(page).ids
    assert len(ids) == len(set(ids))


def test_every_reference_inside_the_page_has_its_target(page: str) -> None:
    found = Page(page)
    wanted = {a[1:] for a in found.addresses if a.startswith("#")} | set(re.findall(r"url\(#([^)]+)\)", page))
    assert wanted <= set(found.ids)


def test_plots_in_the_page_have_only_colours_of_the_theme(page: str) -> None:
    drawings = "".join(re.findall(r"<svg.*?</svg>", page, re.DOTALL))
    assert set(re.findall(r"#[0-9a-f]{6}\b", drawings)) <= {"#000000"}  # matplotlib's default, never painted
    assert all(f"--{role}:" in page for role in COLOURS)


def test_every_plot_is_described_in_words(page: str) -> None:
    assert page.count("<svg") == page.count('role="img"') == len(re.findall(r"<desc [^>]*>[^<]{40,}", page))


def test_every_table_has_a_caption(page: str) -> None:
    tags = Page(page).tags
    assert tags.count("table") == tags.count("caption") >= 8


def test_the_exact_command_is_there(page: str) -> None:
    assert "testbed bench scenarios/iptables-cost --repeats 4" in page


def test_markdown_says_the_same(folder: Path) -> None:
    text = (folder / "report.md").read_text()
    assert text.startswith("# What a Service costs with iptables\n")
    assert "testbed bench scenarios/iptables-cost --repeats 4" in text
    for target in re.findall(r"\]\((plots/[^)]+)\)", text):
        assert (folder / target).is_file()


def test_every_row_of_a_markdown_table_has_its_columns(folder: Path) -> None:
    blocks = re.findall(r"(?:^\|.*\|\n)+", (folder / "report.md").read_text(), re.MULTILINE)
    assert len(blocks) >= 8
    for block in blocks:
        assert len({line.count("|") for line in block.splitlines()}) == 1
        assert re.fullmatch(r"\|(?: -+:? \|)+", block.splitlines()[1])


def test_the_same_run_gives_the_same_report(folder: Path) -> None:
    files = ["report.html", "report.md", *(str(f.relative_to(folder)) for f in (folder / "plots").iterdir())]
    before = {name: (folder / name).read_bytes() for name in files}
    report(folder)
    assert [name for name in files if (folder / name).read_bytes() != before[name]] == []


def test_text_from_a_scenario_cannot_break_the_page(tmp_path: Path) -> None:
    path = tmp_path / "r"
    write(path, Shape(services=(1,), loads=(0.0,), repeats=3, samples=30, probes=("established",)))
    result = path / "result.json"
    result.write_text(result.read_text().replace("What a Service costs", "<script>alert(1)</script>"))
    assert "<script" not in report(path).read_text()


@pytest.mark.parametrize(
    "shape",
    [
        Shape(services=(1,), loads=(0.0,), repeats=1, samples=5, probes=("first-packet",)),
        Shape(services=(1, 9), loads=(5_000.0,), repeats=2, samples=30, probes=("first-packet", "distribution")),
        Shape(services=(1,), loads=(0.0,), repeats=1, samples=1, probes=("distribution",)),
    ],
    ids=["one repeat", "never idle", "a single connection"],
)  # fmt: skip
def test_a_small_run_has_a_report_too(tmp_path: Path, shape: Shape) -> None:
    write(tmp_path / "r", shape)
    assert "</html>" in report(tmp_path / "r").read_text()


def test_a_run_that_was_cut_off_says_so(tmp_path: Path) -> None:
    write(tmp_path / "r", Shape(services=(1,), loads=(0.0,), repeats=3, samples=30, partial=True))
    assert load_run(tmp_path / "r").partial
    assert "This run is partial" in report(tmp_path / "r").read_text()


def test_a_curve_keeps_its_ends_and_its_order() -> None:
    values = np.sort(np.random.default_rng(1).exponential(1000, 5000).astype(np.int64))
    later_than, later = curve(values)
    assert (later_than[0], later_than[-1]) == (values[0], values[-1])
    assert later[-1] == 0
    assert np.all(np.diff(later) < 0)
    assert len(later) < 200


def test_a_curve_of_one_sample() -> None:
    later_than, later = curve(np.array([5]))
    assert (later_than.tolist(), later.tolist()) == ([5.0], [0.0])
