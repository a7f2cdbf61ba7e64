"""`testbed patch`: change some fields of an object."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from testbed.cli import common
from testbed.cli.resources import selection
from testbed.cli.resources.selection import qualified
from testbed.errors import UsageError
from testbed.kube.client import Client

EXAMPLES = """examples:
  testbed patch svc web -p '{spec: {externalTrafficPolicy: Local}}'
  testbed patch svc/web --type json -p '[{"op": "remove", "path": "/spec/selector"}]'
"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("patch", help="change some fields", description=__doc__, epilog=EXAMPLES)
    common.add_name(parser)
    common.add_namespace(parser)
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("-p", "--patch", help="""JSON or YAML: '{"spec": {"replicas": 3}}'""")
    given.add_argument("--patch-file", type=Path, metavar="FILE", help="a file with it")
    parser.add_argument("--type", choices=("strategic", "merge", "json"), default="strategic")
    parser.add_argument("words", nargs="+", metavar="KIND NAME | KIND/NAME")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Change it and say so."""
    with common.api(arguments.name) as client:
        return act(client, arguments)


def act(client: Client, arguments: argparse.Namespace) -> int:
    """As `run`, with a client."""
    patch = _patch(arguments)
    for each in selection.selected(arguments.words, "patch"):
        if not each.names:
            raise UsageError("patch: give KIND NAME or KIND/NAME")
        where = selection.namespace_of(arguments, each.kind) or ""
        for name in each.names:
            before = client.get(each.kind, where, name)
            after = client.patch(each.kind, where, name, patch, arguments.type)
            versions = {obj["metadata"]["resourceVersion"] for obj in (before, after)}
            print(f"{qualified(each.kind)}/{name} patched" + ("" if len(versions) == 2 else " (no change)"))
    return 0


def _patch(arguments: argparse.Namespace) -> Any:
    """The patch; a list for JSON patches, else a mapping. Raises UsageError."""
    import yaml  # here, since other commands need it not

    wanted = list if arguments.type == "json" else dict
    try:
        text = arguments.patch if arguments.patch is not None else arguments.patch_file.read_text()
        patch = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"patch: unable to parse the patch: {error}") from error
    if not isinstance(patch, wanted):
        raise UsageError(
            f"patch: a patch of type {arguments.type} is a {'list' if wanted is list else 'mapping'}"
        )
    return patch
