"""Programs run to their end: output, status, and errors that tell the whole story."""

from __future__ import annotations

import pytest

from testbed.errors import CommandFailed
from testbed.machine.run import run


def test_output_and_status() -> None:
    done = run(["sh", "-c", "cat; echo aside >&2; exit 3"], stdin="in\n", check=False)
    assert (done.stdout, done.stderr, done.status) == ("in\n", "aside\n", 3)
    assert done.seconds > 0


def test_without_input_there_is_none() -> None:
    assert run(["cat"]).stdout == ""


def test_more_than_a_pipe_holds_goes_in_whole() -> None:
    text = "".join(f"{n}\n" for n in range(100_000))
    assert run(["cat"], stdin=text).stdout == text


def test_bytes_go_in_as_they_are() -> None:
    assert run(["od", "-An", "-tx1"], stdin=b"\xff\x00").stdout.split() == ["ff", "00"]


def test_what_is_no_text_comes_out_readable() -> None:
    assert run(["printf", r"a\377b"]).stdout == "a\ufffdb"


@pytest.mark.parametrize(
    ("argv", "status", "message"),
    [
        (
            ["sh", "-c", "echo wrong >&2; exit 4"],
            4,
            r"sh -c echo wrong >&2; exit 4 in node1: status 4: wrong",
        ),
        (["/no/such/program"], 127, r"/no/such/program in node1: status 127: .*No such file"),
        (["sh", "-c", "kill -9 $$"], -9, r"in node1: status -9"),
    ],
)
def test_a_failure_is_told(argv: list[str], status: int, message: str) -> None:
    with pytest.raises(CommandFailed, match=message) as raised:
        run(argv, where="node1")
    assert raised.value.status == status


def test_the_time_is_limited() -> None:
    with pytest.raises(CommandFailed, match=r"status 124: no end within 0\.05 s"):
        run(["sleep", "1000"], timeout=0.05)


@pytest.mark.parametrize("said", ["line 2 failed", "Error occurred at line: 2"])
def test_the_line_that_a_tool_names_is_shown(said: str) -> None:
    with pytest.raises(CommandFailed, match=r"input: 2: -A BAD"):
        run(["sh", "-c", f"echo '{said}' >&2; exit 1"], stdin="*nat\n-A BAD\nCOMMIT\n")


@pytest.mark.parametrize("said", ["line 0", "line 9", "no number"])
def test_a_line_that_is_not_there_is_not_shown(said: str) -> None:
    with pytest.raises(CommandFailed) as raised:
        run(["sh", "-c", f"echo '{said}' >&2; exit 1"], stdin="only\n")
    assert "input:" not in str(raised.value)
