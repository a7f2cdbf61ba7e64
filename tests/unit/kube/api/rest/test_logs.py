"""pods/log: which container, which part, and how a followed log ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from testbed.kube.api.rest import Response
from testbed.kube.objects import Manifest
from tests.unit.kube.api.builders import pod, started
from tests.unit.kube.api.rest.asking import DEFAULT, Asked, value

LOG = f"{DEFAULT}/pods/a/log"


def with_pod(folder: Path, text: str = "", manifest: Manifest | None = None) -> Asked:
    made = Asked(*started(), folder)
    made.apply(manifest or pod("a"))
    (folder / "default_a_main.log").write_text(text)
    return made


def two() -> Manifest:
    containers = [{"name": name, "image": "x:1"} for name in ("main", "side")]
    return pod("a", containers=containers, initContainers=[{"name": "first", "image": "x:1"}])


def body(response: Response) -> bytes:
    assert isinstance(response.body, bytes)
    return response.body


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", b"1\n2\n3\n"), ("?container=main", b"1\n2\n3\n"), ("?tailLines=2", b"2\n3\n"), ("?tailLines=0", b""),
        ("?tailLines=9", b"1\n2\n3\n"), ("?limitBytes=3", b"1\n2"), ("?tailLines=2&limitBytes=1", b"2"),
    ],
)  # fmt: skip
def test_a_part_of_it(tmp_path: Path, query: str, expected: bytes) -> None:
    response = with_pod(tmp_path, "1\n2\n3\n").ask("GET", LOG + query)
    assert (body(response), response.content_type.split(";")[0]) == (expected, "text/plain")


def test_a_container_that_has_written_nothing(tmp_path: Path) -> None:
    made = with_pod(tmp_path, manifest=two())
    assert body(made.ask("GET", f"{LOG}?container=side")) == b""


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "a container name must be specified for pod a, choose one of: [main side] or one of the init"),
        ("?container=other", "container other is not valid for pod a"),
        ("?container=main&previous=true", 'previous terminated container "main" in pod "a" not found'),
        ("?container=main&tailLines=-1", "invalid query parameter tailLines"),
    ],
)  # fmt: skip
def test_refused(tmp_path: Path, query: str, message: str) -> None:
    assert value(with_pod(tmp_path, manifest=two()).ask("GET", LOG + query), 400)["message"].startswith(
        message
    )


def test_the_container_that_an_annotation_names(tmp_path: Path) -> None:
    manifest = two()
    manifest.body["metadata"]["annotations"] = {"kubectl.kubernetes.io/default-container": "main"}
    assert body(with_pod(tmp_path, "x\n", manifest).ask("GET", LOG)) == b"x\n"


def test_no_such_pod(tmp_path: Path) -> None:
    assert value(with_pod(tmp_path).ask("GET", f"{DEFAULT}/pods/b/log"), 404)["reason"] == "NotFound"


@pytest.mark.parametrize("name", ["timestamps", "sinceSeconds", "sinceTime"])
def test_what_needs_times_gives_a_warning(tmp_path: Path, name: str) -> None:
    response = with_pod(tmp_path, "x\n").ask("GET", f"{LOG}?{name}=1")
    assert (body(response), response.warnings) == (
        b"x\n",
        (f"logs are kept without times here: {name} is ignored",),
    )


def followed(made: Asked, query: str = "") -> Any:
    stream = made.ask("GET", f"{LOG}?follow=true{query}").body
    assert not isinstance(stream, bytes)
    return stream


def test_a_followed_log(tmp_path: Path) -> None:
    made = with_pod(tmp_path, "1\n")
    stream = followed(made)
    assert next(stream) == b"1\n"
    with (tmp_path / "default_a_main.log").open("a") as log:
        log.write("2\n")
    assert next(stream) == b"2\n"
    assert next(stream) == b""
    made.registry.delete("Pod", "default", "a")
    assert b"".join(stream) == b""


def test_a_followed_log_that_is_rotated(tmp_path: Path) -> None:
    made = with_pod(tmp_path, "1\n2\n3\n")
    stream = followed(made, "&tailLines=1")
    assert next(stream) == b"3\n"
    (tmp_path / "default_a_main.log").write_text("4\n")
    assert next(stream) == b"4\n"
    stream.close()


def test_a_followed_log_ends_with_its_pod(tmp_path: Path) -> None:
    made = with_pod(tmp_path, "1\n")
    made.patch(f"{DEFAULT}/pods/a/status", {"status": {"phase": "Succeeded"}})
    assert b"".join(followed(made)) == b"1\n"


def test_a_followed_log_ends_at_its_limit(tmp_path: Path) -> None:
    made = with_pod(tmp_path, "123")
    stream = followed(made, "&limitBytes=4")
    assert next(stream) == b"123"
    with (tmp_path / "default_a_main.log").open("a") as log:
        log.write("456")
    assert b"".join(stream) == b"4"
