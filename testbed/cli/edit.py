"""`testbed edit`: change an object in your editor ($KUBE_EDITOR, $EDITOR, else vi)."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import tempfile
from pathlib import Path

from testbed.cli import common
from testbed.cli.resources import selection
from testbed.cli.resources.outputs import as_yaml
from testbed.cli.resources.selection import qualified
from testbed.errors import StatusError, TestbedError, UsageError
from testbed.kube.client import Client
from testbed.kube.objects import Kind

HELP = """# Please edit the object below. Lines beginning with a '#' will be ignored,
# and an empty file will abort the edit.
#
"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("edit", help="change an object in an editor", description=__doc__)
    common.add_name(parser)
    common.add_namespace(parser)
    parser.add_argument("words", nargs="+", metavar="KIND NAME | KIND/NAME")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Edit one object after the other."""
    with common.api(arguments.name) as client:
        return act(client, arguments)


def act(client: Client, arguments: argparse.Namespace) -> int:
    """As `run`, with a client."""
    for each in selection.selected(arguments.words, "edit"):
        if not each.names:
            raise UsageError("edit: give KIND NAME or KIND/NAME")
        for name in each.names:
            _edit(client, each.kind, selection.namespace_of(arguments, each.kind) or "", name)
    return 0


def _edit(client: Client, kind: Kind, namespace: str, name: str) -> None:
    """Raises TestbedError with the place of the edited text if the API refuses it: no work is lost."""
    import yaml  # here, since other commands need it not

    before = as_yaml(client.get(kind, namespace, name)) + "\n"
    file = _edited(HELP + before)
    try:
        changed = yaml.safe_load(file.read_text())
        if changed is None or changed == yaml.safe_load(before):
            print("Edit cancelled, no changes made.")
        else:
            client.replace(changed)
            print(f"{qualified(kind)}/{name} edited")
        file.unlink()
    except (StatusError, yaml.YAMLError, KeyError, TypeError) as error:
        raise TestbedError(
            f"{qualified(kind)} {name!r} was not changed: {error}; your text is in {file}"
        ) from error


def _edited(text: str) -> Path:
    """A file with what an editor has made of a text."""
    descriptor, path = tempfile.mkstemp(prefix="testbed-edit-", suffix=".yaml")
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    editor = os.environ.get("KUBE_EDITOR") or os.environ.get("EDITOR") or "vi"
    status = subprocess.call([*shlex.split(editor), path])
    if status:
        raise TestbedError(f"edit: {editor} ended with status {status}; the text is in {path}")
    return Path(path)
