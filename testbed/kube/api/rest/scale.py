"""The /scale subresource: how many replicas an object wants and has (autoscaling/v1 Scale).

Knows where replicas stand in a Deployment, ReplicaSet or StatefulSet. Writes as any other change does.
"""

from __future__ import annotations

from typing import Any

from testbed.kube.api.registry import Registry
from testbed.kube.api.rest import status
from testbed.kube.api.rest.body import from_json, mapping
from testbed.kube.api.rest.message import Request, Response, answer
from testbed.kube.api.rest.patches import merge, patch_of
from testbed.kube.api.rest.reading import there
from testbed.kube.api.rest.routes import Route
from testbed.kube.api.rest.writing import dry_run, key, told_of
from testbed.kube.store import Object, Store

VERSION = "autoscaling/v1"
_KEPT = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def get(store: Store, route: Route) -> Response:
    """The Scale of an object."""
    return answer(scale_of(there(store, route)))


def put(registry: Registry, route: Route, request: Request) -> Response:
    """Replace it, or patch it."""
    given = mapping(request) if request.method == "PUT" else None

    def change(old: Object) -> Object:
        new = given if given is not None else _patched(route, request, scale_of(old))
        return _scaled(route, old, new)

    with told_of(route.kind, route.name):
        return answer(scale_of(registry.update(key(route), change, dry_run=dry_run(request))))


def scale_of(obj: Object) -> dict[str, Any]:
    """An object's Scale."""
    metadata = {name: obj["metadata"][name] for name in _KEPT if name in obj["metadata"]}
    return {
        "kind": "Scale",
        "apiVersion": VERSION,
        "metadata": metadata,
        "spec": {"replicas": obj["spec"].get("replicas", 1)},
        "status": {
            "replicas": obj.get("status", {}).get("replicas", 0),
            "selector": selector_text(obj["spec"].get("selector") or {}),
        },
    }


def selector_text(selector: Object) -> str:
    """A LabelSelector as text (metav1.FormatLabelSelector)."""
    terms = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for wanted in selector.get("matchExpressions") or ():
        name, values = wanted["key"], ",".join(sorted(wanted.get("values") or ()))
        terms.append(
            {
                "In": f"{name} in ({values})",
                "NotIn": f"{name} notin ({values})",
                "Exists": name,
                "DoesNotExist": f"!{name}",
            }.get(wanted["operator"], name)
        )
    return ",".join(sorted(terms))


def _patched(route: Route, request: Request, scale: Object) -> Any:
    if request.content_type == "application/strategic-merge-patch+json":
        return merge(scale, from_json(request.body))  # a Scale has no lists: the two kinds of merge are one
    return patch_of(route.kind, request)(scale)


def _scaled(route: Route, old: Object, scale: Any) -> Object:
    match scale:
        case {"spec": {"replicas": int(replicas)}} if not isinstance(replicas, bool):
            pass
        case {"spec": dict(spec)} if "replicas" not in spec:
            replicas = 0  # the field is left out where it is 0
        case _:
            raise status.bad_request("a Scale with spec.replicas, a whole number, is wanted")
    given = scale.get("metadata")
    metadata = given if isinstance(given, dict) else {}
    if metadata.get("name", route.name) != route.name:
        raise status.bad_request("the name of the object does not match the name on the URL")
    expected = {k: metadata[k] for k in ("uid", "resourceVersion") if metadata.get(k)}
    return {**old, "metadata": {**old["metadata"], **expected}, "spec": {**old["spec"], "replicas": replicas}}
