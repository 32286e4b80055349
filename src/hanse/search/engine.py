"""The few calls into the search library, typed. Tests: tests/search/test_sorting.py."""

from __future__ import annotations

from typing import Any, NamedTuple

import tantivy


class Rows(NamedTuple):
    """The first matches: each a score or column value and an address. `count` is 0 unless it was asked for."""

    rows: list[tuple[Any, tantivy.DocAddress]]
    count: int


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


def integers(searcher: tantivy.Searcher, column: str, addresses: list[tantivy.DocAddress]) -> list[int]:
    """The values of a column that every document has."""
    return [int(value or 0) for value in searcher.fast_field_values(column, addresses)]
