"""Index statistics, segments and recovery, as the monitoring APIs and `_cat` show them.

Tests: tests/index/administration/test_statistics.py.
"""

from __future__ import annotations

from typing import Any

from hanse.cluster.shard_health import index_counts
from hanse.cluster.updates import ClusterService
from hanse.index.administration.requests import ByNames, Stats
from hanse.index.service import Indices
from hanse.transport.actions import Call

_EMPTY: dict[str, Any] = {
    "warmer": {"current": 0, "total": 0, "total_time_in_millis": 0},
    "query_cache": {"memory_size_in_bytes": 0, "total_count": 0, "hit_count": 0, "miss_count": 0, "evictions": 0},
    "request_cache": {"memory_size_in_bytes": 0, "evictions": 0, "hit_count": 0, "miss_count": 0},
    "fielddata": {"memory_size_in_bytes": 0, "evictions": 0},
    "completion": {"size_in_bytes": 0},
    "recovery": {"current_as_source": 0, "current_as_target": 0, "throttle_time_in_millis": 0},
    "bulk": {"total_operations": 0, "total_time_in_millis": 0, "total_size_in_bytes": 0},
}
"""Sections of machinery Hanse does not have; monitoring tools read them all the same."""


_NOTHING: dict[str, Any] = {
    "docs": {"count": 0, "deleted": 0},
    "store": {"size_in_bytes": 0},
    "indexing": {"index_total": 0, "index_failed": 0, "delete_total": 0},
    "get": {"total": 0, "exists_total": 0, "missing_total": 0},
    "search": {"open_contexts": 0, "query_total": 0, "fetch_total": 0, "scroll_total": 0},
    "merges": {"total": 0},
    "refresh": {"total": 0},
    "flush": {"total": 0},
    "segments": {"count": 0, "memory_in_bytes": 0},
    "translog": {"operations": 0, "size_in_bytes": 0},
}
"""What a node without shards says where a shard would give its own figures."""


class IndexStatistics:
    def __init__(self, cluster: ClusterService, indices: Indices) -> None:
        self._cluster = cluster
        self._indices = indices

    async def stats(self, call: Call, request: Stats) -> dict[str, Any]:
        """Sections by index and shard; REST picks metrics and the level."""
        answer: dict[str, Any] = {}
        total: dict[str, Any] = {}
        copies = started = 0
        for name in sorted(call.targets.names):
            index = self._cluster.state.indices[name]
            if not index.is_open:
                continue
            shards = {str(shard.number): _EMPTY | shard.stats() for shard in self._indices.get(name).shards}
            merged: dict[str, Any] = {}
            for stats in shards.values():
                merged = added(merged, stats)
            total = added(total, merged)
            copies += index.number_of_shards * (index.number_of_replicas + 1)
            started += index.number_of_shards
            answer[name] = {
                "uuid": index.uuid,
                "health": index_counts(self._cluster.state, name).status,
                "status": "open",
                "primaries": _without_shard_parts(merged),
                "total": _without_shard_parts(merged),
                "shards": {number: [self._shard_entry(stats)] for number, stats in shards.items()},
            }
        return {
            "_shards": {"total": copies, "successful": started, "failed": 0},
            "_all": {"primaries": _without_shard_parts(total), "total": _without_shard_parts(total)},
            "indices": answer,
        }

    def _shard_entry(self, stats: dict[str, Any]) -> dict[str, Any]:
        return {"routing": {**self._routing(), "relocating_node": None}, **stats}

    def _routing(self) -> dict[str, Any]:
        return {"state": "STARTED", "primary": True, "node": next(iter(self._cluster.state.nodes), None)}

    async def segments(self, call: Call, request: ByNames) -> dict[str, Any]:
        """One entry a shard stands for all its segments: they are tantivy's, and it merges them by itself."""
        indices: dict[str, Any] = {}
        for name in sorted(call.targets.names):
            shards = {}
            for shard in self._indices.get(name).shards:
                stats = shard.stats()
                count = stats["segments"]["count"]
                entry = {"routing": self._routing(), "num_committed_segments": count, "num_search_segments": count}
                shards[str(shard.number)] = [{**entry, "segments": {"_0": _segment(stats)} if count else {}}]
            indices[name] = {"shards": shards}
        count = sum(len(entry["shards"]) for entry in indices.values())
        return {"_shards": {"total": count, "successful": count, "failed": 0}, "indices": indices}

    async def recovery(self, call: Call, request: ByNames) -> dict[str, Any]:
        """Every copy was opened from this node's own files."""
        answer: dict[str, Any] = {}
        node = next(iter(self._cluster.state.nodes.values()), None)
        shown = {"id": node.id, "name": node.name, "transport_address": node.transport_address} if node else {}
        for name in sorted(call.targets.names):
            index = self._cluster.state.indices[name]
            kind = "SNAPSHOT" if index.is_follower else "EMPTY_STORE"
            answer[name] = {
                "shards": [
                    {
                        "id": shard.number,
                        "type": kind,
                        "stage": "DONE",
                        "primary": True,
                        "source": {} if kind == "EMPTY_STORE" else {"repository": "_ccr_", "snapshot": "_latest_"},
                        "target": shown,
                    }
                    for shard in self._indices.get(name).shards
                ]
            }
        return answer


def node_statistics(indices: Indices) -> dict[str, Any]:
    """The `indices` section of `_nodes/stats`: sums over this node, and the same by index under `indices`."""
    by_index: dict[str, Any] = {}
    for service in indices:
        for shard in service.shards:
            sections = _without_shard_parts(_EMPTY | shard.stats())
            by_index[service.metadata.name] = added(by_index.get(service.metadata.name, {}), sections)
    total: dict[str, Any] = {**_EMPTY, **_NOTHING}
    for sections in by_index.values():
        total = added(total, sections)
    return {**total, "indices": by_index}


def _segment(stats: dict[str, Any]) -> dict[str, Any]:
    return {
        "generation": 0,
        "num_docs": stats["docs"]["count"],
        "deleted_docs": stats["docs"]["deleted"],
        "size_in_bytes": stats["store"]["size_in_bytes"],
        "committed": True,
        "search": True,
        "version": "10.3.1",
        "compound": False,
        "attributes": {},
    }


def added(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    """Two statistics trees summed leaf by leaf; what is no number is taken from the right."""
    total = dict(left)
    for key, value in right.items():
        other = total.get(key)
        if isinstance(value, dict):
            total[key] = added(other if isinstance(other, dict) else {}, value)
        elif isinstance(value, bool) or not isinstance(value, int | float) or not isinstance(other, int | float):
            total[key] = value
        else:
            total[key] = other + value
    return total


def _without_shard_parts(stats: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in stats.items() if key not in ("seq_no", "retention_leases", "commit")}
