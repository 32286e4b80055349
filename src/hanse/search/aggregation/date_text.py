"""Dates of aggregations as text: epoch milliseconds in a field's format, bounds of a request read with date math.

Formats and date math are those of mappings and queries. Tests: tests/search/aggregation/test_rounding.py.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

from hanse.errors import IllegalArgumentError
from hanse.index.mapping.dates import DEFAULT_PATTERN, DateFormat
from hanse.search.query import dates

LONG_LIMIT = 2**63
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def zone(name: str | None) -> tzinfo:
    """A time zone by id or offset (`Europe/Berlin`, `+01:00`); UTC when none is named."""
    return UTC if name is None else dates.zone(name)


def local(millis: int, tz: tzinfo) -> datetime:
    try:
        return (_EPOCH + timedelta(milliseconds=millis)).astimezone(tz)
    except OverflowError as failure:
        raise IllegalArgumentError(f"date [{millis}] is outside the years that intervals are computed for") from failure


def to_millis(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


@lru_cache(maxsize=65_536)
def render_date(millis: float, pattern: str | None, tz: tzinfo = UTC) -> str:
    """`2010-03-12T01:07:45.000Z` under the default format. Remembered: nested buckets repeat their keys."""
    return DateFormat.of(pattern or DEFAULT_PATTERN).format(int(millis), tz)


def parse_date(value: object, pattern: str | None, tz: tzinfo = UTC, *, now_ms: int | None = None) -> int:
    """Epoch milliseconds of a bound in the request; a JSON number is epoch milliseconds (seconds in `epoch_second`)."""
    pattern = pattern or DEFAULT_PATTERN
    if isinstance(value, int | float) and not isinstance(value, bool):
        scaled = value * 1000 if pattern.startswith("epoch_second") else value
        if not abs(scaled) < LONG_LIMIT:
            raise IllegalArgumentError(f"failed to parse date field [{value}] with format [{pattern}]")
        return int(scaled)
    text = str(value)
    if text.startswith("now"):
        now = to_millis(datetime.now(UTC)) if now_ms is None else now_ms
        return dates.add_math(now, text[3:], False, tz, text)
    anchor, bars, math = text.partition("||")
    millis = DateFormat.of(pattern).parse(anchor, time_zone=tz)
    return dates.add_math(millis, math, False, tz, text) if bars and math else millis
