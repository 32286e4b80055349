"""Reports of copies become changes of the cluster state: together, again until they are committed, late ones none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from tests.one_node import CRANE
from tests.two_clusters import until

from hanse.cluster.allocation import reroute, with_member
from hanse.cluster.embedded.state_store import SqliteStateStore
from hanse.cluster.routing import ShardCopy
from hanse.cluster.state import ClusterState, IndexMetadata
from hanse.cluster.updates import ClusterService
from hanse.errors import FailedToCommitClusterStateError
from hanse.index import reports as module
from hanse.index.reports import Reports
from hanse.tasks import Tasks

SHARDS = 5


class Lazy:
    """A store that fails as often as a test says, and then keeps its promise."""

    def __init__(self, store: SqliteStateStore) -> None:
        self._store = store
        self.failures = 0
        self.commits = 0

    async def commit(self, old: ClusterState, new: ClusterState) -> None:
        if self.failures:
            self.failures -= 1
            raise FailedToCommitClusterStateError("no quorum")
        self.commits += 1
        await self._store.commit(old, new)

    async def load(self) -> ClusterState | None:
        return await self._store.load()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Lazy]:
    made = SqliteStateStore(tmp_path / "state.sqlite")
    yield Lazy(made)
    await made.close()


@pytest.fixture
async def cluster(store: Lazy) -> ClusterService:
    state = with_member(ClusterState("test", "uuid"), CRANE, 0)
    made = ClusterService(store, state, derive=lambda old, new: reroute(old, new, 0))  # type: ignore[arg-type]
    books = IndexMetadata(
        "books", "uuid-books", {}, number_of_shards=SHARDS, number_of_replicas=0, primary_terms=(1,) * SHARDS
    )
    await made.update("create", lambda now: now.with_index(books))
    store.commits = 0
    return made


@pytest.fixture
async def reports(cluster: ClusterService) -> AsyncIterator[Reports]:
    tasks = Tasks()
    yield Reports(cluster, tasks)
    await tasks.close()


def copies(cluster: ClusterService) -> list[ShardCopy]:
    return [copy for shard in cluster.state.routing["books"] for copy in shard.copies]


async def test_what_comes_together_is_one_change(cluster: ClusterService, reports: Reports, store: Lazy) -> None:
    for number, copy in enumerate(copies(cluster)):
        reports.started("uuid-books", number, copy.allocation_id)
    await until(lambda: all(copy.state == "STARTED" for copy in copies(cluster)))
    assert len(copies(cluster)) == SHARDS
    assert store.commits == 1
    reports.started("uuid-books", 0, copies(cluster)[0].allocation_id)
    await until(lambda: reports._sending is None)
    assert store.commits == 1, "what is known is no change"


async def test_a_failure_is_told_with_its_reason_and_tried_again(cluster: ClusterService, reports: Reports) -> None:
    first = copies(cluster)[0]
    reports.failed("uuid-books", 0, first.allocation_id, "disk on fire")
    await until(lambda: copies(cluster)[0].allocation_id != first.allocation_id)
    info = copies(cluster)[0].unassigned_info
    assert info is not None
    assert (info.failed_allocations, info.details) == (1, "disk on fire")


async def test_a_late_report_changes_nothing(cluster: ClusterService, reports: Reports, store: Lazy) -> None:
    state = cluster.state
    reports.failed("uuid-books", 0, "an earlier assignment", "late")
    reports.started("uuid-of-a-deleted-index", 0, copies(cluster)[0].allocation_id)
    reports.started("uuid-books", SHARDS, copies(cluster)[0].allocation_id)
    await until(lambda: reports._sending is None)
    assert cluster.state is state
    assert store.commits == 0


async def test_reports_wait_for_a_store_that_commits(
    cluster: ClusterService, reports: Reports, store: Lazy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.0)
    store.failures = 3
    for number, copy in enumerate(copies(cluster)[:2]):
        reports.started("uuid-books", number, copy.allocation_id)
    reports.failed("uuid-books", 2, copies(cluster)[2].allocation_id, "broken")
    await until(lambda: store.failures < 3)
    reports.started("uuid-books", 3, copies(cluster)[3].allocation_id)
    await until(lambda: [copy.state for copy in copies(cluster)].count("STARTED") == 3)
    assert copies(cluster)[2].unassigned_info is not None
    assert copies(cluster)[2].unassigned_info.failed_allocations == 1


async def test_started_and_failed_of_the_same_copy_end_with_a_new_assignment(
    cluster: ClusterService, reports: Reports
) -> None:
    first = copies(cluster)[0]
    reports.started("uuid-books", 0, first.allocation_id)
    reports.failed("uuid-books", 0, first.allocation_id, "it broke at once")
    await until(lambda: reports._sending is None)
    now = cluster.state.routing["books"][0]
    assert all(copy.allocation_id != first.allocation_id for copy in now.copies)
    assert msgspec.structs.asdict(now)["in_sync"] == (CRANE.id,), "its data still is the only there is"
