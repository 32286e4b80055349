"""`_cluster/stats`: what every node says of itself and of its shards, summed.

Documents are counted on primaries, stores and segments on all copies
(https://www.elastic.co/guide/en/elasticsearch/reference/8.19/cluster-stats.html).
Tests: tests/cluster/test_cluster_stats.py.
"""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hanse import clock
from hanse.cluster import requests
from hanse.cluster.broadcast import Broadcast
from hanse.cluster.health import cluster_health
from hanse.cluster.machine import Machine
from hanse.cluster.requests import ClusterStats, OfNode
from hanse.cluster.state import ClusterState
from hanse.settings import node_settings as declared
from hanse.settings.registry import Settings
from hanse.transport.actions import ActionRegistry, Call

OwnShards = Callable[[], Mapping[str, Mapping[str, Any]]]
"""Sections of this node's shards: under `all` of every copy, under `primaries` of the primaries."""
_OF_ALL_COPIES = ("store", "fielddata", "query_cache", "completion", "segments")


class ClusterStatsActions:
    def __init__(self, broadcast: Broadcast, node_settings: Settings, *, version: str, shards: OwnShards) -> None:
        self._broadcast = broadcast
        self._cluster = broadcast.cluster
        self._version = version
        self._shards = shards
        self._machine = Machine()
        self._discovery = "single-node" if node_settings.get("discovery.type") == "single-node" else "multi-node"

    def register(self, registry: ActionRegistry) -> None:
        registry.register(requests.STATS, self.stats)
        registry.register(requests.STATS_OF_NODE, self.of_node)

    async def of_node(self, call: Call, request: OfNode) -> dict[str, Any]:
        sections = self._machine.gauges()
        return {
            **{name: sections[name]() for name in ("os", "process", "jvm", "fs")},
            "shards": self._shards(),
            "version": self._version,
            "discovery": self._discovery,
            "processors": os.cpu_count() or 1,
            "system": platform.system(),
            "python": platform.python_version(),
        }

    async def stats(self, call: Call, request: ClusterStats) -> dict[str, Any]:
        gathered = await self._broadcast.ask_chosen(
            call, request.nodes, requests.STATS_OF_NODE, OfNode(), request.timeout_s
        )
        state = self._cluster.state
        nodes = list(gathered.answers.values())
        return {
            **gathered.header(),
            "cluster_name": state.cluster_name,
            "cluster_uuid": state.cluster_uuid,
            "timestamp": clock.now_ms(),
            "status": cluster_health(state)["status"],
            "indices": {
                "count": len(state.indices),
                "shards": _shards(state),
                "docs": _summed(_section(nodes, "primaries", "docs")),
                **{name: _summed(_section(nodes, "all", name)) for name in _OF_ALL_COPIES},
            },
            "nodes": {"count": _roles(state, gathered.answers), **_machines(nodes)},
        }


def _section(nodes: Iterable[Mapping[str, Any]], copies: str, name: str) -> list[dict[str, int]]:
    return [node["shards"][copies].get(name, {}) for node in nodes]


def _summed(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update({key: value for key, value in part.items() if isinstance(value, int | float)})
    return dict(total)


def _shards(state: ClusterState) -> dict[str, Any]:
    """Of copies that are active; the spread is over the indices."""
    by_index = [
        (
            sum(sum(1 for _ in shard.active()) for shard in shards),
            sum(shard.active_primary is not None for shard in shards),
        )
        for shards in state.routing.values()
    ]
    total, primaries = (sum(counts) for counts in zip(*by_index, strict=True)) if by_index else (0, 0)
    if not total:
        return {"total": 0, "primaries": 0}
    replications = [(copies - mains) / mains for copies, mains in by_index if mains]
    return {
        "total": total,
        "primaries": primaries,
        "replication": (total - primaries) / max(1, primaries),
        "index": {
            "shards": _spread([copies for copies, _ in by_index]),
            "primaries": _spread([mains for _, mains in by_index]),
            "replication": _spread(replications or [0.0]),
        },
    }


def _spread(values: list[Any]) -> dict[str, Any]:
    return {"min": min(values), "max": max(values), "avg": sum(values) / len(values)}


def _roles(state: ClusterState, node_ids: Iterable[str]) -> dict[str, int]:
    nodes = [state.nodes[id] for id in node_ids if id in state.nodes]
    roles = {*declared.ROLES, *(role for node in nodes for role in node.roles)}
    return {
        "total": len(nodes),
        **{role: sum(role in node.roles for node in nodes) for role in sorted(roles)},
        "coordinating_only": sum(not node.roles for node in nodes),
    }


def _machines(nodes: list[dict[str, Any]]) -> dict[str, Any]:
    memory = _summed(node["os"]["mem"] for node in nodes)
    memory.pop("free_percent", None)
    memory.pop("used_percent", None)
    processors = sum(node["processors"] for node in nodes)
    descriptors = [node["process"]["open_file_descriptors"] for node in nodes] or [0]
    heap = _summed(node["jvm"]["mem"] for node in nodes)
    return {
        "versions": sorted({node["version"] for node in nodes}),
        "os": {
            "available_processors": processors,
            "allocated_processors": processors,
            "names": _counted("name", (node["system"] for node in nodes)),
            "mem": memory,
        },
        "process": {
            "cpu": {"percent": sum(node["process"]["cpu"]["percent"] for node in nodes)},
            "open_file_descriptors": _spread(descriptors),
        },
        "jvm": {
            "max_uptime_in_millis": max((node["jvm"]["uptime_in_millis"] for node in nodes), default=0),
            "versions": _counted("version", (node["python"] for node in nodes)),
            "mem": {name: heap.get(name, 0) for name in ("heap_used_in_bytes", "heap_max_in_bytes")},
            "threads": sum(node["jvm"]["threads"]["count"] for node in nodes),
        },
        "fs": _summed(node["fs"]["total"] for node in nodes),
        "plugins": [],
        "discovery_types": dict(Counter(node["discovery"] for node in nodes)),
        "packaging_types": [{"flavor": "default", "type": "tar", "count": len(nodes)}],
    }


def _counted(name: str, values: Iterable[str]) -> list[dict[str, Any]]:
    return [{name: value, "count": count} for value, count in sorted(Counter(values).items())]
