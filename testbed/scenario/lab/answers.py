"""An answer as a person types it, held against what was seen: words, sets of words, or numbers in order. Pure.

Knows how people spell (commas, capitals, 1/3, 33 %). Knows nothing of where the right answer comes from.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

TOLERANCE = Fraction(1, 200)  # 0.33 is a third, 0.3 is not
NOTHING = frozenset({"none", "nobody", "no", "-"})


class Compare(enum.Enum):
    """How an answer is held against what was seen."""

    WORDS = "words in this order"
    SET = "the same words in any order"
    NUMBERS = "numbers in this order"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen: the values that a right answer has, and a sentence.

    `elsewhere` has values of the same kind that mean something else, and what: for who took one for the other.
    """

    values: tuple[str, ...]
    compare: Compare
    text: str
    elsewhere: Mapping[str, str] = field(default_factory=dict)


def agrees(answer: str, seen: Sequence[str], compare: Compare) -> bool:
    """True if the answer says what was seen."""
    given, wanted = words(answer), [word.lower() for word in seen]
    if not wanted:
        return len(given) == 1 and given[0] in NOTHING
    if compare is Compare.NUMBERS:
        return _same_numbers(given, wanted)
    return given == wanted if compare is Compare.WORDS else set(given) == set(wanted)


def words(text: str) -> list[str]:
    """The words of an answer: in lower case, without commas, quotes, and the kind before a pod's name."""
    parts = text.lower().replace(",", " ").replace(";", " ").split()
    return [word.strip("'\"").removeprefix("pod/") for word in parts if word.strip("'\"")]


def _same_numbers(given: Sequence[str], wanted: Sequence[str]) -> bool:
    numbers = [_number(word) for word in given]
    if len(numbers) != len(wanted):
        return False
    pairs = zip(numbers, map(Fraction, wanted), strict=True)
    return all(number is not None and abs(number - there) <= TOLERANCE for number, there in pairs)


def _number(word: str) -> Fraction | None:
    """`0.5`, `1/2` and `50%` are the same number."""
    try:
        return Fraction(word.removesuffix("%")) / (100 if word.endswith("%") else 1)
    except (ValueError, ZeroDivisionError):
        return None
