"""The probes of one container in one of its lives: which are under way, and what they have said so far.

Knows verdicts and messages. What follows from them is `container.py`'s. Every method is called in the loop.
"""

from __future__ import annotations

from collections.abc import Callable

from testbed.cluster.kubelet.contract import Cancel, Outcome, Prober, Report, Target
from testbed.cluster.kubelet.probe import Probe, ProbeKind, Verdict

Guard = Callable[[ProbeKind], Report]
"""Makes the report of a probe come back to the loop, and only while the life that it belongs to lasts."""


class Probing:
    """Startup first, the others when that has passed."""

    def __init__(self, probes: dict[ProbeKind, Probe]) -> None:
        self.probes = probes
        self._verdicts: dict[ProbeKind, Verdict] = {}
        self._watched: dict[ProbeKind, Cancel] = {}
        self._messages: dict[ProbeKind, str] = {}

    @property
    def message(self) -> str:
        """What the latest failures said."""
        return "; ".join(self._messages.values())

    def begin(self) -> None:
        """A new life: nothing is proven."""
        self._messages.clear()
        self._verdicts = {kind: Verdict(probe) for kind, probe in self.probes.items()}

    def first(self) -> tuple[ProbeKind, ...]:
        """The kinds to begin with."""
        return (ProbeKind.STARTUP,) if ProbeKind.STARTUP in self.probes else tuple(ProbeKind)

    def watch(self, kinds: tuple[ProbeKind, ...], prober: Prober, target: Target, guard: Guard) -> None:
        """Start those of these probes that there are."""
        for kind in self.probes.keys() & set(kinds):
            self._watched[kind] = prober.start(self.probes[kind], target, guard(kind))

    def unwatch(self, *kinds: ProbeKind) -> None:
        """Cancel these."""
        for kind in kinds:
            self._watched.pop(kind, lambda: None)()

    def passed(self, kind: ProbeKind) -> bool:
        """True if there is no such probe, or its verdict is good."""
        return kind not in self.probes or (kind in self._verdicts and bool(self._verdicts[kind].passed))

    def take(self, kind: ProbeKind, outcome: Outcome, message: str) -> bool | None:
        """Take one outcome; True if the verdict turned with it, None for one that was cancelled meanwhile."""
        if kind not in self._watched:
            return None
        if outcome is Outcome.SUCCESS:
            self._messages.pop(kind, None)
        else:
            self._messages[kind] = f"{kind} probe failed: {message}"
        return outcome is not Outcome.UNKNOWN and self._verdicts[kind].add(outcome is Outcome.SUCCESS)
