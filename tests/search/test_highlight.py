"""Highlighting: what is marked, and in which pieces."""

from __future__ import annotations

from typing import Any

import pytest
from tests.search.searching import Library

from hanse.errors import SearchPhaseExecutionError

LONG = " ".join(f"filler{number}" for number in range(40))
DOCUMENTS: list[dict[str, Any]] = [
    {
        "title": "The quick brown fox",
        "body": f"A fox came. Nobody saw it. {LONG} fox. The end of the fox story!",
        "tag": "fox",
        "many": ["one fox", "no match", "two foxes fox"],
        "markup": "<b>fox</b> & co",
    }
]
MAPPINGS = {"properties": {"tag": {"type": "keyword"}}}


@pytest.fixture
async def filled(books: Library) -> Library:
    await books.add("b", DOCUMENTS, MAPPINGS)
    return books


async def highlighted(books: Library, query: dict[str, Any], highlight: dict[str, Any]) -> dict[str, list[str]]:
    (hit,) = (await books.search("b", {"query": query, "highlight": highlight}))["hits"]["hits"]
    found = hit.get("highlight", {})
    assert isinstance(found, dict)
    return found


async def title(books: Library, query: dict[str, Any], **settings: Any) -> list[str] | None:
    return (await highlighted(books, query, {"fields": {"title": {}}, **settings})).get("title")


async def test_what_each_query_marks(filled: Library) -> None:
    for query, expected in (
        ({"match": {"title": "FOX quick"}}, "The <em>quick</em> brown <em>fox</em>"),
        ({"match_phrase": {"title": "quick brown"}}, "The <em>quick</em> <em>brown</em> fox"),
        ({"match_phrase": {"title": {"query": "quick fox", "slop": 1}}}, "The <em>quick</em> brown <em>fox</em>"),
        ({"match_phrase_prefix": {"title": "brown fo"}}, "The quick <em>brown</em> <em>fox</em>"),
        ({"prefix": {"title": "qu"}}, "The <em>quick</em> brown fox"),
        ({"wildcard": {"title": "b*n"}}, "The quick <em>brown</em> fox"),
        ({"regexp": {"title": "f.x"}}, "The quick brown <em>fox</em>"),
        ({"fuzzy": {"title": "quikc"}}, "The <em>quick</em> brown fox"),
        ({"query_string": {"query": "title:bro* AND fox"}}, "The quick <em>brown</em> <em>fox</em>"),
        (
            {"bool": {"must": {"term": {"title": "fox"}}, "must_not": {"match": {"title": "nothing"}}}},
            "The quick brown <em>fox</em>",
        ),
    ):
        assert await title(filled, query) == [expected], query


async def test_other_fields_are_left_alone_unless_asked(filled: Library) -> None:
    query = {"match": {"body": "fox"}}
    assert await title(filled, query) is None
    assert await title(filled, query, require_field_match=False) == ["The quick brown <em>fox</em>"]


async def test_sentences_and_their_number(filled: Library) -> None:
    query = {"match": {"body": "fox"}}
    (first, second, third) = (await highlighted(filled, query, {"fields": {"body": {}}}))["body"]
    assert first == "A <em>fox</em> came."
    assert second.endswith("<em>fox</em>.")
    assert len(second) < 140
    assert third == "The end of the <em>fox</em> story!"
    one = {"fields": {"body": {"number_of_fragments": 1}}}
    assert await highlighted(filled, query, one) == {"body": ["A <em>fox</em> came."]}
    whole = await highlighted(filled, query, {"fields": {"body": {"number_of_fragments": 0}}})
    assert whole["body"] == [DOCUMENTS[0]["body"].replace("fox", "<em>fox</em>")]


async def test_each_value_of_a_field_is_a_text_of_its_own(filled: Library) -> None:
    found = await highlighted(filled, {"match": {"many": "fox"}}, {"fields": {"many": {}}})
    assert found["many"] == ["one <em>fox</em>", "two foxes <em>fox</em>"]


async def test_tags_encoding_and_keywords(filled: Library) -> None:
    settings = {"pre_tags": ["["], "post_tags": ["]"], "fields": {"tag": {}, "markup": {"encoder": "html"}}}
    found = await highlighted(filled, {"multi_match": {"query": "fox", "fields": ["tag", "markup"]}}, settings)
    assert found == {"tag": ["[fox]"], "markup": ["&lt;b&gt;[fox]&lt;/b&gt; &amp; co"]}


async def test_patterns_no_match_and_a_query_of_its_own(filled: Library) -> None:
    found = await highlighted(filled, {"match": {"title": "fox"}}, {"fields": {"ti*": {}}})
    assert set(found) == {"title", "title.keyword"} - {"title.keyword"}
    assert await title(filled, {"match_all": {}}, no_match_size=12) == ["The quick"]
    own = {"highlight_query": {"match": {"title": "brown"}}}
    assert await title(filled, {"match_all": {}}, **own) == ["The quick <em>brown</em> fox"]


async def test_unknown_types_are_refused(filled: Library) -> None:
    with pytest.raises(SearchPhaseExecutionError) as failed:
        await filled.search("b", {"highlight": {"fields": {"title": {"type": "semantic"}}}})
    assert failed.value.root_causes[0].reason == "unknown highlighter type [semantic] for the field [title]"
