"""Objects as tables: what `kubectl get` shows, which the API server and not kubectl decides.

Columns, cells and rules are those of kubernetes/pkg/printers/internalversion/printers.go (v1.36), one file for
each group of kinds. Knows objects and the time that it is told; knows neither transport nor terminal.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from testbed.kube.api.tables.config import CONFIG_MAPS, SECRETS
from testbed.kube.api.tables.duration import age
from testbed.kube.api.tables.events import EVENTS
from testbed.kube.api.tables.layout import AGE, NAME, Cells, Json, Layout
from testbed.kube.api.tables.nodes import NAMESPACES, NODES
from testbed.kube.api.tables.pods import PODS
from testbed.kube.api.tables.services import ENDPOINT_SLICES, ENDPOINTS, SERVICE_CIDRS, SERVICES
from testbed.kube.api.tables.workloads import (
    CONTROLLER_REVISIONS,
    DAEMON_SETS,
    DEPLOYMENTS,
    REPLICA_SETS,
    STATEFUL_SETS,
)
from testbed.kube.objects import Kind
from testbed.kube.store import Object

LAYOUTS: Mapping[str, Layout] = {
    "ConfigMap": CONFIG_MAPS,
    "ControllerRevision": CONTROLLER_REVISIONS,
    "DaemonSet": DAEMON_SETS,
    "Deployment": DEPLOYMENTS,
    "EndpointSlice": ENDPOINT_SLICES,
    "Endpoints": ENDPOINTS,
    "Event": EVENTS,
    "Namespace": NAMESPACES,
    "Node": NODES,
    "Pod": PODS,
    "ReplicaSet": REPLICA_SETS,
    "Secret": SECRETS,
    "Service": SERVICES,
    "ServiceCIDR": SERVICE_CIDRS,
    "StatefulSet": STATEFUL_SETS,
}
"""The layout of each kind that has one of its own; any other is told by name and age."""


def _plain(obj: Object, now: datetime.datetime) -> Cells:
    return obj["metadata"]["name"], age(obj, now)


PLAIN = Layout((NAME, AGE), _plain)


def table(
    kind: Kind, objects: Sequence[Object], now: datetime.datetime, include: str = "Metadata"
) -> dict[str, Any]:
    """The meta.k8s.io/v1 Table of objects of one kind; `now` is aware of its zone, ages are up to then.

    `include` is the request's includeObject: what each row has of its object, `Metadata` (a
    PartialObjectMetadata), `Object` (all) or `None`.
    """
    layout = LAYOUTS.get(kind.name, PLAIN)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": layout.definitions(),
        "rows": [layout.row(obj, now) | _included(obj, include) for obj in objects],
    }


def _included(obj: Object, include: str) -> Json:
    if include == "None":
        return {}
    if include == "Object":
        return {"object": obj}
    partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
    return {"object": partial}
