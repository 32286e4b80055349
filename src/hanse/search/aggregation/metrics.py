"""The metrics that tantivy's sums answer: avg, sum, min, max, stats, extended_stats, value_count, weighted_avg.

Their partial is counts, exact sums and extremes, so joining loses nothing; the mean and the variance are computed once,
at the end. Tests: tests/search/aggregation/test_metrics.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from hanse.errors import IllegalArgumentError
from hanse.search.aggregation import exact_sum
from hanse.search.aggregation.answer import Answer, BucketBudget
from hanse.search.aggregation.columns import Column, ip_to_sortable
from hanse.search.aggregation.date_text import LONG_LIMIT, parse_date, zone
from hanse.search.aggregation.distribution import all_terms, all_values, has_value, in_parts
from hanse.search.aggregation.formats import format_of, join_formats, value_as_string
from hanse.search.aggregation.node import Aggregation
from hanse.search.aggregation.parameters import Parameters
from hanse.search.aggregation.run import Native, Partial, Scope, both, collect_level

EMPTY = {"count": 0, "sum": [], "squares": [], "min": None, "max": None, "format": []}


def stored_value(column: Column, value: Any, pattern: str | None = None, time_zone: str | None = None) -> Any:
    """A value from the request in the form the column holds it; raises when it cannot be one."""
    try:
        if column.kind == "date":
            return parse_date(value, pattern or column.format, zone(time_zone))
        if column.kind == "boolean":
            return {"true": 1, "false": 0, "": 0}[value.lower()] if isinstance(value, str) else int(bool(value))
        if column.kind == "long":
            number = int(value) if not isinstance(value, str) or "." not in value else int(float(value))
            if not -LONG_LIMIT <= number < LONG_LIMIT:
                raise IllegalArgumentError(f"Value [{value}] is out of range for a long")
            return number
        if column.kind == "double":
            return as_number(value)
    except (TypeError, ValueError, KeyError, OverflowError):
        raise IllegalArgumentError(f'For input string: "{value}"') from None
    return ip_to_sortable(str(value)) if column.kind == "ip" else str(value)


@dataclass(kw_only=True)
class FieldMetric(Aggregation):
    """A metric over one field's values."""

    accepts_text: ClassVar[bool] = False

    field_name: str = ""
    missing: Any = None
    format: str | None = None

    @classmethod
    def parse(cls, name: str, parameters: Parameters) -> Aggregation:
        node = cls(
            name=name,
            field_name=parameters.field(),
            missing=parameters.scalar("missing"),
            format=parameters.text("format"),
        )
        parameters.raw("value_type")
        node.parse_more(parameters)
        return node

    def parse_more(self, parameters: Parameters) -> None:
        """Reads what only this metric has."""

    def column(self, scope: Scope) -> Column | None:
        column = scope.run.column(self.field_name)
        if column is not None and not column.is_numeric and not self.accepts_text:
            raise IllegalArgumentError(
                f"Field [{self.field_name}] of type [{column.type}] is not supported for aggregation [{self.type}]"
            )
        return column

    def missing_value(self, column: Column) -> Any:
        return None if self.missing is None else stored_value(column, self.missing, self.format)

    def unmapped_counts(self, scope: Scope) -> list[tuple[Any, int]]:
        """What a field that is not mapped amounts to: the missing value once for every document."""
        if self.missing is None:
            return []
        value = self.missing if self.accepts_text else as_number(self.missing)
        return [(value, scope.docs)] if scope.docs else []

    def strings(self, form: list[Any], values: dict[str, float | None], suffix: str = "_as_string") -> dict[str, str]:
        """The formatted twins of values, where the field has a format."""
        shown = {f"{name}{suffix}": value_as_string(form, value) for name, value in values.items()}
        return {name: text for name, text in shown.items() if text is not None}


