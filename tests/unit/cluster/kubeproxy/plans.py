"""Plans and deltas from objects, as an agent's proxier makes them."""

from __future__ import annotations

from testbed.proxier.plan import NodePlan, PlanDelta
from testbed.proxier.proxier import Change, Proxier, Settings
from tests.unit.proxier import objects

Object = objects.Object


class Node:
    """The proxier of `objects.NODE`, with the objects so far."""

    def __init__(self, settings: Settings | None = None) -> None:
        self._proxier = Proxier(objects.FACTS, {}, settings or Settings())
        self._world = objects.World()

    def put(self, *changed: Object) -> tuple[NodePlan, PlanDelta]:
        """Objects come or change."""
        return self._update([self._world.put(each) for each in changed])

    def drop(self, *gone: Object) -> tuple[NodePlan, PlanDelta]:
        """Objects go."""
        return self._update([self._world.drop(each) for each in gone])

    def _update(self, changes: list[Change]) -> tuple[NodePlan, PlanDelta]:
        delta = self._proxier.update(changes)
        return self._proxier.plan, delta
