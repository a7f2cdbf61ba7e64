"""The command itself: what there is, how it is refused, and what an exit code means."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from testbed.cli import common
from testbed.cli.main import commands, main, parsed
from testbed.errors import UsageError

ROOT = Path(__file__).parents[3]
HEAVY = ("numpy", "scapy", "matplotlib", "mininet", "pyroute2", "scipy")


@pytest.mark.parametrize("command", commands())
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"testbed {command}" in capsys.readouterr().out


def test_the_list_has_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert [name for name in commands() if not re.search(rf"\n    {name}\s", shown)] == []


def test_what_a_user_needs_is_there() -> None:
    needed = {
        "apply",
        "bench",
        "delete",
        "deploy",
        "destroy",
        "doctor",
        "exec",
        "get",
        "inspect",
        "report",
        "wait",
    }
    assert needed <= set(commands())


@pytest.mark.parametrize(
    "words", [[], ["dance"], ["deploy", "--no-such-option"], ["scale", "deploy/web"], ["apply"]]
)
def test_wrong_usage_is_exit_code_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage: testbed" in capsys.readouterr().err


def test_a_mistake_is_told_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["get", "--name", "no-such-instance", "pods"]) == 2
    told = capsys.readouterr()
    assert (told.out, told.err.startswith("testbed: no lab instance 'no-such-instance' is running")) == (
        "",
        True,
    )


@pytest.mark.parametrize("command", ["get", "exec", "inspect", "destroy", "wait"])
def test_quick_commands_load_nothing_heavy(command: str) -> None:
    code = (
        f"import sys; from testbed.cli import main\ntry: main.main(['{command}', '--help'])\n"
        f"except SystemExit: pass\nprint('heavy:', [m for m in {HEAVY} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy: []"


@pytest.mark.parametrize(
    ("word", "parts"), [("pod/web-1", ("pod", "web-1")), ("node1", ("", "node1")), ("po/a", ("po", "a"))]
)
def test_a_target_has_a_kind_and_a_name(word: str, parts: tuple[str, str]) -> None:
    assert common.split_target(word) == parts


@pytest.mark.parametrize("word", ["pod/", "/web", "/"])
def test_half_a_target_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="give KIND/NAME"):
        common.split_target(word)


def run_command(code: str, stdout: int | IO[bytes], **env: str) -> subprocess.CompletedProcess[bytes]:
    """The command in a Python of its own, as its entry point runs it."""
    return subprocess.run(
        [sys.executable, "-c", f"import sys; from testbed.cli import main; {code}"],
        cwd=ROOT, env={**os.environ, **env}, stdout=stdout, stderr=subprocess.PIPE, check=False,
    )  # fmt: skip


def test_a_full_disk_is_told_in_one_line() -> None:
    with Path("/dev/full").open("wb") as full:
        done = run_command("sys.exit(main.main(['lab', 'list']))", full)
    assert (done.returncode, done.stderr) == (1, b"testbed: stdout: No space left on device\n")


def test_letters_that_the_terminal_lacks_are_replaced() -> None:
    code = "sys.exit(main.main(['get', '--name', 'w\u00edd\u01e5ets', 'pods']))"
    done = run_command(code, subprocess.DEVNULL, LC_ALL="C", PYTHONIOENCODING="ascii:strict")
    assert done.returncode == 2
    assert b"w?d?ets" in done.stderr


def test_ctrl_c_while_a_command_is_loaded_is_told_in_one_line() -> None:
    code = (
        "import signal, importlib.abc\n"
        "class Interrupt(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'testbed.cli.get': signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "sys.exit(main.main(['get', 'pods']))"
    )
    done = run_command(code, subprocess.DEVNULL)
    assert (done.returncode, done.stderr) == (130, b"testbed: interrupted\n")


@pytest.mark.parametrize(("number", "told"), [(0, "0 nodes"), (1, "1 node"), (2, "2 nodes")])
def test_things_are_counted_as_people_do(number: int, told: str) -> None:
    assert common.counted(number, "node") == told


@pytest.mark.parametrize("name", commands())
def test_help_tells_words_once(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Not as argparse does by itself: `[KIND NAME ... ...]`, `KIND NAME [KIND NAME ...]`."""
    with pytest.raises(SystemExit):
        main([name, "--help"])
    usage = " ".join(capsys.readouterr().out.split("\n\n")[0].split())
    assert "... ..." not in usage
    assert usage.count("KIND NAME") <= 1


def examples() -> list[str]:
    """Every command that the pages of help give as an example."""
    pages = [importlib.import_module(f"testbed.cli.{name.replace('-', '_')}") for name in commands()]
    texts = [getattr(page, "EXAMPLES", getattr(page, "EPILOG", "")) for page in pages]
    return re.findall(r"(?<!\w)testbed .+?(?=  |$)", "\n".join(texts), re.MULTILINE)


def test_there_are_examples() -> None:
    assert len(examples()) > 20


@pytest.mark.parametrize("line", examples())
def test_an_example_is_a_command(line: str) -> None:
    assert parsed(shlex.split(line)[1:]).run
