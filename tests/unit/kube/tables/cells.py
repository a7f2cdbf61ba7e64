"""Tables as tests read them: a row as a mapping from the column's header to its cell."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from testbed.kube.api.tables import table
from testbed.kube.objects import KINDS

NOW = datetime.datetime(2026, 11, 23, 12, 0, 0, tzinfo=datetime.UTC)
BORN = "2026-11-23T11:55:00Z"  # five minutes before


def row(kind: str, obj: Mapping[str, Any]) -> dict[str, Any]:
    """The cells of one object by their column's name."""
    made = table(KINDS[kind], [{"metadata": {"name": "x", "creationTimestamp": BORN}, **obj}], NOW)
    names = [column["name"] for column in made["columnDefinitions"]]
    (only,) = made["rows"]
    return dict(zip(names, only["cells"], strict=True))
