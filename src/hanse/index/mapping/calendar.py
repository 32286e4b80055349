"""Moments and their parts in the proleptic Gregorian calendar, for every year a 64-bit epoch can hold.

Python's datetime ends at the years 1 and 9999; Elasticsearch's dates do not. Tests: tests/index/test_dates.py.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

MS_PER_DAY = 86_400_000
_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


@dataclass(slots=True)
class Moment:
    """What a text says; None where it is silent. `zone` is what the text names, `offset_s` an offset it gives."""

    year: int | None = None
    month: int | None = None
    day: int | None = None
    day_of_year: int | None = None
    week_year: int | None = None
    week: int | None = None
    weekday: int | None = None
    hour: int | None = None
    half_day_hour: int | None = None
    is_afternoon: bool = False
    minute: int | None = None
    second: int | None = None
    nanos: int | None = None
    offset_s: int | None = None
    zone: datetime.tzinfo | None = None
    epoch_ms: int | None = None

    def millis(self, round_up: bool, default_zone: datetime.tzinfo | None) -> int:
        """Epoch milliseconds; silent parts are the first of their kind, or the last with `round_up`.

        Raises ValueError for a day that does not exist.
        """
        if self.epoch_ms is not None:
            return self.epoch_ms
        days = self._days(round_up)
        hour = self.hour
        if self.half_day_hour is not None:
            hour = self.half_day_hour % 12 + (12 if self.is_afternoon else 0)
        time = _checked(hour, 23, round_up, 0) * 3600 + _checked(self.minute, 59, round_up, 0) * 60
        time += _checked(self.second, 59, round_up, 0)
        nanos = self.nanos if self.nanos is not None else (999_999_999 if round_up and self.second is None else 0)
        local = days * MS_PER_DAY + time * 1000 + nanos // 1_000_000
        if self.offset_s is not None:
            return local - self.offset_s * 1000
        zone = self.zone or default_zone
        return local if zone is None else local - offset_at_local(zone, local)

    def _days(self, round_up: bool) -> int:
        if self.week_year is not None:
            return _week_day(self.week_year, self.week or 1, self.weekday or (7 if round_up else 1))
        year = 1970 if self.year is None else self.year
        if self.day_of_year is not None:
            if not 1 <= self.day_of_year <= 365 + is_leap(year):
                raise ValueError("day of year out of range")
            return days_of(year, 1, 1) + self.day_of_year - 1
        month = _checked(self.month, 12, round_up and self.year is not None, 1)
        last = month_length(year, month)
        return days_of(year, month, _checked(self.day, last, round_up and self.year is not None, 1))


def _checked(value: int | None, most: int, round_up: bool, least: int) -> int:
    if value is None:
        return most if round_up else least
    if not least <= value <= most:
        raise ValueError(f"{value} is out of range")
    return value


def is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def month_length(year: int, month: int) -> int:
    return _LENGTHS[month - 1] + (month == 2 and is_leap(year))


def days_of(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 (eras of 400 years, years beginning in March)."""
    year -= month <= 2
    era = year // 400
    year_of_era = year - era * 400
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468


def date_of(days: int) -> tuple[int, int, int]:
    """Year, month and day of a day since 1970-01-01."""
    days += 719_468
    era = days // 146_097
    day_of_era = days - era * 146_097
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = shifted + (3 if shifted < 10 else -9)
    return year_of_era + era * 400 + (month <= 2), month, day_of_year - (153 * shifted + 2) // 5 + 1


def weekday_of(days: int) -> int:
    """1 for Monday to 7 for Sunday."""
    return (days + 3) % 7 + 1


def week_of(days: int) -> tuple[int, int]:
    """The ISO week-based year and week."""
    thursday = days - weekday_of(days) + 4
    year = date_of(thursday)[0]
    return year, (thursday - days_of(year, 1, 1)) // 7 + 1


def _week_day(year: int, week: int, weekday: int) -> int:
    if not 1 <= week <= 53 or not 1 <= weekday <= 7:
        raise ValueError("week out of range")
    fourth = days_of(year, 1, 4)
    return fourth - weekday_of(fourth) + 1 + (week - 1) * 7 + weekday - 1


def offset_ms(zone: datetime.tzinfo, millis: int) -> int:
    """The zone's offset at a moment; beyond datetime's years that of the nearest year."""
    limited = min(max(millis, -62_135_500_000_000), 253_402_200_000_000)
    moment = _EPOCH + datetime.timedelta(milliseconds=limited)
    offset = moment.astimezone(zone).utcoffset()
    return 0 if offset is None else round(offset.total_seconds() * 1000)


def offset_at_local(zone: datetime.tzinfo, local_ms: int) -> int:
    """The offset where a clock on the wall shows `local_ms`; in a gap the one before it, as Java resolves it."""
    first = offset_ms(zone, local_ms - offset_ms(zone, local_ms - MS_PER_DAY))
    before = offset_ms(zone, local_ms - MS_PER_DAY)
    if offset_ms(zone, local_ms - before) == before:
        return before
    return first if offset_ms(zone, local_ms - first) == first else before
