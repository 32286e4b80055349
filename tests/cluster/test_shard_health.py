from __future__ import annotations

import pytest

from hanse.cluster.routing import ShardCopy, ShardRouting, Unassigned
from hanse.cluster.shard_health import Counts, counts_by_shard, index_counts, shard_counts, total
from hanse.cluster.state import ClusterState, IndexMetadata

PRIMARY = ShardCopy("a", "1.1", is_primary=True, state="STARTED")
OPENING = ShardCopy("a", "1.1", is_primary=True)
REPLICA = ShardCopy("b", "1.2", state="STARTED")
MOVING = ShardCopy("b", "1.2", state="RELOCATING", relocating_node="c")
TARGET = ShardCopy("c", "1.3", relocating_node="b")
LOST = Unassigned("NODE_LEFT", 1, is_primary=True)
DELAYED = Unassigned("NODE_LEFT", 1, delayed_until_ms=9)


@pytest.mark.parametrize(
    ("shard", "counts"),
    [
        (ShardRouting((PRIMARY, REPLICA)), Counts("green", 1, 2)),
        (ShardRouting((PRIMARY, MOVING, TARGET)), Counts("green", 1, 2, relocating=1)),
        (ShardRouting((PRIMARY, ShardCopy("b", "1.2"))), Counts("yellow", 1, 1, initializing=1)),
        (ShardRouting((PRIMARY,), (DELAYED,)), Counts("yellow", 1, 1, unassigned=1, delayed=1)),
        (ShardRouting((OPENING,)), Counts("yellow", initializing=1)),
        (ShardRouting((OPENING,), in_sync=("a",)), Counts("red", initializing=1)),
        (ShardRouting((), (LOST,), ("a",)), Counts("red", unassigned=1, unassigned_primary=1)),
        (ShardRouting((), (LOST,)), Counts("red", unassigned=1, unassigned_primary=1)),
    ],
)
def test_a_shard(shard: ShardRouting, counts: Counts) -> None:
    assert shard_counts(shard) == counts


def test_the_worst_shard_decides() -> None:
    assert total([]) == Counts("green")
    sum_ = total([Counts("green", 1, 2), Counts("red", 0, 0, unassigned=2), Counts("yellow", 1, 1)])
    assert (sum_.status, sum_.active_primary, sum_.active, sum_.total) == ("red", 2, 3, 5)


def test_an_index_without_routing_has_nothing_that_serves() -> None:
    index = IndexMetadata("ships", "uuid", {}, number_of_shards=2, number_of_replicas=1)
    state = ClusterState("harbour", "uuid", indices={"ships": index})
    assert len(counts_by_shard(state, "ships")) == 2
    assert index_counts(state, "ships") == Counts("red", unassigned=4, unassigned_primary=2)
