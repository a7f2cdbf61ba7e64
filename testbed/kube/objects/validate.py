"""All mistakes of one object, and the object with its defaults. Pure: no files, no store.

Knows which rules a kind has. A schema mistake does not hide the others: a value of a wrong type gives way to
an empty one, the kind's own rules are asked as well, and what they say about that value is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from testbed.kube.objects.cluster_rules import cluster_errors
from testbed.kube.objects.config import config_map_errors, secret_errors
from testbed.kube.objects.defaults import defaulted, without_nulls
from testbed.kube.objects.deployment import deployment_errors
from testbed.kube.objects.endpoints import endpoints_errors
from testbed.kube.objects.endpointslice import endpoint_slice_errors
from testbed.kube.objects.event import event_errors
from testbed.kube.objects.fields import FieldError, FieldErrors, invalid, required, shown
from testbed.kube.objects.kinds import CLUSTER, KINDS, Kind
from testbed.kube.objects.metadata import metadata_errors
from testbed.kube.objects.node import node_errors
from testbed.kube.objects.pod import pod_errors
from testbed.kube.objects.schema import Location, SchemaError, schema_errors
from testbed.kube.objects.service import service_errors
from testbed.kube.objects.service_cidr import service_cidr_errors
from testbed.kube.objects.workload import (
    controller_revision_errors,
    daemon_set_errors,
    replica_set_errors,
    stateful_set_errors,
)


def _nothing_more(_: Mapping[str, Any]) -> FieldErrors:
    return iter(())


_RULES: Mapping[str, Callable[[Mapping[str, Any]], FieldErrors]] = {
    "Cluster": cluster_errors,
    "Namespace": _nothing_more,
    "Node": node_errors,
    "Pod": pod_errors,
    "Deployment": deployment_errors,
    "Service": service_errors,
    "EndpointSlice": endpoint_slice_errors,
    "Endpoints": endpoints_errors,
    "ReplicaSet": replica_set_errors,
    "StatefulSet": stateful_set_errors,
    "DaemonSet": daemon_set_errors,
    "ControllerRevision": controller_revision_errors,
    "ConfigMap": config_map_errors,
    "Secret": secret_errors,
    "ServiceCIDR": service_cidr_errors,
    "Event": event_errors,
}
_KINDS: Mapping[str, Kind] = {**KINDS, CLUSTER.name: CLUSTER}


def field_errors(body: Mapping[str, Any]) -> list[FieldError]:
    """Every mistake that can be seen in one object alone, in the order of schema, metadata, kind's rules."""
    return checked(body)[1]


def checked(body: Mapping[str, Any]) -> tuple[dict[str, Any], list[FieldError]]:
    """The object with its defaults, and its mistakes. With mistakes, the object is of no further use."""
    kind = _KINDS.get(str(body.get("kind", "")))
    wrong = _kind_error(body, kind)
    if kind is None or wrong is not None:
        return {}, [wrong] if wrong else []
    plain: dict[str, Any] = without_nulls(body)
    schema = schema_errors(kind.name, plain)
    new = defaulted(_repaired(plain, schema))
    own = [*metadata_errors(new, kind), *_RULES[kind.name](new)]
    known = [error.location for error in schema]
    return new, [error.error for error in schema] + _beside(own, schema) if known else own


def _kind_error(body: Mapping[str, Any], kind: Kind | None) -> FieldError | None:
    """Kubernetes finds a kind by apiVersion and kind together; without both there is nothing to check."""
    name, version = body.get("kind"), body.get("apiVersion")
    if not name:
        return required("kind", "Object 'Kind' is missing", f"one of {', '.join(_KINDS)}")
    if kind is None:
        return invalid("kind", name, "no such kind here", f"one of {', '.join(_KINDS)}")
    if not version:
        return required("apiVersion", "Object 'apiVersion' is missing", f"apiVersion: {kind.api_version}")
    if version != kind.api_version:
        message = f"no matches for kind {shown(name)} in version {shown(version)}"
        return FieldError("apiVersion", message, f"apiVersion: {kind.api_version}")
    return None


def _beside(errors: Iterable[FieldError], schema: Iterable[SchemaError]) -> list[FieldError]:
    """The errors that are not about a place that the schema has spoken about already."""
    told = tuple(error.error.path for error in schema)
    below = tuple(path + end for path in told for end in ".[")
    return [e for e in errors if e.path not in told and not e.path.startswith(below)]


def _repaired(body: dict[str, Any], errors: Iterable[SchemaError]) -> dict[str, Any]:
    """The object with an empty value of the right type in each place that holds one of a wrong type."""
    for error in errors:
        if error.neutral is not None:
            _put(body, error.location, error.neutral)
    return body


def _put(body: Any, location: Location, value: Any) -> None:
    for step in location[:-1]:
        body = body[step]
    if location:
        body[location[-1]] = without_nulls(value)
