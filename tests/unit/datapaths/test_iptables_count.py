"""How many rules there are: kube-proxy's formula (TestNumberIptablesRules), and that changes keep count."""

from __future__ import annotations

import pytest

from testbed.datapaths.contract import CountsRules
from testbed.datapaths.iptables import datapath
from testbed.datapaths.iptables.count import in_input
from testbed.datapaths.iptables.fake import FakeNode
from testbed.datapaths.iptables.names import is_ours
from testbed.proxier.plan import Family
from testbed.proxier.proxier import Proxier, Settings
from tests.unit.proxier import objects
from tests.unit.proxier.objects import World, endpoint, endpoint_slice, service

NAT, FILTER = (Family.IPV4, "nat"), (Family.IPV4, "filter")


def web(number: int) -> objects.Object:
    return service(f"web-{number}", clusterIP=f"10.96.0.{number}")


def slices(number: int, endpoints: int) -> objects.Object:
    return endpoint_slice(
        [endpoint(f"10.244.{number}.{n}") for n in range(5, 5 + endpoints)], f"web-{number}"
    )


class Lab:
    """A node without kernel, its plan and its datapath."""

    def __init__(self) -> None:
        self.node, self.world, self.datapath = FakeNode(), World(), datapath({})
        self.proxier = Proxier(objects.FACTS, {}, Settings())
        self.datapath.apply(self.node, self.proxier.plan, None)

    def put(self, *changed: objects.Object, full: bool = False) -> None:
        """Objects come, and the node obeys by a delta, or by a full pass."""
        delta = self.proxier.update([self.world.put(each) for each in changed])
        self.datapath.apply(self.node, self.proxier.plan, None if full else delta)

    def held(self, table: str) -> int:
        """The rules of ours that the node holds."""
        chains = self.node.rulesets["iptables"][table].chains
        return sum(len(rules) for chain, rules in chains.items() if is_ours(table, chain))

    def total(self) -> tuple[int, int]:
        total = self.datapath.rule_counts(self.node).total
        return total[NAT], total[FILTER]


@pytest.mark.parametrize(("services", "endpoints"), [(0, 0), (1, 1), (1, 3), (3, 2), (4, 0)])
@pytest.mark.parametrize("full", [True, False], ids=["by a full pass", "by a change"])
def test_the_formula(services: int, endpoints: int, full: bool) -> None:
    """Nat 5 + S·(2 + 3n); a Service without endpoints has one rule, its refusal in filter."""
    lab = Lab()
    bare = lab.total()
    lab.put(*[each for n in range(services) for each in (web(n), slices(n, endpoints))], full=full)
    of_each = 2 + 3 * endpoints if endpoints else 0
    assert bare[0] == 5
    assert lab.total() == (5 + services * of_each, bare[1] + (0 if endpoints else services))


def test_changes_keep_count() -> None:
    lab = Lab()
    for step in ([web(1), web(2)], [slices(1, 3)], [slices(1, 1), slices(2, 2)], [slices(2, 0)]):
        lab.put(*step)
        assert lab.total() == (lab.held("nat"), lab.held("filter"))


def test_what_the_last_round_wrote() -> None:
    lab = Lab()
    lab.put(web(1), slices(1, 1), web(2), slices(2, 1))
    lab.put(slices(1, 2))
    last = lab.datapath.rule_counts(lab.node).last
    assert 0 < last[NAT] < lab.total()[0]
    assert last.get(FILTER, 0) == 0


def test_before_the_first_round_there_is_nothing_to_count() -> None:
    counts = datapath({}).rule_counts(FakeNode())
    assert (counts.total, counts.last) == ({}, {})


def test_it_says_that_it_counts() -> None:
    assert isinstance(datapath({}), CountsRules)


def test_an_input_s_rules_by_table() -> None:
    blocks = ["*filter", ":A - [0:0]", "-A A -j DROP", "COMMIT", "*nat", "-I B -j A", "-D B -j A", "-X A", "COMMIT",
              "*filter", "-I C -j A", "COMMIT", ""]  # fmt: skip
    assert in_input("\n".join(blocks)) == {"filter": 2, "nat": 1}
