"""The page of a kind that has none of its own: all of its fields (`genericDescriber`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from testbed.cli.describing.page import Page
from testbed.cli.describing.parts import Object, events, head, marks
from testbed.kube.client import Client

_TOLD = ("managedFields", "name", "namespace", "labels", "annotations")
_ACRONYMS = ("API", "URL", "UID", "OSB", "GUID")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[A-Z]|-")


def generic(page: Page, obj: Object, client: Client) -> None:
    """Every field under a title made of its name."""
    head(page, obj, namespace="namespace" in obj["metadata"])
    marks(page, obj)
    metadata = {key: value for key, value in obj["metadata"].items() if key not in _TOLD}
    _fields(page, {**obj, "metadata": metadata}, 0)
    if obj["kind"] != "Event":
        events(page, obj, client)


def _fields(page: Page, content: Mapping[str, Any], level: int) -> None:
    for name, value in sorted(content.items()):
        if isinstance(value, Mapping):
            page.line(f"{title(name)}:", level)
            _fields(page, value, level + 1)
        elif isinstance(value, list):
            page.line(f"{title(name)}:", level)
            for item in value:
                if isinstance(item, Mapping):
                    _fields(page, item, level + 1)
                else:
                    page.line(_plain(item), level + 1)
        else:
            page.field(title(name), _plain(value), level)


def _plain(value: Any) -> str:
    """A value as Go's %v writes it."""
    return "<nil>" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def title(name: str) -> str:
    """`smartLabelFor`: `creationTimestamp` is `Creation Timestamp`; a name with other letters stays as it is."""
    if not re.fullmatch(r"[A-Za-z-]+", name):
        return name
    words = _WORDS.findall(name)
    return " ".join(w.upper() if w.upper() in _ACRONYMS else w[:1].upper() + w[1:] for w in words)
