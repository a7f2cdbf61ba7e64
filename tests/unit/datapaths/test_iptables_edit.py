"""How changes are spelled: what comes first, how it is cut into inputs, and what is left alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from testbed.datapaths.iptables import names
from testbed.datapaths.iptables.canary import deletes_canary
from testbed.datapaths.iptables.edit import Edit, Taste, difference, ours
from testbed.datapaths.iptables.render import state
from testbed.datapaths.iptables.ruleset import Ruleset, Table, parse
from testbed.datapaths.iptables.service import NOTHING, fragment
from testbed.datapaths.iptables.spelling import Spelling
from testbed.proxier.plan import Family, NodePlan, ServicePlan
from testbed.proxier.proxier import Settings, node_plan
from tests.unit.proxier.objects import FACTS, endpoint, endpoint_slice, service

WHOLE = Taste(None, descending=True)
SMALL = Taste(3, descending=False)
MOST = 3 + len(names.SHARED)  # chains that all share are never parted
SPELLING = Spelling(Family.IPV4, FACTS)


def plan(services: int, endpoints: int = 2) -> NodePlan:
    """Services of some endpoints."""
    made = [service(f"svc-{i}", clusterIP=f"10.96.1.{i}") for i in range(services)]
    ends = [endpoint(f"10.244.1.{i}") for i in range(endpoints)]
    return node_plan(FACTS, Settings(), made, [endpoint_slice(ends, of=f"svc-{i}") for i in range(services)])


def ruleset(services: int) -> Ruleset:
    return state(plan(services), SPELLING)


def only(found: NodePlan) -> ServicePlan:
    (made,) = found.services.values()
    return made


def inputs(edit: Edit, taste: Taste = WHOLE) -> list[list[str]]:
    return [each.splitlines() for each in edit.inputs(taste)]


def test_what_is_there_is_not_written_again() -> None:
    assert not difference(ruleset(3), ruleset(3))


def test_the_kernel_s_spelling_of_a_probability_is_the_same() -> None:
    wanted = state(plan(1, endpoints=3), SPELLING)
    printed = ruleset_of(wanted, {"0.3333333333": "0.33333333349", "0.5000000000": "0.50000000000"})
    assert printed != wanted
    assert not difference(wanted, printed)


def ruleset_of(wanted: Ruleset, spelled: dict[str, str]) -> Ruleset:
    """The same rules with other words for some of theirs."""
    told = {name: Table(dict(table.chains)) for name, table in wanted.items()}
    for chain, rules in told["nat"].chains.items():
        for old, new in spelled.items():
            rules = [rule.replace(old, new) for rule in rules]
        told["nat"].chains[chain] = rules
    return told


def test_another_probability_is_another_rule() -> None:
    wanted, present = ruleset(1), ruleset(1)
    chain = next(c for c in present["nat"].chains if c.startswith("KUBE-SVC-"))
    present["nat"].chains[chain] = [
        r.replace("0.5000000000", "0.5100000000") for r in present["nat"].chains[chain]
    ]
    assert list(difference(wanted, present).tables["nat"].written) == [chain]


def test_a_full_pass_lays_service_addresses_in_the_order_of_names() -> None:
    present = ruleset(3)
    services = present["nat"].chains[names.SERVICES]
    services[:3] = reversed(services[:3])
    assert difference(ruleset(3), present).tables["nat"].written == {
        names.SERVICES: ruleset(3)["nat"].chains[names.SERVICES]
    }


def test_node_ports_must_come_last() -> None:
    present = ruleset(3)
    present["nat"].chains[names.SERVICES].reverse()
    assert list(difference(ruleset(3), present).tables["nat"].written) == [names.SERVICES]


@pytest.mark.parametrize("damage", ["missing", "twice", "out of order"])
def test_jumps_are_put_right(damage: str) -> None:
    present = ruleset(0)
    jumps = present["filter"].chains["INPUT"]
    jumps[:] = {"missing": jumps[1:], "twice": [*jumps, jumps[0]], "out of order": jumps[::-1]}[damage]
    lines = difference(ruleset(0), present).tables["filter"].put_in
    assert [line for line in lines if line.startswith("-D")] == [f"-D INPUT {jump}" for jump in jumps]
    wanted = ruleset(0)["filter"].chains["INPUT"]
    assert [line for line in lines if line.startswith("-I")] == [f"-I INPUT {j}" for j in reversed(wanted)]


def test_others_rules_are_never_named() -> None:
    present = ruleset(1)
    present["nat"].chains |= {"DOCKER": ["-j RETURN"], "KUBE-KUBELET-CANARY": []}
    present["nat"].chains["PREROUTING"].append("-j DOCKER")
    for wanted in (ruleset(0), {}):
        lines = [line for text in inputs(difference(wanted, present)) for line in text]
        assert lines
        assert not [line for line in lines if "DOCKER" in line or "KUBELET" in line]


def test_cut_into_inputs_each_names_few_chains_and_nothing_is_lost() -> None:
    edit = difference(ruleset(5), {})
    whole, parts = inputs(edit), inputs(edit, SMALL)
    assert len(whole) == 1
    assert all(sum(line[0] == ":" for line in part) <= 2 * MOST for part in parts)  # filter, nat
    rules = [line for part in parts for line in part if line[0] == "-"]
    assert sorted(rules) == sorted(line for line in whole[0] if line[0] == "-")


def test_a_chain_is_there_before_others_jump_to_it() -> None:
    known = set[tuple[str, str]]()
    for part in inputs(difference(ruleset(5), {}), SMALL):
        table = ""
        for line in part:
            table = line[1:] if line[0] == "*" else table
            known |= {(table, line[1:].split()[0])} if line[0] == ":" else set()
            target = line.rpartition("-j ")[2].split()[0]
            assert not target.startswith("KUBE-") or (table, target) in known


def test_a_chain_goes_after_those_that_jump_to_it() -> None:
    present = ruleset(5)
    gone = set[str]()
    for part in inputs(difference({}, present), SMALL):
        now = {line.split()[1] for line in part if line.startswith("-X ")}
        referrers = {
            c for c, rules in present["nat"].chains.items() if any(r.endswith(tuple(now)) for r in rules)
        }
        flushed = {line[1:].split()[0] for line in part if line[0] == ":"}
        assert {c for c in referrers if c.startswith("KUBE-")} <= gone | now | flushed
        gone |= now


@pytest.mark.parametrize(
    ("taste", "ordered"), [(WHOLE, "descending"), (Taste(None, descending=False), "ascending")]
)
def test_chains_are_named_in_the_order_that_the_tool_likes(taste: Taste, ordered: str) -> None:
    (text,) = inputs(difference(ruleset(3), {}), taste)
    nat = text[text.index("*nat") :]
    chains = [line for line in nat if line[0] == ":"]
    assert chains == sorted(chains, reverse=ordered == "descending")
    named = [line.split()[1] for line in nat if line.startswith("-A")]
    assert named == sorted(named, reverse=ordered == "descending")


def tables(edit: Edit) -> list[str]:
    (text,) = inputs(edit)
    return [line for line in text if line[0] == "*"]


def test_the_first_endpoint_is_translated_before_the_refusal_goes() -> None:
    edit = Edit()
    edit.replace(fragment(only(plan(1, 0)), SPELLING), fragment(only(plan(1, 1)), SPELLING))
    assert tables(edit) == ["*nat", "*filter"]


def test_the_refusal_comes_before_the_last_endpoint_goes() -> None:
    edit = Edit()
    edit.replace(fragment(only(plan(1, 1)), SPELLING), fragment(only(plan(1, 0)), SPELLING))
    assert tables(edit) == ["*filter", "*nat"]


def test_a_changed_endpoint_writes_its_own_chains_alone() -> None:
    edit = Edit()
    edit.replace(fragment(only(plan(1, 1)), SPELLING), fragment(only(plan(1, 2)), SPELLING))
    assert [c[:9] for c in edit.tables["nat"].written] == ["KUBE-SEP-", "KUBE-SVC-"]
    assert not edit.tables["nat"].put_in


def test_written_whole_it_has_every_chain() -> None:
    """In a large cluster's changed Service, what is not changed is spelled anew, too."""
    edit, plain = Edit(), replace(SPELLING, endpoint_comments=False)
    before, after = (fragment(only(plan(1, n)), plain) for n in (2, 3))
    edit.replace(before, after, whole=True)
    assert edit.tables["nat"].written.keys() == after.chains.keys()


def test_ours_is_put_back_as_it_was() -> None:
    before = ruleset(2)
    before["nat"].chains |= {"DOCKER": []}
    assert not difference(ours(before), before)
    assert (
        difference(ours(before), {}).tables["nat"].written.keys()
        >= fragment(only(plan(1)), SPELLING).chains.keys()
    )


def test_nothing_is_no_input() -> None:
    edit = Edit()
    edit.replace(NOTHING, NOTHING)
    assert list(edit.inputs(WHOLE)) == []
    assert parse("") == {}


CREATED = bytes.fromhex("4c000000030a0002") + bytes(16) + b"\x16\0\x03\0KUBE-PROXY-CANARY\0\0\0" + bytes(28)
DELETED = CREATED.replace(b"\x03\x0a", b"\x05\x0a", 1)
OTHER = DELETED.replace(b"CANARY", b"SPARRO")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", False),
        (CREATED, False),
        (OTHER, False),
        (DELETED, True),
        (CREATED + OTHER + DELETED, True),
        (bytes(64), False),
    ],
    ids=["nothing", "made", "another chain", "deleted", "the last of three", "no messages"],
)
def test_the_canary_s_end_is_heard(data: bytes, expected: bool) -> None:
    assert deletes_canary(data) is expected
