from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanse.errors import IllegalArgumentError, ParsingError, TooManyBucketsError
from hanse.search.aggregation.date_text import parse_date

DOCS = [
    {"tag": "foo", "count": [10, 20]},
    {"tag": ["foo", "bar"]},
    {"tag": "bar", "count": [0, 100]},
    {"tag": "bar", "count": [0, 1000]},
    {"at": parse_date("2017-10-20T03:08:45", None), "flag": 1},
    {"at": parse_date("2017-10-21T07:00:00", None), "flag": 0, "ip": "10.0.0.1"},
]
TAG, COUNT = {"tag": {"terms": {"field": "tag"}}}, {"count": {"terms": {"field": "count"}}}


def page(kit: Any, *shards: Any, **body: Any) -> dict[str, Any]:
    return kit.run({"c": {"composite": body}}, *shards)["c"]


def test_combinations_in_order(kit: Any) -> None:
    answer = page(kit, DOCS[:3], DOCS[3:], sources=[COUNT, TAG])
    assert [(b["key"]["count"], b["key"]["tag"], b["doc_count"]) for b in answer["buckets"]] == [
        (0, "bar", 2),
        (10, "foo", 1),
        (20, "foo", 1),
        (100, "bar", 1),
        (1000, "bar", 1),
    ]
    assert answer["after_key"] == {"count": 1000, "tag": "bar"}


def test_after(kit: Any) -> None:
    answer = page(kit, DOCS, sources=[COUNT, TAG], after={"count": 20, "tag": "foo"})
    assert [b["key"]["count"] for b in answer["buckets"]] == [100, 1000]
    assert [b["key"] for b in page(kit, DOCS, sources=[TAG], after={"tag": "delta"})["buckets"]] == [{"tag": "foo"}]


