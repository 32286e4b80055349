"""Conditions on sort keys: being at a value, behind it, or without one; and the query that continues after a hit.

With several values in a document the lowest or highest decides where it sorts, so a condition on one value also says
that none comes before it. Tests: tests/search/test_sorting.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tantivy

from hanse.errors import IllegalArgumentError
from hanse.search import engine
from hanse.search.query.context import MUST, MUST_NOT, SHOULD, unscored
from hanse.search.sort_keys import BoundKey, equals, outside, present


class KeyConditions:
    """Conditions in one shard's view."""

    def __init__(self, searcher: tantivy.Searcher, schema: tantivy.Schema) -> None:
        self._searcher = searcher
        self._schema = schema

    def has_several(self, key: BoundKey) -> bool:
        if key.slot is None or key.kind == "position":
            return False
        return engine.has_several(self._searcher, key.slot)

    def is_computed(self, key: BoundKey) -> bool:
        return key.mode in ("sum", "avg", "median") and self.has_several(key)

    def equals(self, key: BoundKey, value: Any) -> tantivy.Query:
        """Documents that sort at this value: with several values, none must come before it."""
        if not self.has_several(key):
            return equals(self._schema, key, value)
        better = outside(self._schema, key, value, above=key.by_highest)
        return tantivy.Query.boolean_query([(MUST, equals(self._schema, key, value)), (MUST_NOT, better)])

    def beyond(self, key: BoundKey, value: Any) -> tantivy.Query:
        """Documents that sort strictly after the value."""
        later = outside(self._schema, key, value, above=not key.descending)
        if key.by_highest is not key.descending or not self.has_several(key):
            return later
        reached = outside(self._schema, key, value, above=key.descending, inclusive=True)
        return tantivy.Query.boolean_query([(MUST, later), (MUST_NOT, reached)])

    def continued(self, query: tantivy.Query, keys: Sequence[BoundKey], after: Sequence[Any]) -> tantivy.Query:
        """The query restricted to what comes after the values: a branch per key, equal in all keys before it."""
        branches = []
        equal: list[tuple[tantivy.Occur, tantivy.Query]] = []
        for key, value in zip(keys, after, strict=True):
            later = self._later(key, value)
            if later is not None:
                branches.append(tantivy.Query.boolean_query([*equal, (MUST, later)]))
            same = self._same(key, value)
            if same is None:
                break
            equal.extend(same)
        if not branches:
            return tantivy.Query.empty_query()
        either = tantivy.Query.boolean_query([(SHOULD, branch) for branch in branches])
        return tantivy.Query.boolean_query([(MUST, query), (MUST, unscored(either))])

    def _later(self, key: BoundKey, value: Any) -> tantivy.Query | None:
        """What comes strictly after `value` by this key; None when nothing can."""
        if key.slot is None:
            return self._later_constant(key, value)
        if self.is_computed(key):
            raise IllegalArgumentError(f"[search_after] cannot be used with sort mode [{key.mode}] on several values")
        parts = []
        if value is None:
            if key.missing_first:
                parts.append(present(key))
        else:
            parts.append(self.beyond(key, value))
            if self._missing_comes_after(key, value):
                parts.append(self.missing(key))
        if not parts:
            return None
        return tantivy.Query.boolean_query([(SHOULD, part) for part in parts])

    def _later_constant(self, key: BoundKey, value: Any) -> tantivy.Query | None:
        order = comparator([key])((key.replacement,), (value,))
        return tantivy.Query.all_query() if order > 0 else None

    def _missing_comes_after(self, key: BoundKey, value: Any) -> bool:
        if key.replacement is not None:
            return comparator([key])((key.replacement,), (value,)) > 0
        return not key.missing_first and key.kind != "position"

    @staticmethod
    def missing(key: BoundKey) -> tantivy.Query:
        return tantivy.Query.boolean_query([(MUST, tantivy.Query.all_query()), (MUST_NOT, present(key))])

    def _same(self, key: BoundKey, value: Any) -> list[tuple[tantivy.Occur, tantivy.Query]] | None:
        """Conditions for being equal by this key; None when nothing is."""
        if key.slot is None:
            return [] if key.replacement == value else None
        if value is None:
            return [(MUST, self.missing(key))]
        if key.kind == "position" and value < 0:
            return None
        condition = self.equals(key, value)
        if key.replacement is not None and key.replacement == value:
            condition = tantivy.Query.boolean_query([(SHOULD, condition), (SHOULD, self.missing(key))])
        return [(MUST, condition)]


def comparator(keys: Sequence[BoundKey]) -> Callable[[Sequence[Any], Sequence[Any]], int]:
    """Compares lists of values by bound keys. None stands for missing."""
    plan = tuple((key.descending, key.missing_first) for key in keys)

    def compare(left: Sequence[Any], right: Sequence[Any]) -> int:
        for (descending, missing_first), a, b in zip(plan, left, right, strict=False):
            if a == b:
                continue
            if a is None or b is None:
                return -1 if (a is None) == missing_first else 1
            return -1 if (a > b) == descending else 1
        return 0

    return compare
