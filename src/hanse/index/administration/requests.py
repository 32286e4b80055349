"""Typed requests, responses and actions of index administration; the names are Elasticsearch's."""

from __future__ import annotations

from typing import Any

import msgspec

from hanse.transport.actions import Acknowledged, Action, IndicesOptions, Scope
from hanse.transport.wire_errors import WireError

STRICT = IndicesOptions(expand_closed=True, forbid_closed_indices=False)
EVERY = IndicesOptions(expand_closed=True, expand_hidden=True, forbid_closed_indices=False)
NO_ALIASES = IndicesOptions(ignore_aliases=True, expand_closed=True, forbid_closed_indices=False)


class ByNames(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request about the indices an expression resolves to."""

    indices: tuple[str, ...] = ()
    options: IndicesOptions = STRICT


class CreateIndex(msgspec.Struct, frozen=True, omit_defaults=True):
    indices: tuple[str, ...]
    body: dict[str, Any] = {}
    options: IndicesOptions = STRICT
    cause: str = "api"
    active_shards: str | None = None
    timeout_s: float = 30.0

    @property
    def name(self) -> str:
        return self.indices[0]


class CreatedIndex(msgspec.Struct, frozen=True):
    index: str
    acknowledged: bool = True
    shards_acknowledged: bool = True


class PutMapping(msgspec.Struct, frozen=True, omit_defaults=True):
    indices: tuple[str, ...]
    body: dict[str, Any]
    options: IndicesOptions = STRICT
    write_index_only: bool = False


class PutSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    indices: tuple[str, ...]
    body: dict[str, Any]
    options: IndicesOptions = STRICT
    preserve_existing: bool = False
    reopen: bool = False


class Block(msgspec.Struct, frozen=True, omit_defaults=True):
    indices: tuple[str, ...]
    block: str
    options: IndicesOptions = STRICT


class AliasAction(msgspec.Struct, frozen=True, omit_defaults=True):
    """`kind`: add, remove or remove_index; `body` the alias' properties for add."""

    kind: str
    indices: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    body: dict[str, Any] = {}
    must_exist: bool | None = None


class UpdateAliases(msgspec.Struct, frozen=True, omit_defaults=True):
    actions: tuple[AliasAction, ...]
    options: IndicesOptions = NO_ALIASES

    @property
    def indices(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for action in self.actions for name in action.indices))


class Rollover(msgspec.Struct, frozen=True, omit_defaults=True):
    """`indices` is the one alias; `body` what `_rollover` takes."""

    indices: tuple[str, ...]
    body: dict[str, Any] = {}
    new_index: str | None = None
    dry_run: bool = False
    options: IndicesOptions = STRICT


class SearchShards(msgspec.Struct, frozen=True, omit_defaults=True):
    indices: tuple[str, ...] = ()
    options: IndicesOptions = IndicesOptions()
    routing: str | None = None


class GetAliases(msgspec.Struct, frozen=True, omit_defaults=True):
    indices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    options: IndicesOptions = EVERY


