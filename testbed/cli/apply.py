"""`testbed apply`: bring objects into a running lab instance, all of them or none."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from testbed.cli import common
from testbed.cli.progress import ReadyBar
from testbed.errors import UsageError
from testbed.kube.objects import KINDS


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("apply", help="create or change objects", description=__doc__)
    common.add_name(parser)
    common.add_files(parser)
    parser.add_argument("--wait", action="store_true", help="until all pods are ready and all nodes obey")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds to wait at most")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check, hand in, print what became of each."""
    loaded = common.read_files(arguments.filename)
    if loaded.cluster:
        raise UsageError("apply: a Cluster document cannot be changed while it runs; use: testbed deploy")
    with common.client(arguments.name) as client, ReadyBar() as bar:
        manifests, mistakes = [m.to_json() for m in loaded.manifests], [asdict(m) for m in loaded.mistakes]
        for each in client.call("apply", manifests=manifests, mistakes=mistakes):
            print(f"{_word(each['kind'])}/{each['name']} {each['verb']}")
        if arguments.wait:
            client.call("wait", bar, timeout=arguments.timeout)
    return 0


def _word(kind: str) -> str:
    """The kind as kubectl names it: `service`, `deployment.apps`."""
    group, slash, _ = KINDS[kind].api_version.partition("/")
    return KINDS[kind].singular + (f".{group}" if slash else "")
