"""`testbed rollout`: how far a change of a Deployment, StatefulSet or DaemonSet is; its history, and back.

Follows kubectl's `rollout status|history|undo|pause|resume|restart`.
"""

from __future__ import annotations

import argparse
import datetime
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from testbed.cli import common
from testbed.cli.describing.containers import template
from testbed.cli.describing.page import Page
from testbed.cli.resources import selection
from testbed.cli.resources.revisions import chosen, revisions, undo, with_cause
from testbed.cli.resources.selection import qualified
from testbed.cli.table import table
from testbed.errors import TestbedError, UsageError
from testbed.kube.client import Client
from testbed.kube.objects import Kind

Object = Mapping[str, Any]

RESTARTED = "kubectl.kubernetes.io/restartedAt"
LOOK_SECONDS = 0.05


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("rollout", help="how far a change is", description=__doc__)
    common.add_name(parser)
    common.add_namespace(parser)
    common.add_choice(parser, "--watch", ("true", "false"), "true", "status: wait until it is done")
    parser.add_argument(
        "--timeout", type=common.seconds, default=0.0, help="status: to wait at most (0: for ever)"
    )
    parser.add_argument("--revision", type=int, default=0, help="history: the template of this one")
    parser.add_argument("--to-revision", type=int, default=0, help="undo: to this one (0: the one before)")
    parser.add_argument("verb", choices=tuple(VERBS))
    parser.add_argument("words", nargs="+", metavar="KIND NAME | KIND/NAME ...")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Do it with each; exit code 1 if it cannot be done, or a rollout has failed or takes too long."""
    with common.api(arguments.name) as client:
        return act(client, arguments)


def act(client: Client, arguments: argparse.Namespace) -> int:
    """As `run`, with a client."""
    for each in selection.selected(arguments.words, f"rollout {arguments.verb}"):
        if each.kind.name not in STATUS:
            raise UsageError(f"rollout: no rollouts of {each.kind.plural}; there are: {', '.join(STATUS)}")
        if not each.names:
            raise UsageError(f"rollout {arguments.verb}: give KIND/NAME")
        for name in each.names:
            VERBS[arguments.verb](client, each.kind, name, arguments)
    return 0


def _restart(client: Client, kind: Kind, name: str, arguments: argparse.Namespace) -> None:
    if client.get(kind, arguments.namespace, name)["spec"].get("paused"):
        raise TestbedError(
            f"{qualified(kind)} {name!r}: can't restart paused {kind.singular} (resume it first)"
        )
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = {"annotations": {RESTARTED: now}}
    client.patch(kind, arguments.namespace, name, {"spec": {"template": {"metadata": metadata}}})
    print(f"{qualified(kind)}/{name} restarted")


def _history(client: Client, kind: Kind, name: str, arguments: argparse.Namespace) -> None:
    """All revisions, or the template of one."""
    found = revisions(client, client.get(kind, arguments.namespace, name))
    if not arguments.revision:
        print(f"{qualified(kind)}/{name}")
        rows = [(str(revision.number), revision.cause) for revision in found]
        print(table(("REVISION", "CHANGE-CAUSE"), rows) if rows else "No rollout history found.")
        return
    shown = next((revision for revision in found if revision.number == arguments.revision), None)
    if shown is None:
        raise TestbedError("unable to find the specified revision")
    print(f"{qualified(kind)}/{name} with revision #{shown.number}")
    page = Page(datetime.datetime.now(datetime.UTC))
    template(page, with_cause(shown))
    print(page.text())


def _undo(client: Client, kind: Kind, name: str, arguments: argparse.Namespace) -> None:
    obj = client.get(kind, arguments.namespace, name)
    if obj["spec"].get("paused"):
        hint = f"resume it first with 'testbed rollout resume {kind.singular}/{name}' and try again"
        raise TestbedError(f"you cannot rollback a paused {kind.singular}; {hint}")
    revision = chosen(revisions(client, obj), arguments.to_revision, obj)
    done = undo(client, obj, revision)
    skipped = f"skipped rollback (current template already matches revision {revision.number})"
    print(f"{qualified(kind)}/{name} {'rolled back' if done else skipped}")


def _pause(client: Client, kind: Kind, name: str, arguments: argparse.Namespace) -> None:
    """Pause or resume: meanwhile a Deployment's template may change as often as one likes."""
    pauses = arguments.verb == "pause"
    if kind.name != "Deployment":
        raise UsageError(f"rollout {arguments.verb}: {kind.plural} cannot be paused, only deployments")
    if bool(client.get(kind, arguments.namespace, name)["spec"].get("paused")) is pauses:
        raise TestbedError(f"{qualified(kind)} {name!r} is {'already' if pauses else 'not'} paused")
    client.patch(kind, arguments.namespace, name, {"spec": {"paused": pauses}})
    print(f"{qualified(kind)}/{name} {'paused' if pauses else 'resumed'}")


