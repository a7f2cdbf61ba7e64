"""YAML (and so JSON) text to documents: plain JSON values, each field with its line.

Knows YAML as Kubernetes reads it. Knows nothing of kinds, but that a `List` holds documents in its items.

libyaml parses, in C. Values are made here and not by PyYAML's constructor: Kubernetes reads scalars in its
own way (sigs.k8s.io/yaml: YAML 1.1's yes/no/on/off, but no dates and no sexagesimal numbers) and refuses a
key that comes twice, and every field's line is wanted.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from testbed.errors import ManifestErrors, Mistake
from testbed.kube.objects.source import Source, child

MAX_DEPTH = 100  # of nesting; libyaml's composer is recursive and would overflow the stack

_TAG = "tag:yaml.org,2002:"
_PLAIN, _TEXT = "plain", "text"
_CORE_TAGS = frozenset({_PLAIN, *(_TAG + name for name in ("int", "float", "bool", "null"))})
_INT64 = range(-(2**63), 2**63)
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLS = {
    spelled: truth
    for truth, words in ((True, ("y", "yes", "true", "on")), (False, ("n", "no", "false", "off")))
    for word in words
    for spelled in (word, word.capitalize(), word.upper())
}
_INT = re.compile(r"[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


@dataclass(slots=True)
class Document:
    """One object as written: JSON values, and where each stands. With mistakes, `body` may lack fields."""

    body: Any
    source: Source
    mistakes: list[Mistake] = field(default_factory=list)


class _Loader(yaml.CSafeLoader):
    """libyaml's parser and composer, without PyYAML's resolvers, which take most of its time."""

    def __init__(self, text: str, file: str) -> None:
        super().__init__(text)
        self.file, self.depth = file, 0

    def resolve(self, kind: type[yaml.Node], _value: Any, implicit: Any) -> str:
        return _PLAIN if kind is yaml.ScalarNode and implicit[0] else _TEXT

    def descend_resolver(self, current_node: yaml.Node | None, _index: Any) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH and current_node is not None:
            line = current_node.start_mark.line + 1
            raise ManifestErrors(
                [Mistake(self.file, line, "", f"not YAML: nested more than {MAX_DEPTH} levels deep")]
            )

    def ascend_resolver(self) -> None:
        self.depth -= 1


def documents(text: str, file: str) -> Iterator[Document]:
    """The documents of a text in their order; empty ones are left out, those of a `List` are unfolded.

    Text that is no YAML ends in a document without body (None) that carries the mistake.
    """
    try:
        loader = _Loader(text, file)
        while loader.check_node():
            node = loader.get_node()
            if node is not None:
                yield from _unfolded(node, file, 1000 + 4 * len(text))  # each node takes at least a character
    except ManifestErrors as error:
        (mistake,) = error.mistakes
        yield _broken(file, mistake.line, mistake.message, mistake.hint)
    except yaml.MarkedYAMLError as error:
        line, message, hint = _explained(error)
        # An end that came too early is on a line after the last one.
        yield _broken(file, max(1, min(line, len(text.splitlines()))), message, hint)
    except yaml.reader.ReaderError as error:
        yield _broken(file, text.count("\n", 0, error.position) + 1, f"not YAML: {error.reason}", "")
    except UnicodeEncodeError as error:
        yield _broken(file, text.count("\n", 0, error.start) + 1, "not YAML: not valid Unicode", "")


def _broken(file: str, line: int, message: str, hint: str) -> Document:
    return Document(None, Source(file, {"": line}), [Mistake(file, line, "", message, hint)])


def _explained(error: yaml.MarkedYAMLError) -> tuple[int, str, str]:
    """Line, message and hint for text that libyaml refused."""
    mark = error.problem_mark or error.context_mark
    problem = " ".join(filter(None, (error.problem, error.context))) or "cannot be parsed"
    hint = ""
    if "cannot start any token" in problem or "tab character" in problem:
        hint = "indent with spaces, never with tabs; put a text that starts with @, ` or % in quotes"
    elif "mapping values are not allowed" in problem:
        hint = "a text with ': ' in it must be in quotes; or the indentation is wrong"
    elif "did not find expected key" in problem or "expected '-' indicator" in problem:
        hint = "the indentation differs from that of the lines before"
    elif "did not find expected" in problem:
        hint = "a bracket, brace or comma is missing"
        if error.context_mark and mark and error.context_mark.line < mark.line:
            hint += f"; what lacks it begins on line {error.context_mark.line + 1}"
    return (mark.line + 1 if mark else 1), f"not YAML: {problem}", hint


def _unfolded(node: yaml.Node, file: str, budget: int) -> Iterator[Document]:
    """The document of a top node; of a `List` (what `kubectl get -o yaml` prints), those of its items."""
    for item in _items(node):
        reader = _Reader(file, budget)
        body = reader.read(item)
        budget = reader.budget
        if body is not None or reader.mistakes:
            yield Document(body, Source(file, reader.lines), reader.mistakes)


def _items(node: yaml.Node) -> list[yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        return [node]
    entries = {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}
    kind, items = entries.get("kind"), entries.get("items")
    is_list = isinstance(kind, yaml.ScalarNode) and kind.value == "List"
    return items.value if is_list and isinstance(items, yaml.SequenceNode) else [node]


class _Reader:
    """Turns the nodes of one document into values. Aliases are followed for `budget` nodes at most."""

    def __init__(self, file: str, budget: int) -> None:
        self.file, self.budget = file, budget
        self.lines: dict[str, int] = {}
        self.mistakes: list[Mistake] = []
        self._open: set[int] = set()  # collections being read: an alias to one of them has no end
        self._cut = False

    def read(self, node: yaml.Node) -> Any:
        self.lines[""] = node.start_mark.line + 1
        return self._value(node, "")

    def _mistake(self, node: yaml.Node, path: str, message: str, hint: str = "") -> None:
        self.mistakes.append(Mistake(self.file, node.start_mark.line + 1, path, message, hint))

    def _value(self, node: yaml.Node, path: str) -> Any:
        self.budget -= 1
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._open or self.budget < 0:
            self._excessive(node, path)
            return None
        self._open.add(id(node))
        value = self._list(node, path) if isinstance(node, yaml.SequenceNode) else self._mapping(node, path)
        self._open.discard(id(node))
        return value

    def _excessive(self, node: yaml.Node, path: str) -> None:
        if not self._cut:
            self._mistake(node, path, "excessive aliasing", "write the value out instead of an alias (*)")
        self._cut = True

    def _scalar(self, node: yaml.ScalarNode, path: str) -> Any:
        if node.tag == _TEXT or node.tag == _TAG + "str":
            return node.value
        if node.tag in _CORE_TAGS:
            return _plain(node.value)
        self._mistake(node, path, f"unknown tag {node.tag}", "leave the tag (!) out")
        return None

    def _list(self, node: yaml.SequenceNode, path: str) -> list[Any]:
        values = []
        for i, item in enumerate(node.value):
            place = child(path, i)
            self.lines[place] = item.start_mark.line + 1
            values.append(self._value(item, place))
        return values

    def _mapping(self, node: yaml.Node, path: str) -> dict[str, Any]:
        values: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _PLAIN and key_node.value == "<<":
                merged.update(self._merge(value_node, path))
                continue
            key = self._key(key_node, path)
            if key is None:
                continue
            place = child(path, key)
            if key in values:
                hint = f"line {self.lines[place]} sets it already; keep one of the two"
                self._mistake(key_node, place, f'key "{key}" already set in map', hint)
                continue
            self.lines[place] = key_node.start_mark.line + 1
            values[key] = self._value(value_node, place)
        return {**merged, **values} if merged else values

    def _merge(self, node: yaml.Node, path: str) -> dict[str, Any]:
        """The fields that a merge key (`<<: *anchor`, or a list) adds; what is written beside it wins."""
        value = self._value(node, path)
        parts = list(reversed(value)) if isinstance(value, list) else [value]
        if not all(isinstance(part, dict) for part in parts):
            self._mistake(node, path, "<< must name a mapping, or a list of mappings")
            return {}
        return {key: part[key] for part in parts for key in part}

    def _key(self, node: yaml.Node, path: str) -> str | None:
        """A key as JSON has it: always a string (sigs.k8s.io/yaml turns 80 into "80", yes into "true")."""
        value = self._scalar(node, path) if isinstance(node, yaml.ScalarNode) else None
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (str, int)):
            return str(value)
        self._mistake(node, path, "a key must be a string", "put it in quotes")
        return None


@functools.lru_cache(maxsize=65536)
def _plain(text: str) -> Any:
    """The value of a scalar without quotes."""
    if text in _NULL:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if text[0] in "+-.0123456789":
        return _number(text)
    return text


def _number(text: str) -> int | float | str:
    """A number as Go reads it: 0x1f, 0o17, 017, 0b11, 1_000, 1e3; too large a one stays text."""
    if len(text) > 100:
        return text
    if _INT.fullmatch(text):
        digits = text.replace("_", "")
        if re.fullmatch(r"[-+]?0[0-7]+", digits):
            digits = digits.replace("0", "0o", 1)
        try:
            number = int(digits, 0)
        except ValueError:
            return text
        return number if number in _INT64 else float(number)
    if not _FLOAT.fullmatch(text):
        return text
    real = float(text.replace("_", ""))
    if real in (float("inf"), float("-inf")):
        return text
    # JSON has one kind of number: 80.0 is 80, and an integer field takes it.
    return int(real) if real.is_integer() and int(real) in _INT64 else real
