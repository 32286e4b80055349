"""Queries made of queries (bool, constant_score, dis_max, boosting, nested, function_score, wrapper) and of none.

Tests: tests/search/test_queries.py.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import orjson
import tantivy

from hanse.errors import IllegalArgumentError, ParsingError
from hanse.search.json_input import as_bool, as_float, token_of
from hanse.search.query.context import (
    MUST,
    MUST_NOT,
    SHOULD,
    Options,
    Part,
    QueryContext,
    boosted,
    constant,
    everything,
    named,
    nothing,
    query_type,
    unscored,
)
from hanse.search.query.minimum_should_match import clauses_required

_OCCURRENCES = {"must": "must", "should": "should", "must_not": "must_not", "mustNot": "must_not", "filter": "filter"}


@query_type("match_all")
def match_all(context: QueryContext, body: dict[str, Any]) -> Part:
    options = Options("match_all", body)
    boost, name = options.boost(), options.name()
    options.finish()
    return named(context, name, everything(boost))


@query_type("match_none")
def match_none(context: QueryContext, body: dict[str, Any]) -> Part:
    options = Options("match_none", body)
    options.boost()
    name = options.name()
    options.finish()
    return named(context, name, nothing())


@query_type("bool")
def boolean(context: QueryContext, body: dict[str, Any]) -> Part:
    options = Options("bool", {key: value for key, value in body.items() if key not in _OCCURRENCES})
    boost, name = options.boost(), options.name()
    minimum = options.take("minimum_should_match")
    as_bool(options.take("adjust_pure_negative", True), "adjust_pure_negative")
    options.finish()
    clauses: dict[str, list[Any]] = {"must": [], "should": [], "must_not": [], "filter": []}
    for key, value in body.items():
        if key in _OCCURRENCES:
            clauses[_OCCURRENCES[key]] += _clause_list(key, value)
    return named(context, name, boosted(combine(context, clauses, minimum), boost))


def _clause_list(key: str, value: Any) -> list[Any]:
    items = value if isinstance(value, list) else [value]
    for item in items:
        if not isinstance(item, dict):
            raise ParsingError(f"[bool] query does not support [{key}]", line=1, col=1)
    return items


def combine(context: QueryContext, clauses: dict[str, list[Any]], minimum: Any) -> Part:
    """The bool query of DSL clauses."""
    must = [context.build(clause) for clause in clauses["must"]]
    filters = [context.build(clause) for clause in clauses["filter"]]
    should = [context.build(clause) for clause in clauses["should"]]
    unhighlighted = len(context.matched)
    must_not = [context.build(clause) for clause in clauses["must_not"]]
    del context.matched[unhighlighted:]
    return combine_parts(must, filters, should, must_not, minimum)


def combine_parts(
    must: list[Part], filters: list[Part], should: list[Part], must_not: list[Part], minimum: Any = None
) -> Part:
    if not (must or filters or should or must_not):
        return everything()
    required = 0 if must or filters or not should else 1
    if minimum is not None:
        # Optional clauses alone always need one match, whatever the minimum says: that is Lucene's rule.
        required = max(required, clauses_required(minimum, len(should)))
        if required > len(should):
            return nothing()
    if any(part.matches_none for part in (*must, *filters)):
        return nothing()
    occurrences = [(MUST, part.query) for part in must]
    occurrences += [(MUST, unscored(part.query)) for part in filters]
    occurrences += [(MUST_NOT, part.query) for part in must_not if not part.matches_none]
    if not must and not filters and not should:
        # Only exclusions: everything else matches.
        occurrences.append((MUST, unscored(tantivy.Query.all_query())))
    optional = [part for part in should if not part.matches_none]
    if len(optional) < required:
        return nothing()
    occurrences += [(SHOULD, part.query) for part in optional]
    if len(occurrences) == 1 and (must or optional):
        return (must or optional)[0]
    needs_minimum = optional and required > (0 if must or filters else 1)
    query = tantivy.Query.boolean_query(occurrences, minimum_number_should_match=required if needs_minimum else None)
    if optional:
        return Part(query)
    if any(part.score is None for part in must):
        only = [part for part in must if part.score is None]
        return Part(query, is_uniform=all(part.is_uniform for part in only))
    return Part(query, sum(part.score or 0.0 for part in must))


@query_type("constant_score")
def constant_score(context: QueryContext, body: dict[str, Any]) -> Part:
    options = Options("constant_score", body)
    boost, name = options.boost(), options.name()
    inner = options.take("filter")
    if isinstance(inner, list):
        raise ParsingError("unexpected token [START_ARRAY]", line=1, col=1)
    if inner is None:
        raise ParsingError("[constant_score] requires a 'filter' element", line=1, col=1)
    options.finish()
    part = context.build(inner)
    return named(context, name, nothing() if part.matches_none else constant(part.query, boost))


@query_type("dis_max")
def dis_max(context: QueryContext, body: dict[str, Any]) -> Part:
    options = Options("dis_max", body)
    boost, name = options.boost(), options.name()
    tie_breaker = as_float(options.take("tie_breaker", 0.0), "tie_breaker")
    queries = options.take("queries")
    if queries is None:
        raise ParsingError("[dis_max] requires 'queries' field with at least one clause", line=1, col=1)
    options.finish()
    clauses = queries if isinstance(queries, list) else [queries]
    parts = [context.build(clause) for clause in clauses]
    return named(context, name, boosted(best_of(parts, tie_breaker), boost))


def best_of(parts: list[Part], tie_breaker: float = 0.0) -> Part:
    """The highest score among the parts, plus a share of the others'."""
    matching = [part for part in parts if not part.matches_none]
    if not matching:
        return nothing()
    if len(matching) == 1:
        return matching[0]
    return Part(tantivy.Query.disjunction_max_query([part.query for part in matching], tie_breaker))


