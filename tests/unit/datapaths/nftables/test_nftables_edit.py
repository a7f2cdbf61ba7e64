"""Changes of tables: a delta leads where a full pass leads, and no step is one that the kernel would refuse."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings

from testbed.datapaths.nftables.claims import Claims
from testbed.datapaths.nftables.contents import Contents
from testbed.datapaths.nftables.datapath import table_edit
from testbed.datapaths.nftables.edit import Edit, difference, whole
from testbed.datapaths.nftables.model import Chain, Element, Hook, Rule, Set, Verdict
from testbed.datapaths.nftables.render import contents
from testbed.datapaths.nftables.settings import Settings
from testbed.proxier.plan import Family, NodePlan
from testbed.proxier.proxier import Proxier
from tests.unit.datapaths import golden_cases
from tests.unit.datapaths.nftables.interpreter import carry_out, used
from tests.unit.proxier.objects import (
    FACTS,
    Object,
    Step,
    World,
    changes,
    endpoint,
    endpoint_slice,
    service,
    steps,
)

IPV4 = Settings(Family.IPV4, FACTS)
ENDS = [endpoint("10.244.1.5"), endpoint("10.244.1.6")]


def wanted(case: str) -> Contents:
    plan = golden_cases.plan(case)
    return contents(plan, Settings(Family.IPV4, plan.facts))


class Follower:
    """The tables of both families, kept up to date by deltas alone."""

    def __init__(self) -> None:
        self.proxier = Proxier(FACTS, {})
        self.settings = [Settings(family, FACTS) for family in Family]
        self.tables = [contents(self.proxier.plan, each) for each in self.settings]
        self.claims = [Claims() for _ in Family]

    def take(self, *objects: tuple[str, Object | None, Object | None]) -> list[Edit]:
        """Take changes in; returns what each family's table went through."""
        delta, made = self.proxier.update(objects), []
        for each, table, claims in zip(self.settings, self.tables, self.claims, strict=True):
            edit = table_edit(delta, self.proxier.plan, each, claims)
            carry_out(edit, table)
            made.append(edit)
        return made

    def is_right(self) -> bool:
        plan = self.proxier.plan
        return self.tables == [contents(plan, each) for each in self.settings]


@settings(max_examples=60, deadline=None)
@given(batches=steps(min_size=1, max_size=6))
def test_deltas_lead_where_a_full_pass_leads(batches: list[Step]) -> None:
    world, follower = World(), Follower()
    for step in batches:
        follower.take(*changes(world, step))
        assert follower.is_right()


@pytest.mark.parametrize("after", golden_cases.CASES)
@pytest.mark.parametrize("before", ["nothing", "affinity-policy-local", "source-ranges", "node-port"])
def test_a_difference_leads_from_any_table_to_any_other(before: str, after: str) -> None:
    table, goal = wanted(before), wanted(after)
    goal.table = table.table
    edit = difference(goal, copy.deepcopy(table))
    assert edit is not None
    carry_out(edit, table)
    assert table == goal


def test_there_is_no_difference_to_what_is_right() -> None:
    assert not difference(wanted("several-services"), wanted("several-services"))


def test_an_empty_table_is_filled() -> None:
    goal = wanted("affinity-policy-local")
    table = Contents(goal.table)
    carry_out(whole(goal), table)
    assert table == goal


def test_one_endpoint_more_rewrites_one_chain_and_nothing_else() -> None:
    follower, few = Follower(), endpoint_slice(ENDS[:1])
    follower.take(("Service", None, service()), ("EndpointSlice", None, few))
    edit, other = follower.take(("EndpointSlice", few, endpoint_slice(ENDS)))
    [step] = edit.steps()
    assert [chain.name for chain in step.flushed] == [step.added[0].chain]  # type: ignore[union-attr]
    assert len(step.added) == 1
    assert not other


def test_affinity_with_another_timeout_makes_the_set_and_its_users_anew() -> None:
    follower = Follower()
    before = service(sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 60}})
    after = service(sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 61}})
    follower.take(("Service", None, before), ("EndpointSlice", None, endpoint_slice(ENDS)))
    edit, _ = follower.take(("Service", before, after))
    assert {of.timeout for of in edit.replaced if isinstance(of, Set)} == {61}
    assert follower.is_right()


