from __future__ import annotations

from typing import Any

import pytest

from hanse.errors import IllegalArgumentError, ParsingError
from hanse.search.aggregation.date_text import parse_date
from hanse.search.aggregation.ranges import deal

NOW = parse_date("2024-05-10T12:00:00Z", None)


def counts(answer: dict[str, Any]) -> list[tuple[str, int]]:
    return [(bucket["key"], bucket["doc_count"]) for bucket in answer["buckets"]]


def test_ranges_may_overlap_and_are_shown_by_their_bounds(kit: Any) -> None:
    docs = [{"price": price} for price in (-1.0, 0.0, 1.5, 2.0, 7.0)]
    ranges = [{"from": 2}, {"to": 2, "key": "low"}, {"from": 0, "to": 3}]
    answer = kit.run({"r": {"range": {"field": "price", "ranges": ranges}}}, docs[:2], docs[2:])["r"]
    assert answer["buckets"] == [
        {"key": "low", "to": 2.0, "doc_count": 3},
        {"key": "0.0-3.0", "from": 0.0, "to": 3.0, "doc_count": 3},
        {"key": "2.0-*", "from": 2.0, "doc_count": 2},
    ]


def test_keyed_ranges_leave_their_key_out(kit: Any) -> None:
    body = {"field": "count", "keyed": True, "ranges": [{"key": "all"}, {"from": 3}]}
    assert kit.run({"r": {"range": body}}, [{"count": 1}, {"count": 3}])["r"] == {
        "buckets": {"all": {"doc_count": 2}, "3.0-*": {"from": 3.0, "doc_count": 1}}
    }


def test_fractional_bounds_of_whole_numbers(kit: Any) -> None:
    ranges = [{"from": 0.5, "to": 1.5}, {"from": -1.5, "to": -0.5}, {"from": 1e30}, {"to": 1e30}]
    answer = kit.run({"r": {"range": {"field": "count", "ranges": ranges}}}, [{"count": [-1, 0, 1, 2]}])["r"]
    assert [count for _, count in counts(answer)] == [1, 1, 1, 0]


def test_missing_values(kit: Any) -> None:
    body = {"field": "count", "missing": 5, "ranges": [{"to": 3}, {"from": 3}]}
    aggs = {"r": {"range": body, "aggs": {"s": {"sum": {"field": "price"}}}}}
    docs = [{"count": 1, "price": 1}, {"price": 2}]
    answer = kit.run(aggs, docs)["r"]
    assert [(b["doc_count"], b["s"]["value"]) for b in answer["buckets"]] == [(1, 1.0), (1, 2.0)]
    unmapped = {"r": {"range": {**body, "field": "nope"}}}
    assert [count for _, count in counts(kit.run(unmapped, docs)["r"])] == [0, 2]


def test_date_ranges(kit: Any) -> None:
    docs = [{"at": parse_date(text, None)} for text in ("2024-05-01", "2024-05-10T11:00:00Z", "2023-12-31")]
    body = {
        "field": "at",
        "format": "yyyy-MM-dd",
        "ranges": [{"to": "now-1d/d"}, {"from": "now-1d/d", "to": "now/d"}, {"from": "2024-01-01||/M"}],
    }
    aggs = {"r": {"date_range": body}}
    from hanse.search.aggregation import finish, parse_aggregations

    partial = kit.Shard(docs).collect(aggs, now_ms=NOW)
    answer = finish(parse_aggregations(aggs), partial)["r"]
    assert counts(answer) == [("*-2024-05-09", 2), ("2024-01-01-*", 2), ("2024-05-09-2024-05-10", 0)]
    assert answer["buckets"][1] == {
        "key": "2024-01-01-*",
        "from": 1_704_067_200_000.0,
        "from_as_string": "2024-01-01",
        "doc_count": 2,
    }


def test_date_ranges_in_a_zone(kit: Any) -> None:
    body = {"field": "at", "time_zone": "Europe/Berlin", "ranges": [{"from": "2024-05-01"}]}
    docs = [{"at": parse_date("2024-04-30T22:00:00Z", None)}, {"at": parse_date("2024-04-30T21:59:59Z", None)}]
    assert counts(kit.run({"r": {"date_range": body}}, docs)["r"]) == [("2024-05-01T00:00:00.000+02:00-*", 1)]


def test_address_ranges(kit: Any) -> None:
    docs = [{"ip": ip} for ip in ("10.0.0.5", "10.0.0.127", "10.0.0.128", "10.0.1.0", "2001:db8::1")]
    ranges = [{"mask": "10.0.0.0/25"}, {"from": "10.0.0.128", "to": "10.0.1.0"}, {"to": "10.0.0.6", "key": "first"}]
    aggs = {"r": {"ip_range": {"field": "ip", "ranges": ranges}, "aggs": {"c": {"cardinality": {"field": "ip"}}}}}
    answer = kit.run(aggs, docs)["r"]
    assert counts(answer) == [("first", 1), ("10.0.0.0/25", 2), ("10.0.0.128-10.0.1.0", 1)]
    assert answer["buckets"][1] == {
        "key": "10.0.0.0/25",
        "from": "10.0.0.0",
        "to": "10.0.0.128",
        "doc_count": 2,
        "c": {"value": 2},
    }


def test_what_ranges_refuse(kit: Any) -> None:
    with pytest.raises(IllegalArgumentError, match=r"No \[ranges\] specified for the \[r\] aggregation"):
        kit.run({"r": {"range": {"field": "count"}}}, [])
    with pytest.raises(IllegalArgumentError, match="is not an IP string literal"):
        kit.run({"r": {"ip_range": {"field": "ip", "ranges": [{"from": "here"}]}}}, [])
    with pytest.raises(IllegalArgumentError, match=r"Expected \[ip/prefix\] but was \[10.0.0.0/99\]"):
        kit.run({"r": {"ip_range": {"field": "ip", "ranges": [{"mask": "10.0.0.0/99"}]}}}, [])
    with pytest.raises(ParsingError):
        kit.run({"r": {"ip_range": {"field": "ip", "ranges": [{}]}}}, [])
    with pytest.raises(IllegalArgumentError, match=r"Field \[tag\] of type \[keyword\]"):
        kit.run({"r": {"range": {"field": "tag", "ranges": [{"from": 1}]}}}, [])


def test_ranges_are_dealt_into_the_fewest_groups_without_overlap() -> None:
    asked = [(0, 10), (5, 15), (10, 20), None, (None, 5), (15, None)]
    groups = deal(asked)
    assert [[position for position, _ in group] for group in groups] == [[4, 1, 5], [0, 2]]
