"""`testbed datapath`: which ones there are, what the nodes' kernels hold, a switch while the cluster runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from testbed.cli import common
from testbed.cli.table import table
from testbed.errors import UsageError
from testbed.machine import sandbox

EPILOG = """examples:
  testbed datapath list                        testbed datapath show -n node1
  testbed datapath switch nftables             testbed datapath switch iptables --option variant=legacy
  testbed datapath switch ipvs --option scheduler=wrr -o json
  testbed datapath add nftables --beside       testbed datapath remove nftables --keep-rules"""

STEPS = {
    "stopped": "AGENT STOPPED",
    "programmed": "PROGRAMMED",
    "removed": "OLD RULES GONE",
    "mended": "MENDED",
}


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its verbs."""
    parser = subparsers.add_parser(
        "datapath", help="show or switch the datapath", description=__doc__, epilog=EPILOG
    )
    common.add_name(parser)
    parser.add_argument("verb", choices=tuple(VERBS), metavar="list|show|switch|add|remove")
    parser.add_argument(
        "datapath", nargs="?", default="", metavar="NAME", help="of `switch`, `add`, `remove`: which datapath"
    )
    parser.add_argument("-n", "--node", default="", help="of `show`: one node (default: all)")
    parser.add_argument(
        "--option", action="append", default=[], metavar="KEY=VALUE",
        help="as under kubeProxy.<mode> of a Cluster document; may be given again",
    )  # fmt: skip
    parser.add_argument(
        "--order", default="", metavar="ORDER",
        help="of the rules: new-first or old-first (default: new-first where both can stand together)",
    )  # fmt: skip
    parser.add_argument(
        "--rate", type=float, default=None,
        help="new connections a second that are tried meanwhile (default: 200; 0: none)",
    )  # fmt: skip
    parser.add_argument(
        "--beside",
        action="store_true",
        help="of `add`: yes, a second datapath on every node, beside the first",
    )
    parser.add_argument(
        "--keep-rules",
        action="store_true",
        help="of `remove`: end its agents only; nobody follows changes then",
    )
    common.add_output(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Do what the verb says."""
    if (arguments.verb in NAMING) != bool(arguments.datapath):
        raise UsageError(f"datapath: a NAME goes with `{'`, `'.join(NAMING)}`, and each of these with a NAME")
    VERBS[arguments.verb](arguments)
    return 0


def _list(arguments: argparse.Namespace) -> None:
    with common.client(arguments.name) as client:
        offered, told, there = client.call("datapaths"), client.call("inspect"), client.call("present")
    used = _used(told["cluster"])
    for each in offered:
        words = _words(each["name"], each["options"])
        each["nodes"] = [node for node, held in there.items() if words in held]
        each["used"] = each["name"] == used[0] and all(
            used[1].get(k) == v for k, v in each["options"].items()
        )
    if arguments.output:
        common.print_json(offered)
        return
    rows = [
        (_words(each["name"], each["options"]), "yes" if each["used"] else "", ",".join(each["nodes"]),
         "no" if each["missing"] else "yes",
         "; ".join(f"{lack['feature']}: {lack['reason']}" for lack in each["missing"]))
        for each in offered
    ]  # fmt: skip
    print(table(("DATAPATH", "IN USE", "RULES ON", "POSSIBLE", "REASON"), rows))


def _used(cluster: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The cluster's mode and options; an option that is not given stands for the first variant."""
    from testbed.datapaths import find

    mode = cluster["networking"]["kube_proxy_mode"]
    first = find.choices(mode)[0] if mode in find.names() else {}
    return mode, {**first, **cluster["kube_proxy"]["options"]}


def _show(arguments: argparse.Namespace) -> None:
    with common.client(arguments.name) as client:
        agents = client.call("inspect")["agents"]
        nodes = [arguments.node] if arguments.node else [agent["node"] for agent in agents]
        shown = {node: client.call("show", node=node) for node in nodes}
    if arguments.output:
        common.print_json(shown)
        return
    for node, text in shown.items():
        if len(shown) > 1:
            print(f"==> {node} <==")
        print(text, end="" if text.endswith("\n") else "\n")


def _switch(arguments: argparse.Namespace) -> None:
    from testbed.scenario.switching import RATE, Request, switch  # here: `list` needs none of it

    rate = RATE if arguments.rate is None else arguments.rate
    if rate < 0:
        raise UsageError("datapath: --rate must not be below 0")
    request = Request(arguments.datapath, options(arguments.option), arguments.order, rate)
    instance = sandbox.get(arguments.name)
    with _Bar() as bar:
        outcome = switch(instance, request, bar)
    if arguments.output:
        met = outcome.met.to_json() if outcome.met else None
        common.print_json({"datapath": request.datapath, "nodes": outcome.nodes, "met": met})
    elif not outcome.nodes:
        print(f"every node is at {_words(request.datapath, request.options)} already")
    else:
        print(_text(outcome.nodes))
        print("\n" + (_met(outcome.met.to_json()) if outcome.met else "nobody called meanwhile"))


def _add(arguments: argparse.Namespace) -> None:
    """Refused unless it is said that this is meant: two datapaths on a node are a mistake nearly always."""
    if not arguments.beside:
        raise UsageError(
            f"datapath add {arguments.datapath}: the nodes have a datapath already, and a second one would decide "
            "over the same packets; `switch` replaces it, --beside adds it all the same, to see what that does"
        )
    with common.client(arguments.name) as client:
        client.call("add", datapath=arguments.datapath, options=options(arguments.option))
    print(f"{arguments.datapath} beside the cluster's own datapath on every node")


def _remove(arguments: argparse.Namespace) -> None:
    with common.client(arguments.name) as client:
        client.call("remove", datapath=arguments.datapath, keep_rules=arguments.keep_rules)
    print(
        f"{arguments.datapath}: "
        + ("its rules stay, its agents are gone" if arguments.keep_rules else "gone")
    )


def options(words: Sequence[str]) -> dict[str, Any]:
    """`KEY=VALUE` words as YAML would have them. Raises UsageError."""
    given = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise UsageError(f"{word!r}: give KEY=VALUE, e.g. --option variant=legacy")
        try:
            given[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UsageError(f"{word!r}: the value is no YAML") from error
    return given


def _text(nodes: Sequence[Mapping[str, Any]]) -> str:
    """One line for each node: milliseconds since its move began, and what the kernel held before and after."""
    shown = sorted(nodes[0]["ended"], key=nodes[0]["ended"].__getitem__)
    rows = [
        (node["node"], node["order"], *(_after(node, step) for step in shown),
         _size(node["before"]), _size(node["after"]))
        for node in nodes
    ]  # fmt: skip
    return table(("NODE", "ORDER", *(STEPS[step] for step in shown), "HELD BEFORE", "HELD AFTER"), rows)


def _after(node: Mapping[str, Any], step: str) -> str:
    return f"{(node['ended'][step] - node['began']) * 1000:.0f} ms"


def _size(sizes: Mapping[str, int]) -> str:
    """The first two counts: they are the most telling ones."""
    return ", ".join(f"{count} {what}" for what, count in list(sizes.items())[:2])


def _met(met: Mapping[str, Any]) -> str:
    new, held = met["newConnections"], met["heldConnections"]
    rows = [
        ("new connections", str(sum(new.values())), _counts(new)),
        ("established ones", str(sum(held.values())), _counts(held)),
    ]
    disturbed = (
        f"disturbed: {met['worstWaySeconds']:.2f} s on the worst of {met['ways']} ways, "
        f"{met['anyWaySeconds']:.2f} s in all (a way was tried every {met['resolutionSeconds'] * 1000:.0f} ms); "
        f"longest pause of an established connection that was kept: {met['longestPauseSeconds']:.2f} s"
    )
    return table(("CALLERS", "COUNT", "OUTCOME"), rows) + "\n" + disturbed


def _counts(outcomes: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))


def _words(name: str, given: Mapping[str, Any]) -> str:
    return " ".join((name, *map(str, given.values())))


class _Bar:
    """Nodes done, and the step of the one that is being moved; silent where nobody watches a terminal."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._bar: Any = None

    def __call__(self, state: Mapping[str, Any]) -> None:
        """Show a step that the daemon told."""
        if not self._shown:
            return
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(total=state["nodes"], unit="node", leave=False, dynamic_ncols=True)
        self._bar.n = state["done"]
        self._bar.set_postfix_str(f"{state['node']} {state['step']}".strip())

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()


NAMING = ("switch", "add", "remove")
VERBS = {"list": _list, "show": _show, "switch": _switch, "add": _add, "remove": _remove}
