"""Date formats of fields and queries: named ones, Java patterns, several joined by `||`.

A date is epoch milliseconds everywhere in the search index. Texts are tried against each format in turn.
Tests: tests/index/test_dates.py.
"""

from __future__ import annotations

import datetime
import re
from functools import lru_cache
from typing import Protocol

from hanse.errors import HanseError, IllegalArgumentError
from hanse.index.mapping.calendar import Moment
from hanse.index.mapping.date_patterns import PatternFormat

DEFAULT_PATTERN = "strict_date_optional_time||epoch_millis"
_LONG_MAX = 2**63 - 1
_ISO_TIME = "'T'[HH[:mm[:ss[.SSS]]][XXX]]"
_NAMED = {
    "basic_date": "uuuuMMdd",
    "basic_date_time": "uuuuMMdd'T'HHmmss.SSSX",
    "basic_date_time_no_millis": "uuuuMMdd'T'HHmmssX",
    "basic_ordinal_date": "uuuuDDD",
    "basic_ordinal_date_time": "uuuuDDD'T'HHmmss.SSSX",
    "basic_ordinal_date_time_no_millis": "uuuuDDD'T'HHmmssX",
    "basic_time": "HHmmss.SSSX",
    "basic_time_no_millis": "HHmmssX",
    "basic_t_time": "'T'HHmmss.SSSX",
    "basic_t_time_no_millis": "'T'HHmmssX",
    "basic_week_date": "YYYY'W'wwe",
    "basic_week_date_time": "YYYY'W'wwe'T'HHmmss.SSSX",
    "basic_week_date_time_no_millis": "YYYY'W'wwe'T'HHmmssX",
    "date": "uuuu-MM-dd",
    "date_hour": "uuuu-MM-dd'T'HH",
    "date_hour_minute": "uuuu-MM-dd'T'HH:mm",
    "date_hour_minute_second": "uuuu-MM-dd'T'HH:mm:ss",
    "date_hour_minute_second_fraction": "uuuu-MM-dd'T'HH:mm:ss.SSS",
    "date_hour_minute_second_millis": "uuuu-MM-dd'T'HH:mm:ss.SSS",
    "date_time": "uuuu-MM-dd'T'HH:mm:ss.SSSXXX",
    "date_time_no_millis": "uuuu-MM-dd'T'HH:mm:ssXXX",
    "hour": "HH",
    "hour_minute": "HH:mm",
    "hour_minute_second": "HH:mm:ss",
    "hour_minute_second_fraction": "HH:mm:ss.SSS",
    "hour_minute_second_millis": "HH:mm:ss.SSS",
    "ordinal_date": "uuuu-DDD",
    "ordinal_date_time": "uuuu-DDD'T'HH:mm:ss.SSSXXX",
    "ordinal_date_time_no_millis": "uuuu-DDD'T'HH:mm:ssXXX",
    "time": "HH:mm:ss.SSSXXX",
    "time_no_millis": "HH:mm:ssXXX",
    "t_time": "'T'HH:mm:ss.SSSXXX",
    "t_time_no_millis": "'T'HH:mm:ssXXX",
    "week_date": "YYYY-'W'ww-e",
    "week_date_time": "YYYY-'W'ww-e'T'HH:mm:ss.SSSXXX",
    "week_date_time_no_millis": "YYYY-'W'ww-e'T'HH:mm:ssXXX",
    "weekyear": "YYYY",
    "weekyear_week": "YYYY-'W'ww",
    "weekyear_week_day": "YYYY-'W'ww-e",
    "year": "uuuu",
    "year_month": "uuuu-MM",
    "year_month_day": "uuuu-MM-dd",
}
_ISO_PRINTED = "uuuu-MM-dd'T'HH:mm:ss.SSSXXX"
_FRACTION_COMMA = re.compile(r"(?<=\d),(?=\d)")


class DateTimeParseError(HanseError):
    """A text that no format of a field reads."""

    type = "date_time_parse_exception"
    status = 400


class _Format(Protocol):
    def read(self, text: str) -> Moment | None: ...

    def write(self, millis: int, zone: datetime.tzinfo | None) -> str: ...