def _follow(client: Client, kind: Kind, name: str, arguments: argparse.Namespace) -> None:
    end = time.monotonic() + arguments.timeout if arguments.timeout else float("inf")
    told = ""
    while True:
        text, done = STATUS[kind.name](client.get(kind, arguments.namespace, name))
        if text != told:
            print(text, flush=True)
            told = text
        if done or arguments.watch == "false":
            return
        if time.monotonic() > end:
            raise TestbedError(
                f"timed out waiting for the condition: {kind.singular} {name!r} is not rolled out"
            )
        time.sleep(LOOK_SECONDS)


def deployment_status(obj: Object) -> tuple[str, bool]:
    """What is being waited for, and whether it is over (`DeploymentStatusViewer`). Raises TestbedError."""
    name, status = obj["metadata"]["name"], obj.get("status", {})
    if _unseen(obj):
        return "Waiting for deployment spec update to be observed...", False
    conditions: Sequence[Object] = status.get("conditions") or ()
    progress = next((c for c in conditions if c["type"] == "Progressing"), {})
    if progress.get("reason") == "ProgressDeadlineExceeded":
        raise TestbedError(f'deployment "{name}" exceeded its progress deadline')
    wanted, updated = obj["spec"].get("replicas", 1), status.get("updatedReplicas", 0)
    total, available = status.get("replicas", 0), status.get("availableReplicas", 0)
    waiting = f'Waiting for deployment "{name}" rollout to finish'
    if updated < wanted:
        return f"{waiting}: {updated} out of {wanted} new replicas have been updated...", False
    if total > updated:
        return f"{waiting}: {total - updated} old replicas are pending termination...", False
    if available < updated:
        return f"{waiting}: {available} of {updated} updated replicas are available...", False
    return f'deployment "{name}" successfully rolled out', True


def daemon_set_status(obj: Object) -> tuple[str, bool]:
    """As `deployment_status`, for a DaemonSet."""
    name, status = obj["metadata"]["name"], obj.get("status", {})
    if _unseen(obj):
        return "Waiting for daemon set spec update to be observed...", False
    wanted, updated = status.get("desiredNumberScheduled", 0), status.get("updatedNumberScheduled", 0)
    available = status.get("numberAvailable", 0)
    waiting = f'Waiting for daemon set "{name}" rollout to finish'
    if updated < wanted:
        return f"{waiting}: {updated} out of {wanted} new pods have been updated...", False
    if available < wanted:
        return f"{waiting}: {available} of {wanted} updated pods are available...", False
    return f'daemon set "{name}" successfully rolled out', True


def stateful_set_status(obj: Object) -> tuple[str, bool]:
    """As `deployment_status`, for a StatefulSet."""
    status, wanted = obj.get("status", {}), obj["spec"].get("replicas", 1)
    if _unseen(obj):
        return "Waiting for statefulset spec update to be observed...", False
    ready, updated = status.get("readyReplicas", 0), status.get("updatedReplicas", 0)
    if ready < wanted:
        return f"Waiting for {wanted - ready} pods to be ready...", False
    if status.get("updateRevision") != status.get("currentRevision") and updated < wanted:
        revision = status.get("updateRevision")
        return (
            f"waiting for statefulset rolling update to complete {updated} pods at revision {revision}...",
            False,
        )
    current = status.get("currentReplicas", 0)
    return (
        f"statefulset rolling update complete {current} pods at revision {status.get('currentRevision')}...",
        True,
    )


def _unseen(obj: Object) -> bool:
    """True while the controller has not seen the latest spec."""
    seen = obj.get("status", {}).get("observedGeneration", 0)
    return bool(seen < obj["metadata"].get("generation", 0))


STATUS: Mapping[str, Callable[[Object], tuple[str, bool]]] = {
    "Deployment": deployment_status,
    "DaemonSet": daemon_set_status,
    "StatefulSet": stateful_set_status,
}

VERBS: Mapping[str, Callable[[Client, Kind, str, argparse.Namespace], None]] = {
    "status": _follow,
    "history": _history,
    "undo": _undo,
    "pause": _pause,
    "resume": _pause,
    "restart": _restart,
}
