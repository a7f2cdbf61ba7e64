"""Selectors: the grammar of labels and of fields, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.errors import StatusError
from testbed.kube.api.rest.selectors import field_selector, label_selector
from testbed.kube.objects import KINDS

LABELS = {"app": "web", "tier": "front", "size": "12", "example.com/empty": ""}


def labelled(labels: dict[str, str]) -> dict[str, Any]:
    return {"metadata": {"name": "a", "labels": labels}}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("", True),
        ("app=web", True), ("app==web", True), ("app = web", True), ("app=other", False),
        ("app!=web", False), ("app!=other", True), ("none!=x", True),
        ("app", True), ("none", False), ("!none", True), ("!app", False), ("! app", False),
        ("app in (web,api)", True), ("app in(api)", False), ("app in ( web )", True),
        ("app notin (web)", False), ("app notin (api)", True), ("none notin (a)", True),
        ("size>11", True), ("size>12", False), ("size<13", True), ("app>1", False),
        ("app=web,tier=front", True), ("app=web, tier in (front,back) ,!none", True), ("app=web,tier=back", False),
        ("example.com/empty=", True), ("example.com/empty in (,a)", True),
    ],
)  # fmt: skip
def test_labels(selector: str, expected: bool) -> None:
    assert label_selector(selector)(labelled(LABELS)) is expected


@pytest.mark.parametrize(
    "selector",
    [
        "app=web,",
        ",app",
        "app=a b",
        "app in web",
        "app in (a",
        "=web",
        "app=$x",
        "a/b/c=d",
        "size>big",
        "()",
        "a=b=c",
    ],
)
def test_labels_refused(selector: str) -> None:
    with pytest.raises(StatusError, match="unable to parse requirement"):
        label_selector(selector)


POD = {
    "metadata": {"name": "a", "namespace": "shop"},
    "spec": {"nodeName": "node1", "hostNetwork": False},
    "status": {"phase": "Running"},
}
EVENT = {
    "metadata": {"name": "e"},
    "involvedObject": {"kind": "Pod", "name": "a", "uid": "u"},
    "reason": "Killing",
    "source": {"component": "kubelet"},
}


@pytest.mark.parametrize(
    ("kind", "obj", "selector", "expected"),
    [
        ("Pod", POD, "", True),
        ("Pod", POD, "metadata.name=a", True),
        ("Pod", POD, "metadata.name==a,metadata.namespace=shop", True),
        ("Pod", POD, "spec.nodeName=node1,status.phase!=Failed", True),
        ("Pod", POD, "status.phase=Failed", False),
        ("Pod", POD, "spec.hostNetwork=false", True),
        ("Pod", POD, "status.podIP=", True),
        ("Node", {"metadata": {"name": "n"}, "spec": {}}, "spec.unschedulable=false", True),
        ("Event", EVENT, "involvedObject.kind=Pod,involvedObject.name=a,involvedObject.uid=u", True),
        ("Event", EVENT, "involvedObject.name=b", False),
        ("Event", EVENT, "source=kubelet,reason=Killing", True),
        ("Secret", {"metadata": {"name": "s"}, "type": "Opaque"}, "type=Opaque", True),
    ],
)
def test_fields(kind: str, obj: dict[str, Any], selector: str, expected: bool) -> None:
    assert field_selector(KINDS[kind], selector)(obj) is expected


@pytest.mark.parametrize(
    ("kind", "selector", "message"),
    [
        ("Pod", "spec.color=red", "field label not supported: spec.color"),
        ("Node", "metadata.namespace=a", "field label not supported: metadata.namespace"),
        ("Pod", "metadata.name", "invalid field selector"),
        ("Pod", "metadata.name>a", "invalid field selector"),
    ],
)
def test_fields_refused(kind: str, selector: str, message: str) -> None:
    with pytest.raises(StatusError, match=message):
        field_selector(KINDS[kind], selector)
