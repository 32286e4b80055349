"""Cluster health: which shard copies the state asks for, which are there, and waiting for a status.

Tests: tests/cluster/test_health.py.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from hanse.cluster.requests import Health
from hanse.cluster.selection import named_by, selected_indices
from hanse.cluster.state import ClusterState, IndexMetadata
from hanse.cluster.updates import ClusterService
from hanse.errors import IllegalArgumentError
from hanse.transport.actions import Call

_NODES = re.compile(r"^(>=|<=|>|<|ge\(|le\(|gt\(|lt\(|)(\d+)\)?$")
_ORDER = {"green": 0, "yellow": 1, "red": 2}


Broken = Callable[[], Mapping[str, frozenset[int]]]
"""The shards whose copy refuses to serve, by index."""
HEALTHY: frozenset[int] = frozenset()
POLL_S = 0.1
"""A shard that serves again is no change of the state, so waiting looks again now and then."""


def no_shards() -> Mapping[str, frozenset[int]]:
    return {}


def index_health(index: IndexMetadata, data_nodes: int, broken: frozenset[int] = HEALTHY) -> dict[str, Any]:
    """One index. A copy needs a node of its own, so replicas beyond the other data nodes stay unassigned."""
    assigned = min(index.number_of_replicas, max(0, data_nodes - 1))
    unassigned = index.number_of_replicas - assigned
    serving = index.number_of_shards - len(broken)
    return {
        "status": "red" if broken else "yellow" if unassigned else "green",
        "number_of_shards": index.number_of_shards,
        "number_of_replicas": index.number_of_replicas,
        "active_primary_shards": serving,
        "active_shards": serving * (1 + assigned),
        "relocating_shards": 0,
        "initializing_shards": 0,
        "unassigned_shards": serving * unassigned + len(broken) * (1 + index.number_of_replicas),
        "unassigned_primary_shards": len(broken),
    }


def cluster_health(
    state: ClusterState,
    names: list[str] | None = None,
    level: str = "cluster",
    broken: Mapping[str, frozenset[int]] | None = None,
) -> dict[str, Any]:
    """Of the named indices, or of all. A closed index counts like an open one: its copies are kept."""
    data_nodes = max(1, sum(node.holds_data for node in state.nodes.values()))
    chosen = sorted(state.indices) if names is None else names
    refusing = broken or {}
    by_index = {name: index_health(state.indices[name], data_nodes, refusing.get(name, HEALTHY)) for name in chosen}
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
        "unassigned_primary_shards": sum(entry["unassigned_primary_shards"] for entry in by_index.values()),
        "delayed_unassigned_shards": 0,
        "number_of_pending_tasks": 0,
        "number_of_in_flight_fetch": 0,
        "task_max_waiting_in_queue_millis": 0,
        "active_shards_percent_as_number": 100.0 if not unassigned else active * 100.0 / (active + unassigned),
    }
    if level in ("indices", "shards"):
        answer["indices"] = {
            name: {**entry, "shards": _shards(state.indices[name], data_nodes, refusing.get(name, HEALTHY))}
            if level == "shards"
            else entry
            for name, entry in by_index.items()
        }
    return answer


def _shards(index: IndexMetadata, data_nodes: int, broken: frozenset[int]) -> dict[str, Any]:
    whole = index_health(msgspec.structs.replace(index, number_of_shards=1), data_nodes)
    refused = index_health(msgspec.structs.replace(index, number_of_shards=1), data_nodes, frozenset({0}))
    return {str(number): _shard(refused if number in broken else whole) for number in range(index.number_of_shards)}


def _shard(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "status": entry["status"],
        "primary_active": entry["active_primary_shards"] == 1,
        "active_shards": entry["active_shards"],
        "relocating_shards": 0,
        "initializing_shards": 0,
        "unassigned_shards": entry["unassigned_shards"],
        "unassigned_primary_shards": entry["unassigned_primary_shards"],
    }


class HealthAction:
    def __init__(self, cluster: ClusterService, broken: Broken = no_shards) -> None:
        self._cluster = cluster
        self._broken = broken

    async def health(self, call: Call, request: Health) -> dict[str, Any]:
        """Answers when every wait_for condition holds; `timed_out` is true when the time was over first."""
        reached = asyncio.Event()

        def look(old: ClusterState, new: ClusterState) -> None:
            if self._holds(new, request):
                reached.set()

        unsubscribe = self._cluster.subscribe(look)
        try:
            look(self._cluster.state, self._cluster.state)
            timed_out = not await self._reached(reached, request)
        finally:
            unsubscribe()
        answer = self._health(self._cluster.state, request)
        return {**answer, "timed_out": timed_out}

    async def _reached(self, reached: asyncio.Event, request: Health) -> bool:
        deadline = time.monotonic() + request.timeout_s
        while not reached.is_set():
            left_s = deadline - time.monotonic()
            try:
                await asyncio.wait_for(reached.wait(), min(left_s, POLL_S) if self._broken() else left_s)
            except TimeoutError:
                if self._holds(self._cluster.state, request):
                    return True
                if time.monotonic() >= deadline:
                    return False
        return True

    def _health(self, state: ClusterState, request: Health) -> dict[str, Any]:
        """An index named in full that is not there makes the answer red."""
        names = selected_indices(state, request.indices, request.options)
        health = cluster_health(state, names, request.level, self._broken())
        return {**health, "status": "red"} if _missing(state, request) else health

    def _holds(self, state: ClusterState, request: Health) -> bool:
        if _missing(state, request):
            return False
        health = self._health(state, request)
        if request.wait_for_status and _ORDER[health["status"]] > _ORDER[request.wait_for_status]:
            return False
        if request.wait_for_nodes and not _enough_nodes(health["number_of_nodes"], request.wait_for_nodes):
            return False
        wanted = request.wait_for_active_shards
        if wanted is None:
            return True
        if wanted == "all":
            return not health["unassigned_shards"]
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