document = st.fixed_dictionaries(
    {},
    optional={
        "tag": st.lists(st.sampled_from("abcd"), min_size=1, max_size=2, unique=True),
        "count": st.integers(-3, 3),
        "at": st.integers(0, 200).map(lambda days: days * 86_400_000 + 5),
    },
)
sources = st.lists(
    st.sampled_from(
        [
            {"t": {"terms": {"field": "tag"}}},
            {"d": {"terms": {"field": "tag", "order": "desc", "missing_bucket": True}}},
            {"l": {"terms": {"field": "tag", "missing_bucket": True, "missing_order": "last"}}},
            {"c": {"terms": {"field": "count", "missing_bucket": True}}},
            {"h": {"histogram": {"field": "count", "interval": 2, "order": "desc"}}},
            {"m": {"date_histogram": {"field": "at", "calendar_interval": "month"}}},
            {"w": {"date_histogram": {"field": "at", "fixed_interval": "7d", "missing_bucket": True}}},
            {"o": {"date_histogram": {"field": "at", "fixed_interval": "3d", "offset": "4h", "order": "desc"}}},
        ]
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda source: next(iter(source)),
).filter(lambda chosen: len({"m", "o"} & {name for source in chosen for name in source}) < 2)


@settings(max_examples=60, deadline=None)
@given(st.lists(document, max_size=14), sources, st.integers(1, 5), st.integers(0, 14))
def test_pages_put_together_are_the_whole(kit: Any, docs: Any, wanted: Any, size: int, cut: int) -> None:
    shards = [kit.Shard(docs[:cut]), kit.Shard(docs[cut:])]
    whole = page(kit, kit.Shard(docs), sources=wanted, size=1000)["buckets"]
    seen: list[Any] = []
    after: dict[str, Any] = {}
    while True:
        answer = page(kit, *shards, sources=wanted, size=size, **after)
        seen += answer["buckets"]
        if not answer["buckets"]:
            break
        after = {"after": answer["after_key"]}
    assert seen == whole


def test_dates_are_shown_and_continued_in_their_format(kit: Any) -> None:
    for interval in (
        {"fixed_interval": "1d"},
        {"calendar_interval": "1d"},
        {"calendar_interval": "1d", "time_zone": "Europe/Berlin"},
    ):
        source = {"day": {"date_histogram": {"field": "at", "format": "strict_date", **interval}}}
        assert [b["key"]["day"] for b in page(kit, DOCS, sources=[source])["buckets"]] == ["2017-10-20", "2017-10-21"]
        answer = page(kit, DOCS, sources=[source], after={"day": "2017-10-20"})
        assert [b["key"]["day"] for b in answer["buckets"]] == ["2017-10-21"]


def test_offset_and_time_zone_move_the_buckets(kit: Any) -> None:
    moved = {"day": {"date_histogram": {"field": "at", "calendar_interval": "1d", "offset": "4h", "format": "iso8601"}}}
    assert [b["key"]["day"] for b in page(kit, DOCS, sources=[moved])["buckets"]] == [
        "2017-10-19T04:00:00.000Z",
        "2017-10-21T04:00:00.000Z",
    ]
    weekly = {"week": {"date_histogram": {"field": "at", "calendar_interval": "1w", "format": "yyyy-MM-dd"}}}
    assert [b["key"]["week"] for b in page(kit, DOCS, sources=[weekly])["buckets"]] == ["2017-10-16"]
    west = {
        "day": {
            "date_histogram": {"field": "at", "calendar_interval": "1d", "time_zone": "-02:00", "format": "iso8601"}
        }
    }
    assert page(kit, DOCS, sources=[west])["buckets"][0]["key"] == {"day": "2017-10-20T00:00:00.000-02:00"}


def test_booleans_addresses_and_children(kit: Any) -> None:
    sources = [{"f": {"terms": {"field": "flag"}}}, {"i": {"terms": {"field": "ip", "missing_bucket": True}}}]
    aggs = {"c": {"composite": {"sources": sources}, "aggs": {"n": {"filter": {"match_all": {}}}}}}
    assert kit.run(aggs, DOCS)["c"]["buckets"] == [
        {"key": {"f": False, "i": "10.0.0.1"}, "doc_count": 1, "n": {"doc_count": 1}},
        {"key": {"f": True, "i": None}, "doc_count": 1, "n": {"doc_count": 1}},
    ]


def test_unmapped_sources(kit: Any) -> None:
    assert page(kit, DOCS, sources=[{"x": {"terms": {"field": "nope"}}}]) == {"buckets": []}
    lenient = {"x": {"terms": {"field": "nope", "missing_bucket": True}}}
    assert page(kit, DOCS, sources=[lenient])["buckets"] == [{"key": {"x": None}, "doc_count": 6}]
    assert page(kit, DOCS, sources=[TAG, lenient], size=1)["buckets"] == [
        {"key": {"tag": "bar", "x": None}, "doc_count": 3}
    ]


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        ({}, IllegalArgumentError, r"Required \[sources\]"),
        ({"sources": []}, IllegalArgumentError, r"Composite \[sources\] cannot be null or empty"),
        ({"sources": None}, IllegalArgumentError, r"Composite \[sources\] cannot be null or empty"),
        ({"sources": [TAG, TAG]}, IllegalArgumentError, r"must be unique, found duplicates: \[tag\]"),
        ({"sources": [{"x": {"geo": {}}}]}, ParsingError, "invalid source type: geo"),
        ({"sources": [TAG], "size": 0}, IllegalArgumentError, r"\[size\] must be greater than 0"),
        ({"sources": [TAG], "after": {}}, IllegalArgumentError, r"\[after\] has 0 value\(s\) but \[sources\] has 1"),
        ({"sources": [TAG], "after": {"x": 1}}, IllegalArgumentError, r"Missing value for \[after.tag\]"),
        ({"sources": [TAG], "size": 1_000_000_000}, TooManyBucketsError, "Trying to create too many buckets"),
    ],
)
def test_what_composite_refuses(kit: Any, body: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        page(kit, DOCS, **body)


def test_a_composite_stands_at_the_top_or_below_filters(kit: Any) -> None:
    inner = {"c": {"composite": {"sources": [TAG]}}}
    with pytest.raises(
        IllegalArgumentError, match=r"\[composite\] aggregation cannot be used with a parent aggregation"
    ):
        kit.run({"t": {"terms": {"field": "count"}, "aggs": inner}}, DOCS)
    answer = kit.run(
        {"n": {"nested": {"path": "x"}, "aggs": {"f": {"filter": {"term": {"tag": "bar"}}, "aggs": inner}}}}, DOCS
    )
    assert [b["doc_count"] for b in answer["n"]["f"]["c"]["buckets"]] == [3, 1]


def test_multi_terms(kit: Any) -> None:
    docs = [{"tag": "a", "count": 1}, {"tag": "a", "count": 1}, {"tag": "b", "count": 1}, {"tag": "b"}]

    def shown(*terms: Any, **body: Any) -> list[Any]:
        answer = kit.run({"m": {"multi_terms": {"terms": list(terms), **body}}}, docs[:2], docs[2:])["m"]
        return [(b["key"], b["key_as_string"], b["doc_count"]) for b in answer["buckets"]]

    tag, count = {"field": "tag"}, {"field": "count"}
    assert shown(tag, count) == [(["a", 1], "a|1", 2), (["b", 1], "b|1", 1)]
    assert shown(tag, count, order={"_key": "desc"}, size=1) == [(["b", 1], "b|1", 1)]
    assert shown(tag, {"field": "count", "missing": 1}) == [(["a", 1], "a|1", 2), (["b", 1], "b|1", 2)]
    assert shown(tag, {"field": "nope", "missing": "x"}) == [(["a", "x"], "a|x", 2), (["b", "x"], "b|x", 2)]
    assert shown(tag, {"field": "nope"}) == []
    with pytest.raises(IllegalArgumentError, match="must be present and have at least 2 fields"):
        shown(tag)


def test_multi_terms_below_zero_documents(kit: Any) -> None:
    shard = kit.Shard([{"tag": "a", "flag": 1}, {"tag": "b", "flag": 0}])
    body = {"terms": [{"field": "tag"}, {"field": "flag"}], "min_doc_count": 0}
    aggs = {"m": {"multi_terms": body, "aggs": {"n": {"filter": {"match_all": {}}}}}}
    answer = kit.run(aggs, shard, query=shard.compile_query({"term": {"tag": "a"}}))["m"]
    assert [(b["key"], b["doc_count"], b["n"]["doc_count"]) for b in answer["buckets"]] == [
        (["a", True], 1, 1),
        (["b", False], 0, 0),
    ]
