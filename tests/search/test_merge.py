"""The law of merging: any partition of the documents over shards and clusters gives what one shard would give."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.search.searching import Library, library
from tests.search.test_sorting import MAPPINGS, made_documents

from hanse.errors import IllegalArgumentError
from hanse.search.merge import merge, render, render_count
from hanse.search.request import Hit, SearchRequest, SearchResult, ShardFailure

BODIES: list[dict[str, Any]] = [
    {"sort": [{"k": "asc"}, {"number": "desc"}], "size": 7},
    {"sort": [{"n": {"order": "desc", "missing": "_first"}}, "d", "number"], "from": 5, "size": 11},
    {"sort": ["number"], "search_after": [40], "size": 9},
    {"query": {"terms": {"k": ["a", "ab"]}}, "sort": [{"day": "desc"}, "number"], "size": 100},
    {"query": {"range": {"n": {"gte": 0}}}, "sort": [{"ip": "desc"}, "number"], "track_total_hits": 13},
    {"sort": ["number"], "track_total_hits": False, "size": 3},
    {"size": 0, "track_total_hits": True},
    {
        "size": 0,
        "aggs": {
            "by": {
                "terms": {"field": "k"},
                "aggs": {"sum": {"sum": {"field": "d"}}, "days": {"cardinality": {"field": "day"}}},
            }
        },
    },
    {"sort": ["number"], "collapse": {"field": "k"}, "size": 4},
]


def without_names(answer: dict[str, Any]) -> dict[str, Any]:
    """What must be equal: everything but times, shard counts and the indices' names."""
    hits = answer["hits"]
    return {
        "total": hits.get("total"),
        "max_score": hits["max_score"],
        "hits": [{key: value for key, value in hit.items() if key != "_index"} for hit in hits["hits"]],
        "aggregations": answer.get("aggregations"),
    }


async def answer_of_clusters(books: Library, names: list[list[str]], request: SearchRequest) -> dict[str, Any]:
    """What a coordinator does with clusters: one sub-request each, carried over the wire, merged once."""
    results = []
    for number, indices in enumerate(names):
        sub = msgspec.structs.replace(
            request, indices=tuple(indices), final_reduce=False, cluster_alias=f"c{number}" if number else ""
        )
        carried = msgspec.msgpack.decode(msgspec.msgpack.encode(sub), type=SearchRequest)
        result = await books.run(carried)
        results.append(msgspec.msgpack.decode(msgspec.msgpack.encode(result), type=SearchResult))
    return orjson.loads(render(merge(results, request), request))


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_any_partition_gives_the_answer_of_one_shard(tmp_path: Path, seed: int) -> None:
    documents = made_documents(75, seed)
    for number, document in enumerate(documents):
        document["number"] = number
    mappings = {"properties": {**MAPPINGS["properties"], "number": {"type": "long"}}}
    source = Random(seed)
    parts: list[list[dict[str, Any]]] = [[] for _ in range(4)]
    for document in documents:
        source.choice(parts).append(document)
    async with library(tmp_path) as books:
        await books.add("whole", documents, mappings)
        await books.add("wide", documents, mappings, shards=3)
        for number, part in enumerate(parts):
            await books.add(f"part{number}", part, mappings, refresh_each=number == 1)
        for body in BODIES:
            whole = without_names(await books.search("whole", body))
            assert without_names(await books.search("wide", body)) == whole, body
            assert without_names(await books.search("part*", body)) == whole, body
            request = books.request("whole", body)
            clusters = [["part0"], ["part1", "part2"], ["part3"]]
            assert without_names(await answer_of_clusters(books, clusters, request)) == whole, body


async def test_hits_of_a_remote_cluster_carry_its_alias(books: Library) -> None:
    await books.add("a", [{"x": 1}])
    request = SearchRequest(indices=("a",), cluster_alias="berlin")
    (hit,) = orjson.loads(render(await books.run(request), request))["hits"]["hits"]
    assert hit["_index"] == "berlin:a"


def result(*scores: float, index: str = "i", cluster: str = "", total: int | None = None, **more: Any) -> SearchResult:
    hits = [
        Hit(orjson.dumps([index, cluster, rank]), score, (), index, 0, rank, cluster)
        for rank, score in enumerate(scores)
    ]
    count = len(scores) if total is None else total
    return SearchResult(
        hits=hits, total=count, max_score=max(scores, default=None), total_shards=1, successful=1, **more
    )


@given(st.lists(st.lists(st.sampled_from([0.5, 1.0, 2.0]), max_size=5), min_size=1, max_size=4), st.data())
def test_the_order_of_results_does_not_matter(scores: list[list[float]], data: st.DataObject) -> None:
    results = [result(*sorted(part, reverse=True), index=f"i{n}") for n, part in enumerate(scores)]
    request = SearchRequest(from_=1, size=3)
    expected = [hit.json for hit in merge(results, request).hits]
    shuffled = data.draw(st.permutations(results))
    assert [hit.json for hit in merge(shuffled, request).hits] == expected


def test_equal_hits_come_by_index_and_the_local_cluster_first() -> None:
    merged = merge([result(1.0, cluster="b"), result(1.0), result(1.0, index="h", cluster="z")], SearchRequest())
    assert [(hit.index, hit.cluster) for hit in merged.hits] == [("h", "z"), ("i", ""), ("i", "b")]


def test_sums_and_caps() -> None:
    merged = merge([result(1.0, total=7000), result(2.0, total=6000), result()], SearchRequest())
    assert (merged.total, merged.relation, merged.max_score) == (10_000, "gte", 2.0)
    assert (merged.total_shards, merged.successful, merged.num_reduce_phases) == (3, 3, 4)
    exact = merge([result(total=7000), result(total=6000)], SearchRequest(track_total_hits=True))
    assert (exact.total, exact.relation) == (13_000, "eq")
    untracked = merge([result(total=7)], SearchRequest(track_total_hits=False))
    assert b'"total"' not in render(untracked, SearchRequest(track_total_hits=False)).partition(b'"hits"')[2]


def test_the_rendered_answer() -> None:
    failure = ShardFailure(2, "i", {"type": "x", "reason": "y"})
    one = result(1.5)
    one.failures, one.failed, one.total_shards, one.took_ms = [failure, failure], 2, 3, 12
    one.clusters = {"total": 1}
    answer = orjson.loads(render(one, SearchRequest()))
    assert list(answer) == ["took", "timed_out", "_shards", "_clusters", "hits"]
    assert answer["_shards"] == {
        "total": 3,
        "successful": 1,
        "skipped": 0,
        "failed": 2,
        "failures": [{"shard": 2, "index": "i", "reason": {"type": "x", "reason": "y"}}],
    }
    assert answer["hits"]["total"] == {"value": 1, "relation": "eq"}
    assert orjson.loads(render(one, SearchRequest(total_hits_as_int=True)))["hits"]["total"] == 1
    assert orjson.loads(render(one, SearchRequest(), status=200))["status"] == 200
    assert orjson.loads(render_count(one))["count"] == 1


def test_texts_and_numbers_cannot_be_sorted_together() -> None:
    request = SearchRequest(sort="f")
    texts = SearchResult(hits=[Hit(b"{}", None, ("a",), "i", 0, 0)], sort_kinds=("string",))
    numbers = SearchResult(hits=[Hit(b"{}", None, (1,), "j", 0, 0)], sort_kinds=("long",))
    with pytest.raises(IllegalArgumentError, match=r"Can't sort on field \[f\]; the field has incompatible sort types"):
        merge([texts, numbers], request)
