"""How a Deployment moves its replicas from old ReplicaSets to the new one. Pure.

The arithmetic of pkg/controller/deployment (rolling.go, recreate.go, sync.go).

Knows numbers; knows no object.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Replicas:
    """One ReplicaSet: how many pods it is to have, and how many of those it has are available."""

    name: str
    wanted: int
    available: int


@dataclass(frozen=True, slots=True)
class Rollout:
    """What a Deployment wants: `surge` pods more than `replicas` at most, `unavailable` fewer available ones."""

    replicas: int
    surge: int
    unavailable: int
    recreate: bool = False

    @property
    def least(self) -> int:
        """The number of available pods below which nothing is given up."""
        return self.replicas - self.unavailable


def rollout_of(spec: Mapping[str, Any]) -> Rollout:
    """The numbers of a Deployment's spec; one of the two bounds is above 0 (`ResolveFenceposts`)."""
    replicas, strategy = int(spec.get("replicas", 1)), spec.get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return Rollout(replicas, 0, 0, recreate=True)
    rolling = strategy.get("rollingUpdate") or {}
    surge = resolve(rolling.get("maxSurge", "25%"), replicas, up=True)
    unavailable = resolve(rolling.get("maxUnavailable", "25%"), replicas, up=False)
    return Rollout(replicas, surge, min(unavailable if surge or unavailable else 1, replicas))


def resolve(value: int | str, replicas: int, *, up: bool) -> int:
    """A number, or a percentage of the replicas (intstr.GetScaledValueFromIntOrPercent)."""
    if isinstance(value, int):
        return value
    share = int(value.rstrip("%")) * replicas / 100
    return math.ceil(share) if up else math.floor(share)


def first_size(rollout: Rollout, others: int, now: int = 0) -> int:
    """How many replicas the new set gets that has `now`, beside `others` of old ones (`NewRSNewReplicas`)."""
    if rollout.recreate:
        return rollout.replicas
    room = rollout.replicas + rollout.surge - others - now
    return now if room <= 0 else now + min(room, rollout.replicas - now)


def grown(rollout: Rollout, new: Replicas, old: Sequence[Replicas]) -> int:
    """The new set's next size (`reconcileNewReplicaSet`)."""
    if new.wanted >= rollout.replicas:
        return rollout.replicas
    return first_size(rollout, sum(each.wanted for each in old), new.wanted)


def shrunk(rollout: Rollout, new: Replicas, old: Sequence[Replicas]) -> dict[str, int]:
    """The old sets' next sizes where they change, `old` being sorted by age (`reconcileOldReplicaSets`).

    What is not available goes first, oldest set first; then available ones, as long as enough stay.
    """
    total = new.wanted + sum(each.wanted for each in old)
    budget = total - rollout.least - (new.wanted - new.available)
    sizes = {each.name: each.wanted for each in old}
    for each in old:
        broken = max(0, min(budget, each.wanted - each.available))
        sizes[each.name] -= broken
        budget -= broken
    spare = max(0, min(budget, new.available + sum(each.available for each in old) - rollout.least))
    for each in old:
        gone = min(spare, sizes[each.name])
        sizes[each.name] -= gone
        spare -= gone
    return {each.name: sizes[each.name] for each in old if sizes[each.name] != each.wanted}


def proportioned(rollout: Rollout, sets: Sequence[Replicas], limits: Mapping[str, int]) -> dict[str, int]:
    """Sizes after the Deployment was scaled amid a rollout, in the sets' proportions (`scale` in sync.go).

    `sets` are the active ones, newest first; `limits` has the number of pods that the Deployment was allowed when a
    set was last scaled (its annotation max-replicas). What rounding leaves goes to the largest set.
    """
    total = sum(each.wanted for each in sets)
    allowed = rollout.replicas + rollout.surge if rollout.replicas else 0
    missing = allowed - total
    ranked = sorted(sets, key=lambda each: -each.wanted)
    sizes, added = dict[str, int](), 0
    for each in ranked:
        share = _share(each, allowed, limits.get(each.name) or rollout.replicas) if missing else 0
        left = missing - added
        share = max(min(share, left), 0) if missing > 0 else min(max(share, left), 0)
        sizes[each.name] = each.wanted + share
        added += share
    if ranked:
        first = ranked[0].name
        sizes[first] = max(0, sizes[first] + missing - added)
    return {each.name: sizes[each.name] for each in sets if sizes[each.name] != each.wanted}


def _share(each: Replicas, allowed: int, allowed_before: int) -> int:
    """`getReplicaSetFraction`."""
    return round(each.wanted * allowed / allowed_before) - each.wanted
