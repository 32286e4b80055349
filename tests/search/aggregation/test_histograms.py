from __future__ import annotations

from typing import Any

import pytest

from hanse.errors import IllegalArgumentError, TooManyBucketsError, XContentParseError
from hanse.search.aggregation.date_text import parse_date


def rows(answer: dict[str, Any]) -> list[tuple[Any, int]]:
    return [(bucket.get("key_as_string", bucket["key"]), bucket["doc_count"]) for bucket in answer["buckets"]]


def dated(*texts: str) -> list[dict[str, Any]]:
    return [{"at": parse_date(text, None)} for text in texts]


def test_gaps_are_filled_between_shards(kit: Any) -> None:
    aggs = {"h": {"histogram": {"field": "count", "interval": 50}}}
    answer = kit.run(aggs, [{"count": 1}, {"count": 51}], [{"count": 205}])["h"]
    assert answer["buckets"] == [
        {"key": 0.0, "doc_count": 1},
        {"key": 50.0, "doc_count": 1},
        {"key": 100.0, "doc_count": 0},
        {"key": 150.0, "doc_count": 0},
        {"key": 200.0, "doc_count": 1},
    ]


def test_the_keys_of_a_fractional_interval_meet_over_shards(kit: Any) -> None:
    aggs = {"h": {"histogram": {"field": "price", "interval": 0.1}}}
    docs = [{"price": number / 10 + 0.01} for number in range(-7, 25)]
    answer = kit.run(aggs, docs[::2], docs[1::2])["h"]
    assert [count for _, count in rows(answer)] == [1] * 32


def test_bounds(kit: Any) -> None:
    def shown(**body: Any) -> list[tuple[Any, int]]:
        aggs = {"h": {"histogram": {"field": "count", "interval": 10, **body}}}
        return rows(kit.run(aggs, [{"count": 15}, {"count": 25}, {"count": 45}])["h"])

    assert shown(extended_bounds={"min": -5, "max": 12}) == [
        (-10.0, 0), (0.0, 0), (10.0, 1), (20.0, 1), (30.0, 0), (40.0, 1),
    ]  # fmt: skip
    assert shown(hard_bounds={"min": 20, "max": 40}) == [(20.0, 1), (30.0, 0), (40.0, 1)]
    assert shown(min_doc_count=1, extended_bounds={"min": 0, "max": 100}) == [(10.0, 1), (20.0, 1), (40.0, 1)]
    with pytest.raises(IllegalArgumentError, match=r"\[extended_bounds.min\]\[5.0\] cannot be greater"):
        shown(extended_bounds={"min": 5, "max": 1})


def test_extended_bounds_alone_make_buckets(kit: Any) -> None:
    aggs = {"h": {"histogram": {"field": "nope", "interval": 1, "extended_bounds": {"min": 1, "max": 2}}}}
    assert rows(kit.run(aggs, [{}])["h"]) == [(1.0, 0), (2.0, 0)]


def test_keyed_formatted_and_ordered(kit: Any) -> None:
    docs = [{"count": 1}, {"count": 51}, {"count": 52}]
    body = {"field": "count", "interval": 50, "format": "Value is ##0.0"}
    assert kit.run({"h": {"histogram": {**body, "keyed": True}}}, docs)["h"] == {
        "buckets": {
            "Value is 0.0": {"key_as_string": "Value is 0.0", "key": 0.0, "doc_count": 1},
            "Value is 50.0": {"key_as_string": "Value is 50.0", "key": 50.0, "doc_count": 2},
        }
    }
    ordered = kit.run({"h": {"histogram": {"field": "count", "interval": 50, "order": {"_count": "desc"}}}}, docs)
    assert rows(ordered["h"]) == [(50.0, 2), (0.0, 1)]


def test_a_document_counts_once_in_a_bucket_that_holds_several_of_its_values(kit: Any) -> None:
    aggs = {"h": {"histogram": {"field": "count", "interval": 10}}}
    assert rows(kit.run(aggs, [{"count": [1, 2, 15]}])["h"]) == [(0.0, 1), (10.0, 1)]


