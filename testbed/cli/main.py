"""The command `testbed`: one file per command in this folder, found by looking."""

from __future__ import annotations

import argparse
import errno
import importlib
import io
import os
import pkgutil
import sys
from collections.abc import Sequence
from typing import Any

import testbed
from testbed import cli
from testbed.cli import common
from testbed.errors import StatusError, TestbedError, UsageError
from testbed.machine import collecting

# Modules of this folder that are not commands; neither are its packages.
HELPERS = frozenset({"main", "common", "table", "progress"})
DASHES = "--"
TAKE_THE_REST = (argparse.PARSER, argparse.REMAINDER)
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class Help(argparse.RawDescriptionHelpFormatter):
    """Help whose texts stand as they are written, and words of a command are told once, by their own notation."""

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        if isinstance(action.metavar, str) and " " in action.metavar:
            return action.metavar if action.nargs == "+" else f"[{action.metavar}]"
        return super()._format_args(action, default_metavar)


class Parser(argparse.ArgumentParser):
    """A parser, and those of its commands, with this help."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"formatter_class": Help, **settings})


def entry() -> None:
    """What `testbed` on a command line runs."""
    sys.exit(main(sys.argv[1:]))


def main(argv: Sequence[str]) -> int:
    """Run one command; returns its exit code (0 passed, 1 failed, 2 bad input, 3 this machine cannot)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without these letters shows question marks
    try:
        status = _run(argv)
        sys.stdout.flush()
    except StatusError as error:
        print(common.told(error), file=sys.stderr)
        return error.exit_code
    except TestbedError as error:
        print(f"testbed: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("testbed: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output went away (`| head`): not our failure, and nothing more can be said to it.
        _discard_output()
        return 0
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        print(f"testbed: {error.filename or 'stdout'}: {error.strerror}", file=sys.stderr)
        _discard_output()
        return 1
    return status


def _run(argv: Sequence[str]) -> int:
    arguments = parsed(argv)
    # An ordinary user's PATH on Debian leaves out where ip and iptables are.
    os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
    return int(arguments.run(arguments) or 0)


def parsed(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments of a command. Options may stand between its words, as in `get pods -n blue web`.

    What follows `--` is nobody's option: a command that takes such words (`trailing`) gets them as they are.
    """
    parser, own = _parser(argv)
    if own is None or any(action.nargs in TAKE_THE_REST for action in own._actions):
        return parser.parse_args(argv)
    words = list(argv[1:])
    end = words.index(DASHES) if DASHES in words else len(words)
    arguments = own.parse_intermixed_args(words[:end])
    if end < len(words):
        if not hasattr(arguments, "trailing"):
            raise UsageError(f"{argv[0]}: nothing can follow {DASHES}")
        arguments.trailing = words[end + 1 :]
    return arguments


def _discard_output() -> None:
    """What could not be written stays in the stream's buffer, and Python would try again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def commands() -> list[str]:
    """The names of all commands."""
    found = (module.name for module in pkgutil.iter_modules(cli.__path__) if not module.ispkg)
    return sorted(name.replace("_", "-") for name in found if name not in HELPERS)


def _parser(argv: Sequence[str]) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser | None]:
    """The parser of everything, and that of the command that is asked for."""
    parser = Parser(prog="testbed", description="See, measure and understand how Kubernetes moves a packet.")
    parser.add_argument("--version", action="version", version=f"testbed {testbed.__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    # Only the command that is asked for is imported: `testbed get` should not pay for `testbed bench`.
    asked = [name for name in commands() if name in argv[:1]]
    for name in asked or commands():
        with collecting.paused():
            module = importlib.import_module(f"testbed.cli.{name.replace('-', '_')}")
        module.add(subparsers)
    return parser, subparsers.choices[asked[0]] if asked else None
