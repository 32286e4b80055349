"""A cluster state in the making: the routing under change, the terms that rise with it, and how full each node is.

Tests: tests/cluster/allocation/test_reroute.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TypeVar

import msgspec

from hanse.cluster.allocation.awareness import attributes_of
from hanse.cluster.routing import ShardCopy, ShardRouting
from hanse.cluster.state import ClusterState, IndexMetadata, NodeMetadata
from hanse.errors import IllegalArgumentError
from hanse.settings.registry import RawValue, Setting, Settings

replaced = msgspec.structs.replace
T = TypeVar("T")
Filters = dict[str, dict[str, RawValue]]
"""By kind (require, include, exclude) the values that are wanted of an attribute."""
_KINDS = ("require", "include", "exclude")
_TIER_PREFERENCE = "_tier_preference"


class Shard(msgspec.Struct, frozen=True):
    """A shard's name within the cluster."""

    index: str
    number: int


class Draft:
    """Wraps a state and collects changes; `result()` is the very same state where nothing changed.

    `next_version` is the version that the result will be committed as: the allocation ids of new copies begin with it.
    """

    def __init__(self, state: ClusterState, now_ms: int, next_version: int | None = None) -> None:
        self.now_ms = now_ms
        self._state = state
        self._next_version = state.version + 1 if next_version is None else next_version
        self._indices = dict(state.indices)
        self._routing = dict(state.routing)
        self._nodes = state.nodes
        self._changed = False
        self._load: Load | None = None
        self._ordinal: int | None = None
        self.settings = Settings({**state.persistent, **state.transient})
        self.filters = filters_of(self.settings, "cluster")
        self.awareness = attributes_of(self.settings, state.nodes.values())
        self.data_nodes = sorted(node.id for node in state.nodes.values() if node.holds_data)

    @property
    def nodes(self) -> dict[str, NodeMetadata]:
        return self._nodes

    @property
    def indices(self) -> dict[str, IndexMetadata]:
        return self._indices

    @property
    def load(self) -> Load:
        """How many copies lie where. Counted at first use and kept up to date from then on."""
        if self._load is None:
            self._load = Load()
            for at in self.shards():
                self._load.add(at.index, self[at], 1)
        return self._load

    def shards(self) -> Iterator[Shard]:
        """In order of index name and shard number, of indices that exist and have routing."""
        for name in sorted(self._routing):
            if name in self._indices:
                yield from (Shard(name, number) for number in range(len(self._routing[name])))

    def has(self, name: str) -> bool:
        return name in self._routing

    def __contains__(self, at: Shard) -> bool:
        return at.index in self._indices and 0 <= at.number < len(self._routing.get(at.index, ()))

    def __getitem__(self, at: Shard) -> ShardRouting:
        return self._routing[at.index][at.number]

    def __setitem__(self, at: Shard, shard: ShardRouting) -> None:
        shards = self._routing[at.index]
        before = shards[at.number]
        shard = _superseding(before, shard)
        if shard == before:
            return
        self._routing[at.index] = (*shards[: at.number], shard, *shards[at.number + 1 :])
        self._changed = True
        if self._load is not None:
            self._load.add(at.index, before, -1)
            self._load.add(at.index, shard, 1)

    def begin(self, name: str, shards: tuple[ShardRouting, ...]) -> None:
        """The routing of an index that had none, or of one that took the place of another with its name."""
        self._routing[name] = shards
        self._changed = True
        self._load = None

    def forget(self, name: str) -> None:
        del self._routing[name]
        self._changed = True
        self._load = None

    def change_index(self, index: IndexMetadata) -> None:
        self._indices[index.name] = index
        self._changed = True

    def raise_term(self, at: Shard) -> None:
        """A new primary: whatever an older one still writes is refused."""
        index = self._indices[at.index]
        terms = list(index.primary_terms)
        terms[at.number] += 1
        self.change_index(replaced(index, primary_terms=tuple(terms), version=index.version + 1))

    def new_id(self) -> str:
        """An allocation id that no copy of this state has."""
        prefix = f"{self._next_version}."
        if self._ordinal is None:
            taken = (copy.allocation_id for at in self.shards() for copy in self[at].copies)
            self._ordinal = max((int(t.removeprefix(prefix)) for t in taken if t.startswith(prefix)), default=0)
        self._ordinal += 1
        return f"{prefix}{self._ordinal}"

    def result(self) -> ClusterState:
        if not self._changed:
            return self._state
        return replaced(self._state, indices=self._indices, routing=self._routing)


def _superseding(before: ShardRouting, now: ShardRouting) -> ShardRouting:
    """Whatever changes the primary: who led need not know that it does no more, and who leads does."""
    old, new = (None if shard.primary is None else shard.primary.node for shard in (before, now))
    if old == new:
        return now
    led = (*now.superseded, old) if old is not None else now.superseded
    return replaced(now, superseded=tuple(dict.fromkeys(node for node in led if node != new)))


class Load:
    """How many copies a node has or will have. A copy that moves away counts where it moves to."""

    def __init__(self) -> None:
        self.copies: Counter[str] = Counter()
        self.of_index: Counter[tuple[str, str]] = Counter()
        self.primaries: Counter[str] = Counter()
        self.incoming: Counter[str] = Counter()

    def add(self, index: str, shard: ShardRouting, sign: int) -> None:
        """Counts a shard's copies in (`sign` 1) or out (-1)."""
        for copy in shard.copies:
            if copy.state == "RELOCATING":
                continue
            self.copies[copy.node] += sign
            self.of_index[copy.node, index] += sign
            self.primaries[copy.node] += sign if moves_primary(shard, copy) else 0
            self.incoming[copy.node] += sign if fills_up(copy) else 0


def fills_up(copy: ShardCopy) -> bool:
    """It is filled from another copy; a primary begins from what its node has."""
    return copy.state == "INITIALIZING" and not copy.is_primary


def moves_primary(shard: ShardRouting, copy: ShardCopy) -> bool:
    """It is the primary, or will be when it has taken the place of the copy that moves here."""
    source = shard.on(copy.relocating_node) if copy.is_target and copy.relocating_node else None
    return copy.is_primary or (source is not None and source.is_primary)


def setting_of(index: IndexMetadata, setting: Setting[T]) -> T:
    """An index's setting. A value that an older version accepted unread counts as none: no update may stumble on it."""
    raw = index.settings.get(setting.key)
    if raw is None:
        return setting.default
    try:
        return setting.parse(raw, setting.key)
    except IllegalArgumentError:
        return setting.default


def filters_of(settings: Mapping[str, RawValue], level: str) -> Filters:
    """The allocation filters of an index or the cluster (`level`). Tiers are not told apart: their filter is none."""
    filters: Filters = {}
    prefix = f"{level}.routing.allocation."
    for key, value in settings.items():
        if key.startswith(prefix) and value:
            kind, _, name = key.removeprefix(prefix).partition(".")
            if kind in _KINDS and name and name != _TIER_PREFERENCE:
                filters.setdefault(kind, {})[name] = value
    return filters
