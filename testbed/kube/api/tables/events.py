"""The table of Events (`printEvent` in printers.go): those of core/v1, with or without a series."""

from __future__ import annotations

import datetime

from testbed.kube.api.tables.duration import since
from testbed.kube.api.tables.layout import NAME, Cells, Column, Layout
from testbed.kube.store import Object


def seen(event: Object) -> tuple[str | None, str | None, int]:
    """When an event was seen for the first and for the last time (as the API writes times), and how often."""
    first = event.get("firstTimestamp") or event.get("eventTime")
    last = event.get("lastTimestamp") or first
    series = event.get("series")
    if series:
        return first, series.get("lastObservedTime"), series.get("count", 0)
    return first, last, event.get("count") or 1


def source(event: Object) -> str:
    """`formatEventSource`: the component that tells it, and where it runs."""
    given = event.get("source") or {}
    component = given.get("component") or event.get("reportingComponent") or ""
    host = given.get("host") or event.get("reportingInstance") or ""
    return f"{component}, {host}" if host else component


def _event(event: Object, now: datetime.datetime) -> Cells:
    involved = event.get("involvedObject") or {}
    first, last, count = seen(event)
    name = f"/{involved['name']}" if involved.get("name") else ""
    return (
        since(last, now),
        event.get("type", ""),
        event.get("reason", ""),
        involved.get("kind", "").lower() + name,
        involved.get("fieldPath", ""),
        source(event),
        event.get("message", "").strip(),
        since(first, now),
        count,
        event["metadata"]["name"],
    )


EVENTS = Layout(
    (
        Column("Last Seen", description="The time at which it was last seen."),
        Column("Type", description="Normal or Warning."),
        Column("Reason", description="Why it happened, in one word."),
        Column("Object", description="What it happened to."),
        Column("Subobject", description="Which part of that.", priority=1),
        Column("Source", description="Who tells it.", priority=1),
        Column("Message", description="What happened, for people."),
        Column("First Seen", description="The time at which it was first seen.", priority=1),
        Column("Count", description="How often it has happened.", priority=1),
        Column(NAME.name, format="name", description=NAME.description, priority=1),
    ),
    _event,
)
