"""Mappings, settings and aliases of existing indices: read and change.

Each change raises the version of its part by one, which is what followers compare.
Tests: tests/index/administration/test_properties.py.
"""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase
from typing import Any

from hanse.cluster import blocks
from hanse.cluster.state import AliasMetadata, ClusterState, IndexMetadata
from hanse.cluster.updates import ClusterService
from hanse.errors import (
    AliasesNotFoundError,
    IllegalArgumentError,
    IndexNotFoundError,
    StatusError,
)
from hanse.index import settings as index_settings
from hanse.index.administration.blocks import changes_only_blocks, refuse_change
from hanse.index.administration.bodies import alias_json, alias_of, mappings_of, settings_of
from hanse.index.administration.create import refuse_index_name, replaced
from hanse.index.administration.data_streams import refuse_newest
from hanse.index.administration.requests import (
    AliasAction,
    ByNames,
    GetAliases,
    PutMapping,
    PutSettings,
    UpdateAliases,
)
from hanse.index.mapping import Mapping as FieldMapping
from hanse.index.service import Indices
from hanse.settings.registry import RawValue
from hanse.transport.actions import Acknowledged, Call


class IndexProperties:
    def __init__(self, cluster: ClusterService, indices: Indices) -> None:
        self._cluster = cluster
        self._indices = indices

    async def get_index(self, call: Call, request: ByNames) -> dict[str, Any]:
        return {name: self._shown(self._cluster.state.indices[name]) for name in sorted(call.targets.names)}

    def _shown(self, index: IndexMetadata) -> dict[str, Any]:
        return {
            "aliases": {name: alias_json(alias) for name, alias in sorted(index.shown_aliases.items())},
            "mappings": index.mappings,
            "settings": index.settings,
            "defaults": _defaults(index),
            **({"data_stream": index.data_stream} if index.data_stream else {}),
        }

    async def get_mappings(self, call: Call, request: ByNames) -> dict[str, Any]:
        indices = self._cluster.state.indices
        return {name: {"mappings": indices[name].mappings} for name in sorted(call.targets.names)}

    async def put_mapping(self, call: Call, request: PutMapping) -> Acknowledged:
        update = mappings_of(request.body)
        names = call.targets.names

        def change(state: ClusterState) -> ClusterState:
            blocks.refuse_change(state)
            for name in names:
                index = state.index(name)
                refuse_change(index)
                _refuse_on_follower(index, call, _NO_MAPPING)
                state = state.with_index(with_mapping(index, update))
            return state

        await self._cluster.update(f"put-mapping {list(names)}", change)
        return Acknowledged()

    async def get_settings(self, call: Call, request: ByNames) -> dict[str, Any]:
        """Flat settings and, under `defaults`, what applies where nothing was set; REST shapes it."""
        answer: dict[str, Any] = {}
        for name in sorted(call.targets.names):
            index = self._cluster.state.indices[name]
            answer[name] = {"settings": index.settings, "defaults": _defaults(index)}
        return answer

    async def put_settings(self, call: Call, request: PutSettings) -> Acknowledged:
        body = request.body
        if set(body) == {"settings"} and isinstance(body["settings"], dict):
            body = body["settings"]
        changes = settings_of(body)
        if not changes:
            raise IllegalArgumentError("no settings to update")
        names = call.targets.names
        reopened: set[str] = set()

        def change(state: ClusterState) -> ClusterState:
            reopened.clear()
            for name in names:
                index = state.index(name)
                if not changes_only_blocks(changes):
                    blocks.refuse_change(state)
                    refuse_change(index)
                if request.reopen and index.is_open and index_settings.needs_closed(changes):
                    reopened.add(name)
                    index = replaced(index, state="close")
                state = state.with_index(with_settings(index, changes, keep=request.preserve_existing))
            return state

        await self._cluster.update(f"update-settings {list(names)}", change)
        await self._reopen(reopened)
        return Acknowledged()

    async def _reopen(self, names: set[str]) -> None:
        if names:
            await self._cluster.update("reopen-indices", lambda state: with_state(state, names, "open"))
        for name in names:
            await self._indices.ready(name)

    async def get_aliases(self, call: Call, request: GetAliases) -> dict[str, Any]:
        """Aliases by index; names asked for and not found are listed under `missing` (REST answers 404)."""
        indices = self._cluster.state.indices
        shown: dict[str, Any] = {}
        found: set[str] = set()
        for name in sorted(call.targets.names):
            aliases = indices[name].shown_aliases
            chosen = [alias for alias in sorted(aliases) if _selected(alias, request.aliases)]
            found.update(chosen)
            if chosen or not request.aliases:
                shown[name] = {"aliases": {alias: alias_json(aliases[alias]) for alias in chosen}}
        return {"indices": shown, "missing": _missing(request.aliases, found)}

    async def update_aliases(self, call: Call, request: UpdateAliases) -> Acknowledged:
        """All or nothing. Indices are removed first, so that an alias can take the name of one."""

        def change(state: ClusterState) -> ClusterState:
            for action in sorted(request.actions, key=lambda action: action.kind != "remove_index"):
                state = self._applied(state, action, call)
            _refuse_two_write_indices(state, request)
            return state

        await self._cluster.update("index-aliases", change)
        return Acknowledged()

    def _applied(self, state: ClusterState, action: AliasAction, call: Call) -> ClusterState:
        names = _concrete(state, action, call)
        if action.kind == "remove_index":
            for name in names:
                refuse_change(state.index(name), deletes=True)
                refuse_newest(state, state.index(name))
                state = state.without_index(name)
            return state
        removed = 0
        for name in names:
            index = state.index(name)
            refuse_change(index)
            _refuse_on_follower(index, call, _NO_ALIASES)
            if action.kind == "add":
                aliases = {**index.aliases, **_added(state, action)}
            else:
                going = {key for key in index.shown_aliases if _selected(key, action.aliases)}
                aliases = {key: value for key, value in index.aliases.items() if key not in going}
                removed += len(index.aliases) - len(aliases)
            if aliases != index.aliases:
                state = state.with_index(replaced(index, aliases=aliases, aliases_version=index.aliases_version + 1))
        if action.kind == "remove" and not removed and action.must_exist is not False:
            raise _aliases_missing(action.aliases)
        return state


