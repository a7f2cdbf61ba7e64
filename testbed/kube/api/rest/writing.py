"""POST, PUT, PATCH and DELETE, all through the registry, which admits or refuses.

Knows the options of each verb. Knows no wire.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from testbed.errors import Conflict, Forbidden, ManifestErrors, NotFound, StatusError, TestbedError
from testbed.kube.api.registry import FINALIZERS, Deletion, Registry
from testbed.kube.api.rest import status
from testbed.kube.api.rest.answers import Clock, view
from testbed.kube.api.rest.body import from_json, mapping
from testbed.kube.api.rest.fields import mode_of, named, options, placed, vetted
from testbed.kube.api.rest.message import Request, Response, answer
from testbed.kube.api.rest.patches import patch_of
from testbed.kube.api.rest.reading import selection
from testbed.kube.api.rest.routes import Route
from testbed.kube.objects import KINDS, Kind
from testbed.kube.store import Key, Object, Store, terminating


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes to the store."""

    store: Store
    registry: Registry
    now: Clock

    def create(self, route: Route, request: Request) -> Response:
        """A new object."""
        shown, mode = view(route.kind, request, self.now), mode_of(request)
        body, warnings = vetted(route.kind, named(placed(route, mapping(request))), mode)
        with told_of(route.kind, body["metadata"].get("name", ""), creating=True):
            self._check_namespace(route, body["metadata"].get("name", ""))
            made = self.registry.create(body, dry_run=dry_run(request))
        return answer(shown.one(made), 201, (*warnings, *self.registry.doubts_of(made)))

    def replace(self, route: Route, request: Request) -> Response:
        """An object, or its status, as a whole."""
        body = placed(route, mapping(request), route.name)
        return self._change(route, request, lambda _: body)

    def patch(self, route: Route, request: Request) -> Response:
        """An object, or its status, in part."""
        return self._change(route, request, patch_of(route.kind, request))

    def _change(self, route: Route, request: Request, change: Callable[[Object], Any]) -> Response:
        shown, mode = view(route.kind, request, self.now), mode_of(request)
        warnings: list[str] = []

        def vetting(old: Object) -> Object:
            new = change(old)
            if not isinstance(new, dict):
                raise status.bad_request("the patched object is no object any more")
            body, told = vetted(route.kind, placed(route, new, route.name), mode)
            warnings.extend(told)
            return body

        update = self.registry.update_status if route.subresource == "status" else self.registry.update
        with told_of(route.kind, route.name):
            new = update(key(route), vetting, dry_run=dry_run(request))
        return answer(shown.one(new), 200, (*warnings, *self.registry.doubts_of(new)))

    def delete(self, route: Route, request: Request) -> Response:
        """One object: itself if it stays for a while, else a Status."""
        shown, wanted = view(route.kind, request, self.now), deletion(request)
        with told_of(route.kind, route.name):
            obj = self.registry.delete(*key(route), wanted)
        left = self.store.get(*key(route))
        if left and left["metadata"]["uid"] == obj["metadata"]["uid"] and not wanted.dry_run:
            return answer(shown.one(obj))
        return answer(status.success(route.kind, route.name, obj["metadata"]["uid"]))

    def delete_all(self, route: Route, request: Request) -> Response:
        """Every object that matches; answers with them as they were last."""
        shown, wanted, matches = (
            view(route.kind, request, self.now),
            deletion(request),
            selection(route, request),
        )
        with self.store.transaction():
            found = [obj for obj in self.store.list(route.kind.name, route.namespace) if matches(obj)]
            for obj in found:
                metadata = obj["metadata"]
                with told_of(route.kind, metadata["name"]):
                    self.registry.delete(
                        route.kind.name, metadata.get("namespace", ""), metadata["name"], wanted
                    )
            version = str(self.store.version)
        return answer(shown.many(found, {"resourceVersion": version}))

    def evict(self, route: Route, request: Request) -> Response:
        """A pod's eviction (policy/v1): as there are no disruption budgets here, a delete."""
        body = mapping(request)
        asked = body.get("deleteOptions") or {}
        wanted = _deletion(asked if isinstance(asked, dict) else {}, dry=dry_run(request))
        with told_of(route.kind, route.name):
            self.registry.delete(*key(route), wanted)
        return answer(
            {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}, 201
        )

    def _check_namespace(self, route: Route, name: str) -> None:
        """What admission says as a mistake of a manifest, an API says by its own codes."""
        if not route.namespace:
            return
        namespace = self.store.get("Namespace", "", route.namespace)
        if namespace is None:
            raise status.not_found(KINDS["Namespace"], route.namespace)
        if terminating(namespace):
            message = (
                f"unable to create new content in namespace {route.namespace} because it is being terminated"
            )
            raise status.forbidden(route.kind, name, message)


def key(route: Route) -> Key:
    """The place in the store of a route's object."""
    return route.kind.name, route.namespace or "", route.name


def dry_run(request: Request) -> bool:
    """True if nothing shall be stored. Raises StatusError."""
    value = request.query.get("dryRun", "")
    if value not in ("", "All"):
        raise status.bad_request(f'dryRun: Unsupported value: "{value}": supported values: "All"')
    return value == "All"


def deletion(request: Request) -> Deletion:
    """The options of a delete, from its body or else its query. Raises StatusError."""
    value = from_json(request.body) if request.body.strip() else {}
    asked = options(
        value, ("gracePeriodSeconds", "propagationPolicy", "orphanDependents", "preconditions", "dryRun")
    )
    for name in ("propagationPolicy", "gracePeriodSeconds"):
        if request.query.get(name):
            number = request.number(name) if name == "gracePeriodSeconds" else None
            asked.setdefault(name, request.query[name] if number is None else number)
    return _deletion(asked, dry=dry_run(request))


def _deletion(asked: dict[str, Any], *, dry: bool) -> Deletion:
    grace, preconditions = asked.get("gracePeriodSeconds"), asked.get("preconditions", {})
    orphan = "Orphan" if asked.get("orphanDependents") is True else "Background"
    policy = str(asked.get("propagationPolicy", orphan))
    if policy not in FINALIZERS:
        raise status.bad_request(f'propagationPolicy: Unsupported value: "{policy}"')
    if grace is not None and (not isinstance(grace, int) or isinstance(grace, bool) or grace < 0):
        raise status.bad_request("gracePeriodSeconds: Invalid value: must be a whole number, 0 or more")
    if not isinstance(preconditions, dict):
        raise status.bad_request("preconditions must be an object")
    uid, version = str(preconditions.get("uid", "")), str(preconditions.get("resourceVersion", ""))
    return Deletion(grace, policy, uid, version, dry or asked.get("dryRun") == ["All"])


@contextlib.contextmanager
def told_of(kind: Kind, name: str, *, creating: bool = False) -> Iterator[None]:
    """Within it, errors of the registry become the Status that names the object."""
    try:
        yield
    except StatusError:
        raise
    except TestbedError as error:
        raise _status(error, kind, name, creating=creating) from error


def _status(error: TestbedError, kind: Kind, name: str, *, creating: bool) -> StatusError:
    match error:
        case NotFound():
            return status.not_found(kind, name)
        case Conflict() if creating:
            return status.already_exists(kind, name)
        case Conflict():
            return status.conflict(kind, name, str(error))
        case ManifestErrors():
            return status.invalid(kind, name, error.mistakes)
        case Forbidden():
            return status.failure("Forbidden", str(error))
    return status.of_error(error)
