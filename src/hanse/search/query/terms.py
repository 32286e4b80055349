"""Queries on exact values: term, terms, range, exists, prefix, wildcard, regexp, fuzzy, ids.

How a value reads in a field is `fields.py`'s business. Tests: tests/search/test_queries.py.
"""

from __future__ import annotations

from typing import Any

import tantivy

from hanse.errors import IllegalArgumentError, ParsingError
from hanse.search.json_input import as_bool, as_int, as_text, token_of
from hanse.search.query import fields
from hanse.search.query.context import (
    Matched,
    Options,
    Part,
    QueryContext,
    any_of,
    boosted,
    constant,
    everything,
    field_and_options,
    named,
    nothing,
    query_type,
)
from hanse.search.query.fuzziness import fuzzy_part
from hanse.search.query.lucene_regex import (
    RegexSyntaxError,
    exact_pattern,
    prefix_pattern,
    translate,
    wildcard_pattern,
)

_RANGE_BOUNDS = ("gt", "gte", "lt", "lte", "from", "to", "include_lower", "include_upper")


@query_type("term")
def term(context: QueryContext, body: dict[str, Any]) -> Part:
    path, options, name = field_and_options("term", body, "value")
    boost = options.boost()
    value = options.take("value", options.take("term"))
    case_insensitive = as_bool(options.take("case_insensitive", False), "case_insensitive")
    options.finish()
    if value is None:
        raise IllegalArgumentError("value cannot be null")
    if isinstance(value, dict | list):
        raise ParsingError(f"[term] query does not support [{path}]", line=1, col=1)
    return named(context, name, boosted(term_part(context, path, value, case_insensitive), boost))


def term_part(context: QueryContext, path: str, value: Any, case_insensitive: bool = False) -> Part:
    field = fields.resolve(context, path)
    if field is None:
        return nothing()
    if field.is_textual and case_insensitive:
        text = fields.normalized(context, field, value)
        context.matched.append(Matched(field.path, "wildcard", (text.lower(),)))
        return pattern_part(context, field, exact_pattern(text, True))
    return fields.exact(context, field, value)


@query_type("terms")
def terms(context: QueryContext, body: dict[str, Any]) -> Part:
    options = Options("terms", {key: body[key] for key in ("boost", "_name") if key in body})
    boost, name = options.boost(), options.name()
    paths = [key for key in body if key not in ("boost", "_name", "value_type")]
    if len(paths) != 1:
        raise ParsingError(
            "[terms] query does not support multiple fields"
            if paths
            else "[terms] query requires a field name, followed by array of terms or a document lookup specification",
            line=1,
            col=1,
        )
    values = body[paths[0]]
    if isinstance(values, dict):
        raise ParsingError("[terms] query lookup element requires specifying the index", line=1, col=1)
    if not isinstance(values, list):
        raise ParsingError(f"[terms] query does not support [{paths[0]}]", line=1, col=1)
    if any(value is None for value in values):
        raise IllegalArgumentError("No value specified for terms query")
    field = fields.resolve(context, paths[0])
    if field is None or not values:
        return named(context, name, nothing())
    return named(context, name, boosted(fields.any_exact(context, field, values), boost))


@query_type("range")
def range_(context: QueryContext, body: dict[str, Any]) -> Part:
    path, options, name = field_and_options("range", body, "")
    if not isinstance(body[path], dict):
        raise ParsingError(f"[range] query does not support [{path}]", line=1, col=1)
    boost = options.boost()
    given = {bound: options.take(bound) for bound in _RANGE_BOUNDS}
    time_zone, text_format = options.take("time_zone"), options.take("format")
    relation = options.take("relation")
    options.finish()
    if relation is not None and str(relation).lower() not in ("intersects", "contains", "within"):
        raise IllegalArgumentError(f"{relation} is not a valid relation")
    span = _bounds(given, text_format, time_zone)
    field = fields.resolve(context, path)
    if field is None:
        return named(context, name, nothing())
    return named(context, name, boosted(fields.between(context, field, span), boost))


