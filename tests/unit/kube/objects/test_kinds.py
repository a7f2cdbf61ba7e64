"""The words for a kind."""

from __future__ import annotations

import pytest

from testbed.errors import UsageError
from testbed.kube.objects import KINDS, kind_named


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("svc", "Service"),
        ("service", "Service"),
        ("services", "Service"),
        ("Service", "Service"),
        ("SERVICES", "Service"),
        ("po", "Pod"),
        ("no", "Node"),
        ("ns", "Namespace"),
        ("deploy", "Deployment"),
        ("endpointslices", "EndpointSlice"),
        ("ep", "Endpoints"),
        ("rs", "ReplicaSet"),
        ("sts", "StatefulSet"),
        ("ds", "DaemonSet"),
        ("cm", "ConfigMap"),
        ("secret", "Secret"),
        ("servicecidr", "ServiceCIDR"),
        ("ev", "Event"),
        ("EndpointSlice", "EndpointSlice"),
        ("pods.v1.", "Pod"),
        ("deployments.apps", "Deployment"),
        ("deploy.v1.apps", "Deployment"),
        ("endpointslices.discovery.k8s.io", "EndpointSlice"),
    ],
)
def test_word(word: str, kind: str) -> None:
    assert kind_named(word) is KINDS[kind]


@pytest.mark.parametrize("word", ["", "cluster", "ingress", "pods.apps"])
def test_unknown_word_names_the_known_ones(word: str) -> None:
    with pytest.raises(
        UsageError, match="known kinds: namespaces/ns, .* services/svc, endpoints/ep, endpointslices"
    ):
        kind_named(word)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("sv", "services"),
        ("podz", "pods"),
        ("Deploymnet", "deployments"),
        ("nodse", "nodes"),
        ("deployments.v2.apps", "deployments"),
    ],
)
def test_unknown_word_close_to_a_known_one(word: str, meant: str) -> None:
    with pytest.raises(UsageError, match=f"did you mean {meant}?"):
        kind_named(word)


def test_no_two_kinds_share_a_word() -> None:
    words = [word for kind in KINDS.values() for word in kind.words()]
    assert len(words) == len(set(words))


@pytest.mark.parametrize(
    ("name", "namespaced"), [("Namespace", False), ("Node", False), ("Pod", True), ("EndpointSlice", True)]
)
def test_namespaced(name: str, namespaced: bool) -> None:
    assert KINDS[name].namespaced is namespaced


def test_all_is_what_runs_and_its_services() -> None:
    found = {kind.name for kind in KINDS.values() if "all" in kind.categories}
    assert found == {"Pod", "ReplicaSet", "Deployment", "StatefulSet", "DaemonSet", "Service"}
