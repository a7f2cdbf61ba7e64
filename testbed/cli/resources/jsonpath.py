"""kubectl's JSONPath templates: text with expressions in braces, `{.status.podIP}`, `{range .items[*]}…{end}`.

Knows the template and what kubectl's dialect has besides the standard's (RFC 9535): no `$` before a path, dots
that are escaped, quoted text. Paths themselves are python-jsonpath's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from testbed.errors import UsageError

# A brace ends at the first `}` outside of quotes and brackets.
_EXPRESSION = re.compile(r"""\{((?:[^{}'"]|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")*)\}""")
_LITERAL = re.compile(r"""(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")""")
_ESCAPED_KEY = re.compile(r"\.((?:[^.\[\]()\\\s]|\\.)*\\.(?:[^.\[\]()\\\s]|\\.)*)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


@dataclass(frozen=True, slots=True)
class _Range:
    path: str
    body: list[_Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Path:
    path: str


_Node = str | _Path | _Range


def render(template: str, value: Any) -> str:
    """The template filled from a JSON value. What is not there is left out. Raises UsageError."""
    return "".join(_rendered(_parsed(template), value))


def find(expression: str, value: Any) -> list[Any]:
    """Everything that one path names, with or without braces around it. Raises UsageError."""
    nodes = _parsed(expression)
    if len(nodes) != 1 or not isinstance(nodes[0], _Path):
        raise UsageError(f"jsonpath {expression!r}: give one path, e.g. .metadata.name")
    return _found(nodes[0].path, value)


def _parsed(template: str) -> list[_Node]:
    text = template if "{" in template else f"{{{template}}}"
    nodes: list[_Node] = []
    stack: list[list[_Node]] = [nodes]
    position = 0
    for match in _EXPRESSION.finditer(text):
        _add_text(stack[-1], text[position : match.start()], template)
        position = match.end()
        _add_expression(stack, match[1].strip(), template)
    _add_text(stack[-1], text[position:], template)
    if len(stack) > 1:
        raise UsageError(f"jsonpath {template!r}: range without end")
    return nodes


def _add_text(nodes: list[_Node], text: str, template: str) -> None:
    if "{" in text or "}" in text:
        raise UsageError(f"jsonpath {template!r}: a brace is not closed")
    if text:
        nodes.append(text)


def _add_expression(stack: list[list[_Node]], expression: str, template: str) -> None:
    literal = _LITERAL.fullmatch(expression)
    if literal:
        stack[-1].append(_unescaped(literal[1] if literal[1] is not None else literal[2]))
    elif expression == "end":
        if len(stack) == 1:
            raise UsageError(f"jsonpath {template!r}: end without range")
        stack.pop()
    elif expression.startswith("range "):
        opened = _Range(_standard(expression.removeprefix("range ").strip()))
        stack[-1].append(opened)
        stack.append(opened.body)
    else:
        stack[-1].append(_Path(_standard(expression)))


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), text)


def _standard(path: str) -> str:
    """kubectl's path as the standard writes it."""
    path = _ESCAPED_KEY.sub(lambda match: f"['{match[1].replace(chr(92), '')}']", path)
    if path.startswith(("$", "@")):
        return "$" + path[1:]
    return "$" + path if path.startswith((".", "[")) or not path else f"$.{path}"


def _rendered(nodes: Sequence[_Node], value: Any) -> Iterator[str]:
    for node in nodes:
        match node:
            case str():
                yield node
            case _Path(path):
                yield " ".join(map(_text, _found(path, value)))
            case _Range(path, body):
                for item in _found(path, value):
                    yield from _rendered(body, item)


def _found(path: str, value: Any) -> list[Any]:
    # Here, since a table does not need it.
    from jsonpath import findall
    from jsonpath.exceptions import JSONPathError

    if path in ("$", "$."):
        return [value]
    try:
        return list(findall(path, value))
    except JSONPathError as error:
        raise UsageError(f"jsonpath {path!r}: {error}") from error


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
