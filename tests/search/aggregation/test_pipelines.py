from __future__ import annotations

from typing import Any

import pytest

from hanse.errors import ActionRequestValidationError, AggregationExecutionError, IllegalArgumentError, ParsingError

DOCS = [
    {"count": 0, "price": 1.0},
    {"count": 10, "price": 4.0},
    {"count": 30, "price": 2.0},
    {"count": 40, "price": 8.0},
]


def histogram(kit: Any, below: dict[str, Any], beside: dict[str, Any] | None = None, **body: Any) -> dict[str, Any]:
    node = {
        "histogram": {"field": "count", "interval": 10, **body},
        "aggs": {"s": {"sum": {"field": "price"}}, **below},
    }
    return kit.run({"h": node, **(beside or {})}, DOCS[:2], DOCS[2:])


def column(answer: dict[str, Any], name: str) -> list[Any]:
    return [bucket.get(name, {}).get("value", "-") for bucket in answer["h"]["buckets"]]


def test_derivative(kit: Any) -> None:
    path = {"buckets_path": "s"}
    assert column(histogram(kit, {"d": {"derivative": path}}), "d") == ["-", 3.0, None, None, 6.0]
    zeros = {"d": {"derivative": {**path, "gap_policy": "insert_zeros"}}}
    assert column(histogram(kit, zeros), "d") == ["-", 3.0, -4.0, 2.0, 6.0]
    twice = {"d": {"derivative": {**path, "gap_policy": "insert_zeros"}}, "e": {"derivative": {"buckets_path": "d"}}}
    assert column(histogram(kit, twice), "e") == ["-", "-", None, None, 4.0]


def test_derivative_in_units_of_time(kit: Any) -> None:
    day = 86_400_000
    docs = [{"at": 0, "price": 1.0}, {"at": 2 * day, "price": 5.0}]
    node = {
        "date_histogram": {"field": "at", "fixed_interval": "2d"},
        "aggs": {"s": {"sum": {"field": "price"}}, "d": {"derivative": {"buckets_path": "s", "unit": "day"}}},
    }
    assert kit.run({"h": node}, docs)["h"]["buckets"][1]["d"] == {"value": 4.0, "normalized_value": 2.0}


def test_cumulative_sum_and_serial_difference(kit: Any) -> None:
    answer = histogram(
        kit,
        {
            "c": {"cumulative_sum": {"buckets_path": "s", "format": "0.0"}},
            "x": {"serial_diff": {"buckets_path": "s", "lag": 3}},
        },
    )
    assert column(answer, "c") == [1.0, 5.0, 5.0, 7.0, 15.0]
    assert answer["h"]["buckets"][1]["c"]["value_as_string"] == "5.0"
    assert column(answer, "x") == ["-", "-", "-", 1.0, 4.0]
    with pytest.raises(ParsingError, match="Lag must be a positive, non-zero integer"):
        histogram(kit, {"x": {"serial_diff": {"buckets_path": "s", "lag": 0}}})


def test_moving_functions(kit: Any) -> None:
    def moved(script: str, **body: Any) -> list[Any]:
        node = {"moving_fn": {"buckets_path": "s", "window": 2, "script": script, **body}}
        return column(histogram(kit, {"m": node}), "m")

    assert moved("MovingFunctions.max(values)") == [None, 1.0, 4.0, 4.0, 2.0]
    assert moved("MovingFunctions.sum(values)", shift=1) == [1.0, 5.0, 4.0, 2.0, 10.0]
    assert moved("MovingFunctions.unweightedAvg(values)", window=5) == [None, 1.0, 2.5, 2.5, pytest.approx(7 / 3)]
    assert moved("MovingFunctions.stdDev(values, MovingFunctions.unweightedAvg(values))")[2] == 1.5
    with pytest.raises(IllegalArgumentError, match="must be a positive, non-zero integer"):
        moved("MovingFunctions.max(values)", window=-1)
    with pytest.raises(IllegalArgumentError, match="the script must be MovingFunctions"):
        moved("values[0]")


def test_bucket_sort(kit: Any) -> None:
    def keys(**body: Any) -> list[float]:
        answer = histogram(kit, {"b": {"bucket_sort": body}})
        return [bucket["key"] for bucket in answer["h"]["buckets"]]

    assert keys(sort=[{"s": {"order": "desc"}}]) == [40.0, 10.0, 30.0, 0.0]
    assert keys(sort=["_key"], size=2) == [0.0, 10.0]
    assert keys(sort=[{"_key": "desc"}], **{"from": 3}) == [10.0, 0.0]
    assert keys(size=1) == [0.0]
    assert keys(sort=["s"], gap_policy="insert_zeros")[0] == 20.0
    with pytest.raises(IllegalArgumentError, match=r"\[size\] must be a positive integer"):
        keys(size=0)


