from __future__ import annotations

from typing import Any

import pytest
import tantivy

from hanse.errors import IllegalArgumentError
from hanse.search.aggregation import CollectContext, collect, finish, merge_partials, parse_aggregations


def hits(answer: dict[str, Any]) -> list[Any]:
    return [hit["sort"][0] for hit in answer["hits"]["hits"]]


def test_the_best_of_each_bucket_over_shards(kit: Any) -> None:
    docs = [{"tag": tag, "count": n} for n, tag in enumerate("abababab")]
    body = {"top_hits": {"size": 2, "sort": [{"count": "desc"}]}}
    aggs = {"t": {"terms": {"field": "tag"}, "aggs": {"h": body}}}
    for parts in ([docs], [docs[:3], docs[3:]], [docs[5:], docs[:2], docs[2:5]]):
        first, second = kit.run(aggs, *parts)["t"]["buckets"]
        assert (hits(first["h"]), hits(second["h"])) == ([6, 4], [7, 5])
        assert first["h"]["hits"]["total"] == {"value": 4, "relation": "eq"}


def test_paging_and_directions(kit: Any) -> None:
    docs = [{"count": n} for n in range(8)]
    body = {"top_hits": {"size": 2, "from": 1, "sort": [{"count": "asc"}]}}
    assert hits(kit.run({"h": body}, docs[::2], docs[1::2])["h"]) == [1, 2]


def test_joining_does_not_depend_on_the_order_of_shards() -> None:
    plan = parse_aggregations({"h": {"top_hits": {"size": 3, "sort": ["price", {"_score": {}}]}}})
    parts = [
        {
            "h": {
                "total": 2,
                "relation": "eq",
                "max_score": 1.0,
                "hits": [[[1, 0.5], b'"a"', 0], [[None, 9.0], b'"n"', 1]],
            }
        },
        {
            "h": {
                "total": 9,
                "relation": "gte",
                "max_score": None,
                "hits": [[[1, 2.0], b'"b"', 0], [[1, 0.5], b'"c"', 1]],
            }
        },
    ]
    one, other = (finish(plan, merge_partials(plan, order)) for order in (parts, parts[::-1]))
    assert one == other
    assert one["h"]["hits"] == {
        "total": {"value": 11, "relation": "gte"},
        "max_score": 1.0,
        "hits": ["b", "a", "c"],
    }


def test_the_window_is_bounded() -> None:
    with pytest.raises(IllegalArgumentError, match=r"must be less than or equal to: \[100\] but was \[101\]"):
        parse_aggregations({"h": {"top_hits": {"size": 100, "from": 1}}})


def test_without_a_renderer_it_is_refused(kit: Any) -> None:
    shard = kit.Shard([])
    everything = tantivy.Query.all_query()
    with pytest.raises(IllegalArgumentError, match=r"\[top_hits\] aggregation \[h\] is not supported"):
        collect(
            parse_aggregations({"h": {"top_hits": {}}}),
            searcher=shard.searcher,
            schema=shard.index.schema,
            query=everything,
            mapping=shard.mapping,
            compile_query=shard.compile_query,
            context=CollectContext(index="logs", global_query=everything),
        )
