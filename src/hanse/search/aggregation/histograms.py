"""`histogram` and `date_histogram`: buckets of equal or calendar length, gaps filled at the final reduce.

A shard reports only buckets that hold documents. Intervals of constant length are tantivy histograms; calendar
intervals and zones with clock changes become explicit ranges between the column's extremes.
Tests: tests/search/aggregation/test_histograms.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, ClassVar

import tantivy

from hanse.errors import IllegalArgumentError, TooManyBucketsError
from hanse.search.aggregation.answer import Answer, BucketAnswer, BucketBudget
from hanse.search.aggregation.columns import Column
from hanse.search.aggregation.date_text import parse_date, zone
from hanse.search.aggregation.distribution import lacks_value, range_condition
from hanse.search.aggregation.formats import Format, format_of, join_formats, key_as_string, text_key
from hanse.search.aggregation.metrics import as_number, stored_value
from hanse.search.aggregation.node import Aggregation, BucketAggregation, RawBucket
from hanse.search.aggregation.ordering import Order, parse_order, sort_buckets
from hanse.search.aggregation.parameters import Parameters
from hanse.search.aggregation.rounding import CALENDAR_UNITS, Rounding, parse_fixed, parse_offset
from hanse.search.aggregation.run import ENGINE_BUCKET_LIMIT, Native, Partial, Scope, either

DAILY = Rounding("day", 0, zone(None))
KEY_ASCENDING: Order = [("_key", True)]


@dataclass(kw_only=True)
class AnyHistogram(BucketAggregation):
    """What both histograms share: bounds, gaps, order and the shape of the answer."""

    field_name: str = ""
    missing: Any = None
    format: str | None = None
    min_doc_count: int = 0
    keyed: bool = False
    order: Order = field(default_factory=lambda: list(KEY_ASCENDING))
    extended_bounds: dict[str, Any] = field(default_factory=dict)
    hard_bounds: dict[str, Any] = field(default_factory=dict)

    def read_common(self, parameters: Parameters) -> None:
        self.field_name = parameters.field()
        self.missing = parameters.scalar("missing")
        self.format = parameters.text("format")
        self.keyed = parameters.boolean("keyed")
        self.min_doc_count = parameters.integer("min_doc_count", 0) or 0
        if self.min_doc_count < 0:
            raise IllegalArgumentError(
                f"[minDocCount] must be greater than or equal to 0. Found [{self.min_doc_count}] in [{self.name}]"
            )
        if "order" in parameters:
            self.order = parse_order(self.type, parameters.raw("order"))
        for bounds in ("extended_bounds", "hard_bounds"):
            given = Parameters(bounds, self.name, parameters.raw(bounds, {}))
            setattr(self, bounds, {side: given.raw(side) for side in ("min", "max") if given.raw(side) is not None})
            given.finish()

    def column(self, scope: Scope) -> Column | None:
        column = scope.run.column(self.field_name)
        if column is not None and not column.is_numeric:
            raise IllegalArgumentError(
                f"Field [{self.field_name}] of type [{column.type}] is not supported for aggregation [{self.type}]"
            )
        return column

    def floor(self, value: Any) -> Any:
        """The key of the bucket that holds a value."""
        raise NotImplementedError

    def next_key(self, key: Any) -> Any:
        raise NotImplementedError

    def bound(self, value: Any) -> float:
        """A bound of the request as a number."""
        return as_number(value)

    def form(self, scope: Scope) -> Format:
        return format_of(self.column(scope), self.format)

    def select(self, scope: Scope, found: list[RawBucket]) -> tuple[list[RawBucket], dict[str, Any]]:
        low, high = (self.hard_bounds.get(side) for side in ("min", "max"))
        if low is not None:
            least = self.bound(low)
            found = [bucket for bucket in found if bucket.key >= least]
        if high is not None:
            most = self.bound(high)
            found = [bucket for bucket in found if bucket.key <= most]
        return [bucket for bucket in found if bucket.doc_count], {"format": self.form(scope)}

    def bucket(self, scope: Scope, column: Column, key: Any, docs: int, answers: dict[str, Any]) -> RawBucket:
        def condition() -> tantivy.Query:
            holds = range_condition(scope, column, *self.limits(column, key))
            if self.missing is None or self.floor(stored_value(column, self.missing, self.format)) != key:
                return holds
            return either(holds, lacks_value(scope, column))

        return RawBucket(key, docs, condition, answers)

    def limits(self, column: Column, key: Any) -> tuple[Any, Any]:
        """The half-open range of stored values in the bucket of this key."""
        low, high = key, self.next_key(key)
        return (math.ceil(low), math.ceil(high)) if column.is_integral else (float(low), float(high))

    def unmapped(self, scope: Scope) -> list[RawBucket]:
        if self.missing is None:
            return []
        docs = scope.docs
        key = self.floor(self.bound(self.missing))
        return [RawBucket(key, docs, tantivy.Query.all_query)] if docs else []

    def merge(self, partials: Sequence[Partial]) -> Partial:
        rows: dict[Any, list[Any]] = {}
        for partial in partials:
            for key, count, subs in partial["buckets"]:
                known = rows.setdefault(key, [key, 0, []])
                known[1] += count
                known[2].append(subs)
        return {
            "buckets": [[key, rows[key][1], self.merge_children(rows[key][2])] for key in sorted(rows)],
            "format": join_formats([partial["format"] for partial in partials], self.name),
        }

    def finish(self, partial: Partial, budget: BucketBudget) -> Answer:
        form = partial["format"]
        rows = partial["buckets"]
        if self.min_doc_count == 0:
            rows = list(self._filled(rows, budget))
        buckets = []
        for key, count, subs in rows:
            if count < self.min_doc_count:
                continue
            text = key_as_string(form, key)
            head = {**({} if text is None else {"key_as_string": text}), "key": key}
            bucket = BucketAnswer(key, count, head, label=text_key(form, key) if self.keyed else "")
            bucket.subs = self.finish_children(subs, budget)
            buckets.append(bucket)
        if self.order != KEY_ASCENDING:
            buckets = sort_buckets(buckets, self.order)
        return self.finish_buckets(buckets, keyed=self.keyed)

    def _filled(self, rows: list[list[Any]], budget: BucketBudget) -> Iterator[list[Any]]:
        """The rows with empty buckets between them, and out to the extended bounds."""
        low, high = self._extremes(rows)
        if low is None or high is None:
            yield from rows
            return
        known = {row[0]: row for row in rows}
        key = low
        while key <= high:
            row = known.get(key)
            if row is None:
                budget.spend(1)
            yield row if row is not None else [key, 0, {}]
            after = self.next_key(key)
            # Doubles: the next key as the shards wrote it, so that the rows meet.
            key = after if after > key else math.nan

    def _extremes(self, rows: list[list[Any]]) -> tuple[Any, Any]:
        keys = [rows[0][0], rows[-1][0]] if rows else []
        bounds = (self.extended_bounds.get(side) for side in ("min", "max"))
        keys += [self.floor(self.bound(bound)) for bound in bounds if bound is not None]
        if not rows and len(self.extended_bounds) < 2:
            return None, None
        return min(keys), max(keys)


@dataclass(kw_only=True)
class Histogram(AnyHistogram):
    type: ClassVar[str] = "histogram"

    interval: float = 1.0
    offset: float = 0.0

    @classmethod
    def parse(cls, name: str, parameters: Parameters) -> Aggregation:
        node = cls(name=name)
        node.read_common(parameters)
        interval = parameters.number("interval")
        if interval is None or interval <= 0 or not math.isfinite(interval):
            raise IllegalArgumentError(f"[interval] must be >0 for histogram aggregation [{name}]")
        node.interval = interval
        offset = parameters.number("offset", 0.0) or 0.0
        if not math.isfinite(offset):
            raise IllegalArgumentError(f"[offset] must be finite for histogram aggregation [{name}]")
        node.offset = offset % interval
        for bounds in (node.extended_bounds, node.hard_bounds):
            for side, value in bounds.items():
                bounds[side] = as_number(value)
        if len(node.extended_bounds) == 2 and node.extended_bounds["min"] > node.extended_bounds["max"]:
            raise IllegalArgumentError(
                f"[extended_bounds.min][{node.extended_bounds['min']}] cannot be greater than "
                f"[extended_bounds.max][{node.extended_bounds['max']}] for histogram aggregation [{name}]"
            )
        return node

    def floor(self, value: Any) -> float:
        return self._key(math.floor, value, 0)

    def next_key(self, key: float) -> float:
        return self._key(round, key, 1)

    def _key(self, whole: Callable[[float], int], value: float, further: int) -> float:
        try:
            return float((whole((value - self.offset) / self.interval) + further) * self.interval + self.offset)
        except (OverflowError, ValueError):
            raise IllegalArgumentError(
                f"[interval] [{self.interval}] of histogram aggregation [{self.name}] cannot divide the value [{value}]"
            ) from None

    def ask(self, scope: Scope) -> Native | None:
        column = self.column(scope)
        if column is None or self.missing is not None:
            return None
        return {
            "h": {
                "histogram": {
                    "field": column.slot,
                    "interval": self.interval,
                    "offset": self.offset,
                    "min_doc_count": 1,
                }
            }
        }

    def buckets(self, scope: Scope, parts: dict[str, Any]) -> list[RawBucket]:
        column = self.column(scope)
        assert column is not None
        return [self.bucket(scope, column, b["key"] + 0.0, b["doc_count"], b) for b in parts["h"]["buckets"]]

    def collect_large(self, scope: Scope) -> list[RawBucket]:
        column = self.column(scope)
        if column is None:
            return self.unmapped(scope)
        if self.missing is None:
            raise TooManyBucketsError.of(scope.run.context.max_buckets)
        return with_missing(self, scope, column)


def with_missing(node: AnyHistogram, scope: Scope, column: Column) -> list[RawBucket]:
    """The buckets when documents without a value count as if they had one: those documents apart, joined by key."""
    plain = {bucket.key: bucket.doc_count for bucket in _plain_buckets(node, scope, column)}
    lacking = scope.narrow(lambda: lacks_value(scope, column))
    docs = scope.run.count(lacking.query)
    if docs:
        key = node.floor(stored_value(column, node.missing, node.format))
        plain[key] = plain.get(key, 0) + docs
    return [node.bucket(scope, column, key, count, {}) for key, count in sorted(plain.items())]


def _plain_buckets(node: AnyHistogram, scope: Scope, column: Column) -> list[RawBucket]:
    plain = replace(node, missing=None)
    requests = plain.ask(scope)
    return plain.buckets(scope, scope.run.aggregate(scope.query, requests)) if requests else []


@dataclass(kw_only=True)
class DateHistogram(AnyHistogram):
    type: ClassVar[str] = "date_histogram"

    rounding: Rounding = DAILY
    time_zone: str | None = None

    @classmethod
    def parse(cls, name: str, parameters: Parameters) -> Aggregation:
        node = cls(name=name)
        node.read_common(parameters)
        node.time_zone = parameters.text("time_zone")
        node.rounding = read_rounding(parameters, node.time_zone)
        return node

    def column(self, scope: Scope) -> Column | None:
        column = AnyHistogram.column(self, scope)
        if column is not None and column.kind == "double":
            raise IllegalArgumentError(
                f"Field [{self.field_name}] of type [{column.type}] is not supported for aggregation [{self.type}]"
            )
        return column

    def bound(self, value: Any) -> float:
        return parse_date(value, self.format, zone(self.time_zone))

    def floor(self, value: Any) -> int:
        return self.rounding.floor(int(value))

    def next_key(self, key: int) -> int:
        return self.rounding.next(key)

    def form(self, scope: Scope) -> Format:
        column = self.column(scope)
        if column is None:
            return []
        pattern = self.format if self.format is not None else column.format
        return ["date", pattern, self.time_zone]

    def ask(self, scope: Scope) -> Native | None:
        column = self.column(scope)
        if column is None or self.missing is not None:
            return None
        step = self.rounding.step_ms
        if step is not None:
            body = {"field": column.slot, "interval": step, "offset": self.rounding.shift_ms, "min_doc_count": 1}
            return {"h": {"histogram": body}}
        edges = self._edges(scope, column)
        if not edges:
            return None
        ranges = [{"from": low, "to": high} for low, high in pairwise(edges)]
        return {"r": {"range": {"field": column.slot, "ranges": ranges}}}

    def _edges(self, scope: Scope, column: Column) -> list[int]:
        """The beginnings of all buckets between the column's extremes, and the end of the last."""
        bounds = scope.bounds(column)
        if bounds is None:
            return []
        edges = [self.rounding.floor(int(bounds[0]))]
        while edges[-1] <= bounds[1]:
            edges.append(self.rounding.next(edges[-1]))
            if len(edges) > ENGINE_BUCKET_LIMIT:
                raise TooManyBucketsError.of(scope.run.context.max_buckets)
        return edges

    def buckets(self, scope: Scope, parts: dict[str, Any]) -> list[RawBucket]:
        column = self.column(scope)
        assert column is not None
        if "h" in parts:
            rows = [(int(b["key"]), b) for b in parts["h"]["buckets"]]
        else:
            # tantivy adds the open ends as buckets of their own.
            rows = [(int(b["from"]), b) for b in parts["r"]["buckets"] if "from" in b and "to" in b]
        return [self.bucket(scope, column, key, b["doc_count"], b) for key, b in rows if b["doc_count"]]

    def collect_large(self, scope: Scope) -> list[RawBucket]:
        column = self.column(scope)
        if column is None:
            return self.unmapped(scope)
        if self.missing is not None:
            return with_missing(self, scope, column)
        if scope.bounds(column) is None:
            return []
        raise TooManyBucketsError.of(scope.run.context.max_buckets)


def read_rounding(parameters: Parameters, time_zone: str | None) -> Rounding:
    """The interval of a date histogram: calendar_interval, fixed_interval or the old interval that is either."""
    calendar, fixed, either = (parameters.text(n) for n in ("calendar_interval", "fixed_interval", "interval"))
    offset = parse_offset(parameters.raw("offset", 0))
    if calendar is not None and fixed is not None:
        raise IllegalArgumentError("Cannot use [fixed_interval] with [calendar_interval] configuration option.")
    if either is not None:
        calendar, fixed = (either, None) if either in CALENDAR_UNITS else (None, either)
    if calendar is not None:
        unit = CALENDAR_UNITS.get(calendar)
        if unit is None:
            raise IllegalArgumentError(
                f"The supplied interval [{calendar}] could not be parsed as a calendar interval."
            )
        return Rounding(unit, 0, zone(time_zone), offset)
    if fixed is None:
        raise IllegalArgumentError(
            "Invalid interval specified, must be non-null and non-empty"
            if either is None
            else f"Unable to parse interval [{either}]"
        )
    return Rounding(None, parse_fixed(fixed), zone(time_zone), offset)
