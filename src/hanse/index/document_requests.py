"""Typed requests, results and actions of documents; the names are Elasticsearch's.

Tests: tests/index/test_document_actions.py.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from hanse.errors import HanseError
from hanse.index.writing import WriteOp, WriteResult
from hanse.transport.actions import Action, IndicesOptions, Lane, Scope
from hanse.transport.wire_errors import WireError

SINGLE = IndicesOptions(
    allow_no_indices=False, expand_open=False, expand_hidden=False, allow_aliases_to_multiple_indices=False
)
"""One index by its name or an alias of it; wildcards mean nothing."""

Refresh = Literal["false", "true", "wait_for"]


class WriteDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """One write. Without `op` it only asks where a write of this kind would go, and whether it may."""

    indices: tuple[str, ...]
    op: WriteOp | None = None
    refresh: Refresh = "false"
    require_alias: bool = False
    options: IndicesOptions = SINGLE
    timeout_s: float = 60.0
    active_shards: str | None = None
    """How many copies must be active before the write begins (`all`: every one); None: what the index says."""


class Written(msgspec.Struct, frozen=True, omit_defaults=True):
    """`index` is the concrete index, `routing` what an alias adds, `copies` how many copies a shard shall have."""

    index: str
    result: WriteResult | None = None
    copies: int = 1
    forced_refresh: bool = False
    routing: str | None = None
    active: int = 1


class BulkItem(msgspec.Struct, omit_defaults=True):
    """`problem` is what is wrong with the item before anything is tried."""

    index: str
    op: WriteOp
    require_alias: bool = False
    problem: HanseError | None = None


class BulkRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    items: list[BulkItem]
    refresh: Refresh = "false"
    timeout_s: float = 60.0
    active_shards: str | None = None


class BulkItemResult(msgspec.Struct):
    """`index` is the concrete index where one was found, else the name as given; exactly one of result and error."""

    index: str
    result: WriteResult | None = None
    error: HanseError | None = None
    copies: int = 1
    active: int = 1


class BulkResult(msgspec.Struct):
    """In the order of the request's items. Never leaves the node."""

    items: list[BulkItemResult]
    took_ms: int
    forced_refresh: bool = False


class WriteShard(msgspec.Struct, frozen=True, omit_defaults=True):
    """The part of a bulk request that goes to one index, in order; the rights of each item were checked before."""

    indices: tuple[str, ...]
    ops: list[WriteOp]
    refresh: Refresh = "false"
    options: IndicesOptions = SINGLE
    timeout_s: float = 60.0
    active_shards: str | None = None


class ShardWritten(msgspec.Struct):
    """`results` has a WriteResult or HanseError for each op. `copies` is how many a shard shall have, `active` how many
    it has. Never leaves the node."""

    results: list[Any]
    copies: int = 1
    active: int = 1


class WriteAtPrimary(msgspec.Struct, frozen=True, omit_defaults=True):
    """Operations for the primary of one shard, which lies on another node."""

    indices: tuple[str, ...]
    shard: int
    ops: list[WriteOp]
    state_version: int
    refresh: Refresh = "false"
    options: IndicesOptions = SINGLE


class WrittenAtPrimary(msgspec.Struct, frozen=True):
    """For each op its result or, where that is None, its error (under the op's number)."""

    results: list[WriteResult | None]
    errors: dict[int, WireError] = {}


class GetDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """`stored_fields` asks for stored fields; the source is always returned as far as it may be seen."""

    indices: tuple[str, ...]
    id: str
    routing: str | None = None
    realtime: bool = True
    refresh: bool = False
    version: int | None = None
    version_type: str = "internal"
    stored_fields: tuple[str, ...] = ()
    options: IndicesOptions = SINGLE


class GetFromCopy(msgspec.Struct, frozen=True, omit_defaults=True):
    """A document from the copy on another node."""

    indices: tuple[str, ...]
    get: GetDocument
    shard: int
    state_version: int
    options: IndicesOptions = SINGLE


class GotDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """`source` is None when the mapping keeps none; `fields` are the stored fields asked for."""

    index: str
    id: str
    found: bool = False
    version: int = 0
    seq_no: int = 0
    primary_term: int = 0
    routing: str | None = None
    source: bytes | None = None
    fields: dict[str, list[Any]] = {}


class MultiGet(msgspec.Struct, frozen=True, omit_defaults=True):
    documents: tuple[GetDocument, ...]


class MultiGot(msgspec.Struct):
    """GotDocument or HanseError for each. Never leaves the node."""

    documents: list[Any]


INDEX = Action("indices:data/write/index", WriteDocument, Written, Scope.INDEX, creates=True)
INDEX_ANY = Action("indices:data/write/index:op_type/index", WriteDocument, Written, Scope.INDEX, creates=True)
INDEX_NEW = Action("indices:data/write/index:op_type/create", WriteDocument, Written, Scope.INDEX, creates=True)
"""What `create_doc` grants: only documents that do not exist yet."""
UPDATE = Action("indices:data/write/update", WriteDocument, Written, Scope.INDEX, creates=True)
DELETE = Action("indices:data/write/delete", WriteDocument, Written, Scope.INDEX)
BULK = Action("indices:data/write/bulk", BulkRequest, BulkResult, Scope.COMPOSITE, Lane.BULK)
BULK_SHARD = Action("indices:data/write/bulk[s]", WriteShard, ShardWritten, Scope.INDEX, Lane.BULK, within=True)
BULK_PRIMARY = Action(
    "indices:data/write/bulk[s][p]", WriteAtPrimary, WrittenAtPrimary, Scope.INDEX, Lane.BULK, within=True
)
GET = Action("indices:data/read/get", GetDocument, GotDocument, Scope.INDEX)
GET_FROM_COPY = Action("indices:data/read/get[s]", GetFromCopy, GotDocument, Scope.INDEX, within=True)
MULTI_GET = Action("indices:data/read/mget", MultiGet, MultiGot, Scope.COMPOSITE)
MULTI_GET_ITEM = Action("indices:data/read/mget[shard]", GetDocument, GotDocument, Scope.INDEX)
