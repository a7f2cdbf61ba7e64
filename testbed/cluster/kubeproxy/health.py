"""Whether a node's kube-proxy is up to date, as /healthz and /livez tell it (pkg/proxy/healthcheck, v1.36).

Knows when objects changed and when the kernel obeyed. Knows no HTTP and no rules.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from testbed.proxier.plan import Family

TO_BE_DELETED = "ToBeDeletedByClusterAutoscaler"
"""The taint on a node that is about to go: load balancers shall send it nothing new (KEP-3836)."""


class ProxyHealth:
    """One node's health. `timeout` seconds may pass between a change and its being obeyed: 2 × syncPeriod.

    Written by the agent's thread, read by others; each value is replaced whole.
    """

    def __init__(self, timeout: float, families: tuple[Family, ...], now: Callable[[], float] = time.time):
        self._timeout, self._families, self._now = timeout, families, now
        self._pending: float | None = None  # since when the oldest change has waited
        self._updated = now()
        self.node_eligible = True

    def queued(self) -> None:
        """A change waits."""
        if self._pending is None:
            self._pending = self._now()

    def updated(self) -> None:
        """The kernel obeys all changes so far."""
        self._pending, self._updated = None, self._now()

    def see_node(self, node: Mapping[str, Any] | None) -> None:
        """This node's object as it is now, None when it is gone."""
        taints = ((node or {}).get("spec") or {}).get("taints") or ()
        leaving = node is None or "deletionTimestamp" in node["metadata"]
        self.node_eligible = not leaving and all(taint.get("key") != TO_BE_DELETED for taint in taints)

    @property
    def healthy(self) -> bool:
        """True unless a change has waited too long."""
        pending = self._pending
        return pending is None or self._now() - pending < self._timeout

    def livez(self) -> tuple[bool, str]:
        """Is the process worth keeping? Whether the node goes does not matter. With the body of the answer."""
        healthy = self.healthy
        return healthy, json.dumps(self._body(healthy)) + "\n"

    def healthz(self) -> tuple[bool, str]:
        """Should load balancers send new connections here? With the body of the answer."""
        healthy, eligible = self.healthy, self.node_eligible
        body = self._body(healthy)
        return healthy and eligible, json.dumps({**body, "nodeEligible": eligible}) + "\n"

    def _body(self, healthy: bool) -> dict[str, Any]:
        """A healthy proxy's `lastUpdated` is now, even if nothing had to be done: so older releases had it."""
        now = self._now()
        updated = _stamp(now if healthy else self._updated)
        status = {"lastUpdated": updated, "healthy": healthy}
        return {
            "lastUpdated": updated,
            "currentTime": _stamp(now),
            "healthy": healthy,
            "status": {f"IPv{family.value}": status for family in self._families},
        }


def _stamp(seconds: float) -> str:
    """RFC 3339 as Go's encoding/json writes a time."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
