"""The tables of what makes pods: Deployments, ReplicaSets, StatefulSets, DaemonSets, revisions (printers.go)."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from testbed.kube.api.tables.duration import age
from testbed.kube.api.tables.layout import AGE, CONTAINERS, IMAGES, NAME, Cells, Column, Layout
from testbed.kube.api.tables.text import NONE, containers_text, labels_text, selector_text
from testbed.kube.store import Object

_SELECTOR = Column("Selector", description="Which pods belong to it.", priority=1)


def _integer(name: str, description: str) -> Column:
    return Column(name, "integer", description=description)


def _status(obj: Object) -> Mapping[str, Any]:
    status: Mapping[str, Any] = obj.get("status") or {}
    return status


def _deployment(deployment: Object, now: datetime.datetime) -> Cells:
    spec, status = deployment["spec"], _status(deployment)
    return (
        deployment["metadata"]["name"],
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 1)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        age(deployment, now),
        *containers_text(spec["template"]),
        selector_text(spec.get("selector")),
    )


def _replica_set(replica_set: Object, now: datetime.datetime) -> Cells:
    spec, status = replica_set["spec"], _status(replica_set)
    return (
        replica_set["metadata"]["name"],
        spec.get("replicas", 1),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        age(replica_set, now),
        *containers_text(spec.get("template", {})),
        selector_text(spec.get("selector")) or NONE,
    )


def _stateful_set(stateful_set: Object, now: datetime.datetime) -> Cells:
    spec, status = stateful_set["spec"], _status(stateful_set)
    return (
        stateful_set["metadata"]["name"],
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 1)}",
        age(stateful_set, now),
        *containers_text(spec["template"]),
    )


def _daemon_set(daemon_set: Object, now: datetime.datetime) -> Cells:
    spec, status = daemon_set["spec"], _status(daemon_set)
    return (
        daemon_set["metadata"]["name"],
        status.get("desiredNumberScheduled", 0),
        status.get("currentNumberScheduled", 0),
        status.get("numberReady", 0),
        status.get("updatedNumberScheduled", 0),
        status.get("numberAvailable", 0),
        labels_text(spec["template"].get("spec", {}).get("nodeSelector")),
        age(daemon_set, now),
        *containers_text(spec["template"]),
        selector_text(spec.get("selector")) or NONE,
    )


def _revision(revision: Object, now: datetime.datetime) -> Cells:
    owners = revision["metadata"].get("ownerReferences") or ()
    controller = next((_qualified(owner) for owner in owners if owner.get("controller")), NONE)
    return revision["metadata"]["name"], controller, revision["revision"], age(revision, now)


def _qualified(owner: Mapping[str, Any]) -> str:
    """`formatResourceName`: `statefulset.apps/web`."""
    group = owner["apiVersion"].rpartition("/")[0]
    return f"{owner['kind'].lower()}{'.' + group if group else ''}/{owner['name']}"


_READY = Column("Ready", description="Number of the pod with ready state.")
DEPLOYMENTS = Layout(
    (
        NAME,
        _READY,
        Column("Up-to-date", description="Pods that have the wanted template."),
        Column("Available", description="Pods that have been ready for at least minReadySeconds."),
        AGE,
        CONTAINERS,
        IMAGES,
        _SELECTOR,
    ),
    _deployment,
)
REPLICA_SETS = Layout(
    (
        NAME,
        _integer("Desired", "Pods that are wanted."),
        _integer("Current", "Pods that are there."),
        _integer("Ready", "Pods that are ready."),
        AGE,
        CONTAINERS,
        IMAGES,
        _SELECTOR,
    ),
    _replica_set,
)
STATEFUL_SETS = Layout((NAME, _READY, AGE, CONTAINERS, IMAGES), _stateful_set)
CONTROLLER_REVISIONS = Layout(
    (
        NAME,
        Column("Controller", description="What the template belongs to."),
        _integer("Revision", "The number of this template."),
        AGE,
    ),
    _revision,
)
DAEMON_SETS = Layout(
    (
        NAME,
        _integer("Desired", "Nodes that should run the pod."),
        _integer("Current", "Nodes that run at least one of the pods and should."),
        _integer("Ready", "Nodes whose pod is ready."),
        _integer("Up-to-date", "Nodes whose pod has the wanted template."),
        _integer("Available", "Nodes whose pod has been ready for at least minReadySeconds."),
        Column("Node Selector", description="Labels of the nodes that should run the pod."),
        AGE,
        CONTAINERS,
        IMAGES,
        _SELECTOR,
    ),
    _daemon_set,
)
