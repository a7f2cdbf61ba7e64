"""testbed.machine.kernels.guest: what is testbed itself is run by a fork, and nobody can tell."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.machine.kernels.guest.launch import PACKAGE, PROGRAM, Order, ours, same_python
from tests.unit.machine.kernels.wiring import Pretended, pretended

COMMAND = str(Path(sys.executable).with_name(PROGRAM))
ORDER = Order([COMMAND, "get", "pods"], {"PATH": "/usr/bin:/bin"}, "/", 0o22, -1)


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pretended]:
    with pretended(tmp_path_factory.mktemp("guest")) as made:
        yield made


@pytest.mark.parametrize(
    ("argv", "verdict"),
    [
        ([COMMAND], True),
        (["/usr/bin/testbed"], False),
        (["testbed"], False),  # PATH leads to no such program
        ([sys.executable, "-m", "testbed.cluster.shell"], True),
        ([sys.executable, "-m", "json.tool"], False),
        ([sys.executable, "-c", "pass"], False),
        ([sys.executable], False),
        (["python3", "-m", "testbed.cluster.shell"], False),
        (["ip", "route"], False),
    ],
)
def test_only_our_own_program_is_forked(argv: list[str], verdict: bool) -> None:
    assert ours(replace(ORDER, argv=argv)) is verdict


def test_the_program_is_looked_for_in_its_path() -> None:
    env = {"PATH": str(Path(COMMAND).parent)}
    assert ours(replace(ORDER, argv=[PROGRAM], env=env))


def test_another_checkout_is_another_program(tmp_path: Path) -> None:
    module = [sys.executable, "-m", "testbed.cluster.shell"]
    (tmp_path / PROGRAM).mkdir()
    assert not ours(replace(ORDER, argv=module, cwd=str(tmp_path)))
    assert ours(replace(ORDER, argv=module, cwd=str(PACKAGE.parent)))


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        ({}, True),
        ({"PYTHONUNBUFFERED": "1"}, True),
        ({"PYTHONHASHSEED": "0"}, False),
        ({"LC_ALL": "C"}, True),
        ({"LANG": "de_DE.UTF-8"}, True),
        ({"LANG": "de_DE.ISO-8859-1"}, False),
    ],
)
def test_only_a_python_that_would_start_alike(words: dict[str, str], verdict: bool) -> None:
    same = {name: text for name, text in os.environ.items() if name.startswith("PYTHON")}
    assert same_python({**same, **words}) is verdict


@pytest.mark.parametrize(
    "words",
    [
        ["--version"],
        ["get", "--help"],
        ["get", "pods", "--name", "nobody-has-this"],
        ["apply", "-f", "-", "--name", "nobody-has-this"],
        ["no-such-command"],
        ["apply", "-f", "no-such-file"],
    ],
    ids=" ".join,
)
def test_a_fork_says_and_ends_as_a_start_does(guest: Pretended, words: list[str]) -> None:
    fresh = subprocess.run([COMMAND, *words], input=b"kind: Nothing\n", capture_output=True, check=False)
    inside = guest.run(COMMAND, *words, given=b"kind: Nothing\n")
    assert (inside.stdout, inside.stderr, inside.returncode) == (
        fresh.stdout,
        fresh.stderr,
        fresh.returncode,
    )


def test_a_module_that_fails_tells_why(guest: Pretended) -> None:
    done = guest.run(sys.executable, "-m", "testbed.machine.no_such_module")
    assert done.returncode == 1
    assert b"No module named testbed.machine.no_such_module" in done.stderr
