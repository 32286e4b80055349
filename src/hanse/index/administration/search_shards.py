"""`_search_shards`: the shards a search of an expression would ask, and where they are. Connectors read shard by shard.

Tests: tests/index/administration/test_search_shards.py.
"""

from __future__ import annotations

from typing import Any

from hanse.cluster.routing import ShardCopy
from hanse.cluster.state import ClusterState, NodeMetadata
from hanse.cluster.updates import ClusterService
from hanse.index.administration.copies import shown_routing
from hanse.index.administration.requests import SearchShards
from hanse.index.index_service import IndexService
from hanse.index.service import Indices
from hanse.transport.actions import Call, Target


class SearchShardsAction:
    def __init__(self, cluster: ClusterService, indices: Indices) -> None:
        self._cluster = cluster
        self._indices = indices

    async def search_shards(self, call: Call, request: SearchShards) -> dict[str, Any]:
        """By shard the copies that may be asked, the primary first; and the nodes that have them."""
        state = self._cluster.state
        targets = sorted(call.targets.local, key=lambda target: target.index)
        copies = [
            [{**_copy(copy), "shard": number, "index": target.index} for copy in _primary_first(service, number)]
            for target in targets
            for service in (self._indices.get(target.index),)
            for number in _numbers(service, target, request.routing)
        ]
        named = {copy["node"] for shard in copies for copy in shard}
        return {
            "nodes": {member.id: _node(member) for member in state.nodes.values() if member.id in named},
            "indices": {one.index: _index(state, one, call.targets.expression) for one in targets},
            "shards": copies,
        }


def _numbers(service: IndexService, target: Target, asked: str | None) -> list[int]:
    """All shards of the index, or those that the routing of the request or the alias names."""
    routing = asked or target.routing
    if routing is None:
        return list(range(service.metadata.number_of_shards))
    return sorted({service.number_for("", value) for value in routing.split(",")})


def _primary_first(service: IndexService, number: int) -> list[ShardCopy]:
    return sorted(service.routing(number).active(), key=lambda copy: not copy.is_primary)


def _copy(copy: ShardCopy) -> dict[str, Any]:
    return {**shown_routing(copy), "allocation_id": {"id": copy.allocation_id}}


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