def _defaults(index: IndexMetadata) -> dict[str, RawValue]:
    return {key: value for key, value in index_settings.default_texts().items() if key not in index.settings}


def with_mapping(index: IndexMetadata, update: dict[str, Any]) -> IndexMetadata:
    """The index with a mapping update merged in; itself when nothing changes. Raises the mapper's errors."""
    mappings, slots = FieldMapping.from_metadata(index.mappings, index.slots, index.settings).merge(update)
    if mappings == index.mappings and slots == index.slots:
        return index
    return replaced(index, mappings=mappings, slots=slots, mapping_version=index.mapping_version + 1)


def with_state(state: ClusterState, names: Collection[str], wanted: str) -> ClusterState:
    """The indices opened or closed; one that was deleted meanwhile is left out."""
    for name in names:
        index = state.indices.get(name)
        if index is not None and index.state != wanted:
            state = state.with_index(replaced(index, state=wanted))
    return state


def with_settings(index: IndexMetadata, changes: dict[str, RawValue | None], *, keep: bool = False) -> IndexMetadata:
    index_settings.check_update(index.name, index.uuid, index.is_open, changes)
    settings = dict(index.settings)
    for key, value in changes.items():
        if keep and key in settings:
            continue
        if value is None:
            settings.pop(key, None)
        else:
            settings[key] = value
    if settings == index.settings:
        return index
    settings.setdefault("index.number_of_replicas", "1")
    replicas = index_settings.NUMBER_OF_REPLICAS.parse(settings["index.number_of_replicas"], "number_of_replicas")
    return replaced(index, settings=settings, number_of_replicas=replicas, settings_version=index.settings_version + 1)


def _added(state: ClusterState, action: AliasAction) -> dict[str, AliasMetadata]:
    for alias in action.aliases:
        refuse_index_name(state, alias)
    return {alias: alias_of(alias, action.body) for alias in action.aliases}


def _refuse_two_write_indices(state: ClusterState, request: UpdateAliases) -> None:
    for alias in {alias for action in request.actions for alias in action.aliases}:
        writers = sorted(
            index.name
            for index in state.indices.values()
            if alias in index.aliases and index.aliases[alias].is_write_index
        )
        if len(writers) > 1:
            raise IllegalArgumentError(f"alias [{alias}] has more than one write index [{','.join(writers)}]")


def _concrete(state: ClusterState, action: AliasAction, call: Call) -> list[str]:
    """The action's own names among what the gate allowed this caller."""
    allowed = call.targets.names

    def is_meant(name: str) -> bool:
        stream = state.indices[name].data_stream if name in state.indices else ""
        return any(fnmatchcase(name, part) or part in ("_all", stream) for part in action.indices)

    names = [name for name in allowed if is_meant(name)]
    if not names and not any("*" in part for part in action.indices):
        raise IndexNotFoundError.of(action.indices[0] if action.indices else "_all")
    return [name for name in names if name in state.indices]


def _aliases_missing(names: tuple[str, ...]) -> AliasesNotFoundError:
    error = AliasesNotFoundError(f"aliases [{', '.join(names)}] missing")
    error.metadata |= {"resource.type": "aliases", "resource.id": ", ".join(names)}
    return error


def _missing(asked: tuple[str, ...], found: set[str]) -> list[str]:
    """Names asked for and not there. Behind the first wildcard, `-name` is an exclusion and never missing itself."""
    wildcard = next((n for n, name in enumerate(asked) if "*" in name), len(asked))
    return sorted(
        name
        for n, name in enumerate(asked)
        if name not in found and name != "_all" and "*" not in name and not (n > wildcard and name.startswith("-"))
        if not any(later.startswith("-") and fnmatchcase(name, later[1:]) for later in asked[max(n + 1, wildcard) :])
    )


def _selected(alias: str, patterns: tuple[str, ...]) -> bool:
    """By the patterns in turn: each adds what it fits, `-` takes it away again."""
    chosen = not patterns
    for pattern in patterns:
        if pattern.startswith("-"):
            chosen = chosen and not fnmatchcase(alias, pattern[1:])
        else:
            chosen = chosen or pattern in ("_all", "*") or fnmatchcase(alias, pattern)
    return chosen


def _refuse_on_follower(index: IndexMetadata, call: Call, why: str) -> None:
    if index.is_follower and not call.identity.is_internal:
        raise StatusError(why.format(index.name), 403)


_NO_MAPPING = (
    "can't put mapping to the following indices [{}]; the mapping of the following indices are self-replicated from "
    "its leader indices"
)
_NO_ALIASES = (
    "can't modify aliases on indices [{}]; aliases of following indices are self-replicated from their leader indices"
)
