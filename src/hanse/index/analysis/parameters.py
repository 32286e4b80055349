"""Reading an analysis component's flat definition: texts, numbers, lists and Java regular expressions.

Tests: tests/index/test_analysis.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import re2

from hanse.errors import IllegalArgumentError

_FLAGS = {
    "CASE_INSENSITIVE": "i",
    "MULTILINE": "m",
    "DOTALL": "s",
    "UNICODE_CASE": "",
    "UNICODE_CHARACTER_CLASS": "",
}
PATTERN_CHARACTERS_MAX = 1000


def text_of(given: Mapping[str, Any], key: str, default: str) -> str:
    value = given.get(key, default)
    if isinstance(value, list):
        return ",".join(value)
    return str(value)


def integer_of(given: Mapping[str, Any], key: str, default: int) -> int:
    value = given.get(key)
    if value is None:
        return default
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise IllegalArgumentError(f"Failed to parse value [{value}] for setting [{key}]") from error


def boolean_of(given: Mapping[str, Any], key: str, default: bool) -> bool:
    value = given.get(key)
    if value is None:
        return default
    if str(value).lower() not in ("true", "false"):
        raise IllegalArgumentError(f"Failed to parse value [{value}] as only [true] or [false] are allowed.")
    return str(value).lower() == "true"


def strings_of(given: Mapping[str, Any], key: str) -> list[str]:
    """A list, or one text with commas; also the numbered form `key.0`, `key.1`."""
    value = given.get(key)
    if value is None:
        numbered = sorted((int(k[len(key) + 1 :]), v) for k, v in given.items() if re.fullmatch(rf"{key}\.\d+", k))
        return [str(v) for _, v in numbered]
    if isinstance(value, list):
        return [str(item) for item in value]
    return [part.strip() for part in str(value).split(",") if part.strip()]


def pattern_of(given: Mapping[str, Any], default: str, key: str = "pattern") -> Any:
    """A Java regular expression as re2's, so that no text costs more than its length; what re2 lacks is refused."""
    text = text_of(given, key, default)
    if len(text) > PATTERN_CHARACTERS_MAX:
        raise IllegalArgumentError(f"the pattern of an analysis component may hold {PATTERN_CHARACTERS_MAX} characters")
    flags = ""
    for name in text_of(given, "flags", "").split("|"):
        if name.strip():
            if name.strip() not in _FLAGS:
                raise IllegalArgumentError(f"Unknown regex flag [{name.strip()}]")
            flags += _FLAGS[name.strip()]
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(f"(?{flags}){text}" if flags else text, options=options)  # type: ignore[no-untyped-call]
    except re2.error as error:
        raise IllegalArgumentError(f"the pattern [{text}] cannot be read: {_said(error)}") from error


def _said(error: Exception) -> str:
    first = error.args[0] if error.args else error
    return first.decode(errors="replace") if isinstance(first, bytes) else str(first)
