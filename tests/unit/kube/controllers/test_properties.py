"""Whatever happens in whatever order: what the controllers leave behind fits what is wanted."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from testbed.errors import ManifestErrors, NotFound
from testbed.kube.controllers.metadata import pod_ready
from testbed.kube.controllers.selectors import has_all, labels_of
from testbed.kube.store import ended, terminating
from tests.unit.kube.api.builders import deployment, pod, service
from tests.unit.kube.controllers.playground import Playground

values = st.sampled_from(["x", "y"])
labels = st.fixed_dictionaries({}, optional={"app": values, "tier": values})
selectors = st.fixed_dictionaries({"app": values}, optional={"tier": values})
pods = st.sampled_from([f"p{n}" for n in range(4)] + ["d-1", "d-2"])
services = st.sampled_from(["s1", "s2"])
actions = st.one_of(
    st.tuples(st.just("pod"), pods, labels),
    st.tuples(st.just("report"), pods, st.booleans(), st.sampled_from(["Running", "Failed", "Succeeded"])),
    st.tuples(st.just("delete pod"), pods),
    st.tuples(st.just("pod is gone"), pods),
    st.tuples(
        st.just("service"), services, selectors,
        st.sampled_from(["SingleStack", "PreferDualStack"]), st.sampled_from(["ClusterIP", "LoadBalancer"]),
    ),
    st.tuples(st.just("delete service"), services),
    st.tuples(st.just("deployment"), st.integers(0, 4), st.sampled_from(["x:1", "x:2"])),
    st.tuples(st.just("settle")),
)  # fmt: skip


def act(play: Playground, action: tuple[Any, ...]) -> None:
    match action:
        case "pod", name, given_labels:
            play.registry.apply([pod(name, labels=given_labels)])
        case "report", name, ready, phase if play.store.get("Pod", "default", name):
            report(play, name, ready, phase)
        case "delete pod", name:
            play.registry.delete("Pod", "default", name)
        case "pod is gone", name:
            play.store.delete("Pod", "default", name)
        case "service", name, selector, policy, kind:
            play.registry.apply([service(name, selector=selector, ipFamilyPolicy=policy, type=kind)])
        case "delete service", name:
            play.registry.delete("Service", "default", name)
        case "deployment", replicas, image:
            play.registry.apply([deployment("d", replicas, image)])
        case "settle":
            play.settle()


def report(play: Playground, name: str, ready: bool, phase: str) -> None:
    """A kubelet's word, without waiting for anybody."""
    number = 1 + ["p0", "p1", "p2", "p3", "d-1", "d-2"].index(name)
    status = {
        "phase": phase,
        "podIPs": [{"ip": f"10.244.0.{number}"}, {"ip": f"fd00:10:244::{number}"}],
        "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
    }
    play.store.mutate("Pod", "default", name, lambda old: {**old, "status": status})


def check_slices(play: Playground) -> None:
    """The endpoints of a Service are the pods that it selects, in each family, with the right conditions."""
    for obj in play.store.list("Service"):
        selector, name = obj["spec"]["selector"], obj["metadata"]["name"]
        selected = [p for p in play.store.list("Pod") if has_all(labels_of(p), selector) and not ended(p)]
        expected = {
            p["metadata"]["name"]: (pod_ready(p) and not terminating(p), pod_ready(p), terminating(p))
            for p in selected
            if p["status"].get("podIPs")
        }
        for family in ("IPv4", "IPv6"):
            found = {n: tuple(e["conditions"].values()) for n, e in play.endpoints(name, family).items()}
            assert found == (expected if family in obj["spec"]["ipFamilies"] else {})


def check_load_balancers(play: Playground) -> None:
    held = []
    for obj in play.store.list("Service"):
        ips = [entry["ip"] for entry in obj["status"]["loadBalancer"].get("ingress", [])]
        assert bool(ips) == (obj["spec"]["type"] == "LoadBalancer")
        held += ips
    assert len(held) == len(set(held))


def check_deployment(play: Playground) -> None:
    deployed = play.store.get("Deployment", "default", "d")
    if deployed is not None:
        living = [
            p
            for p in play.store.list("Pod")
            if "ownerReferences" in p["metadata"] and not terminating(p) and not ended(p)
        ]
        assert len(living) >= deployed["spec"]["replicas"]
        assert deployed["status"]["replicas"] == len(living)


@settings(max_examples=150, deadline=None)
@given(st.lists(actions, max_size=25))
def test_any_sequence_of_events(script: list[tuple[Any, ...]]) -> None:
    play = Playground()
    for action in script:
        with contextlib.suppress(NotFound, ManifestErrors):
            act(play, action)
    play.settle()
    check_slices(play)
    check_load_balancers(play)
    check_deployment(play)
    assert all(p["spec"].get("nodeName") for p in play.store.list("Pod") if not ended(p))
    assert not [s for s in play.store.list("EndpointSlice") if not play.store.get(
        "Service", "default", s["metadata"]["labels"]["kubernetes.io/service-name"])]  # fmt: skip
