"""Families and cluster IPs: one test for each rule of Kubernetes' alloc.go."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Any

import pytest

from testbed.errors import ManifestErrors
from testbed.kube.api.cluster_ips import Range, static_band
from testbed.kube.store import Store
from tests.unit.kube.api.builders import service, started, stored

V4, V6 = "10.96.1.1", "fd00:10:96::101"  # the first addresses after the static band of 256


def spec_of(store: Store, name: str = "web") -> dict[str, Any]:
    return dict(stored(store, "Service", name)["spec"])


def applied(ip_family: str = "dual", **spec: Any) -> dict[str, Any]:
    """The spec of a new Service as stored."""
    store, registry = started(ip_family)
    registry.apply([service(**spec)])
    return spec_of(store)


def reapplied(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    store, registry = started()
    registry.apply([service(**first)])
    registry.apply([service(**second)])
    return spec_of(store)


@pytest.mark.parametrize(
    ("ip_family", "spec", "ips", "families", "policy"),
    [
        pytest.param("dual", {}, [V4], ["IPv4"], "SingleStack", id="single by default"),
        pytest.param("ipv6", {}, [V6], ["IPv6"], "SingleStack", id="primary family of an IPv6 cluster"),
        pytest.param(
            "dual", {"ipFamilies": ["IPv6"]}, [V6], ["IPv6"], "SingleStack", id="single, other family"
        ),
        pytest.param(
            "dual", {"ipFamilyPolicy": "PreferDualStack"}, [V4, V6], ["IPv4", "IPv6"], "PreferDualStack",
            id="prefer dual",
        ),
        pytest.param(
            "ipv4", {"ipFamilyPolicy": "PreferDualStack"}, [V4], ["IPv4"], "PreferDualStack",
            id="prefer dual on a single-stack cluster",
        ),
        pytest.param(
            "dual", {"ipFamilyPolicy": "RequireDualStack"}, [V4, V6], ["IPv4", "IPv6"], "RequireDualStack",
            id="require dual",
        ),
        pytest.param(
            "dual", {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6", "IPv4"]}, [V6, V4],
            ["IPv6", "IPv4"], "RequireDualStack", id="order of families",
        ),
        pytest.param(
            "dual", {"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6"]}, [V6, V4],
            ["IPv6", "IPv4"], "PreferDualStack", id="second family completed",
        ),
        pytest.param(
            "dual", {"clusterIP": "fd00:10:96::9"}, ["fd00:10:96::9"], ["IPv6"], "SingleStack",
            id="family by the given address",
        ),
        pytest.param(
            "dual", {"clusterIPs": ["fd00:10:96:0::9", "10.96.0.9"], "ipFamilyPolicy": "RequireDualStack"},
            ["fd00:10:96::9", "10.96.0.9"], ["IPv6", "IPv4"], "RequireDualStack", id="both given",
        ),
        pytest.param(
            "dual", {"clusterIP": "10.96.0.9", "ipFamilyPolicy": "PreferDualStack"}, ["10.96.0.9", V6],
            ["IPv4", "IPv6"], "PreferDualStack", id="one given, one chosen",
        ),
        pytest.param(
            "dual", {"clusterIP": "None"}, ["None"], ["IPv4"], "SingleStack", id="headless",
        ),
        pytest.param(
            "dual", {"clusterIP": "None", "ipFamilyPolicy": "PreferDualStack"}, ["None"], ["IPv4", "IPv6"],
            "PreferDualStack", id="headless, dual",
        ),
        pytest.param(
            "ipv4", {"clusterIP": "None", "selector": {}}, ["None"], ["IPv4", "IPv6"], "RequireDualStack",
            id="headless without selector has both families even on a single-stack cluster",
        ),
    ],
)  # fmt: skip
def test_new_service(
    ip_family: str, spec: dict[str, Any], ips: list[str], families: list[str], policy: str
) -> None:
    found = applied(ip_family, **spec)
    assert found["clusterIPs"] == ips
    assert found["clusterIP"] == ips[0]
    assert (found["ipFamilies"], found["ipFamilyPolicy"]) == (families, policy)


def test_external_name_has_no_address() -> None:
    found = applied(type="ExternalName", externalName="example.org", ports=[])
    assert not {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"} & found.keys()


@pytest.mark.parametrize(
    ("ip_family", "spec", "path", "message"),
    [
        pytest.param(
            "ipv4", {"ipFamilyPolicy": "RequireDualStack"}, "spec.ipFamilyPolicy",
            "this cluster is not configured for dual-stack services", id="dual on a single-stack cluster",
        ),
        pytest.param(
            "ipv4", {"ipFamilies": ["IPv6"]}, "spec.ipFamilies[0]", "not configured on this cluster",
            id="family that the cluster lacks",
        ),
        pytest.param(
            "ipv4", {"clusterIP": "fd00:10:96::9"}, "spec.clusterIPs[0]",
            "IPv6 is not configured on this cluster", id="address of a family that the cluster lacks",
        ),
        pytest.param(
            "dual", {"ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "SingleStack"}, "spec.ipFamilyPolicy",
            "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified",
            id="two families, single stack",
        ),
        pytest.param(
            "dual", {"clusterIPs": ["10.96.0.9", "fd00:10:96::9"]}, "spec.ipFamilyPolicy",
            "must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified",
            id="two addresses, single stack",
        ),
        pytest.param(
            "dual", {"clusterIP": "10.96.0.9", "ipFamilies": ["IPv6"]}, "spec.clusterIPs[0]",
            "expected an IPv6 value as indicated by `ipFamilies[0]`", id="address and family differ",
        ),
        pytest.param(
            "dual", {"clusterIP": "10.97.0.1"}, "spec.clusterIP",
            "provided IP is not in the valid range. The range of valid IPs is 10.96.0.0/16",
            id="address outside",
        ),
        pytest.param(
            "dual", {"clusterIP": "10.96.0.0"}, "spec.clusterIP", "not in the valid range", id="network",
        ),
        pytest.param(
            "dual", {"clusterIP": "10.96.255.255"}, "spec.clusterIP", "not in the valid range", id="broadcast",
        ),
    ],
)  # fmt: skip
def test_refused(ip_family: str, spec: dict[str, Any], path: str, message: str) -> None:
    _, registry = started(ip_family)
    with pytest.raises(ManifestErrors, match=re.escape(message)) as caught:
        registry.apply([service(**spec)])
    assert [mistake.path for mistake in caught.value.mistakes] == [path]


@pytest.mark.parametrize(
    ("first", "second", "ips"),
    [
        pytest.param({}, {}, [V4], id="nothing said"),
        pytest.param({"clusterIP": "10.96.0.9"}, {}, ["10.96.0.9"], id="chosen address left out"),
        pytest.param({}, {"type": "NodePort"}, [V4], id="another type"),
        pytest.param(
            {"ipFamilyPolicy": "PreferDualStack"}, {}, [V4, V6], id="policy left out keeps both families"
        ),
        pytest.param({}, {"ipFamilyPolicy": "PreferDualStack"}, [V4, V6], id="second family added"),
        pytest.param(
            {"ipFamilyPolicy": "RequireDualStack"}, {"ipFamilyPolicy": "SingleStack"}, [V4],
            id="second family released",
        ),
        pytest.param(
            {"ipFamilyPolicy": "RequireDualStack"}, {"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4"]},
            [V4], id="second family released by name",
        ),
        pytest.param({"clusterIP": "None"}, {}, ["None"], id="headless stays headless"),
    ],
)  # fmt: skip
def test_kept_on_update(first: dict[str, Any], second: dict[str, Any], ips: list[str]) -> None:
    assert reapplied(first, second)["clusterIPs"] == ips


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        pytest.param(
            {}, {"clusterIP": "10.96.0.9"}, "spec.clusterIPs[0]: may not change once set", id="address"
        ),
        pytest.param({}, {"clusterIP": "None"}, "spec.clusterIPs[0]: may not change", id="to headless"),
        pytest.param(
            {"clusterIP": "None"}, {"clusterIP": "10.96.0.9"}, "spec.clusterIPs[0]: may not change",
            id="from headless",
        ),
        pytest.param(
            {"clusterIP": "None"}, {"ipFamilies": ["IPv6"]}, "spec.ipFamilies[0]: may not change",
            id="family of a headless Service",
        ),
        pytest.param(
            {"ipFamilyPolicy": "PreferDualStack"}, {"ipFamilies": ["IPv4"]},
            "must be 'SingleStack' to release the secondary IP family", id="second family, no policy",
        ),
    ],
)  # fmt: skip
def test_cannot_change(first: dict[str, Any], second: dict[str, Any], message: str) -> None:
    with pytest.raises(ManifestErrors, match=re.escape(message)):
        reapplied(first, second)


def test_external_name_gives_its_address_back() -> None:
    store, registry = started()
    registry.apply([service()])
    registry.apply([service(type="ExternalName", externalName="example.org", ports=[])])
    registry.apply([service("other")])
    assert spec_of(store, "other")["clusterIP"] == V4


def test_external_name_that_becomes_a_service_gets_an_address() -> None:
    external = {"type": "ExternalName", "externalName": "example.org", "ports": []}
    assert reapplied(external, {})["clusterIP"] == V4


def test_deleted_service_gives_its_address_back() -> None:
    store, registry = started()
    registry.apply([service("a"), service("b")])
    registry.delete("Service", "default", "a")
    registry.apply([service("c")])
    assert [spec_of(store, name)["clusterIP"] for name in "bc"] == ["10.96.1.2", V4]


def test_address_of_another_service_is_refused() -> None:
    _, registry = started()
    registry.apply([service("a", clusterIP="10.96.0.9")])
    message = "spec.clusterIP: failed to allocate IP 10.96.0.9: provided IP is already allocated"
    with pytest.raises(ManifestErrors, match=message):
        registry.apply([service("b", clusterIP="10.96.0.9")])


def test_two_of_one_call_cannot_share_an_address() -> None:
    _, registry = started()
    with pytest.raises(ManifestErrors, match="already allocated") as caught:
        registry.apply([service("a", clusterIP="10.96.0.9"), service("b", clusterIP="10.96.0.9")])
    assert len(caught.value.mistakes) == 1


def test_wish_goes_before_chance_whatever_the_order() -> None:
    store, registry = started()
    registry.apply([service("a"), service("b", clusterIP=V4)])
    assert [spec_of(store, name)["clusterIP"] for name in "ab"] == ["10.96.1.2", V4]


def test_who_has_an_address_keeps_it_whatever_the_order() -> None:
    _, registry = started()
    registry.apply([service("b")])
    with pytest.raises(ManifestErrors) as caught:
        registry.apply([service("a", clusterIP=V4), service("b")])
    assert [mistake.message for mistake in caught.value.mistakes] == [
        f"failed to allocate IP {V4}: provided IP is already allocated"
    ]


@pytest.mark.parametrize(("size", "band"), [(16, 0), (32, 16), (256, 16), (4096, 256), (65536, 256)])
def test_static_band_of_kep_3070(size: int, band: int) -> None:
    assert static_band(size) == band


def test_small_range_is_used_up_to_the_last_address() -> None:
    found = Range(ip_network("10.0.0.0/29"))
    assert [found.take() for _ in range(7)] == [*(f"10.0.0.{n}" for n in range(1, 7)), None]


def test_ipv6_range_has_no_broadcast() -> None:
    found = Range(ip_network("fd00::/126"))
    assert [found.take() for _ in range(4)] == ["fd00::1", "fd00::2", "fd00::3", None]
