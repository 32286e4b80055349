"""The law of the room: shards joined in any way answer like one shard, and both like a plain model in Python."""

from __future__ import annotations

import math
import statistics
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hanse.search.aggregation import finish, merge_partials, parse_aggregations

BERLIN = ZoneInfo("Europe/Berlin")
START = 1_704_067_200_000  # 2024-01-01
HOUR = 3_600_000
Documents = list[dict[str, Any]]

# -- what is generated -------------------------------------------------------------------------------------------------

document = st.fixed_dictionaries(
    {},
    optional={
        "tag": st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=3, unique=True),
        "color": st.sampled_from(["red", "green", "blue"]),
        "count": st.lists(st.integers(-30, 30), min_size=1, max_size=3, unique=True),
        "price": st.integers(-40, 40).map(lambda quarters: quarters / 4),
        "weight": st.integers(1, 8).map(float),
        "at": st.integers(0, 24 * 400).map(lambda hours: START + hours * HOUR + 1_234),
        "flag": st.integers(0, 1),
    },
)
documents = st.lists(document, max_size=30)

metric = st.sampled_from(
    [
        {"avg": {"field": "price"}},
        {"sum": {"field": "count"}},
        {"sum": {"field": "price", "missing": 2}},
        {"min": {"field": "price"}},
        {"max": {"field": "count"}},
        {"stats": {"field": "count"}},
        {"extended_stats": {"field": "price"}},
        {"value_count": {"field": "tag"}},
        {"value_count": {"field": "count"}},
        {"cardinality": {"field": "tag"}},
        {"cardinality": {"field": "count"}},
        {"percentiles": {"field": "price", "percents": [10, 50, 95]}},
        {"median_absolute_deviation": {"field": "price"}},
        {"weighted_avg": {"value": {"field": "price"}, "weight": {"field": "weight", "missing": 1}}},
    ]
)
bucket = st.sampled_from(
    [
        {"terms": {"field": "tag", "size": 50}},
        {"terms": {"field": "tag", "size": 50, "missing": "none"}},
        {"terms": {"field": "tag", "size": 50, "missing": "b"}},
        {"terms": {"field": "count", "size": 100}},
        {"terms": {"field": "price", "size": 100}},
        {"terms": {"field": "flag"}},
        {"terms": {"field": "at", "size": 100}},
        {"histogram": {"field": "price", "interval": 2.5}},
        {"histogram": {"field": "count", "interval": 7, "offset": 3, "min_doc_count": 1}},
        {"histogram": {"field": "price", "interval": 4, "missing": 1.5, "min_doc_count": 1}},
        {"date_histogram": {"field": "at", "calendar_interval": "month"}},
        {"date_histogram": {"field": "at", "fixed_interval": "30d", "min_doc_count": 1}},
        {"date_histogram": {"field": "at", "calendar_interval": "week", "min_doc_count": 1}},
        {
            "date_histogram": {
                "field": "at",
                "calendar_interval": "day",
                "time_zone": "Europe/Berlin",
                "min_doc_count": 1,
            }
        },
        {
            "range": {
                "field": "count",
                "ranges": [{"to": 0.5}, {"from": -5, "to": 5}, {"from": 0.5}, {"from": 3, "to": 3}],
            }
        },
        {"range": {"field": "price", "ranges": [{"to": -1.25}, {"from": -1.25, "to": 2}]}},
        {"filter": {"term": {"flag": 1}}},
        {
            "filters": {
                "filters": {"on": {"term": {"flag": 1}}, "red": {"term": {"color": "red"}}},
                "other_bucket": True,
            }
        },
        {"missing": {"field": "count"}},
    ]
)
composite = st.sampled_from(
    [
        {
            "composite": {
                "size": 500,
                "sources": [{"t": {"terms": {"field": "tag"}}}, {"c": {"terms": {"field": "count", "order": "desc"}}}],
            }
        },
        {
            "composite": {
                "size": 500,
                "sources": [
                    {"t": {"terms": {"field": "tag", "missing_bucket": True}}},
                    {"p": {"histogram": {"field": "price", "interval": 5}}},
                ],
            }
        },
        {
            "composite": {
                "size": 500,
                "sources": [
                    {"m": {"date_histogram": {"field": "at", "calendar_interval": "month"}}},
                    {"t": {"terms": {"field": "tag", "order": "desc"}}},
                ],
            }
        },
        {
            "composite": {
                "size": 500,
                "sources": [
                    {"f": {"terms": {"field": "flag", "missing_bucket": True}}},
                    {"m": {"date_histogram": {"field": "at", "calendar_interval": "month", "missing_bucket": True}}},
                ],
            }
        },
        {"multi_terms": {"size": 500, "terms": [{"field": "tag"}, {"field": "flag"}]}},
    ]
)


