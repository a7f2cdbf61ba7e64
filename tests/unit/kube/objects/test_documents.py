"""YAML text to values and lines, as Kubernetes reads YAML."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.kube.objects.documents import MAX_DEPTH, Document, documents


def read(text: str) -> Document:
    (document,) = documents(text, "f.yaml")
    return document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("80", 80),
        ("-1", -1),
        ("+7", 7),
        ("0", 0),
        ("017", 15),
        ("0o17", 15),
        ("0x1F", 31),
        ("0b11", 3),
        ("1_000", 1000),
        ("1.5", 1.5),
        ("80.0", 80),
        ("1e3", 1000),
        (".5", 0.5),
        ("1.", 1),
        ("08", 8),
        ("12:30", "12:30"),
        ("2001-01-01", "2001-01-01"),
        ("10.96.0.1", "10.96.0.1"),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", float(2**63)),
        ("9" * 101, "9" * 101),
        ("1e999", "1e999"),
        (".inf", ".inf"),
        ("0x", "0x"),
        ("yes", True),
        ("On", True),
        ("y", True),
        ("FALSE", False),
        ("off", False),
        ("tRUE", "tRUE"),
        ("'yes'", "yes"),
        ('"80"', "80"),
        ("!!str 80", "80"),
        ("!!int '80'", 80),
        ("~", None),
        ("null", None),
        ("''", ""),
        ("fd00::1", "fd00::1"),
        ("a b", "a b"),
    ],
)
def test_scalar(text: str, value: Any) -> None:
    found = read(f"a: {text}\n").body["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("a: [1, {b: 2}]", {"a": [1, {"b": 2}]}),
        ('{"a": {"b": [true, null]}}', {"a": {"b": [True, None]}}),
        ("80: a", {"80": "a"}),
        ("on: a", {"true": "a"}),
        ("a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}),
        ("a: &x {b: 1, c: 1}\nd: {<<: *x, c: 2}", {"a": {"b": 1, "c": 1}, "d": {"b": 1, "c": 2}}),
        ("a: &x {b: 1}\nc: &y {b: 2}\nd: {<<: [*x, *y]}", {"a": {"b": 1}, "c": {"b": 2}, "d": {"b": 1}}),
        ("a: |\n  one\n  two\n", {"a": "one\ntwo\n"}),
        ("- 1\n- b", [1, "b"]),
    ],
)
def test_collections(text: str, body: Any) -> None:
    assert read(text).body == body


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("# only a comment\n", 0),
        ("---\n---\n", 0),
        ("a: 1\n---\n---\nb: 1\n", 2),
        ("kind: List\nitems: []\n", 0),
        ("kind: List\nitems: [{a: 1}, {a: 2}, null]\n---\na: 3\n", 3),
        ("kind: List\n", 1),
    ],
)
def test_documents_are_counted(text: str, count: int) -> None:
    assert len(list(documents(text, "f"))) == count


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("", 2),
        ("kind", 2),
        ("spec", 3),
        ("spec.ports", 4),
        ("spec.ports[0]", 5),
        ("spec.ports[0].port", 5),
        ("spec.ports[0].name", 6),
        ("spec.labels[a.b/c]", 8),
    ],
)
def test_every_field_has_its_line(path: str, line: int) -> None:
    text = "---\nkind: X\nspec:\n  ports:\n  - port: 1\n    name: a\n  labels:\n    a.b/c: d\n"
    assert read(text).source.lines[path] == line


def test_items_of_a_list_have_paths_of_their_own() -> None:
    text = "kind: List\nitems:\n- kind: A\n- kind: B\n  spec:\n    x: 1\n"
    _, second = documents(text, "f")
    assert second.source.lines == {"": 4, "kind": 4, "spec": 5, "spec.x": 6}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: [", 2, "not YAML: did not find expected"),
        ("a: 1\n\tb: 2", 2, "not YAML: found a tab character"),
        ("a:\n\tb: 2", 2, "not YAML: found character that cannot start any token"),
        ("a: @b", 1, "not YAML: found character that cannot start any token"),
        ("a: b: c", 1, "not YAML: mapping values are not allowed"),
        ("a: 1\nb: \x00", 2, "not YAML: control characters are not allowed"),
        ("a: 1\nb: \ud800", 2, "not YAML: not valid Unicode"),
        ("a: *b", 1, "not YAML: found undefined alias"),
        ("a: 1\na: 2", 2, 'key "a" already set in map'),
        ("a: !!binary eA==", 1, "unknown tag tag:yaml.org,2002:binary"),
        ("a: !mine x", 1, "unknown tag !mine"),
        ("{a: 1}: b", 1, "a key must be a string"),
        ("~: b", 1, "a key must be a string"),
        ("1.5: b", 1, "a key must be a string"),
        ("a: {<<: 1}", 1, "<< must name a mapping"),
        ("a: &a [*a]", 1, "excessive aliasing"),
        ("kind: List\nitems: &a [{kind: List, items: *a}]", 2, "excessive aliasing"),
    ],
)
def test_mistakes(text: str, line: int, message: str) -> None:
    (mistake,) = read(text).mistakes
    assert mistake.line == line
    assert mistake.message.startswith(message)


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_nesting_has_an_end(opening: str) -> None:
    (mistake,) = read(opening * 100_000).mistakes
    assert mistake.message == f"not YAML: nested more than {MAX_DEPTH} levels deep"


def test_documents_before_a_broken_one_are_read() -> None:
    first, broken = documents("a: 1\n---\nb: [\n", "f")
    assert first.body == {"a": 1}
    assert broken.body is None
    assert broken.mistakes[0].line == 3


def test_aliases_of_aliases_are_not_followed_for_ever() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (mistake,) = read("\n".join(levels)).mistakes
    assert mistake.message == "excessive aliasing"
