"""How the shards of an index are: counted from the routing table, as `_cluster/health` and its like show them.

Tests: tests/cluster/test_shard_health.py.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hanse.cluster.routing import ShardRouting
from hanse.cluster.state import ClusterState

ORDER = {"green": 0, "yellow": 1, "red": 2}


class Counts(msgspec.Struct, frozen=True):
    """Of one shard, or summed of many. A copy that moves counts once, as active and relocating, until it has moved."""

    status: str = "green"
    active_primary: int = 0
    active: int = 0
    relocating: int = 0
    initializing: int = 0
    unassigned: int = 0
    unassigned_primary: int = 0
    delayed: int = 0

    def plus(self, other: Counts) -> Counts:
        worst = max(self.status, other.status, key=ORDER.__getitem__)
        numbers = (getattr(self, name) + getattr(other, name) for name in self.__struct_fields__[1:])
        return Counts(worst, *numbers)

    @property
    def total(self) -> int:
        return self.active + self.initializing + self.unassigned

    def shown(self) -> dict[str, Any]:
        """The part that a shard, an index and the cluster have in common."""
        return {
            "active_shards": self.active,
            "relocating_shards": self.relocating,
            "initializing_shards": self.initializing,
            "unassigned_shards": self.unassigned,
            "unassigned_primary_shards": self.unassigned_primary,
        }


def shard_counts(shard: ShardRouting) -> Counts:
    settled = [copy for copy in shard.copies if not copy.is_target]
    active = [copy for copy in settled if copy.is_active]
    initializing = len(settled) - len(active)
    has_primary = shard.active_primary is not None
    return Counts(
        status=_status(shard, complete=has_primary and not initializing and not shard.unassigned),
        active_primary=int(has_primary),
        active=len(active),
        relocating=sum(copy.state == "RELOCATING" for copy in active),
        initializing=initializing,
        unassigned=len(shard.unassigned),
        unassigned_primary=sum(info.is_primary for info in shard.unassigned),
        delayed=sum(info.delayed_until_ms > 0 for info in shard.unassigned),
    )


def _status(shard: ShardRouting, *, complete: bool) -> str:
    """Red where writes find no primary; a shard that is just being begun has lost nothing and is yellow."""
    if complete:
        return "green"
    primary = shard.primary
    if primary is None:
        return "red"
    return "yellow" if primary.is_active or not shard.in_sync else "red"


def counts_by_shard(state: ClusterState, name: str) -> list[Counts]:
    """In order of the shard number. An index that is not routed yet has nothing that serves."""
    shards = state.routing.get(name)
    if shards is None:
        index = state.indices[name]
        nothing = Counts("red", unassigned=1 + index.number_of_replicas, unassigned_primary=1)
        return [nothing] * index.number_of_shards
    return [shard_counts(shard) for shard in shards]


def index_counts(state: ClusterState, name: str) -> Counts:
    return total(counts_by_shard(state, name))


def total(counts: list[Counts]) -> Counts:
    result = Counts()
    for one in counts:
        result = result.plus(one)
    return result
