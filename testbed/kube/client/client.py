"""The API's verbs, as methods. Objects are plain JSON.

Knows kinds and what the API answers. Knows nothing of what objects mean, and prints nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from testbed.errors import Mistake, StatusError
from testbed.kube.client.http import JSON, Request, Transport, say_nothing
from testbed.kube.client.requests import DeleteOptions, LogOptions, Query, resource_path, with_parameters
from testbed.kube.objects import KINDS, Kind, Manifest

Object = dict[str, Any]

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
ALL, WHOLE_LOG, AS_IT_IS = Query(), LogOptions(), DeleteOptions()
APPLY_PATH = "/apis/testbed.dev/v1alpha1/apply"
PATCH_TYPES: Mapping[str, str] = {
    "strategic": "application/strategic-merge-patch+json",
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
}


@dataclass(frozen=True, slots=True)
class Listing:
    """The objects of a list, and the resourceVersion at which they were read: a watch goes on from there."""

    items: list[Object]
    version: str


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a watch: ADDED, MODIFIED, DELETED or BOOKMARK, and the object or table that it is about."""

    type: str
    object: Object


class Client:
    """The API of one daemon, by the path of its socket. For one thread; close it, or use it with `with`.

    `timeout` is how many seconds an answer may stay away (None: for ever; watches and logs may always); `warn`
    is called with each warning of the API. Every method raises StatusError for what the API refuses
    (ManifestErrors where the daemon names files and lines), and TestbedError if no daemon answers. A kind is
    given as such or by its name, e.g. "Pod"; a namespace of None means all of them.
    """

    def __init__(
        self, path: Path, timeout: float | None = None, warn: Callable[[str], None] = say_nothing
    ) -> None:
        self._transport = Transport(path, timeout, warn)

    def get(self, kind: Kind | str, namespace: str, name: str, accept: str = JSON) -> Object:
        """One object, or with `accept` TABLE the table of it."""
        return self._call("GET", resource_path(_kind(kind), namespace, name), accept=accept)

    def list(self, kind: Kind | str, namespace: str | None = None, query: Query = ALL) -> Listing:
        """The objects of a kind; each of them says its kind, which in a list of the API it does not."""
        of = _kind(kind)
        told = self._call("GET", with_parameters(resource_path(of, namespace), query.parameters()))
        typed = {"apiVersion": of.api_version, "kind": of.name}
        items = [typed | item for item in told.get("items") or ()]
        return Listing(items, told["metadata"].get("resourceVersion", ""))

    def table(
        self, kind: Kind | str, namespace: str | None = None, query: Query = ALL, include: str = ""
    ) -> Object:
        """The objects of a kind as a meta.k8s.io/v1 Table. `include` `Object` puts each whole into its row."""
        parameters = query.parameters() | ({"includeObject": include} if include else {})
        path = with_parameters(resource_path(_kind(kind), namespace), parameters)
        return self._call("GET", path, accept=TABLE)

    def watch(
        self, kind: Kind | str, namespace: str | None = None, query: Query = ALL, accept: str = JSON
    ) -> Iterator[Event]:
        """What happens to the objects of a kind from `query.version` on, until the daemon ends.

        Raises StatusError also in the middle: reason Expired where the version is forgotten, then list anew.
        """
        parameters = query.parameters() | {"watch": "true"}
        path = with_parameters(resource_path(_kind(kind), namespace), parameters)
        return _events(self._transport.lines(Request("GET", path, accept=accept)))

    def create(self, obj: Mapping[str, Any], *, dry_run: bool = False) -> Object:
        """A new object, as the API completes it."""
        kind, namespace, _ = _place(obj)
        return self._call("POST", with_parameters(resource_path(kind, namespace), _dry(dry_run)), obj)

    def replace(self, obj: Mapping[str, Any], *, dry_run: bool = False) -> Object:
        """The object in place of the one of its name; a Conflict if that was changed since it was read."""
        kind, namespace, name = _place(obj)
        return self._call("PUT", with_parameters(resource_path(kind, namespace, name), _dry(dry_run)), obj)

    def patch(
        self, kind: Kind | str, namespace: str, name: str, patch: Any, type: str = "strategic"
    ) -> Object:
        """Change an object; `type` is one of PATCH_TYPES."""
        request = Request("PATCH", resource_path(_kind(kind), namespace, name), patch, PATCH_TYPES[type])
        return _object(self._transport.call(request))

    def delete(self, kind: Kind | str, namespace: str, name: str, options: DeleteOptions = AS_IT_IS) -> str:
        """Tell an object to end. Its uid: it is gone when no object has that any more."""
        told = self._call("DELETE", resource_path(_kind(kind), namespace, name), options.body())
        place = told.get("details", {}) if told["kind"] == "Status" else told["metadata"]
        return str(place.get("uid", ""))

    def scale(self, kind: Kind | str, namespace: str, name: str) -> Object:
        """An object's autoscaling/v1 Scale."""
        return self._call("GET", resource_path(_kind(kind), namespace, name, "scale"))

    def set_scale(self, kind: Kind | str, namespace: str, name: str, scale: Mapping[str, Any]) -> Object:
        """Change how many there shall be; with a resourceVersion only if nobody was faster."""
        return self._call("PUT", resource_path(_kind(kind), namespace, name, "scale"), scale)

    def log(self, namespace: str, pod: str, options: LogOptions = WHOLE_LOG) -> Iterator[bytes]:
        """A container's log line by line; with `follow` until the container or the daemon ends."""
        path = resource_path(KINDS["Pod"], namespace, pod, "log")
        return self._transport.lines(
            Request("GET", with_parameters(path, options.parameters()), accept="*/*")
        )

    def apply(
        self,
        manifests: Sequence[Manifest],
        mistakes: Sequence[Mistake] = (),
        *,
        dry_run: bool = False,
        doubt: Callable[[str], None] = say_nothing,
    ) -> Sequence[Object]:
        """Bring objects in, all or none; none if there are `mistakes`, which are told with the daemon's own.

        `doubt` is called with each sentence about what is not wrong, but hardly meant.
        For each object, in their order: verb (created, configured, unchanged), kind, namespace, name.
        """
        body = {
            "manifests": [manifest.to_json() for manifest in manifests],
            "mistakes": [asdict(mistake) for mistake in mistakes],
            "dryRun": dry_run,
        }
        told = self._call("POST", APPLY_PATH, body)
        for sentence in told.get("warnings", ()):
            doubt(sentence)
        applied: Sequence[Object] = told["applied"]
        return applied

    def close(self) -> None:
        """Hang up. Watches and logs that still run end when their iterators are closed or forgotten."""
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(self, method: str, target: str, body: Any = None, accept: str = JSON) -> Object:
        return _object(self._transport.call(Request(method, target, body, accept=accept)))


def _events(lines: Iterator[bytes]) -> Iterator[Event]:
    for line in lines:
        told = json.loads(line)
        if told["type"] == "ERROR":
            raise StatusError(told["object"])
        yield Event(told["type"], told["object"])


def _kind(kind: Kind | str) -> Kind:
    return KINDS[kind] if isinstance(kind, str) else kind


def _place(obj: Mapping[str, Any]) -> tuple[Kind, str, str]:
    metadata = obj["metadata"]
    return KINDS[obj["kind"]], metadata.get("namespace", "default"), metadata.get("name", "")


def _dry(dry_run: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry_run else {}


def _object(answer: Any) -> Object:
    told: Object = answer
    return told
