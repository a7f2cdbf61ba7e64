"""The ranges of cluster IPs come from ServiceCIDR objects, and are a fact of the node's plan."""

from __future__ import annotations

from ipaddress import ip_network

from testbed.proxier.proxier import Proxier, Settings, node_plan
from tests.unit.proxier.objects import FACTS, Object, service


def service_cidr(name: str, *cidrs: str) -> Object:
    return {"kind": "ServiceCIDR", "metadata": {"name": name}, "spec": {"cidrs": list(cidrs)}}


DEFAULT = service_cidr("kubernetes", "10.96.0.0/16", "fd00:10:96::/112")
MORE = service_cidr("more", "10.97.0.0/16")


def ranges(proxier: Proxier) -> list[str]:
    return [str(network) for network in proxier.plan.facts.service_ranges]


def test_all_objects_count_in_the_order_of_their_networks() -> None:
    proxier = Proxier(FACTS, {})
    proxier.update([("ServiceCIDR", None, MORE), ("ServiceCIDR", None, DEFAULT)])
    assert ranges(proxier) == ["10.96.0.0/16", "10.97.0.0/16", "fd00:10:96::/112"]


def test_a_deleted_object_takes_its_ranges_along() -> None:
    proxier = Proxier(FACTS, {})
    proxier.update([("ServiceCIDR", None, MORE), ("ServiceCIDR", None, DEFAULT)])
    proxier.update([("ServiceCIDR", DEFAULT, None)])
    assert ranges(proxier) == ["10.97.0.0/16"]


def test_a_range_of_two_objects_stays_until_both_are_gone() -> None:
    proxier, again = Proxier(FACTS, {}), service_cidr("again", "10.97.0.0/16")
    proxier.update([("ServiceCIDR", None, MORE), ("ServiceCIDR", None, again)])
    proxier.update([("ServiceCIDR", MORE, None)])
    assert ranges(proxier) == ["10.97.0.0/16"]


def test_no_service_port_is_concerned() -> None:
    proxier = Proxier(FACTS, {})
    proxier.update([("Service", None, service())])
    before = proxier.plan.services
    assert not proxier.update([("ServiceCIDR", None, MORE)])
    assert proxier.plan.services is before


def test_what_is_no_network_is_passed_over() -> None:
    proxier = Proxier(FACTS, {})
    proxier.update([("ServiceCIDR", None, service_cidr("odd", "10.96.0.0", "nonsense", "10.97.0.0/16"))])
    assert ranges(proxier) == ["10.97.0.0/16"]


def test_the_full_pass_knows_them_as_well() -> None:
    plan = node_plan(FACTS, Settings(), [], [], service_cidrs=[MORE])
    assert plan.facts.service_ranges == (ip_network("10.97.0.0/16"),)
