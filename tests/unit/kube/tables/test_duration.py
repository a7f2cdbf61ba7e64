"""Ages as kubectl writes them."""

from __future__ import annotations

import pytest

from testbed.kube.api.tables.duration import human_duration, since
from tests.unit.kube.tables.cells import NOW

MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 365 * 86400


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        # the table of apimachinery/pkg/util/duration's own test
        (1, "1s"), (70, "70s"), (190, "3m10s"), (70 * MINUTE, "70m"), (47 * MINUTE, "47m"),
        (49 * HOUR, "2d1h"), (8 * HOUR + 2 * MINUTE, "8h"), (7 * HOUR, "7h"), (7 * HOUR + 15 * MINUTE, "7h15m"),
        (3 * HOUR + 30, "3h"), (47 * HOUR, "47h"), (3 * DAY, "3d"), (8 * DAY, "8d"), (7 * DAY + 23 * HOUR, "7d23h"),
        (9 * DAY + 5 * HOUR, "9d"), (2 * YEAR - HOUR, "729d"), (2 * YEAR, "2y"), (2 * YEAR + 23 * HOUR, "2y"),
        (2 * YEAR + 23 * HOUR + 59 * MINUTE, "2y"), (2 * YEAR + DAY - 1, "2y"), (2 * YEAR + DAY, "2y1d"),
        (3 * YEAR, "3y"), (4 * YEAR, "4y"), (5 * YEAR, "5y"), (6 * YEAR, "6y"), (7 * YEAR, "7y"),
        (8 * YEAR - HOUR, "7y364d"), (8 * YEAR, "8y"), (8 * YEAR + 364 * DAY, "8y"), (9 * YEAR, "9y"),
        # and the bounds that it leaves out
        (0, "0s"), (-1, "0s"), (-1.9, "0s"), (-2, "<invalid>"), (119, "119s"), (120, "2m"), (600, "10m"),
        (3 * HOUR - 1, "179m"), (3 * HOUR, "3h"), (8 * HOUR - 1, "7h59m"), (2 * DAY - 1, "47h"), (2 * DAY, "2d"),
    ],
)  # fmt: skip
def test_a_duration_is_shortened(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


@pytest.mark.parametrize(
    ("timestamp", "text"),
    [
        ("2026-11-23T11:59:50Z", "10s"),
        ("2026-11-23T11:59:50.000000Z", "10s"),
        ("2026-11-23T12:59:50+01:00", "10s"),
        ("2026-11-23T13:00:00Z", "<invalid>"),
        ("", "<unknown>"),
        (None, "<unknown>"),
    ],
)
def test_a_time_of_the_api_is_so_long_ago(timestamp: str | None, text: str) -> None:
    assert since(timestamp, NOW) == text
