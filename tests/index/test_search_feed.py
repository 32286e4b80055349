"""The search index follows the store: after a crash, after damage, with too small pools, and never without bound."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from tests.index.shards import Node, ids_found, index, node, one

from hanse.errors import ShardFailedError
from hanse.index.shard import Shard, WriteOp


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Node]:
    async with node(tmp_path) as made:
        yield made


@pytest.fixture
async def shard(here: Node) -> Shard:
    return await here.create(refresh_interval="-1")


def folder_of(root: Path) -> Path:
    (found,) = (root / "indices").glob("*/0")
    return found


def generations(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("search-*"))


async def written_and_crashed(root: Path) -> None:
    """An index whose last operations are in the store alone, as after a kill between commit and refresh."""
    async with node(root) as first:
        shard = await first.create(refresh_interval="-1")
        await shard.write([index(str(at), title=f"word{at} all") for at in range(50)])
        await shard.refresh()
        keep = folder_of(root).parent / "copy"
        (generation,) = generations(folder_of(root))
        shutil.copytree(folder_of(root) / generation, keep / generation)
        shutil.copy2(folder_of(root) / "search.json", keep)
        await shard.write([index("7", title="changed all"), WriteOp("delete", "8"), index("new", title="new all")])
        await shard.refresh()
    for path in (*folder_of(root).glob("search-*"), folder_of(root) / "search.json"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in keep.iterdir():
        path.rename(folder_of(root) / path.name)
    keep.rmdir()


async def test_after_a_crash_the_index_catches_up_from_its_last_commit(tmp_path: Path) -> None:
    await written_and_crashed(tmp_path)
    async with node(tmp_path) as again:
        shard = again.indices.get("books").shards[0]
        assert not shard.needs_refresh
        expected = sorted({str(at) for at in range(50)} - {"8"} | {"new"})
        assert ids_found(shard) == expected
        assert ids_found(shard, "title", "changed") == ["7"]
        assert ids_found(shard, "title", "word7") == []


async def test_replaying_more_than_needed_changes_nothing(tmp_path: Path) -> None:
    async with node(tmp_path) as first:
        shard = await first.create(refresh_interval="-1")
        await shard.write([index(str(at), title="same") for at in range(30)])
        await shard.write([WriteOp("delete", "5"), index("6", title="other")])
    side_file = folder_of(tmp_path) / "search.json"
    standing = msgspec.json.decode(side_file.read_bytes())
    side_file.write_bytes(msgspec.json.encode({**standing, "through": 3}))
    async with node(tmp_path) as again:
        shard = again.indices.get("books").shards[0]
        assert len(ids_found(shard)) == 29
        assert ids_found(shard, "title", "other") == ["6"]


OPENED_LATE = ("meta nonsense", "segment gone")
"""Damage inside the index' own files, which are read when the first search comes."""


@pytest.mark.parametrize(
    "damage", ["folder gone", "meta nonsense", "segment gone", "side file nonsense", "older schema"]
)
async def test_a_damaged_index_is_made_anew_from_the_store(tmp_path: Path, damage: str) -> None:
    async with node(tmp_path) as first:
        shard = await first.create(refresh_interval="-1")
        await shard.write([index(str(at), title="word") for at in range(20)])
    folder = folder_of(tmp_path)
    (generation,) = generations(folder)
    if damage == "folder gone":
        shutil.rmtree(folder / generation)
    elif damage == "meta nonsense":
        (folder / generation / "meta.json").write_text("nonsense")
    elif damage == "segment gone":
        for part in (folder / generation).glob("*.idx"):
            part.unlink()
    elif damage == "side file nonsense":
        (folder / "search.json").write_text("{")
    else:
        standing = msgspec.json.decode((folder / "search.json").read_bytes())
        (folder / "search.json").write_bytes(msgspec.json.encode({**standing, "schema_format": 0}))
    async with node(tmp_path) as again:
        shard = again.indices.get("books").shards[0]
        if damage in OPENED_LATE:
            with pytest.raises(ShardFailedError, match="is being rebuilt from its documents"):
                ids_found(shard)
            await shard.refresh()
        assert len(ids_found(shard)) == 20
        assert len(generations(folder)) == 1


