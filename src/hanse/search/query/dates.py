"""Dates in queries: date math (`now-1d/d`, `2020-01-01||+1M/M`), formats, time zones and rounding.

Tests: tests/search/test_dates.py.
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hanse.errors import HanseError, IllegalArgumentError
from hanse.index.mapping import DateFormat
from hanse.search.query.context import QueryContext

_STEP = re.compile(r"([+-])(\d*)([yMwdhHms])|/([yMwdhHms])")
_DELTAS = {"w": "weeks", "d": "days", "h": "hours", "H": "hours", "m": "minutes", "s": "seconds"}
_DEFAULT_FORMAT = "strict_date_optional_time||epoch_millis"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse(
    context: QueryContext,
    field: Any,
    value: Any,
    text_format: str | None = None,
    round_up: bool = False,
    zone: tzinfo | None = None,
) -> int:
    """Epoch milliseconds of a date literal or of date math. Raises QueryShardError."""
    text = value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    try:
        return _parse(context, _format_of(field, text_format), text, round_up, zone)
    except HanseError as error:
        raise context.cannot_create(error) from error


def _format_of(field: Any, text_format: str | None) -> DateFormat:
    if text_format is not None:
        return DateFormat.of(text_format)
    own: DateFormat | None = getattr(field, "date_format", None)
    return own if own is not None else DateFormat.of(_DEFAULT_FORMAT)


def _parse(context: QueryContext, form: DateFormat, text: str, round_up: bool, zone: tzinfo | None) -> int:
    if text.startswith("now"):
        return add_math(context.now(), text[3:], round_up, zone, text)
    anchor, bars, math = text.partition("||")
    if not bars or not math:
        return form.parse(anchor, round_up, zone)
    return add_math(form.parse(anchor, False, zone), math, round_up, zone, text)


def add_math(millis: int, math: str, round_up: bool, zone: tzinfo | None, whole: str) -> int:
    """Adds and rounds step by step. Rounding up ends at the last millisecond of the unit."""
    moment = _EPOCH + timedelta(milliseconds=millis)
    if zone is not None:
        moment = moment.astimezone(zone)
    position = 0
    while position < len(math):
        step = _STEP.match(math, position)
        if step is None:
            raise IllegalArgumentError(
                f"failed to parse date math expression [{whole}]: operator not supported for date math"
            )
        position = step.end()
        sign, count, unit, rounding = step.groups()
        if rounding:
            moment = _floor(moment, rounding)
            if round_up:
                moment = _add(moment, rounding, 1) - timedelta(milliseconds=1)
        else:
            moment = _add(moment, unit, int(count or 1) * (1 if sign == "+" else -1))
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _floor(moment: datetime, unit: str) -> datetime:
    midnight: dict[str, Any] = {"hour": 0, "minute": 0, "second": 0, "microsecond": 0}
    if unit == "y":
        return moment.replace(month=1, day=1, **midnight)
    if unit == "M":
        return moment.replace(day=1, **midnight)
    if unit == "w":
        return moment.replace(**midnight) - timedelta(days=moment.weekday())
    if unit == "d":
        return moment.replace(**midnight)
    if unit in "hH":
        return moment.replace(minute=0, second=0, microsecond=0)
    return moment.replace(second=0, microsecond=0) if unit == "m" else moment.replace(microsecond=0)


def _add(moment: datetime, unit: str, count: int) -> datetime:
    try:
        if unit in ("y", "M"):
            months = moment.year * 12 + moment.month - 1 + count * (12 if unit == "y" else 1)
            year, month = divmod(months, 12)
            day = min(moment.day, calendar.monthrange(year, month + 1)[1])
            return moment.replace(year=year, month=month + 1, day=day)
        return moment + timedelta(**{_DELTAS[unit]: count})
    except (ValueError, OverflowError) as error:
        raise IllegalArgumentError("date math leads beyond the dates that can be represented") from error


def time_zone_of(context: QueryContext, name: str | None) -> tzinfo | None:
    if name is None:
        return None
    try:
        return zone(name)
    except IllegalArgumentError as error:
        raise context.cannot_create(error) from error


@lru_cache(maxsize=256)
def zone(name: str) -> tzinfo:
    """An offset such as `+02:00`, `Z`, or a name such as `Europe/Berlin`."""
    if name in ("Z", "UTC", "z"):
        return UTC
    offset = re.fullmatch(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?(\d{2}))?", name)
    if offset:
        sign = 1 if offset[1] == "+" else -1
        return timezone(sign * timedelta(hours=int(offset[2]), minutes=int(offset[3] or 0)))
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise IllegalArgumentError(f"Unknown time-zone ID: {name}") from error


def format_millis(millis: int, text_format: str, field: Any) -> str:
    """A date in the format a request names."""
    form = _format_of(field, None if text_format == "use_field_mapping" else text_format)
    return str(form.format(millis))
