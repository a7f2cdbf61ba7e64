"""Load-balancer addresses: given, wished for, honoured, given back."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

import pytest

from testbed.kube.controllers import Manager
from testbed.kube.controllers.loadbalancer import LoadBalancerController
from testbed.kube.store import Store
from tests.unit.kube.api.builders import service
from tests.unit.kube.controllers.playground import Playground

FIRST, SECOND = "198.51.100.1", "198.51.100.2"


def balanced(name: str = "web", **spec: Any) -> Any:
    return service(name, **({"type": "LoadBalancer"} | spec))


def ips(play: Playground, name: str = "web") -> list[str]:
    status = play.get("Service", name)["status"]["loadBalancer"]
    return [entry["ip"] for entry in status.get("ingress", [])]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param({}, [FIRST], id="lowest free"),
        pytest.param({"ipFamilies": ["IPv6"]}, ["fd00:10:198::1"], id="IPv6"),
        pytest.param({"ipFamilyPolicy": "RequireDualStack"}, [FIRST, "fd00:10:198::1"], id="both families"),
        pytest.param({"loadBalancerIP": "198.51.100.77"}, ["198.51.100.77"], id="wished for"),
        pytest.param(
            {"loadBalancerIP": "198.51.100.77", "ipFamilyPolicy": "PreferDualStack"},
            ["198.51.100.77", "fd00:10:198::1"], id="wished for in one family",
        ),
        pytest.param({"loadBalancerIP": "192.0.2.1"}, [], id="wish outside the range waits"),
        pytest.param({"loadBalancerClass": "example.org/lb"}, [], id="somebody else's"),
        pytest.param({"type": "NodePort"}, [], id="not a load balancer"),
    ],
)  # fmt: skip
def test_new_service(spec: dict[str, Any], expected: list[str]) -> None:
    play = Playground()
    play.apply(balanced(**spec))
    assert ips(play) == expected


def test_addresses_are_service_ips() -> None:
    play = Playground()
    play.apply(balanced())
    assert play.get("Service", "web")["status"]["loadBalancer"]["ingress"] == [{"ip": FIRST, "ipMode": "VIP"}]


def test_one_address_each() -> None:
    play = Playground()
    play.apply(balanced("a"), balanced("b"))
    assert (ips(play, "a"), ips(play, "b")) == ([FIRST], [SECOND])


def test_address_is_kept_on_update() -> None:
    play = Playground()
    play.apply(balanced("a"))
    play.apply(balanced("b"), balanced("a", sessionAffinity="ClientIP"))
    assert ips(play, "a") == [FIRST]


def test_address_of_the_manifest_is_honoured_and_held() -> None:
    play = Playground()
    play.apply(balanced("a", status={"loadBalancer": {"ingress": [{"ip": FIRST}]}}), balanced("b"))
    assert (ips(play, "a"), ips(play, "b")) == ([FIRST], [SECOND])


def test_shared_address_is_free_when_the_last_one_lets_go() -> None:
    play = Playground()
    given = {"loadBalancer": {"ingress": [{"ip": FIRST}]}}
    play.apply(balanced("a", status=given), balanced("b", status=given))
    play.delete("Service", "a")
    play.apply(balanced("c"))
    play.delete("Service", "b")
    play.apply(balanced("d"))
    assert (ips(play, "c"), ips(play, "d")) == ([SECOND], [FIRST])


@pytest.mark.parametrize("change", ["delete", "type"])
def test_released_address_is_given_again(change: str) -> None:
    play = Playground()
    play.apply(balanced("a"))
    if change == "delete":
        play.delete("Service", "a")
    else:
        play.apply(balanced("a", type="ClusterIP"))
    play.apply(balanced("b"))
    assert ips(play, "b") == [FIRST]


def test_another_type_has_no_address() -> None:
    play = Playground()
    play.apply(balanced())
    play.apply(balanced(type="NodePort"))
    assert play.get("Service", "web")["status"] == {"loadBalancer": {}}


def test_wish_that_is_held_waits_for_it() -> None:
    play = Playground()
    play.apply(balanced("a"))
    play.apply(balanced("b", loadBalancerIP=FIRST))
    assert ips(play, "b") == []
    play.delete("Service", "a")
    assert ips(play, "b") == [FIRST]


def test_range_that_is_used_up_makes_others_wait() -> None:
    store = Store()
    manager = Manager(store, [LoadBalancerController([IPv4Network("198.51.100.0/30")])])
    for name in "abc":
        spec = {"type": "LoadBalancer", "ipFamilies": ["IPv4"]}
        store.create({"kind": "Service", "metadata": {"name": name}, "spec": spec, "status": {}})
    assert manager.settle(5)
    assert [bool(s["status"]) for s in store.list("Service")] == [True, True, False]
    store.delete("Service", "", "a")
    assert manager.settle(5)
    assert [s["status"]["loadBalancer"]["ingress"][0]["ip"] for s in store.list("Service")] == [SECOND, FIRST]
