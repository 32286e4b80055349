"""The metrics that need every value: cardinality, percentiles, percentile_ranks, median_absolute_deviation.

They ask tantivy for all distinct values with their counts and keep a sketch (sketches.py states the bounds).
Tests: tests/search/aggregation/test_metrics.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from hanse.errors import ArrayIndexOutOfBoundsError, IllegalArgumentError, ParsingError
from hanse.search.aggregation.answer import Answer, BucketBudget
from hanse.search.aggregation.distribution import Counts, all_terms, all_values, read_terms
from hanse.search.aggregation.formats import Format, format_of, join_formats, value_as_string
from hanse.search.aggregation.metrics import FieldMetric
from hanse.search.aggregation.parameters import Parameters
from hanse.search.aggregation.run import Native, Partial, Scope
from hanse.search.aggregation.sketches import (
    Distribution,
    distinct_sketch,
    estimate_distinct,
    merge_distinct,
    merge_values,
    value_sketch,
)

DEFAULT_PERCENTS = (1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0)
PRECISION_THRESHOLD_DEFAULT = 3000


@dataclass(kw_only=True)
class AllValuesMetric(FieldMetric):
    """Reads all distinct values of the field into a partial."""

    def native(self, scope: Scope) -> Native | None:
        column = self.column(scope)
        if column is None or column.constant is not None or (column.prefix and self.missing is not None):
            return None
        return {"t": all_terms(column, self.missing_value(column))}

    def read(self, scope: Scope, parts: dict[str, Any]) -> Partial:
        column = self.column(scope)
        assert column is not None
        return self.pack(scope, read_terms(parts["t"], column, self.missing_value(column)))

    def collect(self, scope: Scope) -> Partial:
        column = self.column(scope)
        if column is None:
            return self.pack(scope, self.unmapped_counts(scope))
        return self.pack(scope, all_values(scope, column, self.missing_value(column)))

    def pack(self, scope: Scope, counts: Counts) -> Partial:
        return {
            "sketch": value_sketch([(float(value), count) for value, count in counts]),
            "format": format_of(self.column(scope), self.format),
        }

    def merge(self, partials: Sequence[Partial]) -> Partial:
        return {
            "sketch": merge_values([p["sketch"] for p in partials]),
            "format": join_formats([p["format"] for p in partials], self.name),
        }


@dataclass(kw_only=True)
class Cardinality(AllValuesMetric):
    type: ClassVar[str] = "cardinality"
    accepts_text: ClassVar[bool] = True

    def parse_more(self, parameters: Parameters) -> None:
        threshold = parameters.integer("precision_threshold", PRECISION_THRESHOLD_DEFAULT) or 0
        if threshold < 0:
            raise IllegalArgumentError(
                f"[precisionThreshold] must be greater than or equal to 0. Found [{threshold}] in [{self.name}]"
            )
        parameters.raw("rehash")
        parameters.raw("execution_hint")

    def pack(self, scope: Scope, counts: Counts) -> Partial:
        return {"distinct": distinct_sketch(value for value, _ in counts)}

    def merge(self, partials: Sequence[Partial]) -> Partial:
        return {"distinct": merge_distinct(p["distinct"] for p in partials)}

    def finish(self, partial: Partial, budget: BucketBudget) -> Answer:
        value = estimate_distinct(partial["distinct"])
        return Answer(self.type, {"value": value}, self.meta, metrics={"value": value})


@dataclass(kw_only=True)
class _PercentMetric(AllValuesMetric):
    """What percentiles and their ranks share: the method's parameters and the shape of the answer."""

    points: list[float] = field(default_factory=list)
    keyed: bool = True
    hdr_digits: int | None = None

    def read_method(self, parameters: Parameters) -> None:
        self.keyed = parameters.boolean("keyed", True)
        if "tdigest" in parameters:
            inner = Parameters("tdigest", self.name, parameters.raw("tdigest", {}))
            compression = inner.number("compression", 100.0) or 0.0
            if compression < 0:
                raise IllegalArgumentError(
                    f"[compression] must be greater than or equal to 0. Found [{compression}] in [{self.name}]"
                )
            inner.raw("execution_hint")
            inner.finish()
        if "hdr" in parameters:
            inner = Parameters("hdr", self.name, parameters.raw("hdr", {}))
            if (
                "number_of_significant_value_digits" in inner
                and inner.raw("number_of_significant_value_digits") is None
            ):
                raise ParsingError(
                    "[hdr] number_of_significant_value_digits doesn't support values of type: VALUE_NULL"
                )
            self.hdr_digits = inner.integer("number_of_significant_value_digits", 3)
            inner.finish()
            if self.hdr_digits is None or not 0 <= self.hdr_digits <= 5:
                raise IllegalArgumentError("[numberOfSignificantValueDigits] must be between 0 and 5")

    @property
    def method(self) -> str:
        return "tdigest" if self.hdr_digits is None else "hdr"

    def shape(self, values: list[tuple[float, float | None]], form: Format) -> Answer:
        metrics = {repr(point): value for point, value in values}
        answer = Answer(f"{self.method}_{self.type}", {}, self.meta, metrics=metrics)
        if self.keyed:
            rows: dict[str, Any] = {}
            for point, value in values:
                rows[repr(point)] = value
                text = value_as_string(form, value)
                if text is not None:
                    rows[f"{point!r}_as_string"] = text
            answer.body["values"] = rows
        else:
            listed = []
            for point, value in values:
                text = value_as_string(form, value)
                listed.append({"key": point, "value": value, **({} if text is None else {"value_as_string": text})})
            answer.body["values"] = listed
        return answer


