"""Date math in index names: `<logs-{now/d}>`, `<logs-{now/M{yyyy.MM}}>`, `<logs-{now/d{yyyy-MM-dd|+02:00}}>`.

Pure: the time comes in. Raises DateMathError, a `parse_exception` as Elasticsearch's.
Tests: tests/security/test_date_math.py.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hanse.errors import ParsingError

DEFAULT_FORMAT = "yyyy.MM.dd"
_MATH = re.compile(r"([+-])(\d*)([yMwdhHms])|/([yMwdhHms])")
_FIELD = re.compile(r"'([^']*)'|([a-zA-Z])\2*|.", re.DOTALL)
_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})")
_FIXED_S = {"w": 7 * 86400, "d": 86400, "h": 3600, "H": 3600, "m": 60, "s": 1}
AMOUNT_MAX = 100_000


class DateMathError(ParsingError):
    type = "parse_exception"


def is_date_math(part: str) -> bool:
    return part.startswith("<") and part.endswith(">")


def resolve(expression: str, now_ms: int) -> str:
    """The name that a `<...>` expression stands for."""
    start = f"invalid dynamic name expression [{expression[1:-1]}]."
    text = expression[1:-1]
    result: list[str] = []
    position = 0
    while position < len(text):
        char = text[position]
        if char == "\\" and position + 1 < len(text):
            result.append(text[position + 1])
            position += 2
        elif char == "{":
            end = _closing(text, position)
            if end is None:
                raise DateMathError(f"{start} date math placeholder is open ended")
            result.append(_placeholder(text[position + 1 : end], now_ms, start))
            position = end + 1
        elif char == "}":
            raise DateMathError(
                f"{start} invalid character at position [{position}]. `{{` and `}}` are reserved characters and "
                f"should be escaped when used as part of the index name using `\\` (e.g. `\\{{text\\}}`)"
            )
        else:
            result.append(char)
            position += 1
    if not result:
        raise DateMathError(f"{start} nothing captured")
    return "".join(result)


def _closing(text: str, opening: int) -> int | None:
    depth = 0
    for position in range(opening, len(text)):
        if text[position] == "{":
            depth += 1
        elif text[position] == "}":
            depth -= 1
            if depth == 0:
                return position
    return None


def _placeholder(text: str, now_ms: int, start: str) -> str:
    math, brace, rest = text.partition("{")
    form, zone = DEFAULT_FORMAT, _zone("", start)
    if brace:
        if not rest.endswith("}"):
            raise DateMathError(f"{start} missing closing `}}` for date math format")
        form, _, zone_text = rest[:-1].partition("|")
        if not form:
            raise DateMathError(f"{start} missing date format")
        zone = _zone(zone_text, start)
    return _render(_moment(math, now_ms, zone, start), form)


def _zone(text: str, start: str) -> tzinfo:
    if not text:
        return UTC
    offset = _OFFSET.fullmatch(text)
    if offset is not None:
        sign = -1 if offset[1] == "-" else 1
        return timezone(sign * timedelta(hours=int(offset[2]), minutes=int(offset[3])))
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise DateMathError(f"{start} unknown time zone [{text}]") from error


def _moment(math: str, now_ms: int, zone: tzinfo, start: str) -> datetime:
    now, separator, rest = math.partition("now")
    if now or not separator:
        raise DateMathError(f"{start} only expressions relative to [now] are supported, but found [{math}]")
    moment = datetime.fromtimestamp(now_ms / 1000, tz=zone)
    position = 0
    while position < len(rest):
        step = _MATH.match(rest, position)
        if step is None:
            raise DateMathError(f"{start} operator not supported for date math [{rest[position:]}]")
        position = step.end()
        try:
            moment = _round(moment, step[4]) if step[4] else _add(moment, step[1], step[2], step[3])
        except (OverflowError, ValueError) as error:
            raise DateMathError(f"{start} the date is out of range") from error
    return moment


def _add(moment: datetime, sign: str, amount_text: str, unit: str) -> datetime:
    amount = int(amount_text or "1") * (-1 if sign == "-" else 1)
    if abs(amount) > AMOUNT_MAX:
        raise OverflowError
    if unit in _FIXED_S:
        return moment + timedelta(seconds=amount * _FIXED_S[unit])
    months = moment.year * 12 + moment.month - 1 + amount * (12 if unit == "y" else 1)
    first = moment.replace(year=months // 12, month=months % 12 + 1, day=1)
    next_month = (first.replace(day=28) + timedelta(days=4)).replace(day=1)
    return first.replace(day=min(moment.day, (next_month - timedelta(days=1)).day))


def _round(moment: datetime, unit: str) -> datetime:
    moment = moment.replace(microsecond=0)
    if unit == "s":
        return moment
    moment = moment.replace(second=0)
    if unit == "m":
        return moment
    moment = moment.replace(minute=0)
    if unit in "hH":
        return moment
    moment = moment.replace(hour=0)
    if unit == "w":
        return moment - timedelta(days=moment.weekday())
    if unit == "M":
        return moment.replace(day=1)
    return moment.replace(day=1, month=1) if unit == "y" else moment


def _render(moment: datetime, form: str) -> str:
    return "".join(_field(match, moment) for match in _FIELD.finditer(form))


def _field(match: re.Match[str], moment: datetime) -> str:
    text, letter = match[0], match[2]
    if text.startswith("'"):
        return match[1] or "'"
    if not letter:
        return text
    size = len(text)
    if letter in "yuYx":
        # Y is the calendar year here, as in Elasticsearch's older formats; x is the week's year.
        year = moment.isocalendar().year if letter == "x" else moment.year
        return f"{year % 100:02d}" if size == 2 else f"{year:0{size}d}"
    if letter == "S":
        return f"{moment.microsecond:06d}"[:size].ljust(size, "0")
    values = {
        "M": moment.month,
        "d": moment.day,
        "D": moment.timetuple().tm_yday,
        "H": moment.hour,
        "h": (moment.hour - 1) % 12 + 1,
        "m": moment.minute,
        "s": moment.second,
        "w": moment.isocalendar().week,
        "e": moment.isoweekday(),
    }
    if letter not in values:
        raise DateMathError(f"Invalid format: [{text}]: Unknown pattern letter: {letter}")
    return f"{values[letter]:0{size}d}"
