"""A cluster state on disk and its service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.nats_servers import nats_server

from hanse.cluster.embedded.state_store import SqliteStateStore
from hanse.cluster.state import ClusterState, NodeMetadata
from hanse.cluster.updates import ClusterService

CRANE = NodeMetadata("n1", "crane", "127.0.0.1:9300", "127.0.0.1:9200", attributes={"zone": "a"}, version="9.2.0")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStateStore]:
    made = SqliteStateStore(tmp_path / "state.sqlite")
    yield made
    await made.close()


@pytest.fixture
def cluster(store: SqliteStateStore) -> ClusterService:
    return ClusterService(store, ClusterState("harbour", "uuid", nodes={"n1": CRANE}, master_node="n1"))


__all__ = ["cluster", "nats_server", "store"]
