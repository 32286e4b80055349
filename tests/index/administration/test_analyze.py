from __future__ import annotations

from typing import Any

import pytest
from tests.index.administration.conftest import Administration

from hanse.errors import HanseError
from hanse.index.administration import requests
from hanse.index.administration.requests import Analyze

ANALYSIS = {
    "analysis": {
        "analyzer": {"own": {"tokenizer": "whitespace", "filter": ["uppercase"]}},
        "normalizer": {"small": {"type": "custom", "filter": ["lowercase"]}},
    }
}


async def tokens(here: Administration, index: str = "", **body: Any) -> list[str]:
    answer = await here.run(requests.ANALYZE, Analyze(body, (index,) if index else ()))
    return [token["token"] for token in answer["tokens"]]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ["quick", "fox"]),
        ({"analyzer": "whitespace"}, ["Quick", "Fox"]),
        ({"analyzer": "keyword"}, ["Quick Fox"]),
        ({"tokenizer": "keyword", "filter": ["lowercase"]}, ["quick fox"]),
        ({"filter": "lowercase"}, ["quick fox"]),
        ({"tokenizer": "whitespace", "filter": ["lowercase", {"type": "stop", "stopwords": ["fox"]}]}, ["quick"]),
        (
            {"tokenizer": {"type": "ngram", "min_gram": 4, "max_gram": 4}},
            ["Quic", "uick", "ick ", "ck F", "k Fo", " Fox"],
        ),
        ({"char_filter": [{"type": "mapping", "mappings": ["Quick => Slow"]}]}, ["Slow Fox"]),
        ({"normalizer": "lowercase"}, ["quick fox"]),
    ],
)
async def test_without_an_index(here: Administration, body: dict[str, Any], expected: list[str]) -> None:
    assert await tokens(here, text="Quick Fox", **body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"analyzer": "own"}, ["QUICK", "FOX"]),
        ({"field": "title"}, ["QUICK", "FOX"]),
        ({"field": "tag"}, ["quick fox"]),
        ({"field": "plain"}, ["Quick Fox"]),
        ({"field": "nowhere"}, ["quick", "fox"]),
        ({"normalizer": "small"}, ["quick fox"]),
    ],
)
async def test_with_what_an_index_defines(here: Administration, body: dict[str, Any], expected: list[str]) -> None:
    properties = {
        "title": {"type": "text", "analyzer": "own"},
        "tag": {"type": "keyword", "normalizer": "small"},
        "plain": {"type": "keyword"},
    }
    await here.create("books", settings=ANALYSIS, mappings={"properties": properties})
    assert await tokens(here, "books", text="Quick Fox", **body) == expected


async def test_the_default_analyzer_of_the_index(here: Administration) -> None:
    await here.create("books", settings={"analysis.analyzer.default.type": "keyword"})
    assert await tokens(here, "books", text="Quick Fox") == ["Quick Fox"]


async def test_values_of_a_list_lie_apart(here: Administration) -> None:
    answer = await here.run(requests.ANALYZE, Analyze({"text": ["a b", "c"]}))
    assert [(t["position"], t["start_offset"], t["end_offset"]) for t in answer["tokens"]] == [
        (0, 0, 1),
        (1, 2, 3),
        (102, 4, 5),
    ]


async def test_explain_a_named_analyzer(here: Administration) -> None:
    detail = (await here.run(requests.ANALYZE, Analyze({"text": "A b", "analyzer": "standard", "explain": True})))[
        "detail"
    ]
    assert (detail["custom_analyzer"], detail["analyzer"]["name"]) == (False, "standard")
    assert [token["token"] for token in detail["analyzer"]["tokens"]] == ["a", "b"]


async def test_explain_shows_every_part(here: Administration) -> None:
    body = {
        "text": "A-b",
        "explain": True,
        "char_filter": [{"type": "mapping", "mappings": ["- => \\u0020"]}],
        "tokenizer": "whitespace",
        "filter": ["lowercase", {"type": "stop", "stopwords": ["b"]}],
    }
    detail = (await here.run(requests.ANALYZE, Analyze(body)))["detail"]
    assert detail["charfilters"] == [{"name": "__anonymous__mapping", "filtered_text": ["A b"]}]
    assert [token["token"] for token in detail["tokenizer"]["tokens"]] == ["A", "b"]
    filters = [(part["name"], [token["token"] for token in part["tokens"]]) for part in detail["tokenfilters"]]
    assert filters == [("lowercase", ["a", "b"]), ("__anonymous__stop", ["a"])]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "text is missing"),
        ({"text": []}, "text is missing"),
        ({"text": [1]}, "[text] must be a string or a list of strings"),
        ({"text": "a", "texts": 1}, "[analyze_request] unknown field [texts]"),
        ({"text": "a", "analyzer": "none"}, "failed to find global analyzer [none]"),
        ({"text": "a", "field": "title"}, "requires an index"),
        ({"text": "a", "filter": [7]}, "a filter is a name or an object"),
    ],
)
async def test_refused(here: Administration, body: dict[str, Any], reason: str) -> None:
    with pytest.raises(HanseError) as raised:
        await here.run(requests.ANALYZE, Analyze(body))
    assert reason in raised.value.reason
    assert raised.value.status == 400


async def test_a_number_is_not_analyzed(here: Administration) -> None:
    await here.create("books", mappings={"properties": {"n": {"type": "long"}}})
    with pytest.raises(HanseError, match="only supported on tokenized fields"):
        await tokens(here, "books", field="n", text="1")
