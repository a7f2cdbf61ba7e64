"""What a datapath folder offers. The agent of a node knows a datapath only through this page.

A folder `testbed/datapaths/<name>/` has a callable `datapath(options)` in its `__init__.py` that returns an
object with the members of `Datapath`. Nothing else has to be edited to add one (`find.py` looks for folders).
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from testbed.machine.run import Result
from testbed.proxier.plan import Family, NodePlan, PlanDelta, ServiceKey


@dataclass(frozen=True, slots=True)
class Missing:
    """One thing that this machine lacks, why that matters, and the command that mends it."""

    feature: str
    reason: str
    fix: str


class Node(Protocol):
    """A handle that runs things in one node's namespaces, and nothing else."""

    @property
    def name(self) -> str: ...

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str | bytes | None = None,
        check: bool = True,
        timeout: float = 600.0,
    ) -> Result:
        """Run a program in the node's namespaces. Raises CommandFailed if `check` and its status is not 0."""
        ...

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A socket that lives in the node's network namespace."""
        ...


class Machine(Protocol):
    """What a probe may ask of this machine before any node exists."""

    def has(self, feature: str) -> bool:
        """True if a probe (never a version) showed the feature, e.g. `iptables-nft`, `xt_recent`."""
        ...

    def why_not(self, feature: str) -> str:
        """What the probe said, for a feature that is not there; else empty."""
        ...


@dataclass(frozen=True, slots=True)
class Applied:
    """What one `apply` did: seconds spent in each step, and how much was written."""

    full: bool
    render_seconds: float
    restore_seconds: float
    lines: int  # lines of input handed to the kernel's tool
    bytes: int


@dataclass(frozen=True, slots=True)
class ObservedFrontend:
    """A service address as the kernel holds it: what every mechanism keeps of a frontend."""

    key: str  # `namespace/name:port`, empty where the mechanism keeps no names
    protocol: str
    address: str  # empty for a node port
    port: int
    endpoints: tuple[str, ...]  # `address:port`, sorted
    affinity_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """The kernel's own state, read back."""

    frontends: tuple[ObservedFrontend, ...]
    size: Mapping[str, int]  # e.g. {"chains": 40, "rules": 120}


class Alarm(Protocol):
    """Open in the kernel until it is closed. It becomes readable when something has happened."""

    def fileno(self) -> int:
        """The descriptor to wait for."""
        ...

    def rang(self) -> bool:
        """Read what has happened; True if it is worth a look."""
        ...

    def close(self) -> None:
        """Stop listening."""
        ...


class Datapath(Protocol):
    """The members that a datapath offers."""

    name: str
    features: frozenset[str]  # what it can express; a case that needs more is reported as unsupported
    ground: frozenset[str]
    """Whose KUBE-* and other fixed names it writes to, e.g. `iptables-nft`. Datapaths with common ground use the
    same names for different things, so they cannot stand on a node together even for a moment."""

    def missing(self, machine: Machine) -> tuple[Missing, ...]:
        """What this machine lacks for it; empty if it can run."""
        ...

    def render(self, plan: NodePlan) -> str:
        """The whole wanted state as deterministic text. Pure."""
        ...

    def apply(self, node: Node, plan: NodePlan, delta: PlanDelta | None) -> Applied:
        """Bring the node's kernel to `plan`.

        `delta` is what changed since the plan applied last; None asks for a full pass (start, repair): what is
        missing, damaged or stale of ours is put right, whoever did it. A delta must not cost more where there
        are more Services: it says all that is needed; `plan` is for a fall back to a full pass. Atomic where
        the mechanism can be. Raises CommandFailed; the state is then the old one.
        """
        ...

    def spares_full_passes(self, plan: NodePlan) -> bool:
        """True if a plan is so large that the regular full pass is left out."""
        ...

    def intact(self, node: Node) -> bool:
        """False if somebody has flushed or deleted what was applied, as far as a quick look can tell."""
        ...

    def present(self, node: Node) -> bool:
        """True if the node's kernel holds anything of this datapath (in this variant), whoever put it there.

        A quick look that changes nothing, not even by loading a module. It tells this one from every other one.
        """
        ...

    def alarm(self, node: Node) -> Alarm | None:
        """Something that tells at once when `intact` may have become false; None where the kernel does not tell."""
        ...

    def observe(self, node: Node) -> Observed:
        """Read the kernel's state back. Changes nothing."""
        ...

    def show(self, node: Node) -> str:
        """What an operator would look at (`iptables-save`, `ipvsadm -ln`, `nft list`)."""
        ...

    def remove(self, node: Node) -> None:
        """Leave nothing of ours behind on the node, and nothing of others touched."""
        ...


@dataclass(frozen=True, slots=True)
class RuleCounts:
    """How many rules of ours there are, by family and table: in all, and written by the last `apply`."""

    total: Mapping[tuple[Family, str], int]
    last: Mapping[tuple[Family, str], int]


@runtime_checkable
class CountsRules(Protocol):
    """A datapath made of rules in tables, which knows their number without asking the kernel."""

    def rule_counts(self, node: Node) -> RuleCounts:
        """Since the last `apply` on the node; empty before the first one."""
        ...


@runtime_checkable
class Tends(Protocol):
    """A datapath with work that takes its time, e.g. real servers that go when their connections have ended."""

    tend_seconds: float  # how often it wants to be called

    def tend(self, node: Node) -> None:
        """Carry on with what had to wait. Called in the agent's thread, so it must be quick. Raises
        KernelStateError."""
        ...


DatapathOptions = Mapping[str, Any]
"""Settings of a datapath as the Cluster document has them, e.g. `{"variant": "legacy"}` for iptables."""

__all__ = [
    "Alarm",
    "Applied",
    "CountsRules",
    "Datapath",
    "DatapathOptions",
    "Machine",
    "Missing",
    "Node",
    "Observed",
    "ObservedFrontend",
    "RuleCounts",
    "ServiceKey",
    "Tends",
]
