"""multi_match: one text in several fields, each with a boost. Tests: tests/search/test_fulltext.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hanse.errors import IllegalArgumentError, ParsingError
from hanse.search.json_input import as_float, as_int, as_strings, as_text
from hanse.search.query import fields
from hanse.search.query.compound import best_of, combine_parts
from hanse.search.query.context import Options, Part, QueryContext, boosted, named, nothing, query_type
from hanse.search.query.fields import Field
from hanse.search.query.fulltext import (
    MatchOptions,
    exact_part,
    match_bool_prefix_part,
    match_part,
    match_phrase_part,
    match_phrase_prefix_part,
    take_match_options,
    text_part,
    word_part,
)

_PARTS = {
    "best_fields": match_part,
    "most_fields": match_part,
    "phrase": match_phrase_part,
    "phrase_prefix": match_phrase_prefix_part,
    "bool_prefix": match_bool_prefix_part,
}
_SUMMED = ("most_fields", "bool_prefix")
BoostedField = tuple[Field, float]


@query_type("multi_match")
def multi_match(context: QueryContext, body: dict[str, Any]) -> Part:
    options = Options("multi_match", body)
    boost, name = options.boost(), options.name()
    value = options.take("query")
    if value is None:
        raise ParsingError("No text specified for multi_match query", line=1, col=1)
    kind = _kind(options.take("type", "best_fields"))
    wanted = options.take("fields", [])
    tie_breaker = options.take("tie_breaker")
    if kind == "bool_prefix":
        _refuse_for_bool_prefix(options)
    slop = as_int(options.take("slop", 0), "slop")
    how = take_match_options(options)
    how.slop = slop
    options.finish()
    if how.fuzziness is not None and kind in ("cross_fields", "phrase", "phrase_prefix"):
        raise IllegalArgumentError(f"Fuzziness not allowed for type [{kind}]")
    targets = boosted_fields(context, as_strings(wanted, "fields") or list(context.default_fields))
    if not wanted:
        how.lenient = True
    tie = as_float(tie_breaker, "tie_breaker") if tie_breaker is not None else None
    return named(context, name, boosted(multi_part(context, targets, value, kind, how, tie), boost))


def _refuse_for_bool_prefix(options: Options) -> None:
    for name in ("slop", "cutoff_frequency"):
        value = options.take(name)
        if value is not None:
            raise IllegalArgumentError(f"[{name}] not allowed for type [bool_prefix]")


def _kind(value: Any) -> str:
    kind = as_text(value, "type")
    if kind not in _PARTS and kind != "cross_fields":
        raise ParsingError(f"failed to parse [multi_match] query type [{kind}]. unknown type.", line=1, col=1)
    return kind


def boosted_fields(context: QueryContext, wanted: Sequence[str]) -> list[BoostedField]:
    """The fields that names and patterns with `^boost` mean, each once."""
    found: dict[str, BoostedField] = {}
    for spec in wanted:
        pattern, caret, factor = spec.rpartition("^")
        if not caret:
            pattern, factor = spec, "1"
        boost = as_float(factor, "boost")
        matching = fields.expand(context, pattern, searchable_text=True) if "*" in pattern else _one(context, pattern)
        for field in matching:
            before = found.get(field.path)
            found[field.path] = (field, boost if before is None or "*" not in pattern else before[1])
    return list(found.values())


def _one(context: QueryContext, path: str) -> list[Field]:
    field = fields.resolve(context, path)
    return [] if field is None else [field]


def multi_part(
    context: QueryContext,
    targets: Sequence[BoostedField],
    value: Any,
    kind: str,
    how: MatchOptions,
    tie_breaker: float | None = None,
) -> Part:
    if not targets:
        return nothing()
    if kind == "cross_fields":
        return _cross_fields(context, targets, value, how, tie_breaker or 0.0)
    build = _PARTS[kind]
    parts = [boosted(build(context, field.path, value, how), factor) for field, factor in targets]
    if kind in _SUMMED and tie_breaker in (None, 1.0):
        return combine_parts([], [], [part for part in parts if not part.matches_none] or [nothing()], [])
    return best_of(parts, tie_breaker or 0.0)


def _cross_fields(
    context: QueryContext, targets: Sequence[BoostedField], value: Any, how: MatchOptions, tie_breaker: float
) -> Part:
    """Each word may be in any field. Fields are grouped by analyzer; term statistics are each field's own."""
    groups: dict[str | None, list[BoostedField]] = {}
    for field, factor in targets:
        groups.setdefault(_analyzer_name(field) if field.kind == "text" else None, []).append((field, factor))
    parts = []
    for analyzer, members in groups.items():
        if analyzer is None:
            parts += [boosted(exact_part(context, field, value, how), factor) for field, factor in members]
        else:
            parts.append(_one_group(context, members, as_text(value, "query"), how, tie_breaker))
    return best_of(parts, tie_breaker)


def _analyzer_name(field: Field) -> str:
    return str(field.search_analyzer.name) if field.search_analyzer is not None else ""


def _one_group(
    context: QueryContext, members: Sequence[BoostedField], text: str, how: MatchOptions, tie_breaker: float
) -> Part:
    tokens = fields.analyze(context, members[0][0], text, how.analyzer)
    if not tokens:
        return text_part(context, members[0][0], tokens, how)
    words = [
        best_of([boosted(word_part(context, field, token), factor) for field, factor in members], tie_breaker)
        for _, token in tokens
    ]
    if how.operator == "AND":
        return combine_parts(words, [], [], [])
    return combine_parts([], [], words, [], how.minimum_should_match)
