"""What every datapath must keep, whichever it is: found by looking, judged by what the kernel says it holds."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from testbed.datapaths import find
from testbed.datapaths.contract import Datapath, Observed
from testbed.machine.features import ThisMachine
from testbed.machine.netns import Netns
from testbed.proxier.plan import NodePlan
from testbed.proxier.proxier import Proxier, node_plan
from testbed.proxier.proxier import Settings as ProxierSettings
from tests.contract import wanted
from tests.namespaces import fresh_namespace
from tests.require import require
from tests.unit.proxier.objects import FACTS, Step, World, changes, steps
from tests.unit.proxier.test_incremental import plans


def choices() -> list[Any]:
    """Every datapath with every set of options that its folder wants to be judged under."""
    found = []
    for name in find.names():
        for options in find.choices(name):
            found.append(pytest.param((name, options), id="-".join([name, *options.values()])))
    return found


@pytest.fixture(params=choices())
def datapath(request: pytest.FixtureRequest) -> Datapath:
    """A datapath that has served no node yet."""
    name, options = request.param
    return find.load(name, options)


@pytest.fixture
def node(tmp_path: Path, datapath: Datapath) -> Iterator[Netns]:
    """A fresh network namespace as a node, with the addresses that the plans say, where the datapath can be."""
    require(*(missing.feature for missing in datapath.missing(ThisMachine())))
    with fresh_namespace(tmp_path) as made:
        for address in FACTS.addresses:
            made.run(["ip", "address", "add", str(address), "dev", "lo"])
        yield made


pure = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
on_kernel = settings(pure, max_examples=8, phases=[Phase.explicit, Phase.generate])
"""Without shrinking, which takes minutes here. The fixtures are shared by the examples: each of them removes
what it applied and checks that it is gone."""


@pure
@given(plan=plans)
def test_rendering_is_deterministic_whatever_the_order_of_services(
    datapath: Datapath, plan: NodePlan
) -> None:
    keys = list(plan.services)
    random.Random(len(keys)).shuffle(keys)
    shuffled = NodePlan(plan.facts, {key: plan.services[key] for key in keys})
    assert datapath.render(shuffled) == datapath.render(plan)


@pytest.mark.kernel
@on_kernel
@given(plan=plans)
def test_the_kernel_shows_the_plan_s_frontends(datapath: Datapath, node: Netns, plan: NodePlan) -> None:
    datapath.apply(node, plan, None)
    try:
        assert datapath.observe(node).frontends == wanted.frontends(plan, datapath.name)
    finally:
        datapath.remove(node)


@pytest.mark.kernel
@on_kernel
@given(batches=steps(min_size=1, max_size=5))
def test_deltas_lead_where_a_full_pass_leads(datapath: Datapath, node: Netns, batches: list[Step]) -> None:
    world, proxier = World(), Proxier(FACTS, {})
    datapath.apply(node, proxier.plan, None)
    try:
        for step in batches:
            delta = proxier.update(changes(world, step))
            assert not datapath.apply(node, proxier.plan, delta).full
        stepwise = datapath.observe(node)
        whole = node_plan(FACTS, ProxierSettings(), world.kind("Service"), world.kind("EndpointSlice"))
        datapath.apply(node, whole, None)
        assert datapath.observe(node) == stepwise
        assert stepwise.frontends == wanted.frontends(whole, datapath.name)
    finally:
        datapath.remove(node)


@pytest.mark.kernel
@on_kernel
@given(plan=plans)
def test_a_second_full_pass_changes_nothing(datapath: Datapath, node: Netns, plan: NodePlan) -> None:
    datapath.apply(node, plan, None)
    try:
        first = datapath.observe(node)
        datapath.apply(node, plan, None)
        assert datapath.observe(node) == first
    finally:
        datapath.remove(node)


@pytest.mark.kernel
@on_kernel
@given(plan=plans)
def test_removal_leaves_nothing(datapath: Datapath, node: Netns, plan: NodePlan) -> None:
    datapath.apply(node, NodePlan(plan.facts), None)
    datapath.remove(node)
    before = _observed(datapath, node)
    datapath.apply(node, plan, None)
    datapath.remove(node)
    assert _observed(datapath, node) == before
    assert before[0].frontends == ()


def _observed(datapath: Datapath, node: Netns) -> tuple[Observed, list[str]]:
    """What is there, and what an operator would see, without the times that some tools print."""
    shown = [line for line in datapath.show(node).splitlines() if not line.startswith("#")]
    return datapath.observe(node), shown


@pytest.mark.kernel
def test_removal_may_be_repeated(datapath: Datapath, node: Netns) -> None:
    datapath.apply(node, NodePlan(FACTS), None)
    datapath.remove(node)
    datapath.remove(node)
    assert datapath.observe(node).frontends == ()
