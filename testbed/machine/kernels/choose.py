"""Which kernel a run takes: the one that is asked for, or the first that has all that the run needs.

`auto` tries native, then uml, then vm: the cheaper one first. A kernel that is asked for and lacks something is an
error that says what mends it. Knows what kernels offer; what a run needs is a question that it is handed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from testbed.errors import FeatureMissing, UsageError
from testbed.machine.kernels import AUTO, CHOICES, KERNELS, NATIVE, VARIABLE, offers
from testbed.machine.kernels.offers import Offer


class Lack(Protocol):
    """One thing that a kernel lacks (`datapaths.contract.Missing` is one)."""

    @property
    def feature(self) -> str: ...

    @property
    def reason(self) -> str: ...

    @property
    def fix(self) -> str: ...


Lacks = Callable[[Offer], Sequence[Lack]]
"""What a run would lack on a kernel; empty if it can run there."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The kernel that is taken, and, if it is not native though nobody asked for another, why."""

    kernel: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Need:
    """What is to run: what it is called in an error, and what it would lack on a kernel."""

    title: str
    lacks: Lacks


def wanted(option: str | None, written: str | None = None) -> str:
    """The word for the kernel: the command line's, else the scenario's, else the environment's, else `auto`.

    Raises UsageError if the environment has a word that is none.
    """
    word = option or written or os.environ.get(VARIABLE) or AUTO
    if word not in CHOICES:
        raise UsageError(f"${VARIABLE}: no kernel {word!r}; there are: {', '.join(CHOICES)}")
    return word


def choose(word: str, need: Need, known: Callable[[str], Offer] = offers.known) -> Choice:
    """The kernel for a run, by its word or by what it needs. Raises FeatureMissing if none can."""
    if word != AUTO:
        found = _Trial(known(word), need)
        if found.lacks:
            raise found.error()
        return Choice(word)
    failed: list[_Trial] = []
    for kernel in KERNELS:
        trial = _Trial(known(kernel), need)
        if not trial.lacks:
            return Choice(kernel, "; ".join(each.told() for each in failed))
        failed.append(trial)
    raise _none_can(need, failed)


@dataclass(frozen=True, slots=True)
class _Trial:
    """What a run lacks on one kernel."""

    offer: Offer
    need: Need
    lacks: Sequence[Lack] = field(init=False)

    def __post_init__(self) -> None:
        found = [self.offer.lack] if self.offer.lack else self.need.lacks(self.offer)
        object.__setattr__(self, "lacks", found)

    def reasons(self) -> str:
        return "; ".join(
            each.reason if each is self.offer.lack else f"{each.feature}: {each.reason}"
            for each in self.lacks
        )

    def told(self) -> str:
        """Why it was passed over, in a line: `native has no ip_vs (the kernel has no IPVS), dummy`."""
        if self.offer.lack:
            return f"{self.offer.kernel}: {self.offer.lack.reason}"
        first, *others = self.lacks
        names = [f"{first.feature} ({first.reason})", *(each.feature for each in others)]
        return f"{self.offer.kernel} has no {', '.join(names)}"

    def fixes(self) -> list[str]:
        return list(dict.fromkeys(each.fix for each in self.lacks))

    def error(self) -> FeatureMissing:
        fixes = self.fixes()
        if self.offer.kernel == NATIVE and self.offer.lack is None:
            return FeatureMissing(self.need.title, self.reasons(), "; ".join([*fixes, "or --kernel uml"]))
        where = f"kernel {self.offer.kernel}"
        title = where if self.offer.lack else f"{self.need.title} on {where}"
        return FeatureMissing(title, self.reasons(), "; ".join(fixes))


def _none_can(need: Need, failed: Sequence[_Trial]) -> FeatureMissing:
    """No kernel has it: what is nearest to a remedy comes first."""
    reasons = "; ".join(trial.told() for trial in failed)
    by_kernel = [f"{trial.offer.kernel}: {', '.join(trial.fixes())}" for trial in failed]
    return FeatureMissing(need.title, reasons, "\n         ".join(by_kernel))
