"""Typed requests and actions on documents; the names are Elasticsearch's."""

from __future__ import annotations

from typing import Any

import msgspec

from hanse.index.writing import WriteOp, WriteResult
from hanse.transport.actions import Action, IndicesOptions, Scope

ONE_INDEX = IndicesOptions(allow_no_indices=False, expand_open=False, allow_aliases_to_multiple_indices=False)
WRITE_TARGET = IndicesOptions(
    ignore_unavailable=True, allow_no_indices=True, expand_open=False, forbid_closed_indices=False
)


class WriteDocuments(msgspec.Struct, omit_defaults=True):
    """Writes to one index or alias, in order. Without operations only the right to them is asked for.

    `refresh`: false, true or wait_for.
    """

    indices: tuple[str, ...]
    ops: list[WriteOp] = []
    refresh: str = "false"
    require_alias: bool = False
    options: IndicesOptions = WRITE_TARGET


class WrittenDocuments(msgspec.Struct, omit_defaults=True):
    """`index` is the concrete index; `outcomes` are a WriteResult or a HanseError for each operation, in order."""

    index: str
    outcomes: list[Any] = []
    copies: int = 1


class BulkItem(msgspec.Struct):
    """One action line with its document."""

    index: str
    op: WriteOp
    require_alias: bool = False


class Bulk(msgspec.Struct, omit_defaults=True):
    items: list[BulkItem]
    refresh: str = "false"


class BulkAnswer(msgspec.Struct):
    """Per item the concrete index, its copies, and a WriteResult or a HanseError. Never leaves the node."""

    items: list[tuple[str, int, WriteResult | Any]]
    took_ms: int


class GetDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    indices: tuple[str, ...]
    id: str
    routing: str | None = None
    realtime: bool = True
    refresh: bool = False
    version: int | None = None
    version_type: str = "internal"
    options: IndicesOptions = ONE_INDEX


class FoundDocument(msgspec.Struct, omit_defaults=True):
    """`source` is what the caller may see of it. Not found: only index and id."""

    index: str
    id: str
    found: bool
    version: int = 0
    seq_no: int = 0
    primary_term: int = 0
    routing: str | None = None
    source: bytes = b""


class GetDocuments(msgspec.Struct, frozen=True, omit_defaults=True):
    requests: tuple[GetDocument, ...]


class FoundDocuments(msgspec.Struct):
    """Per request a FoundDocument or a HanseError. Never leaves the node."""

    outcomes: list[Any]


INDEX = Action("indices:data/write/index", WriteDocuments, WrittenDocuments, Scope.INDEX, creates=True)
DELETE = Action("indices:data/write/delete", WriteDocuments, WrittenDocuments, Scope.INDEX, creates=True)
UPDATE = Action("indices:data/write/update", WriteDocuments, WrittenDocuments, Scope.INDEX, creates=True)
BULK = Action("indices:data/write/bulk", Bulk, BulkAnswer, Scope.COMPOSITE)
BULK_SHARD = Action("indices:data/write/bulk[s]", WriteDocuments, WrittenDocuments, Scope.INDEX, creates=True)
GET = Action("indices:data/read/get", GetDocument, FoundDocument, Scope.INDEX)
MGET = Action("indices:data/read/mget", GetDocuments, FoundDocuments, Scope.COMPOSITE)

ACTION_OF = {"index": INDEX, "create": INDEX, "delete": DELETE, "update": UPDATE}
"""Which right a bulk item needs."""
