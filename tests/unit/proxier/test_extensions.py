"""What annotations of ours become in the plan: options of a service port, weights of endpoints."""

from __future__ import annotations

import pytest

from testbed.proxier.plan import PlanDelta, ServicePlan
from testbed.proxier.proxier import Proxier
from tests.unit.proxier.objects import FACTS, Object, endpoint, endpoint_slice, port, service

ADDRESSES = ("10.244.0.5", "10.244.1.5")


def annotated(obj: Object, **annotations: str) -> Object:
    """The object with annotations of ours."""
    ours = {f"testbed.dev/{word.replace('_', '-')}": text for word, text in annotations.items()}
    return {**obj, "metadata": {**obj["metadata"], "annotations": ours}}


def weighted(text: str) -> Object:
    return annotated(endpoint_slice([endpoint(address) for address in ADDRESSES]), weights=text)


def planned(*objects: Object) -> ServicePlan:
    proxier = Proxier(FACTS, {})
    proxier.update([(obj["kind"], None, obj) for obj in objects])
    (plan,) = proxier.plan.services.values()
    return plan


def changed(before: Object, after: Object, *others: Object) -> PlanDelta:
    """What a node has to do when one object changes."""
    proxier = Proxier(FACTS, {})
    proxier.update([(obj["kind"], None, obj) for obj in (before, *others)])
    return proxier.update([(before["kind"], before, after)])


def test_every_port_of_a_service_has_its_options() -> None:
    two = service(ports=[port(), port(81, "admin")])
    proxier = Proxier(FACTS, {})
    proxier.update([("Service", None, annotated(two, ipvs_scheduler="wrr", other="x"))])
    assert [plan.options for plan in proxier.plan.services.values()] == [
        (("ipvs-scheduler", "wrr"), ("other", "x"))
    ] * 2


def test_a_changed_option_is_a_changed_service_port() -> None:
    plain = service()
    delta = changed(plain, annotated(plain, ipvs_scheduler="sh"))
    assert [plan.options for plan in delta.changed.values()] == [(("ipvs-scheduler", "sh"),)]


def test_somebody_else_s_annotation_changes_nothing() -> None:
    plain = service()
    other = {**plain, "metadata": {**plain["metadata"], "annotations": {"example.com/ipvs-scheduler": "sh"}}}
    assert not changed(plain, other)


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("10.244.0.5=3", [3, 1]),
        ("10.244.1.5=0,10.244.0.5=2", [2, 0]),
        ("", [1, 1]),
        ("10.244.0.5=-1", [1, 1]),
    ],
)
def test_endpoints_have_their_weights(text: str, weights: list[int]) -> None:
    assert [each.weight for each in planned(service(), weighted(text)).endpoints()] == weights


def test_a_changed_weight_is_a_changed_service_port() -> None:
    delta = changed(weighted("10.244.0.5=3"), weighted("10.244.0.5=0"), service())
    assert [each.weight for plan in delta.changed.values() for each in plan.endpoints()] == [0, 1]
