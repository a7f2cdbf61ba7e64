"""`testbed delete`: end objects, by name, by selector, or by the files that made them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace

from testbed.cli import common
from testbed.cli.resources import selection
from testbed.cli.resources.ending import Leaving, await_end
from testbed.cli.resources.selection import Selected, qualified
from testbed.errors import StatusError, UsageError
from testbed.kube.client import Client, DeleteOptions

FORCE = (
    "Immediate deletion does not wait for confirmation that the running resource has been terminated. "
    "The resource may continue to run on the cluster indefinitely."
)
DRY_RUNS = {"none": "", "client": " (dry run)", "server": " (server dry run)"}


EXAMPLES = """examples:
  testbed delete -f my-services.yaml
  testbed delete pod web-1 --grace-period=1
  testbed delete svc -l app=web
  testbed delete deploy/web --cascade=orphan
"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("delete", help="end objects", description=__doc__, epilog=EXAMPLES)
    common.add_name(parser)
    common.add_namespace(parser)
    common.add_files(parser, required=False)
    selection.add_selectors(parser)
    parser.add_argument("--all", action="store_true", help="all objects of the kind in the namespace")
    parser.add_argument(
        "--grace-period", type=int, metavar="SECONDS", help="that a pod gets to end (0: at once)"
    )
    parser.add_argument("--now", action="store_true", help="the same as --grace-period=1")
    parser.add_argument("--force", action="store_true", help="at once, and without waiting for it")
    parser.add_argument(
        "--cascade", choices=("background", "foreground", "orphan"), default="background",
        help="what happens to what depends on it (default: background)",
    )  # fmt: skip
    parser.add_argument("--ignore-not-found", action="store_true", help="what is not there is no error")
    common.add_choice(parser, "--wait", ("true", "false"), "true", "until the objects are gone")
    common.add_choice(parser, "--dry-run", tuple(DRY_RUNS), "none", "only say what would be deleted")
    parser.add_argument("--timeout", type=common.seconds, default=120.0, help="to wait at most, e.g. 30s")
    parser.add_argument("-o", "--output", choices=("name",), help="print names instead of sentences")
    parser.add_argument("words", nargs="*", metavar="KIND NAME ... | KIND/NAME ...")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Tell each object to end, then wait until they are gone; exit code 1 with what is left after the timeout."""
    with common.api(arguments.name) as client:
        return act(client, arguments)


def act(client: Client, arguments: argparse.Namespace) -> int:
    """As `run`, with a client."""
    selections = _selections(arguments)
    options, suffix = _options(arguments), DRY_RUNS[arguments.dry_run]
    verb = ("force deleted" if arguments.force else "deleted") + suffix
    leaving, missing = [], 0
    for target in _targets(client, arguments, selections):
        try:
            uid = client.delete(target.kind, target.namespace, target.name, options)
        except StatusError as error:
            if error.reason != "NotFound":
                raise
            if not arguments.ignore_not_found:
                missing += 1
                print(common.told(error), file=sys.stderr)
            continue
        leaving.append(replace(target, uid=uid))
        print(_sentence(target, verb, arguments.output), flush=True)
    if not leaving and not missing and not any(selection.names for selection in selections):
        print("No resources found", file=sys.stderr)
    if arguments.wait == "true" and not options.dry_run and not arguments.force:
        await_end(client, leaving, arguments.timeout)
    return 1 if missing else 0


def _selections(arguments: argparse.Namespace) -> list[Selected]:
    """What is to be deleted. A kind alone is not enough: that must be said by --all or a selector."""
    if arguments.filename:
        if arguments.words:
            raise UsageError("delete: cannot mix -f FILE and names")
        return selection.from_files(arguments.filename)[::-1]
    selections = selection.selected(arguments.words, "delete")
    selection.check(selections, arguments)
    named = all(each.names for each in selections)
    if named and arguments.all:
        raise UsageError("delete: name cannot be provided when --all is specified")
    if not named and not (arguments.all or arguments.selector or arguments.field_selector):
        raise UsageError(
            "delete: resource(s) were provided, but no name was specified; give names, -l or --all"
        )
    return selections


def _options(arguments: argparse.Namespace) -> DeleteOptions:
    grace = 0 if arguments.force else 1 if arguments.now else arguments.grace_period
    if grace is not None and grace < 0:
        raise UsageError("delete: --grace-period must be 0 or more")
    if arguments.force:
        common.warn(FORCE)
    return DeleteOptions(grace, arguments.cascade.capitalize(), arguments.dry_run != "none")


def _targets(client: Client, arguments: argparse.Namespace, selections: list[Selected]) -> Iterator[Leaving]:
    for each in selections:
        where = each.namespace or selection.namespace_of(arguments, each.kind)
        for name in each.names:
            yield Leaving(each.kind, where or "", name, "")
        if not each.names:
            for obj in client.list(each.kind, where, selection.query_of(arguments)).items:
                metadata = obj["metadata"]
                yield Leaving(each.kind, metadata.get("namespace", ""), metadata["name"], metadata["uid"])


def _sentence(target: Leaving, verb: str, output: str | None) -> str:
    if output:
        return f"{qualified(target.kind)}/{target.name}"
    place = f" from {target.namespace} namespace" if target.namespace else ""
    return f'{qualified(target.kind)} "{target.name}" {verb}{place}'
