"""What `testbed doctor` makes of what the kernels said."""

from __future__ import annotations

import json

import pytest

from testbed.cli import doctor
from testbed.cli.main import main
from testbed.datapaths import find
from testbed.errors import FeatureMissing
from testbed.machine import features
from testbed.machine.features import YES, Probe
from testbed.machine.kernels.images import Image, key_of
from testbed.machine.kernels.offers import Offer
from tests.house.source import ROOT

ALL = dict.fromkeys(features.names(), YES)
NO_IPVS = {**ALL, "ip_vs": Probe(False, "the kernel has no IPVS", "modprobe ip_vs")}
LEGACY = {"variant": "legacy"}


def absent() -> Offer:
    return Offer("uml", lack=FeatureMissing("kernel uml", "it is not built yet", "make uml"))


def unprobed() -> Offer:
    lack = FeatureMissing("kernel vm", "not probed yet", "testbed doctor --probe vm")
    return Offer("vm", lack=lack, image=Image("vm", ROOT / "Makefile", key_of(ROOT / "Makefile")))


def report(*offers: Offer) -> doctor.Report:
    return doctor.report_of(offers)


def row(text: str, *words: str) -> list[str]:
    """The words after a row's title in a table of the text."""
    [found] = [line for line in text.splitlines() if line.split()[: len(words)] == list(words)]
    return found.split()[len(words) :]


def test_the_table_has_a_row_for_each_datapath_and_a_column_for_each_kernel() -> None:
    text = doctor.text_of(report(Offer("native", "6.18", ALL), absent(), unprobed()))
    assert row(text, "DATAPATH") == ["NATIVE", "UML", "VM"]
    assert row(text, "iptables", "legacy") == ["yes", "no", "?"]
    titles = {line.split()[0] for line in text.splitlines() if line}
    assert {*find.names()} <= titles


def test_what_is_missing_is_told_with_what_mends_it() -> None:
    text = doctor.text_of(report(Offer("native", "6.18", NO_IPVS), absent(), unprobed()))
    lacks = text[text.index("KERNEL") :]
    assert "the kernel has no IPVS" in " ".join(row(lacks, "native", "ip_vs"))
    assert " ".join(row(lacks, "uml", "(all)")) == "it is not built yet make uml"
    assert " ".join(row(lacks, "vm", "(all)")) == "not probed yet testbed doctor --probe vm"


def test_of_a_kernel_that_nobody_probed_nobody_knows() -> None:
    told = report(Offer("native", "6.18", ALL), absent(), unprobed())
    verdicts = {k: v["ok"] for k, v in told["features"]["ip_vs"].items()}
    assert verdicts == {"native": True, "uml": False, "vm": None}
    assert {k: v["ok"] for k, v in told["kernels"].items()} == verdicts


def test_json_has_the_same_without_booting_anything(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "-o", "json"]) in (0, 3)
    told = json.loads(capsys.readouterr().out)
    assert {*told["kernels"]} == {"native", "uml", "vm"}
    legacy = next(each for each in told["datapaths"] if each["options"] == LEGACY)
    assert {*legacy["kernels"]} == {*told["kernels"]}
