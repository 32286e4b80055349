"""Creating an index: name, templates, settings, mappings and aliases become one IndexMetadata.

Tests: tests/index/administration/test_create.py.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hanse import clock
from hanse.cluster.blocks import refuse_creation
from hanse.cluster.state import AliasMetadata, ClusterState, IndexMetadata
from hanse.cluster.updates import ClusterService
from hanse.cluster.uuids import new_uuid
from hanse.errors import (
    IllegalArgumentError,
    IndexNotFoundError,
    InvalidAliasNameError,
    InvalidIndexNameError,
    ParsingError,
    ResourceAlreadyExistsError,
)
from hanse.index import settings as index_settings
from hanse.index.administration.bodies import mappings_of, parse_aliases, settings_of
from hanse.index.administration.data_streams import (
    backing,
    backing_indices,
    backing_name,
    refuse_stream_name,
    stream_mappings,
    stream_settings,
    template_of,
)
from hanse.index.administration.names import check_index_name
from hanse.index.administration.requests import CreatedIndex, CreateIndex
from hanse.index.administration.templates import composable_for, inherited_by
from hanse.index.mapping import Mapping as FieldMapping
from hanse.index.service import Indices
from hanse.settings.registry import RawValue
from hanse.transport.actions import Call

_BODY_KEYS = frozenset({"settings", "mappings", "aliases"})
INDEX_VERSION = "9009000"
"""`index.version.created` as a number of the 9.x line; clients only show it."""


class IndexCreator:
    """Handles create and auto-create. When `create` returns the index exists, and its shards have as many active copies
    as were asked for (one), or the time was over."""

    def __init__(self, cluster: ClusterService, indices: Indices) -> None:
        self._cluster = cluster
        self._indices = indices

    async def create(self, call: Call, request: CreateIndex) -> CreatedIndex:
        name = request.name
        check_index_name(name)
        await self._cluster.update(f"create-index [{name}]", lambda state: self._created(state, request))
        return await self._ready(request)

    async def _ready(self, request: CreateIndex) -> CreatedIndex:
        state = self._cluster.state
        behind = backing_indices(state, request.name)
        index = behind[-1] if behind else state.index(request.name)
        copies = request.active_shards or index.typed_settings.read(index_settings.WAIT_FOR_ACTIVE_SHARDS)
        active = await self._indices.ready(index.name, copies, request.timeout_s)
        return CreatedIndex(index.name, shards_acknowledged=active)

    async def auto_create(self, call: Call, request: CreateIndex) -> CreatedIndex:
        """Like create, but an index (or data stream) that appeared meanwhile is what was wanted."""
        if not backing_indices(self._cluster.state, request.name):
            try:
                return await self.create(call, request)
            except ResourceAlreadyExistsError:
                pass
        return await self._ready(request)

    def _created(self, state: ClusterState, request: CreateIndex) -> ClusterState:
        refuse_creation(state)
        if request.cause != "auto":
            refuse_stream_name(state, request.name)
            return state.with_index(build(state, request.name, request.body))
        _refuse_auto_create(state, request.name)
        if backing_indices(state, request.name):
            return state
        if template_of(state, request.name) is not None:
            return with_stream(state, request.name)
        return state.with_index(build(state, request.name, request.body))


def with_stream(state: ClusterState, stream: str) -> ClusterState:
    """The state with a new data stream, which has one backing index."""
    _refuse_existing(state, stream)
    name = backing_name(stream, 1, clock.now_ms())
    return state.with_index(backing(build(state, name, {}, stream), stream))


def build(state: ClusterState, name: str, body: dict[str, Any], stream: str = "") -> IndexMetadata:
    """The new index' metadata; raises Elasticsearch's errors for names, settings, mappings and aliases.

    `stream`: the data stream it is to be a backing index of, whose name templates are chosen by.
    """
    _refuse_existing(state, name)
    unknown = sorted(set(body) - _BODY_KEYS)
    if unknown:
        raise ParsingError(f"unknown key [{unknown[0]}] for create index")
    own = settings_of(body.get("settings"))
    inherited = inherited_by(state, stream or name, hidden=own.get("index.hidden") == "true")
    given = {key: value for key, value in {**inherited.settings, **own}.items() if value is not None}
    updates = [*inherited.mappings, mappings_of(body.get("mappings"))]
    if stream:
        given, updates = stream_settings(given), stream_mappings(updates)
    index_settings.check_new(given)
    aliases = {**inherited.aliases, **parse_aliases(body.get("aliases"))}
    for alias in aliases:
        refuse_index_name(state, alias, name)
    mapping = FieldMapping.from_metadata({}, {}, given)
    mapping.analyzers.check()
    mappings: dict[str, Any] = {}
    slots: dict[str, Any] = {}
    for update in updates:
        if update:
            mappings, slots = mapping.merge(update)
            mapping = FieldMapping.from_metadata(mappings, slots, given)
    return _metadata(state, name, given, mappings, slots, aliases)


def _metadata(
    state: ClusterState,
    name: str,
    given: dict[str, RawValue],
    mappings: dict[str, Any],
    slots: dict[str, Any],
    aliases: dict[str, AliasMetadata],
) -> IndexMetadata:
    uuid, now_ms = new_uuid(), clock.now_ms()
    shards = index_settings.NUMBER_OF_SHARDS.parse(given.get("index.number_of_shards", "1"), "index.number_of_shards")
    replicas = index_settings.NUMBER_OF_REPLICAS.parse(
        given.get("index.number_of_replicas", "1"), "index.number_of_replicas"
    )
    ring = int(str(given.get("index.number_of_routing_shards", shards)))
    if ring % shards:
        raise IllegalArgumentError(f"the number of source shards [{shards}] must be a factor of [{ring}]")
    _refuse_too_many_shards(state, shards * (replicas + 1))
    settings: dict[str, RawValue] = {
        **given,
        "index.number_of_shards": str(shards),
        "index.number_of_replicas": str(replicas),
        "index.uuid": uuid,
        "index.creation_date": str(now_ms),
        "index.provided_name": name,
        "index.version.created": INDEX_VERSION,
    }
    return IndexMetadata(
        name=name,
        uuid=uuid,
        settings=settings,
        mappings=mappings,
        slots=slots,
        aliases=aliases,
        number_of_shards=shards,
        number_of_replicas=replicas,
        creation_date_ms=now_ms,
        primary_terms=(1,) * shards,
    )


def _refuse_existing(state: ClusterState, name: str) -> None:
    if backing_indices(state, name):
        raise ResourceAlreadyExistsError(f"data_stream [{name}] already exists")
    existing = state.indices.get(name)
    if existing is not None:
        raise ResourceAlreadyExistsError(
            f"index [{name}/{existing.uuid}] already exists", index_uuid=existing.uuid, index=name
        )
    if any(name in index.aliases for index in state.indices.values()):
        raise InvalidIndexNameError(
            f"Invalid index name [{name}], already exists as alias", index_uuid="_na_", index=name
        )


def refuse_index_name(state: ClusterState, alias: str, new_index: str | None = None) -> None:
    """An alias may not have the name of an index."""
    if alias in state.indices or alias == new_index or backing_indices(state, alias):
        raise InvalidAliasNameError(
            f"Invalid alias name [{alias}]: an index or data stream exists with the same name as the alias",
            index_uuid=state.indices[alias].uuid if alias in state.indices else "_na_",
            index=alias,
        )


def _refuse_too_many_shards(state: ClusterState, wanted: int) -> None:
    limit = int(str({**state.persistent, **state.transient}.get("cluster.max_shards_per_node", "1000")))
    limit *= max(1, len(state.nodes))
    current = sum(index.number_of_shards * (index.number_of_replicas + 1) for index in state.indices.values())
    if current + wanted > limit:
        raise IllegalArgumentError(
            f"Validation Failed: 1: this action would add [{wanted}] shards, but this cluster currently has "
            f"[{current}]/[{limit}] maximum normal shards open;"
        )


def _refuse_auto_create(state: ClusterState, name: str) -> None:
    template = composable_for(state, name)
    if template is not None and state.index_templates[template].get("allow_auto_create") is False:
        raise IndexNotFoundError.of(name)


def replaced(index: IndexMetadata, **changes: Any) -> IndexMetadata:
    """The metadata with changes and its version one higher."""
    return msgspec.structs.replace(index, version=index.version + 1, **changes)