def test_missing_values_and_their_children(kit: Any) -> None:
    aggs = {
        "h": {"histogram": {"field": "count", "interval": 10, "missing": 4}, "aggs": {"s": {"sum": {"field": "price"}}}}
    }
    docs = [{"count": 1, "price": 1}, {"price": 2}, {"count": 11, "price": 4}]
    assert [(b["key"], b["doc_count"], b["s"]["value"]) for b in kit.run(aggs, docs)["h"]["buckets"]] == [
        (0.0, 2, 3.0),
        (10.0, 1, 4.0),
    ]
    unmapped = {"h": {"histogram": {"field": "nope", "interval": 10, "missing": 14}}}
    assert rows(kit.run(unmapped, docs)["h"]) == [(10.0, 3)]


def test_months(kit: Any) -> None:
    aggs = {"h": {"date_histogram": {"field": "at", "calendar_interval": "month"}}}
    answer = kit.run(aggs, dated("2016-01-01", "2016-01-02"), dated("2016-03-31T23:59:59.999Z"))["h"]
    assert answer["buckets"][0] == {"key_as_string": "2016-01-01T00:00:00.000Z", "key": 1451606400000, "doc_count": 2}
    assert [count for _, count in rows(answer)] == [2, 0, 1]


def test_days_of_a_zone_whose_clock_changes(kit: Any) -> None:
    aggs = {"h": {"date_histogram": {"field": "at", "calendar_interval": "1d", "time_zone": "Europe/Berlin"}}}
    answer = kit.run(aggs, dated("2024-03-30T23:30:00Z", "2024-03-31T21:59:00Z", "2024-03-31T22:01:00Z"))["h"]
    assert rows(answer) == [("2024-03-31T00:00:00.000+01:00", 2), ("2024-04-01T00:00:00.000+02:00", 1)]


def test_offset_and_format(kit: Any) -> None:
    aggs = {
        "h": {"date_histogram": {"field": "at", "fixed_interval": "1d", "offset": "+6h", "format": "yyyy-MM-dd HH:mm"}}
    }
    answer = kit.run(aggs, dated("2024-01-01T05:00:00Z", "2024-01-01T07:00:00Z"))["h"]
    assert rows(answer) == [("2023-12-31 06:00", 1), ("2024-01-01 06:00", 1)]


def test_the_format_of_the_mapping_is_used(kit: Any) -> None:
    aggs = {"h": {"date_histogram": {"field": "day", "calendar_interval": "year", "keyed": True}}}
    assert list(kit.run(aggs, [{"day": 1_704_067_200_000}])["h"]["buckets"]) == ["2024-01-01"]


def test_date_bounds(kit: Any) -> None:
    body = {"field": "at", "calendar_interval": "month", "format": "yyyy-MM"}
    docs = dated("2024-02-10", "2024-03-10")
    extended = {"h": {"date_histogram": {**body, "extended_bounds": {"min": "2023-12", "max": "2024-04"}}}}
    assert rows(kit.run(extended, docs)["h"]) == [
        ("2023-12", 0), ("2024-01", 0), ("2024-02", 1), ("2024-03", 1), ("2024-04", 0),
    ]  # fmt: skip
    hard = {"h": {"date_histogram": {**body, "hard_bounds": {"min": "2024-03"}}}}
    assert rows(kit.run(hard, docs)["h"]) == [("2024-03", 1)]


def test_calendar_buckets_below_terms(kit: Any) -> None:
    docs = [{"tag": "a", **dated("2024-01-10")[0]}, {"tag": "b", **dated("2024-03-10")[0]}]
    inner = {"h": {"date_histogram": {"field": "at", "calendar_interval": "month"}}}
    answer = kit.run({"t": {"terms": {"field": "tag"}, "aggs": inner}}, docs)["t"]
    assert [rows(bucket["h"]) for bucket in answer["buckets"]] == [
        [("2024-01-01T00:00:00.000Z", 1)],
        [("2024-03-01T00:00:00.000Z", 1)],
    ]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "Invalid interval specified, must be non-null and non-empty"),
        ({"calendar_interval": "2d"}, r"The supplied interval \[2d\] could not be parsed as a calendar interval"),
        ({"fixed_interval": "1M"}, "unit is missing or unrecognized"),
        (
            {"calendar_interval": "1d", "fixed_interval": "1d"},
            r"Cannot use \[fixed_interval\] with \[calendar_interval\]",
        ),
        ({"calendar_interval": "1d", "time_zone": "Nowhere/City"}, "Unknown time-zone ID: Nowhere/City"),
        ({"calendar_interval": "1d", "min_doc_count": -1}, r"\[minDocCount\] must be greater than or equal to 0"),
    ],
)
def test_what_a_date_histogram_refuses(kit: Any, body: dict[str, Any], message: str) -> None:
    with pytest.raises(IllegalArgumentError, match=message):
        kit.run({"h": {"date_histogram": {"field": "at", **body}}}, [])


