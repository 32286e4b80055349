"""The queries inside a plan (filter, filters, adjacency_matrix), to be looked at and replaced before collecting.

A search resolves what a query takes from other documents (`terms` lookup) before it reaches the shards; partials and
joining do not depend on these queries. Tests: tests/search/aggregation/test_filters.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from hanse.search.aggregation.filters import AdjacencyMatrix, Filter, Filters
from hanse.search.aggregation.node import Aggregation

Query = dict[str, Any]


def queries_in(nodes: Sequence[Aggregation]) -> list[Query]:
    """Every query at every depth, in the order `with_queries` expects."""
    found: list[Query] = []
    for node in nodes:
        if isinstance(node, Filter):
            found.append(node.query)
        elif isinstance(node, Filters | AdjacencyMatrix):
            found += node.queries.values()
        found += queries_in(node.children)
    return found


def with_queries(nodes: Sequence[Aggregation], queries: Iterator[Query]) -> list[Aggregation]:
    """The same nodes with these queries in place; the given nodes stay as they are."""
    changed: list[Aggregation] = []
    for node in nodes:
        if isinstance(node, Filter):
            node = replace(node, query=next(queries))
        elif isinstance(node, Filters | AdjacencyMatrix):
            node = replace(node, queries={name: next(queries) for name in node.queries})
        changed.append(replace(node, children=with_queries(node.children, queries)) if node.children else node)
    return changed
