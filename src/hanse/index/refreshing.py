"""Makes acknowledged writes searchable on every copy of a shard that serves.

A refresh is the primary's business: it knows how far the log has got, refreshes itself and has every copy read the log
up to there. A copy that cannot be brought there in time is reported as failed, so that no search is asked of it any
more: what a refresh promised holds on whatever copy is searched next. A copy that is not active yet is asked, too,
since it may be by the time of that search; one that is still being filled may refuse, because it has the log to read
before it is active. Tests: tests/index/test_refreshing.py.
"""

from __future__ import annotations

import asyncio
import time

import msgspec
import structlog

from hanse.errors import HanseError, ShardFailedError
from hanse.index.copy_requests import REFRESH_COPY, CopyAt, RefreshCopy
from hanse.index.index_service import IndexService
from hanse.index.primaries import Primaries
from hanse.index.shard import Shard
from hanse.transport.actions import Action, ActionRegistry, Call, Scope

log = structlog.get_logger(__name__)

COPY_TIMEOUT_S = 10.0
RETRY_S = 0.1


class RefreshShard(msgspec.Struct, frozen=True):
    index_uuid: str
    shard: int
    state_version: int


class RefreshedShard(msgspec.Struct, frozen=True):
    """How many active copies are searchable up to the same point now."""

    copies: int


REFRESH_SHARD = Action("indices:admin/refresh[s]", RefreshShard, RefreshedShard, Scope.MEMBER)


class Refreshing:
    def __init__(self, primaries: Primaries) -> None:
        self._primaries = primaries

    def register(self, registry: ActionRegistry) -> None:
        registry.register(REFRESH_SHARD, self._asked)

    async def refresh(self, service: IndexService, number: int, timeout_s: float = 60.0) -> int:
        """Refreshes all copies of a shard, wherever they are; returns how many are active."""
        nodes = self._primaries.nodes

        async def there(node: str) -> int:
            assert nodes is not None
            request = RefreshShard(service.uuid, number, self._primaries.cluster.state.version)
            return (await nodes.call(node, REFRESH_SHARD, request)).copies

        return await self._primaries.run(
            service, number, self.refresh_copies, there, timeout_s=timeout_s, may_repeat=True
        )

    async def refresh_written(self, shard: Shard) -> None:
        """After a write to the primary here, which may be the primary no more by now. Does not raise: the write is
        done, and must not be taken for one that may be tried again."""
        try:
            await self.refresh(self._primaries.indices.get(shard.index_name), shard.number)
        except HanseError as error:
            log.warning("copies could not be refreshed after a write", shard=str(shard), why=error.reason)

    async def _asked(self, call: Call, request: RefreshShard) -> RefreshedShard:
        shard = self._primaries.indices.copy_of(request.index_uuid, request.shard)
        return RefreshedShard(await self.refresh_copies(shard))

    async def refresh_copies(self, shard: Shard) -> int:
        """From the primary on this node: itself and every other copy; returns how many are active."""
        nodes = self._primaries.nodes
        if nodes is None:
            await shard.refresh()
            return 1
        # A new primary may not have read yet what its predecessor acknowledged.
        await shard.lead()
        service = self._primaries.indices.get(shard.index_name)
        own_id = nodes.own_id
        copies = service.routing(shard.number).copies
        others = [copy.node for copy in copies if copy.node != own_id]
        request = RefreshCopy(shard.index_uuid, shard.number, shard.logged.position)
        await asyncio.gather(shard.refresh(), *(self._refresh_other(service, node, request) for node in others))
        return sum(copy.is_active for copy in copies)

    async def _refresh_other(self, service: IndexService, node: str, request: RefreshCopy) -> None:
        """Until it is done, or the copy is there no more."""
        nodes = self._primaries.nodes
        assert nodes is not None
        deadline = time.monotonic() + COPY_TIMEOUT_S
        while True:
            copy = service.routing(request.shard).on(node)
            if copy is None:
                return
            try:
                answer: CopyAt = await nodes.call(node, REFRESH_COPY, request, timeout_s=COPY_TIMEOUT_S)
                if answer.position >= request.position:
                    return
                why = f"it reached [{answer.position}] of the log instead of [{request.position}]"
            except HanseError as error:
                if isinstance(error, ShardFailedError) and not copy.is_active:
                    return
                why = error.reason
            if time.monotonic() >= deadline:
                log.warning("copy could not be refreshed", index=service.name, shard=request.shard, node=node, why=why)
                self._primaries.indices.report_failed(
                    service.uuid, request.shard, copy.allocation_id, f"it could not be refreshed: {why}"
                )
                return
            await asyncio.sleep(RETRY_S)
