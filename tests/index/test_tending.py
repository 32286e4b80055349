"""Purging beside open readers, refreshing by itself, and the quiet end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.index.shards import Node, index, node, one

from hanse.errors import ShardFailedError
from hanse.index.shard import Shard, WriteOp


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Node]:
    async with node(tmp_path) as made:
        yield made


@pytest.fixture
async def shard(here: Node) -> Shard:
    return await here.create(refresh_interval="-1")


async def test_an_open_reader_keeps_what_it_can_name(shard: Shard) -> None:
    await one(shard, index("1", title="old"))
    await shard.refresh()
    with shard.reader() as reader:
        await one(shard, index("1", title="new"))
        await shard.refresh()
        await shard.purge()
        assert reader.fetch([0])[0].source == b'{"title":"old"}'
        assert shard.open_readers == 1
    await shard.purge()
    with shard.reader() as later, pytest.raises(ShardFailedError):
        later.shard.store.fetch([0])


async def test_what_was_not_refreshed_is_not_purged(shard: Shard) -> None:
    await one(shard, index("1", title="old"))
    await shard.refresh()
    await one(shard, index("1", title="new"))
    await shard.purge()
    with shard.reader() as reader:
        assert len(reader.fetch([0])) == 1


async def test_a_young_tombstone_keeps_its_version(shard: Shard) -> None:
    await shard.write([index("1"), WriteOp("delete", "1")])
    await shard.refresh()
    await shard.purge()
    assert (await one(shard, index("1"))).version == 3


async def test_an_old_tombstone_goes(shard: Shard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hanse.index.tending.TOMBSTONE_AGE_S", -1.0)
    await shard.write([index("1"), WriteOp("delete", "1")])
    await shard.refresh()
    await shard.purge()
    assert shard.stats()["docs"]["deleted"] == 0
    assert (await one(shard, index("1"))).version == 1


async def test_many_rows_are_purged_in_batches(shard: Shard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hanse.index.document_store.PURGE_ROWS_MAX", 10)
    for _ in range(3):
        await shard.write([index(str(at), n=at) for at in range(40)])
    await shard.refresh()
    await shard.purge()
    with shard.reader() as reader:
        for seq_no in range(80):
            with pytest.raises(ShardFailedError):
                reader.fetch([seq_no])


async def test_a_quiet_shard_gives_its_writer_and_its_task_back(here: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hanse.index.tending.QUIET_S", 0.05)
    shard = await here.create("quiet", refresh_interval="10ms")
    await one(shard, index("1", title="a"))
    assert asyncio.all_tasks() - {asyncio.current_task()}
    async with asyncio.timeout(10):
        while asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.sleep(0.01)
    assert not shard.feed.has_writer
    assert not shard.needs_refresh
    assert shard.feed.through == 0
    await one(shard, index("2", title="b"))
    await shard.refresh()
    with shard.reader() as reader:
        assert reader.searcher.num_docs == 2
