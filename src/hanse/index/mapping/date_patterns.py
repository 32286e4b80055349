"""One date format: a Java pattern, or an ISO format whose later parts may be missing, as a regular expression.

Text is parsed into a `Moment` and a moment printed by the same list of parts. English names only.
Tests: tests/index/test_dates.py.
"""

from __future__ import annotations

import datetime
import re
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass

from hanse.errors import IllegalArgumentError
from hanse.index.mapping.calendar import MS_PER_DAY, Moment, date_of, days_of, offset_ms, week_of, weekday_of

_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October")
_MONTHS += ("November", "December")  # type: ignore[assignment]
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_ZONE = r"(?:Z|[+-]\d{2}(?::?\d{2}(?::?\d{2})?)?)"
_ZONE_ID = r"(?:[A-Za-z][A-Za-z0-9_+\-/]*|[+-]\d{2}:?\d{2})"

Part = tuple[str, int]
"""A pattern letter and how often it stands; letter `'` with a literal is ("'" + text, 0), `[` and `]` are options."""


@dataclass(frozen=True, slots=True)
class Parts:
    """A moment taken apart for printing."""

    days: int
    in_day_ms: int
    offset_s: int
    zone: datetime.tzinfo | None

    @classmethod
    def of(cls, millis: int, zone: datetime.tzinfo | None) -> Parts:
        offset = 0 if zone is None else offset_ms(zone, millis)
        days, rest = divmod(millis + offset, MS_PER_DAY)
        return cls(days, rest, offset // 1000, zone)


class PatternFormat:
    """`expression` matches a whole text; each group's number leads to the setter of its part."""

    def __init__(self, pattern: str, lenient: bool = False) -> None:
        self._parts = split_pattern(pattern)
        setters: list[Callable[[Moment, str], None]] = []
        regex = []
        for place, (letter, count) in enumerate(self._parts):
            if letter == "[":
                regex.append("(?:")
            elif letter == "]":
                regex.append(")?")
            elif letter.startswith("'"):
                regex.append(re.escape(letter[1:]))
            else:
                text, setter = _reading(letter, count, lenient, _is_adjacent(self._parts, place), pattern)
                regex.append(f"({text})")
                setters.append(setter)
        self._setters = setters
        self._expression = re.compile("".join(regex), re.ASCII | re.IGNORECASE)

    def read(self, text: str) -> Moment | None:
        """None when the text has another form. Raises ValueError for a part that cannot be."""
        match = self._expression.fullmatch(text)
        if match is None:
            return None
        moment = Moment()
        for setter, found in zip(self._setters, match.groups(), strict=True):
            if found is not None:
                setter(moment, found)
        return moment

    def write(self, millis: int, zone: datetime.tzinfo | None) -> str:
        parts = Parts.of(millis, zone)
        return "".join(_written(letter, count, parts) for letter, count in self._parts if letter not in "[]")


def split_pattern(pattern: str) -> list[Part]:
    """The letters of a Java pattern in order. Raises IllegalArgumentError."""
    parts: list[Part] = []
    place = 0
    while place < len(pattern):
        character = pattern[place]
        if character == "'":
            end = pattern.find("'", place + 1)
            if end < 0:
                raise _invalid(pattern, f"Pattern ends with an incomplete string literal: {pattern}")
            parts.append(("'" + (pattern[place + 1 : end] or "'"), 0))
            place = end + 1
        elif character.isascii() and character.isalpha():
            end = place
            while end < len(pattern) and pattern[end] == character:
                end += 1
            parts.append((character, end - place))
            place = end
        else:
            parts.append((character if character in "[]" else "'" + character, 0))
            place += 1
    if sum(part == ("[", 0) for part in parts) != sum(part == ("]", 0) for part in parts):
        raise _invalid(pattern, "Pattern has unbalanced brackets")
    return parts


def _invalid(pattern: str, why: str) -> IllegalArgumentError:
    return IllegalArgumentError(f"Invalid format: [{pattern}]: {why}")


def _is_adjacent(parts: list[Part], place: int) -> bool:
    """True when another number follows without anything between, so that digits cannot be taken greedily."""
    following = parts[place + 1 : place + 2]
    return bool(following) and following[0][0] in "uyMdDHhkKmsSn"


def _reading(
    letter: str, count: int, lenient: bool, adjacent: bool, pattern: str
) -> tuple[str, Callable[[Moment, str], None]]:
    digits = _digits(count, lenient and not adjacent)
    if letter in "uy":
        if count == 2:
            return r"\d{2}", lambda moment, text: setattr(moment, "year", 2000 + int(text))
        if adjacent:
            return rf"\d{{{max(count, 4)}}}", _integer("year")
        return (r"[+-]?\d{1,9}" if lenient or count < 4 else r"\d{4}|[+-]\d{4,9}"), _integer("year")
    if letter in "ML" and count >= 3:
        names = [name if count == 4 else name[:3] for name in _MONTHS]
        return "|".join(names), lambda moment, text: setattr(moment, "month", _place_of(names, text))
    if letter == "E" or (letter == "e" and count >= 3):
        names = [name if count == 4 else name[:3] for name in _DAYS]
        return "|".join(names), lambda moment, text: setattr(moment, "weekday", _place_of(names, text))
    if letter == "a":
        return "AM|PM", lambda moment, text: setattr(moment, "is_afternoon", text.upper() == "PM")
    if letter == "S":
        return (r"\d{1,9}" if lenient else rf"\d{{{count}}}"), _fraction
    if letter in "XxZ":
        return _ZONE, _offset
    if letter in "zVO":
        return _ZONE_ID, _zone
    if letter == "Y":
        return (r"\d{1,9}" if lenient else r"\d{4}"), _integer("week_year")
    names_of = {"M": "month", "L": "month", "d": "day", "D": "day_of_year", "H": "hour", "k": "hour", "m": "minute"}
    names_of |= {"s": "second", "h": "half_day_hour", "K": "half_day_hour", "w": "week", "e": "weekday", "c": "weekday"}
    if letter not in names_of:
        raise _invalid(pattern, f"Unknown pattern letter: {letter}")
    if letter == "D" and count < 3:
        digits = r"\d{1,3}"
    return digits, _integer(names_of[letter])


def _digits(count: int, lenient: bool) -> str:
    return rf"\d{{1,{max(count, 2)}}}" if count == 1 or lenient else rf"\d{{{count}}}"


def _integer(name: str) -> Callable[[Moment, str], None]:
    return lambda moment, text: setattr(moment, name, int(text))


def _fraction(moment: Moment, text: str) -> None:
    moment.nanos = int(text.ljust(9, "0"))


def _place_of(names: list[str], text: str) -> int:
    return [name.lower() for name in names].index(text.lower()) + 1


def _offset(moment: Moment, text: str) -> None:
    moment.offset_s = offset_seconds(text)


def offset_seconds(text: str) -> int:
    """`Z`, `+01`, `+01:30`, `+0130` in seconds. Raises ValueError beyond 18 hours."""
    if text in ("Z", "z"):
        return 0
    digits = text[1:].replace(":", "")
    seconds = int(digits[:2]) * 3600 + int(digits[2:4] or 0) * 60 + int(digits[4:6] or 0)
    if seconds > 18 * 3600 or int(digits[2:4] or 0) > 59:
        raise ValueError("Zone offset not in valid range: -18:00 to +18:00")
    return -seconds if text[0] == "-" else seconds


def _zone(moment: Moment, text: str) -> None:
    if text[0] in "+-" or text in ("Z", "z"):
        moment.offset_s = offset_seconds(text)
        return
    try:
        moment.zone = zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, OSError) as error:
        raise ValueError(f"Unknown time-zone ID: {text}") from error


