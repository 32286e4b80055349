"""Names of indices and aliases as the gate needs them, kept per cluster state.

`version` rises only when a name, an index's state or an alias changes, not with every mapping update, so that what the
gate decided stays valid while documents bring new fields. Tests: tests/cluster/test_names.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from hanse.cluster.state import ClusterState, IndexMetadata


class IndexName(msgspec.Struct, frozen=True):
    name: str
    uuid: str
    is_open: bool
    is_hidden: bool
    data_stream: str = ""


class AliasName(msgspec.Struct, frozen=True):
    """One alias on one index."""

    index: str
    filter: dict[str, Any] | None = None
    search_routing: str | None = None
    index_routing: str | None = None
    is_hidden: bool = False
    is_write_index: bool | None = None


class ClusterNames:
    """Satisfies the security room's NameCatalogue over the current cluster state."""

    def __init__(self, state: Callable[[], ClusterState]) -> None:
        self._state = state
        self._seen: Mapping[str, IndexMetadata] | None = None
        self._version = 0
        self._concrete: dict[str, IndexName] = {}
        self._aliases: dict[str, tuple[AliasName, ...]] = {}

    @property
    def version(self) -> int:
        self._follow()
        return self._version

    def concrete(self) -> Mapping[str, IndexName]:
        self._follow()
        return self._concrete

    def aliases(self) -> Mapping[str, tuple[AliasName, ...]]:
        self._follow()
        return self._aliases

    def _follow(self) -> None:
        indices = self._state().indices
        if indices is self._seen:
            return
        before, self._seen = self._seen, indices
        if before is not None and _same_names(before, indices):
            return
        self._version += 1
        self._concrete = {
            name: IndexName(name, index.uuid, index.is_open, index.is_hidden, index.data_stream)
            for name, index in indices.items()
        }
        found: dict[str, list[AliasName]] = {}
        for name, index in indices.items():
            for alias, metadata in index.aliases.items():
                found.setdefault(alias, []).append(
                    AliasName(
                        name,
                        metadata.filter,
                        metadata.search_routing,
                        metadata.index_routing,
                        bool(metadata.is_hidden),
                        metadata.is_write_index,
                    )
                )
        self._aliases = {alias: tuple(entries) for alias, entries in found.items()}


def _same_names(before: Mapping[str, IndexMetadata], after: Mapping[str, IndexMetadata]) -> bool:
    if len(before) != len(after):
        return False
    for name, index in after.items():
        old = before.get(name)
        if old is index:
            continue
        if (
            old is None
            or old.uuid != index.uuid
            or old.state != index.state
            or old.is_hidden != index.is_hidden
            or old.aliases != index.aliases
            or old.data_stream != index.data_stream
        ):
            return False
    return True
