"""Scrolls and points in time over three nodes: complete, stable, private, and usable through any node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.several_nodes import SeveralNodes, several_nodes
from tests.two_clusters import until

from hanse.errors import IllegalArgumentError, SearchPhaseExecutionError, SecurityError
from hanse.search import pit_id
from hanse.search.contexts import TooManyScrollContextsError
from hanse.search.limits import SearchLimits
from hanse.search.request import (
    CLEAR_SCROLL,
    CLOSE_PIT,
    OPEN_PIT,
    SCROLL,
    SEARCH,
    ClearScrollRequest,
    ClosePitRequest,
    OpenPitRequest,
    ScrollRequest,
    SearchRequest,
    SearchResult,
)
from hanse.search.shard_requests import BEGIN_SCROLL, OPEN_SHARDS
from hanse.transport.identity import Identity

BOB = Identity("bob", ())
DOCUMENTS = [{"n": n, "tag": f"tag{n % 5}", "t": "word " * (n % 3 + 1)} for n in range(50)]
MAPPINGS = {"properties": {"n": {"type": "long"}, "tag": {"type": "keyword"}, "t": {"type": "text"}}}


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[SeveralNodes]:
    async with several_nodes(tmp_path) as made:
        await made.create("b", mappings=MAPPINGS)
        await made.write("b", DOCUMENTS)
        yield made


def numbers(result: SearchResult) -> list[int]:
    return [orjson.loads(hit.json)["_source"]["n"] for hit in result.hits]


async def begun(cluster: SeveralNodes, body: dict[str, Any], node: int = 0, **more: Any) -> SearchResult:
    request = SearchRequest(("b",), body=orjson.dumps(body), scroll="1m", **more)
    result: SearchResult = await cluster.run(SEARCH, request, node)
    return result


async def opened(cluster: SeveralNodes, node: int = 0) -> str:
    return (await cluster.run(OPEN_PIT, OpenPitRequest(("b",), keep_alive="1m"), node)).id  # type: ignore[no-any-return]


async def in_pit(cluster: SeveralNodes, id: str, node: int = 0, identity: Any = None, **body: Any) -> SearchResult:
    raw = orjson.dumps({"pit": {"id": id}, **body})
    request = SearchRequest(pit_id.indices_of(id), body=raw)
    more = {} if identity is None else {"identity": identity}
    result: SearchResult = await cluster.run(SEARCH, request, node, **more)
    return result


def open_contexts(cluster: SeveralNodes) -> list[int]:
    return [len(node.contexts) for node in cluster.nodes]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"sort": ["n"]},
        {"sort": [{"tag": "desc"}]},
        {"sort": ["_doc"]},
        {"query": {"match": {"t": "word"}}},
        {"query": {"terms": {"tag": {"index": "b", "id": "3", "path": "tag"}}}},
    ],
)
async def test_a_scroll_visits_everything_once_through_any_node(cluster: SeveralNodes, body: dict[str, Any]) -> None:
    whole = await cluster.search("b", {**body, "size": 1000})
    page = await begun(cluster, {**body, "size": 7, "aggs": {"a": {"avg": {"field": "n"}}}}, 1)
    assert page.aggregations is not None
    assert (page.total_shards, page.successful) == (3, 3)
    found, turn = numbers(page), 0
    while page.hits:
        assert page.total == whole["hits"]["total"]["value"]
        turn += 1
        assert page.scroll_id is not None
        page = await cluster.run(SCROLL, ScrollRequest(page.scroll_id, "1m"), turn % 3)
        assert page.aggregations is None
        found += numbers(page)
    assert found == [hit["_source"]["n"] for hit in whole["hits"]["hits"]]


async def test_a_scroll_does_not_see_what_comes_later(cluster: SeveralNodes) -> None:
    page = await begun(cluster, {"size": 30, "sort": ["n"]})
    await cluster.write("b", [{"_id": "new", "n": 1000}])
    rest = await cluster.run(SCROLL, ScrollRequest(page.scroll_id), 2)
    assert numbers(page) + numbers(rest) == list(range(50))


async def test_slices_of_a_scroll_divide_everything(cluster: SeveralNodes) -> None:
    found = []
    for part in range(4):
        page = await begun(cluster, {"size": 50, "slice": {"id": part, "max": 4}}, part % 3)
        found.append(numbers(page))
    assert sorted(n for part in found for n in part) == list(range(50))


async def test_a_scroll_is_freed_on_every_node_through_any(cluster: SeveralNodes) -> None:
    page = await begun(cluster, {"size": 1})
    assert open_contexts(cluster) == [1, 1, 1]
    foreign = ClearScrollRequest((page.scroll_id or "",))
    assert (await cluster.run(CLEAR_SCROLL, foreign, 1, BOB)).num_freed == 0
    assert (await cluster.run(CLEAR_SCROLL, ClearScrollRequest(("_all",)), 1, BOB)).num_freed == 0
    with pytest.raises(SearchPhaseExecutionError) as missing:
        await cluster.run(SCROLL, ScrollRequest(page.scroll_id or ""), 1, BOB)
    assert (missing.value.status, missing.value.root_causes[0].name) == (404, "search_context_missing_exception")
    assert (await cluster.run(CLEAR_SCROLL, ClearScrollRequest((page.scroll_id or "",)), 2)).num_freed == 3
    assert open_contexts(cluster) == [0, 0, 0]
    await begun(cluster, {"size": 1})
    await begun(cluster, {"size": 1}, 1)
    pit = await opened(cluster)
    assert (await cluster.run(CLEAR_SCROLL, ClearScrollRequest(("_all",)), 2)).num_freed == 6
    assert open_contexts(cluster) == [1, 1, 1]
    assert (await cluster.run(CLOSE_PIT, ClosePitRequest(pit), 1)).num_freed == 3


async def test_a_scroll_that_lost_a_node_goes_on_with_the_others(cluster: SeveralNodes) -> None:
    page = await begun(cluster, {"size": 10, "sort": ["n"]})
    await cluster.stop(cluster.nodes[2])
    page = await cluster.run(SCROLL, ScrollRequest(page.scroll_id), 1)
    assert (page.total_shards, page.successful, page.failed) == (3, 2, 1)
    assert page.failures[0].reason["type"] == "search_context_missing_exception"
    assert page.hits
    assert (await cluster.run(CLEAR_SCROLL, ClearScrollRequest((page.scroll_id,)))).num_freed == 2


async def test_the_limit_of_scrolls_holds_on_each_node(cluster: SeveralNodes) -> None:
    for node in cluster.nodes:
        node.contexts.limits = lambda: SearchLimits(scrolls_max=1)
    await begun(cluster, {"size": 1})
    with pytest.raises(SearchPhaseExecutionError) as refused:
        await begun(cluster, {"size": 1})
    assert (refused.value.status, refused.value.root_causes[0].name) == (429, TooManyScrollContextsError.type)


@pytest.mark.parametrize("kind", ["scroll", "pit"])
async def test_nothing_stays_open_when_one_node_refuses(cluster: SeveralNodes, kind: str) -> None:
    refusing = cluster.nodes[2]
    answer = refusing.gate.run_encoded

    async def refuse(name: str, *rest: Any) -> bytes:
        if name in (BEGIN_SCROLL.name, OPEN_SHARDS.name):
            # The others have opened theirs by then.
            await until(lambda: open_contexts(cluster) == [1, 1, 0])
            raise SecurityError("not here")
        return await answer(name, *rest)

    refusing.gate.run_encoded = refuse
    with pytest.raises(SecurityError):
        await (begun(cluster, {}) if kind == "scroll" else opened(cluster))
    assert open_contexts(cluster) == [0, 0, 0]


async def test_nothing_stays_open_when_the_first_page_fails(cluster: SeveralNodes) -> None:
    cluster.nodes[2].contexts.limits = lambda: SearchLimits(scrolls_max=0)
    with pytest.raises(SearchPhaseExecutionError):
        await begun(cluster, {}, allow_partial_search_results=False)
    assert open_contexts(cluster) == [0, 0, 0]


async def test_nothing_stays_open_of_a_scroll_that_nobody_waits_for(cluster: SeveralNodes) -> None:
    asked = asyncio.Event()

    answer = cluster.nodes[2].gate.run_encoded

    async def hang(name: str, *rest: Any) -> bytes:
        if name == BEGIN_SCROLL.name:
            asked.set()
            await asyncio.Event().wait()
        return await answer(name, *rest)

    cluster.nodes[2].gate.run_encoded = hang
    waiting = asyncio.ensure_future(begun(cluster, {}))
    await asked.wait()
    await until(lambda: open_contexts(cluster) == [1, 1, 0])
    waiting.cancel()
    await asyncio.wait((waiting,))
    assert open_contexts(cluster) == [0, 0, 0]


async def test_a_keep_alive_that_is_too_long_is_refused(cluster: SeveralNodes) -> None:
    page = await begun(cluster, {"size": 1})
    with pytest.raises(IllegalArgumentError, match="is too large"):
        await cluster.run(SCROLL, ScrollRequest(page.scroll_id, "2d"), 1)
    with pytest.raises(IllegalArgumentError, match="is too large"):
        await cluster.run(OPEN_PIT, OpenPitRequest(("b",), keep_alive="2d"))


async def test_a_point_in_time_is_the_same_through_every_node(cluster: SeveralNodes) -> None:
    id = await opened(cluster)
    await cluster.write("b", [{"_id": "new", "n": 1000}])
    for node in range(3):
        result = await in_pit(cluster, id, node, size=100, sort=["n"])
        assert numbers(result) == list(range(50))
        assert (result.pit_id, result.total_shards, result.failed) == (id, 3, 0)
    found: list[int] = []
    after: dict[str, Any] = {}
    for turn in range(20):
        result = await in_pit(cluster, id, turn % 3, size=4, sort=[{"tag": "desc"}], **after)
        if not result.hits:
            break
        found += numbers(result)
        after = {"search_after": orjson.loads(result.hits[-1].json)["sort"]}
    assert sorted(found) == list(range(50))
    assert [n % 5 for n in found] == sorted((n % 5 for n in found), reverse=True)


async def test_a_collapse_and_its_groups_in_a_point_in_time(cluster: SeveralNodes) -> None:
    id = await opened(cluster)
    await cluster.write("b", [{"_id": "new", "n": 1000, "tag": "tag1"}])
    inner = {"name": "group", "size": 20, "sort": ["n"]}
    result = await in_pit(cluster, id, 1, collapse={"field": "tag", "inner_hits": inner}, sort=["tag"])
    groups = [orjson.loads(hit.json)["inner_hits"]["group"]["hits"] for hit in result.hits]
    assert [[hit["_source"]["n"] for hit in group["hits"]] for group in groups] == [
        list(range(start, 50, 5)) for start in range(5)
    ]


async def test_slices_of_a_point_in_time(cluster: SeveralNodes) -> None:
    id = await opened(cluster)
    found = [numbers(await in_pit(cluster, id, 1, size=50, slice={"id": part, "max": 5})) for part in range(5)]
    assert sorted(n for part in found for n in part) == list(range(50))


async def test_a_point_in_time_is_private(cluster: SeveralNodes) -> None:
    id = await opened(cluster)
    with pytest.raises(SearchPhaseExecutionError) as foreign:
        await in_pit(cluster, id, 1, BOB)
    assert foreign.value.status == 404
    assert (await cluster.run(CLOSE_PIT, ClosePitRequest(id), 1, BOB)).num_freed == 0
    assert (await cluster.run(CLOSE_PIT, ClosePitRequest(id), 2)).num_freed == 3
    with pytest.raises(SearchPhaseExecutionError) as gone:
        await in_pit(cluster, id)
    assert (gone.value.status, gone.value.root_causes[0].name) == (404, "search_context_missing_exception")


async def test_a_point_in_time_that_lost_a_node(cluster: SeveralNodes) -> None:
    id = await opened(cluster)
    await cluster.stop(cluster.nodes[2])
    result = await in_pit(cluster, id, 1)
    assert (result.total_shards, result.successful, result.failed) == (3, 2, 1)
    assert result.failures[0].reason["type"] == "search_context_missing_exception"


async def test_a_field_may_be_called_pit(cluster: SeveralNodes) -> None:
    answer = await cluster.search(
        "b", {"query": {"bool": {"must_not": {"exists": {"field": "pit"}}}}, "_source": "pit"}
    )
    assert answer["hits"]["total"]["value"] == 50
    answer = await cluster.search("b", {"query": {"bool": {"must_not": {"term": {"pit": 1}}}}})
    assert answer["hits"]["total"]["value"] == 50