def _written(letter: str, count: int, parts: Parts) -> str:
    if letter.startswith("'"):
        return letter[1:]
    year, month, day = date_of(parts.days)
    seconds, millis = divmod(parts.in_day_ms, 1000)
    hour = seconds // 3600
    if letter in "uy":
        if count == 2:
            return f"{year % 100:02d}"
        return f"{'-' if year < 0 else '+' if year > 9999 and count >= 4 else ''}{abs(year):0{count}d}"
    if letter in "ML" and count >= 3:
        return _MONTHS[month - 1] if count == 4 else _MONTHS[month - 1][:3]
    if letter == "E" or (letter == "e" and count >= 3):
        name = _DAYS[weekday_of(parts.days) - 1]
        return name if count == 4 else name[:3]
    if letter == "S":
        return f"{millis:03d}".ljust(9, "0")[:count]
    if letter == "a":
        return "PM" if hour >= 12 else "AM"
    if letter in "XxZzVO":
        return _written_zone(letter, count, parts)
    numbers = {"M": month, "L": month, "d": day, "D": parts.days - days_of(year, 1, 1) + 1, "H": hour, "k": hour or 24}
    numbers |= {"h": hour % 12 or 12, "K": hour % 12, "m": seconds // 60 % 60, "s": seconds % 60}
    numbers |= {"Y": week_of(parts.days)[0], "w": week_of(parts.days)[1], "e": weekday_of(parts.days)}
    numbers["c"] = numbers["e"]
    return f"{numbers[letter]:0{count}d}"


def _written_zone(letter: str, count: int, parts: Parts) -> str:
    if letter in "zVO" and parts.zone is not None:
        return str(parts.zone)
    if parts.offset_s == 0 and letter in "XzVO":
        return "Z"
    sign = "-" if parts.offset_s < 0 else "+"
    hours, rest = divmod(abs(parts.offset_s), 3600)
    glue = ":" if (count >= 3 and letter != "Z") or letter in "zVO" or count == 5 else ""
    if letter in "Xx" and count == 1 and not rest:
        return f"{sign}{hours:02d}"
    return f"{sign}{hours:02d}{glue}{rest // 60:02d}"
