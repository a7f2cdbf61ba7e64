"""A mistake in one field, in the words of Kubernetes (apimachinery `field.Error`).

Knows wording. Knows neither files nor lines (`source.py` adds those) nor any rule.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from testbed.kube.objects.source import child


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong at `path`, and in `hint` what would be right."""

    path: str
    message: str
    hint: str = ""


FieldErrors = Iterator[FieldError]


def shown(value: Any) -> str:
    """A value as Kubernetes prints it in a message: strings in quotes, the rest as JSON."""
    return json.dumps(value, ensure_ascii=False)


def required(path: str, detail: str = "", hint: str = "") -> FieldError:
    """`field.Required`."""
    return FieldError(path, f"Required value: {detail}" if detail else "Required value", hint)


def invalid(path: str, value: Any, detail: str, hint: str = "") -> FieldError:
    """`field.Invalid`."""
    return FieldError(path, f"Invalid value: {shown(value)}: {detail}", hint)


def unsupported(path: str, value: Any, supported: Iterable[str], hint: str = "") -> FieldError:
    """`field.NotSupported`, with the values that would be right."""
    listed = ", ".join(shown(word) for word in supported)
    return FieldError(path, f"Unsupported value: {shown(value)}: supported values: {listed}", hint)


def forbidden(path: str, detail: str, hint: str = "") -> FieldError:
    """`field.Forbidden`."""
    return FieldError(path, f"Forbidden: {detail}", hint)


def duplicate(path: str, value: Any, hint: str = "") -> FieldError:
    """`field.Duplicate`."""
    return FieldError(path, f"Duplicate value: {shown(value)}", hint)


def too_many(path: str, count: int, most: int) -> FieldError:
    """`field.TooMany`."""
    return FieldError(path, f"Too many: {count}: must have at most {most} items")


def one_of(path: str, value: Any, supported: tuple[str, ...]) -> FieldErrors:
    """A word out of a fixed list; a word of other case gets the right one as hint."""
    if value not in supported:
        twin = next((word for word in supported if word.lower() == str(value).lower()), "")
        yield unsupported(path, value, supported, f"write {shown(twin)}" if twin else "")


def at_least(path: str, value: int, least: int = 0) -> FieldErrors:
    """A number that must not be smaller (`ValidateNonnegativeField`)."""
    if value < least:
        yield invalid(path, value, f"must be greater than or equal to {least}")


def unique(path: str, values: Iterable[tuple[int, Any]], field: str = "") -> FieldErrors:
    """Each value of a list at most once. `values` are (index, value); `field` is below the item."""
    seen: dict[Any, int] = {}
    for i, value in values:
        first = seen.setdefault(value, i)
        if first != i:
            item = child(path, i)
            yield duplicate(
                child(item, field) if field else item, value, f"{child(path, first)} has it already"
            )
