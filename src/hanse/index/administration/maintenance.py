"""Force merge and clear cache: asked of every node with copies, done by each for its own.

Known difference: tantivy merges by its own policy, so a force merge ends when no merge is left to be done, whatever
`max_num_segments` says. Tests: tests/index/administration/test_maintenance.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from hanse.cluster.broadcast import Broadcast
from hanse.errors import HanseError
from hanse.index.administration import requests
from hanse.index.administration.copies import Copies, copies_wanted, meant
from hanse.index.administration.requests import ByNames, CopiesOf, CopyReport
from hanse.index.service import Indices
from hanse.index.shard import Shard
from hanse.transport.actions import Action, ActionRegistry, Call
from hanse.transport.wire_errors import to_wire

MERGE_TIMEOUT_S = 3600.0
"""How long a node may take to merge; one that is gone meanwhile is noticed at once."""


class Maintenance:
    """Handlers: those that ask every node with copies of an index, and those by which this node does it."""

    def __init__(self, broadcast: Broadcast, indices: Indices) -> None:
        self._cluster = broadcast.cluster
        self._copies = Copies(broadcast)
        self._indices = indices

    def register(self, registry: ActionRegistry) -> None:
        registry.register(requests.FORCE_MERGE, self.force_merge)
        registry.register(requests.CLEAR_CACHE, self.clear_cache)
        registry.register(requests.FORCE_MERGE_OF_COPIES, self.merge_own)
        registry.register(requests.CLEAR_CACHE_OF_COPIES, self.clear_own)

    async def force_merge(self, call: Call, request: ByNames) -> dict[str, Any]:
        return await self._everywhere(call, requests.FORCE_MERGE_OF_COPIES, MERGE_TIMEOUT_S)

    async def clear_cache(self, call: Call, request: ByNames) -> dict[str, Any]:
        return await self._everywhere(call, requests.CLEAR_CACHE_OF_COPIES)

    async def _everywhere(
        self, call: Call, action: Action[CopiesOf, list[CopyReport]], timeout_s: float | None = None
    ) -> dict[str, Any]:
        wanted = sum(copies_wanted(self._cluster.state.index(name)) for name in call.targets.names)
        asked = await self._copies.ask(call, call.targets.names, action, timeout_s=timeout_s)
        return {"_shards": asked.counts(wanted)}

    async def merge_own(self, call: Call, request: CopiesOf) -> list[CopyReport]:
        return await self._each(call, request, lambda shard: shard.merge())

    async def clear_own(self, call: Call, request: CopiesOf) -> list[CopyReport]:
        async def clear(shard: Shard) -> None:
            shard.recent.clear()

        return await self._each(call, request, clear)

    async def _each(self, call: Call, request: CopiesOf, work: Callable[[Shard], Awaitable[None]]) -> list[CopyReport]:
        """One copy after the other, so that merging leaves threads to those that are written to."""
        reports = []
        for service in meant(self._indices, call, request):
            for shard in service.shards:
                try:
                    await work(shard)
                    reports.append(CopyReport(service.name, shard.number))
                except HanseError as error:
                    reports.append(CopyReport(service.name, shard.number, error=to_wire(error)))
        return reports
