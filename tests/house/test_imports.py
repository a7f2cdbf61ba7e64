"""Imports go one way: the table of docs/architecture.md as data, and every import held against it."""

from __future__ import annotations

import re

import pytest

from tests.house.source import ROOT, Source, sources

# Package -> what it may import besides itself and errors, each with all that is below it. A module belongs to
# the longest prefix of its name that is here.
ALLOWED: dict[str, tuple[str, ...]] = {
    "errors": (),
    "machine": (),
    "kube.objects": (),
    "kube.store": (),
    "kube.api": ("kube.store", "kube.objects"),
    "kube.client": ("kube.objects",),
    "kube.controllers": ("kube.store", "kube.objects"),
    "proxier": ("kube.objects",),
    "datapaths": ("proxier.plan", "machine"),
    "cluster": ("kube", "proxier", "datapaths.find", "datapaths.contract", "machine"),
    "bench.traffic": ("bench.results", "machine"),
    "bench.probes": ("bench.results", "machine", "bench.traffic"),
    "bench.worker": ("bench.results", "machine", "bench.traffic", "bench.probes"),
    "bench.results": ("machine",),
    "bench.stats": ("bench.results",),
    "bench.report": ("bench.stats", "bench.results"),
    "scenario": ("cluster", "kube.client", "kube.objects", "datapaths.find", "machine", "bench"),
    "cli": ("",),
}

# Only one package knows these libraries; elsewhere the product would depend on them in many places.
SOLE_IMPORTER = {"mininet": "cluster", "scapy": "bench.traffic", "matplotlib": "bench.report"}

# Packages that only hold others: nothing may be written in them that would need imports.
HOLDERS = {"testbed", "testbed.kube", "testbed.bench"}

SOURCES = sources("testbed")


def package_of(module: str) -> str:
    """The longest prefix of `module` that the table knows, without `testbed.`; empty if none does."""
    parts = module.split(".")[1:]
    prefixes = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next((prefix for prefix in prefixes if prefix in ALLOWED), "")


def under(module: str, package: str) -> bool:
    """True if `module` is the package or lies below it; the empty package is the whole program."""
    return not package or f"{module}.".startswith(f"testbed.{package}.")


def permitted(importer: str, imported: str) -> bool:
    """True if the table has the edge."""
    own = package_of(importer)
    return any(under(imported, package) for package in (own, "errors", *ALLOWED[own]))


@pytest.mark.parametrize(
    ("importer", "imported", "verdict"),
    [
        ("testbed.proxier.policy", "testbed.kube.objects.kinds", True),
        ("testbed.proxier.policy", "testbed.kube.store", False),
        ("testbed.machine.run", "testbed.errors", True),
        ("testbed.datapaths.iptables.render", "testbed.proxier.plan", True),
        ("testbed.datapaths.iptables.render", "testbed.proxier.policy", False),
        ("testbed.bench.stats.fit", "testbed.machine.run", False),
        ("testbed.cli.main", "testbed.scenario.run", True),
        ("testbed.cluster.agent", "testbed.datapaths.iptables", False),
    ],
)
def test_the_rule_itself(importer: str, imported: str, verdict: bool) -> None:
    assert permitted(importer, imported) is verdict


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_every_import_is_an_edge_of_the_table(source: Source) -> None:
    if source.module in HOLDERS:
        assert not [name for name, _ in source.imports() if name.startswith("testbed")]
        return
    assert package_of(source.module), f"{source.module} is in no row of the table in docs/architecture.md"
    wrong = [
        f"{source.where(node)}: {name}"
        for name, node in source.imports()
        if name.startswith("testbed.") and not permitted(source.module, name)
    ]
    assert not wrong, "imports against the direction:\n" + "\n".join(wrong)


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_a_datapath_knows_no_other(source: Source) -> None:
    parts = source.module.split(".")
    own = ".".join(parts[:3])
    siblings = {f"testbed.datapaths.{p.name}" for p in (ROOT / "testbed/datapaths").iterdir() if p.is_dir()}
    wrong = [
        f"{source.where(node)}: {name}"
        for name, node in source.imports()
        if ".".join(name.split(".")[:3]) in siblings - {own}
    ]
    assert not wrong, "a datapath folder may be named by nobody but itself:\n" + "\n".join(wrong)


@pytest.mark.parametrize("library", sorted(SOLE_IMPORTER))
def test_one_package_knows_the_library(library: str) -> None:
    home = SOLE_IMPORTER[library]
    wrong = [
        f"{source.where(node)}: {name}"
        for source in SOURCES
        for name, node in source.imports()
        if name.split(".")[0] == library and not under(source.module, home)
    ]
    assert not wrong, f"only testbed.{home} imports {library}:\n" + "\n".join(wrong)


def test_the_page_tells_the_same_folders() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    rows = re.findall(r"^\| `testbed/[^|]*\|", page, re.MULTILINE)
    words = re.findall(r"`([a-z_/.]+)`", " ".join(rows))
    told = {word.removeprefix("testbed/").removesuffix(".py").strip("/").replace("/", ".") for word in words}
    known = {name.removeprefix("bench.") for name in ALLOWED}
    assert {name.removeprefix("bench.") for name in told} == known