@st.composite
def tree(draw: st.DrawFn, depth: int = 3, *, top: bool = True) -> dict[str, Any]:
    """A named set of aggregations with others below them."""
    level = {}
    for number in range(draw(st.integers(1, 2))):
        is_metric = depth == 1 or draw(st.booleans())
        body = dict(draw(metric if is_metric else st.one_of(bucket, composite) if top else bucket))
        if not is_metric and draw(st.booleans()):
            body["aggs"] = draw(tree(depth - 1, top=False))
        level[f"a{number}"] = body
    return level


# -- the model ---------------------------------------------------------------------------------------------------------


def values(doc: dict[str, Any], field: str) -> list[Any]:
    held = doc.get(field, [])
    return held if isinstance(held, list) else [held]


def expected(aggs: dict[str, Any], docs: Documents) -> dict[str, Any]:
    answer = {}
    for name, definition in aggs.items():
        ((kind, body),) = [(k, v) for k, v in definition.items() if k != "aggs"]
        below = definition.get("aggs", {})
        if kind in BUCKETS:
            answer[name] = BUCKETS[kind](body, below, docs)
        else:
            answer[name] = METRICS[kind](body, docs)
    return answer


def row(head: dict[str, Any], below: dict[str, Any], docs: Documents) -> dict[str, Any]:
    return {**head, "doc_count": len(docs), **expected(below, docs)}


def numbers(body: dict[str, Any], docs: Documents) -> list[float]:
    found = []
    for doc in docs:
        held = values(doc, body["field"])
        found += held or ([body["missing"]] if "missing" in body else [])
    return [float(v) for v in found]


def value(number: float | None) -> dict[str, Any]:
    return {"value": number}


def stats(body: dict[str, Any], docs: Documents) -> dict[str, Any]:
    found = numbers(body, docs)
    return {
        "count": len(found),
        "min": min(found, default=None),
        "max": max(found, default=None),
        "avg": sum(found) / len(found) if found else None,
        "sum": sum(found),
    }


def extended_stats(body: dict[str, Any], docs: Documents) -> dict[str, Any]:
    found = numbers(body, docs)
    population = statistics.pvariance(found) if found else None
    sampling = statistics.variance(found) if len(found) > 1 else "NaN" if found else None
    mean = sum(found) / len(found) if found else None

    def root(variance: Any) -> Any:
        return math.sqrt(variance) if isinstance(variance, int | float) else variance

    def bound(variance: Any, side: int) -> Any:
        return mean + side * 2 * math.sqrt(variance) if isinstance(variance, int | float) else variance

    return {
        **stats(body, docs),
        "sum_of_squares": sum(v * v for v in found) if found else None,
        "variance": population,
        "variance_population": population,
        "variance_sampling": sampling,
        "std_deviation": root(population),
        "std_deviation_population": root(population),
        "std_deviation_sampling": root(sampling),
        "std_deviation_bounds": {
            "upper": bound(population, 1),
            "lower": bound(population, -1),
            "upper_population": bound(population, 1),
            "lower_population": bound(population, -1),
            "upper_sampling": bound(sampling, 1),
            "lower_sampling": bound(sampling, -1),
        },
    }


