from __future__ import annotations

from typing import Any

import pytest

from hanse.errors import IllegalArgumentError, ParsingError
from hanse.search.aggregation import parse_aggregations

DOCS = [
    {"tag": "a", "flag": 1, "price": 1.0},
    {"tag": "b", "flag": 0, "price": 2.0},
    {"tag": "c", "price": 4.0},
]
ON, A, B = {"term": {"flag": 1}}, {"term": {"tag": "a"}}, {"term": {"tag": "b"}}
TOTAL = {"total": {"sum": {"field": "price"}}}


def test_named_filters_with_the_rest(kit: Any) -> None:
    body = {"filters": {"filters": {"on": ON, "b": B}, "other_bucket_key": "rest"}, "aggs": TOTAL}
    answer = kit.run({"f": body}, DOCS[:1], DOCS[1:])["f"]
    assert answer == {
        "buckets": {
            "b": {"doc_count": 1, "total": {"value": 2.0}},
            "on": {"doc_count": 1, "total": {"value": 1.0}},
            "rest": {"doc_count": 1, "total": {"value": 4.0}},
        }
    }


def test_anonymous_filters_keep_their_order_and_have_no_key(kit: Any) -> None:
    answer = kit.run({"f": {"filters": {"filters": [B, A, {"match_all": {}}], "other_bucket": True}}}, DOCS)["f"]
    assert answer["buckets"] == [{"doc_count": 1}, {"doc_count": 1}, {"doc_count": 3}, {"doc_count": 0}]


def test_named_filters_as_a_list(kit: Any) -> None:
    answer = kit.run({"f": {"filters": {"filters": {"x": A}, "keyed": False}}}, DOCS)["f"]
    assert answer["buckets"] == [{"key": "x", "doc_count": 1}]


def test_empty_filters_are_refused(kit: Any) -> None:
    for empty in ({}, [], None):
        with pytest.raises(IllegalArgumentError, match=r"\[filters\] cannot be empty"):
            kit.run({"f": {"filters": {"filters": empty}}}, [])
    with pytest.raises(ParsingError):
        kit.run({"f": {"filter": []}}, [])


def test_filters_nest_under_buckets_and_hold_buckets(kit: Any) -> None:
    inner = {"t": {"terms": {"field": "tag"}, "aggs": {"on": {"filter": ON, "aggs": TOTAL}}}}
    answer = kit.run({"f": {"filter": {"match_all": {}}, "aggs": inner}}, DOCS)["f"]
    assert answer["doc_count"] == 3
    assert [b["on"] for b in answer["t"]["buckets"]] == [
        {"doc_count": 1, "total": {"value": 1.0}},
        {"doc_count": 0, "total": {"value": 0.0}},
        {"doc_count": 0, "total": {"value": 0.0}},
    ]


def test_an_adjacency_matrix_shows_what_overlaps(kit: Any) -> None:
    answer = kit.run({"m": {"adjacency_matrix": {"filters": {"on": ON, "a": A, "b": B}}}}, DOCS[:1], DOCS[1:])["m"]
    assert [(b["key"], b["doc_count"]) for b in answer["buckets"]] == [("a", 1), ("a&on", 1), ("b", 1), ("on", 1)]


def test_missing(kit: Any) -> None:
    assert kit.run({"m": {"missing": {"field": "flag"}}}, DOCS)["m"] == {"doc_count": 1}
    assert kit.run({"m": {"missing": {"field": "nope"}}}, DOCS)["m"] == {"doc_count": 3}
    assert kit.run({"m": {"missing": {"field": "nope", "missing": 1}}}, DOCS)["m"] == {"doc_count": 0}


def test_global_sees_past_the_query_but_not_past_what_is_visible(kit: Any) -> None:
    shard = kit.Shard(DOCS)
    query = shard.compile_query(A)
    answer = kit.run({"g": {"global": {}, "aggs": TOTAL}, "own": {"sum": {"field": "price"}}}, shard, query=query)
    assert answer == {"g": {"doc_count": 3, "total": {"value": 7.0}}, "own": {"value": 1.0}}


def test_nested_passes_documents_through(kit: Any) -> None:
    inner = {"back": {"reverse_nested": {}, "aggs": TOTAL}}
    answer = kit.run({"n": {"nested": {"path": "items"}, "aggs": inner}}, DOCS)["n"]
    assert answer == {"doc_count": 3, "back": {"doc_count": 3, "total": {"value": 7.0}}}


def test_the_queries_of_a_plan_can_be_replaced(kit: Any) -> None:
    lookup = {"terms": {"tag": {"index": "other", "id": "1", "path": "tags"}}}
    inner = {"m": {"adjacency_matrix": {"filters": {"x": lookup}}}, "t": {"terms": {"field": "tag"}}}
    plan = parse_aggregations({"fs": {"filters": {"filters": [A, lookup]}, "aggs": inner}, "f": {"filter": lookup}})
    assert plan.queries == [A, lookup, lookup, lookup]
    resolved = plan.with_queries([B if query is lookup else query for query in plan.queries])
    assert resolved.queries == [A, B, B, B]
    assert plan.queries == [A, lookup, lookup, lookup]