class ByName(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str = ""


class PutTemplate(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    body: dict[str, Any]
    create: bool = False


class Stats(msgspec.Struct, frozen=True, omit_defaults=True):
    indices: tuple[str, ...] = ()
    options: IndicesOptions = IndicesOptions(forbid_closed_indices=False)
    metrics: tuple[str, ...] = ()
    """`_none` asks no copy: for whom it is enough that the caller may ask."""


class CopiesOf(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a node is asked of its copies. `indices`: the names by which the caller came to them, which the node's gate
    has to be shown; `concrete`: the indices that are meant."""

    indices: tuple[str, ...]
    concrete: tuple[str, ...]
    state_version: int
    options: IndicesOptions = IndicesOptions(ignore_unavailable=True, expand_hidden=True, forbid_closed_indices=False)


class CopyReport(msgspec.Struct, frozen=True):
    """Of one copy; what is in `body` depends on the question."""

    index: str
    shard: int
    body: dict[str, Any] = {}
    error: WireError | None = None
    """Why what was asked for could not be done for this copy."""


class Recovery(msgspec.Struct, frozen=True, omit_defaults=True):
    indices: tuple[str, ...] = ()
    options: IndicesOptions = IndicesOptions()
    active_only: bool = False


class Analyze(msgspec.Struct, frozen=True, omit_defaults=True):
    body: dict[str, Any]
    indices: tuple[str, ...] = ()
    options: IndicesOptions = IndicesOptions(allow_aliases_to_multiple_indices=False)


CREATE = Action("indices:admin/create", CreateIndex, CreatedIndex, Scope.INDEX, creates=True)
AUTO_CREATE = Action("indices:admin/auto_create", CreateIndex, CreatedIndex, Scope.INDEX, creates=True)
CREATE_DATA_STREAM = Action("indices:admin/data_stream/create", CreateIndex, Acknowledged, Scope.INDEX, creates=True)
GET_DATA_STREAM = Action("indices:admin/data_stream/get", ByNames, dict, Scope.INDEX)
DELETE_DATA_STREAM = Action("indices:admin/data_stream/delete", ByNames, Acknowledged, Scope.INDEX)
DELETE = Action("indices:admin/delete", ByNames, Acknowledged, Scope.INDEX)
OPEN = Action("indices:admin/open", ByNames, dict, Scope.INDEX)
CLOSE = Action("indices:admin/close", ByNames, dict, Scope.INDEX)
BLOCK = Action("indices:admin/block/add", Block, dict, Scope.INDEX)
UNBLOCK = Action("indices:admin/block/remove", Block, dict, Scope.INDEX)
REFRESH = Action("indices:admin/refresh", ByNames, dict, Scope.INDEX)
FLUSH = Action("indices:admin/flush", ByNames, dict, Scope.INDEX)
FORCE_MERGE = Action("indices:admin/forcemerge", ByNames, dict, Scope.INDEX)
CLEAR_CACHE = Action("indices:admin/cache/clear", ByNames, dict, Scope.INDEX)
GET_INDEX = Action("indices:admin/get", ByNames, dict, Scope.INDEX)
GET_MAPPINGS = Action("indices:admin/mappings/get", ByNames, dict, Scope.INDEX)
GET_FIELD_MAPPINGS = Action("indices:admin/mappings/fields/get", ByNames, dict, Scope.INDEX)
PUT_MAPPING = Action("indices:admin/mapping/put", PutMapping, Acknowledged, Scope.INDEX)
GET_SETTINGS = Action("indices:monitor/settings/get", ByNames, dict, Scope.INDEX)
PUT_SETTINGS = Action("indices:admin/settings/update", PutSettings, Acknowledged, Scope.INDEX)
GET_ALIASES = Action("indices:admin/aliases/get", GetAliases, dict, Scope.INDEX)
UPDATE_ALIASES = Action("indices:admin/aliases", UpdateAliases, Acknowledged, Scope.INDEX)
ROLLOVER = Action("indices:admin/rollover", Rollover, dict, Scope.INDEX)
RESOLVE = Action("indices:admin/resolve/index", ByNames, dict, Scope.INDEX, crosses=True)
SEARCH_SHARDS = Action("indices:admin/shards/search_shards", SearchShards, dict, Scope.INDEX)
STATS = Action("indices:monitor/stats", Stats, dict, Scope.INDEX)
SEGMENTS = Action("indices:monitor/segments", ByNames, dict, Scope.INDEX)
RECOVERY = Action("indices:monitor/recovery", Recovery, dict, Scope.INDEX)
STATS_OF_COPIES: Action[CopiesOf, list[CopyReport]] = Action(
    "indices:monitor/stats[n]", CopiesOf, list[CopyReport], Scope.INDEX, within=True
)
SEGMENTS_OF_COPIES: Action[CopiesOf, list[CopyReport]] = Action(
    "indices:monitor/segments[n]", CopiesOf, list[CopyReport], Scope.INDEX, within=True
)
RECOVERY_OF_COPIES: Action[CopiesOf, list[CopyReport]] = Action(
    "indices:monitor/recovery[n]", CopiesOf, list[CopyReport], Scope.INDEX, within=True
)
FORCE_MERGE_OF_COPIES: Action[CopiesOf, list[CopyReport]] = Action(
    "indices:admin/forcemerge[n]", CopiesOf, list[CopyReport], Scope.INDEX, within=True
)
CLEAR_CACHE_OF_COPIES: Action[CopiesOf, list[CopyReport]] = Action(
    "indices:admin/cache/clear[n]", CopiesOf, list[CopyReport], Scope.INDEX, within=True
)
ANALYZE = Action("indices:admin/analyze", Analyze, dict, Scope.INDEX)

PUT_INDEX_TEMPLATE = Action("indices:admin/index_template/put", PutTemplate, Acknowledged, Scope.CLUSTER)
GET_INDEX_TEMPLATE = Action("indices:admin/index_template/get", ByName, dict, Scope.CLUSTER)
DELETE_INDEX_TEMPLATE = Action("indices:admin/index_template/delete", ByName, Acknowledged, Scope.CLUSTER)
SIMULATE_INDEX_TEMPLATE = Action("indices:admin/index_template/simulate_index", PutTemplate, dict, Scope.CLUSTER)
SIMULATE_TEMPLATE = Action("indices:admin/index_template/simulate", PutTemplate, dict, Scope.CLUSTER)
PUT_COMPONENT_TEMPLATE = Action("cluster:admin/component_template/put", PutTemplate, Acknowledged, Scope.CLUSTER)
GET_COMPONENT_TEMPLATE = Action("cluster:admin/component_template/get", ByName, dict, Scope.CLUSTER)
DELETE_COMPONENT_TEMPLATE = Action("cluster:admin/component_template/delete", ByName, Acknowledged, Scope.CLUSTER)
PUT_LEGACY_TEMPLATE = Action("indices:admin/template/put", PutTemplate, Acknowledged, Scope.CLUSTER)
GET_LEGACY_TEMPLATE = Action("indices:admin/template/get", ByName, dict, Scope.CLUSTER)
DELETE_LEGACY_TEMPLATE = Action("indices:admin/template/delete", ByName, Acknowledged, Scope.CLUSTER)
