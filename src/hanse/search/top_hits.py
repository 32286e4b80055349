"""The first hits of a query in one shard, by score or by any number of sort keys, exactly.

The engine orders by one column. Further keys are found by refinement: the first `limit` hits by the first key are
right except for the order among equal values and for which of the last group's members are among them. Complete groups
get the values of the other keys looked up and are sorted here; the last group is asked again, restricted to its value,
by the next key. Equal hits keep the order in which documents were written. Tests: tests/search/test_sorting.py.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from functools import cmp_to_key
from itertools import groupby
from typing import Any

import msgspec
import tantivy

from hanse.errors import IllegalArgumentError
from hanse.index.shard import ShardReader
from hanse.search import engine
from hanse.search.key_conditions import KeyConditions, comparator
from hanse.search.query.context import MUST, MUST_NOT, Part, unscored
from hanse.search.sort_keys import POSITION_SLOT, BoundKey, present, single

_POSITION = BoundKey("position", False, POSITION_SLOT)
COMPLETE_TIES_MAX = 128
"""Up to this many matches, hits of equal score are put into the order of writing across segments."""

COMPUTED_MAX = 10_000
"""Sums and averages of several values are computed from documents, of so many at most."""

LoadValues = Callable[[BoundKey, list[int]], list[list[Any]]]
"""All values of a key's field in the documents with these seq_nos."""
Row = tuple[tuple[Any, ...], tantivy.DocAddress]


class Found(msgspec.Struct, gc=False):
    """One hit before it is fetched."""

    values: tuple[Any, ...]
    score: float | None
    seq_no: int
    address: tantivy.DocAddress


class Top(msgspec.Struct):
    hits: list[Found]
    count: int | None
    """All matches of the query, None when they were not counted."""


