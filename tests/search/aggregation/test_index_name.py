"""Aggregations on `_index`: one value for every document of a shard, known without reading any."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.search.searching import Library

from hanse.errors import SearchPhaseExecutionError


@pytest.fixture
async def shelves(books: Library) -> Library:
    await books.add("a", [{"n": number, "tag": ["x", "y"][number % 2]} for number in range(6)], shards=2)
    await books.add("b", [{"n": number, "tag": "y", "at": "2024-01-02"} for number in range(3)])
    await books.add("empty", [])
    return books


async def aggregate(books: Library, definition: dict[str, Any], index: str = "", **body: Any) -> Any:
    answer = await books.search(index, {"size": 0, "aggs": {"it": definition}, **body})
    assert answer["_shards"]["failed"] == 0
    return answer["aggregations"]["it"]


def counts(answer: dict[str, Any]) -> list[tuple[Any, int]]:
    return [(bucket["key"], bucket["doc_count"]) for bucket in answer["buckets"]]


async def test_terms_name_the_indices_that_have_matches(shelves: Library) -> None:
    terms = {"terms": {"field": "_index"}}
    assert counts(await aggregate(shelves, terms)) == [("a", 6), ("b", 3)]
    assert counts(await aggregate(shelves, terms, query={"term": {"tag.keyword": "x"}})) == [("a", 3)]
    assert counts(await aggregate(shelves, {"terms": {"field": "_index", "order": {"_key": "desc"}}})) == [
        ("b", 3),
        ("a", 6),
    ]
    assert counts(await aggregate(shelves, {"terms": {"field": "_index", "include": "b.*"}})) == [("b", 3)]
    assert counts(await aggregate(shelves, {"terms": {"field": "_index", "exclude": ["b"]}})) == [("a", 6)]
    assert counts(await aggregate(shelves, {"rare_terms": {"field": "_index", "max_doc_count": 4}})) == [("b", 3)]


async def test_terms_without_matches_are_shown_where_asked(shelves: Library) -> None:
    terms = {"terms": {"field": "_index", "min_doc_count": 0}}
    assert counts(await aggregate(shelves, terms, query={"range": {"at": {"gte": "2024-01-01"}}})) == [
        ("b", 3),
        ("a", 0),
    ]


async def test_buckets_below_and_above(shelves: Library) -> None:
    below = await aggregate(
        shelves,
        {"terms": {"field": "_index"}, "aggs": {"top": {"max": {"field": "n"}}, "tags": {"terms": {"field": "tag"}}}}
        | {"aggs": {"top": {"max": {"field": "n"}}, "tags": {"terms": {"field": "tag.keyword"}}}},
    )
    assert [bucket["top"]["value"] for bucket in below["buckets"]] == [5, 2]
    assert [counts(bucket["tags"]) for bucket in below["buckets"]] == [[("x", 3), ("y", 3)], [("y", 3)]]
    above = await aggregate(
        shelves, {"terms": {"field": "tag.keyword"}, "aggs": {"where": {"terms": {"field": "_index"}}}}
    )
    assert [
        (key, counts(bucket["where"])) for (key, _), bucket in zip(counts(above), above["buckets"], strict=True)
    ] == [
        ("y", [("a", 3), ("b", 3)]),
        ("x", [("a", 3)]),
    ]


async def test_metrics(shelves: Library) -> None:
    assert await aggregate(shelves, {"cardinality": {"field": "_index"}}) == {"value": 2}
    assert await aggregate(shelves, {"value_count": {"field": "_index"}}) == {"value": 9}
    assert await aggregate(shelves, {"missing": {"field": "_index"}}) == {"doc_count": 0}
    assert await aggregate(shelves, {"filter": {"term": {"_index": "a"}}}) == {"doc_count": 6}
    assert await aggregate(shelves, {"filter": {"prefix": {"_index": "b"}}}) == {"doc_count": 3}
    with pytest.raises(SearchPhaseExecutionError, match="all shards failed"):
        await aggregate(shelves, {"avg": {"field": "_index"}})


async def test_multi_terms(shelves: Library) -> None:
    by_both = {"multi_terms": {"terms": [{"field": "_index"}, {"field": "tag.keyword"}]}}
    assert counts(await aggregate(shelves, by_both)) == [(["a", "x"], 3), (["a", "y"], 3), (["b", "y"], 3)]
    with_none = {"multi_terms": {"terms": [{"field": "none", "missing": "-"}, {"field": "_index"}]}}
    assert counts(await aggregate(shelves, with_none)) == [(["-", "a"], 6), (["-", "b"], 3)]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize(
    "fields", [["_index"], ["_index", "tag.keyword"], ["tag.keyword", "_index"], ["tag.keyword", "_index", "n"]]
)
async def test_composite_pages_visit_every_key_once(shelves: Library, fields: list[str], order: str) -> None:
    sources = [{name: {"terms": {"field": name, "order": order}}} for name in fields]
    whole = counts(await aggregate(shelves, {"composite": {"size": 100, "sources": sources}}))
    assert sum(docs for _, docs in whole) == 9
    paged: list[tuple[Any, int]] = []
    after: dict[str, Any] = {}
    while True:
        page = await aggregate(shelves, {"composite": {"size": 1, "sources": sources, **after}})
        if not page["buckets"]:
            break
        paged += counts(page)
        after = {"after": page["after_key"]}
    assert paged == whole


async def test_inside_a_bucket_documents_are_counted_and_not_their_values(books: Library) -> None:
    await books.add("a", [{"n": [1, 2, 7]}, {"n": 2}, {"n": [2, 3]}])
    below = {"aggs": {"where": {"terms": {"field": "_index"}}}}
    for outer in (
        {"histogram": {"field": "n", "interval": 5}},
        {"range": {"field": "n", "ranges": [{"to": 5}, {"from": 5}]}},
        {"composite": {"sources": [{"n": {"histogram": {"field": "n", "interval": 5}}}]}},
    ):
        found = await aggregate(books, {**outer, **below})
        assert [counts(bucket["where"]) for bucket in found["buckets"]] == [[("a", 3)], [("a", 1)]]


async def test_of_a_remote_cluster_the_name_has_the_alias(shelves: Library) -> None:
    request = shelves.request("b", {"size": 1, "sort": ["_index"], "aggs": {"i": {"terms": {"field": "_index"}}}})
    result = await shelves.run(msgspec.structs.replace(request, cluster_alias="berlin"))
    assert result.aggregations is not None
    assert [row[:2] for row in result.aggregations["i"]["buckets"]] == [["berlin:b", 3]]
    assert result.hits[0].sort == ("berlin:b",)
