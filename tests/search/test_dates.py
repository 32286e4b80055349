"""Date math, time zones and rounding in queries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hanse.errors import IllegalArgumentError
from hanse.search.query.dates import add_math, zone


def millis(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


NOW = millis("2024-02-29T13:45:30.123")


@pytest.mark.parametrize(
    ("math", "round_up", "expected"),
    [
        ("", False, "2024-02-29T13:45:30.123"),
        ("-1d", False, "2024-02-28T13:45:30.123"),
        ("+1y", False, "2025-02-28T13:45:30.123"),
        ("+1M", False, "2024-03-29T13:45:30.123"),
        ("/d", False, "2024-02-29T00:00:00"),
        ("/d", True, "2024-02-29T23:59:59.999"),
        ("/M", True, "2024-02-29T23:59:59.999"),
        ("/w", False, "2024-02-26T00:00:00"),
        ("/y", False, "2024-01-01T00:00:00"),
        ("-1M/M+3h", False, "2024-01-01T03:00:00"),
        ("/h+30m", False, "2024-02-29T13:30:00"),
        ("+s", False, "2024-02-29T13:45:31.123"),
    ],
)
def test_math(math: str, round_up: bool, expected: str) -> None:
    assert add_math(NOW, math, round_up, None, math) == millis(expected)


def test_days_begin_at_midnight_of_the_zone() -> None:
    assert add_math(NOW, "/d", False, zone("+02:00"), "") == millis("2024-02-28T22:00:00")
    assert add_math(NOW, "/d", False, zone("America/New_York"), "") == millis("2024-02-29T05:00:00")


@pytest.mark.parametrize("math", ["1d", "+1x", "/", "*2", "-1d/"])
def test_malformed_math(math: str) -> None:
    with pytest.raises(IllegalArgumentError):
        add_math(NOW, math, False, None, "now" + math)


def test_zones() -> None:
    assert zone("Z").utcoffset(None) == timedelta(0)
    assert zone("-05:30").utcoffset(None) == -timedelta(hours=5, minutes=30)
    with pytest.raises(IllegalArgumentError, match=r"Unknown time-zone ID: Mars/Olympus"):
        zone("Mars/Olympus")