def test_a_set_of_another_kind_is_made_anew_with_its_elements_and_its_users() -> None:
    goal, table = wanted("cluster-ip"), wanted("cluster-ip")
    table.sets["cluster-ips"] = Set("cluster-ips", ())
    del table.elements["cluster-ips"]
    edit = difference(goal, table)
    assert edit is not None
    carry_out(edit, table)
    assert table == goal


@pytest.mark.parametrize("what", ["hook", "comment"])
def test_a_table_whose_frame_is_another_must_be_made_anew(what: str) -> None:
    table = wanted("nothing")
    if what == "hook":
        table.chains["nat-output"] = Chain("nat-output", Hook("nat", "output", 5))
    else:
        table.table = table.table._replace(comment="of somebody else")
    assert difference(wanted("nothing"), table) is None


def test_what_is_not_ours_goes() -> None:
    goal, table = wanted("cluster-ip"), wanted("cluster-ip")
    table.chains |= {name: Chain(name) for name in ("mine", "service-ZZZZZZZZ-default/gone/tcp/")}
    table.rules["mine"] = [Rule("mine", (Verdict("goto", "service-ZZZZZZZZ-default/gone/tcp/"),))]
    table.rules["services"].insert(0, Rule("services", (Verdict("jump", "mine"),)))
    edit = difference(goal, table)
    assert edit is not None
    carry_out(edit, table)
    assert table == goal


# Two service ports that claim one element


def shared(name: str, number: int) -> Object:
    return service(name, clusterIP=f"10.96.0.{number}", externalIPs=["203.0.113.9"])


def holder(table: Contents) -> str:
    """The chain that the shared external address leads to."""
    [found] = [each for key, each in table.elements["service-ips"].items() if str(key[0]) == "203.0.113.9"]
    assert found.verdict is not None
    return found.verdict.chain.split("/")[1]


@pytest.fixture
def both() -> Follower:
    """Two Services with one external address and port."""
    follower = Follower()
    for number, name in ((11, "b"), (12, "a")):
        ends = endpoint_slice([endpoint(f"10.244.1.{number}")], name)
        follower.take(("Service", None, shared(name, number)), ("EndpointSlice", None, ends))
    return follower


def test_the_first_in_order_has_what_two_claim(both: Follower) -> None:
    assert holder(both.tables[0]) == "a"
    assert both.is_right()


@pytest.mark.parametrize(("gone", "left"), [(("a", 12), "b"), (("b", 11), "a")])
def test_who_is_left_has_it(both: Follower, gone: tuple[str, int], left: str) -> None:
    both.take(("Service", shared(*gone), None))
    assert holder(both.tables[0]) == left
    assert both.is_right()


def test_a_cluster_ip_stays_until_its_last_port_is_gone() -> None:
    follower = Follower()
    two = [{"name": name, "port": port, "protocol": "TCP"} for name, port in (("x", 80), ("y", 81))]
    before, after = service(ports=two), service(ports=two[:1])
    follower.take(("Service", None, before))
    edit, _ = follower.take(("Service", before, after))
    assert "cluster-ips" not in {each.of for each in edit.taken_out}
    edit, _ = follower.take(("Service", after, None))
    assert [each.of for each in edit.taken_out].count("cluster-ips") == 1


def test_an_element_with_another_verdict_changes_in_one_step() -> None:
    old = Element("service-ips", ("tcp", 80), Verdict("goto", "a"))
    edit = Edit(put_in=[old._replace(verdict=Verdict("goto", "b"))], taken_out=[old])
    [step] = edit.steps()
    assert step.deleted == [old]
    assert len(step.added) == 1


def test_every_chain_and_set_of_a_service_is_used() -> None:
    """Guards the interpreter: nothing in use would mean that it looks at nothing."""
    plan: NodePlan = golden_cases.plan("affinity-policy-local")
    table = contents(plan, Settings(Family.IPV4, plan.facts))
    own = {name for name in (*table.chains, *table.sets) if "/" in name}
    assert own <= used(table)
    assert len(own) == 7
