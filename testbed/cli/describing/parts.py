"""Parts that the pages of many kinds have in common: metadata, times, conditions, events.

Follows k8s.io/kubectl/pkg/describe. Knows the API's objects and its client.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from testbed.cli.describing.page import Page, labels
from testbed.kube.api.tables.duration import since
from testbed.kube.client import Client, Query

Object = Mapping[str, Any]

NONE, UNSET = "<none>", "<unset>"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"  # left out, as kubectl does
LONGEST_ANNOTATION = 140


def head(page: Page, obj: Object, *, namespace: bool = True) -> None:
    """Name and namespace."""
    page.field("Name", obj["metadata"]["name"])
    if namespace:
        page.field("Namespace", obj["metadata"].get("namespace", ""))


def marks(page: Page, obj: Object) -> None:
    """Labels and annotations."""
    labels(page, "Labels", obj["metadata"].get("labels"))
    notes(page, "Annotations", obj["metadata"].get("annotations"))


def notes(page: Page, name: str, values: Mapping[str, str] | None, level: int = 0) -> None:
    """Annotations, long ones or those of several lines below their key (`printAnnotationsMultiline`)."""
    shown = {key: value for key, value in sorted((values or {}).items()) if key != LAST_APPLIED}
    page.several(name, (text for pair in shown.items() for text in _annotation(*pair)), level)


def _annotation(key: str, value: str) -> Iterator[str]:
    value = value.removesuffix("\n")
    if len(value) + len(key) + 2 <= LONGEST_ANNOTATION and "\n" not in value:
        yield f"{key}: {value}"
        return
    yield f"{key}:"
    longest = LONGEST_ANNOTATION - 2
    for line in value.split("\n"):
        yield "  " + (line[:longest] + "..." if len(line) > longest else line)


def controller(obj: Object) -> str:
    """What the object belongs to, `ReplicaSet/web-5d8f`; empty if to nothing."""
    owners: Iterable[Object] = obj["metadata"].get("ownerReferences") or ()
    return next((f"{owner['kind']}/{owner['name']}" for owner in owners if owner.get("controller")), "")


def conditions(page: Page, obj: Object) -> None:
    """The conditions of a workload: type, status, reason."""
    found = obj.get("status", {}).get("conditions") or ()
    if found:
        page.line("Conditions:")
        page.table(
            ("Type", "Status", "Reason"), ((f"{c['type']} ", c["status"], c.get("reason", "")) for c in found)
        )


def events(page: Page, obj: Object, client: Client) -> None:
    """What happened to the object, the oldest first (`DescribeEvents`)."""
    metadata = obj["metadata"]
    fields = {"name": metadata["name"], "namespace": metadata.get("namespace", ""), "uid": metadata["uid"]}
    wanted = ",".join(f"involvedObject.{name}={value}" for name, value in fields.items() if value)
    found = client.list("Event", metadata.get("namespace"), Query(fields=wanted)).items
    if not found:
        page.field("Events", NONE)
        return
    page.flush()
    page.line("Events:")
    page.line("Type\tReason\tAge\tFrom\tMessage", 1)
    page.line("----\t------\t----\t----\t-------", 1)  # kubectl's own: four dashes under Age
    for event in sorted(found, key=_time):
        page.line("\t".join(_event(event, page.now)), 1)


def _time(event: Object) -> tuple[str, int]:
    """When it was last; within one second, times being whole seconds, in the order in which they were told."""
    series, metadata = event.get("series") or {}, event["metadata"]
    last = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return last or metadata.get("creationTimestamp") or "", int(metadata.get("resourceVersion") or 0)


def _event(event: Object, moment: datetime.datetime) -> tuple[str, ...]:
    series = event.get("series")
    age = since(event.get("eventTime") or event.get("firstTimestamp"), moment)
    if series:
        age = f"{since(series.get('lastObservedTime'), moment)} (x{series.get('count')} over {age})"
    elif event.get("count", 1) > 1:
        age = f"{since(event.get('lastTimestamp'), moment)} (x{event['count']} over {age})"
    source = (event.get("source") or {}).get("component") or event.get("reportingComponent") or ""
    place = event["involvedObject"].get("fieldPath")
    message = (f"{place}: " if place else "") + event.get("message", "").strip()
    return event.get("type", ""), event.get("reason", ""), age, source, message
