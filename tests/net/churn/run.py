"""One run of churn: `python -m tests.net.churn.run --changes 10000 --datapath iptables --option variant=legacy`.

Deploys a cluster, sends traffic, changes Services as fast as the nodes obey, and judges every answer by the log
of the changes. Prints what it saw; exit code 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testbed.errors import TestbedError
from testbed.kube.objects import load_text
from testbed.machine import sandbox
from tests.net.churn.history import Seen, State, Timeline, complaints
from tests.net.churn.world import NODES, PODS, World, beginning, changed, cluster, pods
from tests.net.command import Daemon
from tests.waiting import until

ROOT = Path(__file__).parents[3]
COMMAND = str(Path(sys.executable).with_name("testbed"))
READY_SECONDS = 60.0
SETTLE_SECONDS = 6.0  # longer than traffic.PATIENCE: what was asked last is over
FULL_PASSES = 0.03  # share of the changes during which nodes do a full pass
FIRST_OF = 20  # that many complaints are shown


@dataclass(frozen=True, slots=True)
class Order:
    """What to run: how many changes of a Service, over which datapath; `rate` is in new connections and exchanges
    a second."""

    changes: int
    datapath: str
    options: Mapping[str, Any]
    seed: int = 1
    rate: int = 100
    long: int = 1  # standing connections, and flows, to each address from each host


@dataclass(slots=True)
class Result:
    """What was seen, and what was wrong with it."""

    changes: int
    seconds: float
    seen: collections.Counter[tuple[str, str]] = field(default_factory=collections.Counter)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counts = "".join(f"  {what} {outcome}: {n}\n" for (what, outcome), n in sorted(self.seen.items()))
        shown = "".join(f"  {line}\n" for line in self.wrong[:FIRST_OF])
        rate = self.changes / self.seconds
        head = f"{self.changes} changes in {self.seconds:.1f} s ({rate:.1f}/s)\n"
        return f"{head}{counts}{len(self.wrong)} wrong\n{shown}"


def run(order: Order, name: str, stop: threading.Event | None = None) -> Result:
    """Deploy, change and send, judge, destroy; `stop` ends the changes early."""
    stop = stop or threading.Event()
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(deployed(name, order))
        world = World(_addresses(client))
        states = beginning()
        timelines = {service: Timeline() for service in states}
        _change(client, world, timelines, states)
        client.call("wait", timeout=READY_SECONDS)
        targets = list(_targets(client, world))
        began = time.monotonic()
        with sending(name, order, targets) as records:
            dice = random.Random(order.seed)
            done = 0
            while done < order.changes and not stop.is_set():
                now = changed(states, dice)
                states |= now
                with _full_passes(name, dice.random() < FULL_PASSES):
                    _change(client, world, timelines, now)
                done += len(now)
            seconds = time.monotonic() - began
            until(lambda: time.monotonic() > began + seconds + SETTLE_SECONDS, "the last answers", 60.0)
    return _judged(Result(done, seconds), [_seen(record, targets) for record in records], timelines)


def _judged(result: Result, seen: Sequence[Seen], timelines: Mapping[str, Timeline]) -> Result:
    result.seen.update((one.what, one.outcome) for one in seen)
    result.wrong = complaints(seen, timelines)
    return result


def _change(
    client: Daemon, world: World, timelines: Mapping[str, Timeline], now: Mapping[str, State]
) -> None:
    """Tell the store, wait until every node obeys, and write both down."""
    manifests = load_text(world.manifests(now), "churn").manifests
    told = time.monotonic()
    client.kube.apply(manifests)
    version = client.call("inspect")["version"]
    what = f"the nodes to obey version {version}"
    until(lambda: _obeyed(client, version), what, READY_SECONDS, longest=0.005)
    obeyed = time.monotonic()
    for service, each in now.items():
        timelines[service].add(told, obeyed, each)


@contextlib.contextmanager
def _full_passes(name: str, wanted: bool) -> Iterator[None]:
    """Let the nodes do full passes meanwhile, one node after the other."""
    if not wanted:
        yield
        return

    def resync() -> None:
        with Daemon(sandbox.get(name).folder) as client:
            for node in NODES:
                client.call("resync", node=node)

    with ThreadPoolExecutor(1) as executor:
        passes = executor.submit(resync)
        yield
        passes.result()


def _obeyed(client: Daemon, version: int) -> bool:
    return all(agent["synced"] >= version for agent in client.call("inspect")["agents"])


def _addresses(client: Daemon) -> dict[str, dict[str, str]]:
    """The pods' addresses by family."""
    found = {}
    for pod in client.kube.list("Pod").items:
        if pod["metadata"]["name"] in PODS:
            found[pod["metadata"]["name"]] = {_family(e["ip"]): e["ip"] for e in pod["status"]["podIPs"]}
    return found


