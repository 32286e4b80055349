"""Reading documents by id: get and multi-get.

Real-time: the document store answers, so that an acknowledged write is seen whether it was refreshed or not. What
document- and field-level security hide is decided by the `DocumentView` that the composition root hands in (it needs
queries, which live above this room). Tests: tests/index/test_document_actions.py.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
import tantivy

from hanse.errors import HanseError, IllegalArgumentError, RoutingMissingError, SecurityError, VersionConflictError
from hanse.index.document_requests import MULTI_GET_ITEM, GetDocument, GotDocument, MultiGet, MultiGot
from hanse.index.mapping import FieldType
from hanse.index.records import StoredDocument
from hanse.index.search_index import ID_FIELD
from hanse.index.service import IndexService, Indices
from hanse.index.shard import Shard
from hanse.transport.actions import Call, Target


class DocumentView(Protocol):
    async def visible(self, service: IndexService, shard: Shard, target: Target, found: StoredDocument) -> bytes | None:
        """The source as the caller may see it; None when the document is hidden."""


class DocumentReads:
    """Handlers of the read actions."""

    def __init__(self, indices: Indices, view: DocumentView | None) -> None:
        self._indices = indices
        self._view = view

    async def get(self, call: Call, request: GetDocument) -> GotDocument:
        target = call.targets.local[0]
        service = self._indices.get(target.index)
        routing = request.routing
        if routing is None:
            routing = target.routing
        if routing is None and service.mapping.routing_required:
            raise RoutingMissingError.of(service.name, request.id)
        shard = service.shard_for(request.id, routing)
        if request.refresh:
            await shard.refresh()
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