def quantile(ordered: list[float], fraction: float) -> float | None:
    if not ordered:
        return None
    position = fraction * (len(ordered) - 1)
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def median_deviation(body: dict[str, Any], docs: Documents) -> dict[str, Any]:
    found = sorted(numbers(body, docs))
    middle = quantile(found, 0.5)
    return value(None if middle is None else quantile(sorted(abs(v - middle) for v in found), 0.5))


def weighted(body: dict[str, Any], docs: Documents) -> dict[str, Any]:
    pairs = [(doc["price"], doc.get("weight", 1)) for doc in docs if "price" in doc]
    total = sum(weight for _, weight in pairs)
    return value(sum(price * weight for price, weight in pairs) / total if total else None)


def percentiles(body: dict[str, Any], docs: Documents) -> dict[str, Any]:
    found = sorted(numbers(body, docs))
    return {"values": {repr(float(p)): quantile(found, p / 100) for p in body["percents"]}}


METRICS = {
    "avg": lambda body, docs: value(stats(body, docs)["avg"]),
    "sum": lambda body, docs: value(stats(body, docs)["sum"]),
    "min": lambda body, docs: value(stats(body, docs)["min"]),
    "max": lambda body, docs: value(stats(body, docs)["max"]),
    "stats": stats,
    "extended_stats": extended_stats,
    "value_count": lambda body, docs: value(sum(len(values(doc, body["field"])) for doc in docs)),
    "cardinality": lambda body, docs: value(len({v for doc in docs for v in values(doc, body["field"])})),
    "percentiles": percentiles,
    "median_absolute_deviation": median_deviation,
    "weighted_avg": weighted,
}


def iso(millis: int, zone: Any = UTC) -> str:
    moment = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=millis)).astimezone(zone)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def terms(body: dict[str, Any], below: dict[str, Any], docs: Documents) -> dict[str, Any]:
    field = body["field"]
    groups: dict[Any, Documents] = {}
    for doc in docs:
        for held in set(values(doc, field) or ([body["missing"]] if "missing" in body else [])):
            groups.setdefault(held, []).append(doc)
    rows = []
    for key in sorted(groups, key=lambda key: (-len(groups[key]), key)):
        head: dict[str, Any] = {"key": key}
        if field == "flag":
            head["key_as_string"] = "true" if key else "false"
        if field == "at":
            head["key_as_string"] = iso(key)
        rows.append(row(head, below, groups[key]))
    return {"doc_count_error_upper_bound": 0, "sum_other_doc_count": 0, "buckets": rows}


def histogram(body: dict[str, Any], below: dict[str, Any], docs: Documents) -> dict[str, Any]:
    interval, offset = body["interval"], body.get("offset", 0)
    groups: dict[float, Documents] = {}
    for doc in docs:
        held = values(doc, body["field"]) or ([body["missing"]] if "missing" in body else [])
        for number in {math.floor((v - offset) / interval) for v in held}:
            groups.setdefault(float(number * interval + offset), []).append(doc)
    keys = sorted(groups)
    if body.get("min_doc_count", 0) == 0 and keys:
        steps = round((keys[-1] - keys[0]) / interval)
        keys = [keys[0] + i * interval for i in range(steps + 1)]
    return {"buckets": [row({"key": key}, below, groups.get(key, [])) for key in keys]}


