"""One open index as this node sees it: metadata and mapping everywhere, shards where this node has copies of them.

`metadata` and `mapping` follow the cluster state; the shards ask for them as they need them.
Tests: tests/index/test_service.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from hanse.cluster.routing import ShardRouting
from hanse.cluster.state import ClusterState, IndexMetadata
from hanse.cluster.updates import ClusterService
from hanse.errors import (
    ClusterBlockError,
    HanseError,
    IndexNotFoundError,
    ShardFailedError,
    StatusError,
    UnavailableShardsError,
)
from hanse.index import settings as index_settings
from hanse.index.local_copy import LocalCopy
from hanse.index.mapping import DocumentMapper, Mapping
from hanse.index.routing import routing_num_shards, shard_for
from hanse.index.shard import Shard

_WRITE_BLOCKS = (
    ("index.blocks.read_only", 403, "FORBIDDEN/5/index read-only (api)"),
    ("index.blocks.write", 403, "FORBIDDEN/8/index write (api)"),
    (
        "index.blocks.read_only_allow_delete",
        429,
        "TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has read-only-allow-delete block",
    ),
)
_NOWHERE = ShardRouting()
MAPPING_WAIT_S = 10.0


class IndexService:
    """`copies` are all that this node was given, `shards` those of them that serve, in the order of their number."""

    def __init__(
        self,
        metadata: IndexMetadata,
        cluster: ClusterService,
        own_id: Callable[[], str],
        has_lapsed: Callable[[str], Awaitable[bool]],
    ) -> None:
        """`has_lapsed`: whether a node knows of the state this node has, or serves nothing as a primary any more."""
        self._has_lapsed = has_lapsed
        self._cluster = cluster
        self._own_id = own_id
        self.copies: dict[int, LocalCopy] = {}
        self.shards: list[Shard] = []
        self.is_whole = False
        """Every shard may be searched here."""
        self._take(metadata)
        self._make_mapper()

    def _take(self, metadata: IndexMetadata) -> None:
        self.metadata = metadata
        settings = metadata.typed_settings
        self.refresh_interval_s = settings.read(index_settings.REFRESH_INTERVAL)
        self.write_refusal = _write_refusal(metadata)
        given = settings.get("index.number_of_routing_shards")
        self._routing_shards = int(str(given)) if given else routing_num_shards(metadata.number_of_shards)

    def _make_mapper(self) -> None:
        metadata = self.metadata
        self.mapping = Mapping.from_metadata(metadata.mappings, metadata.slots, metadata.settings)
        self.mapper = DocumentMapper(self.mapping)

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def uuid(self) -> str:
        return self.metadata.uuid

    def update(self, metadata: IndexMetadata) -> None:
        """Takes a newer version of the metadata."""
        old = self.metadata
        self._take(metadata)
        if (old.mappings, old.slots) != (metadata.mappings, metadata.slots) or old.settings != metadata.settings:
            self._make_mapper()

    # -- shards

    def number_for(self, id: str, routing: str | None = None) -> int:
        """The number of the shard that holds a document."""
        shards = self.metadata.number_of_shards
        if shards == 1:
            return 0
        return shard_for(id if routing is None else routing, shards, self._routing_shards)

    def shard_for(self, id: str, routing: str | None = None) -> Shard:
        return self.shard(self.number_for(id, routing))

    def shard(self, number: int) -> Shard:
        """The copy of a shard that serves here. Raises ShardFailedError (503) when there is none, or not yet."""
        if len(self.shards) == self.metadata.number_of_shards:
            return self.shards[number]
        for shard in self.shards:
            if shard.number == number:
                return shard
        copy = self.copies.get(number)
        if copy is not None and copy.failure is not None:
            raise copy.failure
        raise ShardFailedError(
            f"shard [{self.name}][{number}] is not open on this node yet", index_uuid=self.uuid, index=self.name
        )

    def show(self) -> None:
        """Offers the copies that serve by now."""
        self.shards = [
            copy.shard for _, copy in sorted(self.copies.items()) if copy.is_serving and copy.shard is not None
        ]
        shards = range(self.metadata.number_of_shards)
        self.is_whole = all(self.may_be_searched(number) for number in shards)

    def may_be_searched(self, number: int) -> bool:
        """The copy here serves and has what a refresh promised: a refresh reaches the primary and active copies."""
        copy = self.copies.get(number)
        return copy is not None and copy.is_serving and (copy.assigned.is_active or copy.assigned.is_primary)

    def routing(self, number: int) -> ShardRouting:
        """Which nodes have copies of a shard now."""
        shards = self._cluster.state.routing.get(self.name, ())
        return shards[number] if number < len(shards) else _NOWHERE

    def leads(self, number: int) -> int | None:
        """The term in which the copy here is the primary; None while it is not."""
        state = self._cluster.state
        index = state.indices.get(self.name)
        copy = self.routing(number).on(self._own_id())
        if index is None or index.uuid != self.uuid or copy is None or not copy.is_primary:
            return None
        return index.primary_terms[number]

    async def is_superseding(self, number: int) -> bool:
        """Whether some node may still hold itself for the primary, which it was before the one here."""
        own_id = self._own_id()
        for node in self.routing(number).superseded:
            # This one is among them when it was replaced while it was taking over; it knows itself.
            if node != own_id and not await self._has_lapsed(node):
                return True
        return False

    async def has_mapping(self, version: int) -> None:
        """Waits until this node has that version of the mapping; UnavailableShardsError when it does not come."""
        if self.metadata.mapping_version >= version:
            return
        if not await self._cluster.until(lambda state: self.metadata.mapping_version >= version, MAPPING_WAIT_S):
            raise UnavailableShardsError(
                f"version [{version}] of the mapping of [{self.name}] did not come, this node has "
                f"[{self.metadata.mapping_version}]"
            )

    async def raise_term(self, number: int, above: int) -> None:
        """Has the copy here lead a shard in a term above `above`, if it still is the primary.

        The log may be in a later term than the state, when an older state was put back.
        """

        def change(state: ClusterState) -> ClusterState:
            index = state.indices.get(self.name)
            if index is None or index.uuid != self.uuid or index.primary_terms[number] > above:
                return state
            copy = state.routing[self.name][number].on(self._own_id())
            if copy is None or not copy.is_primary:
                return state
            terms = (*index.primary_terms[:number], above + 1, *index.primary_terms[number + 1 :])
            return state.with_index(msgspec.structs.replace(index, primary_terms=terms, version=index.version + 1))

        await self._cluster.update(f"primary term of [{self.name}][{number}]", change)

    # -- the mapping

    async def put_dynamic(self, updates: Sequence[dict[str, Any]]) -> None:
        """Commits new fields that documents brought; updates that came to the same meanwhile change nothing."""

        def change(state: ClusterState) -> ClusterState:
            index = state.indices.get(self.name)
            if index is None or index.uuid != self.uuid:
                raise IndexNotFoundError.of(self.name)
            changed = _with_fields(index, updates)
            return state if changed is index else state.with_index(changed)

        await self._cluster.update(f"dynamic mapping of [{self.name}]", change)


def _with_fields(index: IndexMetadata, updates: Sequence[dict[str, Any]]) -> IndexMetadata:
    mappings, slots = index.mappings, index.slots
    for update in updates:
        mappings, slots = Mapping.from_metadata(mappings, slots, index.settings).merge(update)
    if mappings == index.mappings and slots == index.slots:
        return index
    return msgspec.structs.replace(
        index, mappings=mappings, slots=slots, mapping_version=index.mapping_version + 1, version=index.version + 1
    )


def _write_refusal(metadata: IndexMetadata) -> HanseError | None:
    for key, status, text in _WRITE_BLOCKS:
        if metadata.settings.get(key) == "true":
            error = ClusterBlockError(f"index [{metadata.name}] blocked by: [{text}];")
            error.status = status
            return error
    if metadata.is_follower:
        return StatusError("a following engine does not accept operations without an assigned sequence number", 403)
    return None
