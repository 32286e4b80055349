"""What a node does for the copies of a shard on other nodes: take batches, give documents, refresh.

Tests: tests/index/test_copy_actions.py.
"""

from __future__ import annotations

from hanse.errors import ShardFailedError
from hanse.index.changes import BYTES_MAX, OPERATIONS_MAX
from hanse.index.copy_requests import (
    READ_COPY,
    REFRESH_COPY,
    SEND_BATCHES,
    CopyAt,
    CopyPage,
    ReadCopy,
    RefreshCopy,
    SendBatches,
)
from hanse.index.service import Indices
from hanse.index.shard import Shard
from hanse.transport.actions import ActionRegistry, Call


class CopyActions:
    def __init__(self, indices: Indices) -> None:
        self._indices = indices

    def register(self, registry: ActionRegistry) -> None:
        registry.register(SEND_BATCHES, self.take)
        registry.register(READ_COPY, self.read)
        registry.register(REFRESH_COPY, self.refresh)

    async def take(self, call: Call, request: SendBatches) -> CopyAt:
        shard = self._whole(request)
        return CopyAt(await shard.take_sent(request.after, request.chain, request.batches))

    async def read(self, call: Call, request: ReadCopy) -> CopyPage:
        """A page of the primary's feed. Where it stands is read before the page, so that the page has all of it."""
        shard = self._indices.copy_of(request.index_uuid, request.shard)
        shard.check_primary()
        await shard.lead()
        at, through = shard.logged, shard.checkpoint
        page = await shard.read_changes(request.after, OPERATIONS_MAX, BYTES_MAX, floor=request.floor, through=through)
        return CopyPage(
            operations=page.operations,
            up_to=page.up_to,
            more=page.up_to < through,
            position=at.position,
            chain=at.chain,
            primary_term=at.primary_term,
            tombstone_floor=page.tombstone_floor,
            lost=page.lost,
            history_uuid=shard.history_uuid,
            mapping_version=shard.metadata.mapping_version,
            leases=shard.retention_leases.encoded(),
            through=through,
        )

    async def refresh(self, call: Call, request: RefreshCopy) -> CopyAt:
        return CopyAt(await refreshed(self._whole(request), request.position))

    def _whole(self, request: SendBatches | RefreshCopy) -> Shard:
        """The copy here; one that is being filled must not take anything from the log. Raises ShardFailedError."""
        shard = self._indices.copy_of(request.index_uuid, request.shard)
        if not shard.is_level:
            raise ShardFailedError(f"{shard} the copy on this node is still being filled", index=shard.index_name)
        return shard


async def refreshed(shard: Shard, position: int) -> int:
    """Makes the copy searchable up to a position of the log, which it reads on where it has to."""
    reached = shard.logged.position
    if reached < position:
        reached = await shard.catch_up()
    else:
        # The store gets a batch a moment before the search index does.
        await shard.settled()
    await shard.refresh()
    return reached
