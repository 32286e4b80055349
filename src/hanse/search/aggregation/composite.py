"""`composite`: every combination of its sources' values, in order, a page at a time.

tantivy has a composite aggregation; a date source whose buckets differ in length is unrolled into one such call per
bucket. A page is exact: a key among the first `size` of the union is among the first `size` of each shard that has it.
Tests: tests/search/aggregation/test_composite.py.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import tantivy

from hanse.errors import IllegalArgumentError, ParsingError, TooManyBucketsError
from hanse.search.aggregation.answer import Answer, BucketAnswer, BucketBudget
from hanse.search.aggregation.columns import Column
from hanse.search.aggregation.date_text import render_date, zone
from hanse.search.aggregation.distribution import lacks_value, range_condition, value_condition
from hanse.search.aggregation.formats import Format, format_of, join_formats, shown_key
from hanse.search.aggregation.histograms import DateHistogram, Histogram
from hanse.search.aggregation.metrics import as_number, stored_value
from hanse.search.aggregation.node import Aggregation, BucketAggregation, RawBucket
from hanse.search.aggregation.parameters import Parameters, token_name
from hanse.search.aggregation.run import Native, Partial, Scope, both

DEFAULT_SIZE = 10
_OF_EVERY_SOURCE = ("order", "missing_bucket", "missing_order", "value_type")
SOURCE_TYPES = ("terms", "histogram", "date_histogram")
Key = tuple[Any, ...]


@dataclass
class Source:
    """One dimension of the key."""

    name: str
    type: str
    field_name: str
    ascending: bool = True
    missing_bucket: bool = False
    missing_first: bool | None = None
    format: str | None = None
    histogram: Histogram | DateHistogram | None = None

    @classmethod
    def parse(cls, name: str, body: Any) -> Source:
        if not isinstance(body, dict) or len(body) != 1:
            raise ParsingError(f"Expected a single source type under [{name}]")
        ((kind, inner),) = body.items()
        if kind not in SOURCE_TYPES:
            raise ParsingError(f"invalid source type: {kind}")
        parameters = Parameters(kind, name, inner)
        order = (parameters.text("order") or "asc").lower()
        if order not in ("asc", "desc"):
            raise IllegalArgumentError(f"Unknown order direction [{order}]")
        source = cls(name, kind, "", order == "asc", parameters.boolean("missing_bucket"))
        missing_order = (parameters.text("missing_order") or "default").lower()
        if missing_order not in ("first", "last", "default"):
            raise IllegalArgumentError(f"Unknown missing order [{missing_order}]")
        source.missing_first = None if missing_order == "default" else missing_order == "first"
        source.format = parameters.text("format")
        parameters.raw("value_type")
        if kind == "terms":
            source.field_name = parameters.field()
            parameters.finish()
            return source
        # `order` means something else to a histogram that stands alone.
        own = Parameters(kind, name, {k: v for k, v in inner.items() if k not in _OF_EVERY_SOURCE})
        node = (Histogram if kind == "histogram" else DateHistogram).parse(name, own)
        own.finish()
        assert isinstance(node, Histogram | DateHistogram)
        source.histogram, source.field_name = node, node.field_name
        return source

    def column(self, scope: Scope) -> Column | None:
        return self.histogram.column(scope) if self.histogram is not None else scope.run.column(self.field_name)

    @property
    def is_unrolled(self) -> bool:
        """A date source that tantivy's composite cannot compute: buckets of unequal length, or not from zero on.

        (It takes an `offset` and ignores it, as of 0.27.)
        """
        if not isinstance(self.histogram, DateHistogram):
            return False
        rounding = self.histogram.rounding
        return rounding.step_ms is None or rounding.shift_ms != 0

    def request(self, column: Column) -> dict[str, Any]:
        body: dict[str, Any] = {"field": column.slot, "order": "asc" if self.ascending else "desc"}
        if self.missing_bucket:
            body["missing_bucket"] = True
            if self.missing_first is not None:
                body["missing_order"] = "first" if self.missing_first else "last"
        if self.histogram is None:
            return {"terms": body}
        if isinstance(self.histogram, Histogram):
            body["interval"] = self.histogram.interval
        else:
            body["interval"] = self.histogram.rounding.step_ms
        return {"histogram": body}

    def read(self, column: Column, value: Any) -> Any:
        """A value of tantivy's key as we keep it."""
        if value is None:
            return None
        if isinstance(self.histogram, DateHistogram):
            return int(value)
        if self.histogram is not None or column.kind == "double":
            return float(value)
        return value

    def condition(self, scope: Scope, column: Column | None, value: Any) -> tantivy.Query:
        if column is None or column.constant is not None:
            return tantivy.Query.all_query()
        if value is None:
            return lacks_value(scope, column)
        if self.histogram is None:
            return value_condition(scope, column, value)
        return range_condition(scope, column, *self.histogram.limits(column, value))

    def stored(self, column: Column | None, value: Any) -> Any:
        """A value of the request's `after` as we keep keys."""
        if value is None:
            return None
        if isinstance(self.histogram, DateHistogram):
            return int(self.histogram.bound(value))
        if self.histogram is not None:
            return as_number(value)
        return stored_value(column, value, self.format) if column is not None else value

    def shown(self, form: Format, value: Any) -> Any:
        if value is None:
            return None
        if form and form[0] == "boolean":
            return bool(value)
        if form and form[0] == "date" and self.format is not None:
            time_zone = self.histogram.time_zone if isinstance(self.histogram, DateHistogram) else None
            return render_date(value, self.format, zone(time_zone))
        return float(value) if isinstance(self.histogram, Histogram) else shown_key(form, value)

    def compare(self, left: Any, right: Any) -> int:
        if left == right:
            return 0
        if left is None or right is None:
            first = self.ascending if self.missing_first is None else self.missing_first
            return -1 if (left is None) == first else 1
        return -1 if (left < right) == self.ascending else 1


