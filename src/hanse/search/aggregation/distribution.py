"""All distinct values of a column with their counts: the raw material of cardinality, percentiles and big terms.

Asked of tantivy as one terms aggregation where its bucket limit allows; beyond it keywords come from the term
dictionary and numbers from parts of the documents, halved until each fits. A count is a number of documents: a value
that one document holds twice counts once. Tests: tests/search/aggregation/test_distribution.py.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import tantivy

from hanse.errors import TooManyBucketsError
from hanse.search.aggregation.columns import Column
from hanse.search.aggregation.run import ALL, BucketLimitError, Scope, both, without

PART_DOCS_MAX = 50_000  # so many documents with one value each stay below tantivy's bucket limit
SORTED_DOCS_MAX = 500_000  # so many hits are held in memory at once
DOCUMENT_SLOT = "_seq_no"
NO_TERM = "\0\0missing"

Counts = list[tuple[Any, int]]


def all_terms(column: Column, missing: Any = None) -> dict[str, Any]:
    """The tantivy request for every value; `missing` stands in for documents without one."""
    body: dict[str, Any] = {"field": column.slot, "size": ALL, "segment_size": ALL}
    if missing is not None:
        body["missing"] = engine_missing(column, missing)
    if column.prefix:
        body["include"] = _prefix_pattern(column)
    return {"terms": body}


def engine_missing(column: Column, missing: Any) -> Any:
    """What tantivy is told to put in: of texts never a term, since 0.27 loses the term's own count where they meet."""
    return missing if column.is_numeric else NO_TERM


def read_terms(answer: dict[str, Any], column: Column, missing: Any = None) -> Counts:
    """Values and counts; a missing value that is also a term comes twice."""
    skip = len(column.prefix)
    if skip:
        return [(bucket["key"][skip:], bucket["doc_count"]) for bucket in answer["buckets"]]
    keys = (bucket["key"] for bucket in answer["buckets"])
    if missing is not None and not column.is_numeric:
        keys = (missing if key == NO_TERM else key for key in keys)
    return [(key, bucket["doc_count"]) for key, bucket in zip(keys, answer["buckets"], strict=True)]


def _prefix_pattern(column: Column) -> str:
    # NUL separates a flattened field's key from its value; tantivy's patterns want it spelled.
    literal = "".join(r"\x00" if letter == "\0" else re.escape(letter) for letter in column.prefix)
    return literal + r"(.|\n)*"


def has_value(scope: Scope, column: Column) -> tantivy.Query:
    """Documents with a value in the column."""
    if column.constant is not None:
        return tantivy.Query.all_query()
    if column.prefix:
        return tantivy.Query.regex_query(scope.run.schema, column.slot, _prefix_pattern(column))
    return tantivy.Query.exists_query(column.slot)


def lacks_value(scope: Scope, column: Column) -> tantivy.Query:
    return without(has_value(scope, column))


def all_values(scope: Scope, column: Column, missing: Any = None) -> Counts:
    """Every distinct value and its count, however many there are."""
    if column.constant is not None:
        return [(column.constant, scope.docs)] if scope.docs else []
    try:
        answer = scope.run.aggregate(scope.query, {"t": all_terms(column, None if column.prefix else missing)})["t"]
        if not column.prefix or missing is None:
            return list(_added(read_terms(answer, column, missing)).items())
        counts = _added(read_terms(answer, column))
    except BucketLimitError:
        counts = _added(_large(scope, column))
    if missing is not None:
        lacking = scope.run.count(both(scope.query, lacks_value(scope, column)))
        if lacking:
            counts[missing] += lacking
    return list(counts.items())


def _added(rows: Iterable[tuple[Any, int]]) -> Counter[Any]:
    counts: Counter[Any] = Counter()
    for value, count in rows:
        counts[value] += count
    return counts


def _large(scope: Scope, column: Column) -> Iterator[tuple[Any, int]]:
    if not column.is_numeric:
        found = scope.run.searcher.terms_with_prefix(column.slot, column.prefix, filter_query=scope.query)
        yield from ((term[len(column.prefix) :], count) for term, count in found)
        return
    docs = scope.run.count(both(scope.query, has_value(scope, column)))
    held = scope.run.aggregate(scope.query, {"c": {"value_count": {"field": column.slot}}})["c"]["value"]
    if held == docs <= SORTED_DOCS_MAX:
        # One value in each document: the sorted hits are the values, a third of the work of as many buckets.
        hits = scope.run.searcher.search(scope.query, docs, count=False, order_by_field=column.slot).hits
        yield from Counter(value for value, _ in hits if value is not None).items()
        return
    for answer in in_parts(scope, all_terms(column)):
        yield from read_terms(answer, column)


def in_parts(scope: Scope, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The answers to one request over parts of the documents, each small enough for tantivy's bucket limit.

    Parts are ranges of `_seq_no`, so every document is in one of them and counts of documents may be added.
    """
    stats = scope.run.aggregate(scope.query, {"s": {"stats": {"field": DOCUMENT_SLOT}}})["s"]
    if stats["count"]:
        yield from _between(scope, request, int(stats["min"]), int(stats["max"]))


def _between(scope: Scope, request: dict[str, Any], low: int, high: int) -> Iterator[dict[str, Any]]:
    bounds = tantivy.Query.range_query(scope.run.schema, DOCUMENT_SLOT, tantivy.FieldType.Unsigned, low, high)
    query = both(scope.query, bounds)
    if scope.run.count(query) <= PART_DOCS_MAX or low == high:
        try:
            yield scope.run.aggregate(query, {"part": request})["part"]
            return
        except BucketLimitError:
            if low == high:
                raise TooManyBucketsError.of(scope.run.context.max_buckets) from None
    middle = (low + high) // 2
    yield from _between(scope, request, low, middle)
    yield from _between(scope, request, middle + 1, high)


def range_condition(scope: Scope, column: Column, low: Any, high: Any, *, include_high: bool = False) -> tantivy.Query:
    """Documents with a value in [low, high), or up to and with `high`; None is no bound. For numeric columns."""
    if low is None and high is None:
        return has_value(scope, column)
    field_type = tantivy.FieldType.Integer if column.is_integral else tantivy.FieldType.Float
    return tantivy.Query.range_query(
        scope.run.schema, column.slot, field_type, low, high, True, include_high or high is None
    )


def value_condition(scope: Scope, column: Column, value: Any) -> tantivy.Query:
    """Documents that hold this very value."""
    if column.constant is not None:
        return tantivy.Query.all_query() if value == column.constant else tantivy.Query.empty_query()
    if column.kind == "double":
        value = float(value)
    elif column.is_integral:
        value = int(value)
    elif column.prefix:
        value = column.prefix + value
    return tantivy.Query.term_query(scope.run.schema, column.slot, value)
