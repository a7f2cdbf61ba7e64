"""What it costs each datapath to program Services, all within one kernel: all, again, one endpoint.

    python benchmarks/bench_sync.py --services 1000 5000 10000
    python benchmarks/bench_sync.py --kernel uml

Needs root (or a user namespace). Every measurement is a new process in a network namespace of its own, which goes
with it. Datapaths take turns in an order drawn anew for each block, and are compared block by block.
"restart" is a new agent that finds an earlier one's rules in place; "one endpoint" moves one of some Service.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np
from workload import FACTS, Node, endpoint_slice, fresh_namespace, objects

from testbed.bench.stats.fit import fit_line
from testbed.bench.stats.interval import compare
from testbed.datapaths import find
from testbed.machine import collecting, features
from testbed.machine.run import run
from testbed.proxier.addresses import parse_with_text
from testbed.proxier.proxier import Change, Proxier

TOOLS = (("iptables-nft", "--version"), ("iptables-legacy", "--version"), ("nft", "--version"))


@dataclass(frozen=True, slots=True)
class Arm:
    """A datapath with its options."""

    datapath: str
    options: tuple[tuple[str, Any], ...]

    def __str__(self) -> str:
        return " ".join((self.datapath, *(str(value) for _, value in self.options)))


@dataclass(frozen=True, slots=True)
class Steps:
    """Seconds of one round: plan, rendering, the kernel (or its tool); and all of it."""

    plan: float
    render: float
    kernel: float
    whole: float


@dataclass(frozen=True, slots=True)
class Block:
    """What one process measured."""

    first: Steps
    restart: Steps
    changes: tuple[Steps, ...]


def measure(arm: Arm, services: int, endpoints: int, changes: int) -> Block:
    """Program all, move endpoints, and begin anew on top of what is there. In a child of its own."""
    fresh_namespace()
    told, node = objects(services, endpoints), Node()
    gc.freeze()
    agent = Agent(arm, node)
    first = agent.round(told, full=True)
    moves = tuple(agent.round([move], full=False) for move in _moves(services, endpoints, changes))
    parse_with_text.cache_clear()  # an agent that starts has read no address yet
    restart = Agent(arm, node).round(told, full=True)
    return Block(first, restart, moves)


def _moves(services: int, endpoints: int, changes: int) -> Iterator[Change]:
    """One endpoint of Services far from each other moves to another address."""
    for number in range(changes):
        yield "EndpointSlice", None, endpoint_slice(number * 7919 % services, endpoints, 1 + number % 2)


class Agent:
    """What an agent has of a node: its proxier and its datapath."""

    def __init__(self, arm: Arm, node: Node) -> None:
        self._node, self._proxier = node, Proxier(FACTS, {})
        self._datapath = find.load(arm.datapath, dict(arm.options))

    def round(self, changes: Sequence[Change], *, full: bool) -> Steps:
        """What an agent does when it is told of changes."""
        self._node.inputs.clear()
        with collecting.paused():
            start = time.perf_counter()
            delta = self._proxier.update(changes)
            planned = time.perf_counter()
            applied = self._datapath.apply(self._node, self._proxier.plan, None if full else delta)
            end = time.perf_counter()
        return Steps(planned - start, applied.render_seconds, applied.restore_seconds, end - start)


Blocks = Mapping[Arm, list[Block]]


def measured(arms: Sequence[Arm], services: int, options: argparse.Namespace) -> Blocks:
    """Every arm once in each block, in an order drawn for it."""
    draw, found = random.Random(services), dict[Arm, list[Block]]({arm: [] for arm in arms})
    for number in range(options.blocks):
        for arm in draw.sample(arms, len(arms)):
            _tell(f"{services} Services, block {number + 1} of {options.blocks}: {arm}")
            found[arm].append(_in_child(measure, arm, services, options.endpoints, options.changes))
    return found


def _in_child(function: Callable[..., Block], *arguments: Any) -> Block:
    """In a new process, so that nothing is left of others' memory."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def _tell(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def _figures(steps: Iterable[Steps], factor: float, form: str) -> str:
    found = list(steps)
    names = ("plan", "render", "kernel", "whole")
    return " | ".join(
        form.format(factor * statistics.median(getattr(each, name) for each in found)) for name in names
    )


def _ratio(ours: Iterable[float], others: Iterable[float]) -> str:
    found = compare(np.array([*ours]), np.array([*others])).ratio
    return f"{found.estimate:.2f} [{found.low:.2f}, {found.high:.2f}]"


