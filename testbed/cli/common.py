"""What several commands share: the instance's name, its client, objects from files, output as JSON."""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.cli.progress import note
from testbed.cluster.rpc import Client
from testbed.errors import ManifestErrors, StatusError, UsageError
from testbed.kube.objects import Loaded, read
from testbed.kube.objects.cluster import seconds as duration
from testbed.machine import kernels, sandbox
from testbed.machine.paths import DEFAULT_NAME, NAME_VARIABLE, default_name

if TYPE_CHECKING:
    from testbed.kube.client import Client as ApiClient
    from testbed.machine.kernels.choose import Need
    from testbed.machine.sandbox import Instance


def add_name(parser: argparse.ArgumentParser) -> None:
    """`--name`: which lab instance."""
    parser.add_argument(
        "--name", default=default_name(),
        help=f"the lab instance's name (default: ${NAME_VARIABLE}, else {DEFAULT_NAME})",
    )  # fmt: skip


def add_kernel(parser: argparse.ArgumentParser) -> None:
    """`--kernel`: where a lab instance shall run."""
    parser.add_argument(
        "--kernel", choices=kernels.CHOICES,
        help=f"the kernel that it runs on (default: ${kernels.VARIABLE}, else {kernels.AUTO}: native if it has all "
        "that is needed, else uml, else vm)",
    )  # fmt: skip


def kernel_for(arguments: argparse.Namespace, need: Need, written: str | None = None) -> str:
    """The kernel for a run; `written` is what a scenario says. One that nobody asked for is told on stderr.

    Raises FeatureMissing if no kernel, or not the one that is asked for, has what the run needs.
    """
    from testbed.machine.kernels import (
        choose,
        offers,
    )  # here: only what starts something asks what kernels offer

    def known(kernel: str) -> offers.Offer:
        before = offers.remembered(kernel)
        unasked = not before.probed and before.image
        with note(f"asking {kernel} what it offers, once" if unasked else ""):
            return offers.known(kernel)

    choice = choose.choose(choose.wanted(arguments.kernel, written), need, known)
    if choice.why:
        print(f"kernel: {choice.kernel}, since {choice.why}", file=sys.stderr, flush=True)
    return choice.kernel


def booting(kernel: str) -> str:
    """What is told while a kernel boots; empty for the one that runs already."""
    return "" if kernel == kernels.NATIVE else f"booting {kernel}"


def hand_over(instance: Instance) -> int:
    """Run the command that we are inside the guest of an instance, where its processes are; its exit code."""
    from testbed.machine.kernels import enter

    sys.stdout.flush()
    return enter.main([str(instance.folder), "--", _program(), *sys.argv[1:]])


def _program() -> str:
    """The command `testbed` as a file: a guest has the same files at the same places."""
    return str(Path(sys.argv[0]).absolute())


def run_in_guest(kernel: str, words: Sequence[str], results: Path) -> int:
    """Run a whole command of ours in a guest without an instance, with our terminal; its exit code.

    `words` are what follows `testbed`; only the folder `results` can be written to, and it is made. Raises
    FeatureMissing if there is no such kernel, TestbedError if it does not boot.
    """
    from testbed.machine.enter import run_beside  # here: few commands ever need it
    from testbed.machine.kernels import guests

    results.mkdir(parents=True, exist_ok=True)
    try:
        with contextlib.ExitStack() as stack:
            with note(booting(kernel)):
                guest = stack.enter_context(guests.running(kernel, (results,)))
            return run_beside(guest.argv([_program(), *words]))
    finally:
        with contextlib.suppress(OSError):
            results.rmdir()  # if nothing came of it


def add_output(parser: argparse.ArgumentParser, *formats: str) -> None:
    """`-o`: another output than the table."""
    parser.add_argument("-o", "--output", choices=formats or ("json",), help="print this instead of a table")


def add_files(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """`-f`: manifests."""
    parser.add_argument(
        "-f", "--filename", action="append", default=[], required=required, metavar="FILE",
        help="Kubernetes manifests: a file, a folder, or - for standard input; may be given again",
    )  # fmt: skip


def add_namespace(parser: argparse.ArgumentParser) -> None:
    """`-n`: which namespace."""
    parser.add_argument("-n", "--namespace", default="default", help="the Kubernetes namespace")


def add_choice(
    parser: argparse.ArgumentParser, option: str, choices: tuple[str, ...], default: str, text: str
) -> None:
    """An option with a few values; alone it is `true`, or for --dry-run `client`, as in kubectl."""
    alone = "client" if "client" in choices else "true"
    parser.add_argument(
        option, choices=choices, nargs="?", const=alone, default=default, help=f"{text} (default: {default})"
    )


def seconds(text: str) -> float:
    """An option's duration in Go's notation, or as a number: `90`, `1m30s`. Raises UsageError."""
    found = duration(text)
    if found is None and re.fullmatch(r"\d+(\.\d+)?", text):
        found = float(text)
    if found is None:
        raise UsageError(f"{text!r} is no duration: write e.g. 90, 90s or 1m30s")
    return found


def api(name: str) -> ApiClient:
    """A client of a running lab instance's Kubernetes API. Raises UsageError if there is none of that name."""
    from testbed.kube import client as kube  # here: `testbed deploy` needs no HTTP

    return kube.Client(sandbox.get(name).kube_socket, warn=warn)


def warn(text: str) -> None:
    """A warning of the API, as kubectl shows it."""
    print(f"Warning: {text}", file=sys.stderr)


def caution(text: str) -> None:
    """A warning about what was handed in."""
    print(f"warning: {text}", file=sys.stderr)


def told(error: StatusError) -> str:
    """What the API refused, as kubectl says it."""
    if error.reason == "Invalid":
        return error.status.get("message", "").rstrip() or "the request is invalid"
    reason = f" ({error.reason})" if error.reason else ""
    return f"Error from server{reason}: {error}"


def client(name: str) -> Client:
    """A connection to a running lab instance. Raises UsageError if there is none of that name."""
    return Client(sandbox.get(name).socket)


def load_files(paths: list[str]) -> Loaded:
    """Read manifests, warn on stderr about what is passed over. Raises ManifestErrors."""
    loaded = read_files(paths)
    if loaded.mistakes:
        raise ManifestErrors(loaded.mistakes)
    return loaded


def read_files(paths: list[str]) -> Loaded:
    """As `load_files`, for whoever adds the cluster's mistakes to those in the files."""
    loaded = read(paths, sys.stdin)
    for warning in loaded.warnings:
        caution(warning)
    return loaded


def print_json(value: Any) -> None:
    """A result as JSON, indented."""
    print(json.dumps(value, indent=2))


def counted(number: int, noun: str) -> str:
    """A number of things: `1 node`, `3 nodes`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def split_target(word: str) -> tuple[str, str]:
    """`KIND/NAME` apart; a bare name has no kind. Raises UsageError."""
    kind, slash, name = word.rpartition("/")
    if slash and not (kind and name):
        raise UsageError(f"{word!r}: give KIND/NAME, e.g. pod/web-1")
    return kind, name
