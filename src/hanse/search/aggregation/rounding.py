"""Calendar and fixed date intervals: where a moment's bucket begins, and where the next one does.

In a zone of fixed offset every interval but month, quarter and year is plain arithmetic (`step_ms`). Elsewhere buckets
begin at local times: a calendar bucket at the local start of its unit (the first moment after it, when a clock change
skips it), a fixed one at multiples of the interval in local time.
Tests: tests/search/aggregation/test_rounding.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache

from hanse.errors import IllegalArgumentError
from hanse.search.aggregation.date_text import LONG_LIMIT, local, to_millis

DAY_MS = 86_400_000
_NAIVE_EPOCH = datetime(1970, 1, 1)
WEEK_SHIFT_MS = 4 * DAY_MS  # 1970-01-05 was a Monday
CALENDAR_UNITS = {
    "second": "second", "1s": "second", "minute": "minute", "1m": "minute", "hour": "hour", "1h": "hour",
    "day": "day", "1d": "day", "week": "week", "1w": "week", "month": "month", "1M": "month",
    "quarter": "quarter", "1q": "quarter", "year": "year", "1y": "year",
}  # fmt: skip
_UNIT_MS = {"second": 1_000, "minute": 60_000, "hour": 3_600_000, "day": DAY_MS, "week": 7 * DAY_MS}
_FIXED_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": DAY_MS}


def parse_fixed(text: str, setting: str = "date_histogram.fixedInterval") -> int:
    """Milliseconds of `30s`, `12h`, `1d`, ..."""
    match = re.fullmatch(r"\s*(\d+)\s*(nanos|micros|ms|s|m|h|d)\s*", text)
    if not match:
        raise IllegalArgumentError(
            f"failed to parse setting [{setting}] with value [{text}] as a time value: unit is missing or unrecognized"
        )
    millis = int(match[1]) * _FIXED_MS.get(match[2], 0)
    if millis >= LONG_LIMIT:
        raise IllegalArgumentError(f"failed to parse setting [{setting}] with value [{text}]: it is too long")
    if millis <= 0:
        raise IllegalArgumentError("Zero or negative time interval not supported")
    return millis


def parse_offset(value: object) -> int:
    """Milliseconds of `+6h`, `-1d` or a number."""
    if isinstance(value, int) and abs(value) < LONG_LIMIT:
        return value
    text = str(value)
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    return 0 if digits == "0" else sign * parse_fixed(digits, "DateHistogramAggregationBuilder.parseOffset")


@dataclass(frozen=True, slots=True)
class Rounding:
    """An interval (`unit` or `fixed_ms`) in a zone, moved by an offset."""

    unit: str | None
    fixed_ms: int
    tz: tzinfo
    offset_ms: int = 0

    @property
    def step_ms(self) -> int | None:
        """The length of every bucket when they all have the same, and the clock never changes; else None."""
        if self.unit in ("second", "minute"):
            return _UNIT_MS[self.unit]
        if not isinstance(self.tz, timezone):
            return None
        return self.fixed_ms if self.unit is None else _UNIT_MS.get(self.unit)

    @property
    def shift_ms(self) -> int:
        """Buckets of length `step_ms` begin at shift_ms modulo step_ms."""
        step = self.step_ms
        assert step is not None
        zone_ms = _offset_ms(self.tz, 0) if isinstance(self.tz, timezone) else 0
        return (self.offset_ms - zone_ms + (WEEK_SHIFT_MS if self.unit == "week" else 0)) % step

    def floor(self, millis: int) -> int:
        """The beginning of the bucket that holds this moment."""
        step = self.step_ms
        if step is not None:
            return (millis - self.shift_ms) // step * step + self.shift_ms
        moved = millis - self.offset_ms
        try:
            return (self._floor_fixed(moved) if self.unit is None else self._floor_unit(moved)) + self.offset_ms
        except (ValueError, OverflowError) as failure:
            raise IllegalArgumentError(
                f"date [{millis}] is outside the years that intervals are computed for"
            ) from failure

    def next(self, start: int) -> int:
        """The beginning of the bucket after the one that begins at `start`."""
        step = self.step_ms
        return start + step if step is not None else _next(self, start)

    def _next(self, start: int) -> int:
        length = (
            self.fixed_ms if self.unit is None else {"month": 31, "quarter": 92, "year": 366}.get(self.unit, 0) * DAY_MS
        )
        length = length or _UNIT_MS[self.unit or "day"]
        # A clock change makes a bucket up to a few hours longer: look a little further when standing still.
        for extra in (0, 1, 2, 3, 24):
            after = self.floor(start + length + extra * 3_600_000)
            if after > start:
                return self._first_after(start, after)
        return start + length

    def _first_after(self, start: int, candidate: int) -> int:
        before = self.floor(candidate - 1)
        while before > start:
            candidate, before = before, self.floor(before - 1)
        return candidate

    def _floor_unit(self, millis: int) -> int:
        moment = local(millis, self.tz)
        if self.unit == "hour":
            # Whole hours of local time; an hour that happens twice is two buckets.
            shift = _offset_ms(self.tz, millis)
            return (millis + shift) // 3_600_000 * 3_600_000 - shift
        day = moment.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        if self.unit == "week":
            day -= timedelta(days=day.weekday())
        elif self.unit == "month":
            day = day.replace(day=1)
        elif self.unit == "quarter":
            day = day.replace(day=1, month=(day.month - 1) // 3 * 3 + 1)
        elif self.unit == "year":
            day = day.replace(day=1, month=1)
        # Where clocks went back over midnight (St. John's, 00:01), the day that has begun stays begun.
        following = _local_to_millis(_following(day, self.unit or "day"))
        return following if following <= millis else _local_to_millis(day)

    def _floor_fixed(self, millis: int) -> int:
        """The local multiple of the interval at or before the moment; a skipped one is looked for before the skip."""
        probe = millis
        while True:
            local_ms = probe + _offset_ms(self.tz, probe)
            rounded = (_NAIVE_EPOCH + timedelta(milliseconds=local_ms // self.fixed_ms * self.fixed_ms)).replace(
                tzinfo=self.tz
            )
            candidates = [to_millis(rounded.replace(fold=fold)) for fold in (1, 0)]
            valid = [at for at in candidates if local(at, self.tz).replace(tzinfo=None) == rounded.replace(tzinfo=None)]
            for at in valid:
                if at <= millis:
                    return at
            if valid:
                return probe
            probe = _last_change(self.tz, min(candidates) - DAY_MS, max(candidates) + DAY_MS) - 1


@lru_cache(maxsize=65_536)
def _next(rounding: Rounding, start: int) -> int:
    """Steps through a zone are dear, and every parent bucket takes the same ones."""
    return rounding._next(start)


def _following(day: datetime, unit: str) -> datetime:
    """The local beginning of the next unit."""
    if unit in ("day", "week"):
        return day + timedelta(days=7 if unit == "week" else 1)
    months = day.year * 12 + day.month - 1 + {"month": 1, "quarter": 3, "year": 12}[unit]
    return day.replace(year=months // 12, month=months % 12 + 1)


def _offset_ms(tz: tzinfo, millis: int) -> int:
    shift = local(millis, tz).utcoffset()
    return int(shift.total_seconds() * 1000) if shift else 0


def _local_to_millis(moment: datetime) -> int:
    """The first moment with this local time; a skipped local time becomes the moment the clock jumped."""
    millis = to_millis(moment.astimezone(UTC))
    back = local(millis, moment.tzinfo or UTC)
    if back.replace(tzinfo=None) == moment.replace(tzinfo=None):
        return millis
    day = DAY_MS
    return _last_change(moment.tzinfo or UTC, millis - day, millis + day)


def _last_change(tz: tzinfo, before: int, after: int) -> int:
    """The moment between the two at which the zone's offset becomes the one it has at `after`."""
    target = _offset_ms(tz, after)
    low, high = before, after
    while high - low > 1:
        middle = (low + high) // 2
        if _offset_ms(tz, middle) == target:
            high = middle
        else:
            low = middle
    return high