@dataclass(kw_only=True)
class Percentiles(_PercentMetric):
    type: ClassVar[str] = "percentiles"

    def parse_more(self, parameters: Parameters) -> None:
        percents = parameters.numbers("percents")
        if percents == []:
            raise IllegalArgumentError(f"[percents] must not be empty: [{self.name}]")
        for percent in percents or ():
            if not 0.0 <= percent <= 100.0:
                raise IllegalArgumentError(f"percent must be in [0,100], got [{percent}]: [{self.name}]")
        self.points = sorted(percents) if percents is not None else list(DEFAULT_PERCENTS)
        self.read_method(parameters)

    def pack(self, scope: Scope, counts: Counts) -> Partial:
        lowest = min((value for value, _ in counts), default=0.0)
        if self.hdr_digits is not None and lowest < 0:
            raise ArrayIndexOutOfBoundsError(
                f"out of covered value range: [hdr] percentiles [{self.name}] cannot hold the negative value [{lowest}]"
            )
        return AllValuesMetric.pack(self, scope, counts)

    def finish(self, partial: Partial, budget: BucketBudget) -> Answer:
        found = Distribution(partial["sketch"])
        if self.hdr_digits is None:
            values = [(point, found.quantile(point / 100)) for point in self.points]
        else:
            values = [
                (point, _highest_equivalent(found.nearest(point / 100), found, self.hdr_digits))
                for point in self.points
            ]
        return self.shape(values, partial["format"])


def _highest_equivalent(value: float | None, found: Distribution, digits: int) -> float | None:
    """The largest value an HDR histogram of so many digits cannot tell from this one (what it answers with)."""
    if value is None or value <= 0:
        return value
    half = 2 ** math.ceil(math.log2(2 * 10**digits)) // 2
    unit = 2.0 ** math.floor(math.log2(min(v for v in found.values if v > 0))) / half
    step = 2.0 ** math.floor(math.log2(value)) / half
    return float(math.floor(value / step) * step + step - unit)


@dataclass(kw_only=True)
class PercentileRanks(_PercentMetric):
    type: ClassVar[str] = "percentile_ranks"

    def parse_more(self, parameters: Parameters) -> None:
        values = parameters.numbers("values")
        if not values:
            raise IllegalArgumentError(f"[values] must not be an empty array: [{self.name}]")
        self.points = sorted(values)
        self.read_method(parameters)

    def finish(self, partial: Partial, budget: BucketBudget) -> Answer:
        found = Distribution(partial["sketch"])
        shares = [(point, found.share_up_to(point)) for point in self.points]
        # A rank is a percentage: the field's format does not apply to it.
        return self.shape([(point, None if share is None else share * 100) for point, share in shares], [])


@dataclass(kw_only=True)
class MedianAbsoluteDeviation(AllValuesMetric):
    type: ClassVar[str] = "median_absolute_deviation"

    def parse_more(self, parameters: Parameters) -> None:
        compression = parameters.number("compression", 1000.0) or 0.0
        if compression <= 0:
            raise IllegalArgumentError(f"[compression] must be greater than 0. Found [{compression}] in [{self.name}]")
        parameters.raw("execution_hint")

    def finish(self, partial: Partial, budget: BucketBudget) -> Answer:
        value = Distribution(partial["sketch"]).median_deviation()
        body: dict[str, Any] = {"value": value}
        body.update(self.strings(partial["format"], {"value": value}))
        return Answer(self.type, body, self.meta, metrics={"value": value})
