"""Scrolls and points in time: complete, stable, private and mortal."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from tests.search.searching import ALICE, BOB, Library

from hanse.errors import HanseError, IllegalArgumentError, SearchPhaseExecutionError
from hanse.index.writing import WriteOp
from hanse.search import pit_id
from hanse.search.contexts import Contexts, TooManyScrollContextsError
from hanse.search.limits import SearchLimits
from hanse.search.request import ClearScrollRequest, ClosePitRequest, OpenPitRequest, ScrollRequest
from hanse.transport.actions import Access


async def scrolled(books: Library, body: dict[str, Any], index: str = "b") -> list[list[str]]:
    """The ids of all pages."""
    request = books.request(index, body, scroll="1m")
    result = await books.run(request)
    pages = []
    while result.hits:
        pages.append([orjson.loads(hit.json)["_id"] for hit in result.hits])
        assert result.scroll_id is not None
        result = await books.contexts.scroll(books.call([]), ScrollRequest(result.scroll_id))
    return pages


@pytest.fixture
async def filled(books: Library) -> Library:
    documents = [{"n": number % 5, "t": "word " * (number % 3 + 1)} for number in range(40)]
    await books.add("b", documents, shards=3)
    return books


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"sort": ["n"]},
        {"sort": ["_doc"]},
        {"query": {"match": {"t": "word"}}},
        {"query": {"match": {"t": "word"}}, "sort": ["_score", {"n": "desc"}]},
        {"query": {"term": {"n": 3}}},
    ],
)
async def test_a_scroll_visits_everything_once_in_the_order_of_a_search(filled: Library, body: dict[str, Any]) -> None:
    pages = await scrolled(filled, {**body, "size": 7})
    found = [id for page in pages for id in page]
    assert sorted(found) == sorted(await filled.ids("b", **body))
    assert all(len(page) == 7 for page in pages[:-1])
    if body.get("sort") == ["n"]:
        values = [int(id) - 1 for id in found]
        assert [value % 5 for value in values] == sorted(value % 5 for value in values)


async def test_a_scroll_does_not_show_its_own_sort_keys(filled: Library) -> None:
    answer = await filled.search("b", {"size": 1}, scroll="1m")
    assert "sort" not in answer["hits"]["hits"][0]
    assert answer["hits"]["total"]["value"] == 40
    sorted_answer = await filled.search("b", {"size": 1, "sort": ["n"]}, scroll="1m")
    assert sorted_answer["hits"]["hits"][0]["sort"] == [0]


async def test_a_scroll_does_not_see_later_changes(filled: Library) -> None:
    result = await filled.run(filled.request("b", {"size": 35}, scroll="1m"))
    service = filled.indices.get("b")
    for number in range(1, 41):
        shard = service.shard_for(str(number))
        await shard.write([WriteOp("delete", str(number))])
        await shard.refresh()
    assert result.scroll_id is not None
    rest = await filled.spread.scroll(filled.call([]), ScrollRequest(result.scroll_id))
    assert (len(rest.hits), rest.total) == (5, 40)
    assert await filled.ids("b") == []


async def test_slices_divide_the_documents(filled: Library) -> None:
    for parts in (2, 3, 8):
        found: list[str] = []
        for part in range(parts):
            pages = await scrolled(filled, {"slice": {"id": part, "max": parts}, "size": 50})
            found += [id for page in pages for id in page]
        assert sorted(found) == sorted(str(number) for number in range(1, 41))


async def test_another_users_scroll_does_not_exist(filled: Library) -> None:
    result = await filled.run(filled.request("b", {"size": 1}, scroll="1m"))
    assert result.scroll_id is not None
    with pytest.raises(SearchPhaseExecutionError) as missing:
        await filled.spread.scroll(filled.call([], BOB), ScrollRequest(result.scroll_id))
    (cause,) = missing.value.root_causes
    assert (missing.value.status, cause.name) == (404, "search_context_missing_exception")
    assert (await filled.spread.clear_scroll(filled.call([], BOB), ClearScrollRequest(("_all",)))).num_freed == 0
    cleared = await filled.spread.clear_scroll(filled.call([], ALICE), ClearScrollRequest((result.scroll_id,)))
    assert cleared.num_freed == 3
    with pytest.raises(SearchPhaseExecutionError):
        await filled.spread.scroll(filled.call([]), ScrollRequest(result.scroll_id))


async def test_a_scroll_id_that_is_none(filled: Library) -> None:
    with pytest.raises(IllegalArgumentError, match="Cannot parse scroll id"):
        await filled.spread.scroll(filled.call([]), ScrollRequest("nonsense!"))


async def test_contexts_expire_and_release_their_views(books: Library) -> None:
    now = [100.0]
    books.contexts = contexts = Contexts(clock=lambda: now[0])
    await books.add("b", [{"n": 1}])
    shard = books.indices.get("b").shards[0]
    result = await books.run(books.request("b", {"size": 1}, scroll="10s"))
    assert shard.open_readers == 1
    now[0] += 9
    assert result.scroll_id is not None
    await contexts.scroll(books.call([]), ScrollRequest(result.scroll_id))
    now[0] += 9
    contexts.expire()
    assert len(contexts) == 1
    now[0] += 2
    contexts.expire()
    assert (len(contexts), shard.open_readers) == (0, 0)


async def test_limits(books: Library) -> None:
    await books.add("b", [{"n": 1}])
    books.contexts = Contexts(limits=lambda: SearchLimits(keep_alive_max_s=60, scrolls_max=1))
    with pytest.raises(
        IllegalArgumentError, match=r"Keep alive for request \(2m\) is too large. It must be less than \(1m\)"
    ):
        await books.search("b", {"size": 1}, scroll="2m")
    await books.search("b", {"size": 1}, scroll="1m")
    with pytest.raises(TooManyScrollContextsError, match=r"Must be less than or equal to: \[1\]") as refused:
        await books.search("b", {"size": 1}, scroll="1m")
    assert refused.value.status == 429


async def opened(books: Library, index: str = "b") -> str:
    request = OpenPitRequest(indices=(index,), keep_alive="1m")
    return (await books.contexts.open_pit(books.indices, books.call([index]), request)).id


async def test_a_point_in_time_stays_as_it_was(filled: Library) -> None:
    id = await opened(filled)
    await filled.indices.get("b").shard_for("new").write([WriteOp("index", "new", b'{"n":1}')])
    for shard in filled.indices.get("b").shards:
        await shard.refresh()
    answer = await filled.search("", {"pit": {"id": id}, "size": 100})
    assert answer["hits"]["total"]["value"] == 40
    assert answer["pit_id"] == id
    assert (await filled.search("b"))["hits"]["total"]["value"] == 41


async def test_paging_through_a_point_in_time_needs_no_unique_key(filled: Library) -> None:
    id = await opened(filled)
    seen: list[str] = []
    after = None
    while True:
        body: dict[str, Any] = {"pit": {"id": id, "keep_alive": "2m"}, "sort": ["n"], "size": 6}
        if after is not None:
            body["search_after"] = after
        hits = (await filled.search("", body))["hits"]["hits"]
        if not hits:
            break
        assert len(hits[0]["sort"]) == 2
        after = hits[-1]["sort"]
        seen += [hit["_id"] for hit in hits]
    assert sorted(seen) == sorted(str(number) for number in range(1, 41))


async def test_a_point_in_time_follows_the_callers_rights(filled: Library) -> None:
    id = await opened(filled)
    filled.access["b"] = Access(documents=(({"term": {"n": 2}},),))
    answer = await filled.search("", {"pit": {"id": id}})
    assert answer["hits"]["total"]["value"] == 8


async def test_a_point_in_time_is_private_and_can_be_closed(filled: Library) -> None:
    id = await opened(filled)
    with pytest.raises(HanseError) as foreign:
        await filled.search("", {"pit": {"id": id}}, BOB)
    assert foreign.value.status == 404
    assert (await filled.spread.close_pit(filled.call([], BOB), ClosePitRequest(id))).num_freed == 0
    assert (await filled.spread.close_pit(filled.call([]), ClosePitRequest(id))).num_freed == 3
    with pytest.raises(HanseError) as gone:
        await filled.search("", {"pit": {"id": id}})
    assert gone.value.root_causes[0].name == "search_context_missing_exception"


def test_ids_that_cannot_be_read() -> None:
    for text in ("", "x", "////", "e30="):
        with pytest.raises(IllegalArgumentError, match="invalid id"):
            pit_id.indices_of(text)