def as_number(value: Any) -> float:
    """A number of the request, for a field without a type to say what else it may be."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise IllegalArgumentError(f'For input string: "{value}"')
    return number


@dataclass(kw_only=True)
class StatsMetric(FieldMetric):
    """Everything that count, sum, squares, min and max can answer."""

    type: ClassVar[str] = "stats"
    engine: ClassVar[str] = "stats"

    def native(self, scope: Scope) -> Native | None:
        column = self.column(scope)
        if column is None:
            return None
        body: dict[str, Any] = {"field": column.slot}
        if self.missing is not None:
            body["missing"] = float(self.missing_value(column))
        return {"s": {self.engine: body}}

    def read(self, scope: Scope, parts: dict[str, Any]) -> Partial:
        found = parts["s"]
        column = self.column(scope)
        return {
            "count": int(found["count"]),
            "sum": exact_sum.canonical([found["sum"]]),
            "squares": exact_sum.canonical([found.get("sum_of_squares") or 0.0]),
            "min": found["min"],
            "max": found["max"],
            "format": format_of(column, self.format),
        }

    def collect(self, scope: Scope) -> Partial:
        counts = [(float(value), docs) for value, docs in self.unmapped_counts(scope)]
        if not counts:
            return dict(EMPTY)
        value, docs = counts[0]
        return {
            "count": docs,
            "sum": exact_sum.canonical([value * docs]),
            "squares": exact_sum.canonical([value * value * docs]),
            "min": value,
            "max": value,
            "format": [],
        }

    def merge(self, partials: Sequence[Partial]) -> Partial:
        lows = [p["min"] for p in partials if p["min"] is not None]
        highs = [p["max"] for p in partials if p["max"] is not None]
        return {
            "count": sum(p["count"] for p in partials),
            "sum": exact_sum.canonical(term for p in partials for term in p["sum"]),
            "squares": exact_sum.canonical(term for p in partials for term in p["squares"]),
            "min": min(lows, default=None),
            "max": max(highs, default=None),
            "format": join_formats([p["format"] for p in partials], self.name),
        }

    def finish(self, partial: Partial, budget: BucketBudget) -> Answer:
        values = self.values(partial)
        form = partial["format"]
        if len(values) == 1 and "value" in values:
            return Answer(self.type, {**values, **self.strings(form, values)}, self.meta, metrics=values)
        shown = {name: value for name, value in values.items() if name != "count"}
        strings = self.strings(form, shown) if partial["count"] else {}
        return Answer(self.type, {**self.shape(partial, values), **strings}, self.meta, metrics=values)

    def values(self, partial: Partial) -> dict[str, float | None]:
        count, total = partial["count"], exact_sum.value(partial["sum"])
        return {
            "count": count,
            "min": partial["min"],
            "max": partial["max"],
            "avg": total / count if count else None,
            "sum": total,
        }

    def shape(self, partial: Partial, values: dict[str, float | None]) -> dict[str, Any]:
        return dict(values)


@dataclass(kw_only=True)
class Sum(StatsMetric):
    type: ClassVar[str] = "sum"

    def values(self, partial: Partial) -> dict[str, float | None]:
        return {"value": exact_sum.value(partial["sum"])}


@dataclass(kw_only=True)
class Avg(StatsMetric):
    type: ClassVar[str] = "avg"

    def values(self, partial: Partial) -> dict[str, float | None]:
        return {"value": exact_sum.value(partial["sum"]) / partial["count"] if partial["count"] else None}


@dataclass(kw_only=True)
class Min(StatsMetric):
    type: ClassVar[str] = "min"

    def values(self, partial: Partial) -> dict[str, float | None]:
        return {"value": partial["min"]}


@dataclass(kw_only=True)
class Max(StatsMetric):
    type: ClassVar[str] = "max"

    def values(self, partial: Partial) -> dict[str, float | None]:
        return {"value": partial["max"]}


@dataclass(kw_only=True)
class ExtendedStats(StatsMetric):
    type: ClassVar[str] = "extended_stats"
    engine: ClassVar[str] = "extended_stats"

    sigma: float = 2.0

    def parse_more(self, parameters: Parameters) -> None:
        self.sigma = parameters.number("sigma", 2.0) or 0.0
        if self.sigma < 0:
            raise IllegalArgumentError(
                f"[sigma] must be greater than or equal to 0. Found [{self.sigma}] in [{self.name}]"
            )

    def values(self, partial: Partial) -> dict[str, float | None]:
        values = StatsMetric.values(self, partial)
        count, total = partial["count"], exact_sum.value(partial["sum"])
        squares = exact_sum.value(partial["squares"])
        spread = max(squares - total * total / count, 0.0) if count else 0.0
        population = spread / count if count else None
        # One value has no sampling variance: Elasticsearch divides zero by zero and renders NaN.
        sampling = spread / (count - 1) if count > 1 else (math.nan if count else None)
        values.update(
            sum_of_squares=squares if count else None,
            variance=population,
            variance_population=population,
            variance_sampling=sampling,
            std_deviation=_root(population),
            std_deviation_population=_root(population),
            std_deviation_sampling=_root(sampling),
        )
        for suffix, deviation in (("", population), ("_population", population), ("_sampling", sampling)):
            reach = None if deviation is None else self.sigma * (_root(deviation) or 0.0)
            mean = values["avg"]
            values[f"std_upper{suffix}"] = None if mean is None or reach is None else mean + reach
            values[f"std_lower{suffix}"] = None if mean is None or reach is None else mean - reach
        return values

    def finish(self, partial: Partial, budget: BucketBudget) -> Answer:
        values = self.values(partial)
        plain = {name: value for name, value in values.items() if not name.startswith(("std_upper", "std_lower"))}
        bounds = {
            f"{side}{suffix}": values[f"std_{side}{suffix}"]
            for suffix in ("", "_population", "_sampling")
            for side in ("upper", "lower")
        }
        body: dict[str, Any] = {**{name: _shown(value) for name, value in plain.items()}}
        body["std_deviation_bounds"] = {name: _shown(value) for name, value in bounds.items()}
        form = partial["format"]
        if partial["count"]:
            body.update(self.strings(form, {name: value for name, value in plain.items() if name != "count"}))
            texts = self.strings(form, bounds, suffix="")
            if texts:
                body["std_deviation_bounds_as_string"] = texts
        return Answer(self.type, body, self.meta, metrics=values)


def _root(value: float | None) -> float | None:
    return None if value is None else math.sqrt(value) if value == value else value


def _shown(value: float | None) -> float | str | None:
    """JSON has no NaN; Elasticsearch writes the word."""
    return "NaN" if value is not None and value != value else value


@dataclass(kw_only=True)
class ValueCount(FieldMetric):
    type: ClassVar[str] = "value_count"
    accepts_text: ClassVar[bool] = True

    def native(self, scope: Scope) -> Native | None:
        column = self.column(scope)
        if column is None:
            return None
        # The documents that lack the field have no number to put in: they are counted by a call of their own.
        is_own = self.missing is not None or column.prefix or column.constant is not None
        return None if is_own else {"c": {"value_count": {"field": column.slot}}}

    def read(self, scope: Scope, parts: dict[str, Any]) -> Partial:
        return {"count": int(parts["c"]["value"])}

    def collect(self, scope: Scope) -> Partial:
        column = self.column(scope)
        if column is None:
            return {"count": sum(docs for _, docs in self.unmapped_counts(scope))}
        if column.prefix or column.constant is not None:
            return {"count": sum(docs for _, docs in all_values(scope, column, self.missing))}
        answers = scope.run.aggregate(
            scope.query,
            {"c": {"value_count": {"field": column.slot}}, "d": {"value_count": {"field": "_seq_no"}}},
        )
        present = scope.run.count(both(scope.query, has_value(scope, column)))
        return {"count": int(answers["c"]["value"]) + int(answers["d"]["value"]) - present}

    def merge(self, partials: Sequence[Partial]) -> Partial:
        return {"count": sum(p["count"] for p in partials)}

    def finish(self, partial: Partial, budget: BucketBudget) -> Answer:
        return Answer(self.type, {"value": partial["count"]}, self.meta, metrics={"value": partial["count"]})


@dataclass(kw_only=True)
class WeightedAvg(Aggregation):
    """The mean of one field weighted by another: per distinct value the sum of its documents' weights."""

    type: ClassVar[str] = "weighted_avg"

    value: FieldMetric | None = None
    weight: FieldMetric | None = None
    format: str | None = None

    @classmethod
    def parse(cls, name: str, parameters: Parameters) -> Aggregation:
        sides = []
        for side in ("value", "weight"):
            inner = Parameters(cls.type, name, parameters.required(side))
            sides.append(FieldMetric(name=name, field_name=inner.field(), missing=inner.scalar("missing")))
            inner.finish()
        parameters.raw("value_type")
        return cls(name=name, value=sides[0], weight=sides[1], format=parameters.text("format"))

    def native(self, scope: Scope) -> Native | None:
        assert self.value is not None
        assert self.weight is not None
        value, weight = self.value.column(scope), self.weight.column(scope)
        if value is None or weight is None:
            return None
        weights: dict[str, Any] = {"field": weight.slot}
        if self.weight.missing is not None:
            weights["missing"] = float(self.weight.missing_value(weight))
        request = all_terms(value, self.value.missing_value(value))
        return {"v": {**request, "aggs": {"w": {"stats": weights}}}}

    def read(self, scope: Scope, parts: dict[str, Any]) -> Partial:
        products, weights = [], []
        for bucket in parts["v"]["buckets"]:
            if bucket["w"]["count"] > bucket["doc_count"]:
                raise IllegalArgumentError(
                    f"Encountered more than one weight for a single document in [{self.name}]. Use a script to combine "
                    "multiple weights-per-doc into a single value."
                )
            weights.append(bucket["w"]["sum"])
            products.append(float(bucket["key"]) * bucket["w"]["sum"])
        return {"products": exact_sum.canonical(products), "weights": exact_sum.canonical(weights)}

    def collect(self, scope: Scope) -> Partial:
        """For an unmapped side, or more values than tantivy builds buckets for."""
        assert self.value is not None
        assert self.weight is not None
        value, weight = self.value.column(scope), self.weight.column(scope)
        if (value is None and self.value.missing is None) or (weight is None and self.weight.missing is None):
            return self.merge([])
        if value is not None and weight is not None:
            request = (self.native(scope) or {})["v"]
            return self.merge([self.read(scope, {"v": answer}) for answer in in_parts(scope, request)])
        # One side is a constant, put in for the unmapped field.
        side = self.weight if value is None else self.value
        partial = collect_level([Sum(name="s", field_name=side.field_name, missing=side.missing)], scope)["s"]
        constant = as_number((self.value if value is None else self.weight).missing)
        total = exact_sum.value(partial["sum"])
        return {
            "products": exact_sum.canonical([total * constant]),
            "weights": exact_sum.canonical([total if value is None else constant * partial["count"]]),
        }

    def merge(self, partials: Sequence[Partial]) -> Partial:
        return {
            part: exact_sum.canonical(term for p in partials for term in p[part]) for part in ("products", "weights")
        }

    def finish(self, partial: Partial, budget: BucketBudget) -> Answer:
        weight = exact_sum.value(partial["weights"])
        value = exact_sum.value(partial["products"]) / weight if weight else None
        body: dict[str, Any] = {"value": value}
        text = value_as_string(["double", self.format, None], value)
        if text is not None:
            body["value_as_string"] = text
        return Answer(self.type, body, self.meta, metrics={"value": value})