@query_type("boosting")
def boosting(context: QueryContext, body: dict[str, Any]) -> Part:
    options = Options("boosting", body)
    boost, name = options.boost(), options.name()
    positive, negative = options.take("positive"), options.take("negative")
    factor = as_float(options.take("negative_boost", -1), "negative_boost")
    if positive is None:
        raise ParsingError("[boosting] query requires 'positive' query to be set", line=1, col=1)
    if negative is None:
        raise ParsingError("[boosting] query requires 'negative' query to be set", line=1, col=1)
    if factor < 0:
        raise ParsingError("[boosting] query requires 'negative_boost' to be set to be a positive value", line=1, col=1)
    options.finish()
    wanted, unwanted = context.build(positive), context.build(negative)
    if wanted.matches_none or unwanted.matches_none:
        return named(context, name, boosted(wanted, boost))
    lowered = tantivy.Query.boolean_query(
        [(MUST, tantivy.Query.boost_query(wanted.query, factor)), (MUST, unscored(unwanted.query))]
    )
    plain = tantivy.Query.boolean_query([(MUST, wanted.query), (MUST_NOT, unwanted.query)])
    query = tantivy.Query.boolean_query([(SHOULD, plain), (SHOULD, lowered)])
    return named(context, name, boosted(Part(query), boost))


@query_type("nested")
def nested(context: QueryContext, body: dict[str, Any]) -> Part:
    """Nested objects are indexed flat, so conditions may be met by different objects of one document."""
    context.refuse_expensive("[joining] queries")
    options = Options("nested", body)
    boost, name = options.boost(), options.name()
    path, inner = options.take("path"), options.take("query")
    mode = str(options.take("score_mode", "avg"))
    ignore_unmapped = as_bool(options.take("ignore_unmapped", False), "ignore_unmapped")
    if options.take("inner_hits") is not None:
        raise IllegalArgumentError("[inner_hits] is not supported")
    if path is None:
        raise ParsingError("[nested] requires 'path' field", line=1, col=1)
    if inner is None:
        raise ParsingError("[nested] requires 'query' field", line=1, col=1)
    options.finish()
    if mode not in ("avg", "max", "min", "sum", "none"):
        raise IllegalArgumentError(f"No score mode for child query [{mode}] found")
    if context.mapping.object_type(path) != "nested":
        if ignore_unmapped:
            return nothing()
        found = context.mapping.object_type(path) or context.mapping.field(path)
        problem = (
            "[nested] nested object under path [{}] is not of nested type"
            if found
            else "[nested] failed to find nested object under path [{}]"
        )
        cause = IllegalArgumentError(problem.format(path))
        raise context.failure(f"failed to create query: {cause.reason}", cause)
    part = context.build(inner)
    if part.matches_none:
        return nothing()
    return named(context, name, constant(part.query, 0.0) if mode == "none" else boosted(part, boost))


