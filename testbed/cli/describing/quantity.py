"""Quantities of resources (apimachinery resource.Quantity), as far as describing a node needs them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}
_DECIMAL = {
    "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000), "": Fraction(1),
    "k": Fraction(10**3), "M": Fraction(10**6), "G": Fraction(10**9), "T": Fraction(10**12),
    "P": Fraction(10**15), "E": Fraction(10**18),
}  # fmt: skip


def amount(text: str) -> Fraction:
    """`500m`, `1.5`, `64Mi`, `1e3` as a number; 0 for what is no quantity (validation has refused it)."""
    number = str(text).rstrip("KMGTPEikmnu")
    suffix = str(text)[len(number) :]
    try:
        return Fraction(number) * _BINARY.get(suffix, _DECIMAL.get(suffix, Fraction(0)))
    except ValueError:
        return Fraction(0)


def amount_text(number: Fraction) -> str:
    """A number as a quantity: with the largest binary unit that leaves it whole, in thousandths if it is none."""
    if number.denominator != 1:
        return f"{-(-number * 1000 // 1)}m"
    for suffix, unit in reversed(_BINARY.items()):
        if number and number % unit == 0:
            return f"{number // unit}{suffix}"
    return str(number)


class Quantities(dict[str, Fraction]):
    """Amounts by resource; what is not there is 0. They can be added."""

    def __init__(self, texts: Mapping[str, str] | None = None) -> None:
        super().__init__({name: amount(text) for name, text in (texts or {}).items()})

    def __missing__(self, name: str) -> Fraction:
        return Fraction(0)

    def __add__(self, other: Quantities) -> Quantities:
        total = Quantities()
        total.update({name: self[name] + other[name] for name in {*self, *other}})
        return total


def share(name: str, asked: Quantities, room: Quantities) -> str:
    """`250m (12%)`; 0 % of a resource of which the node does not tell how much it has."""
    percent = int(asked[name] * 100 / room[name]) if room[name] else 0
    return f"{amount_text(asked[name])} ({percent}%)"
