"""The only place that may skip a test: where a probe proves that this machine lacks what the test needs.

A machine that ought to have the feature says so in TESTBED_REQUIRE (comma-separated names): there, lacking
it fails the test. So a broken CI machine cannot turn tests off unseen. Knows what probes answered, not what
they probe.
"""

from __future__ import annotations

import enum
import functools
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from testbed.errors import UsageError
from testbed.machine.kernels import GUESTS, NATIVE, offers

VARIABLE = "TESTBED_REQUIRE"


class Probe(Protocol):
    """What a probe said (`testbed.machine.features.Probe` is one)."""

    @property
    def ok(self) -> bool: ...

    @property
    def reason(self) -> str: ...

    @property
    def fix(self) -> str: ...


class Verdict(enum.Enum):
    """What a test does that needs a feature."""

    RUN = "run"
    SKIP = "skip"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Tool:
    """A probe for a program that only the tests use, so that the product does not know it."""

    ok: bool
    reason: str
    fix: str


def _tool(name: str, package: str = "") -> Tool:
    return Tool(shutil.which(name) is not None, f"no program {name}", f"apt-get install {package or name}")


def _checkout_for_all() -> Tool:
    """True where an ordinary user may read the code; below a home folder of mode 0700 nobody else may."""
    me = Path(__file__).resolve()
    closed = [folder for folder in me.parents if not folder.stat().st_mode & 0o001]
    where = ", ".join(map(str, closed))
    return Tool(not closed, f"closed to ordinary users: {where}", f"chmod o+x {where}")


TOOLS: Mapping[str, Callable[[], Probe]] = {
    "ruby": lambda: _tool("ruby"),
    "busybox": lambda: _tool("busybox", "busybox-static"),
    "vm-asked-for": lambda: Tool(
        "vm" in os.environ.get("TESTBED_CASE_KERNELS", "").split(","), "it takes long", "make test-vm"
    ),
    "ping": lambda: _tool("ping", "iputils-ping"),
    "checkout-for-all": _checkout_for_all,
}


def decide(name: str, probe: Probe, required: Collection[str]) -> Verdict:
    """Run with the feature; without it fail where it is required, else skip."""
    if probe.ok:
        return Verdict.RUN
    return Verdict.FAIL if name in required else Verdict.SKIP


def parse(text: str, known: Collection[str]) -> frozenset[str]:
    """The feature names in TESTBED_REQUIRE. Raises UsageError for a name that no probe has."""
    names = frozenset(name.strip() for name in text.split(",") if name.strip())
    unknown = sorted(names - set(known))
    if unknown:
        raise UsageError(
            f"{VARIABLE}: no such feature: {', '.join(unknown)}; there are: {', '.join(sorted(known))}"
        )
    return names


def required() -> frozenset[str]:
    """What this machine must offer, by the environment. Raises UsageError for an unknown name."""
    text = os.environ.get(VARIABLE, "")
    return parse(text, _known()) if text else frozenset()


def require(*names: str) -> None:
    """Go on only if the machine has every feature; skip or fail otherwise (see `decide`)."""
    for name in names:
        _judge(name, _probe(name))


def _judge(name: str, probe: Probe) -> None:
    verdict = decide(name, probe, required())
    if verdict is not Verdict.RUN:
        stop = pytest.skip if verdict is Verdict.SKIP else pytest.fail
        stop(f"{name}: {probe.reason} (fix: {probe.fix})")


def require_in(kernel: str, *names: str) -> None:
    """The same for features of another kernel: it must be there, and have them by its own probes."""
    if kernel == NATIVE:
        require(*names)
        return
    offer = _offer(kernel)
    if offer.lack is not None:
        _judge(kernel, Tool(False, offer.lack.reason, offer.lack.fix))
    for name in names:
        _judge(name, offer.probes[name])


@functools.cache
def _offer(kernel: str) -> offers.Offer:
    return offers.known(kernel)


def supported(datapath: str, offered: Collection[str], needed: Collection[str]) -> None:
    """Skip a case that needs what a datapath does not offer, and say so: `unsupported` counts in the summary."""
    lacking = sorted(set(needed) - set(offered))
    if lacking:
        pytest.skip(f"unsupported by {datapath}: {', '.join(lacking)}")


def _known() -> frozenset[str]:
    from testbed.machine.features import names

    return frozenset(names()) | frozenset(TOOLS) | frozenset(GUESTS)


def _probe(name: str) -> Probe:
    if name in TOOLS:
        return TOOLS[name]()
    from testbed.machine.features import probe

    return probe(name)
