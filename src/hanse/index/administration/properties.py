"""Mappings, settings and aliases of existing indices: read and change.

Each change raises the version of its part by one, which is what followers compare.
Tests: tests/index/administration/test_properties.py.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from hanse.cluster.state import AliasMetadata, ClusterState, IndexMetadata
from hanse.cluster.updates import ClusterService
from hanse.errors import (
    AliasesNotFoundError,
    IllegalArgumentError,
    IndexNotFoundError,
    InvalidAliasNameError,
    StatusError,
)
from hanse.index import settings as index_settings
from hanse.index.administration.bodies import alias_json, alias_of, mappings_of, settings_of
from hanse.index.administration.create import replaced
from hanse.index.administration.requests import (
    AliasAction,
    ByNames,
    GetAliases,
    PutMapping,
    PutSettings,
    UpdateAliases,
)
from hanse.index.mapping import Mapping as FieldMapping
from hanse.settings.registry import RawValue, nest
from hanse.transport.actions import Acknowledged, Call


class IndexProperties:
    def __init__(self, cluster: ClusterService) -> None:
        self._cluster = cluster

    async def get_index(self, call: Call, request: ByNames) -> dict[str, Any]:
        return {name: self._shown(self._cluster.state.indices[name]) for name in sorted(call.targets.names)}

    def _shown(self, index: IndexMetadata) -> dict[str, Any]:
        return {
            "aliases": {name: alias_json(alias) for name, alias in sorted(index.aliases.items())},
            "mappings": index.mappings,
            "settings": index.settings,
        }

    async def get_mappings(self, call: Call, request: ByNames) -> dict[str, Any]:
        indices = self._cluster.state.indices
        return {name: {"mappings": indices[name].mappings} for name in sorted(call.targets.names)}

    async def put_mapping(self, call: Call, request: PutMapping) -> Acknowledged:
        update = mappings_of(request.body)
        names = call.targets.names

        def change(state: ClusterState) -> ClusterState:
            for name in names:
                index = state.indices[name]
                _refuse_on_follower(index, call)
                state = state.with_index(with_mapping(index, update))
            return state

        await self._cluster.update(f"put-mapping {list(names)}", change)
        return Acknowledged()

    async def get_settings(self, call: Call, request: ByNames) -> dict[str, Any]:
        """Flat settings and, under `defaults`, what applies where nothing was set; REST shapes it."""
        answer: dict[str, Any] = {}
        for name in sorted(call.targets.names):
            own = self._cluster.state.indices[name].settings
            defaults = {key: value for key, value in index_settings.default_texts().items() if key not in own}
            answer[name] = {"settings": own, "defaults": defaults}
        return answer

    async def put_settings(self, call: Call, request: PutSettings) -> Acknowledged:
        body = request.body
        if set(body) == {"settings"} and isinstance(body["settings"], dict):
            body = body["settings"]
        changes = settings_of(body)
        if not changes:
            raise IllegalArgumentError("no settings to update")
        names = call.targets.names

        def change(state: ClusterState) -> ClusterState:
            for name in names:
                state = state.with_index(with_settings(state.indices[name], changes, keep=request.preserve_existing))
            return state

        await self._cluster.update(f"update-settings {list(names)}", change)
        return Acknowledged()

    async def get_aliases(self, call: Call, request: GetAliases) -> dict[str, Any]:
        """Aliases by index; names asked for and not found are listed under `missing` (REST answers 404)."""
        indices = self._cluster.state.indices
        shown: dict[str, Any] = {}
        found: set[str] = set()
        for name in sorted(call.targets.names):
            aliases = indices[name].aliases
            chosen = [alias for alias in sorted(aliases) if _selected(alias, request.aliases)]
            found.update(chosen)
            if chosen or not request.aliases:
                shown[name] = {"aliases": {alias: alias_json(aliases[alias]) for alias in chosen}}
        missing = sorted(
            name
            for name in request.aliases
            if "*" not in name and name != "_all" and not name.startswith("-")
            if name not in found
        )
        return {"indices": shown, "missing": missing}

    async def update_aliases(self, call: Call, request: UpdateAliases) -> Acknowledged:
        def change(state: ClusterState) -> ClusterState:
            for action in request.actions:
                state = self._applied(state, action, call)
            _refuse_two_write_indices(state, request)
            return state

        await self._cluster.update("index-aliases", change)
        return Acknowledged()

    def _applied(self, state: ClusterState, action: AliasAction, call: Call) -> ClusterState:
        names = _concrete(state, action, call)
        if action.kind == "remove_index":
            for name in names:
                state = state.without_index(name)
            return state
        for name in names:
            index = state.indices[name]
            _refuse_alias_change_on_follower(index, call)
            aliases = dict(index.aliases)
            if action.kind == "add":
                for alias in action.aliases:
                    _add(state, index, aliases, alias, alias_of(alias, action.body))
            else:
                gone = [alias for alias in aliases if _selected(alias, action.aliases)]
                if not gone and action.must_exist is not False and not any("*" in a for a in action.aliases):
                    raise _aliases_missing(action.aliases)
                for alias in gone:
                    del aliases[alias]
            if aliases != index.aliases:
                state = state.with_index(replaced(index, aliases=aliases, aliases_version=index.aliases_version + 1))
        return state


def with_mapping(index: IndexMetadata, update: dict[str, Any]) -> IndexMetadata:
    """The index with a mapping update merged in; itself when nothing changes. Raises the mapper's errors."""
    mappings, slots = FieldMapping.from_metadata(index.mappings, index.slots, index.settings).merge(update)
    if mappings == index.mappings and slots == index.slots:
        return index
    return replaced(index, mappings=mappings, slots=slots, mapping_version=index.mapping_version + 1)


