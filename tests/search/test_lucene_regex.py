"""Lucene's regular expressions, wildcards and text ranges, run by the real engine."""

from __future__ import annotations

import pytest
import tantivy
from hypothesis import given
from hypothesis import strategies as st

from hanse.search.query.lucene_regex import RegexSyntaxError, range_patterns, translate, wildcard_pattern

TERMS = ["", "a", "ab", "abc", "abd", "b", "B", "a.b", "zz", "3a", "é", "日本", "\ue000", "\ud7ff", "😀", "a\nb"]


def _index() -> tuple[tantivy.Searcher, tantivy.Schema]:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("k", tokenizer_name="raw", fast=True, index_option="basic")
    schema = builder.build()
    index = tantivy.Index(schema)
    writer = index.writer(15_000_000, 1)
    for term in TERMS:
        writer.add_document(tantivy.Document.from_dict({"k": [term]}, schema))
    writer.commit()
    index.reload()
    return index.searcher(), schema


SEARCHER, SCHEMA = _index()


def matches(*patterns: str) -> set[str]:
    found = set()
    for pattern in patterns:
        query = tantivy.Query.regex_query(SCHEMA, "k", pattern)
        found |= {value for value, _ in SEARCHER.search(query, 100, order_by_field="k").hits}
    return found


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("ab.", {"abc", "abd"}),
        ("ab*", {"a", "ab"}),
        ("a|b", {"a", "b"}),
        ("ab[cd]", {"abc", "abd"}),
        ("ab[^c]", {"abd"}),
        ("a@", {"a", "ab", "abc", "abd", "a.b", "a\nb"}),
        ('"a.b"', {"a.b"}),
        ("a\\.b", {"a.b"}),
        ("<1-5>a", {"3a"}),
        ("z{2}", {"zz"}),
        ("^a$", set()),
        ("#", set()),
        ("[a-b]", {"a", "b"}),
        ("\\d\\w", {"3a"}),
    ],
)
def test_lucene_syntax_is_translated(pattern: str, expected: set[str]) -> None:
    assert matches(*translate(pattern).required) == expected


def test_letter_case_can_be_ignored() -> None:
    assert matches(*translate("b", case_insensitive=True).required) == {"b", "B"}


def test_complement_and_intersection_become_parts() -> None:
    pattern = translate("ab.&~(abc)")
    assert len(pattern.required) == 1
    assert matches(*pattern.excluded) == {"abc"}


@pytest.mark.parametrize("pattern", ["a(", "[", "a{x}", '"a', "*a", "<a>", "x~y", "[b-a]"])
def test_malformed_expressions_are_refused(pattern: str) -> None:
    with pytest.raises(RegexSyntaxError):
        translate(pattern)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a?c", {"abc"}),
        ("a?", {"ab"}),
        ("a*b", {"ab", "a.b", "a\nb"}),
        ("a\\*", set()),
        ("?", {"a", "b", "B", "é", "😀", "\ue000", "\ud7ff"}),
    ],
)
def test_wildcards(pattern: str, expected: set[str]) -> None:
    assert matches(wildcard_pattern(pattern)) == expected


bounds = st.one_of(st.none(), st.sampled_from(TERMS), st.text(max_size=4).filter(lambda t: t.isprintable()))


@given(bounds, bounds, st.booleans(), st.booleans())
def test_a_range_holds_exactly_the_strings_between_its_bounds(
    lower: str | None, upper: str | None, include_lower: bool, include_upper: bool
) -> None:
    expected = {
        term
        for term in TERMS
        if (lower is None or term > lower or (include_lower and term == lower))
        and (upper is None or term < upper or (include_upper and term == upper))
    }
    assert matches(*range_patterns(lower, upper, include_lower, include_upper)) == expected
