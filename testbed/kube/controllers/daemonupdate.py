"""Which daemon pods of an old template are ended next (pkg/controller/daemon/update.go `rollingUpdate`). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from testbed.kube.controllers.rollout import resolve
from testbed.kube.store import Object


@dataclass(frozen=True, slots=True)
class Update:
    """How many nodes may be without an available pod, and how many may have two; none of both: OnDelete."""

    unavailable: int = 0
    surge: int = 0


@dataclass(frozen=True, slots=True)
class Daemon:
    """One node: its pod of an old template, if any, and whether there is one of the new template."""

    old: Object | None
    old_available: bool
    has_new: bool
    new_available: bool


def update_of(strategy: Mapping[str, Any], nodes: int) -> Update:
    """The numbers of an updateStrategy for so many nodes (`updatedDesiredNodeCounts`)."""
    if strategy.get("type") == "OnDelete":
        return Update()
    rolling = strategy.get("rollingUpdate") or {}
    surge = resolve(rolling.get("maxSurge", 0), nodes, up=True)
    unavailable = resolve(rolling.get("maxUnavailable", 1), nodes, up=True)
    return Update(unavailable if surge or unavailable else 1, surge)


def outdated(update: Update, daemons: Sequence[Daemon]) -> list[Object]:
    """Old pods to end now.

    Without surge: those not available, then available ones while few enough nodes are without. With surge: those
    whose successor is available, and those that are not available themselves, once a successor is there.
    """
    if update.surge:
        return [
            daemon.old
            for daemon in daemons
            if daemon.old is not None
            and daemon.has_new
            and (daemon.new_available or not daemon.old_available)
        ]
    if not update.unavailable:
        return []
    broken = [d.old for d in daemons if d.old is not None and not d.old_available]
    without = sum(not (daemon.old_available or daemon.new_available) for daemon in daemons)
    budget = max(0, update.unavailable - without)
    serving = [d.old for d in daemons if d.old is not None and d.old_available]
    return broken + serving[:budget]