@dataclass(kw_only=True)
class Composite(BucketAggregation):
    type: ClassVar[str] = "composite"

    sources: list[Source] = field(default_factory=list)
    size: int = DEFAULT_SIZE
    after: dict[str, Any] | None = None

    @classmethod
    def parse(cls, name: str, parameters: Parameters) -> Aggregation:
        given = parameters.raw("sources")
        if "sources" not in parameters:
            raise IllegalArgumentError("Required [sources]")
        if not given or not isinstance(given, list):
            raise IllegalArgumentError("Composite [sources] cannot be null or empty")
        sources = []
        for entry in given:
            if not isinstance(entry, dict) or len(entry) != 1:
                raise ParsingError("Expected a single named source in [sources]")
            ((source_name, body),) = entry.items()
            sources.append(Source.parse(source_name, body))
        names = [source.name for source in sources]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise IllegalArgumentError(f"Composite source names must be unique, found duplicates: [{', '.join(twice)}]")
        size = parameters.integer("size", DEFAULT_SIZE) or 0
        if size <= 0:
            raise IllegalArgumentError(f"[size] must be greater than 0. Found [{size}] in [{name}]")
        after = parameters.raw("after")
        if after is not None:
            if not isinstance(after, dict):
                raise ParsingError(f"[composite] after doesn't support values of type: {token_name(after)}")
            if len(after) != len(names):
                raise IllegalArgumentError(f"[after] has {len(after)} value(s) but [sources] has {len(names)}")
            for source_name in names:
                if source_name not in after:
                    raise IllegalArgumentError(f"Missing value for [after.{source_name}]")
        return cls(name=name, sources=sources, size=size, after=after)

    @property
    def counts_documents(self) -> bool:
        """tantivy counts a document once for each of its values that a histogram puts into the same bucket."""
        return all(source.histogram is None for source in self.sources)

    # -- on a shard ------------------------------------------------------------------------------------------------

    def ask(self, scope: Scope) -> Native | None:
        columns = self._columns(scope)
        if columns is None or all(map(_is_fixed, columns)) or any(source.is_unrolled for source in self.sources):
            return None
        start, is_exact = self._start(columns)
        return {"c": self._request(columns, self.size, start)} if is_exact else None

    def _columns(self, scope: Scope) -> list[Column | None] | None:
        """The sources' columns (None: unmapped, always missing); None when no document can have a key.

        An unmapped field and `_index` have one value for the whole shard: tantivy is not asked about them.
        """
        if self.size > scope.run.context.max_buckets:
            raise TooManyBucketsError.of(scope.run.context.max_buckets, self.size)
        columns = [source.column(scope) for source in self.sources]
        if any(column is not None and column.prefix for column in columns):
            raise IllegalArgumentError(
                f"[{self.type}] aggregation [{self.name}] is not supported on the keys of flattened fields"
            )
        if any(c is None and not s.missing_bucket for s, c in zip(self.sources, columns, strict=True)):
            return None
        return columns

    def _after(self, columns: Sequence[Column | None]) -> Key | None:
        if self.after is None:
            return None
        values = [self.after[source.name] for source in self.sources]
        return tuple(s.stored(c, v) for s, c, v in zip(self.sources, columns, values, strict=True))

    def _start(self, columns: Sequence[Column | None]) -> tuple[Key | None, bool]:
        """Where tantivy is to go on, and whether what comes from there is just what lies behind `after`.

        A fixed value beside the one in `after` decides for all keys that agree with `after` before it. When nothing
        before it can vary it decides for the shard; else the keys have to be compared one by one.
        """
        after = self._after(columns)
        if after is None:
            return None, True
        key = self._key(columns, {})
        for i, (source, column) in enumerate(zip(self.sources, columns, strict=True)):
            if not _is_fixed(column) or source.compare(key[i], after[i]) == 0:
                continue
            if source.compare(key[i], after[i]) < 0:
                return after, False
            return None, all(map(_is_fixed, columns[:i]))
        return after, True

    def _request(
        self, columns: Sequence[Column | None], size: int, after: Key | None, left_out: int = -1
    ) -> dict[str, Any]:
        sources, start = [], {}
        for i, (source, column) in enumerate(zip(self.sources, columns, strict=True)):
            if column is None or column.constant is not None or i == left_out:
                continue
            sources.append({f"s{i}": source.request(column)})
            if after is not None:
                start[f"s{i}"] = _engine_value(source, column, after[i])
        body: dict[str, Any] = {"size": size, "sources": sources}
        if after is not None:
            body["after"] = start
        return {"composite": body}

    def buckets(self, scope: Scope, parts: dict[str, Any]) -> list[RawBucket]:
        columns = self._columns(scope)
        assert columns is not None
        return [
            self._bucket(scope, columns, self._key(columns, b["key"]), b["doc_count"], b) for b in parts["c"]["buckets"]
        ]

    def _key(self, columns: Sequence[Column | None], found: dict[str, Any]) -> Key:
        return tuple(
            _value(source, column, found.get(f"s{i}"))
            for i, (source, column) in enumerate(zip(self.sources, columns, strict=True))
        )

    def _bucket(
        self, scope: Scope, columns: Sequence[Column | None], key: Key, docs: int, answers: dict[str, Any]
    ) -> RawBucket:
        def condition() -> tantivy.Query:
            sides = zip(self.sources, columns, key, strict=True)
            return functools.reduce(both, [source.condition(scope, column, value) for source, column, value in sides])

        return RawBucket(key, docs, condition, answers)

    def collect_large(self, scope: Scope) -> list[RawBucket]:
        columns = self._columns(scope)
        if columns is None:
            return []
        unrolled = [i for i, source in enumerate(self.sources) if source.is_unrolled and columns[i] is not None]
        after = self._after(columns)
        if len(unrolled) > 1:
            raise IllegalArgumentError(
                f"[composite] aggregation [{self.name}]: only one date_histogram source may have calendar intervals or "
                "a time zone with clock changes"
            )
        if unrolled:
            return self._unroll(scope, columns, unrolled[0], after)
        start, is_exact = self._start(columns)
        if is_exact and not all(map(_is_fixed, columns)):
            raise TooManyBucketsError.of(scope.run.context.max_buckets)
        found: list[RawBucket] = []
        for key, docs in self._pages(scope, columns, start=start):
            if after is None or self._compare(key, after) > 0:
                found.append(self._bucket(scope, columns, key, docs, {}))
            if len(found) == self.size:
                break
        return found

    def _unroll(self, scope: Scope, columns: list[Column | None], at: int, after: Key | None) -> list[RawBucket]:
        """One composite over the other sources for each bucket of the date source."""
        source, column = self.sources[at], columns[at]
        assert column is not None
        assert isinstance(source.histogram, DateHistogram)
        found: list[RawBucket] = []
        for value in self._steps(scope, source, column):
            if at == 0 and after is not None and source.compare(value, after[0]) < 0:
                continue
            part = scope.narrow(lambda value=value: source.condition(scope, column, value))  # type: ignore[misc]
            for key, docs in self._pages(part, columns, at):
                full = (*key[:at], value, *key[at + 1 :])
                if after is None or self._compare(full, after) > 0:
                    found.append(self._bucket(scope, columns, full, docs, {}))
            if at == 0 and len(found) >= self.size:
                break
        return found

    def _steps(self, scope: Scope, source: Source, column: Column) -> list[Any]:
        assert isinstance(source.histogram, DateHistogram)
        counted = source.histogram.ask(scope)
        answers = scope.run.aggregate(scope.query, counted) if counted else {}
        steps: list[Any] = [bucket.key for bucket in source.histogram.buckets(scope, answers)] if answers else []
        steps.sort(reverse=not source.ascending)
        if source.missing_bucket:
            first = source.ascending if source.missing_first is None else source.missing_first
            steps = [None, *steps] if first else [*steps, None]
        return steps

    def _pages(
        self, scope: Scope, columns: Sequence[Column | None], at: int = -1, start: Key | None = None
    ) -> Iterator[tuple[Key, int]]:
        """Every combination of the sources but the one `at`, in order, page by page."""
        if all(_is_fixed(column) for i, column in enumerate(columns) if i != at):
            if scope.docs:
                yield self._key(columns, {}), scope.docs
            return
        while True:
            request = {"c": self._request(columns, max(self.size, 1000), start, left_out=at)}
            rows = scope.run.aggregate(scope.query, request)["c"]["buckets"]
            for row in rows:
                yield self._key(columns, row["key"]), row["doc_count"]
            if len(rows) < max(self.size, 1000):
                return
            start = self._key(columns, rows[-1]["key"])

    def select(self, scope: Scope, found: list[RawBucket]) -> tuple[list[RawBucket], dict[str, Any]]:
        rank = functools.cmp_to_key(self._compare)
        ordered = sorted(found, key=lambda bucket: rank(bucket.key))
        formats = [format_of(source.column(scope), source.format) for source in self.sources]
        return ordered[: self.size], {"formats": formats}

    def _compare(self, left: Key, right: Key) -> int:
        for source, a, b in zip(self.sources, left, right, strict=True):
            decided = source.compare(a, b)
            if decided:
                return decided
        return 0

    # -- joining ---------------------------------------------------------------------------------------------------

    def merge(self, partials: Sequence[Partial]) -> Partial:
        rows: dict[Key, list[Any]] = {}
        for partial in partials:
            for key, count, subs in partial["buckets"]:
                known = rows.setdefault(tuple(key), [0, []])
                known[0] += count
                known[1].append(subs)
        keys = sorted(rows, key=functools.cmp_to_key(self._compare))[: self.size]
        return {
            "buckets": [[list(key), rows[key][0], self.merge_children(rows[key][1])] for key in keys],
            "formats": [
                join_formats([partial["formats"][i] for partial in partials], self.name)
                for i in range(len(self.sources))
            ],
        }

    def finish(self, partial: Partial, budget: BucketBudget) -> Answer:
        buckets = []
        for key, count, subs in partial["buckets"]:
            shown = {
                source.name: source.shown(form, value)
                for source, form, value in zip(self.sources, partial["formats"], key, strict=True)
            }
            bucket = BucketAnswer(tuple(key), count, {"key": shown})
            bucket.subs = self.finish_children(subs, budget)
            buckets.append(bucket)
        body = {"after_key": buckets[-1].head["key"]} if buckets else {}
        return self.finish_buckets(buckets, body=body)


def _is_fixed(column: Column | None) -> bool:
    """Whether all documents of the shard have one value: none of an unmapped field, the name in `_index`."""
    return column is None or column.constant is not None


def _value(source: Source, column: Column | None, found: Any) -> Any:
    if column is None or column.constant is not None:
        return None if column is None else column.constant
    return source.read(column, found)


def _engine_value(source: Source, column: Column, value: Any) -> str:
    """A key as tantivy's composite wants to be told where to go on."""
    if value is None:
        return "null:"
    if source.histogram is not None or column.kind == "double":
        return f"f64:{float(value)!r}"
    return f"str:{value}" if column.kind in ("keyword", "ip") else f"i64:{int(value)}"
