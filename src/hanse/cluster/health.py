"""Cluster health: what the routing table says about the shards, and waiting for it to be well.

Tests: tests/cluster/test_health.py.
"""

from __future__ import annotations

import re
from typing import Any

from hanse.cluster.requests import Health
from hanse.cluster.selection import named_by, selected_indices
from hanse.cluster.shard_health import ORDER, Counts, counts_by_shard, total
from hanse.cluster.state import ClusterState
from hanse.cluster.updates import ClusterService
from hanse.errors import IllegalArgumentError
from hanse.transport.actions import Call

_NODES = re.compile(r"^(>=|<=|>|<|ge\(|le\(|gt\(|lt\(|)(\d+)\)?$")


def cluster_health(state: ClusterState, names: list[str] | None = None, level: str = "cluster") -> dict[str, Any]:
    """Of the named indices, or of all. A closed index counts like an open one: its copies are kept."""
    chosen = sorted(state.indices) if names is None else names
    by_index = {name: counts_by_shard(state, name) for name in chosen}
    all_ = total([count for counts in by_index.values() for count in counts])
    answer: dict[str, Any] = {
        "cluster_name": state.cluster_name,
        "status": all_.status,
        "timed_out": False,
        "number_of_nodes": len(state.nodes),
        "number_of_data_nodes": sum(node.holds_data for node in state.nodes.values()),
        "active_primary_shards": all_.active_primary,
        **all_.shown(),
        "delayed_unassigned_shards": all_.delayed,
        "number_of_pending_tasks": 0,
        "number_of_in_flight_fetch": 0,
        "task_max_waiting_in_queue_millis": 0,
        "active_shards_percent_as_number": all_.active * 100.0 / all_.total if all_.total else 100.0,
    }
    if level in ("indices", "shards"):
        answer["indices"] = {name: _index(state, name, counts, level) for name, counts in by_index.items()}
    return answer


def _index(state: ClusterState, name: str, counts: list[Counts], level: str) -> dict[str, Any]:
    index, sum_ = state.indices[name], total(counts)
    entry: dict[str, Any] = {
        "status": sum_.status,
        "number_of_shards": index.number_of_shards,
        "number_of_replicas": index.number_of_replicas,
        "active_primary_shards": sum_.active_primary,
        **sum_.shown(),
    }
    if level == "shards":
        entry["shards"] = {
            str(number): {"status": one.status, "primary_active": one.active_primary == 1, **one.shown()}
            for number, one in enumerate(counts)
        }
    return entry


class HealthAction:
    def __init__(self, cluster: ClusterService) -> None:
        self._cluster = cluster

    async def health(self, call: Call, request: Health) -> dict[str, Any]:
        """Answers when every wait_for condition holds; `timed_out` is true when the time was over first."""
        reached = await self._cluster.until(lambda state: self._holds(state, request), request.timeout_s)
        answer = self._health(self._cluster.state, request)
        return answer if reached else {**answer, "timed_out": True}

    def _health(self, state: ClusterState, request: Health) -> dict[str, Any]:
        """An index named in full that is not there makes the answer red."""
        names = selected_indices(state, request.indices, request.options)
        health = cluster_health(state, names, request.level)
        return {**health, "status": "red"} if _missing(state, request) else health

    def _holds(self, state: ClusterState, request: Health) -> bool:
        if _missing(state, request):
            return False
        health = self._health(state, request)
        if request.wait_for_status and ORDER[health["status"]] > ORDER[request.wait_for_status]:
            return False
        if request.wait_for_nodes and not _enough_nodes(health["number_of_nodes"], request.wait_for_nodes):
            return False
        if request.wait_for_no_relocating_shards and health["relocating_shards"]:
            return False
        if request.wait_for_no_initializing_shards and health["initializing_shards"]:
            return False
        wanted = request.wait_for_active_shards
        if wanted is None:
            return True
        if wanted == "all":
            return not health["unassigned_shards"] and not health["initializing_shards"]
        return bool(health["active_shards"] >= _shard_count(wanted))


def _missing(state: ClusterState, request: Health) -> bool:
    return any(not named_by(state, part) for part in request.indices if "*" not in part and part != "_all")


def _shard_count(wanted: str) -> int:
    if not wanted.isdecimal():
        raise IllegalArgumentError(f"cannot parse ActiveShardCount[{wanted}]")
    return int(wanted)


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
