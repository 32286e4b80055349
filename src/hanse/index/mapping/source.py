"""A document's bytes: parsed fast, with what the fast parser lets through noticed, and places found for errors.

orjson accepts duplicate keys and rounds integers beyond 64 bits; Elasticsearch refuses the first and keeps the second.
Both are rare, so a cheap sign (a count of `":`, a float where it matters) decides whether the document is read once
more, exactly. Lines and columns are only worked out for a refusal. Tests: tests/index/test_source.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

from hanse.errors import DocumentParsingError, HanseError, NotXContentError, XContentParseError
from hanse.index.mapping.values import RawNumber

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|[{}\[\]:,]|[^\s{}\[\]:,"]++', re.DOTALL)
_SPACED_COLON = re.compile(rb'"\s+:')


class _DuplicateKeyError(Exception):
    pass


def parse(source: bytes) -> dict[str, Any]:
    """The document as an object. Raises DocumentParsingError for anything else."""
    try:
        parsed = orjson.loads(source)
    except orjson.JSONDecodeError as error:
        raise _malformed(source, error) from error
    if type(parsed) is not dict:
        raise DocumentParsingError(
            "[1:1] failed to parse", caused_by=XContentParseError("Malformed content, must start with an object")
        )
    return parsed


def parse_exactly(source: bytes) -> dict[str, Any]:
    """The same with integers of any size and fractions that remember their text."""
    made: dict[str, Any] = json.loads(source, parse_float=RawNumber)
    return made


def check_duplicates(source: bytes, keys: int) -> None:
    """Raises DocumentParsingError when an object holds a key twice; `keys` is how many keys the parser gave.

    Every key ends in `":` unless space stands before the colon, so without duplicates the count is at least `keys`;
    it is more where a text holds the same bytes, and then the exact parser judges.
    """
    if source.count(b'":') == keys and _SPACED_COLON.search(source) is None:
        return
    try:
        json.loads(source, object_pairs_hook=_without_duplicates)
    except _DuplicateKeyError as error:
        place, name = _find_duplicate(source)
        line, column = position(source, place)
        where = f"[{line}:{column}]"
        raise DocumentParsingError(
            f"{where} failed to parse", caused_by=XContentParseError(f"{where} Duplicate field '{name}'")
        ) from error


def count_keys(value: Any) -> int:
    """How many keys stand in a part of the document that is not mapped."""
    if type(value) is not dict and type(value) is not list:
        return 0
    keys, waiting = 0, [value]
    while waiting:
        item = waiting.pop()
        if type(item) is dict:
            keys += len(item)
            waiting.extend(item.values())
        elif type(item) is list:
            waiting.extend(item)
    return keys


def locate(source: bytes, path: str, value: Any) -> str:
    """`[line:column]` of the value at a field's path; with arrays the one that equals `value`."""
    first = None
    for found, place, token in _values(source):
        if found == path:
            first = place if first is None else first
            if _is(token, value):
                first = place
                break
    line, column = position(source, first or 0)
    return f"[{line}:{column}]"


def position(source: bytes, place: int) -> tuple[int, int]:
    before = source[:place]
    return before.count(b"\n") + 1, place - before.rfind(b"\n")


def _is(token: bytes, value: Any) -> bool:
    if token in (b"{", b"["):
        return isinstance(value, dict if token == b"{" else list)
    return bool(json.loads(token) == value)


def _values(source: bytes) -> Iterator[tuple[str, int, bytes]]:
    """Each value of well-formed JSON: the dotted path of keys to it, where it begins, and its first token."""
    names: list[str | None] = []
    kinds: list[bytes] = []
    key: str | None = None
    for match in _TOKEN.finditer(source):
        token = match[0]
        if token in (b":", b","):
            continue
        if token in (b"}", b"]"):
            kinds.pop()
            names.pop()
            key = None
        elif kinds and kinds[-1] == b"{" and key is None:
            key = str(json.loads(token))
        else:
            yield ".".join(name for name in (*names, key) if name), match.start(), token
            if token in (b"{", b"["):
                names.append(key)
                kinds.append(token)
            key = None


def _find_duplicate(source: bytes) -> tuple[int, str]:
    seen: list[set[str]] = []
    kinds: list[bytes] = []
    expects_key = False
    for match in _TOKEN.finditer(source):
        token = match[0]
        if token in (b"{", b"["):
            kinds.append(token)
            seen.append(set())
            expects_key = token == b"{"
        elif token in (b"}", b"]"):
            kinds.pop()
            seen.pop()
            expects_key = False
        elif token == b",":
            expects_key = bool(kinds) and kinds[-1] == b"{"
        elif expects_key:
            name = str(json.loads(token))
            if name in seen[-1]:
                return match.start(), name
            seen[-1].add(name)
            expects_key = False
    return 0, ""


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _DuplicateKeyError
    return made


def _malformed(source: bytes, error: orjson.JSONDecodeError) -> HanseError:
    text = source.lstrip()
    if not text or text[:1] not in b'{["tfn-0123456789':
        reason = "Compressor detection can only be called on some xcontent bytes or compressed xcontent bytes"
        return DocumentParsingError("[1:1] failed to parse", caused_by=NotXContentError(reason))
    where = f"[{error.lineno}:{error.colno}]"
    said = error.args[0].split(": line ")[0]
    place = error.pos
    if place >= len(error.doc):
        said = "Unexpected end-of-input"
    else:
        character = error.doc[place : place + 1]
        if character.isprintable():
            said = f"Unexpected character ('{character}' (code {ord(character)})): {said}"
    return DocumentParsingError(f"{where} failed to parse: {said}", caused_by=XContentParseError(f"{where} {said}"))
