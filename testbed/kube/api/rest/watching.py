"""Watches: what happens to the objects that a client asked for, as a stream of JSON lines (meta/v1 WatchEvent).

An object that stops matching is DELETED for this client, one that starts is ADDED. Knows the store's watch; a
client that does not read is cut off by it (`Watch.overrun`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from testbed.errors import StatusError
from testbed.kube.api.rest import status
from testbed.kube.api.rest.answers import Clock, View, view
from testbed.kube.api.rest.message import JSON, Request, Response, Stream, dumps
from testbed.kube.api.rest.reading import selection, version_asked
from testbed.kube.api.rest.routes import Route
from testbed.kube.api.rest.selectors import Matches
from testbed.kube.store import Event, EventType, Object, Store, Watch

QUEUE = 4096  # events that may wait for a client
HEARTBEAT_SECONDS = 5.0  # how often it is looked whether the client still listens
BOOKMARK_SECONDS = 60.0  # a real API server's period
DEFAULT_SECONDS = 2700.0  # a real API server: 30 to 60 minutes
INITIAL_END = "k8s.io/initial-events-end"


@dataclass(slots=True)
class _Stream:
    """One client's watch. `version` is that of the latest event that was looked at."""

    watch: Watch
    matches: Matches
    view: View
    bookmarks: bool
    version: int = 0
    first: bool = True

    def lines(self, events: Sequence[Event]) -> Iterator[bytes]:
        """What the client is told of these events."""
        for event in events:
            self.version = max(self.version, event.version)
            told = _told(event, self.matches)
            if told is not None:
                type_, obj = told
                yield _line(type_, self.view.event(obj, first=self.first))
                self.first = False

    def bookmark(self, annotations: dict[str, str] | None = None) -> bytes:
        """An event that tells nothing but the version."""
        metadata: dict[str, Any] = {"resourceVersion": str(self.version), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        kind = self.view.kind
        mark = {"kind": kind.name, "apiVersion": kind.api_version, "metadata": metadata}
        shown = (
            self.view.event({**mark, "spec": {}}, first=self.first) if self.view.form == "Partial" else mark
        )
        return _line("BOOKMARK", shown)


def watch(store: Store, now: Clock, route: Route, request: Request) -> Response:
    """The stream of a watch request. Raises StatusError, and Expired if the version asked for is forgotten."""
    shown, matches = view(route.kind, request, now), selection(route, request)
    asked = version_asked(store, request)
    seconds = float(request.number("timeoutSeconds") or DEFAULT_SECONDS)
    initial = request.flag("sendInitialEvents") or (not asked and "sendInitialEvents" not in request.query)
    with store.transaction():
        version = store.version
        found = store.watch(
            (route.kind.name,),
            initial=initial,
            since=None if initial or not asked else asked,
            limit=QUEUE,
        )
        before = found.drain()
    stream = _Stream(found, matches, shown, request.flag("allowWatchBookmarks"), asked)
    marked = {INITIAL_END: "true"} if request.flag("sendInitialEvents") else None
    if initial:
        stream.version = version
    return Response(200, _run(stream, before, marked, seconds), JSON)


def _run(stream: _Stream, before: Sequence[Event], marked: dict[str, str] | None, seconds: float) -> Stream:
    end = time.monotonic() + seconds
    next_mark = time.monotonic() + BOOKMARK_SECONDS
    with stream.watch:
        yield b"".join(stream.lines(before))
        if marked:
            yield stream.bookmark(marked)
        while (left := end - time.monotonic()) > 0:
            events = stream.watch.drain(min(left, HEARTBEAT_SECONDS))
            if stream.watch.overrun:
                yield _line("ERROR", _cut_off().status)
                return
            yield b"".join(stream.lines(events))
            if stream.bookmarks and time.monotonic() > next_mark:
                next_mark = time.monotonic() + BOOKMARK_SECONDS
                yield stream.bookmark()
        if stream.bookmarks:
            yield stream.bookmark()


def _cut_off() -> StatusError:
    return status.failure("Expired", f"more than {QUEUE} events waited for this client; list and watch anew")


def _told(event: Event, matches: Matches) -> tuple[str, Object] | None:
    """An event as a client sees it that knows only the objects that match."""
    now = event.type is not EventType.DELETED and matches(event.object)
    before = event.old is not None and matches(event.old)
    if now:
        return ("MODIFIED" if before else "ADDED"), event.object
    if not before:
        return None
    metadata = {**event.object["metadata"], "resourceVersion": str(event.version)}
    return "DELETED", {**event.object, "metadata": metadata}


def _line(type_: str, obj: Any) -> bytes:
    return dumps({"type": type_, "object": obj}) + b"\n"
