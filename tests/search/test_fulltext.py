"""Queries that analyze text: the match family and multi_match."""

from __future__ import annotations

from typing import Any

import pytest
from tests.search.searching import Library

from hanse.errors import IllegalArgumentError, ParsingError, SearchPhaseExecutionError

MAPPINGS = {
    "properties": {
        "title": {"type": "text"},
        "body": {"type": "text"},
        "tag": {"type": "keyword"},
        "n": {"type": "long"},
        "name": {"properties": {"first": {"type": "text"}, "last": {"type": "text"}}},
    }
}
DOCUMENTS: list[dict[str, Any]] = [
    {"title": "the quick brown fox", "body": "jumps over the lazy dog", "tag": "Quick", "n": 1},
    {"title": "brown bread and butter", "body": "quick breakfast", "n": 2},
    {"title": "a fox quick and brown", "body": "nothing", "n": 3},
    {"name": {"first": "Will", "last": "Smith"}, "n": 4},
    {"name": {"first": "Smith", "last": "Jones"}, "n": 5},
]

MATCHING: list[tuple[dict[str, Any], str]] = [
    ({"match": {"title": "quick fox"}}, "13"),
    ({"match": {"title": {"query": "QUICK bread", "operator": "and"}}}, ""),
    ({"match": {"title": {"query": "quick brown butter", "minimum_should_match": "67%"}}}, "123"),
    ({"match": {"title": {"query": "quick brown butter", "minimum_should_match": 3}}}, ""),
    ({"match": {"title": {"query": "quikc", "fuzziness": "AUTO"}}}, "13"),
    ({"match": {"title": {"query": "", "zero_terms_query": "all"}}}, "12345"),
    ({"match": {"title": ""}}, ""),
    ({"match": {"tag": "Quick"}}, "1"),
    ({"match": {"n": 3}}, "3"),
    ({"match": {"n": {"query": "three", "lenient": True}}}, ""),
    ({"match": {"nowhere": "x"}}, ""),
    ({"match": {"title": {"query": "quick brown", "analyzer": "keyword"}}}, ""),
    ({"match_phrase": {"title": "quick brown"}}, "1"),
    ({"match_phrase": {"title": {"query": "quick brown", "slop": 1}}}, "13"),
    ({"match_phrase": {"title": "brown"}}, "123"),
    ({"match_phrase": {"n": 2}}, "2"),
    ({"match_phrase_prefix": {"title": "quick bro"}}, "1"),
    ({"match_phrase_prefix": {"title": "bre"}}, "2"),
    ({"match_phrase_prefix": {"title": {"query": "fox bro", "slop": 3}}}, "13"),
    ({"match_bool_prefix": {"title": "fox bre"}}, "123"),
    ({"match_bool_prefix": {"title": {"query": "brown bre", "operator": "and"}}}, "2"),
    ({"multi_match": {"query": "quick", "fields": ["title", "body"]}}, "123"),
    ({"multi_match": {"query": "quick breakfast", "fields": ["title", "body"], "operator": "and"}}, "2"),
    ({"multi_match": {"query": "quick", "fields": ["tit*"]}}, "13"),
    ({"multi_match": {"query": "quick brown", "fields": ["title", "body"], "type": "phrase"}}, "1"),
    ({"multi_match": {"query": "quick bro", "fields": ["title"], "type": "phrase_prefix"}}, "1"),
    ({"multi_match": {"query": "quick bre", "fields": ["body"], "type": "bool_prefix"}}, "2"),
    ({"multi_match": {"query": "quick fox", "fields": ["title"], "type": "most_fields"}}, "13"),
    (
        {"multi_match": {"query": "will smith", "fields": ["name.*"], "type": "cross_fields", "operator": "and"}},
        "4",
    ),
    ({"multi_match": {"query": "will smith", "fields": ["name.*"], "operator": "and"}}, ""),
    ({"multi_match": {"query": "3", "fields": ["n", "title"]}}, "3"),
    ({"multi_match": {"query": "smith"}}, "45"),
    ({"multi_match": {"query": "x", "fields": []}}, ""),
]


@pytest.fixture
async def filled(books: Library) -> Library:
    await books.add("b", DOCUMENTS, MAPPINGS)
    return books


async def test_what_each_query_matches(filled: Library) -> None:
    for query, expected in MATCHING:
        assert "".join(sorted(await filled.ids("b", query))) == expected, query


async def test_a_field_boost_decides_the_order(filled: Library) -> None:
    for boosted, first in (("title", "1"), ("body", "2")):
        fields = [f"{field}^{9 if field == boosted else 1}" for field in ("title", "body")]
        hits = await filled.ids("b", {"multi_match": {"query": "quick", "fields": fields}})
        assert hits[0] in ({"1", "3"} if first == "1" else {"2"})


async def test_best_fields_takes_the_best_and_most_fields_the_sum(books: Library) -> None:
    await books.add("b", [{"x": "word", "y": "word"}, {"x": "other", "y": "other"}])

    async def score(kind: str, **more: Any) -> float:
        query = {"multi_match": {"query": "word", "fields": ["x", "y"], "type": kind, **more}}
        return float((await books.search("b", {"query": query}))["hits"]["hits"][0]["_score"])

    best = await score("best_fields")
    assert await score("most_fields") == pytest.approx(2 * best, rel=1e-6)
    assert await score("best_fields", tie_breaker=0.5) == pytest.approx(1.5 * best, rel=1e-6)


async def test_rarer_words_and_shorter_fields_score_higher(filled: Library) -> None:
    assert (await filled.ids("b", {"match": {"title": "brown butter"}}))[0] == "2"


async def test_what_is_refused(filled: Library) -> None:
    for query, reason in (
        ({"match": {"title": {"query": "x", "foo": 1}}}, "[match] query does not support [foo]"),
        ({"match": {"title": ["x"]}}, "[match] unknown token [START_ARRAY] after [title]"),
        ({"match": {"title": {}}}, "No text specified for text query"),
        ({"multi_match": {"query": "x", "type": "zz"}}, "failed to parse [multi_match] query type [zz]. unknown type."),
        ({"match_phrase": {"title": {"query": "x", "slop": -1}}}, "No negative slop allowed."),
        ({"match": {"title": {"query": "x", "fuzziness": 5}}}, "Valid edit distances are [0, 1, 2] but was [5]"),
        (
            {"multi_match": {"query": "x", "type": "phrase", "fuzziness": 1, "fields": ["title"]}},
            "Fuzziness not allowed for type [phrase]",
        ),
    ):
        with pytest.raises((ParsingError, IllegalArgumentError)) as refused:
            await filled.search("b", {"query": query})
        assert refused.value.reason == reason


async def test_an_unknown_analyzer_fails_the_shard(filled: Library) -> None:
    with pytest.raises(SearchPhaseExecutionError) as failed:
        await filled.search("b", {"query": {"match": {"title": {"query": "x", "analyzer": "nope"}}}})
    assert failed.value.root_causes[0].reason == "[match] analyzer [nope] not found"


async def test_a_number_that_is_none_fails_the_shard(filled: Library) -> None:
    with pytest.raises(SearchPhaseExecutionError) as failed:
        await filled.search("b", {"query": {"match": {"n": "three"}}})
    assert failed.value.root_causes[0].reason == 'failed to create query: For input string: "three"'
