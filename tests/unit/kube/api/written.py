"""What a kubelet leaves behind for who asks for logs: the log of a life, and a pod that had it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from testbed.cluster.kubelet.logs import Log, log_path
from testbed.kube.store import Store

RUNNING = {"running": {"startedAt": "2026-01-02T03:00:00Z"}}
ENDED = {"terminated": {"exitCode": 1, "reason": "Error"}}
BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff"}}


def write(folder: Path, text: str, pod: str = "a", restart: int = 0) -> None:
    """A life of `main` has written this, an hour after midnight (of 2 January 2026, UTC)."""
    log = Log(log_path(folder, ("default", pod), "main", restart), now=lambda: 1_767_315_600 * 10**9)
    log.take("stdout", text.encode())
    log.close()


def set_state(
    store: Store,
    pod: str = "a",
    state: Mapping[str, Any] = RUNNING,
    last: Mapping[str, Any] | None = None,
    restarts: int = 0,
) -> None:
    """A pod on node1 whose containers are all in this state."""
    names = [c["name"] for c in _pod(store, pod)["spec"]["containers"]]
    told = [
        {"name": name, "state": dict(state), "lastState": dict(last or {}), "restartCount": restarts}
        for name in names
    ]
    store.mutate(
        "Pod",
        "default",
        pod,
        lambda obj: {
            **obj,
            "spec": {**obj["spec"], "nodeName": "node1"},
            "status": {**obj.get("status", {}), "containerStatuses": told},
        },
    )


def _pod(store: Store, name: str) -> Mapping[str, Any]:
    found = store.get("Pod", "default", name)
    assert found is not None
    return found
