"""What restricts and rearranges hits in a shard: min_score, terminate_after, post_filter, collapse, rescore, scores."""

from __future__ import annotations

from typing import Any

import pytest
from tests.search.searching import Library

DOCUMENTS: list[dict[str, Any]] = [
    {"t": "fox", "group": "a", "n": 1},
    {"t": "fox fox fox", "group": "b", "n": 2},
    {"t": "a long text about a fox and other animals of the wood", "group": "a", "n": 3},
    {"t": "dog", "n": 4},
]
MAPPINGS = {"properties": {"t": {"type": "text"}, "group": {"type": "keyword"}, "n": {"type": "long"}}}
FOX = {"match": {"t": "fox"}}


@pytest.fixture
async def filled(books: Library) -> Library:
    await books.add("b", DOCUMENTS, MAPPINGS)
    return books


async def test_min_score_leaves_out_low_scores_everywhere(filled: Library) -> None:
    scores = [hit["_score"] for hit in (await filled.search("b", {"query": FOX}))["hits"]["hits"]]
    body = {"query": FOX, "min_score": scores[1], "aggs": {"g": {"terms": {"field": "group"}}}}
    answer = await filled.search("b", body)
    assert answer["hits"]["total"]["value"] == 2
    assert sum(bucket["doc_count"] for bucket in answer["aggregations"]["g"]["buckets"]) == 2
    assert await filled.ids("b", {"match_all": {}}, min_score=2) == []
    assert len(await filled.ids("b", {"match_all": {}}, min_score=1)) == 4


async def test_terminate_after_looks_at_the_first_documents(filled: Library) -> None:
    answer = await filled.search("b", {"query": FOX, "terminate_after": 2})
    assert answer["terminated_early"] is True
    assert answer["hits"]["total"] == {"value": 2, "relation": "eq"}
    whole = await filled.search("b", {"query": FOX, "terminate_after": 10})
    assert whole["terminated_early"] is False


async def test_a_post_filter_spares_the_aggregations(filled: Library) -> None:
    body = {"query": FOX, "post_filter": {"term": {"group": "b"}}, "aggs": {"g": {"terms": {"field": "group"}}}}
    answer = await filled.search("b", body)
    assert [hit["_id"] for hit in answer["hits"]["hits"]] == ["2"]
    assert [bucket["doc_count"] for bucket in answer["aggregations"]["g"]["buckets"]] == [2, 1]


async def test_collapse_keeps_the_best_of_each_group(filled: Library) -> None:
    answer = await filled.search("b", {"collapse": {"field": "group"}, "sort": [{"n": "desc"}]})
    hits = answer["hits"]["hits"]
    assert [hit["_id"] for hit in hits] == ["4", "3", "2"]
    assert [hit["fields"]["group"] for hit in hits] == [[None], ["a"], ["b"]]
    assert answer["hits"]["total"]["value"] == 4


async def test_inner_hits_show_the_members_of_a_group(filled: Library) -> None:
    inner = {"name": "rest", "size": 1, "sort": ["n"], "_source": ["n"]}
    answer = await filled.search(
        "b", {"query": FOX, "collapse": {"field": "group", "inner_hits": inner}, "sort": ["n"]}
    )
    first, second = answer["hits"]["hits"]
    group = first["inner_hits"]["rest"]["hits"]
    assert (group["total"]["value"], [hit["_source"] for hit in group["hits"]]) == (2, [{"n": 1}])
    assert second["inner_hits"]["rest"]["hits"]["total"]["value"] == 1


async def test_rescoring_reorders_the_window(filled: Library) -> None:
    rescore = {"window_size": 3, "query": {"rescore_query": {"term": {"n": 3}}, "rescore_query_weight": 10}}
    hits = (await filled.search("b", {"query": FOX, "rescore": rescore, "size": 1}))["hits"]["hits"]
    assert [hit["_id"] for hit in hits] == ["3"]
    assert hits[0]["_score"] > 10


async def test_scores_are_computed_for_sorted_hits_only_on_demand(filled: Library) -> None:
    plain = (await filled.search("b", {"query": FOX}))["hits"]
    expected = {hit["_id"]: hit["_score"] for hit in plain["hits"]}
    tracked = (await filled.search("b", {"query": FOX, "sort": ["n"], "track_scores": True}))["hits"]
    assert {hit["_id"]: hit["_score"] for hit in tracked["hits"]} == expected
    assert tracked["max_score"] == plain["max_score"]
    untracked = (await filled.search("b", {"query": FOX, "sort": ["n"]}))["hits"]
    assert (untracked["max_score"], untracked["hits"][0]["_score"]) == (None, None)


async def test_equal_scores_keep_the_order_of_writing_across_segments(books: Library) -> None:
    await books.add("b", [{"t": "same", "n": number} for number in range(30)], MAPPINGS, refresh_each=True)
    expected = [str(number) for number in range(1, 31)]
    assert await books.ids("b", {"match": {"t": "same"}}) == expected
    assert await books.ids("b", {"match_all": {}}) == expected
    first = await books.ids("b", {"match": {"t": "same"}}, size=5)
    second = await books.ids("b", {"match": {"t": "same"}}, size=5, **{"from": 5})
    assert first + second == expected[:10]
