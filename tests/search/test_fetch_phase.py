"""How hits look: members, their order, source filters, fields, ignored values, explanations."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from tests.search.searching import Library

from hanse.errors import SearchPhaseExecutionError
from hanse.index.writing import WriteOp

MAPPINGS = {
    "properties": {
        "k": {"type": "keyword", "ignore_above": 5},
        "n": {"type": "integer"},
        "d": {"type": "double"},
        "day": {"type": "date", "format": "yyyy-MM-dd||epoch_millis"},
        "ip": {"type": "ip"},
        "on": {"type": "boolean"},
        "t": {"type": "text", "store": True, "fields": {"raw": {"type": "keyword"}}},
        "o": {"properties": {"x": {"type": "long"}}},
        "loose": {"type": "integer", "ignore_malformed": True},
    }
}
DOCUMENT = {
    "k": ["b", "a", "b", "too long"],
    "n": "7",
    "d": 1,
    "day": "2020-02-03",
    "ip": "::ffff:10.0.0.1",
    "on": "true",
    "t": "Some Text",
    "o": [{"x": 1}, {"x": [2, 3]}],
    "free": {"form": "v"},
}


@pytest.fixture
async def filled(books: Library) -> Library:
    await books.add("b", [DOCUMENT], MAPPINGS)
    return books


async def hit_of(books: Library, body: dict[str, Any], **parameters: Any) -> dict[str, Any]:
    (hit,) = (await books.search("b", body, **parameters))["hits"]["hits"]
    assert isinstance(hit, dict)
    return hit


async def test_source_is_the_bytes_that_came_in(books: Library) -> None:
    await books.node.create("b", MAPPINGS)
    shard = books.indices.get("b").shards[0]
    source = b'{ "n" :  1.0e0,\n "k":"\\u0061" }'
    await shard.write([WriteOp("index", "1", source)])
    await shard.refresh()
    (hit,) = (await books.run(books.request("b"))).hits
    assert source in hit.json
    assert orjson.loads(hit.json)["_id"] == "1"


async def test_members_and_their_order(filled: Library) -> None:
    body = {
        "version": True,
        "seq_no_primary_term": True,
        "fields": ["n"],
        "sort": ["n"],
        "highlight": {"fields": {"t": {}}},
    }
    body["query"] = {"match": {"t": {"query": "text", "_name": "q"}}}
    hit = await hit_of(filled, body)
    assert list(hit) == [
        "_index", "_id", "_version", "_seq_no", "_primary_term", "_score", "_ignored", "_source", "fields", "highlight",
        "sort", "matched_queries",
    ]  # fmt: skip
    assert (hit["_version"], hit["_seq_no"], hit["_primary_term"]) == (1, 0, 1)


async def test_source_filters(filled: Library) -> None:
    assert "_source" not in await hit_of(filled, {"_source": False})
    assert (await hit_of(filled, {"_source": ["n", "o.*"]}))["_source"] == {"n": "7", "o": DOCUMENT["o"]}
    assert set((await hit_of(filled, {}, _source_excludes="t,o,k,free"))["_source"]) == {"n", "d", "day", "ip", "on"}
    assert (await hit_of(filled, {}, _source="n"))["_source"] == {"n": "7"}


async def test_fields_are_written_by_type(filled: Library) -> None:
    fields = (await hit_of(filled, {"fields": ["*"], "_source": False}))["fields"]
    assert fields == {
        "k": ["b", "a", "b"],
        "n": [7],
        "d": [1.0],
        "day": ["2020-02-03"],
        "ip": ["10.0.0.1"],
        "on": [True],
        "t": ["Some Text"],
        "t.raw": ["Some Text"],
        "o.x": [1, 2, 3],
        "free.form": ["v"],
        "free.form.keyword": ["v"],
    }
    dates = (await hit_of(filled, {"fields": [{"field": "day", "format": "epoch_millis"}]}))["fields"]
    assert dates == {"day": ["1580688000000"]}


async def test_docvalue_fields_are_columns(filled: Library) -> None:
    body = {"docvalue_fields": ["k", "o.x", {"field": "n", "format": "#.0"}, {"field": "day", "format": "yyyy"}]}
    assert (await hit_of(filled, body))["fields"] == {"k": ["a", "b"], "o.x": [1, 2, 3], "n": ["7.0"], "day": ["2020"]}
    with pytest.raises(SearchPhaseExecutionError) as failed:
        await filled.search("b", {"docvalue_fields": ["t"]})
    assert failed.value.root_causes[0].reason.startswith("Text fields are not optimised")


async def test_stored_fields_take_the_place_of_the_source(filled: Library) -> None:
    hit = await hit_of(filled, {"stored_fields": ["t", "n"]})
    assert hit["fields"] == {"t": ["Some Text"]}
    assert "_source" not in hit
    assert "_source" in await hit_of(filled, {"stored_fields": ["_source"]})
    bare = await hit_of(filled, {"stored_fields": "_none_"})
    assert list(bare) == ["_index", "_score"]


async def test_ignored_values_are_named(filled: Library) -> None:
    assert (await hit_of(filled, {}))["_ignored"] == ["k"]
    await filled.indices.get("b").shards[0].write([WriteOp("index", "1", b'{"n":1,"loose":"x"}')])
    await filled.indices.get("b").shards[0].refresh()
    assert (await hit_of(filled, {}))["_ignored"] == ["loose"]


async def test_routing_is_shown(books: Library) -> None:
    await books.add("b", [{"n": 1, "_routing": "r"}], MAPPINGS)
    assert (await hit_of(books, {}))["_routing"] == "r"


async def test_explanations_give_the_score(filled: Library) -> None:
    hit = await hit_of(filled, {"query": {"match": {"t": "text"}}, "explain": True})
    assert hit["_shard"] == "[b][0]"
    assert hit["_explanation"]["value"] == pytest.approx(hit["_score"])
    assert hit["_explanation"]["details"]


async def test_fields_without_a_source(books: Library) -> None:
    await books.add("b", [{"n": 1}], {"_source": {"enabled": False}, **MAPPINGS})
    assert "_source" not in await hit_of(books, {})
    with pytest.raises(SearchPhaseExecutionError) as failed:
        await books.search("b", {"fields": ["n"]})
    assert failed.value.root_causes[0].reason.endswith("since _source is disabled in the mappings for index [b]")
