"""`range`, `date_range` and `ip_range`: buckets from the bounds in the request, which may overlap.

tantivy takes only ranges that do not overlap, so they are dealt into as many of its range aggregations as are needed;
bounds of whole-number columns are rounded up first, since tantivy would round them down.
Tests: tests/search/aggregation/test_ranges.py.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import tantivy

from hanse.errors import IllegalArgumentError, ParsingError
from hanse.search.aggregation.answer import Answer, BucketAnswer, BucketBudget
from hanse.search.aggregation.columns import Column, ip_from_sortable, ip_to_sortable
from hanse.search.aggregation.date_text import parse_date, render_date, zone
from hanse.search.aggregation.distribution import lacks_value, range_condition
from hanse.search.aggregation.formats import Format, format_of, join_formats, key_as_string
from hanse.search.aggregation.metrics import as_number, stored_value
from hanse.search.aggregation.node import Aggregation, BucketAggregation, RawBucket
from hanse.search.aggregation.parameters import Parameters
from hanse.search.aggregation.run import Native, Partial, Scope, either

Bounds = tuple[Any, Any]
_INTEGER_LIMIT = 2.0**63
EMPTY: dict[str, Any] = {"doc_count": 0}  # an index without documents answers without buckets


@dataclass(frozen=True, slots=True)
class AskedRange:
    """A range as it stands in the request."""

    key: str | None
    low: Any
    high: Any
    mask: str | None = None


@dataclass(kw_only=True)
class AnyRange(BucketAggregation):
    """What the range aggregations share. Raw keys are positions in `ranges`."""

    field_name: str = ""
    missing: Any = None
    format: str | None = None
    keyed: bool = False
    ranges: list[AskedRange] = field(default_factory=list)

    @classmethod
    def parse(cls, name: str, parameters: Parameters) -> Aggregation:
        node = cls(
            name=name,
            field_name=parameters.field(),
            missing=parameters.scalar("missing"),
            format=parameters.text("format"),
            keyed=parameters.boolean("keyed"),
        )
        ranges = parameters.raw("ranges")
        if not isinstance(ranges, list) or not ranges:
            raise IllegalArgumentError(f"No [ranges] specified for the [{name}] aggregation")
        node.ranges = [node.parse_range(Parameters(cls.type, name, entry)) for entry in ranges]
        node.parse_more(parameters)
        return node

    def parse_range(self, entry: Parameters) -> AskedRange:
        asked = AskedRange(entry.text("key"), entry.raw("from"), entry.raw("to"))
        entry.finish()
        return asked

    def parse_more(self, parameters: Parameters) -> None:
        """Reads what only this kind of range has."""

    def bounds(self, column: Column | None, asked: AskedRange, now_ms: int | None = None) -> Bounds:
        """The bounds in the column's terms; None is open."""
        raise NotImplementedError

    def form(self, column: Column | None) -> Format:
        return format_of(column, self.format)

    def select(self, scope: Scope, found: list[RawBucket]) -> tuple[list[RawBucket], dict[str, Any]]:
        column = self.column(scope)
        now_ms = scope.run.now_ms
        bounds = [list(self.bounds(column, asked, now_ms)) for asked in self.ranges]
        return found, {"bounds": [bounds] if column is not None else [], "format": self.form(column)}

    def column(self, scope: Scope) -> Column | None:
        return scope.run.column(self.field_name)

    def merge(self, partials: Sequence[Partial]) -> Partial:
        counts = [0] * len(self.ranges)
        subs: list[list[dict[str, Partial]]] = [[] for _ in self.ranges]
        for partial in partials:
            for position, count, below in partial["buckets"]:
                counts[position] += count
                subs[position].append(below)
        known = [bounds for partial in partials for bounds in partial["bounds"]]
        return {
            "buckets": [[i, counts[i], self.merge_children(subs[i])] for i in range(len(counts))],
            "bounds": [min(known, key=repr)] if known else [],
            "format": join_formats([partial["format"] for partial in partials], self.name),
        }

    def finish(self, partial: Partial, budget: BucketBudget) -> Answer:
        known = partial["bounds"]
        bounds = [tuple(pair) for pair in known[0]] if known else [self.bounds(None, asked) for asked in self.ranges]
        buckets = []
        for position, count, subs in partial["buckets"]:
            low, high = bounds[position]
            head = self.head(partial["format"], self.ranges[position], low, high)
            bucket = BucketAnswer((_low(low), _high(high), position), count, head, label=head["key"], hides_key=True)
            bucket.subs = self.finish_children(subs, budget)
            buckets.append(bucket)
        buckets.sort(key=lambda bucket: bucket.key)
        return self.finish_buckets(buckets, keyed=self.keyed)

    def head(self, form: Format, asked: AskedRange, low: Any, high: Any) -> dict[str, Any]:
        texts = [None if bound is None else self.text(form, bound) for bound in (low, high)]
        key = asked.key or asked.mask or f"{texts[0] or '*'}-{texts[1] or '*'}"
        head: dict[str, Any] = {"key": key}
        for name, bound, text in (("from", low, texts[0]), ("to", high, texts[1])):
            if bound is not None:
                head[name] = self.shown(bound)
                if self.has_strings(form):
                    head[f"{name}_as_string"] = text
        return head

    def text(self, form: Format, bound: Any) -> str:
        return str(bound)

    def shown(self, bound: Any) -> Any:
        return bound

    def has_strings(self, form: Format) -> bool:
        return False


