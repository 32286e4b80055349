from __future__ import annotations

from typing import Any

import pytest

from hanse.errors import IllegalArgumentError, ParsingError, XContentParseError
from hanse.search.aggregation import finish, merge_partials, parse_aggregations
from hanse.search.aggregation.parse import AGGREGATIONS, PIPELINES, UNSUPPORTED

AVG = {"avg": {"field": "price"}}


@pytest.mark.parametrize(
    ("aggs", "message"),
    [
        ({"a": {"avgg": {}}}, r"Unknown aggregation type \[avgg\] did you mean \[avg\]\?"),
        ({"a": {"quux": {}}}, r"Unknown aggregation type \[quux\]$"),
        (
            {"a": {"terms": {"field": "tag"}, "avg": {"field": "b"}}},
            r"Found two aggregation type definitions in \[a\]: \[terms\] and \[avg\]",
        ),
        ({"a": {}}, r"Missing definition for aggregation \[a\]"),
        ({"a": {"aggs": {}}}, r"Missing definition for aggregation \[a\]"),
        (
            {"a[0]": AVG},
            r"Invalid aggregation name \[a\[0\]\]. Aggregation names can contain any character except '\[', "
            r"'\]', and '>'",
        ),
        ({"a>b": AVG}, r"Invalid aggregation name \[a>b\]"),
        ({"a": [AVG]}, r"Aggregation definition for \[a starts with a \[START_ARRAY\], expected a \[START_OBJECT\]"),
        (
            {"a": {"terms": {"field": "tag"}, "aggs": {}, "aggregations": {}}},
            r"Found two sub aggregation definitions under \[a\]",
        ),
        ({"a": {**AVG, "aggs": {"b": AVG}}}, r"Aggregator \[a\] of type \[avg\] cannot accept sub-aggregations"),
        ({"a": {**AVG, "meta": 1}}, r"Expected \[START_OBJECT\] under \[meta\]"),
        ({"a": {"avg": "price"}}, r"Expected \[START_OBJECT\] under \[avg\], but got a \[VALUE_STRING\] in \[a\]"),
        ([], r"Expected \[START_OBJECT\] under \[aggs\]"),
        ({"a": {"terms": {"field": "tag", "order": {"_count": "up"}}}}, r"Unknown order direction \[up\]"),
    ],
)
def test_what_is_not_an_aggregation(aggs: Any, message: str) -> None:
    with pytest.raises(ParsingError, match=message) as caught:
        parse_aggregations(aggs if aggs != [] else [1])
    assert caught.value.status == 400


def test_unknown_parameters_come_with_a_suggestion() -> None:
    with pytest.raises(XContentParseError, match=r"\[terms\] unknown field \[siez\] did you mean \[size\]\?"):
        parse_aggregations({"a": {"terms": {"field": "tag", "siez": 1}}})


def test_an_order_by_what_is_not_there() -> None:
    body = {"terms": {"field": "tag", "order": {"nope": "asc"}}, "aggs": {"b": AVG}}
    with pytest.raises(IllegalArgumentError, match=r"Invalid aggregator order path \[nope\]"):
        parse_aggregations({"a": body})
    with pytest.raises(IllegalArgumentError, match=r"Invalid aggregator order path \[nope\]"):
        parse_aggregations({"a": {"terms": {"field": "tag", "order": {"nope": "asc"}}}})


def test_terms_check_their_sizes() -> None:
    for body in ({"size": 0}, {"shard_size": -1}, {"min_doc_count": -1}):
        with pytest.raises(IllegalArgumentError, match="must be greater than"):
            parse_aggregations({"a": {"terms": {"field": "tag", **body}}})


def test_what_elasticsearch_has_and_we_have_not_is_refused_by_name() -> None:
    assert not UNSUPPORTED & (AGGREGATIONS.keys() | PIPELINES.keys())
    for kind in UNSUPPORTED:
        with pytest.raises(IllegalArgumentError, match=rf"\[{kind}\] of \[a\] is not supported by this server"):
            parse_aggregations({"a": {kind: {}}})