def test_what_a_histogram_refuses(kit: Any) -> None:
    with pytest.raises(IllegalArgumentError, match=r"\[interval\] must be >0 for histogram aggregation \[h\]"):
        kit.run({"h": {"histogram": {"field": "count", "interval": 0}}}, [])
    with pytest.raises(
        XContentParseError, match=r"\[histogram\] unknown field \[intervall\] did you mean \[interval\]\?"
    ):
        kit.run({"h": {"histogram": {"field": "count", "interval": 1, "intervall": 0}}}, [])
    with pytest.raises(
        IllegalArgumentError, match=r"Field \[tag\] of type \[keyword\] is not supported for aggregation"
    ):
        kit.run({"h": {"histogram": {"field": "tag", "interval": 1}}}, [])


def test_filling_stops_at_the_bucket_limit(kit: Any) -> None:
    aggs = {"h": {"histogram": {"field": "count", "interval": 1}}}
    with pytest.raises(TooManyBucketsError):
        kit.run(aggs, [{"count": 0}, {"count": 10**9}])
    with pytest.raises(TooManyBucketsError):
        kit.run({"h": {"date_histogram": {"field": "at", "fixed_interval": "1ms"}}}, dated("2000", "2020"))


def test_an_automatic_interval(kit: Any) -> None:
    docs = [
        {**day, "count": number}
        for number, day in enumerate(dated("2020-03-01", "2020-03-02", "2020-03-08", "2020-03-09"), 1)
    ]
    aggs = {
        "h": {"auto_date_histogram": {"field": "at", "buckets": 2}, "aggs": {"s": {"sum": {"field": "count"}}}},
        "m": {"avg_bucket": {"buckets_path": "h.s"}},
    }
    answer = kit.run(aggs, docs[:1], docs[1:])
    assert answer["h"]["interval"] == "7d"
    assert rows(answer["h"]) == [("2020-03-01T00:00:00.000Z", 2), ("2020-03-08T00:00:00.000Z", 2)]
    assert answer["m"]["value"] == 5.0


@pytest.mark.parametrize(
    ("texts", "target", "interval"),
    [
        (["2020-01-01T00:00:00Z", "2020-01-01T00:00:09Z"], 10, "1s"),
        (["2020-01-01T00:00:00Z", "2020-01-01T00:05:00Z"], 10, "1m"),
        (["2020-01-01", "2020-01-03"], 10, "12h"),
        (["2020-01-01", "2021-02-01"], 10, "3M"),
        (["1990-01-01", "2021-02-01"], 5, "10y"),
        (["2020-01-01"], 10, "1s"),
    ],
)
def test_the_automatic_interval_is_the_finest_that_fits(kit: Any, texts: list[str], target: int, interval: str) -> None:
    aggs = {"h": {"auto_date_histogram": {"field": "at", "buckets": target}}}
    docs = dated(*texts)
    answer = kit.run(aggs, *[[doc] for doc in docs])["h"]
    assert answer["interval"] == interval
    assert len(answer["buckets"]) <= target
    assert answer == kit.run(aggs, docs)["h"]


def test_the_least_automatic_interval(kit: Any) -> None:
    aggs = {"h": {"auto_date_histogram": {"field": "at", "minimum_interval": "day"}}}
    assert kit.run(aggs, dated("2020-01-01T10:00:00Z"))["h"]["interval"] == "1d"
    assert kit.run(aggs, [{}])["h"] == {"buckets": [], "interval": "1d"}
    with pytest.raises(IllegalArgumentError, match="minimum_interval must be one of"):
        kit.run({"h": {"auto_date_histogram": {"field": "at", "minimum_interval": "week"}}}, [])
