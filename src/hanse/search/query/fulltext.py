"""The match family on one field: match, match_phrase, match_phrase_prefix, match_bool_prefix.

Each also has a `*_part` function that multi_match and the query_string languages share. On fields that are not text
they are exact queries. Tests: tests/search/test_fulltext.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tantivy

from hanse.errors import HanseError, IllegalArgumentError
from hanse.search.json_input import as_bool, as_int, as_text
from hanse.search.query import fields
from hanse.search.query.compound import combine_parts
from hanse.search.query.context import (
    Matched,
    Options,
    Part,
    QueryContext,
    boosted,
    everything,
    field_and_options,
    named,
    nothing,
    query_type,
    scored,
)
from hanse.search.query.fields import Field
from hanse.search.query.fuzziness import fuzzy_part
from hanse.search.query.lucene_regex import prefix_pattern
from hanse.search.query.minimum_should_match import clauses_required
from hanse.search.query.terms import pattern_part

Tokens = list[tuple[int, str]]


@dataclass(slots=True)
class MatchOptions:
    """How text is matched, as far as several queries share it."""

    operator: str = "OR"
    minimum_should_match: Any = None
    fuzziness: Any = None
    prefix_length: int = 0
    transpositions: bool = True
    lenient: bool = False
    analyzer: str | None = None
    zero_terms: str = "none"
    slop: int = 0


def take_match_options(options: Options) -> MatchOptions:
    """Takes the options of match and multi_match from the body."""
    taken = MatchOptions(
        operator_of(options.take("operator", "OR")),
        options.take("minimum_should_match"),
        options.take("fuzziness"),
        as_int(options.take("prefix_length", 0), "prefix_length"),
        as_bool(options.take("fuzzy_transpositions", True), "fuzzy_transpositions"),
        as_bool(options.take("lenient", False), "lenient"),
        _optional_text(options.take("analyzer"), "analyzer"),
        zero_terms_of(options.take("zero_terms_query", "none")),
    )
    if as_int(options.take("max_expansions", 50), "max_expansions") <= 0:
        raise IllegalArgumentError(f"[{options.query}] requires maxExpansions to be positive.")
    for ignored in ("fuzzy_rewrite", "auto_generate_synonyms_phrase_query", "cutoff_frequency"):
        options.take(ignored)
    return taken


def _optional_text(value: Any, key: str) -> str | None:
    return None if value is None else as_text(value, key)


def operator_of(value: Any) -> str:
    upper = str(value).upper()
    if upper not in ("AND", "OR"):
        raise IllegalArgumentError(f"No enum constant org.elasticsearch.index.query.Operator.{upper}")
    return upper


def zero_terms_of(value: Any) -> str:
    lowered = str(value).lower()
    if lowered not in ("none", "all"):
        raise IllegalArgumentError(f"Unsupported zero_terms_query value [{value}]")
    return lowered


@query_type("match")
def match(context: QueryContext, body: dict[str, Any]) -> Part:
    path, options, name = field_and_options("match", body, "query")
    boost, value, how = options.boost(), _query_value("match", options), take_match_options(options)
    options.finish()
    return named(context, name, boosted(match_part(context, path, value, how), boost))


def _query_value(query: str, options: Options) -> Any:
    value = options.take("query")
    if value is None:
        raise IllegalArgumentError(
            f"[{query}] requires query value" if query != "match" else "No text specified for text query"
        )
    if isinstance(value, dict | list):
        as_text(value, "query")
    return value


def match_part(context: QueryContext, path: str, value: Any, how: MatchOptions) -> Part:
    field = fields.resolve(context, path)
    if field is None:
        return nothing()
    if field.kind != "text":
        return exact_part(context, field, value, how)
    return text_part(context, field, fields.analyze(context, field, as_text(value, "query"), how.analyzer), how)


def exact_part(context: QueryContext, field: Field, value: Any, how: MatchOptions) -> Part:
    """Text for a field that holds exact values; `lenient` turns values that do not fit into no match."""
    if how.analyzer is not None:
        fields.check_analyzer(context, how.analyzer)
    try:
        if how.fuzziness is not None and field.is_textual:
            text = fields.normalized(context, field, value)
            return fuzzy_part(context, field, text, how.fuzziness, how.prefix_length, how.transpositions)
        return fields.exact(context, field, value)
    except HanseError:
        if how.lenient:
            return nothing()
        raise


def text_part(context: QueryContext, field: Field, tokens: Tokens, how: MatchOptions) -> Part:
    if not tokens:
        return everything() if how.zero_terms == "all" else nothing()
    places = _by_position(tokens)
    parts = [_place_part(context, field, texts, how) for texts in places]
    if len(parts) == 1:
        return parts[0]
    if how.operator == "AND":
        return combine_parts(parts, [], [], [])
    return combine_parts([], [], parts, [], how.minimum_should_match)


def _by_position(tokens: Tokens) -> list[list[str]]:
    places: dict[int, list[str]] = {}
    for position, text in tokens:
        places.setdefault(position, []).append(text)
    return [places[position] for position in sorted(places)]


def _place_part(context: QueryContext, field: Field, texts: list[str], how: MatchOptions) -> Part:
    """The tokens of one position: synonyms of each other."""
    if how.fuzziness is not None:
        parts = [
            fuzzy_part(context, field, text, how.fuzziness, how.prefix_length, how.transpositions) for text in texts
        ]
    else:
        parts = [word_part(context, field, text) for text in texts]
    return parts[0] if len(parts) == 1 else combine_parts([], [], parts, [])


def word_part(context: QueryContext, field: Field, text: str) -> Part:
    """One indexed word of a text field, scored."""
    context.matched.append(Matched(field.path, "terms", (text,)))
    context.looked_up.append((fields.slot_of(field), text))
    return scored(tantivy.Query.term_query(context.schema, fields.slot_of(field), text, index_option="freq"))


@query_type("match_phrase")
def match_phrase(context: QueryContext, body: dict[str, Any]) -> Part:
    path, options, name = field_and_options("match_phrase", body, "query")
    boost, value = options.boost(), _query_value("match_phrase", options)
    how = MatchOptions(
        slop=_slop(options),
        analyzer=_optional_text(options.take("analyzer"), "analyzer"),
        zero_terms=zero_terms_of(options.take("zero_terms_query", "none")),
    )
    options.finish()
    return named(context, name, boosted(match_phrase_part(context, path, value, how), boost))


def _slop(options: Options) -> int:
    slop = as_int(options.take("slop", 0), "slop")
    if slop < 0:
        raise IllegalArgumentError("No negative slop allowed.")
    return slop


def match_phrase_part(context: QueryContext, path: str, value: Any, how: MatchOptions) -> Part:
    field = fields.resolve(context, path)
    if field is None:
        return nothing()
    if field.kind != "text":
        return exact_part(context, field, value, how)
    return phrase_part(context, field, fields.analyze(context, field, as_text(value, "query"), how.analyzer, True), how)


def phrase_part(context: QueryContext, field: Field, tokens: Tokens, how: MatchOptions) -> Part:
    if len(tokens) < 2 or len({position for position, _ in tokens}) < 2:
        return text_part(context, field, tokens, how)
    first = tokens[0][0]
    words: list[str | tuple[int, str]] = [(position - first, text) for position, text in _one_per_position(tokens)]
    context.matched.append(Matched(field.path, "phrase", tuple(text for _, text in tokens), how.slop))
    context.looked_up.extend((fields.slot_of(field), text) for _, text in tokens)
    return scored(tantivy.Query.phrase_query(context.schema, fields.slot_of(field), words, how.slop))


def _one_per_position(tokens: Tokens) -> Tokens:
    kept: dict[int, str] = {}
    for position, text in tokens:
        kept.setdefault(position, text)
    return sorted(kept.items())


@query_type("match_phrase_prefix")
def match_phrase_prefix(context: QueryContext, body: dict[str, Any]) -> Part:
    path, options, name = field_and_options("match_phrase_prefix", body, "query")
    boost, value = options.boost(), _query_value("match_phrase_prefix", options)
    how = MatchOptions(
        slop=_slop(options),
        analyzer=_optional_text(options.take("analyzer"), "analyzer"),
        zero_terms=zero_terms_of(options.take("zero_terms_query", "none")),
    )
    if as_int(options.take("max_expansions", 50), "max_expansions") < 0:
        raise IllegalArgumentError("No negative maxExpansions allowed.")
    options.finish()
    return named(context, name, boosted(match_phrase_prefix_part(context, path, value, how), boost))


def match_phrase_prefix_part(context: QueryContext, path: str, value: Any, how: MatchOptions) -> Part:
    field = fields.resolve(context, path)
    if field is None:
        return nothing()
    if field.kind != "text":
        if field.is_textual:
            return pattern_part(context, field, prefix_pattern(fields.normalized(context, field, value)))
        return exact_part(context, field, value, how)
    tokens = _one_per_position(fields.analyze(context, field, as_text(value, "query"), how.analyzer, True))
    if len(tokens) < 2:
        return word_prefix_part(context, field, tokens[0][1]) if tokens else text_part(context, field, [], how)
    first = tokens[0][0]
    texts = tuple(text for _, text in tokens)
    context.matched.append(Matched(field.path, "phrase_prefix", texts, how.slop))
    words: list[str | tuple[int, str]] = [(position - first, text) for position, text in tokens]
    if how.slop:
        return scored(_sloppy_prefix(context, field, words, how.slop))
    return scored(tantivy.Query.phrase_prefix_query(context.schema, fields.slot_of(field), words))


def _sloppy_prefix(context: QueryContext, field: Field, words: list[str | tuple[int, str]], slop: int) -> tantivy.Query:
    from hanse.search.query.lucene_regex import escape

    *heads, last = words
    escaped: list[str | tuple[int, str]] = [(word[0], escape(word[1])) for word in heads if isinstance(word, tuple)]
    assert isinstance(last, tuple)
    return tantivy.Query.regex_phrase_query(
        context.schema, fields.slot_of(field), [*escaped, (last[0], prefix_pattern(last[1]))], slop
    )


def word_prefix_part(context: QueryContext, field: Field, text: str) -> Part:
    context.matched.append(Matched(field.path, "prefix", (text,)))
    return pattern_part(context, field, prefix_pattern(text))


@query_type("match_bool_prefix")
def match_bool_prefix(context: QueryContext, body: dict[str, Any]) -> Part:
    path, options, name = field_and_options("match_bool_prefix", body, "query")
    boost, value, how = options.boost(), _query_value("match_bool_prefix", options), take_match_options(options)
    options.finish()
    return named(context, name, boosted(match_bool_prefix_part(context, path, value, how), boost))


def match_bool_prefix_part(context: QueryContext, path: str, value: Any, how: MatchOptions) -> Part:
    field = fields.resolve(context, path)
    if field is None:
        return nothing()
    if field.kind != "text":
        if field.is_textual:
            return pattern_part(context, field, prefix_pattern(fields.normalized(context, field, value)))
        return exact_part(context, field, value, how)
    tokens = fields.analyze(context, field, as_text(value, "query"), how.analyzer)
    if not tokens:
        return text_part(context, field, tokens, how)
    *whole, last = [text for _, text in tokens]
    parts = [_place_part(context, field, [text], how) for text in whole]
    parts.append(word_prefix_part(context, field, last))
    if how.operator == "AND":
        return combine_parts(parts, [], [], [])
    return combine_parts([], [], parts, [], how.minimum_should_match)


def required_of(how: MatchOptions, optional: int) -> int:
    """How many of several words must be found."""
    if how.operator == "AND":
        return optional
    return 1 if how.minimum_should_match is None else clauses_required(how.minimum_should_match, optional)
