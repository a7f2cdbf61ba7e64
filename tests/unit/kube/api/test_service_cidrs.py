"""Ranges of cluster IPs: the cluster's own, added ones, and when one may go."""

from __future__ import annotations

import re

import pytest

from testbed.errors import ManifestErrors
from testbed.kube.api.service_cidrs import DEFAULT
from testbed.kube.objects import Manifest
from tests.unit.kube.api.builders import manifest, service
from tests.unit.kube.controllers.playground import Playground


def service_cidr(name: str, *cidrs: str) -> Manifest:
    return manifest("ServiceCIDR", name, spec={"cidrs": list(cidrs)})


@pytest.fixture
def play() -> Playground:
    """A cluster of IPv4 alone."""
    return Playground("ipv4")


def condition(play: Playground, name: str) -> tuple[str, str]:
    (found,) = play.get("ServiceCIDR", name, "")["status"]["conditions"]
    return found["status"], found["reason"]


def test_the_clusters_own_range_is_there(play: Playground) -> None:
    play.settle()
    assert play.get("ServiceCIDR", DEFAULT, "")["spec"]["cidrs"] == ["10.96.0.0/16"]
    assert condition(play, DEFAULT) == ("True", "")


def test_an_address_of_an_added_range_may_be_asked_for(play: Playground) -> None:
    with pytest.raises(ManifestErrors, match=re.escape("range of valid IPs is 10.96.0.0/16")):
        play.apply(service(clusterIP="10.200.0.7"))
    play.apply(service_cidr("more", "10.200.0.0/24"))
    play.apply(service(clusterIP="10.200.0.7"))
    assert play.get("Service", "web")["spec"]["clusterIPs"] == ["10.200.0.7"]


def test_when_the_first_range_is_full_the_next_one_gives() -> None:
    from_small = Playground("ipv4", service_subnet="10.96.0.0/29")
    from_small.apply(*(service(f"s{n}") for n in range(6)))
    with pytest.raises(ManifestErrors, match="range is full"):
        from_small.apply(service("late"))
    from_small.apply(service_cidr("more", "10.200.0.0/28"))
    from_small.apply(service("late"))
    assert from_small.get("Service", "late")["spec"]["clusterIP"].startswith("10.200.0.")


def test_a_range_stays_while_a_service_needs_it(play: Playground) -> None:
    play.apply(service_cidr("more", "10.200.0.0/24"))
    play.apply(service(clusterIP="10.200.0.7"))
    play.delete("ServiceCIDR", "more", "")
    assert condition(play, "more") == ("False", "Terminating")
    with pytest.raises(ManifestErrors, match="range of valid IPs is 10.96.0.0/16"):
        play.apply(service("other", clusterIP="10.200.0.8"))
    play.delete("Service", "web")
    assert play.names("ServiceCIDR") == [DEFAULT]


def test_a_range_that_another_one_covers_may_go(play: Playground) -> None:
    play.apply(service_cidr("more", "10.200.0.0/24"), service_cidr("wider", "10.200.0.0/16"))
    play.apply(service(clusterIP="10.200.0.7"))
    play.delete("ServiceCIDR", "more", "")
    assert play.names("ServiceCIDR") == [DEFAULT, "wider"]


def test_an_address_in_two_ranges_is_held_in_both(play: Playground) -> None:
    play.apply(service_cidr("one", "10.200.0.0/24"), service_cidr("two", "10.200.0.0/16"))
    play.apply(service(clusterIP="10.200.0.7"))
    with pytest.raises(ManifestErrors, match="already allocated"):
        play.apply(service("other", clusterIP="10.200.0.7"))


@pytest.mark.parametrize(
    ("cidr", "owner"),
    [("10.244.3.0/24", "pods"), ("192.168.0.0/16", "nodes"), ("203.0.0.0/8", "the outside")],
)
def test_a_range_that_meets_others_is_refused(play: Playground, cidr: str, owner: str) -> None:
    with pytest.raises(ManifestErrors, match=re.escape(f"({owner})")):
        play.apply(service_cidr("more", cidr))


def test_a_range_does_not_change(play: Playground) -> None:
    play.apply(service_cidr("more", "10.200.0.0/24"))
    with pytest.raises(ManifestErrors, match="field is immutable"):
        play.apply(service_cidr("more", "10.201.0.0/24"))


def test_a_range_and_a_service_in_it_may_come_together(play: Playground) -> None:
    play.apply(service_cidr("more", "10.200.0.0/24"), service(clusterIP="10.200.0.7"))
    assert play.get("Service", "web")["spec"]["clusterIP"] == "10.200.0.7"
