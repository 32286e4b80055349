"""The change feed between real shards: what a follower gets, when it waits, when it has lost something."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.index.shards import Node, ids_found, index, node, one

from hanse.index.changes import Changes, is_lost
from hanse.index.shard import Shard, WriteOp


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Node]:
    async with node(tmp_path) as made:
        yield made


@pytest.fixture
async def leader(here: Node) -> Shard:
    return await here.create("leader", refresh_interval="-1")


@pytest.fixture
async def follower(here: Node) -> Shard:
    shard = await here.create("follower", refresh_interval="-1")
    await here.change("follower", settings={"index.xpack.ccr.following_index": "true", "index.refresh_interval": "-1"})
    return shard


async def follow(leader: Shard, follower: Shard, max_ops: int = 1000) -> Changes:
    """Reads and applies until there is nothing new; returns the last answer."""
    while True:
        changes = leader.changes(follower.checkpoint, max_ops)
        await follower.replicate(changes.operations, changes.up_to)
        if changes.up_to >= changes.max_seq_no:
            return changes


async def forget_deletes(shard: Shard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hanse.index.tending.TOMBSTONE_AGE_S", -1.0)
    await shard.refresh()
    await shard.purge()


def documents(shard: Shard) -> list[tuple[str, int, int, bytes]]:
    feed = shard.changes(-1).operations
    return [(op.id, op.seq_no, op.version, op.source) for op in feed if not op.deleted]


@pytest.mark.parametrize("max_ops", [1, 3, 1000])
async def test_a_follower_ends_with_the_same_documents_whatever_the_size_of_the_answers(
    leader: Shard, follower: Shard, max_ops: int
) -> None:
    await leader.write([index(str(at % 10), n=at) for at in range(40)])
    await leader.write([WriteOp("delete", "3"), index("7", title="last")])
    await follow(leader, follower, max_ops)
    assert documents(follower) == documents(leader)
    assert follower.checkpoint == leader.max_seq_no == 41
    assert follower.changes(-1) == leader.changes(-1)
    await follower.refresh()
    assert ids_found(follower) == ["0", "1", "2", "4", "5", "6", "7", "8", "9"]


async def test_applying_twice_changes_nothing(leader: Shard, follower: Shard) -> None:
    await leader.write([index("1", n=1), index("2", n=2), WriteOp("delete", "1")])
    first = leader.changes(-1)
    for _ in range(3):
        await follower.replicate(first.operations, first.up_to)
    assert follower.changes(-1) == leader.changes(-1)
    assert follower.stats()["docs"] == {**leader.stats()["docs"], **follower.stats()["docs"]}
    assert follower.stats()["docs"]["count"] == 1


async def test_the_checkpoint_is_there_after_a_restart(tmp_path: Path) -> None:
    async with node(tmp_path) as first:
        leader, follower = await first.create("leader"), await first.create("follower")
        await leader.write([index(str(at), n=at) for at in range(20)])
        await follow(leader, follower)
    async with node(tmp_path) as again:
        assert again.indices.get("follower").shards[0].checkpoint == 19


async def test_a_follower_shows_its_own_followers_only_what_is_complete(leader: Shard, follower: Shard) -> None:
    await leader.write([index(str(at), n=at) for at in range(6)])
    changes = leader.changes(-1)
    await follower.replicate(changes.operations[:2], 1)
    await follower.replicate(changes.operations[4:])
    assert [op.seq_no for op in follower.changes(-1).operations] == [0, 1]
    assert follower.changes(-1).up_to == 1
    await follower.replicate(changes.operations[2:4], 5)
    assert len(follower.changes(-1).operations) == 6


async def test_an_unfollowed_shard_goes_on_after_the_leaders_last_seq_no(
    here: Node, leader: Shard, follower: Shard
) -> None:
    await leader.write([index("1", n=1), index("1", n=2), WriteOp("delete", "1"), index("2", n=1)])
    await follow(leader, follower)
    await here.change("follower", settings={})
    assert (await one(follower, index("3", n=1))).seq_no == 4


async def test_waiting_ends_with_the_next_write_or_with_the_time(leader: Shard) -> None:
    await one(leader, index("1"))
    await leader.wait_for_changes(-1, 60)
    waiting = asyncio.ensure_future(leader.wait_for_changes(0, 60))
    await asyncio.sleep(0)
    assert not waiting.done()
    await one(leader, index("2"))
    async with asyncio.timeout(5):
        await waiting
    started = time.monotonic()
    await leader.wait_for_changes(1, 0.05)
    assert 0.04 < time.monotonic() - started < 5


async def test_waiting_ends_when_the_index_is_deleted(here: Node, leader: Shard) -> None:
    waiting = asyncio.ensure_future(leader.wait_for_changes(5, 60))
    await asyncio.sleep(0)
    await here.delete("leader")
    async with asyncio.timeout(5):
        await waiting


async def test_a_big_answer_read_in_a_thread_is_the_same(leader: Shard) -> None:
    await leader.write([index(str(at), n=at) for at in range(500)])
    assert await leader.read_changes(-1) == leader.changes(-1)
    assert (await leader.read_changes(-1, 10)).up_to == 9


async def test_a_reader_that_missed_purged_tombstones_is_told(leader: Shard, monkeypatch: pytest.MonkeyPatch) -> None:
    await leader.write([index("1"), index("2"), WriteOp("delete", "1"), index("3")])
    await forget_deletes(leader, monkeypatch)
    assert leader.tombstone_floor == 2
    assert leader.changes(0).lost
    assert leader.changes(1).lost
    assert not leader.changes(2).lost
    assert not leader.changes(-1).lost, "who has nothing has nothing to forget"


async def test_a_bootstrap_that_began_after_the_purge_has_lost_nothing(
    leader: Shard, monkeypatch: pytest.MonkeyPatch
) -> None:
    await leader.write([index("0"), index("1"), WriteOp("delete", "1"), *(index(f"more-{at}") for at in range(5))])
    await forget_deletes(leader, monkeypatch)
    first = leader.changes(-1, 1)
    assert first.up_to == 0
    second = leader.changes(first.up_to, 1, floor=first.tombstone_floor)
    assert not second.lost
    await leader.write([WriteOp("delete", "0")])
    await forget_deletes(leader, monkeypatch)
    assert leader.changes(second.up_to, floor=first.tombstone_floor).lost, "document 0 was read and then deleted"


async def test_a_lease_keeps_tombstones(leader: Shard, monkeypatch: pytest.MonkeyPatch) -> None:
    await leader.add_lease("follower", 0, "ccr")
    await leader.write([index("1"), WriteOp("delete", "1"), index("2"), WriteOp("delete", "2")])
    await forget_deletes(leader, monkeypatch)
    assert leader.tombstone_floor == -1
    await leader.renew_lease("follower", 2)
    await forget_deletes(leader, monkeypatch)
    assert leader.tombstone_floor == 1
    assert [op.seq_no for op in leader.changes(1).operations] == [3]
    await leader.remove_lease("follower")
    await forget_deletes(leader, monkeypatch)
    assert leader.tombstone_floor == 3


@pytest.mark.parametrize(
    ("after", "floor_at_start", "floor", "lost"),
    [(-1, -1, 100, False), (5, -1, 4, False), (5, -1, 5, False), (5, -1, 6, True), (5, 6, 6, False), (5, 6, 7, True)],
)
def test_lost(after: int, floor_at_start: int, floor: int, lost: bool) -> None:
    assert is_lost(after, floor_at_start, floor) is lost
