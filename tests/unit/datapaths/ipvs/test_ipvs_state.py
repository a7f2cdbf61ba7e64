"""Deltas lead where the whole leads: after any steps the books and the kernel are as the last plan wants them."""

from __future__ import annotations

from hypothesis import given

from testbed.datapaths.ipvs.items import Element
from testbed.datapaths.ipvs.options import Options
from testbed.datapaths.ipvs.service import site_of
from testbed.datapaths.ipvs.state import Changes, Servers, changes, wanted
from testbed.proxier.plan import Family, NodePlan
from testbed.proxier.proxier import Proxier
from tests.unit.proxier.objects import FACTS, Step, World, endpoint, endpoint_slice, service, steps
from tests.unit.proxier.objects import changes as objects_changes

SITE = site_of(FACTS, Options())


class Model:
    """A kernel of dictionaries: what it holds after changes."""

    def __init__(self) -> None:
        self.servers: Servers = {}
        self.elements: set[Element] = set()

    def follow(self, made: Changes) -> None:
        """As `mend.py` does; what is there must not be new, and what is gone must have been there."""
        assert self.elements.isdisjoint(made.new)
        self.elements |= set(made.new)
        assert self.elements >= set(made.gone)
        self.elements -= set(made.gone)
        for server in made.touched():
            assert self.servers.get(server) == made.before.get(server)
            if server in made.after:
                self.servers[server] = made.after[server]
            else:
                del self.servers[server]


@given(batches=steps(min_size=1, max_size=8))
def test_steps_lead_where_the_whole_leads(batches: list[Step]) -> None:
    world, proxier, model = World(), Proxier(FACTS, {}), Model()
    books = wanted(proxier.plan, SITE).books
    for step in batches:
        delta = proxier.update(objects_changes(world, step))
        made = changes(delta.before, delta.changed, books, SITE)
        assert made
        model.follow(made)
    whole = wanted(proxier.plan, SITE)
    assert model.servers == whole.servers
    assert model.elements == set(whole.books.elements)
    assert books.elements == whole.books.elements
    assert +books.filled == whole.books.filled
    assert [books.tables(SITE, f) for f in Family] == [whole.books.tables(SITE, f) for f in Family]


def test_what_two_ask_for_stays_as_long_as_one_does() -> None:
    """Two Services with one endpoint on this node: one hairpin element."""
    here = endpoint("10.244.0.5", FACTS.node)
    objects = [
        service("web"),
        endpoint_slice([here], "web"),
        service("api", clusterIP="10.96.0.11"),
        endpoint_slice([here], "api"),
    ]
    proxier = Proxier(FACTS, {})
    books = wanted(proxier.plan, SITE).books
    proxier.update([(each["kind"], None, each) for each in objects])
    changes({}, proxier.plan.services, books, SITE)
    first = proxier.update([("Service", objects[0], None)])
    made = changes(first.before, first.changed, books, SITE)
    assert made
    assert "10.244.0.5,tcp:8080,10.244.0.5" not in map(str, made.gone)
    last = proxier.update([("Service", objects[2], None)])
    made = changes(last.before, last.changed, books, SITE)
    assert made
    assert "10.244.0.5,tcp:8080,10.244.0.5" in map(str, made.gone)
    assert not books.elements


def test_one_address_for_two_services_is_for_a_full_pass() -> None:
    """kube-proxy's Services come in the order of a Go map there; here the first by name has it."""
    both = [
        service(name, clusterIP=f"10.96.0.{n}", externalIPs=["203.0.113.9"]) for n, name in enumerate("ab", 1)
    ]
    slices = [endpoint_slice([endpoint(f"10.244.1.{n}")], name) for n, name in enumerate("ab", 1)]
    proxier = Proxier(FACTS, {})
    books = wanted(proxier.plan, SITE).books
    delta = proxier.update([(each["kind"], None, each) for each in (*both, *slices)])
    assert changes(delta.before, delta.changed, books, SITE) is None
    shared = wanted(NodePlan(FACTS, proxier.plan.services), SITE).servers
    ((_, reals),) = (how for server, how in shared.items() if "203.0.113.9" in str(server))
    assert [address for address, _ in reals] == [bytes([10, 244, 1, 1])]
