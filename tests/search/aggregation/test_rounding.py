from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanse.errors import IllegalArgumentError
from hanse.search.aggregation.date_text import parse_date, render_date, zone
from hanse.search.aggregation.rounding import Rounding, parse_fixed, parse_offset

ZONES = ("UTC", "+05:45", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "America/Sao_Paulo")
UNITS = ("second", "minute", "hour", "day", "week", "month", "quarter", "year")


@given(
    st.sampled_from(ZONES),
    st.sampled_from([*UNITS, *("90m", "12h", "3d")]),
    st.sampled_from([0, 3_600_000, -7_200_000]),
    st.integers(0, 1_900_000_000_000),
)
def test_every_moment_lies_in_exactly_one_bucket(name: str, interval: str, offset: int, moment: int) -> None:
    unit = interval if interval in UNITS else None
    rounding = Rounding(unit, 0 if unit else parse_fixed(interval), zone(name), offset)
    start = rounding.floor(moment)
    after = rounding.next(start)
    assert start <= moment < after
    assert rounding.floor(start) == start
    assert rounding.floor(after) == after
    assert rounding.floor(after - 1) == start


def _starts(unit: str | None, name: str, first: str, count: int, fixed: str = "1d") -> list[str]:
    rounding = Rounding(unit, 0 if unit else parse_fixed(fixed), zone(name))
    starts = [rounding.floor(parse_date(first, None))]
    while len(starts) < count:
        starts.append(rounding.next(starts[-1]))
    return [render_date(start, "yyyy-MM-dd'T'HH:mmXXX", zone(name)) for start in starts]


def test_days_follow_the_clock_through_its_changes() -> None:
    assert _starts("day", "Europe/Berlin", "2024-03-30T23:30:00Z", 3) == [
        "2024-03-31T00:00+01:00",
        "2024-04-01T00:00+02:00",
        "2024-04-02T00:00+02:00",
    ]


def test_an_hour_that_happens_twice_is_two_buckets() -> None:
    assert _starts("hour", "Europe/Berlin", "2024-10-26T23:10:00Z", 4) == [
        "2024-10-27T01:00+02:00",
        "2024-10-27T02:00+02:00",
        "2024-10-27T02:00+01:00",
        "2024-10-27T03:00+01:00",
    ]


def test_a_day_whose_midnight_is_skipped_begins_when_the_clock_jumped() -> None:
    assert _starts("day", "America/Sao_Paulo", "2018-11-03T12:00:00Z", 2) == [
        "2018-11-03T00:00-03:00",
        "2018-11-04T01:00-02:00",
    ]


def test_fixed_intervals_are_multiples_in_local_time() -> None:
    assert _starts(None, "Europe/Berlin", "2024-03-30T22:00:00Z", 3, "12h") == [
        "2024-03-30T12:00+01:00",
        "2024-03-31T00:00+01:00",
        "2024-03-31T12:00+02:00",
    ]


def test_weeks_begin_on_monday_and_quarters_in_january() -> None:
    assert _starts("week", "UTC", "2024-01-01", 2) == ["2024-01-01T00:00Z", "2024-01-08T00:00Z"]
    assert _starts("quarter", "UTC", "2024-05-17", 2) == ["2024-04-01T00:00Z", "2024-07-01T00:00Z"]


def test_offsets_and_intervals_are_read_and_refused() -> None:
    assert parse_offset("+6h") == 21_600_000
    assert parse_offset("-1d") == -86_400_000
    assert parse_offset(5) == 5
    with pytest.raises(IllegalArgumentError, match="unit is missing or unrecognized"):
        parse_fixed("1M")
    with pytest.raises(IllegalArgumentError, match="Zero or negative"):
        parse_fixed("0s")
    with pytest.raises(IllegalArgumentError, match="Unknown time-zone ID: Mars"):
        zone("Mars")
