"""Looking before asking, where the shards are on several nodes: no node takes its part for the whole search."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.several_nodes import SeveralNodes, several_nodes
from tests.two_clusters import Cluster

from hanse.cluster.requests import UPDATE_SETTINGS, UpdateSettings
from hanse.errors import SearchPhaseExecutionError
from hanse.index.administration.requests import BLOCK, Block
from hanse.search.merge import render
from hanse.search.request import (
    OPEN_PIT,
    SCROLL,
    SEARCH,
    OpenPitRequest,
    ScrollRequest,
    SearchRequest,
    SearchResult,
)

MAPPINGS = {"properties": {"at": {"type": "date"}, "n": {"type": "long"}, "tag": {"type": "keyword"}}}
YEARS = (2016, 2017, 2018)
LATE = {"range": {"at": {"gte": "2017-02-01", "lt": "2018-12-01"}}}
NEVER = {"range": {"at": {"gte": "2030-01-01"}}}
AGGREGATIONS = {"tags": {"terms": {"field": "tag"}}, "most": {"max": {"field": "n"}}}


async def filled(cluster: SeveralNodes) -> None:
    for year in YEARS:
        await cluster.create(f"y{year}", mappings=MAPPINGS, shards=1)
        documents = [{"at": f"{year}-0{month}-01", "n": year, "tag": f"t{month}"} for month in (1, 2, 3)]
        await cluster.write(f"y{year}", documents)


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[SeveralNodes]:
    async with several_nodes(tmp_path) as made:
        await filled(made)
        holders = [cluster_node for year in YEARS for (cluster_node,) in made.holders(f"y{year}")]
        assert sorted(holders) == [0, 1, 2]
        yield made


SEARCHES: list[tuple[dict[str, Any], dict[str, Any], int]] = [
    ({"query": LATE, "sort": ["at"]}, {}, 1),
    ({"query": LATE, "sort": ["at"]}, {"pre_filter_shard_size": 3}, 0),
    ({"query": LATE}, {}, 0),
    ({"query": LATE, "aggs": AGGREGATIONS}, {"pre_filter_shard_size": 1}, 1),
    ({"query": {"term": {"_index": "y2017"}}}, {"pre_filter_shard_size": 1}, 2),
    ({"query": NEVER, "sort": ["at"], "aggs": AGGREGATIONS}, {}, 2),
    ({"query": NEVER, "sort": ["at"]}, {"routing": "x"}, 2),
    ({"query": {"match_all": {}}, "sort": ["at"]}, {}, 0),
]


async def test_as_many_are_skipped_as_on_one_node(cluster: SeveralNodes, tmp_path: Path) -> None:
    async with several_nodes(tmp_path / "one", 1) as one:
        await filled(one)
        for body, parameters, skipped in SEARCHES:
            whole = await one.search("y*", body, **parameters)
            assert whole["_shards"] == {"total": 3, "successful": 3, "skipped": skipped, "failed": 0}
            for node in range(3):
                parts = await cluster.search("y*", body, node, **parameters)
                assert {**parts, "took": 0} == {**whole, "took": 0}, body


async def test_what_decides_for_one_index_decides_for_the_search(cluster: SeveralNodes) -> None:
    assert (await cluster.search("y*", {"query": LATE}))["_shards"]["skipped"] == 0
    await cluster.run(BLOCK, Block(("y2018",), "write"))
    for node in range(3):
        assert (await cluster.search("y*", {"query": LATE}, node))["_shards"]["skipped"] == 1


async def test_a_part_that_fails_leaves_another_to_run(cluster: SeveralNodes) -> None:
    await cluster.create("text", mappings={"properties": {"at": {"type": "keyword"}}}, shards=1)
    wrong = {"query": {"bool": {"filter": [NEVER, {"range": {"n": {"gte": 1}}}]}}, "sort": ["n"], "aggs": AGGREGATIONS}
    wrong["aggs"] = {**AGGREGATIONS, "by": {"histogram": {"field": "tag", "interval": 1}}}
    with pytest.raises(SearchPhaseExecutionError):
        await cluster.search("y*", {**wrong, "query": {"match_all": {}}})
    # Where nothing can match one shard runs, and it is this one that tells what is wrong.
    answer = await cluster.search("y*", wrong)
    assert (answer["_shards"]["skipped"], answer["_shards"]["failed"]) == (2, 1)


async def test_a_point_in_time(cluster: SeveralNodes) -> None:
    opened = await cluster.run(OPEN_PIT, OpenPitRequest(("y*",), keep_alive="1m"))
    for query, expected in ((LATE, (1, 5)), (NEVER, (2, 0))):
        body = {"pit": {"id": opened.id}, "query": query, "sort": ["at"], "aggs": AGGREGATIONS}
        request = SearchRequest(tuple(f"y{year}" for year in YEARS), body=orjson.dumps(body))
        for node in range(3):
            result: SearchResult = await cluster.run(SEARCH, request, node)
            assert (result.total_shards, result.successful) == (3, 3)
            assert (result.skipped, result.total) == expected
            assert set(orjson.loads(render(result, request))["aggregations"]) == set(AGGREGATIONS)


async def test_a_scroll(cluster: SeveralNodes) -> None:
    """Every context counts all shards of the scroll; the first shard's node runs one of its own in any case."""
    body = {"query": {"term": {"_index": "y2018"}}, "size": 2, "sort": ["at"], "aggs": AGGREGATIONS}
    request = SearchRequest(("y*",), body=orjson.dumps(body), scroll="1m")
    for node in range(3):
        page: SearchResult = await cluster.run(SEARCH, request, node)
        assert (page.total_shards, page.successful, page.skipped, page.total) == (3, 3, 1, 3)
        assert set(orjson.loads(render(page, request))["aggregations"]) == set(AGGREGATIONS)
        rest: SearchResult = await cluster.run(SCROLL, ScrollRequest(page.scroll_id or ""), (node + 1) % 3)
        assert (len(page.hits), len(rest.hits)) == (2, 1)


