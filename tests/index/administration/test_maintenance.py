"""Force merge and clear cache reach every copy on every node, and say which they did not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.several_nodes import SeveralNodes, several_nodes

from hanse.index.administration import requests
from hanse.index.administration.requests import ByNames
from hanse.index.shard import Shard

BOOKS = ByNames(("books",))
REFRESHES = 12


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[SeveralNodes]:
    """Two shards with a copy on each of two nodes, written in many small segments."""
    async with several_nodes(tmp_path, 2) as made:
        await made.create("books", shards=2, replicas=1)
        for number in range(REFRESHES):
            await made.write("books", [{"_id": f"{number}-{n}", "n": n} for n in range(4)])
        yield made


def copies(cluster: SeveralNodes) -> list[Shard]:
    found = [shard for node in cluster.nodes for shard in node.indices.get("books").shards]
    assert len(found) == 4
    return found


async def test_a_force_merge_leaves_nothing_to_merge_on_any_node(cluster: SeveralNodes) -> None:
    assert all(shard.feed.has_writer for shard in copies(cluster))
    for node in (0, 1):
        answer = await cluster.run(requests.FORCE_MERGE, BOOKS, node)
        assert answer == {"_shards": {"total": 4, "successful": 4, "failed": 0}}
    assert not any(shard.feed.has_writer for shard in copies(cluster)), "its threads would still be merging"
    assert all(0 < shard.feed.segments < REFRESHES for shard in copies(cluster)), "searches see what was merged"
    assert (await cluster.search("books"))["hits"]["total"]["value"] == 4 * REFRESHES


async def test_what_is_written_after_a_force_merge_is_found(cluster: SeveralNodes) -> None:
    await cluster.run(requests.FORCE_MERGE, BOOKS)
    await cluster.write("books", [{"_id": "late", "n": 1}])
    assert (await cluster.search("books", {"query": {"ids": {"values": ["late"]}}}, 1))["hits"]["total"]["value"] == 1


async def test_clearing_the_cache_empties_that_of_every_copy(cluster: SeveralNodes) -> None:
    for node in (0, 1):
        await cluster.search("books", {"size": 100}, node, preference="_only_local")
    assert all(shard.recent._kept for shard in copies(cluster))
    answer = await cluster.run(requests.CLEAR_CACHE, BOOKS, 1)
    assert answer == {"_shards": {"total": 4, "successful": 4, "failed": 0}}
    assert not any(shard.recent._kept for shard in copies(cluster))


async def test_copies_that_are_nowhere_count_in_the_total_alone(cluster: SeveralNodes) -> None:
    await cluster.create("wide", shards=1, replicas=0)
    await cluster.run(requests.PUT_SETTINGS, requests.PutSettings(("wide",), {"number_of_replicas": 2}))
    await cluster.nodes[1].indices.ready("wide", "2")
    answer = await cluster.run(requests.FORCE_MERGE, ByNames(("wide",)))
    assert answer == {"_shards": {"total": 3, "successful": 2, "failed": 0}}


async def test_a_copy_that_fails_is_named_and_the_others_are_merged(cluster: SeveralNodes) -> None:
    broken = cluster.nodes[1].indices.get("books").shards[0]
    broken._is_closed = True
    try:
        counts = (await cluster.run(requests.FORCE_MERGE, BOOKS))["_shards"]
    finally:
        broken._is_closed = False
    (failure,) = counts.pop("failures")
    assert counts == {"total": 4, "successful": 3, "failed": 1}
    assert (failure["index"], failure["shard"], failure["status"]) == ("books", broken.number, "SERVICE_UNAVAILABLE")
    assert failure["reason"]["reason"] == f"{broken} the copy on this node was closed"
    assert [shard for shard in copies(cluster) if shard.feed.has_writer] == [broken]
