"""Pipeline aggregations: numbers from the finished buckets of other aggregations, once, at the final reduce.

Inside a bucket aggregation: derivative, cumulative_sum, serial_diff, moving_fn (the functions of `MovingFunctions`),
bucket_sort. Beside one: avg_bucket, sum_bucket, min_bucket, max_bucket, stats_bucket, extended_stats_bucket,
percentiles_bucket. Those that need scripts are refused. Tests: tests/search/aggregation/test_pipelines.py.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from hanse.errors import IllegalArgumentError, ParsingError
from hanse.search.aggregation.answer import Answer, BucketAnswer
from hanse.search.aggregation.bucket_paths import GAP_POLICIES, bucket_value, bucket_value_if_there, buckets_at, tokens
from hanse.search.aggregation.formats import value_as_string
from hanse.search.aggregation.node import Aggregation, Pipeline
from hanse.search.aggregation.parameters import Parameters
from hanse.search.aggregation.rounding import parse_fixed
from hanse.search.aggregation.sketch_metrics import DEFAULT_PERCENTS

HISTOGRAM_PARENTS = ("histogram", "date_histogram", "auto_date_histogram")
_UNIT_MS = {"second": 1_000, "minute": 60_000, "hour": 3_600_000, "day": 86_400_000, "week": 604_800_000}


@dataclass(kw_only=True)
class PathPipeline(Pipeline):
    """A pipeline with one `buckets_path`."""

    needs_histogram: ClassVar[bool] = False

    path: list[str] = field(default_factory=list)
    format: str | None = None
    gap_policy: str = "skip"

    @classmethod
    def parse(cls, name: str, parameters: Parameters) -> PathPipeline:
        path = parameters.raw("buckets_path")
        if isinstance(path, list) and len(path) == 1:
            path = path[0]
        if path is None:
            raise ParsingError(f"Missing required field [buckets_path] for {cls.type} aggregation [{name}]")
        if not isinstance(path, str):
            raise ParsingError(f"Unexpected token in [{name}]: [buckets_path] must be a string")
        gap_policy = (parameters.text("gap_policy") or "skip").lower()
        if gap_policy not in GAP_POLICIES:
            raise ParsingError(f"Invalid gap policy: [{gap_policy}], accepted values: {list(GAP_POLICIES)}")
        node = cls(
            name=name,
            paths={"buckets_path": path},
            path=tokens(path),
            format=parameters.text("format"),
            gap_policy=gap_policy,
        )
        node.parse_more(parameters)
        return node

    def parse_more(self, parameters: Parameters) -> None:
        """Reads what only this pipeline has."""

    def simple(self, value: float, kind: str = "simple_value") -> Answer:
        """`{"value": ...}`; what is not a number is null."""
        shown = value if math.isfinite(value) else None
        body: dict[str, Any] = {"value": shown}
        text = None if self.format is None else value_as_string(["double", self.format, None], shown)
        if text is not None:
            body["value_as_string"] = text
        return Answer(kind, body, self.meta, metrics={"value": shown})


# -- inside a bucket aggregation ---------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class CumulativeSum(PathPipeline):
    type: ClassVar[str] = "cumulative_sum"
    needs_histogram: ClassVar[bool] = True

    def run_on_buckets(self, parent: Aggregation, answer: Answer) -> None:
        total = 0.0
        for bucket in answer.buckets or ():
            value = bucket_value(bucket, self.path, "skip")
            total += value if math.isfinite(value) else 0.0
            bucket.subs[self.name] = self.simple(total)


@dataclass(kw_only=True)
class Derivative(PathPipeline):
    type: ClassVar[str] = "derivative"
    needs_histogram: ClassVar[bool] = True

    unit_ms: float | None = None

    def parse_more(self, parameters: Parameters) -> None:
        unit = parameters.text("unit")
        if unit is not None:
            self.unit_ms = _UNIT_MS.get(unit) or parse_fixed(unit.replace("1w", "7d"), "unit")

    def run_on_buckets(self, parent: Aggregation, answer: Answer) -> None:
        before: tuple[float, float] | None = None
        for bucket in answer.buckets or ():
            value = bucket_value_if_there(bucket, self.path, self.gap_policy)
            if before is not None and value is not None:
                found = self.simple(value - before[1], "derivative")
                if self.unit_ms is not None:
                    steps = (bucket.key - before[0]) / self.unit_ms
                    normalized = found.metrics["value"]
                    found.body["normalized_value"] = None if normalized is None or not steps else normalized / steps
                    found.metrics["normalized_value"] = found.body["normalized_value"]
                bucket.subs[self.name] = found
            before = None if value is None else (bucket.key, value)


@dataclass(kw_only=True)
class SerialDiff(PathPipeline):
    type: ClassVar[str] = "serial_diff"
    needs_histogram: ClassVar[bool] = True

    lag: int = 1

    def parse_more(self, parameters: Parameters) -> None:
        self.lag = parameters.integer("lag", 1) or 0
        if self.lag <= 0:
            raise ParsingError(
                f"Lag must be a positive, non-zero integer. Value supplied was [{self.lag}] in [{self.name}]."
            )

    def run_on_buckets(self, parent: Aggregation, answer: Answer) -> None:
        buckets = answer.buckets or []
        values = [bucket_value(bucket, self.path, self.gap_policy) for bucket in buckets]
        for i in range(self.lag, len(buckets)):
            difference = values[i] - values[i - self.lag]
            if not math.isnan(difference):
                buckets[i].subs[self.name] = self.simple(difference)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def _linear(values: Sequence[float]) -> float:
    weights = range(1, len(values) + 1)
    return sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights) if values else math.nan


def _deviation(values: Sequence[float]) -> float:
    return math.sqrt(_mean([(v - _mean(values)) ** 2 for v in values])) if values else math.nan


_MOVING: dict[str, Callable[[Sequence[float]], float]] = {
    "max": lambda values: max(values, default=math.nan),
    "min": lambda values: min(values, default=math.nan),
    "sum": lambda values: math.fsum(values),
    "unweightedAvg": _mean,
    "linearWeightedAvg": _linear,
    "stdDev": _deviation,
}


@dataclass(kw_only=True)
class MovingFunction(PathPipeline):
    type: ClassVar[str] = "moving_fn"
    needs_histogram: ClassVar[bool] = True

    window: int = 1
    shift: int = 0
    function: str = "unweightedAvg"

    def parse_more(self, parameters: Parameters) -> None:
        self.window = parameters.integer("window", 0) or 0
        self.shift = parameters.integer("shift", 0) or 0
        if self.window <= 0:
            raise IllegalArgumentError("[window] must be a positive, non-zero integer.")
        script = parameters.raw("script", "")
        source = script.get("source", "") if isinstance(script, dict) else str(script)
        # stdDev's second argument is the mean of the same values.
        call = re.fullmatch(
            r"\s*MovingFunctions\.(\w+)\(values(?:,\s*MovingFunctions\.unweightedAvg\(values\))?\)\s*;?\s*", source
        )
        if call is None or call[1] not in _MOVING:
            raise IllegalArgumentError(
                f"[moving_fn] aggregation [{self.name}]: the script must be MovingFunctions.X(values) with X one of "
                f"[{', '.join(sorted(_MOVING))}]"
            )
        self.function = call[1]

    def run_on_buckets(self, parent: Aggregation, answer: Answer) -> None:
        buckets = answer.buckets or []
        values = [bucket_value(bucket, self.path, self.gap_policy) for bucket in buckets]
        for i, bucket in enumerate(buckets):
            begin, end = max(i - self.window + self.shift, 0), max(i + self.shift, 0)
            window = [value for value in values[begin:end] if not math.isnan(value)]
            bucket.subs[self.name] = self.simple(_MOVING[self.function](window))


@dataclass(kw_only=True)
class BucketSort(Pipeline):
    """Sorts and cuts the parent's buckets; those without any of the values sorted by are left out."""

    type: ClassVar[str] = "bucket_sort"

    sorts: list[tuple[list[str], bool]] = field(default_factory=list)
    skip: int = 0
    size: int | None = None
    gap_policy: str = "skip"

    @classmethod
    def parse(cls, name: str, parameters: Parameters) -> BucketSort:
        node = cls(name=name, skip=parameters.integer("from", 0) or 0, size=parameters.integer("size"))
        if node.skip < 0:
            raise IllegalArgumentError(f"[from] must be a non-negative integer: [{node.skip}]")
        if node.size is not None and node.size <= 0:
            raise IllegalArgumentError(f"[size] must be a positive integer: [{node.size}]")
        node.gap_policy = (parameters.text("gap_policy") or "skip").lower()
        for entry in parameters.objects("sort") or ():
            if not isinstance(entry, str) and not (isinstance(entry, dict) and len(entry) == 1):
                raise ParsingError(f"Unexpected sort in bucket_sort aggregation [{name}]")
            ((path, options),) = entry.items() if isinstance(entry, dict) else ((entry, "asc"),)
            direction = options.get("order", "asc") if isinstance(options, dict) else options
            node.sorts.append((tokens(path), str(direction).lower() == "desc"))
            node.paths[path] = path
        return node

    def run_on_buckets(self, parent: Aggregation, answer: Answer) -> None:
        buckets = answer.buckets or []
        if self.sorts:
            rows = [(self._values(bucket), bucket) for bucket in buckets]
            rows = [row for row in rows if any(not _is_gap(value) for value in row[0])]
            for i in reversed(range(len(self.sorts))):
                rows.sort(key=lambda row, i=i: self._rank(row[0][i], self.sorts[i][1]))  # type: ignore[misc]
            buckets = [bucket for _, bucket in rows]
        end = None if self.size is None else self.skip + self.size
        answer.buckets = buckets[self.skip : end]

    def _values(self, bucket: BucketAnswer) -> list[Any]:
        return [
            bucket.key if path == ["_key"] else bucket_value(bucket, path, self.gap_policy) for path, _ in self.sorts
        ]

    @staticmethod
    def _rank(value: Any, descending: bool) -> tuple[int, Any]:
        if _is_gap(value):
            return (1, 0)
        return (0, _Reversed(value) if descending else value)