async def test_the_limit_of_buckets_is_that_of_the_cluster(cluster: SeveralNodes) -> None:
    body = {"size": 0, "aggs": {"tags": {"terms": {"field": "tag"}}}}
    assert len((await cluster.search("y*", body))["aggregations"]["tags"]["buckets"]) == 3
    await cluster.run(UPDATE_SETTINGS, UpdateSettings({"search.max_buckets": "2"}))
    for node in range(3):
        with pytest.raises(SearchPhaseExecutionError) as refused:
            await cluster.search("y*", body, node)
        assert refused.value.status == 400


async def test_as_a_cluster_beside_another(cluster: SeveralNodes, tmp_path: Path) -> None:
    """Without minimized round trips the shards of both count as one search's, whichever node is the gateway."""
    here = Cluster(tmp_path, "here")
    try:
        await here.node.start()
        seeds = {"cluster.remote.there.seeds": [node._transport_address for node in cluster.nodes]}
        await here.run(UPDATE_SETTINGS, UpdateSettings(seeds))
        await here.node.remotes.ensure_connected("there")
        await here.create("mine", mappings=MAPPINGS)
        await here.write("mine", "1", at="2016-01-01", n=2016, tag="t1")
        for query, skipped, hits in ((LATE, 2, 5), (NEVER, 3, 0)):
            body = {"query": query, "sort": ["at"], "aggs": AGGREGATIONS}
            as_one = await here.search("mine,there:y*", body, ccs_minimize_roundtrips="false")
            assert as_one["_shards"] == {"total": 4, "successful": 4, "skipped": skipped, "failed": 0}
            apart = await here.search("mine,there:y*", body)
            # On its own terms each cluster runs one shard: there the one that matches or another, here its only one.
            assert apart["_shards"]["skipped"] == skipped - 1
            for answer in (as_one, apart):
                assert len(answer["hits"]["hits"]) == hits
                assert set(answer["aggregations"]) == set(AGGREGATIONS)
    finally:
        await here.node.close()
