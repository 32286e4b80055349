"""Every query type on exact values and compounds: what matches, what it scores, what is refused."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest
from tests.search.searching import Library

from hanse.errors import HanseError, IllegalArgumentError, ParsingError, SearchPhaseExecutionError
from hanse.index import slots
from hanse.index.mapping import Mapping
from hanse.search.query.context import QueryContext

MAPPINGS = {
    "properties": {
        "title": {"type": "text", "fields": {"raw": {"type": "keyword"}}},
        "tag": {"type": "keyword"},
        "low": {"type": "keyword", "normalizer": "lowercase"},
        "n": {"type": "integer"},
        "price": {"type": "double"},
        "day": {"type": "date"},
        "ip": {"type": "ip"},
        "on": {"type": "boolean"},
        "user": {"properties": {"name": {"type": "keyword"}, "age": {"type": "long"}}},
        "items": {"type": "nested", "properties": {"k": {"type": "keyword"}}},
        "labels": {"type": "flattened"},
        "other_tag": {"type": "alias", "path": "tag"},
    }
}
DOCUMENTS: list[dict[str, Any]] = [
    {"title": "quick brown fox", "tag": "a", "low": "ABC", "n": 1, "price": 1.5, "day": "2020-01-01", "ip": "10.0.0.1"},
    {"title": "lazy dog", "tag": ["b", "c"], "low": "abd", "n": 2, "price": 2.5, "day": "2020-06-15", "ip": "10.0.1.1"},
    {"title": "brown dog", "tag": "ab", "n": 3, "day": "2021-01-01", "on": True, "ip": "2001:db8::1"},
    {"user": {"name": "kim", "age": 30}, "n": 4, "on": False, "labels": {"team": "red", "size": "7"}},
    {"items": [{"k": "x"}, {"k": "y"}], "n": -5, "tag": "weird*tag"},
]


@pytest.fixture
async def filled(books: Library) -> Library:
    await books.add("b", DOCUMENTS, MAPPINGS)
    return books


MATCHING: list[tuple[dict[str, Any], str]] = [
    ({"match_all": {}}, "12345"),
    ({"match_none": {}}, ""),
    ({"term": {"tag": "a"}}, "1"),
    ({"term": {"tag": {"value": "AB", "case_insensitive": True}}}, "3"),
    ({"term": {"low": "ABC"}}, "1"),
    ({"term": {"n": "2"}}, "2"),
    ({"term": {"n": 2.5}}, ""),
    ({"term": {"price": 1.5}}, "1"),
    ({"term": {"day": "2020"}}, "12"),
    ({"term": {"ip": "10.0.0.0/16"}}, "12"),
    ({"term": {"ip": "2001:db8::1"}}, "3"),
    ({"term": {"on": "true"}}, "3"),
    ({"term": {"title": "brown"}}, "13"),
    ({"term": {"nowhere": 1}}, ""),
    ({"term": {"other_tag": "a"}}, "1"),
    ({"term": {"labels.team": "red"}}, "4"),
    ({"term": {"labels": "red"}}, "4"),
    ({"term": {"_id": "3"}}, "3"),
    ({"term": {"_index": "b"}}, "12345"),
    ({"prefix": {"_index": "b"}}, "12345"),
    ({"prefix": {"_index": {"value": "B", "case_insensitive": True}}}, "12345"),
    ({"wildcard": {"_index": "c*"}}, ""),
    ({"query_string": {"query": "_index:b*"}}, "12345"),
    ({"terms": {"tag": ["a", "c", "zz"]}}, "12"),
    ({"terms": {"n": [1, 3]}}, "13"),
    ({"terms": {"day": ["2020-01-01", "2021-01-01"]}}, "13"),
    ({"terms": {"ip": ["10.0.0.1", "2001:db8::/32"]}}, "13"),
    ({"terms": {"tag": []}}, ""),
    ({"range": {"n": {"gte": 2, "lt": 4}}}, "23"),
    ({"range": {"n": {"gt": 1.5, "lte": "3.9"}}}, "23"),
    ({"range": {"n": {"from": 1, "to": 3, "include_upper": False}}}, "12"),
    ({"range": {"n": {}}}, "12345"),
    ({"range": {"price": {"gt": 1.5}}}, "2"),
    ({"range": {"day": {"gte": "2020-01-01||+1M", "lte": "2020"}}}, "2"),
    ({"range": {"day": {"gt": "2020"}}}, "3"),
    ({"range": {"day": {"lt": "now"}}}, "123"),
    ({"range": {"day": {"gte": "01/06/2020", "format": "dd/MM/yyyy"}}}, "23"),
    ({"range": {"day": {"gte": "2020-01-01T00:00:00", "time_zone": "-01:00"}}}, "23"),
    ({"range": {"ip": {"gte": "10.0.0.2", "lte": "10.0.1.255"}}}, "2"),
    ({"range": {"tag": {"gte": "a", "lt": "b"}}}, "13"),
    ({"range": {"tag": {"gt": "b", "lt": "c"}}}, ""),
    ({"range": {"on": {"gte": True}}}, "3"),
    ({"range": {"labels.size": {"gte": "6"}}}, "4"),
    ({"exists": {"field": "title"}}, "123"),
    ({"exists": {"field": "tag"}}, "1235"),
    ({"exists": {"field": "user"}}, "4"),
    ({"exists": {"field": "labels.team"}}, "4"),
    ({"exists": {"field": "nowhere"}}, ""),
    ({"exists": {"field": "_id"}}, "12345"),
    ({"prefix": {"tag": "a"}}, "13"),
    ({"prefix": {"tag": {"value": "A", "case_insensitive": True}}}, "13"),
    ({"prefix": {"title": "bro"}}, "13"),
    ({"prefix": {"low": "AB"}}, "12"),
    ({"wildcard": {"tag": "?b"}}, "3"),
    ({"wildcard": {"tag": {"wildcard": "weird\\*t*"}}}, "5"),
    ({"wildcard": {"labels.team": "r*"}}, "4"),
    ({"regexp": {"tag": "a|b"}}, "12"),
    ({"regexp": {"title": {"value": "d.g"}}}, "23"),
    ({"regexp": {"tag": "~(a.*)"}}, "25"),
    ({"fuzzy": {"title": "dug"}}, "23"),
    ({"fuzzy": {"title": {"value": "brwon", "fuzziness": 1}}}, "13"),
    ({"fuzzy": {"title": {"value": "brown", "fuzziness": 2, "prefix_length": 5}}}, "13"),
    ({"ids": {"values": ["1", "4", "9"]}}, "14"),
    ({"bool": {}}, "12345"),
    ({"bool": {"must_not": {"term": {"tag": "a"}}}}, "2345"),
    ({"bool": {"filter": [{"term": {"title": "brown"}}, {"range": {"n": {"gt": 1}}}]}}, "3"),
    ({"bool": {"should": [{"term": {"n": 1}}, {"term": {"n": 2}}]}}, "12"),
    ({"bool": {"must": {"match_all": {}}, "should": [{"term": {"n": 1}}]}}, "12345"),
    (
        {
            "bool": {
                "should": [{"term": {"n": 1}}, {"term": {"tag": "a"}}, {"term": {"n": 2}}],
                "minimum_should_match": 2,
            }
        },
        "1",
    ),
    ({"bool": {"should": [{"term": {"n": 1}}], "minimum_should_match": 2}}, ""),
    ({"bool": {"should": [{"term": {"n": 1}}], "minimum_should_match": 0}}, "1"),
    ({"constant_score": {"filter": {"term": {"tag": "a"}}}}, "1"),
    ({"dis_max": {"queries": [{"term": {"tag": "a"}}, {"term": {"n": 2}}]}}, "12"),
    (
        {
            "boosting": {
                "positive": {"term": {"title": "dog"}},
                "negative": {"term": {"title": "lazy"}},
                "negative_boost": 0.1,
            }
        },
        "23",
    ),
    ({"nested": {"path": "items", "query": {"term": {"items.k": "y"}}}}, "5"),
    ({"nested": {"path": "zz", "query": {"match_all": {}}, "ignore_unmapped": True}}, ""),
    ({"wrapper": {"query": base64.b64encode(b'{"term":{"n":4}}').decode()}}, "4"),
    ({"function_score": {"query": {"term": {"n": 1}}, "weight": 3}}, "1"),
]


async def test_what_each_query_matches(filled: Library) -> None:
    for query, expected in MATCHING:
        assert "".join(sorted(await filled.ids("b", query))) == "".join(sorted(expected)), query


async def score(books: Library, query: dict[str, Any], id: str = "1") -> float | None:
    hits = (await books.search("b", {"query": query, "size": 100}))["hits"]["hits"]
    return next((hit["_score"] for hit in hits if hit["_id"] == id), None)


async def test_scores(filled: Library) -> None:
    constant = [
        ({"match_all": {}}, 1.0),
        ({"match_all": {"boost": 1.2}}, 1.2),
        ({"term": {"n": 1}}, 1.0),
        ({"range": {"n": {"lte": 1, "boost": 2}}}, 2.0),
        ({"terms": {"tag": ["a"], "boost": 3}}, 3.0),
        ({"prefix": {"tag": "a"}}, 1.0),
        ({"constant_score": {"filter": {"term": {"tag": "a"}}, "boost": 1.5}}, 1.5),
        ({"bool": {"filter": {"term": {"tag": "a"}}}}, 0.0),
        ({"bool": {"must_not": {"term": {"tag": "b"}}}}, 0.0),
        ({"bool": {"must": [{"term": {"n": 1}}, {"term": {"price": 1.5}}]}}, 2.0),
        ({"function_score": {"query": {"term": {"n": 1}}, "weight": 3}}, 3.0),
        ({"dis_max": {"queries": [{"term": {"n": 1}}, {"term": {"price": 1.5}}], "tie_breaker": 0.5}}, 1.5),
    ]
    for query, expected in constant:
        assert await score(filled, query) == expected, query


async def test_bm25_is_lucenes(books: Library) -> None:
    """One of three one-word documents: idf = ln(1 + 2.5/1.5), tf = 1/2.2 at average length."""
    await books.add("b", [{"t": "one"}, {"t": "two"}, {"t": "three"}])
    assert await score(books, {"match": {"t": "one"}}) == pytest.approx(0.44583148, rel=1e-6)
    assert await score(books, {"match": {"t": {"query": "one", "boost": 2}}}) == pytest.approx(0.89166296, rel=1e-6)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"trem": {"a": 1}}, "unknown query [trem] did you mean [term]?"),
    ({"zzzzzz": {}}, "unknown query [zzzzzz]"),
    ({"match": "x"}, "[match] query malformed, no start_object after query name"),
    ({"match_all": {}, "match": {}}, "[match_all] malformed query, expected [END_OBJECT] but found [FIELD_NAME]"),
    ({}, "query malformed, empty clause found"),
    ({"term": {"a": 1, "b": 2}}, "[term] query doesn't support multiple fields, found [a] and [b]"),
    ({"term": {"a": [1]}}, "[term] query does not support arrays"),
    ({"term": {"a": {"value": 1, "foo": 2}}}, "[term] query does not support [foo]"),
    ({"term": {"a": {"value": None}}}, "value cannot be null"),
    ({"terms": {"a": "x"}}, "[terms] query does not support [a]"),
    ({"range": {"n": {"foo": 1}}}, "[range] query does not support [foo]"),
    ({"range": {"n": 3}}, "[range] query does not support [n]"),
    ({"exists": {}}, "[exists] must be provided with a [field]"),
    ({"bool": {"must": "x"}}, "[bool] query does not support [must]"),
    ({"bool": {"foo": []}}, "[bool] query does not support [foo]"),
    ({"constant_score": {}}, "[constant_score] requires a 'filter' element"),
    ({"dis_max": {}}, "[dis_max] requires 'queries' field with at least one clause"),
    (
        {"match": {"title": {"query": "x", "operator": "xor"}}},
        "No enum constant org.elasticsearch.index.query.Operator.XOR",
    ),
    ({"match": {"title": {"query": "x", "bar": {}}}}, "[match] unknown token [START_OBJECT] after [bar]"),
]


async def test_malformed_queries_fail_the_whole_request(filled: Library) -> None:
    for query, reason in REFUSED:
        for target in ("b", "nothing*"):
            with pytest.raises((ParsingError, IllegalArgumentError)) as refused:
                await filled.search(target, {"query": query})
            assert refused.value.reason == reason
            assert refused.value.status == 400


FAILING: list[tuple[dict[str, Any], str]] = [
    ({"term": {"n": "abc"}}, 'failed to create query: For input string: "abc"'),
    ({"range": {"n": {"gte": "abc"}}}, 'failed to create query: For input string: "abc"'),
    ({"term": {"ip": "nowhere"}}, "failed to create query: 'nowhere' is not an IP string literal."),
    (
        {"term": {"on": "maybe"}},
        "failed to create query: Can't parse boolean value [maybe], expected [true] or [false]",
    ),
    (
        {"prefix": {"n": "1"}},
        "failed to create query: Can only use prefix queries on keyword, text and wildcard fields - not on [n] which "
        "is of type [integer]",
    ),
    (
        {"nested": {"path": "user", "query": {"match_all": {}}}},
        "failed to create query: [nested] nested object under path [user] is not of nested type",
    ),
]


async def test_what_an_index_cannot_do_is_a_shard_failure(filled: Library) -> None:
    for query, reason in FAILING:
        with pytest.raises(SearchPhaseExecutionError, match="all shards failed") as failed:
            await filled.search("b", {"query": query})
        error: HanseError = failed.value
        (cause,) = error.root_causes
        assert (error.status, cause.name, cause.reason) == (400, "query_shard_exception", reason)
        assert cause.metadata["index"] == "b"
        assert error.metadata["phase"] == "query"


@pytest.mark.parametrize("query", [{"term": {"span": 3}}, {"range": {"span": {"gte": 1}}}, {"match": {"span": "3"}}])
async def test_a_field_that_is_kept_and_not_indexed_is_refused_when_it_is_named(books: Library, query: Any) -> None:
    await books.add(
        "kept", [{"span": {"gte": 1, "lte": 5}, "t": "3"}], {"properties": {"span": {"type": "long_range"}}}
    )
    with pytest.raises(SearchPhaseExecutionError) as failed:
        await books.search("kept", {"query": query})
    (cause,) = failed.value.root_causes
    assert failed.value.status == 400
    assert cause.reason == (
        "failed to create query: Cannot search on field [span] of type [long_range]: its values are kept and not "
        "indexed."
    )
    assert await books.ids("kept", {"multi_match": {"query": "3"}}) == ["1"]
    assert (await books.search("kept"))["hits"]["hits"][0]["_source"]["span"] == {"gte": 1, "lte": 5}


async def test_dates_that_do_not_parse(filled: Library) -> None:
    with pytest.raises(SearchPhaseExecutionError) as failed:
        await filled.search("b", {"query": {"range": {"day": {"gte": "soon"}}}})
    assert failed.value.root_causes[0].reason.startswith("failed to create query: failed to parse date field [soon]")


async def test_an_index_that_fails_leaves_the_others_alone(filled: Library) -> None:
    await filled.add("c", [{"n": "text here"}], {"properties": {"n": {"type": "keyword"}}})
    answer = await filled.search("b,c", {"query": {"term": {"n": "text here"}}})
    assert [hit["_index"] for hit in answer["hits"]["hits"]] == ["c"]
    assert answer["_shards"]["failed"] == 1
    assert answer["_shards"]["failures"][0]["reason"]["type"] == "query_shard_exception"
    with pytest.raises(SearchPhaseExecutionError, match="Partial shards failure"):
        await filled.search("b,c", {"query": {"term": {"n": "text here"}}}, allow_partial_search_results=False)


async def test_named_queries_are_reported(filled: Library) -> None:
    query = {"bool": {"should": [{"term": {"n": {"value": 1, "_name": "one"}}}, {"match_all": {"_name": "all"}}]}}
    hits = (await filled.search("b", {"query": query, "size": 2}))["hits"]["hits"]
    assert [hit["matched_queries"] for hit in hits] == [["one", "all"], ["all"]]
    scored = await filled.search("b", {"query": query, "size": 1, "include_named_queries_score": True})
    assert scored["hits"]["hits"][0]["matched_queries"] == {"one": 1.0, "all": 1.0}


async def test_deep_nesting_is_refused(filled: Library) -> None:
    query: dict[str, Any] = {"match_all": {}}
    for _ in range(40):
        query = {"bool": {"must": [query]}}
    with pytest.raises(IllegalArgumentError, match="nested depth"):
        await filled.search("b", orjson.dumps({"query": query}))


@pytest.mark.parametrize(
    ("pattern", "alias", "matches"),
    [
        ("logs", "", True),
        ("lo*", "", True),
        ("current", "", True),
        ("berlin:logs", "", False),
        ("berlin:logs", "berlin", True),
        ("*:curr*", "berlin", True),
        ("paris:logs", "berlin", False),
        ("*logs", "berlin", False),
    ],
)
def test_an_index_is_found_by_its_names_behind_its_clusters_alias(pattern: str, alias: str, matches: bool) -> None:
    mapping = Mapping.from_metadata({}, {}, {})
    context = QueryContext("logs", mapping, slots.schema(1), 0, cluster_alias=alias, aliases=("current",))
    assert context.build({"term": {"_index": pattern}}).matches_none is not matches
