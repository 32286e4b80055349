"""Reading JSON bodies with Elasticsearch's strictness and error texts.

Everything that parses a search body takes values through here, so that wrong types are 400s with the same wording.
Tests: tests/search/test_body.py.
"""

from __future__ import annotations

from typing import Any

import orjson

from hanse.errors import IllegalArgumentError, JsonParseError, ParsingError

_TRUE = {"true": True, "false": False}


def load_object(body: bytes) -> dict[str, Any]:
    """The body as an object; empty bytes are `{}`. Raises JsonParseError or ParsingError."""
    if not body or body.isspace():
        return {}
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise JsonParseError(f"{error.msg} at [line: {error.lineno}, column: {error.colno}]") from error
    if not isinstance(value, dict):
        raise ParsingError(f"Expected [START_OBJECT] but found [{token_of(value)}]", line=1, col=1)
    return value


def token_of(value: Any) -> str:
    """The name of the token a value starts with, as parser messages say it."""
    if isinstance(value, dict):
        return "START_OBJECT"
    if isinstance(value, list):
        return "START_ARRAY"
    if isinstance(value, bool):
        return "VALUE_BOOLEAN"
    if isinstance(value, int | float):
        return "VALUE_NUMBER"
    return "VALUE_NULL" if value is None else "VALUE_STRING"


def place_of(body: bytes, key: str) -> dict[str, Any]:
    """Line and column (from 1) where the value of `key` begins, as well as a search for its first mention can tell."""
    at = body.find(orjson.dumps(key))
    if at < 0:
        return {"line": 1, "col": 1}
    at = max(body.find(b":", at), at)
    line_start = body.rfind(b"\n", 0, at) + 1
    while at + 1 < len(body) and body[at + 1] in b" \t":
        at += 1
    return {"line": body.count(b"\n", 0, at) + 1, "col": at + 2 - line_start}


def as_int(value: Any, key: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ParsingError(f"[{key}] expected a number but found [{token_of(value)}]")
    try:
        if isinstance(value, float) and not value.is_integer():
            raise IllegalArgumentError(f"{value} cannot be converted to Integer without data loss")
        return int(value)
    except ValueError as error:
        raise number_format(str(value)) from error


def as_float(value: Any, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ParsingError(f"[{key}] expected a number but found [{token_of(value)}]")
    try:
        return float(value)
    except ValueError as error:
        raise number_format(str(value)) from error


def as_bool(value: Any, key: str) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in _TRUE:
        return _TRUE[value]
    raise IllegalArgumentError(
        f"Failed to parse value [{value}] as only [true] or [false] are allowed."
        if isinstance(value, str)
        else f"[{key}] expected a boolean but found [{token_of(value)}]"
    )


def as_text(value: Any, key: str) -> str:
    """Scalars in their JSON form; objects, arrays and null are refused."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    raise ParsingError(f"[{key}] expected a string but found [{token_of(value)}]")


def as_strings(value: Any, key: str) -> list[str]:
    """A string or an array of strings."""
    if isinstance(value, list):
        return [as_text(item, key) for item in value]
    return [as_text(value, key)]


class _NumberFormatError(IllegalArgumentError):
    type = "number_format_exception"


def number_format(text: str) -> IllegalArgumentError:
    return _NumberFormatError(f'For input string: "{text}"' if text else "empty String")
