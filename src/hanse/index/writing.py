"""What a write asks for, and the plan of a batch: which operations with which seq_no, and every caller's result.

A plan is made in one go against the heads read beforehand and what the batch itself changed before; it does no
writing, so a batch that cannot be committed leaves nothing behind. Tests: tests/index/test_writing.py.
"""

from __future__ import annotations

import base64
import itertools
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from hanse import clock
from hanse.cluster.log import Operation
from hanse.errors import (
    ActionRequestValidationError,
    DocumentMissingError,
    HanseError,
    IllegalArgumentError,
    VersionConflictError,
)
from hanse.index.mapping import MappedDocument
from hanse.index.records import Head, StoredDocument

ID_BYTES_MAX = 512
_UTF8_BYTES_MAX = 4


class UpdateBody(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The body of an update; `doc` and `upsert` are JSON objects as they came in."""

    doc: bytes | None = None
    upsert: bytes | None = None
    doc_as_upsert: bool = False
    detect_noop: bool = True
    script: bool = False
    scripted_upsert: bool = False


class WriteOp(msgspec.Struct, omit_defaults=True, gc=False):
    """One document to write. Without an id (index and create only) the shard makes one."""

    op: Literal["index", "create", "delete", "update"]
    id: str | None = None
    source: bytes = b""
    routing: str | None = None
    if_seq_no: int | None = None
    if_primary_term: int | None = None
    version: int | None = None
    version_type: Literal["internal", "external", "external_gte"] = "internal"
    update: UpdateBody | None = None


class WriteResult(msgspec.Struct, omit_defaults=True, gc=False):
    """`source` is the stored document after an update, for `_source` in its answer."""

    id: str
    seq_no: int
    primary_term: int
    version: int
    result: Literal["created", "updated", "deleted", "noop", "not_found"]
    routing: str | None = None
    source: bytes | None = None


class Place(msgspec.Struct, frozen=True):
    """The shard, as error metadata names it."""

    index: str
    index_uuid: str
    shard: int


class IndexedOperation(msgspec.Struct, gc=False):
    """An operation on its way to the search index. `is_first`: no document of this id can be in it."""

    seq_no: int
    id: str
    routing: str | None
    document: MappedDocument | None
    is_first: bool
    size: int


Mapped = MappedDocument | HanseError | None
MapSource = Callable[[bytes, str], MappedDocument]

_node = secrets.token_bytes(6)
_counter = itertools.count(secrets.randbits(20))


def new_id() -> str:
    """20 URL-safe characters, of which those made together share a prefix, so that heads stay close together."""
    made = clock.now_ms().to_bytes(6, "big") + _node + (next(_counter) & 0xFFFFFF).to_bytes(3, "big")
    return base64.urlsafe_b64encode(made).decode()


class Plan:
    """Plans one batch. `results` has an entry for each op, in order."""

    def __init__(
        self,
        place: Place,
        primary_term: int,
        next_seq_no: int,
        heads: Mapping[str, Head],
        read: Callable[[str], StoredDocument | None],
        map_source: MapSource,
    ) -> None:
        self.operations: list[Operation] = []
        self.indexed: list[IndexedOperation] = []
        self.results: list[WriteResult | HanseError] = []
        self._place = place
        self._primary_term = primary_term
        self._next_seq_no = next_seq_no
        self.heads = heads
        self._changed: dict[str, Operation] = {}
        self._read = read
        self._map_source = map_source

    def add(self, ops: Sequence[WriteOp], mapped: Sequence[Mapped]) -> None:
        for op, document in zip(ops, mapped, strict=True):
            try:
                result: WriteResult | HanseError = self._one(op, document)
            except HanseError as error:
                result = error
            self.results.append(result)

    def _one(self, op: WriteOp, document: Mapped) -> WriteResult:
        if isinstance(document, HanseError):
            raise document
        if op.op == "delete":
            return self._delete(op)
        if op.op == "update":
            return self._update(op)
        if op.id is None:
            return self._write(new_id(), op.source, op.routing, document, None, 1, "created")
        _check_id(op.id)
        head = self._head(op.id)
        version = self._next_version(op, op.id, head)
        exists = head is not None and not head.deleted
        return self._write(op.id, op.source, op.routing, document, head, version, "updated" if exists else "created")

    def _head(self, id: str) -> Head | Operation | None:
        return self._changed.get(id) or self.heads.get(id)

    def _write(
        self,
        id: str,
        source: bytes,
        routing: str | None,
        document: MappedDocument | None,
        head: Head | Operation | None,
        version: int,
        result: Literal["created", "updated", "deleted", "not_found"],
    ) -> WriteResult:
        seq_no = self._next_seq_no
        self._next_seq_no = seq_no + 1
        deleted = document is None
        operation = Operation(seq_no, self._primary_term, id, version, deleted, routing, source)
        self.operations.append(operation)
        self._changed[id] = operation
        self.indexed.append(IndexedOperation(seq_no, id, routing, document, head is None, len(source)))
        return WriteResult(id, seq_no, self._primary_term, version, result, routing)

    def _delete(self, op: WriteOp) -> WriteResult:
        id = op.id or ""
        _check_id(id)
        head = self._head(id)
        version = self._next_version(op, id, head)
        exists = head is not None and not head.deleted
        return self._write(id, b"", op.routing, None, head, version, "deleted" if exists else "not_found")

    # -- versions

    def _next_version(self, op: WriteOp, id: str, head: Head | Operation | None) -> int:
        """The version the operation gets; raises VersionConflictError when its conditions do not hold."""
        if op.if_seq_no is not None:
            self._check_seq_no(op, id, head)
        if op.version_type != "internal" and op.version is not None:
            if head is not None:
                self._check_external(op, op.version, id, head.version)
            return op.version
        if head is None:
            return 1
        if op.op == "create" and not head.deleted:
            raise self._conflict(id, f"document already exists (current version [{head.version}])")
        if op.version is not None and op.version != head.version:
            raise self._conflict(
                id, f"current version [{head.version}] is different than the one provided [{op.version}]"
            )
        return head.version + 1

    def _check_seq_no(self, op: WriteOp, id: str, head: Head | Operation | None) -> None:
        wanted = f"required seqNo [{op.if_seq_no}], primary term [{op.if_primary_term}]."
        if head is None or head.deleted:
            raise self._conflict(id, f"{wanted} but no document was found")
        if head.seq_no != op.if_seq_no or head.primary_term != op.if_primary_term:
            raise self._conflict(
                id, f"{wanted} current document has seqNo [{head.seq_no}] and primary term [{head.primary_term}]"
            )

    def _check_external(self, op: WriteOp, version: int, id: str, current: int) -> None:
        if op.version_type == "external_gte":
            if current > version:
                raise self._conflict(id, f"current version [{current}] is higher than the one provided [{version}]")
        elif current >= version:
            raise self._conflict(id, f"current version [{current}] is higher or equal to the one provided [{version}]")

    def _conflict(self, id: str, explanation: str) -> VersionConflictError:
        return VersionConflictError(f"[{id}]: version conflict, {explanation}", **self._metadata())

    def _metadata(self) -> dict[str, Any]:
        return {
            "index_uuid": self._place.index_uuid,
            "shard": str(self._place.shard),
            "index": self._place.index,
        }

    # -- updates

    def _update(self, op: WriteOp) -> WriteResult:
        id, body = op.id or "", op.update or UpdateBody()
        _check_id(id)
        if body.script or body.scripted_upsert:
            raise IllegalArgumentError(
                "failed to execute script", caused_by=IllegalArgumentError("scripts are not supported in updates")
            )
        head = self._head(id)
        if op.if_seq_no is not None:
            self._check_seq_no(op, id, head)
        if head is None or head.deleted:
            source = body.doc if body.doc_as_upsert else body.upsert
            if source is None:
                raise DocumentMissingError(f"[{id}]: document missing", **self._metadata())
            version, result = (1 if head is None else head.version + 1), "created"
        else:
            current = self._source(id)
            changed = merged(current, body.doc or b"{}", detect_noop=body.detect_noop)
            if changed is None:
                return WriteResult(id, head.seq_no, head.primary_term, head.version, "noop", op.routing, current)
            source, version, result = changed, head.version + 1, "updated"
        document = self._map_source(source, id)
        written = self._write(
            id, source, op.routing, document, head, version, "created" if result == "created" else "updated"
        )
        written.source = source
        return written

    def _source(self, id: str) -> bytes:
        operation = self._changed.get(id)
        if operation is not None:
            return operation.source
        stored = self._read(id)
        assert stored is not None, "a live head has its operation"
        return stored.source


def _check_id(id: str) -> None:
    if len(id) * _UTF8_BYTES_MAX > ID_BYTES_MAX:
        size = len(id.encode())
        if size > ID_BYTES_MAX:
            raise ActionRequestValidationError.of(
                f"id [{id}] is too long, must be no longer than {ID_BYTES_MAX} bytes but was: {size}"
            )


def merged(source: bytes, changes: bytes, *, detect_noop: bool) -> bytes | None:
    """The document with a partial one laid over it, objects merged and all else replaced; None when nothing changes.

    Without `detect_noop` it always counts as changed.
    """
    document = msgspec.json.decode(source)
    changed = _lay_over(document, msgspec.json.decode(changes))
    if detect_noop and not changed:
        return None
    return msgspec.json.encode(document)


def _lay_over(target: dict[str, Any], changes: dict[str, Any]) -> bool:
    changed = False
    for key, value in changes.items():
        if key not in target:
            target[key] = value
            changed = True
            continue
        current = target[key]
        if isinstance(current, dict) and isinstance(value, dict):
            changed |= _lay_over(current, value)
        else:
            target[key] = value
            changed |= _canonical(current) != _canonical(value)
    return changed


def _canonical(value: Any) -> bytes:
    """Python holds 1, 1.0 and true for equal; JSON does not."""
    return msgspec.json.encode(value, order="sorted")
