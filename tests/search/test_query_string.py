"""The query_string language, parsed and run."""

from __future__ import annotations

from typing import Any

import pytest
from tests.search.searching import Library

from hanse.errors import ParsingError, SearchPhaseExecutionError
from hanse.search.query.query_string_grammar import QuerySyntaxError, parse_query_string
from hanse.search.query.syntax import Group, PhraseNode, PrefixNode, RangeNode, RegexNode, Words

MAPPINGS = {
    "properties": {
        "title": {"type": "text"},
        "tag": {"type": "keyword"},
        "n": {"type": "long"},
        "day": {"type": "date"},
        "ip": {"type": "ip"},
        "book": {"properties": {"title": {"type": "text"}, "year": {"type": "integer"}}},
    }
}
DOCUMENTS: list[dict[str, Any]] = [
    {"title": "quick brown fox", "tag": "a-b", "n": 1, "day": "2020-01-01", "ip": "10.0.0.1"},
    {"title": "lazy dog", "tag": "c:d", "n": 2, "day": "2020-06-01"},
    {"title": "brown dog", "n": 30, "book": {"title": "fox tales", "year": 1999}},
    {"tag": "quick", "n": -4},
]

MATCHING: list[tuple[str, dict[str, Any], str]] = [
    ("quick", {}, "14"),
    ("title:quick", {}, "1"),
    ("brown dog", {}, "123"),
    ("brown AND dog", {}, "3"),
    ("brown dog", {"default_operator": "AND"}, "3"),
    ("brown && !dog", {}, "1"),
    ("+brown -fox", {"default_field": "title"}, "3"),
    ("NOT brown", {}, "24"),
    ("(quick OR lazy) AND title:(fox dog)", {}, "12"),
    ('"brown fox"', {}, "1"),
    ('"quick fox"~1', {"fields": ["title"]}, "1"),
    ("title:bro*", {}, "13"),
    ("title:BRO*", {}, "13"),
    ("title:d?g", {}, "23"),
    ("title:/d.g/", {}, "23"),
    ("title:qiuck~", {}, "1"),
    ("title:quikc~1", {}, "1"),
    ("n:[1 TO 2]", {}, "12"),
    ("n:{1 TO *]", {}, "23"),
    ("n:>=2", {}, "23"),
    ("n:(>0 AND <3)", {}, "12"),
    ("n:\\-4", {}, "4"),
    ("day:[2020-01-01 TO 2020-02-01]", {}, "1"),
    ("day:<2020-03", {}, "1"),
    ("ip:10.0.0.0\\/8", {}, "1"),
    ("_exists_:ip", {}, "1"),
    ("tag:*", {}, "124"),
    ("*", {}, "1234"),
    ("*:*", {}, "1234"),
    ("tag:a\\-b", {}, "1"),
    ('tag:"c:d"', {}, "2"),
    ("book.\\*:fox", {}, "3"),
    ("book.year:1999", {}, "3"),
    ("fox^3 dog", {"fields": ["title^2", "tag"]}, "123"),
    ("brown fox dog", {"minimum_should_match": 2, "fields": ["title"]}, "13"),
    ("_id:3", {}, "3"),
    ("", {}, ""),
    ("nowhere:x", {}, ""),
]


@pytest.fixture
async def filled(books: Library) -> Library:
    await books.add("b", DOCUMENTS, MAPPINGS)
    return books


async def test_what_each_text_matches(filled: Library) -> None:
    for text, options, expected in MATCHING:
        found = await filled.ids("b", {"query_string": {"query": text, **options}})
        assert "".join(sorted(found)) == expected, text


async def test_the_q_parameter_is_a_query_string(filled: Library) -> None:
    answer = await filled.search("b", q="brown dog", df="title", default_operator="and")
    assert [hit["_id"] for hit in answer["hits"]["hits"]] == ["3"]


@pytest.mark.parametrize("text", ["a AND", "AND a", "[1 TO", '"open', "a:b:c", "(a", "a)", "a ^"])
async def test_malformed_texts_fail_with_the_text(filled: Library, text: str) -> None:
    with pytest.raises(SearchPhaseExecutionError) as failed:
        await filled.search("b", {"query": {"query_string": {"query": text}}})
    (cause,) = failed.value.root_causes
    assert (failed.value.status, cause.reason) == (400, f"Failed to parse query [{text}]")


async def test_values_that_do_not_fit(filled: Library) -> None:
    with pytest.raises(SearchPhaseExecutionError) as failed:
        await filled.search("b", {"query": {"query_string": {"query": "n:abc", "default_field": "title"}}})
    assert failed.value.root_causes[0].reason == 'failed to create query: For input string: "abc"'
    lenient = {"query": "n:abc", "default_field": "title", "lenient": True}
    assert await filled.ids("b", {"query_string": lenient}) == []
    # Over all fields a text need not fit each of them.
    assert await filled.ids("b", {"query_string": {"query": "n:abc"}}) == []


async def test_unknown_options_are_refused(filled: Library) -> None:
    with pytest.raises(ParsingError, match=r"\[query_string\] query does not support \[foo\]"):
        await filled.search("b", {"query": {"query_string": {"query": "a", "foo": 1}}})
    with pytest.raises(ParsingError, match=r"must be provided with a \[query\]"):
        await filled.search("b", {"query": {"query_string": {}}})


def test_the_tree_of_an_expression() -> None:
    node = parse_query_string('+title:quick -"lazy dog"~2^3 n:[1 TO 5} jo* /a.b/ x~1')
    assert isinstance(node, Group)
    kinds = [(occurrence, type(inner)) for occurrence, inner in node.clauses]
    assert kinds == [
        ("must", Words),
        ("must_not", PhraseNode),
        ("should", RangeNode),
        ("should", PrefixNode),
        ("should", RegexNode),
        ("should", Words),
    ]
    phrase, span = node.clauses[1][1], node.clauses[2][1]
    assert isinstance(phrase, PhraseNode)
    assert (phrase.text, phrase.slop, phrase.boost) == ("lazy dog", 2, 3.0)
    assert isinstance(span, RangeNode)
    assert (span.lower, span.upper, span.include_lower, span.include_upper) == ("1", "5", True, False)


def test_a_field_spreads_over_its_group() -> None:
    node = parse_query_string("a:(b c:d)^2")
    assert isinstance(node, Group)
    assert (node.boost, [inner.field for _, inner in node.clauses]) == (2.0, ["a", "c"])


def test_errors_say_where() -> None:
    with pytest.raises(QuerySyntaxError, match="line 1, column 4"):
        parse_query_string("a:b:c")
