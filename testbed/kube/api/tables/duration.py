"""Ages as kubectl writes them (k8s.io/apimachinery/pkg/util/duration). Pure."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

UNKNOWN = "<unknown>"
_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 365 * 86400


def human_duration(seconds: float) -> str:
    """`HumanDuration`: two units where they say something, one where not: `45s`, `3m10s`, `2h5m`, `4d`, `2y10d`.

    Up to two seconds in the future are taken for clocks that differ, and are `0s`; more is `<invalid>`.
    """
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    for limit, unit, part in _SCALE:
        if whole < limit:
            return _two_units(max(whole, 0), unit, part)
    return f"{whole // _YEAR}y"


_LETTERS = {1: "s", _MINUTE: "m", _HOUR: "h", _DAY: "d", _YEAR: "y"}
# Below the limit (seconds): the unit, and the unit of the rest, 0 if the rest is left out.
_SCALE = (
    (2 * _MINUTE, 1, 0),
    (10 * _MINUTE, _MINUTE, 1),
    (3 * _HOUR, _MINUTE, 0),
    (8 * _HOUR, _HOUR, _MINUTE),
    (2 * _DAY, _HOUR, 0),
    (8 * _DAY, _DAY, _HOUR),
    (2 * _YEAR, _DAY, 0),
    (8 * _YEAR, _YEAR, _DAY),
)


def _two_units(seconds: int, unit: int, part: int) -> str:
    first, rest = divmod(seconds, unit)
    second = rest // part if part else 0
    return f"{first}{_LETTERS[unit]}" + (f"{second}{_LETTERS[part]}" if second else "")


def since(timestamp: str | None, now: datetime.datetime) -> str:
    """`translateTimestampSince`: how long ago a time of the API (RFC 3339) was; `<unknown>` without one."""
    if not timestamp:
        return UNKNOWN
    return human_duration((now - datetime.datetime.fromisoformat(timestamp)).total_seconds())


def age(obj: Mapping[str, Any], now: datetime.datetime) -> str:
    """How long an object has been there."""
    return since(obj["metadata"].get("creationTimestamp"), now)
