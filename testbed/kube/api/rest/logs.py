"""pods/log: what a container has written.

Knows the options (core/v1 PodLogOptions) and which containers a pod has. Where a log lies is told by whoever
runs the pods. A log here is what the programs wrote, without times: options that need times give a warning.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from testbed.kube.api.rest import status
from testbed.kube.api.rest.message import TEXT, Request, Response, Stream
from testbed.kube.api.rest.reading import there
from testbed.kube.api.rest.routes import Route
from testbed.kube.store import Object, Store

LogFile = Callable[[str, str, str], Path]
"""Where the log of a container lies: namespace, pod, container. The file need not be there."""

LOOK_SECONDS = 0.1  # how often a followed log is looked at
BLOCK = 1 << 16
_TIMED = ("timestamps", "sinceSeconds", "sinceTime")


@dataclass(frozen=True, slots=True)
class Logs:
    """The logs of a cluster's pods."""

    store: Store
    file: LogFile

    def get(self, route: Route, request: Request) -> Response:
        """What is there, or with `follow` a stream until the container is gone."""
        pod = there(self.store, route)
        container = _container(pod, request.query.get("container", ""))
        if request.flag("previous"):
            told = f'previous terminated container "{container}" in pod "{route.name}" not found'
            raise status.bad_request(told)
        path = self.file(route.namespace or "", route.name, container)
        data = _last_lines(_read(path, 0), request.number("tailLines"))
        limit = request.number("limitBytes")
        warnings = tuple(
            f"logs are kept without times here: {name} is ignored"
            for name in _TIMED
            if request.query.get(name)
        )
        if not request.flag("follow"):
            return Response(200, data if limit is None else data[:limit], TEXT, warnings)
        start = path.stat().st_size if path.exists() else 0
        stream = self._followed(pod, container, path, start)
        return Response(200, _limited(data, stream, limit), TEXT, warnings)

    def _followed(self, pod: Object, container: str, path: Path, position: int) -> Stream:
        """What is added from `position` on, until the pod is gone or the container has ended for good."""
        while True:
            last = not self._runs(pod, container)
            size = path.stat().st_size if path.exists() else 0
            if size < position:
                position = 0  # rotated
            data = _read(path, position)
            position += len(data)
            yield data
            if last and not data:
                return
            if not data:
                time.sleep(LOOK_SECONDS)

    def _runs(self, pod: Object, container: str) -> bool:
        """True if the container may still write something."""
        metadata = pod["metadata"]
        now = self.store.get("Pod", metadata["namespace"], metadata["name"])
        if now is None or now["metadata"]["uid"] != metadata["uid"]:
            return False
        if now.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            return False
        once = now["spec"].get("restartPolicy") == "Never"
        ended = any(
            found["name"] == container and "terminated" in found.get("state", {})
            for field in ("containerStatuses", "initContainerStatuses")
            for found in now.get("status", {}).get(field, ())
        )
        return not (once and ended)


def _container(pod: Object, asked: str) -> str:
    """The container that is meant. Raises StatusError."""
    name, spec = pod["metadata"]["name"], pod["spec"]
    names = [c["name"] for c in spec["containers"]]
    first = [c["name"] for c in spec.get("initContainers", ())]
    if asked and asked not in names + first:
        raise status.bad_request(f"container {asked} is not valid for pod {name}")
    default = pod["metadata"].get("annotations", {}).get("kubectl.kubernetes.io/default-container")
    if not asked and len(names) > 1 and default not in names:
        more = f" or one of the init containers: [{' '.join(first)}]" if first else ""
        told = f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]{more}"
        raise status.bad_request(told)
    return asked or (default if default in names else names[0])


def _read(path: Path, position: int) -> bytes:
    try:
        with path.open("rb") as log:
            log.seek(position)
            return log.read()
    except FileNotFoundError:
        return b""  # a container that is served writes nothing


def _last_lines(data: bytes, count: int | None) -> bytes:
    if count is None:
        return data
    lines = data.splitlines(keepends=True)
    return b"".join(lines[len(lines) - min(count, len(lines)) :])


def _limited(start: bytes, stream: Stream, limit: int | None) -> Stream:
    left = limit
    yield start if left is None else start[:left]
    left = None if left is None else left - len(start)
    for data in stream:
        if left is not None and left <= 0:
            return
        yield data if left is None else data[:left]
        left = None if left is None else left - len(data)