class ShardSearch:
    """Ordered reading of one shard's matches of one query."""

    def __init__(self, reader: ShardReader, part: Part, load: LoadValues | None = None) -> None:
        self._load = load
        self._searcher = reader.searcher
        self._schema = reader.schema
        self._positions = reader.positions.of
        self._part = part
        self._query = part.query
        self._conditions = KeyConditions(reader.searcher, reader.schema)

    def count(self) -> int:
        if self._part.matches_none:
            return 0
        return engine.count(self._searcher, self._query)

    def by_score(self, limit: int, counted: bool = True) -> Top:
        """Best scores first."""
        part = self._part
        if part.matches_none or limit == 0:
            return Top([], (self.count() if counted else None) if not part.matches_none else 0)
        if part.score is not None or part.is_uniform:
            return self._by_position(limit, counted)
        segmented = self._searcher.num_segments > 1
        rows, count = self._best(limit, counted or segmented)
        complete = segmented and count <= COMPLETE_TIES_MAX
        if complete and len(rows) < count:
            rows = engine.best(self._searcher, self._query, count).rows
        positions = self._positions([address for _, address in rows])
        found = [Found((), row[0], at, row[1]) for row, at in zip(rows, positions, strict=True)]
        if complete:
            found.sort(key=lambda hit: (-(hit.score or 0.0), hit.seq_no))
            del found[limit:]
        return Top(found, count if counted else None)

    def _best(self, limit: int, counted: bool) -> engine.Rows:
        """Counting takes the engine a tenth of a short query, so the matches of a view are counted once."""
        known = self._part.known_count
        if known is not None and known[0] is self._searcher:
            return engine.Rows(engine.best(self._searcher, self._query, limit).rows, known[1])
        found = engine.best(self._searcher, self._query, limit, counted=counted)
        if counted:
            self._part.known_count = (self._searcher, found.total)
        return found

    def _by_position(self, limit: int, counted: bool) -> Top:
        """Every match has the same score: the order of writing decides."""
        score = self._one_score()
        result = engine.ordered(self._searcher, self._query, limit, POSITION_SLOT, counted=counted)
        hits = [Found((), score, at, address) for at, address in result.rows]
        return Top(hits, result.total if counted else None)

    def by_keys(self, keys: Sequence[BoundKey], limit: int, after: Sequence[Any] | None = None) -> list[Found]:
        """The first hits in the order of `keys`, all after the values `after` when given."""
        if self._part.matches_none or limit == 0:
            return []
        keys = self._without_scores(keys)
        if after is not None and any(key.kind == "score" for key in keys):
            return self._after_score(keys, limit, after)
        query = self._query if after is None else self._conditions.continued(self._query, keys, after)
        rows = self._ordered(query, list(keys), limit)
        positions = self._positions([address for _, address in rows])
        return [Found(values, None, at, address) for (values, address), at in zip(rows, positions, strict=True)]

    def _without_scores(self, keys: Sequence[BoundKey]) -> list[BoundKey]:
        """When all matches have one score, it is a constant like any other and decides nothing."""
        if not (self._part.score is not None or self._part.is_uniform):
            return list(keys)
        return [self._constant_key(key) if key.kind == "score" else key for key in keys]

    def _constant_key(self, key: BoundKey) -> BoundKey:
        return BoundKey("double", key.descending, None, replacement=self._one_score())

    def _one_score(self) -> float:
        if self._part.score is not None:
            return single(self._part.score)
        known = self._part.known_score
        if known is not None and known[0] is self._searcher:
            return known[1]
        best = engine.best(self._searcher, self._query, 1).rows
        score = float(best[0][0]) if best else 0.0
        self._part.known_score = (self._searcher, score)
        return score

    def _after_score(self, keys: Sequence[BoundKey], limit: int, after: Sequence[Any]) -> list[Found]:
        """Scores cannot be queried for: reads on from the top until enough lies behind `after`."""
        compare = comparator(keys)
        wanted, most = limit * 2 + 64, max(1, self.count())
        while True:
            found = self.by_keys(keys, min(wanted, most))
            later = [hit for hit in found if compare(_comparable(hit.values, keys), after) > 0]
            if len(later) >= limit or wanted >= most:
                return later[:limit]
            wanted *= 4

    def scores(self, found: Sequence[Found]) -> None:
        """Fills in the scores of hits that were sorted by something else."""
        values = self._scores([hit.address for hit in found], [hit.seq_no for hit in found])
        for hit, score in zip(found, values, strict=True):
            hit.score = score

    def matching(self, query: tantivy.Query, found: Sequence[Found]) -> dict[tuple[int, int], float]:
        """Which of the hits also match another query, with its scores."""
        if not found:
            return {}
        among = tantivy.Query.boolean_query([(MUST, query), (MUST, self._only([hit.seq_no for hit in found]))])
        rows = engine.best(self._searcher, among, len(found)).rows
        return {(address.segment_ord, address.doc): score for score, address in rows}

    def values(self, key: BoundKey, found: Sequence[Found]) -> list[Any]:
        """One column's values of some hits."""
        return self._column(self._query, key, [hit.address for hit in found])

    def _only(self, positions: Sequence[int]) -> tantivy.Query:
        return unscored(tantivy.Query.term_set_query(self._schema, POSITION_SLOT, list(positions)))

    def _ordered(self, query: tantivy.Query, keys: list[BoundKey], limit: int) -> list[Row]:
        if not keys:
            return self._in_position_order(query, limit)
        key, rest = keys[0], keys[1:]
        if key.kind == "score":
            return self._ordered_by_score(query, key, rest, limit)
        if key.slot is None:
            return [((key.replacement, *values), address) for values, address in self._ordered(query, rest, limit)]
        if self._conditions.is_computed(key):
            return self._ordered_in_memory(query, [key, *rest], limit)
        if key.replacement is not None:
            return self._with_replacement(query, key, rest, limit)
        if key.missing_first:
            return self._missing_first(query, key, rest, limit)
        rows = self._first_rows(query, key, limit)
        return self._refined(query, key, rest, rows, limit)

    def _first_rows(self, query: tantivy.Query, key: BoundKey, limit: int) -> list[tuple[Any, tantivy.DocAddress]]:
        """By one column. The engine takes a document's first value, which is its lowest."""
        assert key.slot is not None
        if key.by_highest and self._conditions.has_several(key):
            return self._by_highest(query, key, limit)
        return engine.ordered(self._searcher, query, limit, key.slot, descending=key.descending).rows

    def _by_highest(self, query: tantivy.Query, key: BoundKey, limit: int) -> list[tuple[Any, tantivy.DocAddress]]:
        """Walks through the different values in order and takes the documents of which each is the highest."""
        assert key.slot is not None
        rows: list[tuple[Any, tantivy.DocAddress]] = []
        done, size = 0, limit + 1
        while True:
            values = engine.distinct(self._searcher, query, key.slot, size, descending=key.descending)
            for value in values[done:]:
                group = self._among(query, self._conditions.equals(key, value), False)
                found = engine.best(self._searcher, group, limit - len(rows)).rows
                rows += [(value, address) for _, address in found]
                if len(rows) == limit:
                    return rows
            if len(values) < size:
                break
            done, size = len(values), size * 8
        missing = engine.best(self._searcher, self._among(query, present(key), True), limit - len(rows)).rows
        return rows + [(None, address) for _, address in missing]

    def _ordered_in_memory(self, query: tantivy.Query, keys: list[BoundKey], limit: int) -> list[Row]:
        """For keys that no column holds: every match is looked at."""
        rows, total = engine.ordered(self._searcher, query, COMPUTED_MAX, POSITION_SLOT, counted=True)
        if total > COMPUTED_MAX:
            raise IllegalArgumentError(
                f"sort mode [{keys[0].mode}] on a field with several values is limited to [{COMPUTED_MAX}] matching "
                f"documents, but [{total}] match"
            )
        addresses = [address for _, address in rows]
        columns = [self._column(query, key, addresses) for key in keys]
        full: list[Row] = [(tuple(column[i] for column in columns), address) for i, address in enumerate(addresses)]
        order = cmp_to_key(comparator(keys))
        full.sort(key=lambda row: order(_comparable(row[0], keys)))
        return full[:limit]

    def _computed(self, key: BoundKey, addresses: list[tantivy.DocAddress]) -> list[Any]:
        assert self._load is not None
        return [_combined(key, values) for values in self._load(key, self._positions(addresses))]

    def _in_position_order(self, query: tantivy.Query, limit: int) -> list[Row]:
        rows = engine.ordered(self._searcher, query, limit, POSITION_SLOT).rows
        return [((), address) for _, address in rows]

    def _refined(
        self, query: tantivy.Query, key: BoundKey, rest: list[BoundKey], rows: list[tuple[Any, Any]], limit: int
    ) -> list[Row]:
        """Orders groups of equal first values by the other keys; the last group is completed first."""
        if key.kind == "position":
            return [((value, *self._blank(rest)), address) for value, address in rows]
        if not rest and self._searcher.num_segments == 1:
            return [((value,), address) for value, address in rows]
        complete, last = rows, []
        if len(rows) == limit:
            start = len(rows) - 1
            while start > 0 and rows[start - 1][0] == rows[-1][0]:
                start -= 1
            complete, last = rows[:start], rows[start:]
        found = self._complete_groups(query, rest, complete)
        if last:
            value = last[0][0]
            inside = self._among(query, self._equal_or_missing(key, value), value is None)
            found += [((value, *values), address) for values, address in self._ordered(inside, rest, len(last))]
        return found

    @staticmethod
    def _blank(rest: Sequence[BoundKey]) -> tuple[None, ...]:
        # A position is unique: keys behind it decide nothing and are shown as missing.
        return (None,) * len(rest)

    def _complete_groups(self, query: tantivy.Query, rest: list[BoundKey], rows: list[tuple[Any, Any]]) -> list[Row]:
        if not rows:
            return []
        addresses = [address for _, address in rows]
        columns = [self._column(query, key, addresses) for key in rest]
        positions = self._positions(addresses)
        full = [(row, tuple(column[i] for column in columns), positions[i]) for i, row in enumerate(rows)]
        order = cmp_to_key(comparator(rest))
        found: list[Row] = []
        for value, group in groupby(full, key=lambda item: item[0][0]):
            members = sorted(group, key=lambda item: item[2])
            members.sort(key=lambda item: order(_comparable(item[1], rest)))
            found += [((value, *values), row[1]) for row, values, _ in members]
        return found

    def _column(self, query: tantivy.Query, key: BoundKey, addresses: list[tantivy.DocAddress]) -> list[Any]:
        if not addresses:
            return []
        if key.kind == "score":
            return self._scores(addresses, None, query)
        if key.slot is None:
            return [key.replacement] * len(addresses)
        if self._conditions.is_computed(key):
            values = self._computed(key, addresses)
        elif key.by_highest and self._conditions.has_several(key):
            values = self._highest(key, addresses)
        elif key.kind in ("string", "ip"):
            values = self._texts(key.slot, addresses)
        else:
            values = self._searcher.fast_field_values(key.slot, addresses)
        if key.replacement is not None:
            return [key.replacement if value is None else value for value in values]
        return values

    def _highest(self, key: BoundKey, addresses: list[tantivy.DocAddress]) -> list[Any]:
        rows = self._by_highest(self._only(self._positions(addresses)), key, len(addresses))
        found = {(address.segment_ord, address.doc): value for value, address in rows}
        return [found.get((address.segment_ord, address.doc)) for address in addresses]

    def _texts(self, slot: str, addresses: list[tantivy.DocAddress]) -> list[Any]:
        """The engine reads text columns only while it sorts by them: so it sorts these documents."""
        positions = self._positions(addresses)
        rows = engine.ordered(self._searcher, self._only(positions), len(addresses), slot).rows
        texts = {(address.segment_ord, address.doc): value for value, address in rows}
        return [texts.get((address.segment_ord, address.doc)) for address in addresses]

    def _scores(
        self, addresses: list[tantivy.DocAddress], positions: list[int] | None, query: tantivy.Query | None = None
    ) -> list[Any]:
        if not addresses:
            return []
        if self._part.score is not None or self._part.is_uniform:
            return [self._one_score()] * len(addresses)
        if positions is None:
            positions = self._positions(addresses)
        among = tantivy.Query.boolean_query([(MUST, query or self._query), (MUST, self._only(positions))])
        rows = engine.best(self._searcher, among, len(addresses)).rows
        scores = {(address.segment_ord, address.doc): score for score, address in rows}
        return [scores.get((address.segment_ord, address.doc), 0.0) for address in addresses]

    def _ordered_by_score(self, query: tantivy.Query, key: BoundKey, rest: list[BoundKey], limit: int) -> list[Row]:
        if not key.descending:
            return self._all_by_score(query, key, rest, limit)
        wanted = limit
        while True:
            # One more than wanted tells whether the last group of equal scores is complete.
            rows = engine.best(self._searcher, query, wanted + 1).rows
            exhausted = len(rows) <= wanted
            if exhausted or rows[-1][0] < rows[limit - 1][0]:
                if not exhausted:
                    last = rows[limit - 1][0]
                    rows = [row for row in rows if row[0] >= last]
                return self._complete_groups(query, rest, rows)[:limit]
            wanted *= 4

    def _all_by_score(self, query: tantivy.Query, key: BoundKey, rest: list[BoundKey], limit: int) -> list[Row]:
        count = engine.count(self._searcher, query)
        rows = engine.best(self._searcher, query, max(1, count)).rows
        rows.sort(key=lambda row: row[0])
        return self._complete_groups(query, rest, rows)[:limit]

    def _missing_first(self, query: tantivy.Query, key: BoundKey, rest: list[BoundKey], limit: int) -> list[Row]:
        without = self._among(query, present(key), True)
        found: list[Row] = [((None, *values), address) for values, address in self._ordered(without, rest, limit)]
        if len(found) == limit:
            return found
        having = self._among(query, present(key), False)
        rest_limit = limit - len(found)
        rows = self._first_rows(having, key, rest_limit)
        return found + self._refined(having, key, rest, rows, rest_limit)

    def _with_replacement(self, query: tantivy.Query, key: BoundKey, rest: list[BoundKey], limit: int) -> list[Row]:
        without = self._ordered(self._among(query, present(key), True), rest, limit)
        having_query = self._among(query, present(key), False)
        rows = self._first_rows(having_query, key, limit)
        having = self._refined(having_query, key, rest, rows, limit)
        both = having + [((key.replacement, *values), address) for values, address in without]
        keys = [key, *rest]
        order = cmp_to_key(comparator(keys))
        both.sort(key=lambda row: order(_comparable(row[0], keys)))
        return both[:limit]

    def _equal_or_missing(self, key: BoundKey, value: Any) -> tantivy.Query:
        return present(key) if value is None else self._conditions.equals(key, value)

    @staticmethod
    def _among(query: tantivy.Query, condition: tantivy.Query, negated: bool) -> tantivy.Query:
        occurrence = (MUST_NOT, condition) if negated else (MUST, unscored(condition))
        return tantivy.Query.boolean_query([(MUST, query), occurrence])


def _combined(key: BoundKey, values: list[Any]) -> Any:
    """Several values as one, in the column's own type."""
    if not values:
        return None
    if key.mode == "median":
        result = statistics.median(values)
    else:
        result = sum(values)
        if key.kind != "double":
            # Whole numbers add up in 64 bits, as they do in Elasticsearch.
            result = (result + 2**63) % 2**64 - 2**63
        if key.mode == "avg":
            result = result / len(values)
    return result if key.kind == "double" or isinstance(result, int) else math.floor(result + 0.5)


def _comparable(values: Sequence[Any], keys: Sequence[BoundKey]) -> list[Any]:
    return [key.replacement if value is None else value for key, value in zip(keys, values, strict=True)]