def with_settings(index: IndexMetadata, changes: dict[str, RawValue | None], *, keep: bool = False) -> IndexMetadata:
    index_settings.check_update(index.name, index.is_open, changes)
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


def shaped_settings(settings: dict[str, RawValue], *, flat: bool) -> dict[str, Any]:
    return dict(sorted(settings.items())) if flat else nest(settings)


def _add(
    state: ClusterState, index: IndexMetadata, aliases: dict[str, AliasMetadata], alias: str, body: AliasMetadata
) -> None:
    if alias in state.indices:
        raise InvalidAliasNameError(
            f"Invalid alias name [{alias}]: an index or data stream exists with the same name as the alias",
            index_uuid=state.indices[alias].uuid,
            index=alias,
        )
    aliases[alias] = body


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
    names = [name for name in allowed if any(fnmatchcase(name, part) or part == "_all" for part in action.indices)]
    if not names and not any("*" in part for part in action.indices):
        raise IndexNotFoundError.of(action.indices[0] if action.indices else "_all")
    return [name for name in names if name in state.indices]


def _aliases_missing(names: tuple[str, ...]) -> AliasesNotFoundError:
    error = AliasesNotFoundError(f"aliases [{', '.join(names)}] missing")
    error.metadata |= {"resource.type": "aliases", "resource.id": ", ".join(names)}
    return error


def _selected(alias: str, patterns: tuple[str, ...]) -> bool:
    chosen = not patterns or all(pattern.startswith("-") for pattern in patterns)
    for pattern in patterns:
        if pattern.startswith("-"):
            chosen = chosen and not fnmatchcase(alias, pattern[1:])
        else:
            chosen = chosen or pattern in ("_all", "*") or fnmatchcase(alias, pattern)
    return chosen


def _refuse_on_follower(index: IndexMetadata, call: Call) -> None:
    if index.is_follower and not call.identity.is_internal:
        raise StatusError(
            f"can't put mapping to the following indices [{index.name}]; the mapping of the following indices are "
            f"self-replicated from its leader indices",
            403,
        )


def _refuse_alias_change_on_follower(index: IndexMetadata, call: Call) -> None:
    if index.is_follower and not call.identity.is_internal:
        raise StatusError(
            f"can't modify aliases on indices [{index.name}]; aliases of following indices are self-replicated from "
            f"their leader indices",
            403,
        )
