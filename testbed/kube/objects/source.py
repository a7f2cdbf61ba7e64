"""Where an object was written: file, and the line of every field.

Knows field paths in Kubernetes' notation (`spec.ports[0].port`) and lines. Knows nothing of YAML or of kinds.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from testbed.errors import Mistake

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")


@functools.lru_cache(maxsize=4096)
def _step(key: str) -> str:
    return f".{key}" if _PLAIN_KEY.fullmatch(key) else f"[{key}]"


def child(path: str, key: str | int) -> str:
    """The path of an entry of a mapping or an item of a list: `spec`, `spec.ports`, `spec.ports[0]`.

    A key that is no plain word stands in brackets, as `field.Path.Key` writes it: `labels[example.com/tier]`.
    """
    if isinstance(key, int):
        return f"{path}[{key}]"
    return path + _step(key) if path else _step(key).removeprefix(".")


def joined(location: Sequence[str | int]) -> str:
    """The path of a place that is given step by step."""
    return functools.reduce(child, location, "")


def parent(path: str) -> str:
    """The path one step up; empty at the top."""
    return path[: path.rfind("[" if path.endswith("]") else ".")] if "." in path or "[" in path else ""


@dataclass(frozen=True, slots=True)
class Source:
    """The place of one object. `lines` has the line (from 1) of each field's path; under "" the first one."""

    file: str
    lines: Mapping[str, int] = field(default_factory=dict)

    def line(self, path: str) -> int:
        """The line of `path`, or of the nearest field around it that was written."""
        while path and path not in self.lines:
            path = parent(path)
        return self.lines.get(path, 1)

    def mistake(self, path: str, message: str, hint: str = "") -> Mistake:
        """A mistake at `path`, on the line of the longest part of the path that was written."""
        return Mistake(self.file, self.line(path), path, message, hint)

    def to_json(self) -> dict[str, Any]:
        """As JSON, for a socket."""
        return {"file": self.file, "lines": dict(self.lines)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Source:
        """The inverse of `to_json`."""
        return cls(data["file"], data["lines"])


@dataclass(frozen=True, slots=True)
class Manifest:
    """One object as it was handed in, defaulted and valid in itself, with its source.

    `written` is it without defaults, which is what the next apply compares with; None if that is not known.
    """

    body: dict[str, Any]
    source: Source
    written: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON, for a socket."""
        return {"body": self.body, "source": self.source.to_json(), "written": self.written}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Manifest:
        """The inverse of `to_json`."""
        return cls(data["body"], Source.from_json(data["source"]), data.get("written"))
