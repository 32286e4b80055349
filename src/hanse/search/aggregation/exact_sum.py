"""Sums of doubles that do not depend on the order of adding.

Partial answers of shards arrive in any order and grouping, and plain float addition is not associative. A sum is kept
as a short list of floats whose exact sum is the value (largest first, each the correctly rounded rest): a canonical
form, so joining partials is associative and commutative to the last bit.
Tests: tests/search/aggregation/test_exact_sum.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterable


def canonical(terms: Iterable[float]) -> list[float]:
    """The canonical form of the exact sum of the terms: [] for zero, [inf] or [nan] when the doubles cannot hold it."""
    rest = [float(term) for term in terms if term]
    if not all(math.isfinite(term) for term in rest):
        return [sum(rest)]
    heads: list[float] = []
    while rest:
        try:
            head = math.fsum(rest)
        except OverflowError:
            return [math.inf if sum(rest) > 0 else -math.inf]
        if not head:
            break
        heads.append(head)
        rest.append(-head)
    return heads


def value(form: Iterable[float]) -> float:
    """The double nearest to the exact sum."""
    for head in form:
        return head
    return 0.0
