"""Whatever a body says, the answer is an object or a Status; what is refused changes nothing."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.kube.api.rest.asking import APPS, DEFAULT, asked, config_map, deployment, service

JUNK: list[Any] = [
    None, True, 0, -1, 2**31, 2**63 - 1, 1.5, 1e300, "", "../x", " ", "x" * 300, "\0", "é", [], {}, [None], [{}],
    [[]], {"": ""}, {"a": {"b": [1]}}, "None",
]  # fmt: skip
FIELDS = [
    "spec", "metadata", "status", "x", "finalizers", "ownerReferences", "labels", "generateName", "clusterIPs",
    "ipFamilies", "$patch", "$retainKeys", "$setElementOrder/ports", "$deleteFromPrimitiveList/finalizers",
]  # fmt: skip
SERVICE = service(type="LoadBalancer", externalIPs=["192.0.2.1"], ipFamilyPolicy="PreferDualStack")
SERVICE["metadata"] |= {"labels": {"a": "b"}, "annotations": {"c": "d"}, "finalizers": ["example.com/a"]}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p"},
    "spec": {
        "containers": [
            {"name": "m", "ports": [{"containerPort": 80, "name": "h"}], "env": [{"name": "A", "value": "b"}]}
        ]
    },
}
WHOLE = [
    (f"{DEFAULT}/services", SERVICE),
    (f"{DEFAULT}/pods", POD),
    (f"{DEFAULT}/configmaps", config_map()),
    (f"{APPS}/deployments", deployment()),
]
PATCHES = ("merge", "strategic-merge")


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a body."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for step, part in below for place in places(part, (*path, step)))]


@st.composite
def damaged(draw: st.DrawFn, whole: Any) -> Any:
    """A body with junk in the place of something, or beside it."""
    body = copy.deepcopy(whole)
    *way, last = draw(st.sampled_from([place for place in places(body) if place]))
    part = body
    for step in way:
        part = part[step]
    junk = copy.deepcopy(draw(st.sampled_from(JUNK)))
    beside = isinstance(part, dict) and draw(st.booleans())
    part[draw(st.sampled_from(FIELDS)) if beside else last] = junk
    return body


@given(st.data(), st.sampled_from(WHOLE), st.sampled_from(("POST", "PUT", *PATCHES)))
def test_damaged_bodies(data: st.DataObject, place: tuple[str, Any], method: str) -> None:
    path, whole = place
    made = asked()
    if method != "POST":
        made.post(path, whole)
    version = made.store.version
    body = data.draw(damaged(whole))
    target = path if method == "POST" else f"{path}/{whole['metadata']['name']}"
    if method in PATCHES:
        response = made.ask("PATCH", target, body, content_type=f"application/{method}-patch+json")
    else:
        response = made.ask(method, target, body)
    assert isinstance(response.body, bytes)
    told = json.loads(response.body)
    assert response.code < 500, told
    if response.code >= 400:
        assert (told["kind"], told["code"]) == ("Status", response.code)
        assert made.store.version == version
