"""A datapath in memory, for tests of whoever uses one: it keeps the last plan of each node, and calls no program.

See `contract.Datapath`. What it was asked for can be read back; it fails as long as `refuses` says why.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from testbed.datapaths.contract import Applied, Machine, Missing, Node, Observed, ObservedFrontend
from testbed.errors import CommandFailed
from testbed.proxier.plan import Family, NodePlan, PlanDelta, ServicePlan


@dataclass(frozen=True, slots=True)
class Call:
    """One `apply`: what it was given."""

    node: str
    plan: NodePlan
    delta: PlanDelta | None


@dataclass(slots=True)
class FakeDatapath:
    """Calls come from agents' threads: a test looks at `calls` when its condition has come true."""

    name: str = "fake"
    features: frozenset[str] = frozenset()
    ground: frozenset[str] = frozenset({"fake"})
    refuses: str = ""
    calls: list[Call] = field(default_factory=list)
    plans: dict[str, NodePlan] = field(default_factory=dict)
    flushed: set[str] = field(default_factory=set)
    attempts: int = 0
    gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()  # clear it, and `apply` waits

    def missing(self, machine: Machine) -> tuple[Missing, ...]:  # noqa: ARG002 - the contract's signature
        """Memory is always there."""
        return ()

    def render(self, plan: NodePlan) -> str:
        """A line for each service address. Pure."""
        return "".join(f"{frontend}\n" for frontend in _frontends(plan))

    def apply(self, node: Node, plan: NodePlan, delta: PlanDelta | None) -> Applied:
        """Remember the plan. Raises CommandFailed with `refuses`; the state is then the old one."""
        self.gate.wait()
        self.attempts += 1
        if self.refuses:
            raise CommandFailed(["fake"], 1, self.refuses, where=node.name)
        text = self.render(plan)
        self.flushed -= {node.name} if delta is None else set()
        self.plans[node.name] = plan
        self.calls.append(Call(node.name, plan, delta))
        return Applied(delta is None, 0.0, 0.0, text.count("\n"), len(text))

    def spares_full_passes(self, plan: NodePlan) -> bool:  # noqa: ARG002
        """Memory has room for any plan."""
        return False

    def intact(self, node: Node) -> bool:
        """False once `flush` was called, until the next full pass."""
        return node.name not in self.flushed

    def present(self, node: Node) -> bool:
        """True from the first `apply` until `remove`."""
        return node.name in self.plans

    def alarm(self, node: Node) -> None:  # noqa: ARG002
        """Memory does not tell."""
        return

    def flush(self, node: str) -> None:
        """What somebody else does to a node behind the datapath's back."""
        self.plans.pop(node, None)
        self.flushed.add(node)

    def observe(self, node: Node) -> Observed:
        """The frontends of the plan that was applied last."""
        plan = self.plans.get(node.name)
        found = _frontends(plan) if plan else ()
        return Observed(found, {"frontends": len(found)})

    def show(self, node: Node) -> str:
        """What `render` made of it."""
        return self.render(self.plans[node.name]) if node.name in self.plans else ""

    def remove(self, node: Node) -> None:
        """Forget the node."""
        self.plans.pop(node.name, None)


def _frontends(plan: NodePlan) -> tuple[ObservedFrontend, ...]:
    services = [service for family in Family for service in plan.ordered(family)]
    return tuple(each for service in services for each in _of_service(service))


def _of_service(service: ServicePlan) -> list[ObservedFrontend]:
    endpoints = tuple(map(str, service.endpoints()))
    return [
        ObservedFrontend(
            str(service.key), service.key.protocol, str(frontend.address or ""), frontend.port, endpoints,
            service.affinity_seconds,
        )
        for frontend in service.frontends
    ]  # fmt: skip