def _is_gap(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


@dataclass(frozen=True, slots=True)
class _Reversed:
    """A value that sorts the other way round."""

    value: Any

    def __lt__(self, other: _Reversed) -> bool:
        return bool(other.value < self.value)


# -- beside a bucket aggregation ---------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class SiblingPipeline(PathPipeline):
    is_sibling: ClassVar[bool] = True

    def run_on_siblings(self, siblings: dict[str, Answer]) -> Answer:
        buckets, rest = buckets_at(siblings, self.path)
        rows = [(bucket, bucket_value(bucket, rest, self.gap_policy)) for bucket in buckets]
        return self.reduce([(bucket, value) for bucket, value in rows if not math.isnan(value)])

    def reduce(self, rows: list[tuple[BucketAnswer, float]]) -> Answer:
        raise NotImplementedError(self.type)


@dataclass(kw_only=True)
class AvgBucket(SiblingPipeline):
    type: ClassVar[str] = "avg_bucket"

    def reduce(self, rows: list[tuple[BucketAnswer, float]]) -> Answer:
        return self.simple(math.fsum(value for _, value in rows) / len(rows) if rows else math.nan)


@dataclass(kw_only=True)
class SumBucket(SiblingPipeline):
    type: ClassVar[str] = "sum_bucket"

    def reduce(self, rows: list[tuple[BucketAnswer, float]]) -> Answer:
        return self.simple(math.fsum(value for _, value in rows))


@dataclass(kw_only=True)
class MaxBucket(SiblingPipeline):
    type: ClassVar[str] = "max_bucket"
    choose: ClassVar[Callable[..., float]] = max

    def reduce(self, rows: list[tuple[BucketAnswer, float]]) -> Answer:
        if not rows:
            answer = self.simple(math.nan, "bucket_metric_value")
            answer.body["keys"] = []
            return answer
        best = type(self).choose(value for _, value in rows)
        answer = self.simple(best, "bucket_metric_value")
        answer.body["keys"] = [_key_text(bucket) for bucket, value in rows if value == best]
        return answer


@dataclass(kw_only=True)
class MinBucket(MaxBucket):
    type: ClassVar[str] = "min_bucket"
    choose: ClassVar[Callable[..., float]] = min


def _key_text(bucket: BucketAnswer) -> str:
    return str(bucket.head.get("key_as_string", bucket.head.get("key", bucket.label or bucket.key)))


@dataclass(kw_only=True)
class StatsBucket(SiblingPipeline):
    type: ClassVar[str] = "stats_bucket"

    def reduce(self, rows: list[tuple[BucketAnswer, float]]) -> Answer:
        values = self.values([value for _, value in rows])
        body: dict[str, Any] = dict(values)
        if self.format is not None and rows:
            for name, value in values.items():
                text = value_as_string(["double", self.format, None], value) if name != "count" else None
                if text is not None:
                    body[f"{name}_as_string"] = text
        return Answer(self.type, body, self.meta, metrics=values)

    def values(self, numbers: list[float]) -> dict[str, float | None]:
        total = math.fsum(numbers)
        return {
            "count": len(numbers),
            "min": min(numbers, default=None),
            "max": max(numbers, default=None),
            "avg": total / len(numbers) if numbers else None,
            "sum": total,
        }


@dataclass(kw_only=True)
class ExtendedStatsBucket(StatsBucket):
    type: ClassVar[str] = "extended_stats_bucket"

    sigma: float = 2.0

    def parse_more(self, parameters: Parameters) -> None:
        self.sigma = parameters.number("sigma", 2.0) or 0.0
        if self.sigma < 0:
            raise IllegalArgumentError("sigma must be a non-negative double")

    def reduce(self, rows: list[tuple[BucketAnswer, float]]) -> Answer:
        from hanse.search.aggregation import exact_sum
        from hanse.search.aggregation.answer import BucketBudget
        from hanse.search.aggregation.metrics import ExtendedStats

        numbers = [value for _, value in rows]
        partial = {
            "count": len(numbers),
            "sum": exact_sum.canonical(numbers),
            "squares": exact_sum.canonical(value * value for value in numbers),
            "min": min(numbers, default=None),
            "max": max(numbers, default=None),
            "format": [] if self.format is None else ["double", self.format, None],
        }
        answer = ExtendedStats(name=self.name, sigma=self.sigma).finish(partial, BucketBudget(0))
        answer.type = self.type
        return answer


@dataclass(kw_only=True)
class PercentilesBucket(SiblingPipeline):
    type: ClassVar[str] = "percentiles_bucket"

    percents: list[float] = field(default_factory=list)
    keyed: bool = True

    def parse_more(self, parameters: Parameters) -> None:
        percents = parameters.numbers("percents")
        self.percents = list(DEFAULT_PERCENTS) if percents is None else percents
        self.keyed = parameters.boolean("keyed", True)
        for percent in self.percents:
            if not 0 <= percent <= 100:
                raise IllegalArgumentError("percents must only contain non-null doubles from 0.0-100.0 inclusive")

    def reduce(self, rows: list[tuple[BucketAnswer, float]]) -> Answer:
        values = sorted(value for _, value in rows)
        found: dict[str, float | None] = {
            repr(p): values[math.floor(p / 100 * (len(values) - 1) + 0.5)] if values else None for p in self.percents
        }
        body: Any = found if self.keyed else [{"key": float(p), "value": v} for p, v in found.items()]
        return Answer(self.type, {"values": body}, self.meta, metrics=found)
