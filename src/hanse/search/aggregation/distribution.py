"""All distinct values of a column with their counts: the raw material of cardinality, percentiles and big terms.

Asked of tantivy as one terms aggregation where its bucket limit allows; beyond it keywords come from the term
dictionary and numbers from value ranges, halved until each fits. A count is a number of documents: a value that one
document holds twice counts once. Tests: tests/search/aggregation/test_distribution.py.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import tantivy

from hanse.search.aggregation.columns import Column
from hanse.search.aggregation.run import ALL, BucketLimitError, Scope, both, without

TERMS_DOCS_MAX = 50_000  # so many documents with one value each stay below tantivy's bucket limit
SORTED_DOCS_MAX = 500_000  # so many sorted hits are held in memory at once
NO_TERM = "\0\0missing"
_HALVINGS_MAX = 80

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
    if column.prefix:
        return tantivy.Query.regex_query(scope.run.schema, column.slot, _prefix_pattern(column))
    return tantivy.Query.exists_query(column.slot)


def lacks_value(scope: Scope, column: Column) -> tantivy.Query:
    return without(has_value(scope, column))


def all_values(scope: Scope, column: Column, missing: Any = None) -> Counts:
    """Every distinct value and its count, however many there are."""
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
    stats = scope.run.aggregate(scope.query, {"s": {"stats": {"field": column.slot}}})["s"]
    with_value = scope.run.count(both(scope.query, has_value(scope, column)))
    yield from _between(scope, column, (None, None), int(stats["count"]) == with_value, _HALVINGS_MAX)


def _between(
    scope: Scope, column: Column, bounds: tuple[Any, Any], is_single_valued: bool, halvings: int
) -> Iterator[tuple[Any, int]]:
    """The values v with bounds[0] <= v < bounds[1], which need not be those of the documents that hold them."""
    query = both(scope.query, range_condition(scope, column, *bounds)) if bounds != (None, None) else scope.query
    docs = scope.run.count(query)
    if is_single_valued and docs <= SORTED_DOCS_MAX:
        hits = scope.run.searcher.search(query, max(docs, 1), count=False, order_by_field=column.slot).hits
        yield from Counter(value for value, _ in hits if value is not None).items()
        return
    if docs <= TERMS_DOCS_MAX or halvings == 0:
        try:
            found = read_terms(scope.run.aggregate(query, {"t": all_terms(column)})["t"], column)
        except BucketLimitError:
            if halvings == 0:
                raise
        else:
            yield from ((v, n) for v, n in found if within(v, bounds))
            return
    middle = _middle(scope, column, query, docs, bounds)
    yield from _between(scope, column, (bounds[0], middle), is_single_valued, halvings - 1)
    yield from _between(scope, column, (middle, bounds[1]), is_single_valued, halvings - 1)


def _middle(scope: Scope, column: Column, query: tantivy.Query, docs: int, bounds: tuple[Any, Any]) -> Any:
    """A value that splits the documents about evenly (the median document's, when it lies inside the bounds)."""
    hits = scope.run.searcher.search(query, 1, count=False, offset=docs // 2, order_by_field=column.slot).hits
    value = hits[0][0] if hits else None
    if value is not None and (bounds[0] is None or value > bounds[0]) and (bounds[1] is None or value < bounds[1]):
        return value
    stats = scope.run.aggregate(query, {"s": {"stats": {"field": column.slot}}})["s"]
    low = stats["min"] if bounds[0] is None else bounds[0]
    high = stats["max"] if bounds[1] is None else bounds[1]
    middle = low + (high - low) / 2
    return int(middle) if column.is_integral else middle


def within(value: Any, bounds: tuple[Any, Any]) -> bool:
    return (bounds[0] is None or value >= bounds[0]) and (bounds[1] is None or value < bounds[1])


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
    if column.kind == "double":
        value = float(value)
    elif column.is_integral:
        value = int(value)
    elif column.prefix:
        value = column.prefix + value
    return tantivy.Query.term_query(scope.run.schema, column.slot, value)
