"""pods/log: what a container has written.

Knows the options (core/v1 PodLogOptions), which containers a pod has and which life of one is meant. Where logs lie
and how they are read is known by whoever runs the pods.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from testbed.kube.api.rest import status
from testbed.kube.api.rest.message import TEXT, Request, Response, Stream
from testbed.kube.api.rest.reading import there
from testbed.kube.api.rest.routes import Route
from testbed.kube.store import Object, Store


@dataclass(frozen=True, slots=True)
class LogQuestion:
    """What is asked of a log: of the container's life after so many restarts.

    `since` is a time in RFC 3339 with nine digits behind the dot, in UTC, or empty; `limit` is in bytes, `tail` in
    lines. With `goes_on` the log is followed until that says no.
    """

    pod: tuple[str, str]
    container: str
    restart: int = 0
    since: str = ""
    tail: int | None = None
    limit: int | None = None
    timestamps: bool = False
    goes_on: Callable[[], bool] | None = None


ReadLog = Callable[[LogQuestion], Stream]
"""The text of a log, which is empty if nothing was written; a stream as message.Response has it."""


@dataclass(frozen=True, slots=True)
class Logs:
    """The logs of a cluster's pods."""

    store: Store
    read: ReadLog
    now: Callable[[], datetime.datetime]

    def get(self, route: Route, request: Request) -> Response:
        """What is there, or with `follow` all that comes until this life of the container is over."""
        pod = there(self.store, route)
        container = _container(pod, request.query.get("container", ""))
        _check(route.name, request)
        restart = _restart(pod, container, previous=request.flag("previous"))
        question = LogQuestion(
            pod=(pod["metadata"]["namespace"], pod["metadata"]["name"]),
            container=container,
            restart=restart,
            since=self._since(request),
            tail=request.number("tailLines"),
            limit=request.number("limitBytes"),
            timestamps=request.flag("timestamps"),
            goes_on=partial(self._runs, pod, container, restart) if request.flag("follow") else None,
        )
        return Response(200, self.read(question), TEXT)

    def _since(self, request: Request) -> str:
        seconds = request.number("sinceSeconds")
        if seconds is not None:
            try:
                return _stamp(self.now() - datetime.timedelta(seconds=seconds))
            except OverflowError:
                return ""  # from before there was time
        text = request.query.get("sinceTime", "")
        return _stamp(_time(text)) if text else ""

    def _runs(self, pod: Object, container: str, restart: int) -> bool:
        """True if this life of the container may still write something."""
        metadata = pod["metadata"]
        now = self.store.get("Pod", metadata["namespace"], metadata["name"])
        if now is None or now["metadata"]["uid"] != metadata["uid"]:
            return False
        found = _status_of(now, container)
        return found is not None and found["restartCount"] == restart and "running" in found["state"]


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


def _check(name: str, request: Request) -> None:
    """Raise StatusError for what contradicts itself or means nothing (`ValidatePodLogOptions`)."""
    mistakes = []
    if request.query.get("sinceSeconds") and request.query.get("sinceTime"):
        mistakes.append(
            "sinceSeconds: Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
        )
    for field in ("sinceSeconds", "limitBytes"):
        if request.number(field) == 0:
            mistakes.append(f"{field}: Invalid value: 0: must be greater than 0")
    if mistakes:
        told = mistakes[0] if len(mistakes) == 1 else f"[{', '.join(mistakes)}]"
        raise status.failure("Invalid", f'PodLogOptions "{name}" is invalid: {told}')


def _restart(pod: Object, container: str, *, previous: bool) -> int:
    """After how many restarts the life began that is meant (kubelet's `validateContainerLogStatus`).

    Raises StatusError if there is no such life.
    """
    name = pod["metadata"]["name"]
    if not pod["spec"].get("nodeName"):
        raise status.bad_request(f"pod {name} does not have a host assigned")
    found = _status_of(pod, container)
    if found is None:
        raise status.bad_request(f'container "{container}" in pod "{name}" is not available')
    state, count = found["state"], int(found["restartCount"])
    waiting = state.get("waiting")
    if not previous and waiting is None:
        return count
    if "terminated" in (found.get("lastState") or {}):
        # The count goes up with the next life, and while that is put off the last one is the latest.
        return count if waiting and waiting.get("reason") == "CrashLoopBackOff" else count - 1
    if previous:
        told = f'previous terminated container "{container}" in pod "{name}" not found'
    else:
        told = f'container "{container}" in pod "{name}" is waiting to start: {waiting.get("reason", "")}'
    raise status.bad_request(told)


def _status_of(pod: Object, container: str) -> dict[str, Any] | None:
    told = pod.get("status") or {}
    for field in ("containerStatuses", "initContainerStatuses"):
        for each in told.get(field) or ():
            if each["name"] == container:
                found: dict[str, Any] = each
                return found
    return None


def _time(text: str) -> datetime.datetime:
    """A time in RFC 3339. Raises StatusError."""
    try:
        time = datetime.datetime.fromisoformat(text)
    except ValueError:
        time = datetime.datetime.min
    if time.tzinfo is None:
        raise status.bad_request(f'invalid query parameter sinceTime: "{text}" is no time in RFC 3339')
    return time


def _stamp(time: datetime.datetime) -> str:
    return time.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
