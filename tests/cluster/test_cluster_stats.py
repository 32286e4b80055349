from __future__ import annotations

from typing import Any, cast

from tests.one_node import CRANE, Asking, cluster_of_one

from hanse.cluster import requests
from hanse.cluster.broadcast import Broadcast
from hanse.cluster.cluster_stats import ClusterStatsActions
from hanse.cluster.embedded.state_store import SqliteStateStore
from hanse.cluster.requests import ClusterStats
from hanse.cluster.routing import ShardCopy, ShardRouting
from hanse.cluster.state import ClusterState, IndexMetadata
from hanse.cluster.updates import ClusterService
from hanse.settings.registry import Settings

SHARDS = {
    "all": {"store": {"size_in_bytes": 30}, "segments": {"count": 4}, "docs": {"count": 6}},
    "primaries": {"store": {"size_in_bytes": 20}, "segments": {"count": 2}, "docs": {"count": 3, "deleted": 1}},
}


def asking(cluster: ClusterService) -> Asking:
    made = Asking(cluster)
    actions = ClusterStatsActions(
        Broadcast(cluster), Settings({"discovery.type": "single-node"}), version="9.2.0", shards=lambda: SHARDS
    )
    actions.register(made.registry)
    return made


async def test_documents_of_primaries_and_stores_of_all_copies(store: SqliteStateStore) -> None:
    answer = await asking(cluster_of_one(store)).run(requests.STATS, ClusterStats())
    assert answer["indices"]["docs"] == {"count": 3, "deleted": 1}
    assert answer["indices"]["store"] == {"size_in_bytes": 30}
    assert answer["indices"]["segments"] == {"count": 4}
    nodes = answer["nodes"]
    assert (answer["status"], nodes["count"]["total"], nodes["count"]["data"], nodes["versions"]) == (
        "green",
        1,
        1,
        ["9.2.0"],
    )
    assert nodes["discovery_types"] == {"single-node": 1}
    assert nodes["os"]["available_processors"] > 0
    assert nodes["fs"]["total_in_bytes"] > 0


async def test_active_copies_are_counted_by_index() -> None:
    def shard(*states: Any) -> ShardRouting:
        return ShardRouting(
            tuple(ShardCopy(f"n{at}", f"a{at}", is_primary=at == 0, state=state) for at, state in enumerate(states))
        )

    index = IndexMetadata("a", "u", {}, number_of_shards=2, primary_terms=(1, 1))
    routing = {"a": (shard("STARTED", "STARTED"), shard("STARTED", "INITIALIZING"))}
    state = ClusterState("harbour", "uuid", indices={"a": index}, nodes={CRANE.id: CRANE}, routing=routing)
    answer = await asking(ClusterService(cast(Any, None), state)).run(requests.STATS, ClusterStats())
    shards = answer["indices"]["shards"]
    assert (shards["total"], shards["primaries"], shards["replication"]) == (3, 2, 0.5)
    assert shards["index"]["shards"] == {"min": 3, "max": 3, "avg": 3.0}
