"""Shards that need not be asked: which, when, and that no answer changes by it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.search.searching import Library

from hanse.search.limits import SearchLimits
from hanse.transport.actions import Access

MAPPINGS = {"properties": {"at": {"type": "date"}, "n": {"type": "long"}, "x": {"type": "double"}}}
YEARS = {"y2016": 2016, "y2017": 2017, "y2018": 2018}


@pytest.fixture
async def years(books: Library) -> Library:
    for name, year in YEARS.items():
        documents = [{"at": f"{year}-0{month}-01", "n": 2**60 + year, "x": year + month / 10} for month in (1, 2, 3)]
        await books.add(name, documents, MAPPINGS)
    return books


def within(first: str, last: str) -> dict[str, Any]:
    return {"range": {"at": {"gte": first, "lt": last}}}


LATE = within("2017-02-01", "2018-12-01")


async def skipped(books: Library, body: Any, index: str = "", **parameters: Any) -> tuple[int, int]:
    """Skipped shards and hits."""
    answer = await books.search(index, body, **parameters)
    assert answer["_shards"]["successful"] == answer["_shards"]["total"]
    return answer["_shards"]["skipped"], answer["hits"]["total"]["value"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (LATE, (1, 5)),
        ({"bool": {"filter": [LATE, {"range": {"n": {"lte": 2**60 + 2017}}}]}}, (1, 2)),
        ({"bool": {"should": [within("2016-01-01", "2016-02-01"), within("1999-01-01", "2000-01-01")]}}, (2, 1)),
        ({"bool": {"must_not": [LATE]}}, (0, 4)),
        ({"range": {"x": {"gt": 2018.25}}}, (2, 1)),
        ({"range": {"x": {"gt": 2016.3, "lt": 2017.1}}}, (1, 0)),
        ({"range": {"nowhere": {"gt": 1}}}, (2, 0)),
        (within("2030-01-01", "2031-01-01"), (2, 0)),
        ({"term": {"_index": "y2017"}}, (2, 3)),
        ({"prefix": {"_index": "y201"}}, (0, 9)),
        ({"match_all": {}}, (0, 9)),
        (None, (0, 9)),
    ],
)
async def test_shards_without_matches_are_skipped(years: Library, query: Any, expected: tuple[int, int]) -> None:
    body = {} if query is None else {"query": query}
    assert await skipped(years, body, pre_filter_shard_size=1) == expected
    assert await skipped(years, body) == (0, expected[1])


async def test_numbers_too_great_for_doubles_are_held_against_rounded_bounds(years: Library) -> None:
    exactly = {"query": {"range": {"n": {"gte": 2**60 + 2018}}}}
    assert (await skipped(years, exactly, pre_filter_shard_size=1))[1] == 3


async def test_a_field_to_sort_by_is_reason_enough(years: Library) -> None:
    assert await skipped(years, {"query": LATE, "sort": ["at"]}) == (1, 5)
    assert await skipped(years, {"query": LATE, "sort": ["at"]}, pre_filter_shard_size=3) == (0, 5)
    assert await skipped(years, {"query": LATE, "sort": ["_doc"]}) == (0, 5)
    assert await skipped(years, {"query": LATE, "sort": ["_score"]}) == (0, 5)


async def test_an_index_without_writes_is_reason_enough(years: Library) -> None:
    metadata = years.node.cluster.state.indices["y2016"]
    blocked = msgspec.structs.replace(metadata, settings={**metadata.settings, "index.blocks.read_only": "true"})
    await years.node.cluster.update("block", lambda state: state.with_index(blocked))
    assert await skipped(years, {"query": LATE}) == (1, 5)


async def test_more_than_128_shards_are_reason_enough(years: Library) -> None:
    request = years.request("", {"query": LATE})
    counts = [
        (await years.run(msgspec.structs.replace(request, shards_elsewhere=elsewhere))).skipped
        for elsewhere in (125, 126)
    ]
    assert counts == [0, 1]


async def test_aggregations_that_see_everything_are_not_cut_short(years: Library) -> None:
    for aggregation in ({"global": {}}, {"terms": {"field": "_index", "min_doc_count": 0}}):
        for aggs in ({"a": aggregation}, {"f": {"filter": {"match_all": {}}, "aggs": {"a": aggregation}}}):
            if "global" in aggregation and "f" in aggs:
                continue
            answer = await years.search("", {"query": LATE, "size": 0, "aggs": aggs}, pre_filter_shard_size=1)
            assert answer["_shards"]["skipped"] == 0
    plain = {"a": {"terms": {"field": "_index"}}}
    answer = await years.search("", {"query": LATE, "size": 0, "aggs": plain}, pre_filter_shard_size=1)
    assert answer["_shards"]["skipped"] == 1
    assert [bucket["key"] for bucket in answer["aggregations"]["a"]["buckets"]] == ["y2018", "y2017"]


async def test_what_filters_rule_out_is_skipped_too(years: Library) -> None:
    years.access["y2018"] = Access(documents=((within("2020-01-01", "2021-01-01"),),))
    years.filters["y2017"] = (within("2017-06-01", "2017-07-01"), within("2016-06-01", "2016-07-01"))
    assert await skipped(years, {"query": {"exists": {"field": "at"}}}, pre_filter_shard_size=1) == (2, 3)


async def test_extents_follow_the_documents(years: Library) -> None:
    body = {"query": within("2019-01-01", "2020-01-01")}
    assert await skipped(years, body, pre_filter_shard_size=1) == (2, 0)
    await years.add("y2019", [{"at": "2019-05-05"}], MAPPINGS)
    assert await skipped(years, body, pre_filter_shard_size=1) == (3, 1)


async def test_as_a_part_of_a_search_all_may_be_skipped(years: Library) -> None:
    body = {"query": {"term": {"_index": "none"}}, "aggs": {"a": {"avg": {"field": "n"}}}}
    request = years.request("", body, pre_filter_shard_size=1)
    result = await years.run(msgspec.structs.replace(request, may_skip_all=True))
    assert (result.skipped, result.total_shards, result.successful, result.failed) == (3, 3, 3, 0)
    assert result.max_buckets == SearchLimits().max_buckets


async def test_a_query_that_cannot_be_built_is_told_as_ever(years: Library) -> None:
    await years.add("text", [{"at": "no date"}], {"properties": {"at": {"type": "keyword"}}})
    wrong = {"query": {"range": {"at": {"gte": "x", "lt": "z"}}}}
    answer = await years.search("", wrong, pre_filter_shard_size=1)
    assert (answer["_shards"]["failed"], answer["_shards"]["total"]) == (3, 4)
