"""Index statistics, segments and recovery, as the monitoring APIs and `_cat` show them.

Tests: tests/index/administration/test_statistics.py.
"""

from __future__ import annotations

from typing import Any

from hanse.cluster.broadcast import Broadcast
from hanse.cluster.node_actions import NO_SECTIONS
from hanse.cluster.shard_health import index_counts
from hanse.cluster.state import IndexMetadata
from hanse.index.administration import requests
from hanse.index.administration.copies import Copies, copies_wanted, meant, shown_node, shown_routing
from hanse.index.administration.requests import ByNames, CopiesOf, CopyReport, Recovery, Stats
from hanse.index.local_copy import LocalCopy
from hanse.index.service import Indices
from hanse.transport.actions import ActionRegistry, Call

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
    """Handlers: those that ask every node with copies of an index, and those by which this node tells of its own."""

    def __init__(self, broadcast: Broadcast, indices: Indices) -> None:
        self._cluster = broadcast.cluster
        self._copies = Copies(broadcast)
        self._indices = indices

    def register(self, registry: ActionRegistry) -> None:
        registry.register(requests.STATS, self.stats)
        registry.register(requests.SEGMENTS, self.segments)
        registry.register(requests.RECOVERY, self.recovery)
        registry.register(requests.STATS_OF_COPIES, self.own_stats)
        registry.register(requests.SEGMENTS_OF_COPIES, self.own_segments)
        registry.register(requests.RECOVERY_OF_COPIES, self.own_recoveries)

    # -- asking the nodes with copies

    async def stats(self, call: Call, request: Stats) -> dict[str, Any]:
        """Sections by index and shard; REST picks metrics and the level."""
        if request.metrics == NO_SECTIONS:
            return {}
        names = self._open(call)
        asked = await self._copies.ask(call, names, requests.STATS_OF_COPIES)
        state = self._cluster.state
        answer: dict[str, Any] = {}
        every: dict[str, Any] = {}
        mains: dict[str, Any] = {}
        for name in (name for name in names if name in state.indices):
            index = state.indices[name]
            total: dict[str, Any] = {}
            primaries: dict[str, Any] = {}
            shards: dict[str, list[Any]] = {}
            for copy in asked.of(name):
                total = added(total, copy.body)
                if copy.routing.is_primary:
                    primaries = added(primaries, copy.body)
                shards.setdefault(str(copy.shard), []).append({"routing": shown_routing(copy.routing), **copy.body})
            every, mains = added(every, total), added(mains, primaries)
            answer[name] = {
                "uuid": index.uuid,
                "health": index_counts(state, name).status,
                "status": "open",
                "primaries": _without_shard_parts(primaries),
                "total": _without_shard_parts(total),
                "shards": shards,
            }
        wanted = sum(copies_wanted(state.indices[name]) for name in answer)
        return {
            "_shards": asked.counts(wanted),
            "_all": {"primaries": _without_shard_parts(mains), "total": _without_shard_parts(every)},
            "indices": answer,
        }

    async def segments(self, call: Call, request: ByNames) -> dict[str, Any]:
        """One entry a copy stands for all its segments: they are tantivy's, and it merges them by itself."""
        names = self._open(call)
        asked = await self._copies.ask(call, names, requests.SEGMENTS_OF_COPIES)
        indices: dict[str, Any] = {}
        for name in names:
            shards: dict[str, list[Any]] = {}
            for copy in asked.of(name):
                shards.setdefault(str(copy.shard), []).append({"routing": shown_routing(copy.routing), **copy.body})
            indices[name] = {"shards": shards}
        return {"_shards": asked.counts(asked.active), "indices": indices}

    async def recovery(self, call: Call, request: Recovery) -> dict[str, Any]:
        """How each copy came to be where it is, finished or not; with `active_only` those that are not."""
        names = self._open(call)
        asked = await self._copies.ask(call, names, requests.RECOVERY_OF_COPIES, also_filling=True)
        nodes = self._cluster.state.nodes
        answer: dict[str, Any] = {}
        for name in names:
            shards = []
            for copy in asked.of(name):
                body = dict(copy.body)
                if request.active_only and body["stage"] == "DONE":
                    continue
                source = body.pop("source_node")
                shown = {
                    "id": copy.shard,
                    "primary": copy.routing.is_primary,
                    "source": body.pop("source") if source is None else shown_node(nodes.get(source)),
                    "target": shown_node(nodes.get(copy.routing.node)),
                }
                shards.append({**body, **shown})
            if shards or not request.active_only:
                answer[name] = {"shards": shards}
        return answer

    def _open(self, call: Call) -> list[str]:
        indices = self._cluster.state.indices
        return sorted(name for name in call.targets.names if name in indices and indices[name].is_open)

    # -- telling of the copies here

    async def own_stats(self, call: Call, request: CopiesOf) -> list[CopyReport]:
        return [
            CopyReport(service.name, shard.number, _EMPTY | shard.stats())
            for service in meant(self._indices, call, request)
            for shard in service.shards
        ]

    async def own_segments(self, call: Call, request: CopiesOf) -> list[CopyReport]:
        reports = []
        for service in meant(self._indices, call, request):
            for shard in service.shards:
                stats = shard.stats()
                count = stats["segments"]["count"]
                body = {
                    "num_committed_segments": count,
                    "num_search_segments": count,
                    "segments": {"_0": _segment(stats)} if count else {},
                }
                reports.append(CopyReport(service.name, shard.number, body))
        return reports

    async def own_recoveries(self, call: Call, request: CopiesOf) -> list[CopyReport]:
        return [
            CopyReport(service.name, number, _shown_recovery(service.metadata, copy))
            for service in meant(self._indices, call, request)
            for number, copy in sorted(service.copies.items())
        ]


def _shown_recovery(index: IndexMetadata, copy: LocalCopy) -> dict[str, Any]:
    """A follower's primary was filled from its leader, which Elasticsearch shows as a snapshot of it."""
    body = copy.recovery.shown()
    source: dict[str, Any] = {"bootstrap_new_history_uuid": False} if body["type"] == "EXISTING_STORE" else {}
    if index.is_follower and body["type"] == "EMPTY_STORE":
        alias = index.custom.get("ccr", {}).get("remote_cluster", "")
        body["type"] = "SNAPSHOT"
        source = {"repository": f"_ccr_{alias}", "snapshot": "_latest_", "index": index.name, "version": ""}
    return {**body, "source_node": copy.recovery.source, "source": source}


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


def summed_copies(indices: Indices) -> dict[str, dict[str, Any]]:
    """Sections over the copies of this node: `all` of them, and those that are `primaries`."""
    every: dict[str, Any] = {}
    mains: dict[str, Any] = {}
    for service in indices:
        for shard in service.shards:
            sections = _without_shard_parts(_EMPTY | shard.stats())
            every = added(every, sections)
            if shard.is_primary:
                mains = added(mains, sections)
    nothing = {**_EMPTY, **_NOTHING}
    return {"all": every or nothing, "primaries": mains or nothing}


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
