"""A profile tells what was measured, where, and no more than the caller may know."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.search.searching import ALICE, Library

from hanse.errors import SecurityError
from hanse.search.profile import timed
from hanse.transport.actions import Access

DOCUMENTS = [{"n": number, "tag": ["x", "y"][number % 2], "secret": number % 3} for number in range(12)]
BODY = {
    "profile": True,
    "query": {"bool": {"filter": [{"range": {"n": {"gte": 2}}}]}},
    "sort": ["n"],
    "aggs": {
        "tags": {"terms": {"field": "tag.keyword"}, "aggs": {"m": {"max": {"field": "n"}}}},
        "s": {"sum": {"field": "n"}},
    },
}


async def profile(books: Library, body: Any, index: str = "a") -> list[dict[str, Any]]:
    answer = await books.search(index, body)
    shards: list[dict[str, Any]] = answer["profile"]["shards"]
    return shards


async def test_each_shard_tells_its_times(books: Library) -> None:
    await books.add("a", DOCUMENTS, shards=2)
    shards = await profile(books, BODY)
    assert [shard["id"] for shard in shards] == ["[n1][a][0]", "[n1][a][1]"]
    for shard in shards:
        assert (shard["node_id"], shard["index"], shard["cluster"]) == ("n1", "a", "(local)")
        (search,) = shard["searches"]
        (query,), (collector,) = search["query"], search["collector"]
        assert search["rewrite_time"] > 0
        assert query["description"] == '{"bool":{"filter":[{"range":{"n":{"gte":2}}}]}}'
        assert query["type"].endswith("Query")
        assert "children" not in query
        hits, aggregations = collector["children"]
        assert (hits["reason"], aggregations["reason"]) == ("search_sorted", "aggregation")
        assert hits["time_in_nanos"] == query["time_in_nanos"] > 0
        # A part cannot have taken longer than the whole.
        assert collector["time_in_nanos"] >= hits["time_in_nanos"] + aggregations["time_in_nanos"]
        assert [(one["type"], one["description"]) for one in shard["aggregations"]] == [
            ("TermsAggregator", "tags"),
            ("SumAggregator", "s"),
        ]
        assert sum(one["time_in_nanos"] for one in shard["aggregations"]) == aggregations["time_in_nanos"]
        assert shard["fetch"]["time_in_nanos"] > 0
        for breakdown in (query["breakdown"], shard["fetch"]["breakdown"], shard["aggregations"][0]["breakdown"]):
            assert set(breakdown.values()) == {0}
            assert {f"{step}_count" for step in breakdown if not step.endswith("_count")} <= set(breakdown)


async def test_the_answer_is_the_same_with_a_profile(books: Library) -> None:
    await books.add("a", DOCUMENTS, shards=2)
    with_profile = await books.search("a", BODY)
    without = await books.search("a", {**BODY, "profile": False})
    assert "profile" not in without
    assert with_profile["aggregations"] == without["aggregations"]
    assert with_profile["hits"] == without["hits"]


async def test_counting_has_no_fetch(books: Library) -> None:
    await books.add("a", DOCUMENTS)
    (shard,) = await profile(books, {"profile": True, "size": 0})
    (search,) = shard["searches"]
    assert search["query"][0]["description"] == '{"match_all":{}}'
    assert [part["reason"] for part in search["collector"][0]["children"]] == ["search_count"]
    assert "fetch" not in shard
    assert shard["aggregations"] == []


async def test_under_document_level_security_nothing_is_profiled(books: Library) -> None:
    await books.add("a", DOCUMENTS)
    await books.add("b", DOCUMENTS)
    books.access["a"] = Access(documents=(({"term": {"secret": 1}},),))
    with pytest.raises(SecurityError, match="cannot be profiled if document level security is enabled") as refused:
        await profile(books, {"profile": True}, "a,b")
    assert refused.value.status == 400
    assert len(await profile(books, {"profile": True}, "b")) == 1


async def test_the_filter_of_an_alias_is_not_shown(books: Library) -> None:
    await books.add("a", DOCUMENTS)
    books.filters["a"] = ({"term": {"secret": 1}},)
    (shard,) = await profile(books, {"profile": True, "query": {"term": {"tag.keyword": "x"}}})
    (query,) = shard["searches"][0]["query"]
    assert (query["type"], query["description"]) == ("TermQuery", '{"term":{"tag.keyword":"x"}}')


async def test_of_a_remote_cluster_the_alias_is_in_the_id(books: Library) -> None:
    await books.add("a", DOCUMENTS)
    request = msgspec.structs.replace(books.request("a", {"profile": True}), cluster_alias="berlin")
    result = await books.run(request, ALICE)
    assert result.profile is not None
    assert [(shard["id"], shard["index"], shard["cluster"]) for shard in result.profile] == [
        ("[n1][berlin:a][0]", "a", "berlin")
    ]


def test_timing() -> None:
    outcome, nanos = timed(lambda: "done")
    assert outcome == "done"
    assert nanos > 0
