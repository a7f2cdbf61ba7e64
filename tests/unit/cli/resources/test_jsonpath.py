"""kubectl's JSONPath templates, with the examples of its documentation (docs/reference/kubectl/jsonpath)."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.cli.resources.jsonpath import find, render
from testbed.errors import UsageError

LIST: dict[str, Any] = {
    "kind": "List",
    "items": [
        {
            "kind": "None",
            "metadata": {"name": "127.0.0.1", "labels": {"kubernetes.io/hostname": "127.0.0.1"}},
            "status": {"capacity": {"cpu": "4"}, "addresses": [{"type": "LegacyHostIP", "address": "127.0.0.1"}]},
        },
        {
            "kind": "None",
            "metadata": {"name": "127.0.0.2"},
            "status": {
                "capacity": {"cpu": "8"},
                "addresses": [
                    {"type": "LegacyHostIP", "address": "127.0.0.2"},
                    {"type": "another", "address": "127.0.0.3"},
                ],
            },
        },
    ],
    "users": [{"name": "myself", "user": {}}, {"name": "e2e", "user": {"username": "admin", "password": "secret"}}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("kind is {.kind}", "kind is List"),
        ("{.kind}", "List"),
        (".kind", "List"),
        ("{$.kind}", "List"),
        ("{['kind']}", "List"),
        ("{..name}", "127.0.0.1 127.0.0.2 myself e2e"),
        ("{.items[*].metadata.name}", "127.0.0.1 127.0.0.2"),
        ("{.users[0].name}", "myself"),
        ("{.items[-1].metadata.name}", "127.0.0.2"),
        ("{.users[?(@.name==\"e2e\")].user.password}", "secret"),
        ("{range .items[*]}[{.metadata.name}, {.status.capacity.cpu}] {end}", "[127.0.0.1, 4] [127.0.0.2, 8] "),
        ('{range .items[*]}{.metadata.name}{"\\n"}{end}', "127.0.0.1\n127.0.0.2\n"),
        ("{range .items[*]}{.metadata.name}{'\\t'}{end}", "127.0.0.1\t127.0.0.2\t"),
        (
            "{range .items[*]}{range .status.addresses[*]}{.type},{end};{end}",
            "LegacyHostIP,;LegacyHostIP,another,;",
        ),
        ("{.items[0].metadata.labels.kubernetes\\.io/hostname}", "127.0.0.1"),
        ("{.users[1].user}", '{"username":"admin","password":"secret"}'),
        ("{.nothing.there}", ""),
        ("plain", ""),
        ("a {'{'} b", "a { b"),
    ],
)  # fmt: skip
def test_a_template_is_filled(template: str, text: str) -> None:
    assert render(template, LIST) == text


@pytest.mark.parametrize(
    "template", ["{.kind", "kind}{", "{range .items[*]}", "{end}", "{.items[}", "{.items[?(@.a==]}", "{{}"]
)
def test_a_template_that_is_none_is_refused(template: str) -> None:
    with pytest.raises(UsageError, match="jsonpath"):
        render(template, LIST)


@pytest.mark.parametrize("path", [".users[*].name", "{.users[*].name}", "users[*].name"])
def test_one_path_is_found(path: str) -> None:
    assert find(path, LIST) == ["myself", "e2e"]


def test_more_than_one_path_is_refused() -> None:
    with pytest.raises(UsageError, match="give one path"):
        find("{.a}{.b}", LIST)
