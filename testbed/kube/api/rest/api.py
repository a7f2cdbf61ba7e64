"""The Kubernetes API over a store: a request in, a response out.

Knows which handler serves which path and method. Knows no socket; a transport calls `handle`, from as many
threads as it likes.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable

from testbed.errors import TestbedError
from testbed.kube.api.registry import Registry
from testbed.kube.api.rest import batch, scale, status
from testbed.kube.api.rest.body import MAX_BYTES
from testbed.kube.api.rest.discovery import discovery
from testbed.kube.api.rest.logs import Logs, ReadLog
from testbed.kube.api.rest.message import TEXT, Request, Response, answer
from testbed.kube.api.rest.openapi import openapi
from testbed.kube.api.rest.reading import Reader
from testbed.kube.api.rest.routes import Route, route
from testbed.kube.api.rest.watching import watch
from testbed.kube.api.rest.writing import Writer
from testbed.kube.store import Store

HEALTH = ("/healthz", "/livez", "/readyz")


def utc_now() -> datetime.datetime:
    """The clock by default."""
    return datetime.datetime.now(datetime.UTC)


class Api:
    """The API of one cluster. `check` is called before every write; what it raises is the answer."""

    def __init__(
        self,
        store: Store,
        registry: Registry,
        read_log: ReadLog,
        check: Callable[[], None] = lambda: None,
        now: Callable[[], datetime.datetime] = utc_now,
    ) -> None:
        self._store, self._registry, self._now, self._check = store, registry, now, check
        self._reader, self._writer = Reader(store, now), Writer(store, registry, now)
        self._logs = Logs(store, read_log, now)

    def handle(self, request: Request) -> Response:
        """Answer a request; whatever is wrong with it becomes a Status."""
        try:
            return self._answered(request)
        except TestbedError as error:
            told = status.of_error(error)
            return answer(told.status, told.code)

    @staticmethod
    def max_body(path: str) -> int:
        """How many bytes a request to a path may have."""
        return batch.MAX_BYTES if path == batch.PATH else MAX_BYTES

    def _answered(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            self._check()
        if request.path in HEALTH or request.path.startswith(tuple(f"{path}/" for path in HEALTH)):
            self._check()
            return Response(200, b"ok", TEXT)
        if request.path == batch.PATH:
            if request.method != "POST":
                raise status.method_not_allowed()
            return batch.apply(self._registry, request)
        found = discovery(request) or openapi(request)
        if found is not None:
            if request.method != "GET":
                raise status.method_not_allowed()
            return found
        place = route(request.path)
        if place is None:
            raise status.no_resource(request.path)
        return self._at(place, request)

    def _at(self, place: Route, request: Request) -> Response:
        handlers = self._below(place) if place.subresource else self._whole(place, request)
        handler = handlers.get(request.method)
        if handler is None:
            raise status.method_not_allowed()
        return handler(place, request)

    def _whole(self, place: Route, request: Request) -> dict[str, Callable[[Route, Request], Response]]:
        """Handlers by method, of a collection or of an object."""
        if place.watch or (request.flag("watch") and not place.name):
            return {"GET": self._watch}
        if not place.name:
            everywhere = place.kind.namespaced and place.namespace is None
            writes = {"POST": self._writer.create, "DELETE": self._writer.delete_all}
            return {"GET": self._reader.list, **({} if everywhere else writes)}
        return {
            "GET": self._reader.get,
            "PUT": self._writer.replace,
            "PATCH": self._writer.patch,
            "DELETE": self._writer.delete,
        }

    def _below(self, place: Route) -> dict[str, Callable[[Route, Request], Response]]:
        """Handlers by method, of a subresource."""
        match place.subresource:
            case "status":
                return {"GET": self._reader.get, "PUT": self._writer.replace, "PATCH": self._writer.patch}
            case "scale":
                return {"GET": self._scale, "PUT": self._rescale, "PATCH": self._rescale}
            case "log":
                return {"GET": self._logs.get}
        return {"POST": self._writer.evict}

    def _watch(self, place: Route, request: Request) -> Response:
        return watch(self._store, self._now, place, request)

    def _scale(self, place: Route, _: Request) -> Response:
        return scale.get(self._store, place)

    def _rescale(self, place: Route, request: Request) -> Response:
        return scale.put(self._registry, place, request)
