"""One JSON value as its field's slot holds it: numbers, booleans, addresses, points.

Each function takes what the JSON parser gave (or a query's literal) and raises IllegalArgumentError in
Elasticsearch's words. The document mapper keeps the common case to itself and comes here for the rest.
Tests: tests/index/test_values.py.
"""

from __future__ import annotations

import json
import math
import re
import socket
import struct
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from hanse.errors import HanseError, IllegalArgumentError

INTEGER_RANGES = {
    "long": (-(2**63), 2**63 - 1),
    "integer": (-(2**31), 2**31 - 1),
    "short": (-(2**15), 2**15 - 1),
    "byte": (-(2**7), 2**7 - 1),
    # Above 2^63 - 1 an unsigned long has no place in a signed column; such values are refused.
    "unsigned_long": (0, 2**63 - 1),
}
_ARTICLES = {"integer": "an", "unsigned_long": "an"}
_JAVA_NAMES = {"integer": "int", "short": "Java short"}
_TRUE_FALSE = {"true": 1, "false": 0, "": 0}
_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_DIGITS_MAX = 400
_GEOHASH = "0123456789bcdefghjkmnpqrstuvwxyz"


class IllegalStateError(HanseError):
    """An object where a plain value belongs; only seen as the cause of a document's refusal."""

    type = "illegal_state_exception"
    status = 400


class RawNumber(float):
    """A JSON number with fraction or exponent that remembers how it was written."""

    text: str

    def __new__(cls, text: str) -> RawNumber:
        made = super().__new__(cls, text)
        made.text = text
        return made


