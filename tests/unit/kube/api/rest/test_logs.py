"""pods/log: which container, which of its lives, which part, and how a followed log ends."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from testbed.kube.api.rest import Response
from testbed.kube.objects import Manifest
from tests.unit.kube.api.builders import pod, started
from tests.unit.kube.api.rest.asking import DEFAULT, Asked, value
from tests.unit.kube.api.written import BACK_OFF, ENDED, RUNNING, set_state, write

LOG = f"{DEFAULT}/pods/a/log"
STAMP = b"2026-01-02T01:00:00.000000000Z"  # two hours and some minutes before the API's now
STARTING = {"waiting": {"reason": "ContainerCreating"}}


def with_pod(folder: Path, text: str = "", manifest: Manifest | None = None) -> Asked:
    made = Asked(*started(), folder)
    made.apply(manifest or pod("a"))
    set_state(made.store)
    write(folder, text)
    return made


def two() -> Manifest:
    containers = [{"name": name, "image": "x:1"} for name in ("main", "side")]
    return pod("a", containers=containers, initContainers=[{"name": "first", "image": "x:1"}])


def body(response: Response) -> bytes:
    assert not isinstance(response.body, bytes), response.body
    return b"".join(response.body)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", b"1\n2\n3\n"), ("?container=main", b"1\n2\n3\n"), ("?tailLines=2", b"2\n3\n"), ("?tailLines=0", b""),
        ("?tailLines=9", b"1\n2\n3\n"), ("?limitBytes=3", b"1\n2"), ("?tailLines=2&limitBytes=1", b"2"),
        ("?timestamps=true&tailLines=1", STAMP + b" 3\n"), ("?timestamps=true&limitBytes=4", b"2026"),
        ("?sinceSeconds=7400", b""), ("?sinceSeconds=7446", b"1\n2\n3\n"),
        (f"?sinceSeconds={10**17}", b"1\n2\n3\n"),
        ("?sinceTime=2026-01-02T01:00:00Z", b"1\n2\n3\n"), ("?sinceTime=2026-01-02T01:00:00.000001Z", b""),
        ("?sinceTime=2026-01-02T02:00:00%2B01:00", b"1\n2\n3\n"),
    ],
)  # fmt: skip
def test_a_part_of_it(tmp_path: Path, query: str, expected: bytes) -> None:
    response = with_pod(tmp_path, "1\n2\n3\n").ask("GET", LOG + query)
    assert (body(response), response.content_type.split(";")[0]) == (expected, "text/plain")


def test_a_container_that_has_written_nothing(tmp_path: Path) -> None:
    made = with_pod(tmp_path, manifest=two())
    assert body(made.ask("GET", f"{LOG}?container=side")) == b""


@pytest.mark.parametrize(
    ("life", "query", "expected"),
    [
        ((RUNNING, ENDED, 1), "", b"second\n"), ((RUNNING, ENDED, 1), "?previous=true", b"first\n"),
        ((ENDED, {}, 0), "", b"first\n"), ((ENDED, ENDED, 1), "?previous=true", b"first\n"),
        ((BACK_OFF, ENDED, 1), "", b"second\n"), ((BACK_OFF, ENDED, 1), "?previous=true", b"second\n"),
        ((STARTING, ENDED, 2), "", b"second\n"), ((STARTING, ENDED, 2), "?previous=true", b"second\n"),
    ],
)  # fmt: skip
def test_lives(tmp_path: Path, life: tuple[Any, Any, int], query: str, expected: bytes) -> None:
    """State, last state and restarts, as the pod's status tells them."""
    made = with_pod(tmp_path, "first\n")
    write(tmp_path, "second\n", restart=1)
    set_state(made.store, "a", *life)
    assert body(made.ask("GET", LOG + query)) == expected


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("", 400, "a container name must be specified for pod a, choose one of: [main side] or one of the init"),
        ("?container=other", 400, "container other is not valid for pod a"),
        ("?container=first", 400, 'container "first" in pod "a" is not available'),
        ("?container=main&previous=true", 400, 'previous terminated container "main" in pod "a" not found'),
        ("?container=main&tailLines=-1", 400, "invalid query parameter tailLines"),
        ("?container=main&sinceTime=yesterday", 400, "invalid query parameter sinceTime"),
        ("?container=main&sinceTime=2026-01-02", 400, "invalid query parameter sinceTime"),
        ("?container=main&limitBytes=0", 422, 'PodLogOptions "a" is invalid: limitBytes: Invalid value: 0'),
        ("?container=main&sinceSeconds=0", 422, 'PodLogOptions "a" is invalid: sinceSeconds: Invalid value: 0'),
        ("?container=main&sinceSeconds=1&sinceTime=2026-01-02T01:00:00Z", 422,
         'PodLogOptions "a" is invalid: sinceSeconds: Forbidden: at most one of'),
    ],
)  # fmt: skip
def test_refused(tmp_path: Path, query: str, code: int, message: str) -> None:
    told = value(with_pod(tmp_path, manifest=two()).ask("GET", LOG + query), code)["message"]
    assert told.startswith(message)


def test_a_container_that_has_not_begun(tmp_path: Path) -> None:
    made = with_pod(tmp_path)
    set_state(made.store, state=STARTING)
    told = value(made.ask("GET", LOG), 400)["message"]
    assert told == 'container "main" in pod "a" is waiting to start: ContainerCreating'


def test_a_pod_without_a_node(tmp_path: Path) -> None:
    made = Asked(*started(), tmp_path)
    made.apply(pod("a"))
    assert value(made.ask("GET", LOG), 400)["message"] == "pod a does not have a host assigned"


def test_the_container_that_an_annotation_names(tmp_path: Path) -> None:
    manifest = two()
    manifest.body["metadata"]["annotations"] = {"kubectl.kubernetes.io/default-container": "main"}
    assert body(with_pod(tmp_path, "x\n", manifest).ask("GET", LOG)) == b"x\n"


def test_no_such_pod(tmp_path: Path) -> None:
    assert value(with_pod(tmp_path).ask("GET", f"{DEFAULT}/pods/b/log"), 404)["reason"] == "NotFound"


def followed(made: Asked, query: str = "") -> Any:
    stream = made.ask("GET", f"{LOG}?follow=true{query}").body
    assert not isinstance(stream, bytes)
    return stream


def test_a_followed_log_ends_with_its_pod(tmp_path: Path) -> None:
    made = with_pod(tmp_path, "1\n")
    stream = followed(made)
    assert next(stream) == b"1\n"
    write(tmp_path, "2\n")
    assert next(stream) == b"2\n"
    assert next(stream) == b""
    made.store.delete("Pod", "default", "a")
    assert b"".join(stream) == b""


@pytest.mark.parametrize(("state", "restarts"), [(ENDED, 0), (BACK_OFF, 0), (RUNNING, 1)])
def test_a_followed_log_ends_with_this_life(tmp_path: Path, state: Mapping[str, Any], restarts: int) -> None:
    made = with_pod(tmp_path, "1\n")
    stream = followed(made)
    assert next(stream) == b"1\n"
    write(tmp_path, "last\n")
    set_state(made.store, state=state, last=ENDED, restarts=restarts)
    assert b"".join(stream) == b"last\n"


def test_a_followed_log_ends_at_its_limit(tmp_path: Path) -> None:
    made = with_pod(tmp_path, "123\n")
    stream = followed(made, "&limitBytes=5")
    assert next(stream) == b"123\n"
    write(tmp_path, "456\n")
    assert b"".join(stream) == b"4"
