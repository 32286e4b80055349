"""Handlers for documents: index, create, update, delete, bulk, get and mget.

A write goes to the write index behind a name, which is created when it is missing and that is allowed. A bulk asks the
gate once for each kind of write to each name, then writes each index' items in their order; what is refused fails
alone. Tests: tests/index/test_document_actions.py, tests/journeys/.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, Protocol

from hanse.cluster.state import IndexMetadata
from hanse.cluster.updates import ClusterService
from hanse.errors import (
    ActionRequestValidationError,
    HanseError,
    IllegalArgumentError,
    IndexClosedError,
    IndexNotFoundError,
    RoutingMissingError,
    VersionConflictError,
)
from hanse.index import document_requests as requests
from hanse.index.administration.requests import AUTO_CREATE, CreateIndex
from hanse.index.document_requests import (
    ACTION_OF,
    Bulk,
    BulkAnswer,
    BulkItem,
    FoundDocument,
    FoundDocuments,
    GetDocument,
    GetDocuments,
    WriteDocuments,
    WrittenDocuments,
)
from hanse.index.records import StoredDocument
from hanse.index.service import IndexService, Indices
from hanse.index.shard import Shard
from hanse.index.writing import ID_BYTES_MAX, WriteOp, new_id
from hanse.settings.cluster_settings import AUTO_CREATE_INDEX
from hanse.settings.registry import Settings
from hanse.transport.actions import ActionRegistry, Call, Target


class DocumentView(Protocol):
    """What a caller may see of a document: the search room evaluates document and field level security."""

    async def visible(self, service: IndexService, shard: Shard, target: Target, found: StoredDocument) -> bytes | None:
        """The source as the caller may see it; None when the document is hidden."""
        ...


class DocumentActions:
    def __init__(self, cluster: ClusterService, indices: Indices, settings: Settings, view: DocumentView) -> None:
        self._cluster = cluster
        self._indices = indices
        self._settings = settings
        self._view = view

    # Writing.

    async def write(self, call: Call, request: WriteDocuments) -> WrittenDocuments:
        index = await self._write_index(call, request)
        if not request.ops:
            return WrittenDocuments(index.name)
        service = self._indices.get(index.name)
        outcomes = await _written(service, request.ops, request.refresh)
        return WrittenDocuments(index.name, outcomes, index.number_of_replicas + 1)

    async def _write_index(self, call: Call, request: WriteDocuments) -> IndexMetadata:
        """The one index that takes writes to a name; made now when it is missing."""
        name = request.indices[0]
        state = self._cluster.state
        index = state.indices.get(name)
        if index is None:
            behind = [entry for entry in state.indices.values() if name in entry.aliases]
            if behind:
                index = _alias_write_index(name, behind)
            elif request.require_alias:
                raise _alias_required(name)
            else:
                self._check_auto_create(name)
                await call.run(AUTO_CREATE, CreateIndex((name,), cause="auto"))
                index = self._cluster.state.indices[name]
        elif request.require_alias:
            raise _alias_required(name)
        if not index.is_open:
            raise IndexClosedError("closed", index=index.name, index_uuid=index.uuid)
        return index

    def _check_auto_create(self, name: str) -> None:
        """`action.auto_create_index`: patterns with + and -, the first that fits decides."""
        state = self._cluster.state
        effective = Settings({**self._settings, **state.persistent, **state.transient})
        for pattern, allowed in effective.read(AUTO_CREATE_INDEX):
            if fnmatchcase(name, pattern):
                if allowed:
                    return
                break
        error = IndexNotFoundError.of(name)
        error.reason = f"no such index [{name}] and [action.auto_create_index] does not allow to create it"
        raise error

    async def bulk(self, call: Call, request: Bulk) -> BulkAnswer:
        started = time.monotonic()
        refused = await self._refused(call, request.items)
        by_index: dict[tuple[str, bool], list[int]] = {}
        answers: list[tuple[str, int, Any]] = [("", 1, None)] * len(request.items)
        for position, item in enumerate(request.items):
            problem = refused.get((item.index, item.op.op, item.require_alias))
            if problem is not None:
                answers[position] = (item.index, 1, problem)
            else:
                by_index.setdefault((item.index, item.require_alias), []).append(position)

        async def write(key: tuple[str, bool], positions: list[int]) -> None:
            name, require_alias = key
            ops = [request.items[position].op for position in positions]
            part = WriteDocuments((name,), ops, request.refresh, require_alias)
            try:
                written = await call.run(requests.BULK_SHARD, part)
            except HanseError as error:
                for position in positions:
                    answers[position] = (name, 1, error)
                return
            for position, outcome in zip(positions, written.outcomes, strict=True):
                answers[position] = (written.index, written.copies, outcome)

        await asyncio.gather(*(write(key, positions) for key, positions in by_index.items()))
        return BulkAnswer(answers, int((time.monotonic() - started) * 1000))

    async def _refused(self, call: Call, items: Sequence[BulkItem]) -> dict[tuple[str, str, bool], HanseError]:
        """Asks the gate once for each kind of write to each name; the errors of those that may not be."""
        refused: dict[tuple[str, str, bool], HanseError] = {}
        for key in dict.fromkeys((item.index, item.op.op, item.require_alias) for item in items):
            name, op, require_alias = key
            try:
                await call.run(ACTION_OF[op], WriteDocuments((name,), require_alias=require_alias))
            except HanseError as error:
                refused[key] = error
        return refused

    # Reading.

    async def get(self, call: Call, request: GetDocument) -> FoundDocument:
        target = _only_target(call, request)
        service = self._indices.get(target.index)
        if service.mapping.routing_required and request.routing is None:
            raise RoutingMissingError(
                f"routing is required for [{target.index}]/[{request.id}]", index=target.index, index_uuid=service.uuid
            )
        shard = service.shard_for(request.id, request.routing or target.routing)
        if request.refresh:
            await shard.refresh()
        found = shard.get(request.id) if request.realtime else shard.get_searchable(request.id)
        if found is None:
            return FoundDocument(target.index, request.id, False)
        source: bytes | None = found.source
        if not target.access.is_full:
            source = await self._view.visible(service, shard, target, found)
            if source is None:
                return FoundDocument(target.index, request.id, False)
        _check_version(request, target.index, found)
        return FoundDocument(
            target.index,
            request.id,
            True,
            found.version,
            found.seq_no,
            found.primary_term,
            found.routing,
            source or b"",
        )

    async def get_many(self, call: Call, request: GetDocuments) -> FoundDocuments:
        outcomes: list[FoundDocument | HanseError] = []
        for item in request.requests:
            try:
                outcomes.append(await call.run(requests.GET, item))
            except HanseError as error:
                outcomes.append(error)
        return FoundDocuments(outcomes)


async def _written(service: IndexService, ops: list[WriteOp], refresh: str) -> list[Any]:
    """Writes each shard's operations in order; outcomes come back in the order of `ops`."""
    outcomes: list[Any] = [None] * len(ops)
    by_shard: dict[int, tuple[Shard, list[int]]] = {}
    for position, op in enumerate(ops):
        try:
            shard = _shard_of(service, op)
        except HanseError as error:
            outcomes[position] = error
            continue
        by_shard.setdefault(shard.number, (shard, []))[1].append(position)

    async def write(shard: Shard, positions: list[int]) -> None:
        results = await shard.write([ops[position] for position in positions])
        for position, result in zip(positions, results, strict=True):
            outcomes[position] = result
        if refresh != "false":
            await shard.refresh()

    await asyncio.gather(*(write(shard, positions) for shard, positions in by_shard.values()))
    return outcomes