def plain_text(value: Any) -> str:
    """A scalar's text as it stands in JSON. Raises IllegalStateError for an object."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, RawNumber):
        return value.text
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return json.dumps(value)
    raise IllegalStateError(f"Can't get text on a {'START_OBJECT' if isinstance(value, dict) else 'START_ARRAY'}")


def integer_of(kind: str, value: Any, coerce: bool = True) -> int:
    """A `long`, `integer`, `short`, `byte` or `unsigned_long`; a fraction is cut off where coerce allows it."""
    if isinstance(value, dict | list | bool):
        raise _not_numeric(value)
    low, high = INTEGER_RANGES[kind]
    if isinstance(value, int):
        if not low <= value <= high:
            raise _out_of_range(kind, str(value), high, low, from_text=False)
        return value
    text = plain_text(value)
    if isinstance(value, str) and not coerce:
        raise IllegalArgumentError(f"{_class_name(kind)} value passed as String")
    number = _decimal(text, kind)
    whole = int(number)
    if whole != number and not coerce:
        raise IllegalArgumentError(f"{text} cannot be converted to {_class_name(kind)} without data loss")
    if whole != number and kind == "unsigned_long":
        raise IllegalArgumentError(f'For input string: "{text}"')
    if not low <= whole <= high:
        raise _out_of_range(kind, text, high, low, from_text=isinstance(value, str))
    return whole


def float_of(kind: str, value: Any, coerce: bool = True) -> float:
    """A `double`, or a `float` or `half_float` rounded to what it can hold."""
    if isinstance(value, dict | list | bool):
        raise _not_numeric(value)
    if isinstance(value, str):
        if not coerce:
            raise IllegalArgumentError(f"{kind.capitalize()} value passed as String")
        number = _float_text(value)
    else:
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
    rounded = round_float(kind, number)
    if not math.isfinite(rounded):
        shown = "Infinity" if rounded > 0 else "-Infinity" if rounded < 0 else "NaN"
        raise IllegalArgumentError(f"[{kind}] supports only finite values, but got [{shown}]")
    return rounded


def round_float(kind: str, number: float) -> float:
    """The number as a field of this kind stores it; infinite when it is too large for it."""
    if kind == "double" or kind == "scaled_float":
        return number
    code = "f" if kind == "float" else "e"
    try:
        return float(struct.unpack(code, struct.pack(code, number))[0])
    except OverflowError:
        return math.copysign(math.inf, number)


def scaled_of(value: Any, factor: float, coerce: bool = True) -> float:
    """A `scaled_float`: the number rounded to multiples of 1 / factor."""
    number = float_of("scaled_float", value, coerce)
    return math.floor(number * factor + 0.5) / factor


def boolean_of(value: Any) -> int:
    if value is True:
        return 1
    if value is False:
        return 0
    if isinstance(value, str):
        found = _TRUE_FALSE.get(value)
        if found is not None:
            return found
    if isinstance(value, int | float):
        raise IllegalArgumentError("Current token (VALUE_NUMBER) not of boolean type")
    if isinstance(value, dict | list):
        raise IllegalArgumentError(f"Current token ({_token(value)}) not of boolean type")
    raise IllegalArgumentError(f"Failed to parse value [{value}] as only [true] or [false] are allowed.")


def address_of(value: Any) -> tuple[str, str]:
    """An IP address as the engine takes it, and its sortable form: 32 hexadecimal digits of the IPv6 address."""
    if isinstance(value, str):
        try:
            if ":" not in value:
                return value, "00000000000000000000ffff" + socket.inet_pton(socket.AF_INET, value).hex()
            packed = socket.inet_pton(socket.AF_INET6, value)
            return value, packed.hex()
        except (OSError, ValueError):
            pass
    raise IllegalArgumentError(f"'{plain_text(value)}' is not an IP string literal.")


def address_from_order(order: str) -> str:
    """The address behind a sortable form, IPv4 where it is one."""
    packed = bytes.fromhex(order)
    if packed.startswith(b"\0" * 10 + b"\xff\xff"):
        return socket.inet_ntop(socket.AF_INET, packed[12:])
    return socket.inet_ntop(socket.AF_INET6, packed)


def point_of(value: Any) -> tuple[float, float]:
    """Latitude and longitude of a geo_point in any of its forms but a list of points."""
    if isinstance(value, dict):
        lat, lon = _point_object(value)
    elif isinstance(value, list):
        if len(value) not in (2, 3):
            raise IllegalArgumentError("[geo_point] field type does not accept > 3 dimensions")
        lon, lat = value[0], value[1]
    else:
        lat, lon = _point_text(plain_text(value))
    try:
        latitude, longitude = float(lat), float(lon)
    except (TypeError, ValueError) as error:
        raise IllegalArgumentError("latitude must be a number") from error
    if not -90 <= latitude <= 90:
        raise IllegalArgumentError(f"illegal latitude value [{latitude}] for geo_point")
    if not -180 <= longitude <= 180:
        raise IllegalArgumentError(f"illegal longitude value [{longitude}] for geo_point")
    return latitude, longitude


def _point_object(value: dict[str, Any]) -> tuple[Any, Any]:
    if "geohash" in value:
        return _geohash(str(value["geohash"]))
    if value.get("type", "").lower() == "point" and isinstance(value.get("coordinates"), list):
        coordinates = value["coordinates"]
        if len(coordinates) >= 2:
            return coordinates[1], coordinates[0]
    if "lat" not in value or "lon" not in value:
        raise IllegalArgumentError("field [lat] missing" if "lat" not in value else "field [lon] missing")
    return value["lat"], value["lon"]


def _point_text(text: str) -> tuple[Any, Any]:
    match = re.fullmatch(r"\s*POINT\s*\(\s*(\S+)\s+(\S+?)\s*\)\s*", text, re.IGNORECASE)
    if match is not None:
        return match[2], match[1]
    if "," in text:
        lat, _, lon = text.partition(",")
        return lat.strip(), lon.partition(",")[0].strip()
    return _geohash(text)


def _geohash(text: str) -> tuple[float, float]:
    bounds = [[-180.0, 180.0], [-90.0, 90.0]]
    bit = 0
    for character in text.lower():
        number = _GEOHASH.find(character)
        if number < 0:
            raise IllegalArgumentError(f"unsupported symbol [{character}] in geohash [{text}]")
        for shift in range(4, -1, -1):
            low, high = bounds[bit % 2]
            bounds[bit % 2][0 if number >> shift & 1 else 1] = (low + high) / 2
            bit += 1
    if not text:
        raise IllegalArgumentError("geohash is empty")
    return sum(bounds[1]) / 2, sum(bounds[0]) / 2


def _decimal(text: str, kind: str) -> Decimal:
    if not _DECIMAL.fullmatch(text) or len(text) > _DIGITS_MAX:
        raise IllegalArgumentError(f'For input string: "{text}"' if text else "empty String")
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise IllegalArgumentError(f'For input string: "{text}"') from error
    # An exponent of millions would make a number of as many digits.
    if number and number.adjusted() > 30:
        low, high = INTEGER_RANGES[kind]
        raise _out_of_range(kind, text, high, low, from_text=True)
    return number if number.adjusted() > -_DIGITS_MAX else Decimal(0)


def _float_text(text: str) -> float:
    if text in ("NaN", "Infinity", "-Infinity", "+Infinity"):
        return float(text)
    if not _DECIMAL.fullmatch(text.strip()):
        raise IllegalArgumentError(f'For input string: "{text}"' if text else "empty String")
    return float(text)


def _out_of_range(kind: str, text: str, high: int, low: int, *, from_text: bool) -> IllegalArgumentError:
    shown = kind.replace("_", " ")
    if from_text or kind in ("byte", "unsigned_long"):
        return IllegalArgumentError(f"Value [{text}] is out of range for {_ARTICLES.get(kind, 'a')} {shown}")
    return IllegalArgumentError(
        f"Numeric value ({text}) out of range of {_JAVA_NAMES.get(kind, kind)} ({low} - {high})"
    )


def _class_name(kind: str) -> str:
    return kind.capitalize()


def _token(value: Any) -> str:
    return "START_OBJECT" if isinstance(value, dict) else "START_ARRAY"


def _not_numeric(value: Any) -> IllegalArgumentError:
    token = ("VALUE_TRUE" if value else "VALUE_FALSE") if isinstance(value, bool) else _token(value)
    return IllegalArgumentError(f"Current token ({token}) not numeric, can not use numeric value accessors")


Convert = Callable[[Any], Any]