def test_global_stands_at_the_top() -> None:
    with pytest.raises(IllegalArgumentError, match="Global aggregations can only be defined as top level"):
        parse_aggregations({"a": {"terms": {"field": "tag"}, "aggs": {"g": {"global": {}}}}})


def test_depth_is_bounded() -> None:
    aggs: dict[str, Any] = {"a": AVG}
    for _ in range(60):
        aggs = {"a": {"filter": {"match_all": {}}, "aggs": aggs}}
    with pytest.raises(ParsingError, match="nested deeper"):
        parse_aggregations(aggs)


def test_an_empty_plan_is_false_and_answers_nothing() -> None:
    plan = parse_aggregations({})
    assert not plan
    assert not parse_aggregations(None)
    assert merge_partials(plan, []) == finish(plan, []) == {}


def test_without_shards_every_aggregation_has_an_answer() -> None:
    aggs = {
        "t": {"terms": {"field": "tag"}, "aggs": {"x": AVG}},
        "m": AVG,
        "h": {"histogram": {"field": "count", "interval": 1}},
        "r": {"range": {"field": "count", "ranges": [{"to": 1}]}, "aggs": {"x": AVG}},
        "d": {"date_range": {"field": "at", "ranges": [{"to": "2024"}]}},
        "f": {"filters": {"filters": {"x": {"match_all": {}}}}, "aggs": {"x": AVG}},
        "c": {"composite": {"sources": [{"a": {"terms": {"field": "tag"}}}]}},
        "p": {"percentiles": {"field": "price"}},
        "n": {"cardinality": {"field": "tag"}},
        "k": {"top_hits": {}},
    }
    answer = finish(parse_aggregations(aggs), [])
    assert answer["r"]["buckets"] == [{"key": "*-1.0", "to": 1.0, "doc_count": 0, "x": {"value": None}}]
    assert answer["f"]["buckets"] == {"x": {"doc_count": 0, "x": {"value": None}}}
    assert answer["k"]["hits"]["hits"] == []


def test_meta_is_echoed_first(kit: Any) -> None:
    aggs = {
        "t": {"terms": {"field": "tag"}, "meta": {"a": 1}, "aggs": {"s": {**AVG, "meta": {"b": 2}}}},
        "m": {"max_bucket": {"buckets_path": "t>s"}, "meta": {"c": 3}},
    }
    answer = kit.run(aggs, [{"tag": "x", "price": 1.0}])
    assert next(iter(answer["t"].items())) == ("meta", {"a": 1})
    assert answer["t"]["buckets"][0]["s"] == {"meta": {"b": 2}, "value": 1.0}
    assert answer["m"]["meta"] == {"c": 3}


def test_typed_keys(kit: Any) -> None:
    docs = [{"tag": "x", "count": 1, "price": 1.0, "at": 0}]
    field = {"field": "count"}
    aggs = {
        "a": {"terms": {"field": "tag"}, "aggs": {"h": {"top_hits": {}}}},
        "b": {"terms": field},
        "c": {"terms": {"field": "price"}},
        "d": {
            "date_histogram": {"field": "at", "calendar_interval": "month"},
            "aggs": {"s": {"sum": field}, "e": {"derivative": {"buckets_path": "s"}}},
        },
        "f": {"max_bucket": {"buckets_path": "d>s"}},
        "g": {"percentiles": field},
        "i": {"percentile_ranks": {**field, "values": [1]}},
        "j": {"percentiles": {**field, "hdr": {}}},
        "k": {"avg_bucket": {"buckets_path": "d>s"}},
        "l": {"filter": {"match_all": {}}, "aggs": {"m": {"rare_terms": field}}},
    }
    answer = kit.run(aggs, docs, typed_keys=True)
    assert set(answer) == {
        "sterms#a",
        "lterms#b",
        "dterms#c",
        "date_histogram#d",
        "bucket_metric_value#f",
        "tdigest_percentiles#g",
        "tdigest_percentile_ranks#i",
        "hdr_percentiles#j",
        "simple_value#k",
        "filter#l",
    }
    assert set(answer["sterms#a"]["buckets"][0]) == {"key", "doc_count", "top_hits#h"}
    assert set(answer["filter#l"]) == {"doc_count", "lrareterms#m"}
