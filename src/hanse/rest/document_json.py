"""Answers about documents as bytes: the stored source is spliced in as it is, never parsed.

Tests: tests/rest/test_document_json.py.
"""

from __future__ import annotations

import orjson

from hanse.index.document_requests import GotDocument, Written
from hanse.index.writing import WriteResult
from hanse.rest.source_filter import WHOLE, chosen
from hanse.search.field_selection import SourceFilter


def written_members(index: bytes, result: WriteResult, copies: int, active: int, forced_refresh: bool) -> bytes:
    """The members every answer to a write has, from `_index` to `_primary_term`. `index` is quoted already.

    `copies` is how many the shard shall have, `active` how many of them take part.
    """
    return b'"_index":%b,"_id":%b,"_version":%d,"result":"%b",%b"_shards":{"total":%d,"successful":%d,"failed":0},' % (
        index,
        orjson.dumps(result.id),
        result.version,
        result.result.encode(),
        b'"forced_refresh":true,' if forced_refresh else b"",
        copies,
        active,
    ) + b'"_seq_no":%d,"_primary_term":%d' % (result.seq_no, result.primary_term)


def written_document(written: Written, source: SourceFilter | None) -> bytes:
    """The answer to one write; with `source`, an update shows the document it left."""
    result = written.result
    assert result is not None
    if result.result == "noop":
        members = b'"_index":%b,"_id":%b,"_version":%d,"result":"noop",' % (
            orjson.dumps(written.index),
            orjson.dumps(result.id),
            result.version,
        )
        members += b'"_shards":{"total":0,"successful":0,"failed":0},"_seq_no":%d,"_primary_term":%d' % (
            result.seq_no,
            result.primary_term,
        )
    else:
        index = orjson.dumps(written.index)
        members = written_members(index, result, written.copies, written.active, written.forced_refresh)
    return b"{%b%b}" % (members, updated_get(result, source))


def updated_get(result: WriteResult, source: SourceFilter | None) -> bytes:
    """`,"get":{...}` of an update that was asked for the source, else nothing."""
    if source is None or not source.enabled or result.source is None:
        return b""
    return b',"get":{"_seq_no":%d,"_primary_term":%d,"found":true,"_source":%b}' % (
        result.seq_no,
        result.primary_term,
        chosen(result.source, source),
    )


def got_document(found: GotDocument, source: SourceFilter = WHOLE) -> bytes:
    place = b'{"_index":%b,"_id":%b' % (orjson.dumps(found.index), orjson.dumps(found.id))
    if not found.found:
        return place + b',"found":false}'
    parts = [
        place,
        b',"_version":%d,"_seq_no":%d,"_primary_term":%d' % (found.version, found.seq_no, found.primary_term),
    ]
    if found.routing is not None:
        parts.append(b',"_routing":' + orjson.dumps(found.routing))
    parts.append(b',"found":true')
    if source.enabled and found.source is not None:
        parts.append(b',"_source":' + chosen(found.source, source))
    if found.fields:
        parts.append(b',"fields":' + orjson.dumps(found.fields))
    parts.append(b"}")
    return b"".join(parts)
