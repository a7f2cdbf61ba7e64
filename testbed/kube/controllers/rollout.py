"""How many pods a Deployment starts and which it ends now (the deployment controller's arithmetic). Pure.

Knows numbers and readiness; knows no object.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Member:
    """A living pod of a Deployment: not told to end, not ended."""

    name: str
    ordinal: int
    current: bool  # made from the template as it is now
    ready: bool


@dataclass(frozen=True, slots=True)
class Step:
    """What to do now; the next event shows what is next."""

    create: int
    remove: tuple[Member, ...]


def resolve(value: int | str, replicas: int, *, up: bool) -> int:
    """A number, or a percentage of the replicas (intstr.GetScaledValueFromIntOrPercent)."""
    if isinstance(value, int):
        return value
    share = int(value.rstrip("%")) * replicas / 100
    return math.ceil(share) if up else math.floor(share)


def step(replicas: int, strategy: Mapping[str, Any], members: Sequence[Member]) -> Step:
    """What brings the members nearer to `replicas` of the current template, within the strategy's bounds."""
    current = [member for member in members if member.current]
    old = [member for member in members if not member.current]
    if len(current) > replicas:
        return Step(0, tuple(_worst_first(current)[: len(current) - replicas]))
    if strategy.get("type") == "Recreate":
        return Step(0, tuple(old)) if old else Step(replicas - len(current), ())
    surge, _ = _bounds(replicas, strategy)
    create = max(0, min(replicas - len(current), replicas + surge - len(members)))
    return Step(create, _replaceable(old, current, least_ready(replicas, strategy)))


def least_ready(replicas: int, strategy: Mapping[str, Any]) -> int:
    """The number of ready pods that a replacement never goes below, and that makes a Deployment Available."""
    return replicas - _bounds(replicas, strategy)[1]


def _bounds(replicas: int, strategy: Mapping[str, Any]) -> tuple[int, int]:
    """maxSurge and maxUnavailable, 25 % each by default; one of them is above 0 (ResolveFenceposts)."""
    if strategy.get("type") == "Recreate" or replicas == 0:
        return 0, 0
    rolling = strategy.get("rollingUpdate") or {}
    surge = resolve(rolling.get("maxSurge", "25%"), replicas, up=True)
    unavailable = resolve(rolling.get("maxUnavailable", "25%"), replicas, up=False)
    return surge, unavailable if surge or unavailable else 1


def _replaceable(old: list[Member], current: list[Member], least: int) -> tuple[Member, ...]:
    """Old pods that can go now: those not ready first, ready ones while `least` stay ready."""
    starting = sum(not member.ready for member in current)
    budget = max(0, len(old) + len(current) - least - starting)
    spare = sum(member.ready for member in old + current) - least
    gone: list[Member] = []
    for member in _worst_first(old)[:budget]:
        spare -= member.ready
        if member.ready and spare < 0:
            break
        gone.append(member)
    return tuple(gone)


def _worst_first(members: list[Member]) -> list[Member]:
    """The order in which pods are given up: not ready before ready, then the highest number."""
    return sorted(members, key=lambda member: (member.ready, -member.ordinal))
