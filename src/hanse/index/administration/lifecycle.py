"""Delete, open, close, block, refresh, flush: what happens to whole indices.

Tests: tests/index/administration/test_lifecycle.py.
"""

from __future__ import annotations

import asyncio
from typing import Any

from hanse.cluster.blocks import refuse_delete
from hanse.cluster.state import ClusterState
from hanse.cluster.updates import ClusterService
from hanse.errors import HanseError, IllegalArgumentError
from hanse.index import settings as index_settings
from hanse.index.administration.blocks import refuse_change
from hanse.index.administration.copies import copies_wanted
from hanse.index.administration.data_streams import refuse_newest
from hanse.index.administration.properties import with_settings, with_state
from hanse.index.administration.requests import Block, ByNames
from hanse.index.refreshing import Refreshing
from hanse.index.service import Indices
from hanse.transport.actions import Acknowledged, Call

REFRESH_TIMEOUT_S = 30.0


class IndexLifecycle:
    def __init__(self, cluster: ClusterService, indices: Indices, refreshing: Refreshing) -> None:
        self._cluster = cluster
        self._indices = indices
        self._refreshing = refreshing

    async def delete(self, call: Call, request: ByNames) -> Acknowledged:
        names = call.targets.names

        def change(state: ClusterState) -> ClusterState:
            refuse_delete(state)
            for name in names:
                refuse_change(state.index(name), deletes=True)
                refuse_newest(state, state.index(name))
                state = state.without_index(name)
            return state

        if names:
            await self._cluster.update(f"delete-index {list(names)}", change)
        return Acknowledged()

    async def open(self, call: Call, request: ByNames) -> dict[str, Any]:
        names = call.targets.names
        await self._cluster.update(f"open-indices {list(names)}", lambda state: with_state(state, names, "open"))
        active = [await self._indices.ready(name) for name in names]
        return {"acknowledged": True, "shards_acknowledged": all(active)}

    async def close(self, call: Call, request: ByNames) -> dict[str, Any]:
        names = call.targets.names
        was_open = {name for name in names if self._cluster.state.indices[name].is_open}
        await self._cluster.update(f"close-indices {list(names)}", lambda state: with_state(state, names, "close"))
        return {
            "acknowledged": True,
            "shards_acknowledged": bool(was_open),
            "indices": {name: {"closed": True} for name in names if name in was_open},
        }

    async def block(self, call: Call, request: Block) -> dict[str, Any]:
        names = await self._set_block(call, request.block, "true")
        blocked = [{"name": name, "blocked": True} for name in names]
        return {"acknowledged": True, "shards_acknowledged": True, "indices": blocked}

    async def unblock(self, call: Call, request: Block) -> dict[str, Any]:
        names = await self._set_block(call, request.block, None)
        return {"acknowledged": True, "indices": [{"name": name, "unblocked": True} for name in names]}

    async def _set_block(self, call: Call, block: str, value: str | None) -> tuple[str, ...]:
        if block not in index_settings.BLOCKS:
            raise IllegalArgumentError(f"No block found with name {block}")
        names = call.targets.names

        def change(state: ClusterState) -> ClusterState:
            for name in names:
                state = state.with_index(with_settings(state.index(name), {f"index.blocks.{block}": value}))
            return state

        await self._cluster.update(f"{'remove' if value is None else 'add'}-index-block [{block}]", change)
        return names

    async def refresh(self, call: Call, request: ByNames) -> dict[str, Any]:
        """Of every copy of every shard; one that fails is counted, and the others are refreshed all the same."""
        services = [self._indices.get(name) for name in call.targets.names]
        outcomes = await asyncio.gather(
            *(
                self._refreshing.refresh(service, number, REFRESH_TIMEOUT_S)
                for service in services
                for number in range(service.metadata.number_of_shards)
            ),
            return_exceptions=True,
        )
        failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        for failure in failures:
            if not isinstance(failure, HanseError):
                raise failure
        total = sum(copies_wanted(self._cluster.state.indices[name]) for name in call.targets.names)
        successful = sum(outcome for outcome in outcomes if isinstance(outcome, int))
        return {"_shards": {"total": total, "successful": successful, "failed": len(failures)}}

    async def flush(self, call: Call, request: ByNames) -> dict[str, Any]:
        """Every write is on disk already."""
        return await self.refresh(call, request)
