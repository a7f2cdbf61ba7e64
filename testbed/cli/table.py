"""Tables as kubectl prints them: upper-case headers, columns two or three blanks apart, no borders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

GAP = "   "


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Left-aligned columns, as wide as their widest cell; `<none>` stands for an empty cell."""
    lines = [list(header), *([cell or "<none>" for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join(
        GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def age(seconds: float) -> str:
    """A duration as kubectl shortens it: `45s`, `3m10s`, `2h5m`, `4d`."""
    whole = int(max(0.0, seconds))
    if whole < 120:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 10:
        return f"{minutes}m{rest}s" if rest else f"{minutes}m"
    hours, minutes_left = divmod(minutes, 60)
    if hours < 3:
        return f"{minutes}m"
    days, hours_left = divmod(hours, 24)
    if hours < 8:
        return f"{hours}h{minutes_left}m" if minutes_left else f"{hours}h"
    return f"{hours}h" if hours < 48 else f"{days}d{hours_left}h" if days < 8 and hours_left else f"{days}d"
