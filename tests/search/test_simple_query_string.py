"""The simple_query_string language: forgiving, with operators that can be turned off."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.search.searching import Library

from hanse.errors import IllegalArgumentError
from hanse.search.query.simple_query_string_syntax import parse_flags, parse_simple_query_string

DOCUMENTS = [{"t": "quick brown fox"}, {"t": "lazy dog"}, {"t": "brown dog"}, {"t": "a-b", "n": 7}]
MATCHING: list[tuple[str, dict[str, Any], str]] = [
    ("brown dog", {}, "123"),
    ("brown + dog", {}, "3"),
    ("brown dog", {"default_operator": "and"}, "3"),
    ("brown + -dog", {}, "1"),
    ("fox | lazy", {"default_operator": "and"}, "12"),
    ('"brown fox"', {}, "1"),
    ('"quick fox"~2', {}, "1"),
    ("qui*", {}, "1"),
    ("quikc~1", {}, "1"),
    ("(fox | lazy) + brown", {}, "1"),
    ("((brown", {}, "13"),
    ('"open quote', {}, ""),
    ("7", {}, "4"),
    ("*", {}, "1234"),
    ("qui*", {"flags": "NONE"}, ""),
    ("brown + dog", {"flags": "OR|PHRASE"}, "123"),
    ("", {}, ""),
]


async def test_what_each_text_matches(books: Library) -> None:
    await books.add("b", DOCUMENTS)
    for text, options, expected in MATCHING:
        query = {"simple_query_string": {"query": text, "fields": ["t", "n"], **options}}
        assert "".join(sorted(await books.ids("b", query))) == expected, text


@given(st.text(alphabet='ab +|-"()*~\\1', max_size=30))
def test_no_text_is_ever_refused(text: str) -> None:
    parse_simple_query_string(text)


def test_flags() -> None:
    assert parse_flags("AND|prefix") == {"AND", "PREFIX"}
    assert parse_flags(-1) == parse_flags("ALL")
    assert parse_flags(1 | 8) == {"AND", "PREFIX"}
    with pytest.raises(IllegalArgumentError, match=r"Unknown simple_query_string flag \[FOO\]"):
        parse_flags("FOO")
