"""Reading documents by id: get and multi-get.

Real-time: the document store answers, so that an acknowledged write is seen whether it was refreshed or not. What
document- and field-level security hide is decided by the `DocumentView` that the composition root hands in (it needs
queries, which live above this room). Tests: tests/index/test_document_actions.py.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Protocol

import msgspec
import tantivy

from hanse.errors import (
    ConnectTransportError,
    HanseError,
    IllegalArgumentError,
    NoShardAvailableError,
    ReceiveTimeoutError,
    RoutingMissingError,
    SecurityError,
    ShardFailedError,
    UnavailableShardsError,
    VersionConflictError,
)
from hanse.index.document_requests import (
    GET_FROM_COPY,
    MULTI_GET_ITEM,
    GetDocument,
    GetFromCopy,
    GotDocument,
    MultiGet,
    MultiGot,
)
from hanse.index.mapping import FieldType
from hanse.index.primaries import Primaries
from hanse.index.records import StoredDocument
from hanse.index.refreshing import Refreshing
from hanse.index.search_index import ID_FIELD
from hanse.index.service import IndexService
from hanse.index.shard import Shard
from hanse.transport.actions import Call, Target

COPY_TIMEOUT_S = 15.0
LEVEL_TIMEOUT_S = 10.0
"""JetStream elects a leader in 4 to 9 seconds."""
RETRY_S = 0.1


class DocumentView(Protocol):
    async def visible(self, service: IndexService, shard: Shard, target: Target, found: StoredDocument) -> bytes | None:
        """The source as the caller may see it; None when the document is hidden."""


class DocumentReads:
    """Handlers of the read actions."""

    def __init__(self, primaries: Primaries, refreshing: Refreshing, view: DocumentView | None) -> None:
        self._primaries = primaries
        self._refreshing = refreshing
        self._indices = primaries.indices
        self._view = view

    async def get(self, call: Call, request: GetDocument) -> GotDocument:
        """From the primary, which has every acknowledged write; when that does not answer, from another copy.

        Another copy reads the log to its end first, as a primary does that is cut off from the other nodes. Only a
        request that is not `realtime` is content with what a copy has.
        """
        target = call.targets.local[0]
        service = self._indices.get(target.index)
        routing = request.routing
        if routing is None:
            routing = target.routing
        if routing is None and service.mapping.routing_required:
            raise RoutingMissingError.of(service.name, request.id)
        number = service.number_for(request.id, routing)
        if request.refresh:
            await self._refreshing.refresh(service, number)
        nodes = self._primaries.nodes
        if nodes is None:
            return await self._get_here(service, service.shard(number), target, request)
        copies = sorted(service.routing(number).active(), key=lambda copy: not copy.is_primary)
        failure: HanseError | None = None
        for copy in copies:
            try:
                if copy.node == nodes.own_id:
                    shard = await self._level(service.shard(number), request)
                    return await self._get_here(service, shard, target, request)
                asked = GetFromCopy(
                    (target.name or target.index,), request, number, self._primaries.cluster.state.version
                )
                return await nodes.forward(copy.node, call, GET_FROM_COPY, asked, timeout_s=COPY_TIMEOUT_S)
            except (ConnectTransportError, ReceiveTimeoutError, ShardFailedError) as error:
                failure = error
        raise NoShardAvailableError(f"No shard available for [get [{service.name}][{request.id}]]", caused_by=failure)

    async def get_from_copy(self, call: Call, request: GetFromCopy) -> GotDocument:
        """What another node asks of the copy on this one."""
        target = call.targets.local[0]
        service = self._indices.get(target.index)
        shard = await self._level(service.shard(request.shard), request.get)
        return await self._get_here(service, shard, target, request.get)

    async def _level(self, shard: Shard, request: GetDocument) -> Shard:
        """Has a copy that may lack what was acknowledged read the log to its end: any but a primary that has taken over
        and is in touch with the other nodes."""
        if request.realtime and not (shard.is_leading and self._primaries.is_in_touch()):
            await _read_on(shard)
        return shard

    async def _get_here(self, service: IndexService, shard: Shard, target: Target, request: GetDocument) -> GotDocument:
        found = shard.get(request.id) if request.realtime else _as_searched(shard, request.id)
        if found is None:
            return GotDocument(service.name, request.id)
        source: bytes | None = found.source
        if not target.access.is_full:
            source = await self._restricted(service, shard, target, found)
            if source is None:
                return GotDocument(service.name, request.id)
        _check_version(service, shard, found, request)
        return GotDocument(
            service.name,
            found.id,
            True,
            found.version,
            found.seq_no,
            found.primary_term,
            found.routing,
            source if service.mapping.source_enabled else None,
            _stored_fields(service, request.stored_fields, source) if request.stored_fields else {},
        )

    async def _restricted(
        self, service: IndexService, shard: Shard, target: Target, found: StoredDocument
    ) -> bytes | None:
        if self._view is None:
            raise SecurityError("this node cannot apply document or field level security to reads by id")
        return await self._view.visible(service, shard, target, found)

    async def multi_get(self, call: Call, request: MultiGet) -> MultiGot:
        """Each document through the gate; one that may not be read, or whose index is missing, fails alone."""
        documents: list[Any] = []
        for wanted in request.documents:
            try:
                documents.append(await call.run(MULTI_GET_ITEM, wanted))
            except HanseError as error:
                documents.append(error)
        return MultiGot(documents)


async def _read_on(shard: Shard) -> None:
    """NoShardAvailableError when the log does not answer for too long."""
    deadline = time.monotonic() + LEVEL_TIMEOUT_S
    while True:
        try:
            await shard.catch_up()
            return
        except UnavailableShardsError as error:
            if time.monotonic() > deadline:
                raise NoShardAvailableError(
                    f"{shard} the primary and the log do not answer, so it is not known whether this copy has "
                    f"everything; [realtime=false] asks for what it has",
                    caused_by=error,
                ) from error
        await asyncio.sleep(RETRY_S)


def _as_searched(shard: Shard, id: str) -> StoredDocument | None:
    """The document as of the last refresh."""
    with shard.reader() as reader:
        hits = reader.searcher.search(tantivy.Query.term_query(reader.schema, ID_FIELD, id, "basic"), 1, False).hits
        if not hits:
            return None
        return reader.fetch(reader.positions.of([hits[0][1]]))[0]


def _check_version(service: IndexService, shard: Shard, found: StoredDocument, request: GetDocument) -> None:
    wanted = request.version
    if wanted is None or wanted == found.version:
        return
    raise VersionConflictError(
        f"[{found.id}]: version conflict, current version [{found.version}] is different than the one provided "
        f"[{wanted}]",
        index_uuid=service.uuid,
        shard=str(shard.number),
        index=service.name,
    )


def _stored_fields(service: IndexService, names: tuple[str, ...], source: bytes | None) -> dict[str, list[Any]]:
    """Fields with `store: true`, read from the source, which is what they were made of."""
    if source is None:
        return {}
    document = msgspec.json.decode(source)
    fields: dict[str, list[Any]] = {}
    for name in names:
        if service.mapping.object_type(name) is not None:
            raise IllegalArgumentError(f"field [{name}] isn't a leaf field")
        field = service.mapping.field(name)
        if field is None or field.params.get("store") not in (True, "true"):
            continue
        values = _values(document, field)
        if values:
            fields[name] = values
    return fields


def _values(document: Any, field: FieldType) -> list[Any]:
    values = [document]
    for part in field.source_path.split("."):
        below: list[Any] = []
        for value in values:
            found = value.get(part) if isinstance(value, dict) else None
            below.extend(found if isinstance(found, list) else [] if found is None else [found])
        values = below
    return values