def beginning(body: dict[str, Any], millis: int) -> int:
    if "fixed_interval" in body:
        step = 30 * 24 * HOUR
        return millis // step * step
    zone = BERLIN if "time_zone" in body else UTC
    moment = datetime.fromtimestamp(millis / 1000, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    if body["calendar_interval"] == "month":
        moment = moment.replace(day=1)
    if body["calendar_interval"] == "week":
        moment -= timedelta(days=moment.weekday())
    return round(moment.timestamp() * 1000)


def date_histogram(body: dict[str, Any], below: dict[str, Any], docs: Documents) -> dict[str, Any]:
    groups: dict[int, Documents] = {}
    for doc in docs:
        for held in values(doc, body["field"]):
            groups.setdefault(beginning(body, held), []).append(doc)
    keys = sorted(groups)
    if body.get("min_doc_count", 0) == 0 and keys:
        filled = [keys[0]]
        while filled[-1] < keys[-1]:
            filled.append(beginning(body, filled[-1] + 32 * 24 * HOUR))
        keys = filled
    zone = BERLIN if "time_zone" in body else UTC
    return {"buckets": [row({"key_as_string": iso(key, zone), "key": key}, below, groups.get(key, [])) for key in keys]}


def ranges(body: dict[str, Any], below: dict[str, Any], docs: Documents) -> dict[str, Any]:
    rows = []
    for asked in sorted(body["ranges"], key=lambda r: (r.get("from", -math.inf), r.get("to", math.inf))):
        low, high = asked.get("from", -math.inf), asked.get("to", math.inf)
        inside = [doc for doc in docs if any(low <= v < high for v in values(doc, body["field"]))]
        texts = [repr(float(asked[side])) if side in asked else "*" for side in ("from", "to")]
        bounds = {side: float(asked[side]) for side in ("from", "to") if side in asked}
        rows.append(row({"key": "-".join(texts), **bounds}, below, inside))
    return {"buckets": rows}


def matches(query: dict[str, Any], doc: dict[str, Any]) -> bool:
    ((field, wanted),) = query["term"].items()
    return wanted in values(doc, field)


def filters(body: dict[str, Any], below: dict[str, Any], docs: Documents) -> dict[str, Any]:
    queries = body["filters"]
    found = {name: row({}, below, [d for d in docs if matches(queries[name], d)]) for name in sorted(queries)}
    rest = [doc for doc in docs if not any(matches(query, doc) for query in queries.values())]
    return {"buckets": {**found, "_other_": row({}, below, rest)}}


def combinations_of(body: dict[str, Any], doc: dict[str, Any]) -> list[tuple[Any, ...]]:
    keys: list[tuple[Any, ...]] = [()]
    for source in body["sources"]:
        ((_, inner),) = source.items()
        ((kind, options),) = inner.items()
        held: list[Any] = values(doc, options["field"])
        if kind == "histogram":
            held = [math.floor(v / options["interval"]) * options["interval"] for v in held]
        if kind == "date_histogram":
            held = [beginning(options, v) for v in held]
        if not held and options.get("missing_bucket"):
            held = [None]
        keys = [(*key, v) for key in keys for v in sorted(set(held), key=repr)]
    return keys


def composites(body: dict[str, Any], below: dict[str, Any], docs: Documents) -> dict[str, Any]:
    groups: dict[tuple[Any, ...], Documents] = {}
    for doc in docs:
        for key in combinations_of(body, doc):
            groups.setdefault(key, []).append(doc)
    inner = [next(iter(next(iter(source.values())).values())) for source in body["sources"]]
    names = [next(iter(source)) for source in body["sources"]]
    order = list(groups)
    for i in reversed(range(len(inner))):
        descends = inner[i].get("order") == "desc"
        # Missing comes first when ascending, last when descending.
        lacking = [key for key in order if key[i] is None]
        held = sorted((key for key in order if key[i] is not None), key=lambda key, i=i: key[i], reverse=descends)
        order = held + lacking if descends else lacking + held
    shown = {
        key: {n: bool(v) if n == "f" and v is not None else v for n, v in zip(names, key, strict=True)} for key in order
    }
    rows = [row({"key": shown[key]}, below, groups[key]) for key in order]
    return {**({"after_key": rows[-1]["key"]} if rows else {}), "buckets": rows}


def multi_terms(body: dict[str, Any], below: dict[str, Any], docs: Documents) -> dict[str, Any]:
    groups: dict[tuple[str, int], Documents] = {}
    for doc in docs:
        for tag in values(doc, "tag"):
            for flag in values(doc, "flag"):
                groups.setdefault((tag, flag), []).append(doc)
    rows = []
    for tag, flag in sorted(groups, key=lambda key: (-len(groups[key]), key)):
        head = {"key": [tag, bool(flag)], "key_as_string": f"{tag}|{'true' if flag else 'false'}"}
        rows.append(row(head, below, groups[tag, flag]))
    return {"doc_count_error_upper_bound": 0, "sum_other_doc_count": 0, "buckets": rows}


BUCKETS = {
    "terms": terms,
    "histogram": histogram,
    "date_histogram": date_histogram,
    "range": ranges,
    "filter": lambda body, below, docs: row({}, below, [doc for doc in docs if matches(body, doc)]),
    "filters": filters,
    "missing": lambda body, below, docs: row({}, below, [doc for doc in docs if not values(doc, body["field"])]),
    "composite": composites,
    "multi_terms": multi_terms,
}


def same(left: Any, right: Any, path: str = "") -> None:
    """Equal but for the last bits of doubles."""
    if isinstance(left, float) or isinstance(right, float):
        assert left == pytest.approx(right, rel=1e-9, abs=1e-6), path
    elif isinstance(left, dict):
        assert list(left) == list(right) or left.keys() == right.keys(), (path, left, right)
        for key in left:
            same(left[key], right[key], f"{path}.{key}")
    elif isinstance(left, list) and isinstance(right, list):
        assert len(left) == len(right), (path, left, right)
        for i, pair in enumerate(zip(left, right, strict=True)):
            same(*pair, f"{path}[{i}]")
    else:
        assert left == right, path


# -- the laws ----------------------------------------------------------------------------------------------------------

relaxed = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@relaxed
@given(aggs=tree(), docs=documents, cuts=st.lists(st.integers(0, 30), max_size=3))
def test_shards_answer_like_one_shard_and_like_the_model(kit: Any, aggs: Any, docs: Any, cuts: Any) -> None:
    edges = [0, *sorted(min(cut, len(docs)) for cut in cuts), len(docs)]
    parts = [docs[low:high] for low, high in pairwise(edges)]
    model = expected(aggs, docs)
    same(kit.run(aggs, docs), model)
    same(kit.run(aggs, *parts), model)


@relaxed
@given(aggs=tree(), groups=st.tuples(documents, documents, documents))
def test_joining_is_associative_and_commutative(kit: Any, aggs: Any, groups: Any) -> None:
    plan = parse_aggregations(aggs)
    a, b, c = (kit.Shard(docs).collect(aggs) for docs in groups)
    left = merge_partials(plan, [merge_partials(plan, [a, b]), c])
    right = merge_partials(plan, [wire(merge_partials(plan, [c, b])), merge_partials(plan, [a])])
    assert wire(left) == wire(right)
    assert wire(merge_partials(plan, [left, merge_partials(plan, [])])) == wire(left)
    assert finish(plan, [a, b, c]) == finish(plan, left)


@settings(relaxed, max_examples=25)
@given(aggs=tree(), docs=documents, every=st.integers(1, 7))
def test_segments_do_not_show(kit: Any, aggs: Any, docs: Any, every: int) -> None:
    same(kit.run(aggs, kit.Shard(docs, commit_every=every)), expected(aggs, docs))


@settings(relaxed, max_examples=25)
@given(aggs=tree(), docs=documents)
def test_bucket_by_bucket_answers_like_one_call(kit: Any, aggs: Any, docs: Any) -> None:
    """With a bucket limit of nothing for nested calls everything is collected the dear way."""
    from hanse.search.aggregation import run as run_module

    original = run_module.Run.aggregate

    def limited(self: Any, query: Any, native: Any) -> Any:
        # A weighted average is a nested request in itself; everything else can do without.
        if any("aggs" in request and set(request["aggs"]) != {"w"} for request in native.values()):
            raise run_module.BucketLimitError("nested")
        return original(self, query, native)

    run_module.Run.aggregate = limited
    try:
        same(kit.run(aggs, docs), expected(aggs, docs))
    finally:
        run_module.Run.aggregate = original


def wire(partial: Any) -> Any:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(partial))
