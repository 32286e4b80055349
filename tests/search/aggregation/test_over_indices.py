"""Aggregations in whole searches: real mappings, several shards and indices, rights, hits in buckets."""

from __future__ import annotations

from typing import Any

import pytest
from tests.search.searching import Library

from hanse.errors import SearchPhaseExecutionError
from hanse.transport.actions import Access, FieldRule

MAPPINGS = {
    "properties": {
        "product": {"type": "keyword"},
        "price": {"type": "scaled_float", "scaling_factor": 100},
        "sold": {"type": "date", "format": "yyyy-MM-dd"},
        "client": {"type": "ip"},
        "labels": {"type": "flattened"},
        "note": {"type": "text", "fields": {"raw": {"type": "keyword"}}},
        "paid": {"type": "boolean"},
        "hidden_total": {"type": "keyword", "doc_values": False},
    }
}
SALES = [
    {
        "product": ["lamp", "desk", "lamp", "rug"][number % 4],
        "price": 10 + number * 0.25,
        "sold": f"2024-0{1 + number % 3}-1{number % 9}",
        "client": f"10.0.{number % 2}.{number}",
        "labels": {"region": ["north", "south"][number % 2], "tier": "one"},
        "note": f"sale {number % 2}",
        "paid": number % 3 > 0,
    }
    for number in range(24)
]


async def aggregate(books: Library, aggs: dict[str, Any], index: str = "sales", **body: Any) -> dict[str, Any]:
    answer = await books.search(index, {"size": 0, "aggs": aggs, **body})
    assert answer["_shards"]["failed"] == 0
    return answer["aggregations"]


def counts(answer: dict[str, Any]) -> list[tuple[Any, int]]:
    return [(bucket.get("key_as_string", bucket["key"]), bucket["doc_count"]) for bucket in answer["buckets"]]


async def test_any_number_of_shards_answers_the_same(books: Library) -> None:
    aggs = {
        "products": {
            "terms": {"field": "product", "order": {"takings": "desc"}},
            "aggs": {
                "takings": {"sum": {"field": "price"}},
                "months": {"date_histogram": {"field": "sold", "calendar_interval": "month", "format": "yyyy-MM"}},
                "regions": {"terms": {"field": "labels.region"}},
                "paid": {"filter": {"term": {"paid": True}}, "aggs": {"best": {"max": {"field": "price"}}}},
            },
        },
        "nets": {"ip_range": {"field": "client", "ranges": [{"mask": "10.0.0.0/24"}, {"mask": "10.0.1.0/24"}]}},
        "notes": {"terms": {"field": "note.raw"}},
        "spread": {"percentiles": {"field": "price", "percents": [0, 50, 100]}},
        "clients": {"cardinality": {"field": "client"}},
    }
    await books.add("sales", SALES, MAPPINGS)
    await books.add("parted", SALES, MAPPINGS, shards=4, refresh_each=True)
    whole = await aggregate(books, aggs)
    assert await aggregate(books, aggs, "parted") == whole
    assert [bucket["key"] for bucket in whole["products"]["buckets"]] == ["lamp", "rug", "desk"]
    assert counts(whole["products"]["buckets"][0]["months"]) == [("2024-01", 4), ("2024-02", 4), ("2024-03", 4)]
    assert counts(whole["products"]["buckets"][0]["regions"]) == [("north", 12)]
    assert counts(whole["nets"]) == [("10.0.0.0/24", 12), ("10.0.1.0/24", 12)]
    assert whole["spread"]["values"] == {"0.0": 10.0, "50.0": 12.875, "100.0": 15.75}
    assert whole["clients"] == {"value": 24}


async def test_a_query_narrows_and_a_post_filter_does_not(books: Library) -> None:
    await books.add("sales", SALES, MAPPINGS)
    aggs = {"p": {"terms": {"field": "product"}}, "all": {"global": {}}}
    answer = await aggregate(books, aggs, query={"term": {"paid": True}}, post_filter={"term": {"product": "rug"}})
    assert (sum(count for _, count in counts(answer["p"])), answer["all"]["doc_count"]) == (16, 24)


async def test_indices_where_a_field_is_not_mapped_add_nothing(books: Library) -> None:
    await books.add("sales", SALES, MAPPINGS)
    await books.add("other", [{"product": "lamp"}], {"properties": {"product": {"type": "keyword"}}})
    answer = await aggregate(
        books, {"s": {"stats": {"field": "price"}}, "d": {"max": {"field": "sold"}}}, "sales,other"
    )
    assert answer["s"]["count"] == 24
    assert answer["d"]["value_as_string"] == "2024-03-18"


async def test_top_hits_are_hits(books: Library) -> None:
    await books.add("sales", SALES, MAPPINGS, shards=3)
    hits = {"top_hits": {"size": 2, "sort": [{"price": "desc"}], "_source": ["price"]}}
    answer = await aggregate(books, {"p": {"terms": {"field": "product", "size": 1}, "aggs": {"best": hits}}})
    found = answer["p"]["buckets"][0]["best"]["hits"]
    assert found["total"] == {"value": 12, "relation": "eq"}
    assert [hit["_source"] for hit in found["hits"]] == [{"price": 15.5}, {"price": 15.0}]
    assert {hit["_index"] for hit in found["hits"]} == {"sales"}


async def test_dates_relative_to_now(books: Library) -> None:
    await books.add("sales", [{"sold": "2020-09-13"}, {"sold": "1999-01-01"}], MAPPINGS)
    body = {"field": "sold", "ranges": [{"to": "now-10y/y"}, {"from": "now-100y"}]}
    assert [count for _, count in counts((await aggregate(books, {"r": {"date_range": body}}))["r"])] == [1, 2]


async def test_what_fails_names_its_reason(books: Library) -> None:
    await books.add("sales", SALES, MAPPINGS)
    for field, reason in (
        ("note", "Fielddata is disabled on [note] in [sales]"),
        ("hidden_total", "Can't load fielddata on [hidden_total] because fielddata is unsupported on fields of type"),
    ):
        with pytest.raises(SearchPhaseExecutionError) as caught:
            await aggregate(books, {"t": {"terms": {"field": field}}})
        assert any(reason in cause.reason for cause in caught.value.root_causes)


async def test_hidden_fields_look_unmapped_and_hidden_documents_do_not_count(books: Library) -> None:
    await books.add("sales", SALES, MAPPINGS)
    aggs = {"p": {"terms": {"field": "product"}}, "s": {"sum": {"field": "price"}}, "g": {"global": {}}}
    rugs = {"term": {"product": "rug"}}
    books.access["sales"] = Access(documents=((rugs,),), fields=((FieldRule(grant=("product",)),),))
    answer = await aggregate(books, aggs)
    assert counts(answer["p"]) == [("rug", 6)]
    assert (answer["s"], answer["g"]) == ({"value": 0.0}, {"doc_count": 6})
