"""The order of buckets: by count, by key, by a metric below them, ties by key ascending.

Tests: tests/search/aggregation/test_ordering.py.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from hanse.errors import ParsingError
from hanse.search.aggregation.answer import BucketAnswer, metric_at

Order = list[tuple[str, bool]]  # (path or _count or _key, ascending)


def parse_order(kind: str, value: Any) -> Order:
    """`{"_count": "desc"}` or a list of such."""
    entries = value if isinstance(value, list) else [value]
    order: Order = []
    for entry in entries:
        if not isinstance(entry, dict) or len(entry) != 1:
            raise ParsingError("Must specify at least one field for [order]")
        ((path, direction),) = entry.items()
        if not isinstance(direction, str) or direction.lower() not in ("asc", "desc"):
            raise ParsingError(f"Unknown order direction [{direction}]")
        path = "_key" if path in ("_term", "_time") else str(path)
        order.append((path, direction.lower() == "asc"))
    return order


def metric_paths(order: Order) -> list[str]:
    return [path for path, _ in order if path not in ("_count", "_key")]


def sort_buckets(buckets: list[BucketAnswer], order: Order) -> list[BucketAnswer]:
    """The buckets in order; a metric without a value sorts last in either direction."""
    return sorted(buckets, key=functools.cmp_to_key(comparator(order)))


def comparator(order: Order) -> Callable[[BucketAnswer, BucketAnswer], int]:
    rules = order if any(path == "_key" for path, _ in order) else [*order, ("_key", True)]

    def compare(left: BucketAnswer, right: BucketAnswer) -> int:
        for path, ascending in rules:
            if path in ("_count", "_key"):
                a, b = (left.doc_count, right.doc_count) if path == "_count" else (left.key, right.key)
            else:
                a, b = (metric_at(side.subs, path, context="order") for side in (left, right))
                lacking = (a is None or a != a) - (b is None or b != b)
                if lacking:
                    return lacking
                if a is None or a != a:
                    continue
            if a != b:
                return -1 if (a < b) == ascending else 1
        return 0

    return compare