@query_type("wrapper")
def wrapper(context: QueryContext, body: dict[str, Any]) -> Part:
    options = Options("wrapper", body)
    encoded = options.take("query")
    if not isinstance(encoded, str):
        raise ParsingError("[wrapper] query has no [query]", line=1, col=1)
    options.finish()
    try:
        return context.build(orjson.loads(base64.b64decode(encoded, validate=True)))
    except (binascii.Error, orjson.JSONDecodeError) as error:
        raise ParsingError(
            "[wrapper] query malformed, query is not valid base64 encoded JSON", line=1, col=1
        ) from error


@query_type("function_score")
def function_score(context: QueryContext, body: dict[str, Any]) -> Part:
    """Weights with filters, summed or multiplied; functions that compute from fields or scripts are refused."""
    options = Options("function_score", body)
    boost, name = options.boost(), options.name()
    inner = context.build(options.take("query", {"match_all": {}}))
    mode, combination = str(options.take("score_mode", "multiply")), str(options.take("boost_mode", "multiply"))
    functions = options.take("functions", [])
    weight = options.take("weight")
    if weight is not None:
        functions = [*functions, {"weight": weight}]
    for member in (
        "script_score",
        "random_score",
        "field_value_factor",
        "gauss",
        "exp",
        "linear",
        "min_score",
        "max_boost",
    ):
        if options.take(member) is not None:
            raise IllegalArgumentError(f"[function_score] with [{member}] is not supported")
    options.finish()
    weights = [_weighted_filter(context, function) for function in functions]
    if len(weights) > 1 and mode != "sum":
        raise IllegalArgumentError(f"[function_score] with score_mode [{mode}] of several functions is not supported")
    return named(context, name, boosted(_reweigh(inner, weights, combination), boost))


def _weighted_filter(context: QueryContext, function: Any) -> tuple[tantivy.Query, float]:
    if not isinstance(function, dict):
        raise ParsingError(f"failed to parse [function_score] query: expected an object, got [{token_of(function)}]")
    for member in function:
        if member not in ("filter", "weight"):
            raise IllegalArgumentError(f"[function_score] with [{member}] is not supported")
    if "weight" not in function:
        raise ParsingError("failed to parse [function_score] query. an entry in functions list is missing a function.")
    condition = context.build(function.get("filter", {"match_all": {}}))
    return condition.query, as_float(function["weight"], "weight")


def _reweigh(inner: Part, weights: list[tuple[tantivy.Query, float]], combination: str) -> Part:
    if not weights or inner.matches_none:
        return inner
    if combination == "multiply" and len(weights) == 1:
        condition, factor = weights[0]
        return _where(inner, condition, tantivy.Query.boost_query(inner.query, factor), inner.query)
    if combination in ("sum", "replace"):
        base = inner.query if combination == "sum" else unscored(inner.query)
        added = [(SHOULD, tantivy.Query.const_score_query(condition, factor)) for condition, factor in weights]
        matched_by_none = tantivy.Query.boolean_query(
            [(MUST, unscored(inner.query)), *((MUST_NOT, condition) for condition, _ in weights)]
        )
        # A document that no function matches counts as if a function gave it 1.
        added.append((SHOULD, tantivy.Query.const_score_query(matched_by_none, 1.0)))
        return Part(tantivy.Query.boolean_query([(MUST, base), *added]))
    raise IllegalArgumentError(f"[function_score] with boost_mode [{combination}] is not supported here")


def _where(inner: Part, condition: tantivy.Query, then: tantivy.Query, otherwise: tantivy.Query) -> Part:
    matching = tantivy.Query.boolean_query([(MUST, then), (MUST, unscored(condition))])
    others = tantivy.Query.boolean_query([(MUST, otherwise), (MUST_NOT, condition)])
    return Part(tantivy.Query.boolean_query([(SHOULD, matching), (SHOULD, others)]))
