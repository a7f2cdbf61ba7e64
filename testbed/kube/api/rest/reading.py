"""GET: one object, a list, a list in pieces.

Knows versions of lists and their continuation (KEP-365, meta/v1 ListOptions). Watches are `watching.py`'s.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass

from testbed.kube.api.rest import status
from testbed.kube.api.rest.answers import Clock, view
from testbed.kube.api.rest.message import Request, Response, answer, dumps
from testbed.kube.api.rest.routes import Route
from testbed.kube.api.rest.selectors import Matches, field_selector, label_selector
from testbed.kube.store import Object, Store


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads of the store. `now` is for ages in tables."""

    store: Store
    now: Clock

    def get(self, route: Route, request: Request) -> Response:
        """One object."""
        shown = view(route.kind, request, self.now)
        return answer(shown.one(there(self.store, route)))

    def list(self, route: Route, request: Request) -> Response:
        """The objects that match, at most `limit`, from where `continue` says."""
        shown = view(route.kind, request, self.now)
        objects, version, start = self._snapshot(route, request)
        wanted = selection(route, request)
        found = [obj for obj in objects if (not start or _place(obj) > start) and wanted(obj)]
        limit = request.number("limit") or len(found)
        metadata: dict[str, object] = {"resourceVersion": str(version)}
        if len(found) > limit:
            metadata["continue"] = _token(version, _place(found[limit - 1]))
            if not (request.query.get("labelSelector") or request.query.get("fieldSelector")):
                metadata["remainingItemCount"] = len(found) - limit
        return answer(shown.many(found[:limit], metadata))

    def _snapshot(self, route: Route, request: Request) -> tuple[Sequence[Object], int, str]:
        """The objects, the version that they are of, and where to start."""
        if request.query.get("continue"):
            version, start = _from_token(request.query["continue"])
            return self.store.list_at(route.kind.name, version), version, start
        asked = version_asked(self.store, request)
        exact = request.query.get("resourceVersionMatch") == "Exact"
        with self.store.transaction():
            if exact and asked:
                return self.store.list_at(route.kind.name, asked), asked, ""
            return self.store.list(route.kind.name, route.namespace), self.store.version, ""


def there(store: Store, route: Route) -> Object:
    """The object of a route. Raises StatusError."""
    obj = store.get(route.kind.name, route.namespace or "", route.name)
    if obj is None:
        raise status.not_found(route.kind, route.name)
    return obj


def selection(route: Route, request: Request) -> Matches:
    """What matches a request's namespace, name and selectors. Raises StatusError."""
    labels = label_selector(request.query.get("labelSelector", ""))
    fields = field_selector(route.kind, request.query.get("fieldSelector", ""))

    def matches(obj: Object) -> bool:
        metadata = obj["metadata"]
        return (
            (not route.namespace or metadata.get("namespace") == route.namespace)
            and (not route.name or metadata["name"] == route.name)
            and labels(obj)
            and fields(obj)
        )

    return matches


def version_asked(store: Store, request: Request) -> int:
    """The resourceVersion of a list or a watch; 0 if any will do. Raises StatusError."""
    matched = request.query.get("resourceVersionMatch") and not request.flag("sendInitialEvents")
    if matched and not request.query.get("resourceVersion"):
        why = "resourceVersionMatch is forbidden unless resourceVersion is provided"
        message = f'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: {why}'
        raise status.failure("Invalid", message)
    asked = request.number("resourceVersion") or 0
    if asked > store.version:
        raise status.future_version(asked, store.version)
    return asked


def _place(obj: Object) -> str:
    """Where an object stands in a list; sorts as the store does."""
    metadata = obj["metadata"]
    return f"{metadata.get('namespace', '')}\0{metadata['name']}"


def _token(version: int, start: str) -> str:
    return base64.urlsafe_b64encode(dumps({"v": "meta.k8s.io/v1", "rv": version, "start": start})).decode()


def _from_token(text: str) -> tuple[int, str]:
    try:
        match json.loads(base64.urlsafe_b64decode(text)):
            case {"v": "meta.k8s.io/v1", "rv": int(version), "start": str(start)}:
                return version, start
    except (binascii.Error, ValueError):
        pass
    raise status.bad_request("continue key is not valid: use what a list gave")
