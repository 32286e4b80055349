"""The few calls into the search library, typed. Tests: tests/search/test_sorting.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tantivy

from hanse.errors import IllegalArgumentError


class Rows(NamedTuple):
    """The first matches: each a score or column value and an address. `total` is 0 unless it was asked for."""

    rows: list[tuple[Any, tantivy.DocAddress]]
    total: int


def best(searcher: tantivy.Searcher, query: tantivy.Query, limit: int, *, counted: bool = False) -> Rows:
    """The matches with the highest scores."""
    result: Any = searcher.search(query, limit, counted)
    return Rows(result.hits, result.count if counted else 0)


def ordered(
    searcher: tantivy.Searcher,
    query: tantivy.Query,
    limit: int,
    column: str,
    *,
    descending: bool = False,
    counted: bool = False,
) -> Rows:
    """The first matches by a column; documents without a value come last either way."""
    order = tantivy.Order.Desc if descending else tantivy.Order.Asc
    result: Any = searcher.search(query, limit, counted, column, 0, order)
    return Rows(result.hits, result.count if counted else 0)


def count(searcher: tantivy.Searcher, query: tantivy.Query) -> int:
    result: Any = searcher.search(query, 1)
    return int(result.count)


def column_range(
    schema: tantivy.Schema,
    column: str,
    column_type: tantivy.FieldType,
    lower: Any,
    upper: Any,
    include_lower: bool = True,
    include_upper: bool = True,
) -> tantivy.Query:
    """Documents with a value between two bounds; None is unbounded, which the library wants called inclusive."""
    return tantivy.Query.range_query(
        schema, column, column_type, lower, upper, include_lower or lower is None, include_upper or upper is None
    )


_FACTS: dict[tuple[int, str], tuple[tantivy.Searcher, bool]] = {}
_REMEMBERED_MAX = 64


def has_several(searcher: tantivy.Searcher, column: str) -> bool:
    """Whether some document has more than one value in the column; remembered for each searcher."""

    def several() -> bool:
        counted = searcher.aggregate(tantivy.Query.all_query(), {"n": {"value_count": {"field": column}}})
        return int(counted["n"]["value"] or 0) > count(searcher, tantivy.Query.exists_query(column))

    return _remembered(searcher, "several in " + column, several)


def _remembered(searcher: tantivy.Searcher, fact: str, find_out: Callable[[], bool]) -> bool:
    key = (id(searcher), fact)
    known = _FACTS.get(key)
    if known is not None and known[0] is searcher:
        return known[1]
    answer = find_out()
    _FACTS[key] = (searcher, answer)
    while len(_FACTS) > _REMEMBERED_MAX:
        try:
            del _FACTS[next(iter(_FACTS))]
        except (KeyError, RuntimeError, StopIteration):
            # Another thread has just done it: searches run in several.
            break
    return answer


def has_terms(searcher: tantivy.Searcher, column: str) -> bool:
    """Whether any document has a term in the column; remembered for each searcher."""
    return _remembered(searcher, "terms of " + column, lambda: bool(searcher.terms_with_prefix(column, "", limit=1)))


def distinct(
    searcher: tantivy.Searcher, query: tantivy.Query, column: str, most: int, *, descending: bool
) -> list[Any]:
    """The first different values of a column among the matches, in order."""
    order = {"_key": "desc" if descending else "asc"}
    try:
        answer = searcher.aggregate(query, {"v": {"terms": {"field": column, "size": most, "order": order}}})
    except ValueError as error:
        raise IllegalArgumentError(
            f"a field with several values has too many different ones to sort by: {error}"
        ) from error
    return [bucket["key"] for bucket in answer["v"]["buckets"]]
