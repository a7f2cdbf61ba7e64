"""Which kernel a run takes, and what is said when none can be taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from testbed.errors import FeatureMissing, UsageError
from testbed.machine.features import YES, Probe
from testbed.machine.kernels.choose import Choice, Need, choose, wanted
from testbed.machine.kernels.offers import Offer

NO_IPVS = Probe(False, "the kernel has no IPVS", "modprobe ip_vs")


@dataclass(frozen=True)
class Lack:
    feature: str
    reason: str
    fix: str


def lacks(offer: Offer) -> Sequence[Lack]:
    return () if offer.has("ip_vs") else (Lack("ip_vs", offer.why_not("ip_vs"), "modprobe ip_vs"),)


IPVS = Need("datapath ipvs", lacks)


def with_ipvs(kernel: str) -> Offer:
    return Offer(kernel, "6.12", {"ip_vs": YES})


def without(kernel: str) -> Offer:
    return Offer(kernel, "6.12", {"ip_vs": NO_IPVS})


def absent(kernel: str) -> Offer:
    return Offer(kernel, lack=FeatureMissing(f"kernel {kernel}", "not built", f"make {kernel}"))


def known(**offers: Callable[[str], Offer]) -> Callable[[str], Offer]:
    return lambda kernel: offers[kernel](kernel)


def test_native_is_taken_without_a_word_if_it_has_all() -> None:
    assert choose("auto", IPVS, known(native=with_ipvs)) == Choice("native")


def test_uml_is_next_and_the_reason_is_told() -> None:
    choice = choose("auto", IPVS, known(native=without, uml=with_ipvs))
    assert choice == Choice("uml", "native has no ip_vs (the kernel has no IPVS)")


def test_the_virtual_machine_is_last() -> None:
    choice = choose("auto", IPVS, known(native=without, uml=absent, vm=with_ipvs))
    assert choice == Choice("vm", "native has no ip_vs (the kernel has no IPVS); uml: not built")


def test_an_explicit_kernel_is_taken_though_native_could() -> None:
    assert choose("vm", IPVS, known(native=with_ipvs, vm=with_ipvs)) == Choice("vm")


def test_where_no_kernel_can_each_is_told_with_its_fix() -> None:
    with pytest.raises(FeatureMissing) as raised:
        choose("auto", IPVS, known(native=without, uml=absent, vm=absent))
    assert raised.value.exit_code == 3
    assert (
        raised.value.reason == "native has no ip_vs (the kernel has no IPVS); uml: not built; vm: not built"
    )
    assert raised.value.fix.split("\n         ") == ["native: modprobe ip_vs", "uml: make uml", "vm: make vm"]


@pytest.mark.parametrize(
    ("kernel", "offer", "feature", "reason", "fix"),
    [
        (
            "native",
            without,
            "datapath ipvs",
            "ip_vs: the kernel has no IPVS",
            "modprobe ip_vs; or --kernel uml",
        ),
        ("uml", without, "datapath ipvs on kernel uml", "ip_vs: the kernel has no IPVS", "modprobe ip_vs"),
        ("uml", absent, "kernel uml", "not built", "make uml"),
    ],
)
def test_an_explicit_kernel_that_lacks_something_is_an_error(
    kernel: str, offer: Callable[[str], Offer], feature: str, reason: str, fix: str
) -> None:
    with pytest.raises(FeatureMissing) as raised:
        choose(kernel, IPVS, known(**{kernel: offer}))
    assert (raised.value.feature, raised.value.reason, raised.value.fix) == (feature, reason, fix)


def test_the_command_line_comes_before_the_scenario_and_that_before_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TESTBED_KERNEL", "vm")
    assert (wanted("native", "uml"), wanted(None, "uml"), wanted(None)) == ("native", "uml", "vm")


def test_without_a_word_from_anybody_it_is_auto(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TESTBED_KERNEL", raising=False)
    assert wanted(None) == "auto"


def test_a_word_of_the_environment_that_is_none_is_wrong_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESTBED_KERNEL", "hurd")
    with pytest.raises(
        UsageError, match=r"\$TESTBED_KERNEL: no kernel 'hurd'; there are: native, uml, vm, auto"
    ):
        wanted(None)