def _shard_of(service: IndexService, op: WriteOp) -> Shard:
    if op.id is not None:
        size = len(op.id.encode())
        if size > ID_BYTES_MAX:
            raise ActionRequestValidationError.of(
                f"id [{op.id}] is too long, must be no longer than {ID_BYTES_MAX} bytes but was: {size}"
            )
    if service.mapping.routing_required and op.routing is None:
        raise RoutingMissingError(
            f"routing is required for [{service.name}]/[{op.id}]", index=service.name, index_uuid=service.uuid
        )
    if len(service.shards) == 1:
        return service.shards[0]
    if op.id is None:
        op.id = new_id()
    return service.shard_for(op.id, op.routing)


def _alias_write_index(name: str, behind: list[IndexMetadata]) -> IndexMetadata:
    if len(behind) == 1 and behind[0].aliases[name].is_write_index is not False:
        return behind[0]
    writers = [entry for entry in behind if entry.aliases[name].is_write_index]
    if not writers:
        raise IllegalArgumentError(
            f"no write index is defined for alias [{name}]. The write index may be explicitly disabled using "
            f"is_write_index=false or the alias points to multiple indices without one being designated as a write index"
        )
    return writers[0]


def _alias_required(name: str) -> HanseError:
    error = IndexNotFoundError.of(name)
    error.reason = f"no such index [{name}] and [require_alias] request flag is [true] and [{name}] is not an alias"
    return error


def _only_target(call: Call, request: GetDocument) -> Target:
    targets = call.targets.local
    if len(targets) == 1:
        return targets[0]
    if not targets:
        raise IndexNotFoundError.of(request.indices[0])
    names = ", ".join(sorted(target.index for target in targets))
    raise IllegalArgumentError(
        f"alias [{request.indices[0]}] has more than one index associated with it [[{names}]], can't execute a single "
        f"index op"
    )


def _check_version(request: GetDocument, index: str, found: StoredDocument) -> None:
    if request.version is None:
        return
    holds = found.version == request.version
    if request.version_type == "external_gte":
        holds = found.version <= request.version
    if not holds:
        raise VersionConflictError(
            f"[{request.id}]: version conflict, current version [{found.version}] is different than the one provided "
            f"[{request.version}]",
            index=index,
        )


def register(
    registry: ActionRegistry, cluster: ClusterService, indices: Indices, settings: Settings, view: DocumentView
) -> None:
    actions = DocumentActions(cluster, indices, settings, view)
    for action in (requests.INDEX, requests.DELETE, requests.UPDATE, requests.BULK_SHARD):
        registry.register(action, actions.write)
    registry.register(requests.BULK, actions.bulk)
    registry.register(requests.GET, actions.get)
    registry.register(requests.MGET, actions.get_many)
