from __future__ import annotations

from typing import Any

import pytest

from hanse.errors import ArrayIndexOutOfBoundsError, IllegalArgumentError, ParsingError, XContentParseError
from hanse.search.aggregation.date_text import parse_date

DOCS = [{"count": 1, "price": 1.5}, {"count": [51, 101]}, {"price": -3.0, "tag": ["a", "b"]}, {}]


def one(kit: Any, kind: str, docs: Any = DOCS, **body: Any) -> Any:
    left, right = docs[: len(docs) // 2], docs[len(docs) // 2 :]
    return kit.run({"m": {kind: body}}, left, right)["m"]


def test_single_values_are_doubles(kit: Any) -> None:
    assert one(kit, "sum", field="count") == {"value": 153.0}
    assert isinstance(one(kit, "sum", field="count")["value"], float)
    assert one(kit, "avg", field="count") == {"value": 51.0}
    assert one(kit, "min", field="price") == {"value": -3.0}
    assert one(kit, "max", field="count") == {"value": 101.0}
    assert one(kit, "value_count", field="count") == {"value": 3}
    assert one(kit, "value_count", field="tag") == {"value": 2}


def test_without_values(kit: Any) -> None:
    for field in ("weight", "nope"):
        assert one(kit, "avg", field=field) == one(kit, "max", field=field) == {"value": None}
        assert one(kit, "sum", field=field) == {"value": 0.0}
        assert one(kit, "stats", field=field) == {"count": 0, "min": None, "max": None, "avg": None, "sum": 0.0}
        assert one(kit, "extended_stats", field=field)["std_deviation_bounds"]["upper"] is None
        assert one(kit, "value_count", field=field) == one(kit, "cardinality", field=field) == {"value": 0}
        assert one(kit, "percentiles", field=field, percents=[50]) == {"values": {"50.0": None}}
        assert one(kit, "median_absolute_deviation", field=field) == {"value": None}
        assert one(kit, "weighted_avg", value={"field": field}, weight={"field": field}) == {"value": None}


def test_missing_values_count_once_for_each_document(kit: Any) -> None:
    assert one(kit, "sum", field="price", missing=10) == {"value": 18.5}
    assert one(kit, "avg", field="nope", missing=3) == {"value": 3.0}
    assert one(kit, "stats", field="nope", missing=3)["sum"] == 12.0
    assert one(kit, "value_count", field="tag", missing="x") == {"value": 5}
    assert one(kit, "value_count", field="nope", missing="x") == {"value": 4}
    assert one(kit, "cardinality", field="tag", missing="b") == {"value": 2}
    assert one(kit, "cardinality", field="tag", missing="x") == {"value": 3}
    assert one(kit, "cardinality", field="nope", missing="x") == {"value": 1}
    assert one(kit, "percentiles", field="nope", missing=1.0, percents=[50]) == {"values": {"50.0": 1.0}}


def test_dates_and_formats(kit: Any) -> None:
    docs = [{"at": parse_date("2024-01-01", None)}, {"at": parse_date("2024-01-03", None)}]
    assert one(kit, "max", docs, field="at") == {
        "value": 1_704_240_000_000.0,
        "value_as_string": "2024-01-03T00:00:00.000Z",
    }
    assert one(kit, "avg", docs, field="at", format="yyyy-MM-dd")["value_as_string"] == "2024-01-02"
    assert one(kit, "min", docs, field="at", missing="2023-12-31")["value"] == 1_704_067_200_000.0
    assert one(kit, "sum", field="count", format="0.00")["value_as_string"] == "153.00"
    assert one(kit, "stats", docs, field="at")["min_as_string"] == "2024-01-01T00:00:00.000Z"


def test_extended_stats(kit: Any) -> None:
    answer = one(kit, "extended_stats", [{"count": n} for n in (1, 51, 101, 151)], field="count", sigma=3)
    assert answer["sum_of_squares"] == 35_604.0
    assert answer["variance"] == answer["variance_population"] == 3125.0
    assert answer["variance_sampling"] == pytest.approx(4166.6666666)
    assert answer["std_deviation_bounds"]["upper"] == pytest.approx(76 + 3 * 3125**0.5)
    single = one(kit, "extended_stats", [{"count": 7}], field="count")
    assert (single["variance"], single["variance_sampling"]) == (0.0, "NaN")


def test_the_variance_of_large_equal_numbers_is_never_negative(kit: Any) -> None:
    answer = one(kit, "extended_stats", [{"price": 1e9 + 0.1}] * 7, field="price")
    assert answer["variance"] >= 0.0


def test_a_weighted_average(kit: Any) -> None:
    docs = [{"price": 1.0, "weight": 3}, {"price": 5.0, "weight": 1}, {"price": 9.0}, {"weight": 50}]
    sides = {"value": {"field": "price"}, "weight": {"field": "weight"}}
    assert one(kit, "weighted_avg", docs, **sides) == {"value": 2.0}
    assert (
        one(kit, "weighted_avg", docs, value=sides["value"], weight={"field": "weight", "missing": 1})["value"] == 3.4
    )
    assert one(kit, "weighted_avg", docs, value={"field": "price", "missing": 0}, weight=sides["weight"])["value"] == (
        8.0 / 54.0
    )
    assert one(kit, "weighted_avg", docs, value={"field": "nope", "missing": 2}, weight=sides["weight"]) == {
        "value": 2.0
    }
    assert one(kit, "weighted_avg", docs, **sides, format="0.00")["value_as_string"] == "2.00"
    with pytest.raises(IllegalArgumentError, match="more than one weight for a single document"):
        one(kit, "weighted_avg", DOCS, value={"field": "count"}, weight={"field": "count"})


def test_percentiles_are_interpolated_between_ranks(kit: Any) -> None:
    docs = [{"count": n} for n in (1, 51, 101, 151)]
    assert one(kit, "percentiles", docs, field="count")["values"] == {
        "1.0": 2.5,
        "5.0": 8.5,
        "25.0": 38.5,
        "50.0": 76.0,
        "75.0": 113.5,
        "95.0": 143.5,
        "99.0": 149.5,
    }
    assert one(kit, "percentiles", docs, field="count", percents=[50], keyed=False) == {
        "values": [{"key": 50.0, "value": 76.0}]
    }


def test_hdr_percentiles_answer_with_the_end_of_the_value_s_bin(kit: Any) -> None:
    docs = [{"count": n} for n in (1, 51, 101, 151)]
    values = one(kit, "percentiles", docs, field="count", hdr={})["values"]
    assert (values["25.0"], values["50.0"], values["75.0"], values["99.0"]) == (
        1.0,
        51.0302734375,
        101.0615234375,
        151.1240234375,
    )


def test_hdr_percentiles_hold_no_negative_values(kit: Any) -> None:
    with pytest.raises(ArrayIndexOutOfBoundsError, match="-10"):
        one(kit, "percentiles", [{"count": -10}], field="count", hdr={})


def test_percentile_ranks_and_median_deviation(kit: Any) -> None:
    docs = [{"count": n} for n in (1, 1, 2, 10)]
    assert one(kit, "percentile_ranks", docs, field="count", values=[1, 2, 0, 99]) == {
        "values": {"0.0": 0.0, "1.0": 50.0, "2.0": 75.0, "99.0": 100.0}
    }
    assert one(kit, "median_absolute_deviation", docs, field="count") == {"value": 0.5}


@pytest.mark.parametrize(
    ("kind", "body", "error", "message"),
    [
        (
            "avg",
            {"field": "tag"},
            IllegalArgumentError,
            r"Field \[tag\] of type \[keyword\] is not supported for aggregation \[avg\]",
        ),
        ("avg", {}, IllegalArgumentError, r"Required one of fields \[field, script\], but none were specified"),
        ("avg", {"field": "count", "script": {}}, IllegalArgumentError, "scripts are not supported"),
        ("avg", {"field": ["a"]}, XContentParseError, r"\[avg\] field doesn't support values of type: START_ARRAY"),
        ("avg", {"field": "count", "missing": "x"}, IllegalArgumentError, 'For input string: "x"'),
        ("max", {"field": "count", "size": 1}, XContentParseError, r"\[max\] unknown field \[size\]"),
        (
            "extended_stats",
            {"field": "count", "sigma": -1},
            IllegalArgumentError,
            r"\[sigma\] must be greater than or equal to 0. Found \[-1.0\] in \[m\]",
        ),
        (
            "extended_stats",
            {"field": "count", "sigma": "foo"},
            XContentParseError,
            r"\[extended_stats\] failed to parse field \[sigma\]",
        ),
        (
            "cardinality",
            {"field": "count", "precision_threshold": -1},
            IllegalArgumentError,
            r"\[precisionThreshold\] must be greater than or equal to 0. Found \[-1\] in \[m\]",
        ),
        ("percentiles", {"field": "count", "percents": []}, IllegalArgumentError, r"\[percents\] must not be empty"),
        ("percentiles", {"field": "count", "percents": None}, XContentParseError, r"\[percents\]"),
        ("percentiles", {"field": "count", "percents": ["foo"]}, XContentParseError, r"\[percents\]"),
        (
            "percentiles",
            {"field": "count", "percents": [101]},
            IllegalArgumentError,
            r"percent must be in \[0,100\], got \[101.0\]",
        ),
        (
            "percentiles",
            {"field": "count", "tdigest": {"compression": -1}},
            IllegalArgumentError,
            r"\[compression\] must be greater than or equal to 0. Found \[-1.0\]",
        ),
        (
            "percentiles",
            {"field": "count", "hdr": {"number_of_significant_value_digits": 10}},
            IllegalArgumentError,
            r"\[numberOfSignificantValueDigits\] must be between 0 and 5",
        ),
        (
            "percentiles",
            {"field": "count", "hdr": {"number_of_significant_value_digits": None}},
            ParsingError,
            "VALUE_NULL",
        ),
        ("percentile_ranks", {"field": "count"}, IllegalArgumentError, r"\[values\] must not be an empty array"),
        (
            "median_absolute_deviation",
            {"field": "count", "compression": 0},
            IllegalArgumentError,
            "must be greater than 0",
        ),
    ],
)
def test_what_metrics_refuse(kit: Any, kind: str, body: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        one(kit, kind, **body)
