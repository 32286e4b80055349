"""Handlers of `_data_stream`: create, get and delete.

Tests: tests/index/administration/test_data_streams.py, tests/journeys/test_data_streams.py.
"""

from __future__ import annotations

from typing import Any

from hanse.cluster.blocks import refuse_creation
from hanse.cluster.shard_health import ORDER, index_counts
from hanse.cluster.state import ClusterState
from hanse.cluster.updates import ClusterService
from hanse.errors import IllegalArgumentError, IndexNotFoundError
from hanse.index.administration.blocks import refuse_change
from hanse.index.administration.create import with_stream
from hanse.index.administration.data_streams import backing_indices, generation, is_stream, template_of
from hanse.index.administration.names import check_index_name
from hanse.index.administration.requests import ByNames, CreateIndex
from hanse.index.mapping.parameters import TIMESTAMP
from hanse.index.service import Indices
from hanse.transport.actions import Acknowledged, Call


class DataStreams:
    def __init__(self, cluster: ClusterService, indices: Indices) -> None:
        self._cluster = cluster
        self._indices = indices

    async def create(self, call: Call, request: CreateIndex) -> Acknowledged:
        stream = request.name
        check_index_name(stream)

        def change(state: ClusterState) -> ClusterState:
            refuse_creation(state)
            if template_of(state, stream) is None:
                raise IllegalArgumentError(f"no matching index template found for data stream [{stream}]")
            return with_stream(state, stream)

        state = await self._cluster.update(f"create-data-stream [{stream}]", change)
        await self._indices.ready(backing_indices(state, stream)[-1].name, timeout_s=request.timeout_s)
        return Acknowledged()

    async def get(self, call: Call, request: ByNames) -> dict[str, Any]:
        return {"data_streams": [self._shown(stream) for stream in self._named(call, request)]}

    async def delete(self, call: Call, request: ByNames) -> Acknowledged:
        """The streams with all their backing indices."""
        streams = self._named(call, request)

        def change(state: ClusterState) -> ClusterState:
            for stream in streams:
                for index in backing_indices(state, stream):
                    refuse_change(index, deletes=True)
                    state = state.without_index(index.name)
            return state

        if streams:
            await self._cluster.update(f"delete-data-stream {streams}", change)
        return Acknowledged()

    def _named(self, call: Call, request: ByNames) -> list[str]:
        """The streams that the request means. Raises IndexNotFoundError when it names what is none."""
        state = self._cluster.state
        found = {target.name for target in call.targets.local if is_stream(state, target.name, target.index)}
        for name in request.indices:
            if "*" not in name and not name.startswith("-") and name != "_all" and name not in found:
                raise IndexNotFoundError.of(name)
        return sorted(found)

    def _shown(self, stream: str) -> dict[str, Any]:
        state = self._cluster.state
        behind = backing_indices(state, stream)
        counts = [index_counts(state, index.name) for index in behind]
        shown = {
            "name": stream,
            "timestamp_field": {"name": TIMESTAMP},
            "indices": [
                {"index_name": index.name, "index_uuid": index.uuid, "prefer_ilm": True, "managed_by": "Unmanaged"}
                for index in behind
            ],
            "generation": generation(behind[-1]),
            "status": max((one.status for one in counts), key=ORDER.__getitem__).upper(),
            "template": template_of(state, stream),
            "next_generation_managed_by": "Unmanaged",
            "prefer_ilm": True,
            "hidden": False,
            "system": False,
            "allow_custom_routing": False,
            "replicated": behind[-1].is_follower,
            "rollover_on_write": False,
        }
        return {key: value for key, value in shown.items() if value is not None}