def _low(bound: Any) -> tuple[int, Any]:
    return (0, 0) if bound is None else (1, bound)


def _high(bound: Any) -> tuple[int, Any]:
    return (2, 0) if bound is None else (1, bound)


@dataclass(kw_only=True)
class NumericRange(AnyRange):
    """Ranges over numbers; dates are numbers here."""

    type: ClassVar[str] = "range"

    def column(self, scope: Scope) -> Column | None:
        column = scope.run.column(self.field_name)
        if column is not None and not column.is_numeric:
            raise IllegalArgumentError(
                f"Field [{self.field_name}] of type [{column.type}] is not supported for aggregation [{self.type}]"
            )
        return column

    def bounds(self, column: Column | None, asked: AskedRange, now_ms: int | None = None) -> Bounds:
        low, high = (None if v is None else self.number(column, v, now_ms) for v in (asked.low, asked.high))
        return low, high

    def number(self, column: Column | None, value: Any, now_ms: int | None = None) -> float:
        if column is not None and column.kind == "date" and isinstance(value, str):
            return float(parse_date(value, self.format or column.format, now_ms=now_ms))
        return as_number(value)

    def text(self, form: Format, bound: Any) -> str:
        return (key_as_string(form, bound) if form else None) or repr(float(bound))

    def has_strings(self, form: Format) -> bool:
        return bool(form) and (form[0] in ("date", "boolean") or form[1] is not None)

    def engine_bounds(self, scope: Scope, column: Column, asked: AskedRange) -> Bounds | None:
        """The bounds tantivy compares with, None when nothing can lie between them."""
        low, high = self.bounds(column, asked, scope.run.now_ms)
        if column.is_integral:
            if (low is not None and low >= _INTEGER_LIMIT) or (high is not None and high <= -_INTEGER_LIMIT):
                return None
            low, high = _whole(low), _whole(high)
        if low is not None and high is not None and low >= high:
            return None
        return low, high

    def ask(self, scope: Scope) -> Native | None:
        column = self.column(scope)
        if column is None or self.missing is not None:
            return None
        groups = deal([self.engine_bounds(scope, column, asked) for asked in self.ranges])
        return {
            f"r{i}": {
                "range": {
                    "field": column.slot,
                    "ranges": [
                        {side: bound for side, bound in (("from", low), ("to", high)) if bound is not None}
                        for _, (low, high) in group
                    ],
                }
            }
            for i, group in enumerate(groups)
        }

    def buckets(self, scope: Scope, parts: dict[str, Any]) -> list[RawBucket]:
        column = self.column(scope)
        assert column is not None
        asked = [self.engine_bounds(scope, column, one) for one in self.ranges]
        found = [self._bucket(scope, column, i, bounds, 0, {}) for i, bounds in enumerate(asked)]
        for i, group in enumerate(deal(asked)):
            answers = {(b.get("from"), b.get("to")): b for b in parts[f"r{i}"]["buckets"]}
            for position, bounds in group:
                answer = answers.get(bounds, EMPTY)
                found[position] = self._bucket(scope, column, position, bounds, answer["doc_count"], answer)
        return found

    def collect_large(self, scope: Scope) -> list[RawBucket]:
        column = self.column(scope)
        found = []
        for position, asked in enumerate(self.ranges):
            if column is None:
                bucket = self._unmapped(scope, position, asked)
            else:
                bucket = self._bucket(scope, column, position, self.engine_bounds(scope, column, asked), 0, {})
                bucket.doc_count = scope.narrow(bucket.condition).docs
            found.append(bucket)
        return found

    def _unmapped(self, scope: Scope, position: int, asked: AskedRange) -> RawBucket:
        inside = self.missing is not None and _inside(self.number(None, self.missing), self.bounds(None, asked))
        docs = scope.docs if inside else 0
        return RawBucket(position, docs, tantivy.Query.all_query if inside else tantivy.Query.empty_query)

    def _bucket(
        self, scope: Scope, column: Column, position: int, bounds: Bounds | None, docs: int, answers: dict[str, Any]
    ) -> RawBucket:
        def condition() -> tantivy.Query:
            if bounds is None:
                return tantivy.Query.empty_query()
            low, high = (None if b is None else int(b) if column.is_integral else b for b in bounds)
            holds = range_condition(scope, column, low, high)
            if self.missing is None or not _inside(float(stored_value(column, self.missing, self.format)), bounds):
                return holds
            return either(holds, lacks_value(scope, column))

        return RawBucket(position, docs, condition, answers)