def print_all(title: str, sizes: Mapping[int, Blocks], of: Callable[[Block], Steps]) -> None:
    """The table of one kind of full pass: seconds, medians over the blocks."""
    first = next(iter(next(iter(sizes.values()))))
    print(
        f"\n{title}, seconds\n\n| datapath | Services | plan | render | kernel | whole | ratio to {first} |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for services, found in sizes.items():
        for arm, blocks in found.items():
            ratio = _ratio((of(b).whole for b in blocks), (of(b).whole for b in found[first]))
            print(f"| {arm} | {services:,} |", _figures(map(of, blocks), 1, "{:.2f}"), "|", ratio, "|")


def print_changes(sizes: Mapping[int, Blocks]) -> None:
    """The table of single changes: milliseconds, medians and p99; then how they grow with the Services."""
    print("\nOne endpoint moves, milliseconds\n")
    print("| datapath | Services | plan | render | kernel | whole | p99 | changes |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for services, found in sizes.items():
        for arm, blocks in found.items():
            steps = [step for block in blocks for step in block.changes]
            worst = 1e3 * float(np.quantile([step.whole for step in steps], 0.99))
            figures = _figures(steps, 1e3, "{:.2f}")
            print(f"| {arm} | {services:,} | {figures} | {worst:.1f} | {len(steps)} |")
    if len(sizes) > 1:
        print("\nHow one change grows: slope of log(time) over log(Services), 95 % interval over blocks\n")
        print("| datapath | slope |\n| --- | --- |")
        for arm in next(iter(sizes.values())):
            print(f"| {arm} | {_slope(sizes, arm)} |")


def _slope(sizes: Mapping[int, Blocks], arm: Arm) -> str:
    points = [
        (services, statistics.median(step.whole for step in block.changes), number)
        for services, found in sizes.items()
        for number, block in enumerate(found[arm])
    ]
    x, y, blocks = (np.array(column) for column in zip(*points, strict=True))
    slope = fit_line(np.log(x), np.log(y), blocks.astype(np.int64)).slope
    return f"{slope.estimate:.2f} [{slope.low:.2f}, {slope.high:.2f}]"


def arms_here(wanted: Sequence[str]) -> list[Arm]:
    """Every datapath that this kernel has, in every variant; what it lacks is said."""
    machine, found = features.ThisMachine(), []
    for name in find.names():
        for options in find.choices(name):
            arm, missing = Arm(name, tuple(options.items())), find.load(name, options).missing(machine)
            if wanted and name not in wanted and str(arm) not in wanted:
                continue
            if missing:
                print(f"not here: {arm}: {'; '.join(f'{m.reason} (fix: {m.fix})' for m in missing)}")
            else:
                found.append(arm)
    return found


def environment() -> str:
    """Kernel, cores, load, and the tools' versions, which figures rest on."""
    tools = [
        run([*tool], check=False).stdout.split("\n")[0] for tool in TOOLS if features.probe("nftables").ok
    ]
    load = f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    return f"kernel {platform.release()}, {load}, Python {platform.python_version()}; {', '.join(tools)}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--services", type=int, nargs="+", default=[1000, 5000, 10000])
    parser.add_argument("--endpoints", type=int, default=2, help="endpoints of each Service")
    parser.add_argument("--datapaths", nargs="+", default=[], help="e.g. nftables 'iptables legacy'")
    parser.add_argument("--blocks", type=int, default=5, help="how often each datapath is measured")
    parser.add_argument("--changes", type=int, default=20, help="single changes in each block")
    parser.add_argument("--kernel", choices=["native", "uml"], default="native", help="where to run")
    options = parser.parse_args()
    if options.kernel != "native":
        sys.exit(_elsewhere(options.kernel))
    start, arms = time.monotonic(), arms_here(options.datapaths)
    print(environment())
    sizes = {services: measured(arms, services, options) for services in options.services}
    _tell("")
    print_all("All Services into an empty node", sizes, lambda block: block.first)
    print_all("A restart: all Services, with an earlier agent's rules in place", sizes, lambda b: b.restart)
    print_changes(sizes)
    print(
        f"\n{options.blocks} blocks; load average {os.getloadavg()[0]:.1f}; {time.monotonic() - start:.0f} s in all"
    )


def _elsewhere(kernel: str) -> int:
    """The same command in a guest."""
    import subprocess

    from testbed.machine.kernels import guests

    words = [word for word in sys.argv[1:] if word not in ("--kernel", kernel)]
    with guests.running(kernel) as guest:
        return subprocess.call(guest.argv([sys.executable, *sys.argv[:1], *words]))


if __name__ == "__main__":
    main()
