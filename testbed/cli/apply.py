"""`testbed apply`: bring objects into a running lab instance, all of them or none."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from testbed.cli import common
from testbed.cli.progress import ReadyBar
from testbed.cli.resources.selection import qualified
from testbed.errors import Mistake, UsageError
from testbed.kube.client import Client
from testbed.kube.objects import KINDS, Loaded, Manifest

Object = dict[str, Any]

DRY_RUNS = {"none": "", "client": " (dry run)", "server": " (server dry run)"}


EXAMPLES = """examples:
  testbed apply -f my-services.yaml --wait
  testbed apply -f folder/ -n blue
  kubectl get svc -o yaml | testbed apply -f - --dry-run
"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "apply", help="create or change objects", description=__doc__, epilog=EXAMPLES
    )
    common.add_name(parser)
    common.add_files(parser)
    parser.add_argument("-n", "--namespace", help="for objects that name none (default: default)")
    common.add_choice(
        parser, "--dry-run", tuple(DRY_RUNS), "none", "only say what would be done; all checks are made"
    )
    parser.add_argument("-o", "--output", choices=("name",), help="print names instead of sentences")
    parser.add_argument("--wait", action="store_true", help="until all pods are ready and all nodes obey")
    parser.add_argument("--timeout", type=common.seconds, default=120.0, help="to wait at most, e.g. 30s")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check, hand in, print what became of each, and wait for what follows if that is wanted."""
    with common.api(arguments.name) as client:
        act(client, arguments)
    if arguments.wait and arguments.dry_run == "none":
        with common.client(arguments.name) as daemon, ReadyBar() as bar:
            daemon.call("wait", bar, timeout=arguments.timeout)
    return 0


def act(client: Client, arguments: argparse.Namespace) -> None:
    """Hand in, with a client, and print."""
    loaded = common.read_files(arguments.filename)
    if loaded.cluster:
        raise UsageError("apply: a Cluster document cannot be changed while it runs; use: testbed deploy")
    if arguments.namespace is not None:
        loaded = placed(loaded, arguments.namespace)
    dry_run = arguments.dry_run != "none"
    applied = client.apply(loaded.manifests, loaded.mistakes, dry_run=dry_run, doubt=common.caution)
    for each in applied:
        name = f"{qualified(KINDS[each['kind']])}/{each['name']}"
        print(name if arguments.output else f"{name} {each['verb']}{DRY_RUNS[arguments.dry_run]}")


def placed(loaded: Loaded, namespace: str) -> Loaded:
    """The objects that name no namespace put into this one. One that names another is a mistake, as in kubectl."""
    moved = [_placed(manifest, namespace) for manifest in loaded.manifests]
    manifests = tuple(each for each in moved if isinstance(each, Manifest))
    mistakes = tuple(each for each in moved if isinstance(each, Mistake))
    return replace(loaded, manifests=manifests, mistakes=(*loaded.mistakes, *mistakes))


def _placed(manifest: Manifest, namespace: str) -> Manifest | Mistake:
    if not KINDS[manifest.body["kind"]].namespaced:
        return manifest
    body = manifest.written or manifest.body
    written = body["metadata"].get("namespace")
    if written and written != namespace:
        message = (
            f"the namespace from the provided object {written!r} does not match the namespace {namespace!r}"
        )
        hint = f"leave the field out, or use --namespace={written}"
        return manifest.source.mistake("metadata.namespace", message, hint)
    return replace(manifest, body=_in(manifest.body, namespace), written=_in(body, namespace))


def _in(body: Object, namespace: str) -> Object:
    return {**body, "metadata": {**body["metadata"], "namespace": namespace}}