def _bounds(given: dict[str, Any], text_format: Any, time_zone: Any) -> fields.Span:
    include_lower = as_bool(given["include_lower"] if given["include_lower"] is not None else True, "include_lower")
    include_upper = as_bool(given["include_upper"] if given["include_upper"] is not None else True, "include_upper")
    lower, upper = given["from"], given["to"]
    if given["gte"] is not None:
        lower, include_lower = given["gte"], True
    if given["gt"] is not None:
        lower, include_lower = given["gt"], False
    if given["lte"] is not None:
        upper, include_upper = given["lte"], True
    if given["lt"] is not None:
        upper, include_upper = given["lt"], False
    for value in (lower, upper):
        if isinstance(value, dict | list):
            raise ParsingError(f"[range] query does not support a bound that is [{token_of(value)}]", line=1, col=1)
    return fields.Span(
        lower,
        upper,
        include_lower,
        include_upper,
        None if text_format is None else as_text(text_format, "format"),
        None if time_zone is None else as_text(time_zone, "time_zone"),
    )


@query_type("exists")
def exists(context: QueryContext, body: dict[str, Any]) -> Part:
    options = Options("exists", body)
    boost, name = options.boost(), options.name()
    path = options.take("field")
    options.finish()
    if path is None:
        raise ParsingError("[exists] must be provided with a [field]", line=1, col=1)
    return named(context, name, boosted(exists_part(context, as_text(path, "field")), boost))


def exists_part(context: QueryContext, path: str) -> Part:
    """Documents with a value in the field, in any field below an object, or in any field a pattern names."""
    if path == "_source":
        raise context.cannot_create(
            IllegalArgumentError("The [_source] field may not be queried directly, nor does it support exists queries")
        )
    if path == "_version":
        return everything()
    found = fields.expand(context, path) if "*" in path else fields.at_or_below(context, path)
    queries = [fields.present(context, field) for field in found]
    return constant(any_of(queries)) if queries else nothing()


@query_type("prefix")
def prefix(context: QueryContext, body: dict[str, Any]) -> Part:
    path, options, name = field_and_options("prefix", body, "value")
    boost = options.boost()
    text = as_text(options.take("value", options.take("prefix")), "value")
    case_insensitive = as_bool(options.take("case_insensitive", False), "case_insensitive")
    options.take("rewrite")
    options.finish()
    return named(context, name, boosted(prefix_part(context, path, text, case_insensitive), boost))


def prefix_part(context: QueryContext, path: str, text: str, case_insensitive: bool = False) -> Part:
    if path == "_index":
        return fields.index_matches(context, text + "*", case_insensitive)
    context.refuse_expensive(
        "[prefix] queries", " For optimised prefix queries on text fields please enable [index_prefixes]."
    )
    field = fields.textual(context, path, "prefix")
    if field is None:
        return nothing()
    text = fields.normalized(context, field, text)
    context.matched.append(Matched(field.path, "prefix", (text,)))
    return pattern_part(context, field, prefix_pattern(text, case_insensitive))


@query_type("wildcard")
def wildcard(context: QueryContext, body: dict[str, Any]) -> Part:
    path, options, name = field_and_options("wildcard", body, "value")
    boost = options.boost()
    value = options.take("value")
    alternative = options.take("wildcard")
    text = as_text(value if value is not None else alternative, "value")
    case_insensitive = as_bool(options.take("case_insensitive", False), "case_insensitive")
    options.take("rewrite")
    options.finish()
    return named(context, name, boosted(wildcard_part(context, path, text, case_insensitive), boost))


def wildcard_part(context: QueryContext, path: str, text: str, case_insensitive: bool = False) -> Part:
    if path == "_index":
        return fields.index_matches(context, text, case_insensitive)
    context.refuse_expensive("[wildcard] queries")
    field = fields.textual(context, path, "wildcard")
    if field is None:
        return nothing()
    text = fields.normalized_pattern(context, field, text)
    context.matched.append(Matched(field.path, "wildcard", (text,)))
    return pattern_part(context, field, wildcard_pattern(text, case_insensitive))


