"""Indices follow the cluster state: made, opened, closed, removed, changed."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.index.shards import Node, given_up, ids_found, index, node, one

from hanse.errors import IndexClosedError, IndexNotFoundError, ShardFailedError
from hanse.index.shard import WriteResult


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Node]:
    async with node(tmp_path) as made:
        yield made


async def test_an_unknown_index_is_not_found(here: Node) -> None:
    with pytest.raises(IndexNotFoundError, match=r"no such index \[x\]"):
        here.indices.get("x")


async def test_a_deleted_index_leaves_nothing_behind(here: Node, tmp_path: Path) -> None:
    shard = await here.create()
    await one(shard, index("1"))
    await here.delete("books")
    with pytest.raises(IndexNotFoundError):
        here.indices.get("books")
    with pytest.raises(ShardFailedError, match="was closed"):
        await shard.write([index("2")])
    again = await here.create()
    assert again.get("1") is None
    await here.indices.close()
    assert [path.name for path in (tmp_path / "indices").iterdir()] == [again.index_uuid]


async def test_a_closed_index_keeps_its_documents(here: Node) -> None:
    shard = await here.create()
    await one(shard, index("1", title="a"))
    await here.change("books", state="close")
    with pytest.raises(IndexClosedError, match="closed"):
        here.indices.get("books")
    await here.change("books", state="open")
    await here.indices.ready("books")
    assert ids_found(here.indices.get("books").shards[0]) == ["1"]


async def test_routing_decides_the_shard(here: Node) -> None:
    await here.create("wide", shards=3)
    service = here.indices.get("wide")
    for at in range(60):
        shard = service.shard_for(str(at))
        assert isinstance((await shard.write([index(str(at), n=at)]))[0], WriteResult)
    counts = [shard.stats()["docs"]["count"] for shard in service.shards]
    assert sum(counts) == 60
    assert all(counts)
    assert len({service.shard_for(str(at), "same") for at in range(60)}) == 1


async def test_a_new_refresh_interval_and_mapping_are_taken_over(here: Node) -> None:
    shard = await here.create(refresh_interval="-1")
    service = here.indices.get("books")
    old = service.mapping
    assert service.refresh_interval_s == -1
    await here.change("books", settings={"index.refresh_interval": "5s"})
    assert service.refresh_interval_s == 5
    mappings, slots = service.mapping.merge({"properties": {"more": {"type": "text"}}})
    await here.change("books", mappings=mappings, slots=slots)
    assert service.mapping is not old
    assert shard.mapping.field("more") is not None


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    async with node(tmp_path) as first:
        for name in ("a", "b"):
            await first.create(name, shards=2)
            for at in range(10):
                await one(first.indices.get(name).shard_for(str(at)), index(str(at), title="x"))
    started = time.monotonic()
    async with node(tmp_path) as again:
        assert time.monotonic() - started < 5
        for name in ("a", "b"):
            found = [id for shard in again.indices.get(name).shards for id in ids_found(shard)]
            assert sorted(found, key=int) == [str(at) for at in range(10)]


async def test_an_index_that_cannot_be_opened_does_not_keep_others_from_it(tmp_path: Path) -> None:
    async with node(tmp_path) as first:
        bad = (await first.create("bad")).store.path
        await one(await first.create("good"), index("1", title="x"))
    for part in bad.parent.glob("documents*"):
        part.unlink()
    bad.write_bytes(b"this is no database any more, not at all" * 300)
    async with node(tmp_path) as again:
        assert ids_found(again.indices.get("good").shards[0]) == ["1"]
        with pytest.raises(ShardFailedError, match="is not open on this node"):
            again.indices.get("bad").shard(0)
        assert "file is not a database" in await given_up(again, "bad")
    assert bad.read_bytes().startswith(b"this is no database"), "nothing is done to it"


async def test_folders_of_deleted_indices_go_and_unknown_ones_stay(tmp_path: Path) -> None:
    for name in ("someone-elses", "half-gone.deleted"):
        (tmp_path / "indices" / name / "0").mkdir(parents=True)
    async with node(tmp_path):
        pass
    assert [path.name for path in (tmp_path / "indices").iterdir()] == ["someone-elses"]
