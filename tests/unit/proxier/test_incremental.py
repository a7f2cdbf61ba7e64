"""The plan that follows the changes is the plan made from nothing, and keeps kube-proxy's promises."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from testbed.proxier.plan import NodePlan, Origin, Scope, Source, WhenEmpty
from testbed.proxier.proxier import Proxier, Settings, node_plan
from tests.unit.proxier.objects import FACTS, Step, World, changes, endpoint, endpoint_slice, service, steps

ZONE = {"topology.kubernetes.io/zone": "za"}

plans = st.builds(lambda batches: _replayed(batches)[1].plan, steps(max_size=6))


def _replayed(batches: list[Step]) -> tuple[World, Proxier]:
    world, proxier = World(), Proxier(FACTS, ZONE)
    for step in batches:
        proxier.update(changes(world, step))
    return world, proxier


@given(steps(max_size=8))
def test_plan_after_changes_equals_the_full_pass(batches: list[Step]) -> None:
    world, proxier = _replayed(batches)
    whole = node_plan(FACTS, Settings(), world.kind("Service"), world.kind("EndpointSlice"), ZONE)
    assert proxier.plan == whole


@given(steps(max_size=8))
def test_deltas_lead_from_plan_to_plan(batches: list[Step]) -> None:
    world, proxier = World(), Proxier(FACTS, ZONE)
    held = dict(proxier.plan.services)
    for step in batches:
        delta = proxier.update(changes(world, step))
        assert all(held.get(key) != plan for key, plan in delta.changed.items())
        assert delta.removed <= held.keys()
        held = {k: v for k, v in held.items() if k not in delta.removed} | delta.changed
        assert dict(proxier.plan.services) == held


@given(steps(min_size=1, max_size=4))
def test_a_plan_that_was_handed_out_does_not_change(batches: list[Step]) -> None:
    _, proxier = _replayed(batches[:-1])
    before = proxier.plan
    copy = NodePlan(before.facts, dict(before.services))
    proxier.update(changes(World(), batches[-1]))
    assert before == copy


@given(plans)
def test_endpoints_are_sorted_by_their_text_and_unique(plan: NodePlan) -> None:
    for service_plan in plan.services.values():
        for route in (r for f in service_plan.frontends for r in f.routes):
            texts = [str(e) for e in route.endpoints]
            assert texts == sorted(set(texts))


@given(plans)
def test_every_frontend_ends_with_a_route_for_any_source(plan: NodePlan) -> None:
    for frontend in (f for s in plan.services.values() for f in s.frontends):
        sources = [route.source for route in frontend.routes]
        assert sources[-1] is Source.ANY
        assert len(set(sources)) == len(sources)


@given(plans)
def test_local_scope_holds_only_endpoints_of_this_node(plan: NodePlan) -> None:
    routes = [r for s in plan.services.values() for f in s.frontends for r in f.routes]
    assert all(e.local for r in routes if r.scope is Scope.LOCAL for e in r.endpoints)


@given(plans)
def test_drop_means_that_others_have_endpoints(plan: NodePlan) -> None:
    """Only policy Local can leave a node without endpoints while there are some."""
    for route in (r for s in plan.services.values() for f in s.frontends for r in f.routes):
        if not route.endpoints and route.scope is Scope.CLUSTER:
            assert route.when_empty is WhenEmpty.REJECT


@given(plans)
def test_families_do_not_mix(plan: NodePlan) -> None:
    for key, service_plan in plan.services.items():
        addresses = [f.address for f in service_plan.frontends if f.address]
        addresses += [e.address for e in service_plan.endpoints()]
        assert all(address.version == key.family for address in addresses)


@given(plans)
def test_only_load_balancer_addresses_are_guarded(plan: NodePlan) -> None:
    frontends = [f for s in plan.services.values() for f in s.frontends]
    assert all(f.origin is Origin.LOAD_BALANCER for f in frontends if f.sources)


@given(plans, st.randoms())
def test_the_order_of_services_in_a_plan_is_irrelevant(plan: NodePlan, random: object) -> None:
    keys = list(plan.services)
    random.shuffle(keys)  # type: ignore[attr-defined]
    assert NodePlan(plan.facts, {key: plan.services[key] for key in keys}) == plan


def test_a_change_that_changes_nothing_is_no_delta() -> None:
    proxier = Proxier(FACTS, {})
    proxier.update([("Service", None, service())])
    assert not proxier.update([("Service", service(), service() | {"spec": service()["spec"]})])


def test_delete_and_add_in_one_batch_is_one_change() -> None:
    proxier = Proxier(FACTS, {})
    proxier.update([("Service", None, service())])
    delta = proxier.update([("Service", service(), None), ("Service", None, service(clusterIP="10.96.0.11"))])
    assert len(delta.changed) == 1
    assert not delta.removed


def test_a_new_zone_of_the_node_replans_what_hints_choose() -> None:
    ends = [
        endpoint(f"10.244.1.{i}") | {"hints": {"forZones": [{"name": z}]}} for i, z in enumerate(["za", "zb"])
    ]
    proxier = Proxier(FACTS, ZONE)
    proxier.update([("Service", None, service()), ("EndpointSlice", None, endpoint_slice(ends))])
    node = {"kind": "Node", "metadata": {"name": "node1", "labels": {"topology.kubernetes.io/zone": "zb"}}}
    (changed,) = proxier.update([("Node", None, node)]).changed.values()
    assert [str(e) for e in changed.endpoints()] == ["10.244.1.1:8080"]


def test_another_node_changes_nothing() -> None:
    proxier = Proxier(FACTS, ZONE)
    proxier.update([("Service", None, service())])
    node = {"kind": "Node", "metadata": {"name": "node2", "labels": {"topology.kubernetes.io/zone": "zb"}}}
    assert not proxier.update([("Node", None, node)])


def test_the_hidden_label_takes_a_service_away() -> None:
    proxier = Proxier(FACTS, {})
    proxier.update([("Service", None, service())])
    hidden = service()
    hidden["metadata"]["labels"] = {"service.kubernetes.io/service-proxy-name": "other"}
    delta = proxier.update([("Service", service(), hidden)])
    assert [str(key) for key in delta.removed] == ["default/web:http"]


def test_work_is_for_the_services_concerned_only() -> None:
    """The plans of other services are the same objects as before, not equal ones made again."""
    proxier = Proxier(FACTS, {})
    proxier.update(("Service", None, service(f"svc-{i}", clusterIP=f"10.96.0.{i}")) for i in range(1, 50))
    before = proxier.plan.services
    proxier.update([("EndpointSlice", None, endpoint_slice([endpoint("10.244.1.5")], of="svc-7"))])
    after = proxier.plan.services
    assert [str(k) for k in after if after[k] is not before[k]] == ["default/svc-7:http"]
