"""Whatever a client writes ends in an answer or in an error with a client's status, never in a stack trace."""

from __future__ import annotations

import copy
from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hanse.errors import HanseError

DOCS = [
    {"tag": ["a", "b"], "count": [1, -3], "price": 1.5, "at": 0, "flag": 1, "ip": "10.0.0.1"},
    {"tag": "c", "count": 2**62, "price": -1e300, "at": -86_400_000, "day": 10**12},
    {"price": 5e-324},
    {},
]
PRICES = {"s": {"stats": {"field": "price"}}}
VALID: list[dict[str, Any]] = [
    {
        "histogram": {"field": "count", "interval": 2**60, "keyed": True},
        "aggs": {**PRICES, "d": {"derivative": {"buckets_path": "s.sum", "gap_policy": "insert_zeros", "unit": "day"}}},
    },
    {
        "histogram": {"field": "flag", "interval": 1},
        "aggs": {
            **PRICES,
            "m": {"moving_fn": {"buckets_path": "s.max", "window": 2, "script": "MovingFunctions.max(values)"}},
        },
    },
    {
        "terms": {"field": "tag"},
        "aggs": {**PRICES, "b": {"bucket_sort": {"sort": [{"s.sum": {"order": "desc"}}], "size": 2}}},
    },
    {
        "filter": {"match_all": {}},
        "aggs": {
            "t": {"terms": {"field": "tag"}, "aggs": PRICES},
            "p": {"percentiles_bucket": {"buckets_path": "t>s.min", "percents": [50]}},
            "e": {"extended_stats_bucket": {"buckets_path": "t>s.min", "sigma": 1}},
        },
    },
    {
        "terms": {
            "field": "tag",
            "size": 3,
            "order": {"_count": "asc"},
            "include": "a.*",
            "missing": "x",
            "min_doc_count": 1,
        }
    },
    {"terms": {"field": "count", "shard_size": 4, "include": [1], "exclude": [2], "format": "0.0"}},
    {
        "histogram": {
            "field": "price",
            "interval": 5,
            "offset": 1,
            "extended_bounds": {"min": 0, "max": 3},
            "missing": 1,
        }
    },
    {"date_histogram": {"field": "at", "calendar_interval": "day", "time_zone": "Europe/Berlin", "format": "yyyy"}},
    {"date_histogram": {"field": "at", "fixed_interval": "3d", "offset": "+2h", "hard_bounds": {"min": "2020"}}},
    {"auto_date_histogram": {"field": "at", "buckets": 3, "minimum_interval": "day"}},
    {"range": {"field": "count", "ranges": [{"from": 1, "to": 3}, {"key": "k", "to": 5}], "keyed": True}},
    {"date_range": {"field": "at", "ranges": [{"from": "now-1d/d", "to": "2020||+1M"}], "time_zone": "+02:00"}},
    {"ip_range": {"field": "ip", "ranges": [{"mask": "10.0.0.0/8"}, {"from": "::1"}]}},
    {"filters": {"filters": {"a": {"match_all": {}}}, "other_bucket": True}},
    {"missing": {"field": "tag"}},
    {"composite": {"size": 2, "sources": [{"a": {"terms": {"field": "tag", "order": "desc"}}}], "after": {"a": "b"}}},
    {
        "composite": {
            "sources": [{"h": {"histogram": {"field": "count", "interval": 3}}}, {"f": {"terms": {"field": "flag"}}}]
        }
    },
    {
        "composite": {
            "sources": [{"d": {"date_histogram": {"field": "at", "calendar_interval": "month"}}}],
            "after": {"d": 0},
        }
    },
    {"multi_terms": {"terms": [{"field": "tag"}, {"field": "count", "missing": 3}], "size": 2}},
    {"rare_terms": {"field": "tag", "max_doc_count": 2}},
    {"avg": {"field": "price", "missing": 3, "format": "0.0"}},
    {"extended_stats": {"field": "price", "sigma": 2}},
    {"cardinality": {"field": "tag", "precision_threshold": 10}},
    {"percentiles": {"field": "count", "percents": [1, 50], "keyed": False, "tdigest": {"compression": 100}}},
    {"percentile_ranks": {"field": "price", "values": [1, 2], "hdr": {"number_of_significant_value_digits": 3}}},
    {"median_absolute_deviation": {"field": "at"}},
    {"weighted_avg": {"value": {"field": "price"}, "weight": {"field": "count", "missing": 1}}},
    {"top_hits": {"size": 1, "sort": [{"count": "asc"}], "from": 0}},
]
WEIRD = [
    None,
    True,
    False,
    0,
    -1,
    1,
    0.5,
    -0.0,
    1e-300,
    1e300,
    2**31,
    2**63,
    -(2**63),
    2**70,
    "",
    "x",
    "now",
    "1d",
    "asc",
    "*",
    "[",
    "9" * 400,
    "tag",
    "count",
    "price",
    "at",
    "day",
    "flag",
    "ip",
    "body",
    "nope",
    [],
    {},
    [[]],
    [None],
    {"a": 1},
    [1, "x"],
]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all members and elements."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, below in inner for place in ((*path, key), *places(below, (*path, key)))]


@st.composite
def damaged(draw: st.DrawFn) -> dict[str, Any]:
    """A valid aggregation with one to three members replaced, removed or added."""
    body = copy.deepcopy(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(1, 3))):
        found = places(body)[1:]
        if not found:
            break
        *way, last = draw(st.sampled_from(found))
        holder: Any = body
        for step in way:
            holder = holder[step]
        change = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
        if change == "replace":
            holder[last] = copy.deepcopy(draw(st.sampled_from(WEIRD)))
        elif change == "remove":
            del holder[last]
        elif isinstance(holder, dict):
            name = draw(st.sampled_from(["missing", "format", "keyed", "size", "time_zone", "zzz"]))
            holder[name] = copy.deepcopy(draw(st.sampled_from(WEIRD)))
    return body


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(damaged(), st.booleans())
def test_any_body_ends_in_an_answer_or_a_client_error(kit: Any, body: dict[str, Any], nested: bool) -> None:
    aggs = {"t": {"terms": {"field": "flag"}, "aggs": {"x": body}}} if nested else {"x": body}
    refused, answer = None, None
    try:
        answer = kit.run(aggs, DOCS[:2], DOCS[2:])
    except HanseError as error:
        refused = error
    assert refused is None or 400 <= refused.status < 500
    orjson.dumps(answer)
