"""Cluster health: which shard copies the state asks for, which are there, and waiting for a status.

Tests: tests/cluster/test_health.py.
"""

from __future__ import annotations

import asyncio
import re
from fnmatch import fnmatchcase
from typing import Any

from hanse.cluster.requests import Health
from hanse.cluster.state import ClusterState, IndexMetadata
from hanse.cluster.updates import ClusterService
from hanse.errors import IllegalArgumentError
from hanse.transport.actions import Call

_NODES = re.compile(r"^(>=|<=|>|<|ge\(|le\(|gt\(|lt\(|)(\d+)\)?$")
_ORDER = {"green": 0, "yellow": 1, "red": 2}


def index_health(index: IndexMetadata, data_nodes: int) -> dict[str, Any]:
    """One index. A copy needs a node of its own, so replicas beyond the other data nodes stay unassigned."""
    assigned = min(index.number_of_replicas, max(0, data_nodes - 1))
    unassigned = index.number_of_replicas - assigned
    return {
        "status": "yellow" if unassigned else "green",
        "number_of_shards": index.number_of_shards,
        "number_of_replicas": index.number_of_replicas,
        "active_primary_shards": index.number_of_shards,
        "active_shards": index.number_of_shards * (1 + assigned),
        "relocating_shards": 0,
        "initializing_shards": 0,
        "unassigned_shards": index.number_of_shards * unassigned,
        "unassigned_primary_shards": 0,
    }


def cluster_health(state: ClusterState, names: tuple[str, ...] | None = None, level: str = "cluster") -> dict[str, Any]:
    data_nodes = max(1, sum("data" in node.roles for node in state.nodes.values()))
    chosen = [index for name, index in sorted(state.indices.items()) if names is None or name in names]
    by_index = {index.name: index_health(index, data_nodes) for index in chosen if index.is_open or names is not None}
    status = max((entry["status"] for entry in by_index.values()), key=_ORDER.__getitem__, default="green")
    active = sum(entry["active_shards"] for entry in by_index.values())
    unassigned = sum(entry["unassigned_shards"] for entry in by_index.values())
    answer: dict[str, Any] = {
        "cluster_name": state.cluster_name,
        "status": status,
        "timed_out": False,
        "number_of_nodes": max(1, len(state.nodes)),
        "number_of_data_nodes": data_nodes,
        "active_primary_shards": sum(entry["active_primary_shards"] for entry in by_index.values()),
        "active_shards": active,
        "relocating_shards": 0,
        "initializing_shards": 0,
        "unassigned_shards": unassigned,
        "unassigned_primary_shards": 0,
        "delayed_unassigned_shards": 0,
        "number_of_pending_tasks": 0,
        "number_of_in_flight_fetch": 0,
        "task_max_waiting_in_queue_millis": 0,
        "active_shards_percent_as_number": 100.0 if not unassigned else active * 100.0 / (active + unassigned),
    }
    if level in ("indices", "shards"):
        answer["indices"] = {
            name: {**entry, "shards": _shards(entry)} if level == "shards" else entry
            for name, entry in by_index.items()
        }
    return answer


def _shards(entry: dict[str, Any]) -> dict[str, Any]:
    count = max(1, entry["number_of_shards"])
    return {
        str(number): {
            "status": entry["status"],
            "primary_active": True,
            "active_shards": entry["active_shards"] // count,
            "relocating_shards": 0,
            "initializing_shards": 0,
            "unassigned_shards": entry["unassigned_shards"] // count,
            "unassigned_primary_shards": 0,
        }
        for number in range(entry["number_of_shards"])
    }


class HealthAction:
    def __init__(self, cluster: ClusterService) -> None:
        self._cluster = cluster

    async def health(self, call: Call, request: Health) -> dict[str, Any]:
        """Answers when every wait_for condition holds; `timed_out` is true when the time was over first."""
        reached = asyncio.Event()

        def look(old: ClusterState, new: ClusterState) -> None:
            if self._holds(new, request):
                reached.set()

        unsubscribe = self._cluster.subscribe(look)
        try:
            look(self._cluster.state, self._cluster.state)
            timed_out = False
            try:
                await asyncio.wait_for(reached.wait(), request.timeout_s)
            except TimeoutError:
                timed_out = True
        finally:
            unsubscribe()
        answer = cluster_health(self._cluster.state, self._names(self._cluster.state, request), request.level)
        return {**answer, "timed_out": timed_out}

    def _names(self, state: ClusterState, request: Health) -> tuple[str, ...] | None:
        if not request.indices or request.indices == ("_all",):
            return None
        return tuple(
            name
            for name, index in state.indices.items()
            if any(_matches(part, index) for part in request.indices)
            and (index.is_open or request.options.expand_closed)
        )

    def _holds(self, state: ClusterState, request: Health) -> bool:
        names = self._names(state, request)
        concrete = [part for part in request.indices if "*" not in part and part != "_all"]
        if concrete and not names:
            return False
        health = cluster_health(state, names)
        if request.wait_for_status and _ORDER[health["status"]] > _ORDER[request.wait_for_status]:
            return False
        if request.wait_for_nodes and not _enough_nodes(health["number_of_nodes"], request.wait_for_nodes):
            return False
        wanted = request.wait_for_active_shards
        if wanted is None or wanted == "0":
            return True
        if wanted == "all":
            return not health["unassigned_shards"]
        return bool(health["active_shards"] >= int(wanted))


def _matches(part: str, index: IndexMetadata) -> bool:
    return any(fnmatchcase(name, part) for name in (index.name, *index.aliases))


def _enough_nodes(count: int, wanted: str) -> bool:
    """`3`, `>=3`, `<=3`, `>3`, `<3`, `ge(3)`, `le(3)`, `gt(3)`, `lt(3)`."""
    match = _NODES.match(wanted)
    if match is None:
        raise IllegalArgumentError(f"failed to parse wait_for_nodes [{wanted}]")
    number = int(match[2])
    comparison = match[1]
    if comparison in (">=", "ge("):
        return count >= number
    if comparison in ("<=", "le("):
        return count <= number
    if comparison in (">", "gt("):
        return count > number
    if comparison in ("<", "lt("):
        return count < number
    return count == number