def _whole(bound: float | None) -> float | None:
    """A bound of whole numbers: rounded up, open where no 64-bit integer lies beyond it."""
    return None if bound is None or abs(bound) >= _INTEGER_LIMIT else float(math.ceil(bound))


def _inside(value: float, bounds: Bounds) -> bool:
    return (bounds[0] is None or value >= bounds[0]) and (bounds[1] is None or value < bounds[1])


def deal(asked: Sequence[Bounds | None]) -> list[list[tuple[int, Bounds]]]:
    """The ranges, with their positions, in groups without overlap (the fewest: taken by their beginnings)."""
    order = sorted((i for i, bounds in enumerate(asked) if bounds is not None), key=lambda i: _low(asked[i][0]))  # type: ignore[index]
    groups: list[list[tuple[int, Bounds]]] = []
    for position in order:
        bounds = asked[position]
        assert bounds is not None
        for group in groups:
            end = group[-1][1][1]
            if end is not None and bounds[0] is not None and bounds[0] >= end:
                group.append((position, bounds))
                break
        else:
            groups.append([(position, bounds)])
    return groups


@dataclass(kw_only=True)
class DateRange(NumericRange):
    type: ClassVar[str] = "date_range"

    time_zone: str | None = None

    def parse_more(self, parameters: Parameters) -> None:
        self.time_zone = parameters.text("time_zone")
        zone(self.time_zone)

    def number(self, column: Column | None, value: Any, now_ms: int | None = None) -> float:
        pattern = self.format or (column.format if column is not None else None)
        return float(parse_date(value, pattern, zone(self.time_zone), now_ms=now_ms))

    def form(self, column: Column | None) -> Format:
        return (
            []
            if column is None
            else ["date", self.format if self.format is not None else column.format, self.time_zone]
        )

    def text(self, form: Format, bound: Any) -> str:
        pattern = form[1] if form else self.format
        return render_date(bound, pattern, zone(self.time_zone))

    def has_strings(self, form: Format) -> bool:
        return True


@dataclass(kw_only=True)
class IpRange(AnyRange):
    type: ClassVar[str] = "ip_range"

    def parse_range(self, entry: Parameters) -> AskedRange:
        mask = entry.text("mask")
        asked = AskedRange(entry.text("key"), entry.text("from"), entry.text("to"), mask)
        entry.finish()
        if mask is not None:
            low, high = _network(mask)
            return AskedRange(asked.key, low, high, mask)
        for bound in (asked.low, asked.high):
            if bound is not None:
                ip_to_sortable(bound)
        if asked.low is None and asked.high is None:
            raise ParsingError("At least one of [mask], [from] or [to] is required")
        return asked

    def bounds(self, column: Column | None, asked: AskedRange, now_ms: int | None = None) -> Bounds:
        low, high = (None if v is None else ip_to_sortable(v) for v in (asked.low, asked.high))
        return low, high

    def column(self, scope: Scope) -> Column | None:
        column = scope.run.column(self.field_name)
        if column is not None and column.kind != "ip":
            raise IllegalArgumentError(
                f"Field [{self.field_name}] of type [{column.type}] is not supported for aggregation [{self.type}]"
            )
        return column

    def ask(self, scope: Scope) -> Native | None:
        return None

    def collect_large(self, scope: Scope) -> list[RawBucket]:
        mapped = self.column(scope) is not None
        found = []
        for position, asked in enumerate(self.ranges):
            limits = {k: v for k, v in (("gte", asked.low), ("lt", asked.high)) if v is not None}

            def condition(limits: dict[str, Any] = limits) -> tantivy.Query:
                if not mapped:
                    return tantivy.Query.empty_query()
                return scope.run.compile_query({"range": {self.field_name: limits}})

            docs = scope.narrow(condition).docs if mapped else 0
            found.append(RawBucket(position, docs, condition))
        return found

    def text(self, form: Format, bound: Any) -> str:
        return ip_from_sortable(bound)

    def shown(self, bound: Any) -> Any:
        return ip_from_sortable(bound)


def _network(mask: str) -> tuple[str, str | None]:
    """The first address of a CIDR network and the first after it (None beyond the last)."""
    try:
        network = ipaddress.ip_network(mask, strict=False)
    except ValueError as failure:
        raise IllegalArgumentError(f"Expected [ip/prefix] but was [{mask}]") from failure
    try:
        after: str | None = str(network.broadcast_address + 1)
    except ipaddress.AddressValueError:
        after = None
    return str(network.network_address), after
