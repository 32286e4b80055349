"""Span queries as far as phrases can stand for them: span_term, span_or, span_near and span_multi in one field.

Tests: tests/search/test_lookups.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tantivy

from hanse.errors import IllegalArgumentError, ParsingError
from hanse.search.json_input import as_bool, as_int, as_text
from hanse.search.query import fields
from hanse.search.query.compound import combine_parts
from hanse.search.query.context import (
    Options,
    Part,
    QueryContext,
    boosted,
    field_and_options,
    named,
    nothing,
    query_type,
    scored,
)
from hanse.search.query.fulltext import word_part
from hanse.search.query.lucene_regex import escape, prefix_pattern, translate, wildcard_pattern


@dataclass(slots=True)
class _Word:
    """One word of a span: a pattern over the terms of a field."""

    path: str
    pattern: str


@query_type("span_term")
def span_term(context: QueryContext, body: dict[str, Any]) -> Part:
    path, options, name = field_and_options("span_term", body, "value")
    boost = options.boost()
    text = as_text(options.take("value", options.take("term")), "value")
    options.finish()
    field = fields.textual(context, path, "span_term")
    return named(context, name, nothing() if field is None else boosted(word_part(context, field, text), boost))


@query_type("span_multi")
def span_multi(context: QueryContext, body: dict[str, Any]) -> Part:
    options = Options("span_multi", body)
    boost, name, match = options.boost(), options.name(), options.take("match")
    options.finish()
    if match is None:
        raise ParsingError("[span_multi] must have [match] multi term query clause", line=1, col=1)
    return named(context, name, boosted(context.build(match), boost))


@query_type("span_or")
def span_or(context: QueryContext, body: dict[str, Any]) -> Part:
    options = Options("span_or", body)
    boost, name, clauses = options.boost(), options.name(), options.take("clauses")
    options.finish()
    if not clauses:
        raise ParsingError("[span_or] must include [clauses]", line=1, col=1)
    return named(context, name, boosted(combine_parts([], [], [context.build(item) for item in clauses], []), boost))


@query_type("span_near")
def span_near(context: QueryContext, body: dict[str, Any]) -> Part:
    """In the order given, with up to `slop` words between. Without an order, the words may stand anywhere."""
    options = Options("span_near", body)
    boost, name, clauses = options.boost(), options.name(), options.take("clauses")
    slop, in_order = as_int(options.take("slop", 0), "slop"), as_bool(options.take("in_order", True), "in_order")
    options.finish()
    if not clauses:
        raise ParsingError("[span_near] must include [clauses]", line=1, col=1)
    words = [_word(clause) for clause in clauses]
    if len({word.path for word in words}) > 1:
        raise IllegalArgumentError("[span_near] clauses must have same field")
    field = fields.textual(context, words[0].path, "span_near")
    if field is None:
        return named(context, name, nothing())
    if len(words) == 1:
        return named(context, name, boosted(context.build(clauses[0]), boost))
    patterns: list[str | tuple[int, str]] = [(place, word.pattern) for place, word in enumerate(words)]
    allowed = slop if in_order else slop + len(words)
    query = tantivy.Query.regex_phrase_query(context.schema, fields.slot_of(field), patterns, allowed)
    return named(context, name, boosted(scored(query), boost))


def _word(clause: Any) -> _Word:
    if isinstance(clause, dict) and len(clause) == 1:
        ((kind, body),) = clause.items()
        if kind == "span_multi" and isinstance(body, dict) and isinstance(body.get("match"), dict):
            ((kind, body),) = body["match"].items()
        if isinstance(body, dict) and len(body) == 1 and kind in _PATTERNS:
            ((path, value),) = body.items()
            text = value.get("value", value.get(kind)) if isinstance(value, dict) else value
            return _Word(path, _PATTERNS[kind](as_text(text, "value")))
    raise IllegalArgumentError("[span_near] supports [span_term] and [span_multi] of prefix, wildcard and regexp")


_PATTERNS: dict[str, Callable[[str], str]] = {
    "span_term": escape,
    "prefix": prefix_pattern,
    "wildcard": wildcard_pattern,
    "regexp": lambda text: translate(text).required[0],
}
