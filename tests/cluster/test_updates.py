from __future__ import annotations

import asyncio

import msgspec
import pytest

from hanse.cluster.embedded.state_store import SqliteStateStore
from hanse.cluster.state import ClusterState
from hanse.cluster.updates import ClusterService
from hanse.errors import IllegalArgumentError


def renamed(state: ClusterState) -> ClusterState:
    return state.with_custom("n", {"count": state.customs.get("n", {"count": 0})["count"] + 1})


async def test_an_update_is_on_disk_when_it_returns(cluster: ClusterService, store: SqliteStateStore) -> None:
    state = await cluster.update("one", renamed)
    assert (state.version, cluster.state) == (1, state)
    assert await store.load() == state


async def test_updates_side_by_side_lose_nothing(cluster: ClusterService) -> None:
    await asyncio.gather(*(cluster.update("many", renamed) for _ in range(20)))
    assert (cluster.state.version, cluster.state.customs["n"]["count"]) == (20, 20)


async def test_listeners_see_every_version_once_in_order(cluster: ClusterService) -> None:
    seen: list[tuple[int, int]] = []
    unsubscribe = cluster.subscribe(lambda old, new: seen.append((old.version, new.version)))
    await asyncio.gather(*(cluster.update("many", renamed) for _ in range(3)))
    unsubscribe()
    await cluster.update("unseen", renamed)
    assert seen == [(0, 1), (1, 2), (2, 3)]


async def test_a_listener_that_fails_stops_nobody(cluster: ClusterService) -> None:
    seen: list[int] = []

    def broken(old: ClusterState, new: ClusterState) -> None:
        raise ValueError

    cluster.subscribe(broken)
    cluster.subscribe(lambda old, new: seen.append(new.version))
    await cluster.update("one", renamed)
    assert seen == [1]


async def test_the_same_state_is_no_update(cluster: ClusterService) -> None:
    seen: list[int] = []
    cluster.subscribe(lambda old, new: seen.append(new.version))
    assert await cluster.update("nothing", lambda state: state) is cluster.state
    assert (cluster.state.version, seen) == (0, [])


async def test_a_change_that_raises_changes_nothing(cluster: ClusterService, store: SqliteStateStore) -> None:
    def refuse(state: ClusterState) -> ClusterState:
        raise IllegalArgumentError("no")

    with pytest.raises(IllegalArgumentError):
        await cluster.update("refused", refuse)
    assert await store.load() is None
    assert (await cluster.update("after", renamed)).version == 1


async def test_a_cancelled_caller_does_not_stop_the_commit(cluster: ClusterService, store: SqliteStateStore) -> None:
    committed = asyncio.Event()
    cluster.subscribe(lambda old, new: committed.set())
    caller = asyncio.create_task(cluster.update("one", renamed))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await committed.wait()
    assert await store.load() == cluster.state
    assert cluster.state == msgspec.structs.replace(cluster.state, version=1)


async def test_a_change_that_another_forestalled_is_applied_to_what_that_one_committed(
    cluster: ClusterService, store: SqliteStateStore
) -> None:
    other = ClusterService(store, cluster.state)
    seen: list[int] = []
    cluster.subscribe(lambda old, new: seen.append(new.version))
    await other.update("first", lambda state: state.with_custom("other", {"n": 1}))
    await other.update("second", lambda state: state.with_custom("other", {"n": 2}))
    state = await cluster.update("late", lambda state: state.with_custom("own", {"n": 3}))
    assert state.customs == {"other": {"n": 2}, "own": {"n": 3}}
    assert (state.version, seen) == (3, [2, 3])
    assert await store.load() == state


async def test_following_ends_where_nobody_else_commits(cluster: ClusterService) -> None:
    await cluster.follow()


async def test_a_version_that_others_have_is_read_when_it_does_not_come(
    cluster: ClusterService, store: SqliteStateStore
) -> None:
    """Nobody follows the store here."""
    newer = msgspec.structs.replace(renamed(cluster.state), version=1)
    await store.commit(cluster.state, newer)
    assert await cluster.reached(1, 60.0)
    assert cluster.state == newer
    assert not await cluster.reached(2, 0.3)
