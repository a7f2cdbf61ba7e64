"""The tables change one after the other: at no commit may a service address be without endpoint and refusal."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from testbed.datapaths.iptables.edit import Edit, Taste, difference
from testbed.datapaths.iptables.render import state
from testbed.datapaths.iptables.ruleset import Ruleset
from testbed.datapaths.iptables.service import NOTHING, fragment
from testbed.datapaths.iptables.spelling import Spelling
from testbed.proxier.plan import Family, NodePlan
from testbed.proxier.proxier import Settings, node_plan
from tests.unit.proxier import objects
from tests.unit.proxier.objects import endpoint, endpoint_slice, port, service

Tables = dict[str, dict[str, list[str]]]
Way = Callable[[NodePlan, NodePlan], str]

TASTE = Taste(None, descending=False)
SPELLING = Spelling(Family.IPV4, objects.FACTS, True)
WITH, ELSEWHERE = [endpoint("10.244.0.5", objects.NODE)], [endpoint("10.244.1.5")]
WITHOUT: list[objects.Object] = []


def plan(endpoints: list[objects.Object], **spec: Any) -> NodePlan:
    web = service(ports=[port(node_port=30080)], type="NodePort", **spec)
    return node_plan(objects.FACTS, Settings(), [web], [endpoint_slice(endpoints)])


def by_delta(old: NodePlan, new: NodePlan) -> str:
    """The input of a change."""
    edit = Edit()
    for key in {*old.services, *new.services}:
        before, after = old.services.get(key), new.services.get(key)
        edit.replace(
            fragment(before, SPELLING) if before else NOTHING, fragment(after, SPELLING) if after else NOTHING
        )
    return "".join(edit.inputs(TASTE))


def by_full_pass(old: NodePlan, new: NodePlan) -> str:
    """The input of a full pass over what the old plan has left."""
    return "".join(difference(state(new, SPELLING), state(old, SPELLING)).inputs(TASTE))


def committed(before: Ruleset, text: str) -> Iterator[Tables]:
    """What packets meet: the tables after each commit."""
    tables = {name: {chain: [*rules] for chain, rules in t.chains.items()} for name, t in before.items()}
    name = ""
    for line in text.splitlines():
        verb, _, rest = line.partition(" ")
        chain, _, rule = rest.partition(" ")
        match verb[0], verb:
            case "*", _:
                name = verb[1:]
            case ":", _:
                tables[name][verb[1:]] = []
            case _, "-A":
                tables[name][chain].append(rule)
            case _, "-I":
                tables[name][chain].insert(0, rule)
            case _, "-D":
                tables[name][chain].remove(rule)
            case _, "-X":
                del tables[name][chain]
            case _:
                yield copy.deepcopy(tables)


def has_a_way(tables: Tables) -> bool:
    """True if the cluster IP is translated or refused, and the node port too."""
    nat, refusals = tables["nat"], tables["filter"]
    return all(
        any(words in rule for rule in (*nat[entry], *refusals[refusal]))
        for words, entry, refusal in (
            ("-d 10.96.0.10/32", "KUBE-SERVICES", "KUBE-SERVICES"),
            ("--dport 30080", "KUBE-NODEPORTS", "KUBE-EXTERNAL-SERVICES"),
        )
    )


CHANGES = [
    pytest.param(plan(WITHOUT), plan(WITH), id="the first endpoint comes"),
    pytest.param(plan(WITH), plan(WITHOUT), id="the last endpoint goes"),
    pytest.param(
        plan(ELSEWHERE, internalTrafficPolicy="Local"), plan(WITH, internalTrafficPolicy="Local"),
        id="the first local endpoint comes",
    ),
    pytest.param(
        plan(WITH, internalTrafficPolicy="Local"), plan(ELSEWHERE, internalTrafficPolicy="Local"),
        id="the last local endpoint goes",
    ),
    pytest.param(
        plan(ELSEWHERE, internalTrafficPolicy="Local"), plan(WITHOUT, internalTrafficPolicy="Local"),
        id="a drop becomes a refusal",
    ),
    pytest.param(plan(ELSEWHERE, externalTrafficPolicy="Local"), plan(ELSEWHERE), id="the external policy changes"),
]  # fmt: skip


@pytest.mark.parametrize("way", [by_delta, by_full_pass])
@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_every_commit_leaves_a_way(old: NodePlan, new: NodePlan, way: Way) -> None:
    seen = [has_a_way(tables) for tables in committed(state(old, SPELLING), way(old, new))]
    assert seen
    assert all(seen)


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_a_full_pass_leaves_what_is_wanted(old: NodePlan, new: NodePlan) -> None:
    *_, last = committed(state(old, SPELLING), by_full_pass(old, new))
    wanted = state(new, SPELLING)
    assert last == {n: t.chains for n, t in wanted.items()}
