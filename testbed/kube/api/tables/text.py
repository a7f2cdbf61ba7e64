"""Small texts that stand in the cells of several kinds: lists, labels, selectors. Pure.

Follows printers.go and apimachinery's labels package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

NONE = "<none>"
MOST_LISTED = 3  # addresses and ports in a cell; of the others only the number is told

_SIGNS = {"In": "in", "NotIn": "notin"}


def listed(words: Sequence[str], empty: str) -> str:
    """`listWithMoreString`: the first three words, and how many there are besides."""
    if len(words) > MOST_LISTED:
        return f"{','.join(words[:MOST_LISTED])} + {len(words) - MOST_LISTED} more..."
    return ",".join(words) or empty


def labels_text(labels: Mapping[str, str] | None) -> str:
    """`labels.FormatLabels`: `app=web,tier=front`, `<none>` for none."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


def selector_text(selector: Mapping[str, Any] | None) -> str:
    """A LabelSelector as `labels.Selector.String` writes it; empty if it selects everything."""
    wanted = selector or {}
    parts = [(key, f"{key}={value}") for key, value in (wanted.get("matchLabels") or {}).items()]
    parts += [(each["key"], _requirement(each)) for each in wanted.get("matchExpressions") or ()]
    return ",".join(text for _, text in sorted(parts, key=lambda part: part[0]))


def _requirement(expression: Mapping[str, Any]) -> str:
    key, operator = expression["key"], expression["operator"]
    if operator in _SIGNS:
        return f"{key} {_SIGNS[operator]} ({','.join(sorted(expression.get('values') or ()))})"
    return key if operator == "Exists" else f"!{key}"


def containers_text(template: Mapping[str, Any]) -> tuple[str, str]:
    """`layoutContainerCells`: the names and the images of a pod template's containers."""
    containers = template.get("spec", {}).get("containers") or ()
    return ",".join(c["name"] for c in containers), ",".join(c.get("image", "") for c in containers)
