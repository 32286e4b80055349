"""Dates: named formats, Java patterns, rounding, zones, and that printing undoes parsing."""

from __future__ import annotations

import datetime
import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanse.errors import IllegalArgumentError
from hanse.index.mapping import DateFormat
from hanse.index.mapping.calendar import date_of, days_of, week_of, weekday_of

DEFAULT = "strict_date_optional_time||epoch_millis"
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


def millis(*parts: int) -> int:
    moment = datetime.datetime(*parts, tzinfo=datetime.UTC)  # type: ignore[misc,arg-type]
    return round(moment.timestamp() * 1000)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        (DEFAULT, "2024", millis(2024, 1, 1)),
        (DEFAULT, "2024-02", millis(2024, 2, 1)),
        (DEFAULT, "2024-02-29T10", millis(2024, 2, 29, 10)),
        (DEFAULT, "2024-02-29T10:11:12.123456789Z", millis(2024, 2, 29, 10, 11, 12) + 123),
        (DEFAULT, "2024-02-29T10:11:12,5+0130", millis(2024, 2, 29, 8, 41, 12) + 500),
        (DEFAULT, "1700000000000", 1_700_000_000_000),
        (DEFAULT, "-12", -12),
        (DEFAULT, "+12345-01-01", days_of(12345, 1, 1) * 86_400_000),
        ("date_optional_time", "2024-2-9", millis(2024, 2, 9)),
        ("epoch_second", "1700000000.5", 1_700_000_000_500),
        ("basic_date", "20240506", millis(2024, 5, 6)),
        ("basic_date_time", "20240506T070809.123Z", millis(2024, 5, 6, 7, 8, 9) + 123),
        ("strict_date_hour_minute_second", "2024-05-06T07:08:09", millis(2024, 5, 6, 7, 8, 9)),
        ("week_date", "2024-W05-3", millis(2024, 1, 31)),
        ("ordinal_date", "2024-060", millis(2024, 2, 29)),
        ("yyyy-MM-dd HH:mm:ss", "2024-05-06 07:08:09", millis(2024, 5, 6, 7, 8, 9)),
        ("dd/MMM/yyyy:HH:mm:ss Z", "10/Oct/2000:13:55:36 -0700", millis(2000, 10, 10, 20, 55, 36)),
        ("MM/dd/yyyy hh:mm a", "01/02/2024 03:04 PM", millis(2024, 1, 2, 15, 4)),
        ("yyyyMMddHHmmssSSS", "20240506070809123", millis(2024, 5, 6, 7, 8, 9) + 123),
        ("yyyy-MM-dd'T'HH:mm[:ss]", "2024-05-06T07:08", millis(2024, 5, 6, 7, 8)),
        ("d.M.yy", "6.5.24", millis(2024, 5, 6)),
        ("yyyy/MM/dd HH:mm:ss||yyyy/MM/dd||epoch_millis", "2024/05/06", millis(2024, 5, 6)),
        ("yyyy-MM-dd HH:mm VV", "2024-07-01 12:00 Europe/Berlin", millis(2024, 7, 1, 10)),
    ],
)
def test_parse(pattern: str, text: str, expected: int) -> None:
    assert DateFormat.of(pattern).parse(text) == expected


@pytest.mark.parametrize(
    "text", ["", "soon", "2023-02-29", "2024-13-01", "2024-1-1", "2024-01-01T25:00", "20240101T00"]
)
def test_what_no_format_reads_is_refused_with_the_format_named(text: str) -> None:
    with pytest.raises(IllegalArgumentError) as refused:
        DateFormat.of(DEFAULT).parse(text)
    assert refused.value.reason == f"failed to parse date field [{text}] with format [{DEFAULT}]"
    assert refused.value.caused_by is not None
    assert refused.value.caused_by.type == "date_time_parse_exception"


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("2024", millis(2025, 1, 1) - 1),
        ("2024-02", millis(2024, 3, 1) - 1),
        ("2024-02-29", millis(2024, 3, 1) - 1),
        ("2024-02-29T10:11", millis(2024, 2, 29, 10, 12) - 1),
        ("2024-02-29T10:11:12.5Z", millis(2024, 2, 29, 10, 11, 12) + 500),
    ],
)
def test_round_up_gives_the_last_moment_the_text_may_mean(text: str, last: int) -> None:
    assert DateFormat.of(DEFAULT).parse(text, round_up=True) == last


def test_a_zone_counts_only_where_the_text_names_none() -> None:
    default = DateFormat.of(DEFAULT)
    assert default.parse("2024-07-01T12:00:00", time_zone=BERLIN) == millis(2024, 7, 1, 10)
    assert default.parse("2024-07-01T12:00:00Z", time_zone=BERLIN) == millis(2024, 7, 1, 12)
    # 02:30 does not exist on this day: Java moves it behind the gap.
    assert default.parse("2024-03-31T02:30:00", time_zone=BERLIN) == millis(2024, 3, 31, 1, 30)
    assert default.format(millis(2024, 7, 1, 10), BERLIN) == "2024-07-01T12:00:00.000+02:00"


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("yyyy-foo", "Invalid format: [yyyy-foo]: Unknown pattern letter: f"),
        ("", "No date pattern provided"),
        ("a||", "No date pattern provided"),
    ],
)
def test_invalid_patterns_are_refused(pattern: str, reason: str) -> None:
    with pytest.raises(IllegalArgumentError) as refused:
        DateFormat.of(pattern)
    assert refused.value.reason == reason


@given(
    st.integers(-30_000_000_000_000, 250_000_000_000_000),
    st.sampled_from([DEFAULT, "epoch_millis", "yyyyMMddHHmmssSSS", "yyyy-DDD HH:mm:ss.SSSXXX", "week_date_time"]),
)
def test_parsing_undoes_printing(moment: int, pattern: str) -> None:
    if moment < -62_135_596_800_000 and pattern != DEFAULT:
        return
    date_format = DateFormat.of(pattern)
    assert date_format.parse(date_format.format(moment)) == moment


@given(st.integers(-30_000_000_000_000, 250_000_000_000_000))
def test_parsing_undoes_printing_in_a_zone(moment: int) -> None:
    date_format = DateFormat.of(DEFAULT)
    moment -= moment % 1000
    printed = date_format.format(moment, datetime.timezone(datetime.timedelta(hours=5, minutes=30)))
    assert date_format.parse(printed) == moment


@given(st.dates())
def test_the_calendar_agrees_with_pythons(day: datetime.date) -> None:
    days = days_of(day.year, day.month, day.day)
    assert days == day.toordinal() - datetime.date(1970, 1, 1).toordinal()
    assert date_of(days) == (day.year, day.month, day.day)
    assert (*week_of(days), weekday_of(days)) == tuple(day.isocalendar())
