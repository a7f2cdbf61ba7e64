"""`testbed logs`: what containers have written, and go on writing."""

from __future__ import annotations

import argparse
import math
import queue
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from testbed.cli import common
from testbed.cli.resources.targets import Object, containers_of, pods_of, selected_pods
from testbed.errors import TestbedError, UsageError
from testbed.kube.client import Client, LogOptions

SELECTED_TAIL = 10  # lines of each container that a selector finds, as in kubectl
MOST_FOLLOWED = 20  # containers at once; kubectl asks for --max-log-requests from 5 on
INTERRUPTED = 130


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("logs", help="what containers have written", description=__doc__)
    common.add_name(parser)
    common.add_namespace(parser)
    parser.add_argument("-l", "--selector", default="", help="the pods with these labels")
    parser.add_argument("-c", "--container", default="", help="(default: the first)")
    parser.add_argument("--all-containers", action="store_true", help="of each pod")
    parser.add_argument("--all-pods", action="store_true", help="of a Deployment or the like; with --prefix")
    parser.add_argument("-f", "--follow", action="store_true", help="go on until they end")
    parser.add_argument(
        "-p", "--previous", action="store_true", help="of the container before its last restart"
    )
    parser.add_argument("--tail", type=int, metavar="LINES", help="only the last lines (-1: all)")
    parser.add_argument("--since", type=common.seconds, metavar="DURATION", help="only of the last, e.g. 5m")
    parser.add_argument("--since-time", default="", metavar="TIME", help="only after it, in RFC 3339")
    parser.add_argument("--limit-bytes", type=int, default=0, metavar="BYTES", help="no more than that")
    parser.add_argument("--timestamps", action="store_true", help="with the time of each line")
    parser.add_argument("--prefix", action="store_true", help="each line with its pod and container")
    parser.add_argument("words", nargs="*", metavar="POD | KIND/NAME [CONTAINER]")
    parser.set_defaults(run=run)


@dataclass(frozen=True, slots=True)
class Source:
    """One container's log. A name without pod is a client's own line."""

    namespace: str
    pod: str
    container: str

    @property
    def prefix(self) -> str:
        return f"[pod/{self.pod}/{self.container}] "


def run(arguments: argparse.Namespace) -> int:
    """Print the logs; 130 after Ctrl-C."""
    try:
        with common.api(arguments.name) as client:
            return act(client, arguments)
    except KeyboardInterrupt:
        return INTERRUPTED


def act(client: Client, arguments: argparse.Namespace) -> int:
    """As `run`, with a client."""
    sources = _sources(client, arguments)
    tail = arguments.tail
    if tail is None and arguments.selector:
        tail = SELECTED_TAIL
    if arguments.since is not None and arguments.since_time:
        raise UsageError("logs: at most one of --since and --since-time")
    options = LogOptions(
        follow=arguments.follow,
        previous=arguments.previous,
        timestamps=arguments.timestamps,
        tail=None if tail is None or tail < 0 else tail,
        since_seconds=None if arguments.since is None else max(1, math.ceil(arguments.since)),
        since_time=arguments.since_time,
        limit=arguments.limit_bytes or None,
    )
    prefixed = arguments.prefix or arguments.all_pods
    if options.follow and len(sources) > 1:
        lines = _together(client, sources, options)
    else:
        lines = ((source, line) for source in sources for line in _lines(client, source, options))
    for source, line in lines:
        sys.stdout.write((source.prefix if prefixed else "") + line.decode(errors="replace"))
        if options.follow:
            sys.stdout.flush()
    return 0


def _lines(client: Client, source: Source, options: LogOptions) -> Iterator[bytes]:
    return client.log(source.namespace, source.pod, replace(options, container=source.container))


def _together(
    client: Client, sources: Sequence[Source], options: LogOptions
) -> Iterator[tuple[Source, bytes]]:
    """The lines of several logs as they come, each in a thread of its own; all are asked for before."""
    if len(sources) > MOST_FOLLOWED:
        raise UsageError(f"logs: {len(sources)} containers cannot be followed at once, only {MOST_FOLLOWED}")
    arrived: queue.SimpleQueue[tuple[Source, bytes | TestbedError | None]] = queue.SimpleQueue()

    def follow(source: Source, lines: Iterator[bytes]) -> None:
        try:
            for line in lines:
                arrived.put((source, line))
            arrived.put((source, None))
        except TestbedError as error:
            arrived.put((source, error))

    for source in sources:
        lines = _lines(client, source, options)
        threading.Thread(target=follow, args=(source, lines), name=f"logs {source.pod}", daemon=True).start()
    left = len(sources)
    while left:
        source, what = arrived.get()
        match what:
            case None:
                left -= 1
            case TestbedError():
                raise what
            case _:
                yield source, what


def _sources(client: Client, arguments: argparse.Namespace) -> list[Source]:
    """The containers that are meant. Raises UsageError, StatusError."""
    words = arguments.words
    if bool(words) == bool(arguments.selector) or len(words) > 2:
        raise UsageError("logs: give POD, KIND/NAME or -l SELECTOR, e.g. testbed logs deploy/web")
    container = arguments.container or (words[1] if len(words) == 2 else "")
    if container and arguments.all_containers:
        raise UsageError("logs: --all-containers and a container's name exclude each other")
    pods = _pods(client, arguments)
    told = len(pods) == 1 and not (container or arguments.all_containers)
    return [
        Source(arguments.namespace, pod["metadata"]["name"], name)
        for pod in pods
        for name in (
            containers_of(pod)
            if arguments.all_containers
            else [container or _default_container(pod, told=told)]
        )
    ]


def _pods(client: Client, arguments: argparse.Namespace) -> Sequence[Object]:
    if arguments.selector:
        found = selected_pods(client, arguments.namespace, arguments.selector)
        if not found:
            print(f"No resources found in {arguments.namespace} namespace.", file=sys.stderr)
        return found
    pods = pods_of(client, arguments.namespace, arguments.words[0])
    if arguments.all_pods or len(pods) == 1:
        return pods
    print(f"Found {len(pods)} pods, using pod/{pods[0]['metadata']['name']}", file=sys.stderr)
    return pods[:1]


def _default_container(pod: Object, *, told: bool) -> str:
    names = containers_of(pod)
    if told and len(names) > 1:
        init = {c["name"] for c in pod["spec"].get("initContainers") or ()}
        words = [f"{name} (init)" if name in init else name for name in names]
        print(f'Defaulted container "{names[0]}" out of: {", ".join(words)}', file=sys.stderr)
    return names[0]