async def test_pools_that_run_dry_make_a_bigger_index_while_the_old_one_serves(here: Node, tmp_path: Path) -> None:
    shard = await here.create(refresh_interval="-1")
    await shard.write([index(str(at), title="before") for at in range(20)])
    await shard.refresh()
    (old,) = generations(folder_of(tmp_path))
    with shard.reader() as reader:
        await shard.write([index("wide", **{f"number{at}": at for at in range(200)})])
        assert here.cluster.state.indices["books"].slots["factor"] > 1
        await shard.write([index("after", title="before too")])
        assert len(ids_found(shard)) == 20, "searches go on with what they saw"
        await shard.refresh()
        assert reader.searcher.num_docs == 20
        assert len(reader.fetch(list(range(20)))) == 20
    assert len(ids_found(shard)) == 22
    assert len(ids_found(shard, "title", "before")) == 21
    assert generations(folder_of(tmp_path)) != [old]
    assert len(generations(folder_of(tmp_path))) == 1


async def test_writes_wait_for_a_search_index_that_is_far_behind(shard: Shard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hanse.index.search_feed.UNFED_BYTES_MAX", 100_000)
    monkeypatch.setattr("hanse.index.search_feed.FEED_BYTES", 50_000)
    highest = 0
    for at in range(40):
        await shard.write([index(f"{at}-{n}", title="x" * 400) for n in range(50)])
        highest = max(highest, shard.feed._waiting_bytes)
    assert highest < 100_000 + 2 * 50 * 450
    await shard.refresh()
    assert len(ids_found(shard)) == 2000


async def test_a_refresh_in_the_moment_a_round_ends_does_not_hold_the_loop(shard: Shard) -> None:
    async def nothing() -> None:
        return

    await shard.write([index("1", title="a")])
    shard.feed._start(nothing())
    refreshing = asyncio.create_task(shard.refresh())
    await refreshing
    assert ids_found(shard) == ["1"]


async def test_refreshes_at_the_same_time_share_the_work(shard: Shard) -> None:
    await one(shard, index("1", title="a"))
    await asyncio.gather(*(shard.refresh() for _ in range(20)))
    assert shard.feed.refreshes <= 3
    assert ids_found(shard) == ["1"]


async def test_a_refresh_whose_caller_went_away_takes_nothing_with_it(shard: Shard) -> None:
    for at in range(20):
        await one(shard, index(str(at), title="a"))
        refreshing = asyncio.ensure_future(shard.refresh())
        await asyncio.sleep(0.001 * (at % 5))
        refreshing.cancel()
    await shard.refresh()
    assert len(ids_found(shard)) == 20


async def test_writes_during_refreshes_are_never_missed(shard: Shard) -> None:
    async def write() -> None:
        for at in range(60):
            await shard.write([index(str(at), title="a"), index(str(at), title="b"), WriteOp("delete", str(at - 10))])

    async def refresh() -> None:
        for _ in range(15):
            await shard.refresh()

    await asyncio.gather(write(), refresh())
    await shard.refresh()
    assert ids_found(shard) == sorted(str(at) for at in range(50, 60))
    assert ids_found(shard, "title", "a") == []


async def test_without_refreshes_what_is_fed_is_committed_now_and_then(
    shard: Shard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hanse.index.search_feed.FEED_BYTES", 10_000)
    monkeypatch.setattr("hanse.index.search_feed.UNCOMMITTED_BYTES_MAX", 20_000)
    for at in range(20):
        await shard.write([index(f"{at}-{n}", title="x" * 200) for n in range(50)])
    await shard.feed._idle()
    assert shard.feed._index.standing.through > 0
    assert ids_found(shard) == [], "nobody asked for a refresh"
