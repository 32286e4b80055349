"""The order of buckets: by count, by key, by a metric below them, ties by key ascending.

Tests: tests/search/aggregation/test_terms.py.
"""

from __future__ import annotations

import functools
import math
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
    rules = order if any(path == "_key" for path, _ in order) else [*order, ("_key", True)]
    ranked = list(buckets)
    # Stable sorts, the last rule first: later ones keep the order of equals.
    for path, ascending in reversed(rules):
        if path == "_count":
            ranked.sort(key=lambda bucket: bucket.doc_count, reverse=not ascending)
        elif path == "_key":
            ranked.sort(key=lambda bucket: bucket.key, reverse=not ascending)
        else:
            ranked.sort(key=functools.partial(_metric_rank, path, ascending))
    return ranked


def _metric_rank(path: str, ascending: bool, bucket: BucketAnswer) -> tuple[int, float]:
    value = metric_at(bucket.subs, path, context="order")
    if value is None or math.isnan(value):
        return (1, 0.0)
    return (0, value if ascending else -value)
