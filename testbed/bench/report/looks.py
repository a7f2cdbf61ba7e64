"""What each series is called and which colour and mark it has, the same in every plot and table.

Direct paths are grey, iptables legacy is vermilion, iptables nft is blue; whatever comes later takes the next
colour. All from Okabe and Ito's palette ("Color Universal Design", 2008), which readers with any colour
vision tell apart; marks differ too, so print in grey works. Knows series; knows no plotting library.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from testbed.bench.results.model import Arm
from testbed.bench.stats.summary import Series, Summary, series_of

KNOWN = {("iptables", "legacy"): "vermilion", ("iptables", "nft"): "blue"}
FURTHER = ("green", "purple", "sky", "orange")
MARKS = {"grey": "s", "vermilion": "o", "blue": "D", "green": "^", "purple": "v", "sky": "P", "orange": "X"}
DASHES: tuple[object, ...] = ("solid", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))
PROBES = {
    "first-packet": "First packet of a new connection",
    "established": "Packet of an established connection",
    "connect": "Connect time",
    "distribution": "Distribution over endpoints",
}
MEASURES = {"connect": "from SYN to SYN-ACK"}


@dataclass(frozen=True, slots=True)
class Look:
    """How a series is told from the others. `colour` is a role of the theme, not a colour."""

    name: str
    colour: str
    mark: str
    dash: object  # of a line, for series of one colour


def probe_title(probe: str) -> str:
    """A probe's name as a heading."""
    return PROBES.get(probe, probe.replace("-", " ").capitalize())


def measure(probe: str) -> str:
    """What the time of a probe is, for an axis."""
    return MEASURES.get(probe, "one-way latency")


def looks(summary: Summary) -> Mapping[Series, Look]:
    """The look of every series of a run."""
    found = list(dict.fromkeys(series_of(arm) for arm in summary.run.arms))
    names = _names(found)
    colours = _colours(found)
    used: dict[str, int] = {}
    made = {}
    for series in found:
        colour = colours[series]
        dash = DASHES[used.get(colour, 0) % len(DASHES)]
        used[colour] = used.get(colour, 0) + 1
        made[series] = Look(names[series], colour, MARKS[colour], dash)
    return made


def arm_name(arm: Arm, by_series: Mapping[Series, Look]) -> str:
    """The series' name; the number of Services stands in a column or on an axis of its own."""
    return by_series[series_of(arm)].name


def _names(found: Iterable[Series]) -> dict[Series, str]:
    """As short as they may be: what all series share is left out."""
    series = list(found)
    several = len({s.endpoints for s in series if s.path != "direct"}) > 1
    directs = [s for s in series if s.path == "direct"]
    names = {}
    for one in series:
        mechanism = "-".join(part for part in (one.datapath, one.variant) if part)
        if one.path == "direct":
            rules = f", {mechanism} rules loaded" if one.datapath != "none" else ""
            names[one] = f"direct{rules if len(directs) > 1 else ''}"
        else:
            names[one] = mechanism + (f", {one.endpoints} endpoints" if several else "")
    return names


def _colours(found: Iterable[Series]) -> dict[Series, str]:
    free = iter(FURTHER * 4)
    chosen = dict(KNOWN)
    colours = {}
    for series in found:
        key = (series.datapath, series.variant)
        if series.path != "direct" and key not in chosen:
            chosen[key] = next(free)
        colours[series] = "grey" if series.path == "direct" else chosen[key]
    return colours
