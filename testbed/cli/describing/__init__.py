"""Objects as pages, in the layout of `kubectl describe` (k8s.io/kubectl/pkg/describe, v1.36)."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping

from testbed.cli.describing.config import config_map, secret
from testbed.cli.describing.generic import generic
from testbed.cli.describing.nodes import namespace, node
from testbed.cli.describing.page import Page
from testbed.cli.describing.parts import Object
from testbed.cli.describing.pods import pod
from testbed.cli.describing.services import endpoint_slice, endpoints, service, service_cidr
from testbed.cli.describing.workloads import daemon_set, deployment, replica_set, stateful_set
from testbed.kube.client import Client

PAGES: Mapping[str, Callable[[Page, Object, Client], None]] = {
    "ConfigMap": config_map,
    "DaemonSet": daemon_set,
    "Deployment": deployment,
    "EndpointSlice": endpoint_slice,
    "Endpoints": endpoints,
    "Namespace": namespace,
    "Node": node,
    "Pod": pod,
    "ReplicaSet": replica_set,
    "Secret": secret,
    "Service": service,
    "ServiceCIDR": service_cidr,
    "StatefulSet": stateful_set,
}
"""How each kind that has a page of its own is described."""


def describe(obj: Object, client: Client, now: datetime.datetime | None = None) -> str:
    """An object's page; `client` is asked for what belongs to it: events, endpoints, pods.

    Ages are up to `now`, by default this moment, and times in its zone, by default that of this machine.
    """
    page = Page(now or datetime.datetime.now().astimezone())
    PAGES.get(obj["kind"], generic)(page, obj, client)
    return page.text()