@query_type("regexp")
def regexp(context: QueryContext, body: dict[str, Any]) -> Part:
    path, options, name = field_and_options("regexp", body, "value")
    boost = options.boost()
    text = as_text(options.take("value"), "value")
    case_insensitive = as_bool(options.take("case_insensitive", False), "case_insensitive")
    for ignored in ("flags", "flags_value", "max_determinized_states", "rewrite"):
        options.take(ignored)
    options.finish()
    return named(context, name, boosted(regexp_part(context, path, text, case_insensitive), boost))


def regexp_part(context: QueryContext, path: str, text: str, case_insensitive: bool = False) -> Part:
    context.refuse_expensive("[regexp] queries")
    field = fields.textual(context, path, "regexp")
    if field is None:
        return nothing()
    if len(text) > context.regex_length_max:
        raise context.failure(
            f"The length of regex [{len(text)}] used in the Regexp Query request has exceeded the allowed maximum of "
            f"[{context.regex_length_max}]. This maximum can be set by changing the [index.max_regex_length] index "
            "level setting."
        )
    try:
        pattern = translate(text, case_insensitive)
    except RegexSyntaxError as error:
        raise context.cannot_create(IllegalArgumentError(str(error))) from error
    context.matched.append(Matched(field.path, "regex", pattern.required))
    occurrences = [(tantivy.Occur.Must, _pattern_query(context, field, item)) for item in pattern.required]
    occurrences += [(tantivy.Occur.MustNot, _pattern_query(context, field, item)) for item in pattern.excluded]
    if not pattern.required:
        occurrences.append((tantivy.Occur.Must, fields.present(context, field)))
    return constant(tantivy.Query.boolean_query(occurrences))


def pattern_part(context: QueryContext, field: fields.Field, pattern: str) -> Part:
    return constant(_pattern_query(context, field, pattern))


def _pattern_query(context: QueryContext, field: fields.Field, pattern: str) -> tantivy.Query:
    try:
        return tantivy.Query.regex_query(context.schema, fields.slot_of(field), pattern)
    except ValueError as error:
        raise context.cannot_create(IllegalArgumentError(f"the pattern cannot be run: {error}")) from error


@query_type("fuzzy")
def fuzzy(context: QueryContext, body: dict[str, Any]) -> Part:
    path, options, name = field_and_options("fuzzy", body, "value")
    boost = options.boost()
    text = as_text(options.take("value", options.take("term")), "value")
    fuzziness = options.take("fuzziness", "AUTO")
    prefix_length = as_int(options.take("prefix_length", 0), "prefix_length")
    transpositions = as_bool(options.take("transpositions", True), "transpositions")
    expansions = as_int(options.take("max_expansions", 50), "max_expansions")
    if expansions <= 0:
        raise IllegalArgumentError("maxExpansions must be positive")
    options.take("rewrite")
    options.finish()
    field = fields.textual(context, path, "fuzzy")
    if field is None:
        return named(context, name, nothing())
    text = fields.normalized(context, field, text)
    return named(
        context, name, boosted(fuzzy_part(context, field, text, fuzziness, prefix_length, transpositions), boost)
    )


@query_type("ids")
def ids(context: QueryContext, body: dict[str, Any]) -> Part:
    options = Options("ids", body)
    boost, name = options.boost(), options.name()
    values = options.take("values")
    options.take("type")
    options.finish()
    if values is None:
        raise IllegalArgumentError("[ids] requires providing at least one value")
    if not isinstance(values, list):
        values = [values]
    texts = [as_text(value, "values") for value in values]
    if not texts:
        return named(context, name, nothing())
    return named(context, name, constant(tantivy.Query.term_set_query(context.schema, "_id", texts), boost))
