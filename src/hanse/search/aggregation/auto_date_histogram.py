"""`auto_date_histogram`: the finest interval that needs no more than so many buckets.

A shard counts in the finest rounding that keeps its list short; joining goes to the coarsest of the partials'
roundings, whose buckets contain the finer ones; the interval shown is chosen at the end.
Tests: tests/search/aggregation/test_histograms.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from hanse.errors import IllegalArgumentError
from hanse.search.aggregation.answer import Answer, BucketAnswer, BucketBudget
from hanse.search.aggregation.date_text import zone
from hanse.search.aggregation.formats import join_formats, key_as_string
from hanse.search.aggregation.histograms import DateHistogram
from hanse.search.aggregation.node import Aggregation, RawBucket
from hanse.search.aggregation.parameters import Parameters
from hanse.search.aggregation.rounding import Rounding
from hanse.search.aggregation.run import Native, Partial, Scope

DEFAULT_BUCKETS = 10
ROUNDINGS = ("second", "minute", "hour", "day", "month", "year")
_LETTERS = ("s", "m", "h", "d", "M", "y")
_MULTIPLES = ((1, 5, 10, 30), (1, 5, 10, 30), (1, 3, 12), (1, 7), (1, 3), (1, 5, 10, 20, 50, 100))
_LENGTHS_MS = (1_000, 60_000, 3_600_000, 86_400_000, 28 * 86_400_000, 365 * 86_400_000)
SHARD_BUCKETS_MAX = 10_000


@dataclass(kw_only=True)
class AutoDateHistogram(DateHistogram):
    type: ClassVar[str] = "auto_date_histogram"

    target: int = DEFAULT_BUCKETS
    least: int = 0

    @classmethod
    def parse(cls, name: str, parameters: Parameters) -> Aggregation:
        target = parameters.integer("buckets", DEFAULT_BUCKETS) or 0
        if target <= 0:
            raise IllegalArgumentError(f"buckets must be greater than 0 for [{name}]")
        minimum = parameters.text("minimum_interval")
        if minimum is not None and minimum not in ROUNDINGS:
            raise IllegalArgumentError(f"minimum_interval must be one of [{', '.join(ROUNDINGS)}] but was [{minimum}]")
        time_zone = parameters.text("time_zone")
        return cls(
            name=name,
            field_name=parameters.field(),
            missing=parameters.scalar("missing"),
            format=parameters.text("format"),
            min_doc_count=1,
            target=target,
            least=ROUNDINGS.index(minimum) if minimum else 0,
            time_zone=time_zone,
            rounding=Rounding("second", 0, zone(time_zone)),
        )

    def _at(self, index: int) -> AutoDateHistogram:
        return replace(self, rounding=Rounding(ROUNDINGS[index], 0, zone(self.time_zone)))

    def _index_for(self, scope: Scope) -> int:
        """The finest rounding whose buckets between the column's extremes stay few; monotone in the extremes."""
        column = self.column(scope)
        bounds = scope.bounds(column) if column is not None else None
        index = self.least
        if bounds is not None:
            while index < len(ROUNDINGS) - 1 and (bounds[1] - bounds[0]) / _LENGTHS_MS[index] > SHARD_BUCKETS_MAX:
                index += 1
        return index

    def ask(self, scope: Scope) -> Native | None:
        node = self._at(self._index_for(scope))
        return DateHistogram.ask(node, scope)

    def buckets(self, scope: Scope, parts: dict[str, Any]) -> list[RawBucket]:
        return DateHistogram.buckets(self._at(self._index_for(scope)), scope, parts)

    def collect_large(self, scope: Scope) -> list[RawBucket]:
        return DateHistogram.collect_large(self._at(self._index_for(scope)), scope)

    def select(self, scope: Scope, found: list[RawBucket]) -> tuple[list[RawBucket], dict[str, Any]]:
        kept, extra = super().select(scope, found)
        return kept, {**extra, "rounding": self._index_for(scope)}

    def merge(self, partials: Sequence[Partial]) -> Partial:
        index = max((partial["rounding"] for partial in partials), default=self.least)
        rows = [row for partial in partials for row in partial["buckets"]]
        return {
            "buckets": self._grouped(rows, index),
            "format": join_formats([partial["format"] for partial in partials], self.name),
            "rounding": index,
        }

    def _grouped(self, rows: Sequence[list[Any]], index: int) -> list[list[Any]]:
        rounding = self._at(index).rounding
        groups: dict[int, list[Any]] = {}
        for key, count, subs in rows:
            known = groups.setdefault(rounding.floor(key), [0, []])
            known[0] += count
            known[1].append(subs)
        return [[key, groups[key][0], self.merge_children(groups[key][1])] for key in sorted(groups)]

    def finish(self, partial: Partial, budget: BucketBudget) -> Answer:
        index, multiple, edges = self._choose(partial)
        rows = self._grouped(partial["buckets"], index)
        groups: dict[int, list[Any]] = {edge: [0, []] for edge in edges[::multiple]}
        starts = {edge: edges[i - i % multiple] for i, edge in enumerate(edges)}
        for key, count, subs in rows:
            group = groups[starts[key]]
            group[0] += count
            group[1].append(subs)
        buckets = []
        for key, (count, below) in groups.items():
            text = key_as_string(partial["format"], key)
            bucket = BucketAnswer(key, count, {**({} if text is None else {"key_as_string": text}), "key": key})
            bucket.subs = self.finish_children(self.merge_children(below), budget)
            buckets.append(bucket)
        answer = self.finish_buckets(buckets)
        answer.tail = {"interval": f"{multiple}{_LETTERS[index]}"}
        return answer

    def _choose(self, partial: Partial) -> tuple[int, int, list[int]]:
        """The rounding, how many of its buckets become one, and the beginnings of its buckets."""
        index = partial["rounding"]
        if not partial["buckets"]:
            return index, 1, []
        first, last = partial["buckets"][0][0], partial["buckets"][-1][0]
        for chosen in range(index, len(ROUNDINGS)):
            most = self.target * _MULTIPLES[chosen][-1]
            is_last = chosen == len(ROUNDINGS) - 1
            if not is_last and (last - first) / (_LENGTHS_MS[chosen] * 1.2) > most + 1:
                continue
            rounding = self._at(chosen).rounding
            edges = [rounding.floor(first)]
            while (after := rounding.next(edges[-1])) <= rounding.floor(last):
                edges.append(after)
            for multiple in _MULTIPLES[chosen]:
                if -(-len(edges) // multiple) <= self.target:
                    return chosen, multiple, edges
        return len(ROUNDINGS) - 1, _MULTIPLES[-1][-1], edges
