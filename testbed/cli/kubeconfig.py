"""`testbed kubeconfig`: let kubectl in. Prints a kubeconfig; from then on the daemon listens on 127.0.0.1."""

from __future__ import annotations

import argparse
import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.cli import common
from testbed.errors import TestbedError, UsageError
from testbed.machine import sandbox

if TYPE_CHECKING:
    from testbed.cluster.apiserver.door import Access

HEADER = "# made by testbed kubeconfig; ends with the lab instance\n"


EXAMPLES = """examples:
  testbed kubeconfig -o lab.yaml
  kubectl --kubeconfig lab.yaml get pods --watch
"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("kubeconfig", help="let kubectl in", description=__doc__, epilog=EXAMPLES)
    common.add_name(parser)
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="write it there (mode 0600), not to the terminal"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Ask the daemon to listen, if it does not yet, and print what kubectl needs to know."""
    from testbed.cluster.apiserver.door import knock  # here: `testbed --help` should not pay for it

    instance = sandbox.get(arguments.name)
    if arguments.output:
        _check_target(Path(arguments.output))
    text = HEADER + _yaml(config(instance.name, knock(instance.door)))
    if arguments.output:
        _write(Path(arguments.output), text)
    else:
        print(text, end="")
    return 0


def config(name: str, access: Access) -> dict[str, Any]:
    """The kubeconfig (v1 Config) of a lab instance."""
    called = f"testbed-{name}"
    authority = base64.b64encode(access.authority.encode()).decode()
    cluster = {"server": access.server, "certificate-authority-data": authority}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": called, "cluster": cluster}],
        "users": [{"name": called, "user": {"token": access.token}}],
        "contexts": [
            {"name": called, "context": {"cluster": called, "user": called, "namespace": "default"}}
        ],
        "current-context": called,
    }


def _yaml(value: dict[str, Any]) -> str:
    import yaml  # here, since other commands are imported with this one for --help

    text: str = yaml.safe_dump(value, sort_keys=False, width=1 << 16)
    return text


def _check_target(path: Path) -> None:
    """Nobody shall lose a kubeconfig of a real cluster."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            ours = file.readline() in (HEADER, "")
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    if not ours:
        hint = "choose another; kubectl reads several: KUBECONFIG=FILE:OTHER"
        raise UsageError(f"{path} is there and was not made by testbed: {hint}")


def _write(path: Path, text: str) -> None:
    """Nobody else may read the token, not even while the file is being written."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        new.replace(path)
    except OSError as error:
        raise TestbedError(f"{path}: {error.strerror}") from error