class _OptionalTime:
    """`date_optional_time` and `iso8601`: a date with as much time as wanted; fractions of one to nine digits."""

    def __init__(self, lenient: bool) -> None:
        date = r"([+-]?\d{1,9})(?:-(\d{1,2})(?:-(\d{1,2})" if lenient else r"(\d{4}|[+-]\d{4,9})(?:-(\d{2})(?:-(\d{2})"
        two = r"\d{1,2}" if lenient else r"\d{2}"
        time = rf"(?:[T](?:({two})(?::({two})(?::({two})(?:[.,](\d{{1,9}}))?)?)?(Z|[+-]\d{{2}}(?::?\d{{2}})?)?)?)?"
        self._expression = re.compile(date + time + r")?)?", re.ASCII)
        self._zone = PatternFormat("XXX")
        self._printed = PatternFormat(_ISO_PRINTED)

    def read(self, text: str) -> Moment | None:
        match = self._expression.fullmatch(text)
        if match is None:
            return None
        year, month, day, hour, minute, second, fraction, zone = match.groups()
        moment = Moment(int(year), _optional(month), _optional(day), hour=_optional(hour), minute=_optional(minute))
        moment.second = _optional(second)
        moment.nanos = None if fraction is None else int(fraction.ljust(9, "0"))
        if zone is not None:
            read = self._zone.read(zone)
            moment.offset_s = read.offset_s if read else None
        return moment

    def write(self, millis: int, zone: datetime.tzinfo | None) -> str:
        return self._printed.write(millis, zone)


class _Epoch:
    """Milliseconds or seconds since 1970, with a fraction if wanted."""

    _expression = re.compile(r"(-?)(\d{1,19})(?:\.(\d{1,9}))?", re.ASCII)

    def __init__(self, unit_ms: int) -> None:
        self._unit_ms = unit_ms

    def read(self, text: str) -> Moment | None:
        match = self._expression.fullmatch(text)
        if match is None:
            return None
        sign, whole, fraction = match.groups()
        millis = int(whole) * self._unit_ms
        if fraction and self._unit_ms > 1:
            millis += int(fraction.ljust(9, "0")) // 1_000_000
        if millis > _LONG_MAX:
            return None
        return Moment(epoch_ms=-millis if sign else millis)

    def write(self, millis: int, zone: datetime.tzinfo | None) -> str:
        whole, rest = divmod(millis, self._unit_ms)
        return f"{whole}.{rest:03d}".rstrip("0") if rest else str(whole)


class DateFormat:
    """One or more formats; the first prints. Immutable, shared through `of`."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        names = [name.strip() for name in pattern.split("||")]
        if not pattern.strip() or any(not name for name in names):
            raise IllegalArgumentError("No date pattern provided")
        self._formats = [_single(name) for name in names]
        self.reads_epoch_millis = "epoch_millis" in names
        self.reads_iso = names[0] in ("strict_date_optional_time", "date_optional_time")
        self.reads_iso = self.reads_iso or names[0] == "strict_date_optional_time_nanos"

    @staticmethod
    @lru_cache(maxsize=512)
    def of(pattern: str) -> DateFormat:
        """Raises IllegalArgumentError `Invalid format: ...`."""
        return DateFormat(pattern)

    def parse(self, text: str, round_up: bool = False, time_zone: datetime.tzinfo | None = None) -> int:
        """Epoch milliseconds. Raises IllegalArgumentError when no format reads the text."""
        for each in self._formats:
            try:
                moment = each.read(text)
                if moment is not None:
                    millis = moment.millis(round_up, time_zone)
                    if -_LONG_MAX <= millis <= _LONG_MAX:
                        return millis
            except ValueError:
                continue
        why = "Failed to parse with all enclosed parsers"
        if len(self._formats) == 1:
            why = f"Text '{text}' could not be parsed at index 0" if text else "cannot parse empty datetime"
        raise IllegalArgumentError(
            f"failed to parse date field [{text}] with format [{self.pattern}]", caused_by=DateTimeParseError(why)
        )

    def format(self, millis: int, time_zone: datetime.tzinfo | None = None) -> str:
        return self._formats[0].write(millis, time_zone)


def _optional(text: str | None) -> int | None:
    return None if text is None else int(text)


def _single(name: str) -> _Format:
    if name in ("strict_date_optional_time", "strict_date_optional_time_nanos", "iso8601"):
        return _OptionalTime(lenient=False)
    if name == "date_optional_time":
        return _OptionalTime(lenient=True)
    if name == "epoch_millis":
        return _Epoch(1)
    if name == "epoch_second":
        return _Epoch(1000)
    bare = name.removeprefix("strict_")
    if bare in _NAMED:
        return PatternFormat(_NAMED[bare], lenient=bare == name and not name.startswith("basic_"))
    if re.fullmatch(r"[a-z]+(_[a-z]+)+", name):
        raise IllegalArgumentError(f"Invalid format: [{name}]: Unknown pattern letter: {_first_unknown(name)}")
    return PatternFormat(name)


def _first_unknown(name: str) -> str:
    return next((letter for letter in name if letter not in "uyMdDHhkKmsSnEeacXxZzVOYwL_"), name[0])
