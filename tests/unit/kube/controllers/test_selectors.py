"""Selectors: one test for each operator and each way in which it does not hold."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.kube.controllers.selectors import has_all, meets, term_matches

LABELS = {"app": "web", "size": "5"}


@pytest.mark.parametrize(
    ("key", "operator", "values", "expected"),
    [
        ("app", "In", ["web", "api"], True),
        ("app", "In", ["api"], False),
        ("zone", "In", ["a"], False),
        ("app", "NotIn", ["api"], True),
        ("app", "NotIn", ["web"], False),
        ("zone", "NotIn", ["a"], True),
        ("app", "Exists", None, True),
        ("zone", "Exists", None, False),
        ("app", "DoesNotExist", None, False),
        ("zone", "DoesNotExist", None, True),
        ("size", "Gt", ["4"], True),
        ("size", "Gt", ["5"], False),
        ("size", "Lt", ["6"], True),
        ("size", "Lt", ["5"], False),
        ("zone", "Gt", ["4"], False),
        ("app", "Lt", ["4"], False),
    ],
)
def test_match_expression(key: str, operator: str, values: list[str] | None, expected: bool) -> None:
    assert meets(LABELS, {"key": key, "operator": operator, "values": values}) is expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [({}, True), ({"app": "web"}, True), ({"app": "api"}, False), ({"app": "web", "zone": "a"}, False)],
)
def test_equality(wanted: dict[str, str], expected: bool) -> None:
    assert has_all(LABELS, wanted) is expected


APP_IS_WEB = {"key": "app", "operator": "In", "values": ["web"]}
HAS_ZONE = {"key": "zone", "operator": "Exists"}
IS_NODE1 = {"key": "metadata.name", "operator": "In", "values": ["node1"]}


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        pytest.param({}, False, id="empty"),
        pytest.param({"matchExpressions": [APP_IS_WEB]}, True, id="one holds"),
        pytest.param({"matchExpressions": [APP_IS_WEB, HAS_ZONE]}, False, id="one of two holds"),
        pytest.param({"matchFields": [IS_NODE1]}, True, id="by name"),
        pytest.param({"matchFields": [IS_NODE1], "matchExpressions": [HAS_ZONE]}, False, id="only the name"),
    ],
)
def test_node_selector_term(term: dict[str, Any], expected: bool) -> None:
    assert term_matches({"metadata": {"name": "node1", "labels": LABELS}}, term) is expected
