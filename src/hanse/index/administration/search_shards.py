"""`_search_shards`: the shards a search of an expression would ask, and where they are. Connectors read shard by shard.

Tests: tests/index/administration/test_search_shards.py.
"""

from __future__ import annotations

from typing import Any

from hanse.cluster.state import ClusterState, IndexMetadata, NodeMetadata
from hanse.cluster.updates import ClusterService
from hanse.index.administration.requests import SearchShards
from hanse.index.service import Indices
from hanse.transport.actions import Call, Target


class SearchShardsAction:
    def __init__(self, cluster: ClusterService, indices: Indices) -> None:
        self._cluster = cluster
        self._indices = indices

    async def search_shards(self, call: Call, request: SearchShards) -> dict[str, Any]:
        state = self._cluster.state
        node = next(iter(state.nodes), None)
        targets = sorted(call.targets.local, key=lambda target: target.index)
        return {
            "nodes": {member.id: _node(member) for member in state.nodes.values()},
            "indices": {one.index: _index(state, one, call.targets.expression) for one in targets},
            "shards": [
                [_shard(state.indices[one.index], number, node)]
                for one in targets
                for number in self._numbers(one, request.routing)
            ],
        }

    def _numbers(self, target: Target, asked: str | None) -> list[int]:
        """All shards of the index, or those that the routing of the request or the alias names."""
        service = self._indices.get(target.index)
        routing = asked or target.routing
        if routing is None:
            return [shard.number for shard in service.shards]
        return sorted({service.shard_for("", value).number for value in routing.split(",")})


def _node(node: NodeMetadata) -> dict[str, Any]:
    return {
        "name": node.name,
        "ephemeral_id": node.ephemeral_id,
        "transport_address": node.transport_address,
        "external_id": node.name,
        "attributes": dict(node.attributes),
        "roles": sorted(node.roles),
        "version": node.version,
    }


def _index(state: ClusterState, target: Target, expression: tuple[str, ...]) -> dict[str, Any]:
    """The aliases by which the request names the index, and what they filter."""
    aliases = sorted({name for name in (*expression, target.name) if name in state.indices[target.index].aliases})
    entry: dict[str, Any] = {"aliases": aliases} if aliases else {}
    if len(target.filters) == 1:
        entry["filter"] = target.filters[0]
    elif target.filters:
        entry["filter"] = {"bool": {"should": list(target.filters)}}
    return entry


def _shard(index: IndexMetadata, number: int, node: str | None) -> dict[str, Any]:
    return {
        "state": "STARTED",
        "primary": True,
        "node": node,
        "relocating_node": None,
        "shard": number,
        "index": index.name,
        "allocation_id": {"id": f"{index.uuid}-{number}"},
    }