def _targets(client: Daemon, world: World) -> Iterator[dict[str, Any]]:
    services = {service["metadata"]["name"]: service for service in client.kube.list("Service").items}
    nodes = {
        node["metadata"]["name"]: {
            _family(a["address"]): a["address"]
            for a in node["status"]["addresses"]
            if a["type"] == "InternalIP"
        }
        for node in client.kube.list("Node").items
        if node["metadata"]["name"] in NODES
    }
    return world.targets(services, nodes)


def _family(address: str) -> str:
    return "IPv6" if ":" in address else "IPv4"


def _seen(record: Sequence[Any], targets: Sequence[Mapping[str, Any]]) -> Seen:
    what, number, began, ended, outcome, pod, note = record
    return Seen(what, targets[number]["way"], began, ended, outcome, pod, note)


@contextlib.contextmanager
def deployed(name: str, order: Order) -> Iterator[Daemon]:
    """The cluster with its pods; gone afterwards, whatever came between."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        files = {"cluster.yaml": cluster(order.datapath, order.options), "pods.yaml": pods()}
        for file, text in files.items():
            Path(folder, file).write_text(text)
        _command("deploy", "--name", name, *(f"-f={Path(folder, file)}" for file in files))
        stack.callback(_command, "destroy", "--name", name)
        with Daemon(sandbox.get(name).folder) as client:
            client.call("wait", timeout=READY_SECONDS)
            yield client


@contextlib.contextmanager
def sending(name: str, order: Order, targets: Sequence[Mapping[str, Any]]) -> Iterator[list[list[Any]]]:
    """Traffic inside the sandbox; what it wrote is complete at the end."""
    script = str(Path(__file__).with_name("traffic.py"))
    argv = [*sandbox.get(name).enter_argv(), sys.executable, script]
    sender = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert sender.stdin is not None
    assert sender.stdout is not None
    records: list[list[Any]] = []
    lines = sender.stdout
    reader = threading.Thread(target=lambda: records.extend(map(json.loads, lines)))
    reader.start()
    asked = [{key: value for key, value in target.items() if key != "way"} for target in targets]
    request = {"rate": order.rate, "long": order.long, "nodes": NODES, "targets": asked}
    sender.stdin.write(json.dumps(request) + "\n")
    sender.stdin.flush()
    try:
        yield records
    finally:
        sender.stdin.close()
        reader.join()
        sender.stdout.close()
        status = sender.wait()
    if status:
        raise TestbedError(f"the traffic ended with status {status}")


def _command(*arguments: str) -> None:
    done = subprocess.run([COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise TestbedError(f"testbed {' '.join(arguments)}: status {done.returncode}: {done.stderr.strip()}")


def main() -> int:
    """The soak target. Ctrl-C ends it early, with the judgement over what was done."""
    parser = argparse.ArgumentParser(description="Services change under traffic.")
    parser.add_argument("--changes", type=int, default=10_000)
    parser.add_argument("--datapath", default="iptables")
    parser.add_argument("--option", action="append", default=[], help="of the datapath, e.g. variant=legacy")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=int, default=100, help="new connections and exchanges a second")
    given = parser.parse_args()
    options = dict(option.split("=", 1) for option in given.option)
    order = Order(given.changes, given.datapath, options, given.seed, given.rate)
    stop = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    result = run(order, f"churn-{os.getpid()}", stop)
    sys.stdout.write(str(result))
    return 1 if result.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
