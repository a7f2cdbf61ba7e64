"""`testbed deploy`: start a lab instance from a Cluster document and manifests."""

from __future__ import annotations

import argparse
import contextlib
import time

from testbed.cli import common
from testbed.cli.progress import ReadyBar, note
from testbed.cluster import topologies
from testbed.kube.objects import default_cluster
from testbed.machine import collecting, sandbox

EXAMPLES = """examples:
  testbed deploy -t three-nodes
  testbed deploy -f my-cluster/ --name mine
  kubectl get svc,deploy -o yaml | testbed deploy -f - -f cluster.yaml
"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "deploy", help="start a lab instance", description=__doc__, epilog=EXAMPLES
    )
    common.add_name(parser)
    common.add_files(parser, required=False)
    common.add_kernel(parser)
    parser.add_argument(
        "-t", "--topology", metavar="NAME",
        help=f"a cluster that comes along: {', '.join(topologies.names())}",
    )  # fmt: skip
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds until all pods must be ready")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check all input, start the sandbox with the objects, wait until everything is ready."""
    start = time.monotonic()
    own = [str(topologies.path(arguments.topology))] if arguments.topology else []
    loaded = common.read_files(own + arguments.filename) if own or arguments.filename else None
    cluster = (loaded and loaded.cluster) or default_cluster()
    # Imported before the fork, by the process that becomes the daemon; other commands should not pay for it.
    with collecting.paused():
        from testbed.cluster import daemon, launch

    manifests = loaded.manifests if loaded else ()
    for doubt in daemon.check(cluster, manifests, loaded.mistakes if loaded else ()):
        common.caution(doubt)
    kernel = common.kernel_for(arguments, launch.need(cluster))
    with note(common.booting(kernel)):
        instance = launch.start(kernel, arguments.name, cluster, manifests)
    with contextlib.ExitStack() as undo:
        # Half a cluster helps nobody: what was started here ends here.
        undo.callback(sandbox.destroy, instance)
        with common.client(arguments.name) as client, ReadyBar() as bar:
            state = client.call("wait", bar, timeout=arguments.timeout)
        undo.pop_all()
    seconds = time.monotonic() - start
    nodes, pods = common.counted(len(cluster.nodes), "node"), common.counted(state["ready"], "pod")
    print(f"lab instance {arguments.name}: {nodes}, {pods} ready in {seconds:.2f} s")
    return 0
