"""The body of an update: `doc`, `upsert` and what steers them, with the documents kept as the bytes that came in.

Tests: tests/rest/test_update_body.py.
"""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

from hanse.errors import ParsingError, XContentParseError
from hanse.index.writing import UpdateBody
from hanse.rest.json_body import malformed, token_of
from hanse.rest.unrecognized import suggestion


class ParsedUpdate(msgspec.Struct):
    """`source` is the member `_source`: which part of the changed document the answer shall hold."""

    body: UpdateBody
    source: Any = None
    if_seq_no: int | None = None
    if_primary_term: int | None = None


_ABSENT = msgspec.Raw(b"null")


class _Members(msgspec.Struct, forbid_unknown_fields=True):
    doc: msgspec.Raw = _ABSENT
    upsert: msgspec.Raw = _ABSENT
    doc_as_upsert: bool = False
    detect_noop: bool = True
    script: msgspec.Raw = _ABSENT
    scripted_upsert: bool = False
    source: Any = msgspec.field(name="_source", default=None)
    if_seq_no: int | None = None
    if_primary_term: int | None = None


_DECODER = msgspec.json.Decoder(_Members)
_KNOWN = tuple(field.encode_name for field in msgspec.structs.fields(_Members))


def parse_update(body: bytes) -> ParsedUpdate:
    """Raises XContentParseError or ParsingError for malformed JSON, unknown members and wrong types."""
    try:
        members = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _refusal(body, error) from error
    update = UpdateBody(
        _document(members.doc, "doc"),
        _document(members.upsert, "upsert"),
        members.doc_as_upsert,
        members.detect_noop,
        bytes(members.script) != b"null",
        members.scripted_upsert,
    )
    return ParsedUpdate(update, members.source, members.if_seq_no, members.if_primary_term)


def _document(raw: msgspec.Raw, name: str) -> bytes | None:
    document = bytes(raw)
    if document == b"null":
        return None
    if not document.startswith(b"{"):
        raise XContentParseError(f"[1:1] [UpdateRequest] {name} doesn't support values of type: {_token(document)}")
    return document


def _token(document: bytes) -> str:
    return token_of(orjson.loads(document))


def _refusal(body: bytes, error: Exception) -> Exception:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as broken:
        return malformed(broken)
    if not isinstance(value, dict):
        return ParsingError(
            f"Failed to parse object: expecting token of type [START_OBJECT] but found [{token_of(value)}]",
            line=1,
            col=1,
        )
    for key in value:
        if key not in _KNOWN:
            return XContentParseError(f"[1:2] [UpdateRequest] unknown field [{key}]{suggestion(key, _KNOWN)}")
    return XContentParseError(f"[1:1] [UpdateRequest] {error}")
