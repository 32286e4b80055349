"""A cluster state on disk and its service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.nats_servers import nats_server

from hanse.cluster.allocation import reroute, started
from hanse.cluster.embedded.state_store import SqliteStateStore
from hanse.cluster.state import ClusterState, NodeMetadata
from hanse.cluster.updates import ClusterService

NOW_MS = 1_000_000
CRANE = NodeMetadata("n1", "crane", "127.0.0.1:9300", "127.0.0.1:9200", attributes={"zone": "a"}, version="9.2.0")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStateStore]:
    made = SqliteStateStore(tmp_path / "state.sqlite")
    yield made
    await made.close()


@pytest.fixture
def cluster(store: SqliteStateStore) -> ClusterService:
    state = ClusterState("harbour", "uuid", nodes={"n1": CRANE}, master_node="n1")
    return ClusterService(store, state, derive=lambda old, new: reroute(old, new, NOW_MS))


async def start_all(cluster: ClusterService) -> None:
    """Every copy that opens or fills up has got there."""

    def change(state: ClusterState) -> ClusterState:
        return started(state, initializing(state), NOW_MS)

    while initializing(cluster.state):
        await cluster.update("shards-started", change)


def initializing(state: ClusterState) -> list[tuple[str, int, str]]:
    return [
        (state.indices[name].uuid, number, copy.allocation_id)
        for name, shards in state.routing.items()
        for number, shard in enumerate(shards)
        for copy in shard.copies
        if not copy.is_active
    ]


__all__ = ["cluster", "initializing", "nats_server", "start_all", "store"]