def test_siblings(kit: Any) -> None:
    path = {"buckets_path": "h>s"}
    answer = histogram(
        kit,
        {},
        {
            "avg": {"avg_bucket": path},
            "max": {"max_bucket": path},
            "min": {"min_bucket": {**path, "format": "0.00"}},
            "sum": {"sum_bucket": path},
            "stats": {"stats_bucket": path},
            "more": {"extended_stats_bucket": path},
            "ranks": {"percentiles_bucket": {**path, "percents": [25, 50, 100]}},
            "docs": {"avg_bucket": {"buckets_path": "h>_count"}},
            "zeros": {"avg_bucket": {**path, "gap_policy": "insert_zeros"}},
        },
    )
    assert answer["avg"] == {"value": 3.75}
    assert answer["max"] == {"value": 8.0, "keys": ["40.0"]}
    assert answer["min"] == {"value": 1.0, "value_as_string": "1.00", "keys": ["0.0"]}
    assert answer["sum"] == {"value": 15.0}
    assert answer["stats"] == {"count": 4, "min": 1.0, "max": 8.0, "avg": 3.75, "sum": 15.0}
    assert answer["more"]["sum_of_squares"] == 85.0
    assert answer["ranks"] == {"values": {"25.0": 2.0, "50.0": 4.0, "100.0": 8.0}}
    assert answer["docs"] == {"value": 0.8}
    assert answer["zeros"] == {"value": 3.0}


def test_siblings_without_buckets(kit: Any) -> None:
    node = {"terms": {"field": "tag"}, "aggs": {"s": {"sum": {"field": "price"}}}}
    path = {"buckets_path": "t>s"}
    aggs = {"t": node, "max": {"max_bucket": path}, "avg": {"avg_bucket": path}, "stats": {"stats_bucket": path}}
    answer = kit.run(aggs, [])
    assert answer["max"] == {"value": None, "keys": []}
    assert answer["avg"] == {"value": None}
    assert answer["stats"] == {"count": 0, "min": None, "max": None, "avg": None, "sum": 0.0}


def test_siblings_inside_buckets_and_through_single_ones(kit: Any) -> None:
    inner = {
        "f": {
            "filter": {"match_all": {}},
            "aggs": {
                "h": {"histogram": {"field": "count", "interval": 10}, "aggs": {"s": {"max": {"field": "price"}}}}
            },
        },
        "best": {"max_bucket": {"buckets_path": "f>h>s"}},
        "mid": {"avg_bucket": {"buckets_path": "f>h._count"}},
    }
    docs = [{**doc, "tag": "a"} for doc in DOCS]
    bucket = kit.run({"t": {"terms": {"field": "tag"}, "aggs": inner}}, docs)["t"]["buckets"][0]
    assert bucket["best"] == {"value": 8.0, "keys": ["40.0"]}
    assert bucket["mid"] == {"value": 0.8}


def test_paths_into_metrics_of_several_values(kit: Any) -> None:
    below = {
        "st": {"stats": {"field": "price"}},
        "p": {"percentiles": {"field": "price"}},
        "a": {"cumulative_sum": {"buckets_path": "st.max"}},
        "b": {"cumulative_sum": {"buckets_path": "p[50]"}},
        "c": {"cumulative_sum": {"buckets_path": "p.50"}},
        "n": {"cumulative_sum": {"buckets_path": "_count"}},
    }
    answer = histogram(kit, below)
    assert column(answer, "a") == column(answer, "b") == column(answer, "c") == [1.0, 5.0, 5.0, 7.0, 15.0]
    assert column(answer, "n") == [1.0, 2.0, 2.0, 3.0, 4.0]


def test_paths_that_lead_to_no_number(kit: Any) -> None:
    terms = {"terms": {"field": "count"}}
    inner = {"t": {**terms, "aggs": {"m": {"max": {"field": "price"}}}}, "p": {"percentiles": {"field": "price"}}}
    for path, message in (
        ("o>t>m", r"\[Object\[\]\] at aggregation \[t\]"),
        ("o>t", r"\[LongTerms\] at aggregation \[t\]"),
        ("o>p", r"but \[p\] contains multiple values. Please specify which to use\."),
    ):
        aggs = {"o": {**terms, "aggs": inner}, "bad": {"max_bucket": {"buckets_path": path}}}
        with pytest.raises(AggregationExecutionError, match=message):
            kit.run(aggs, DOCS)


@pytest.mark.parametrize(
    ("aggs", "message"),
    [
        (
            {"b": {"bucket_sort": {"sort": ["x"]}}},
            r"bucket_sort aggregation \[b\] must be declared inside of another aggregation",
        ),
        (
            {"t": {"terms": {"field": "tag"}, "aggs": {"d": {"derivative": {"buckets_path": "_count"}}}}},
            r"derivative aggregation \[d\] must have a histogram, date_histogram or auto_date_histogram as parent",
        ),
        (
            {
                "h": {
                    "histogram": {"field": "count", "interval": 1, "min_doc_count": 1},
                    "aggs": {"d": {"derivative": {"buckets_path": "_count"}}},
                }
            },
            r"parent histogram of derivative aggregation \[d\] must have min_doc_count of 0",
        ),
        (
            {"m": {"max_bucket": {"buckets_path": "x>y"}}},
            r"Aggregation \[x\] does not exist for buckets_path aggregation \[m\]",
        ),
        (
            {"a": {"avg": {"field": "price"}}, "m": {"max_bucket": {"buckets_path": "a"}}},
            "Path must include a multi-bucket aggregation",
        ),
    ],
)
def test_pipelines_in_the_wrong_place(kit: Any, aggs: Any, message: str) -> None:
    with pytest.raises(ActionRequestValidationError, match=message):
        kit.run(aggs, [])
