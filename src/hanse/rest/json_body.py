"""Small JSON bodies, read as strictly as Elasticsearch reads them: duplicate keys and malformed text are refused.

For settings, mappings, security and the like; documents, bulk lines and search bodies never pass here.
Tests: tests/rest/test_json_body.py.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from hanse.errors import HanseError, JsonParseError, ParsingError, XContentParseError

DUPLICATES_BYTES_MAX = 1024 * 1024
"""Longer bodies are read by the fast parser, which lets the last of equal keys win."""
DEPTH_MAX = 1000


class BodyRequiredError(HanseError):
    type = "parse_exception"
    status = 400


class _DuplicateKeyError(Exception):
    """Raised inside the parser, which knows no position."""


def parse_object(body: bytes) -> dict[str, Any]:
    """The body as an object. Raises x_content_parse_exception or parsing_exception with line and column."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise malformed(error) from error
    if not isinstance(value, dict):
        raise ParsingError(
            f"Failed to parse object: expecting token of type [START_OBJECT] but found [{token_of(value)}]",
            line=1,
            col=1,
        )
    return _exact(body) if len(body) <= DUPLICATES_BYTES_MAX else value


def malformed(error: orjson.JSONDecodeError) -> XContentParseError:
    text = f"[{error.lineno}:{error.colno}] {error.msg}"
    return XContentParseError(
        text, caused_by=JsonParseError(f"{error.msg} at [line: {error.lineno}, column: {error.colno}]")
    )


def _exact(body: bytes) -> dict[str, Any]:
    """Again with the standard parser: it keeps integers of any length and shows every key."""
    try:
        value: dict[str, Any] = json.loads(body, object_pairs_hook=_without_duplicates)
    except _DuplicateKeyError as error:
        line, column = _second_place(body, str(error))
        raise XContentParseError(f"[{line}:{column}] Duplicate field '{error}'") from None
    except RecursionError as error:
        raise XContentParseError(f"[1:1] Document nesting depth exceeds the maximum allowed ({DEPTH_MAX})") from error
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _DuplicateKeyError(key)
            seen.add(key)
    return found


def _second_place(body: bytes, key: str) -> tuple[int, int]:
    """Where the key is written the second time, as well as a text search can tell."""
    quoted = orjson.dumps(key)
    at = body.find(quoted, body.find(quoted) + 1)
    at = max(at, 0)
    return body.count(b"\n", 0, at) + 1, at - body.rfind(b"\n", 0, at)


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
