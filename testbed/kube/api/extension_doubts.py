"""Annotations of ours that a Service can hardly mean: a scheduler that the kernel does not have.

Not wrong, since an annotation may hold anything, and another datapath may know the word; so it is told, not
refused. Knows the words of `kube.objects.extensions`; knows nothing of what a datapath does without them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from testbed.kube.objects.extensions import SCHEDULER, SCHEDULERS, WEIGHT, weight_of
from testbed.kube.store import Object


def doubtful_annotations(bodies: Iterable[Object], mode: str) -> Iterator[str]:
    """A sentence for each annotation that will be passed over under the datapath called `mode`."""
    for body in bodies:
        annotations = body["metadata"].get("annotations") or {}
        if body["kind"] == "Service" and mode == "ipvs" and SCHEDULER in annotations:
            yield from _scheduler(body, annotations[SCHEDULER])
        if body["kind"] == "Pod" and WEIGHT in annotations and weight_of(annotations[WEIGHT]) is None:
            yield f"{_name(body)}: {WEIGHT}: {annotations[WEIGHT]!r} is no weight, and counts as 1"


def _scheduler(service: Object, word: str) -> Iterator[str]:
    if word not in SCHEDULERS:
        near = difflib.get_close_matches(word.lower(), SCHEDULERS, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(SCHEDULERS)}"
        yield f"{_name(service)}: {SCHEDULER}: no scheduler {word!r}, the cluster's own is used; {hint}"


def _name(body: Object) -> str:
    metadata = body["metadata"]
    return f"{body['kind']} {metadata.get('namespace', 'default')}/{metadata['name']}"
