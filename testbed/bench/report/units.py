"""Figures as a person reads them: with a unit, and with no more digits than are known.

Knows numbers. Knows nothing of runs.
"""

from __future__ import annotations

import math

from testbed.bench.stats.interval import Interval

NONE = "–"
GLUE = "\N{NO-BREAK SPACE}"  # between a figure and its unit
TIMES = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))
SIZES = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def decimals(uncertainty: float, most: int = 2) -> int:
    """Digits behind the point that keep an uncertainty's first digit, and its second up to 19."""
    if not math.isfinite(uncertainty) or uncertainty <= 0:
        return most
    return min(most, max(0, -math.floor(math.log10(uncertainty / 2))))


def number(value: float, digits: int = 3) -> str:
    """A figure with `digits` significant digits and commas, never in powers of ten."""
    if not math.isfinite(value):
        return NONE
    if value == 0:
        return "0"
    # the exponent after rounding: 9.97 with two digits is 10, not 10.0
    exponent = int(f"{value:.{digits - 1}e}".partition("e")[2])
    return _minus(f"{value:,.{min(max(0, digits - 1 - exponent), 6)}f}")


def _minus(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}")


def count(value: float) -> str:
    """A whole number with commas."""
    return f"{value:,.0f}"


def time_unit(nanoseconds: float) -> tuple[float, str]:
    """The unit that shows this time best, as its length in ns and its name."""
    magnitude = abs(nanoseconds)
    return next(((size, name) for size, name in TIMES if magnitude >= size), TIMES[-1])


def time(nanoseconds: float, digits: int = 3) -> str:
    """A time with its unit: `31.2 µs`."""
    if not math.isfinite(nanoseconds):
        return NONE
    size, name = time_unit(nanoseconds)
    return f"{number(nanoseconds / size, digits)}{GLUE}{name}"


def tick_time(nanoseconds: float) -> str:
    """A time for an axis: no digit more than needed, `50 µs`, `0`."""
    size, name = time_unit(nanoseconds)
    return f"{nanoseconds / size:g} {name}" if nanoseconds else "0"


def tick_percent(share: float) -> str:
    """A share for an axis: `10 %`, `0.1 %`."""
    return f"{share * 100:g} %"


def times(interval: Interval | None) -> str:
    """A time with its interval in one unit: `31.2 [28.4, 34.9] µs`."""
    if interval is None:
        return NONE
    size, name = time_unit(interval.estimate)
    return f"{between(interval.scaled(1 / size))}{GLUE}{name}"


def between(interval: Interval) -> str:
    """An estimate with its interval, `31.2 [28.4, 34.9]`; the estimate alone where there is none."""
    if not interval.known:
        return number(interval.estimate)
    places = decimals((interval.high - interval.low) / 2)
    # four significant digits are enough for any figure here, however narrow its interval
    if interval.estimate:
        places = min(places, max(0, 3 - math.floor(math.log10(abs(interval.estimate)))))
    rounded = [round(part, places) + 0.0 for part in (interval.estimate, interval.low, interval.high)]
    parts = [f"{part:,.{places}f}" for part in rounded]  # adding 0.0 turns -0.0 into 0.0
    return _minus(f"{parts[0]} [{parts[1]}, {parts[2]}]")


def factor(interval: Interval | None) -> str:
    """A ratio with its interval: `× 1.31 [1.20, 1.44]`."""
    return NONE if interval is None else f"×{GLUE}{between(interval)}"


def percent(share: float, digits: int = 2) -> str:
    """A share of 1 as per cent: `5.3 %`."""
    if not math.isfinite(share):
        return NONE
    return f"{number(share * 100, digits)}{GLUE}%"


def probability(p: float) -> str:
    """A p value: `0.43`, `< 0.001`."""
    return "< 0.001" if p < 0.001 else f"{p:.2g}" if p < 0.1 else f"{p:.2f}"


def size(byte_count: float) -> str:
    """A number of bytes in binary units: `1.3 MiB`."""
    unit, name = next(((u, n) for u, n in SIZES if byte_count >= u), (1, "B"))
    amount = number(byte_count / unit) if unit > 1 else count(byte_count)
    return f"{amount}{GLUE}{name}"


def load(packets_per_second: float) -> str:
    """A background load in words: `idle`, `20,000 packets/s`."""
    return "idle" if packets_per_second == 0 else f"{count(packets_per_second)} packets/s"


def load_tag(packets_per_second: float) -> str:
    """A background load as part of a file's name: `idle`, `load20000`."""
    return "idle" if packets_per_second == 0 else f"load{packets_per_second:.0f}"


def services(amount: int) -> str:
    """`1 Service`, `5,000 Services`."""
    return f"{count(amount)} Service{'' if amount == 1 else 's'}"


def listed(parts: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)
