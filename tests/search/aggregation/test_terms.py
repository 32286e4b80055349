from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanse.errors import AggregationExecutionError, IllegalArgumentError, TooManyBucketsError


def buckets(answer: dict[str, Any]) -> list[tuple[Any, int]]:
    return [(bucket["key"], bucket["doc_count"]) for bucket in answer["buckets"]]


def tagged(**counts: int) -> list[dict[str, Any]]:
    return [{"tag": tag} for tag, count in counts.items() for _ in range(count)]


def test_most_frequent_first_ties_by_key(kit: Any) -> None:
    answer = kit.run({"t": {"terms": {"field": "tag", "size": 2}}}, tagged(b=2, a=2, c=3, d=1))["t"]
    assert buckets(answer) == [("c", 3), ("a", 2)]
    assert answer["sum_other_doc_count"] == 3
    assert answer["doc_count_error_upper_bound"] == 0


def test_what_shards_cut_away_is_stated_as_error_and_rest(kit: Any) -> None:
    one, two = tagged(a=5, b=4, c=3), tagged(c=6, b=2, a=1)
    body = {"field": "tag", "size": 1, "shard_size": 1, "show_term_doc_count_error": True}
    answer = kit.run({"t": {"terms": body}}, one, two)["t"]
    assert answer["doc_count_error_upper_bound"] == 5 + 6
    assert answer["buckets"] == [{"key": "c", "doc_count": 6, "doc_count_error_upper_bound": 5}]
    # The true count of c is 9: within the stated error. Every document of the others is in the rest.
    assert answer["sum_other_doc_count"] == 7 + 5 + 3


def test_a_shard_that_returns_all_its_terms_adds_no_error(kit: Any) -> None:
    answer = kit.run({"t": {"terms": {"field": "tag", "size": 3}}}, tagged(a=5, b=4, c=3), tagged(c=6, b=2, a=1))["t"]
    assert buckets(answer) == [("c", 9), ("a", 6), ("b", 6)]
    assert answer["doc_count_error_upper_bound"] == 0


def test_one_shard_alone_has_no_error(kit: Any) -> None:
    answer = kit.run({"t": {"terms": {"field": "tag", "size": 1, "shard_size": 1}}}, tagged(a=5, b=4))["t"]
    assert (answer["doc_count_error_upper_bound"], answer["sum_other_doc_count"]) == (0, 4)


def test_an_order_that_says_nothing_about_counts_has_no_known_error(kit: Any) -> None:
    body = {"field": "tag", "size": 1, "shard_size": 1, "order": {"_count": "asc"}}
    answer = kit.run({"t": {"terms": body}}, tagged(a=2, b=1), tagged(a=1, b=2))["t"]
    assert answer["doc_count_error_upper_bound"] == -1


@pytest.mark.parametrize(
    ("order", "keys"),
    [
        ({"_key": "desc"}, ["c", "b", "a"]),
        ({"_term": "asc"}, ["a", "b", "c"]),
        ({"_count": "asc"}, ["a", "b", "c"]),
        ({"m": "desc"}, ["b", "a", "c"]),
        ({"s.max": "asc"}, ["a", "b", "c"]),
        ({"f>m": "desc"}, ["b", "a", "c"]),
        ({"f": "desc"}, ["b", "a", "c"]),
        ({"f.doc_count": "desc"}, ["b", "a", "c"]),
        ([{"s.count": "asc"}, {"_key": "desc"}], ["c", "b", "a"]),
    ],
)
def test_orders(kit: Any, order: Any, keys: list[str]) -> None:
    docs = [
        {"tag": "a", "price": 1.0, "flag": 1},
        {"tag": "b", "price": 5.0, "flag": 1},
        {"tag": "b", "flag": 1},
        {"tag": "c"},
        {"tag": "c"},
        {"tag": "c"},
    ]
    if order == [{"s.count": "asc"}, {"_key": "desc"}]:
        docs = [{"tag": tag, "price": 1.0} for tag in "abc"]
    body = {
        "terms": {"field": "tag", "order": order},
        "aggs": {
            "m": {"avg": {"field": "price"}},
            "s": {"stats": {"field": "price"}},
            "f": {"filter": {"term": {"flag": 1}}, "aggs": {"m": {"max": {"field": "price"}}}},
        },
    }
    assert [key for key, _ in buckets(kit.run({"t": body}, docs)["t"])] == keys
    assert [key for key, _ in buckets(kit.run({"t": body}, docs[:2], docs[2:])["t"])] == keys


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcdefghij"), st.integers(-6, 6)), max_size=60),
    st.sampled_from(["tag", "count", "price"]),
    st.sampled_from([{"_count": "desc"}, {"_key": "asc"}, {"_key": "desc"}, {"_count": "asc"}]),
    st.integers(1, 6),
    st.integers(0, 9),
)
def test_every_cut_is_the_one_in_the_stated_order(
    kit: Any, pairs: Any, field: str, order: dict[str, str], size: int, every: int
) -> None:
    docs = [{"tag": tag, "count": number, "price": number / 4} for tag, number in pairs]
    body = {"field": field, "size": size, "shard_size": size, "order": order}
    answer = kit.run({"t": {"terms": body}}, kit.Shard(docs, commit_every=every))["t"]
    counts = Counter(doc[field] for doc in docs)
    ((path, direction),) = order.items()
    ranked = sorted(counts, reverse=path == "_key" and direction == "desc")
    if path == "_count":
        ranked.sort(key=lambda key: counts[key], reverse=direction == "desc")
    assert buckets(answer) == [(key, counts[key]) for key in ranked[:size]]
    assert answer["sum_other_doc_count"] == sum(counts[key] for key in ranked[size:])


def test_include_and_exclude(kit: Any) -> None:
    docs = tagged(apple=1, apricot=2, banana=3)

    def keys(**body: Any) -> list[Any]:
        return [key for key, _ in buckets(kit.run({"t": {"terms": {"field": "tag", **body}}}, docs)["t"])]

    assert keys(include="ap.*") == ["apricot", "apple"]
    assert keys(include="ap.*", exclude="apri.*") == ["apple"]
    assert keys(include=["banana", "none"]) == ["banana"]
    assert keys(exclude=["banana"]) == ["apricot", "apple"]


def test_partitions_are_those_of_elasticsearch(kit: Any) -> None:
    docs = [{"tag": "abc", "count": 1234, "price": 1.5}, {"tag": "bcd", "count": 5678, "price": -1.5}]

    def keys(field: str, number: int, total: int) -> list[Any]:
        include = {"partition": number, "num_partitions": total}
        return [key for key, _ in buckets(kit.run({"t": {"terms": {"field": field, "include": include}}}, docs)["t"])]

    assert (keys("tag", 0, 2), keys("tag", 1, 2)) == (["bcd"], ["abc"])
    assert (keys("count", 0, 2), keys("count", 1, 2)) == ([5678], [1234])
    assert sorted(key for number in range(3) for key in keys("price", number, 3)) == [-1.5, 1.5]
    with pytest.raises(IllegalArgumentError, match="partition"):
        keys("tag", 2, 2)


def test_include_reads_dates_and_addresses_in_their_own_form(kit: Any) -> None:
    docs = [{"at": 1_462_233_600_000, "ip": "10.0.0.1"}, {"at": 0, "ip": "::1"}]
    dates = kit.run({"t": {"terms": {"field": "at", "include": ["2016-05-03"]}}}, docs)["t"]
    assert [b["key_as_string"] for b in dates["buckets"]] == ["2016-05-03T00:00:00.000Z"]
    ips = kit.run({"t": {"terms": {"field": "ip", "exclude": ["10.0.0.1"]}}}, docs)["t"]
    assert buckets(ips) == [("::1", 1)]
    with pytest.raises(IllegalArgumentError, match="cannot support regular expression style include/exclude"):
        kit.run({"t": {"terms": {"field": "ip", "include": "10.*"}}}, docs)


def test_missing_joins_an_existing_value_and_its_children(kit: Any) -> None:
    docs = [{"tag": "a", "price": 1}, {"price": 2}, {"tag": "b", "price": 4}]
    aggs = {
        "t": {
            "terms": {"field": "tag", "missing": "a"},
            "aggs": {"s": {"sum": {"field": "price"}}, "f": {"filter": {"match_all": {}}}},
        }
    }
    first, second = kit.run(aggs, docs)["t"]["buckets"]
    assert (first["key"], first["doc_count"], first["s"], first["f"]) == ("a", 2, {"value": 3.0}, {"doc_count": 2})
    assert (second["key"], second["f"]) == ("b", {"doc_count": 1})


def test_min_doc_count_zero_brings_the_terms_no_hit_has(kit: Any) -> None:
    shard = kit.Shard([{"tag": "a", "flag": 1}, {"tag": "b", "flag": 0}])
    query = shard.compile_query({"term": {"flag": 1}})
    body = {"terms": {"field": "tag", "min_doc_count": 0}, "aggs": {"s": {"sum": {"field": "flag"}}}}
    answer = kit.run({"t": body}, shard, query=query)["t"]
    assert answer["buckets"] == [
        {"key": "a", "doc_count": 1, "s": {"value": 1.0, "value_as_string": "true"}},
        {"key": "b", "doc_count": 0, "s": {"value": 0.0, "value_as_string": "false"}},
    ]


def test_min_doc_count_is_judged_after_joining(kit: Any) -> None:
    answer = kit.run({"t": {"terms": {"field": "tag", "min_doc_count": 2}}}, tagged(a=1, b=1), tagged(a=1))["t"]
    assert buckets(answer) == [("a", 2)]


def test_unmapped_fields(kit: Any) -> None:
    docs = [{}]
    empty = {"doc_count_error_upper_bound": 0, "sum_other_doc_count": 0, "buckets": []}
    assert kit.run({"t": {"terms": {"field": "nope"}}}, docs)["t"] == empty
    assert kit.run({"t": {"terms": {"field": "nope"}}}, docs, typed_keys=True) == {"umterms#t": empty}

    def shown(**body: Any) -> Any:
        return kit.run({"t": {"terms": {"field": "nope", **body}}}, docs)["t"]["buckets"]

    assert shown(missing="x") == [{"key": "x", "doc_count": 1}]
    assert shown(missing=3, value_type="long") == [{"key": 3, "doc_count": 1}]
    assert shown(missing=3.5, value_type="double") == [{"key": 3.5, "doc_count": 1}]
    assert shown(missing=True, value_type="boolean") == [{"key": 1, "key_as_string": "true", "doc_count": 1}]
    assert shown(missing="2016-05-11", value_type="date")[0]["key"] == 1_462_924_800_000


def test_long_keys_beyond_doubles_stay_exact(kit: Any) -> None:
    large = 4_611_686_018_427_387_903
    answer = kit.run({"t": {"terms": {"field": "count"}}}, [{"count": large}, {"count": -large - 1}, {"count": large}])
    assert buckets(answer["t"]) == [(large, 2), (-large - 1, 1)]


def test_long_and_double_indices_join_to_doubles(kit: Any) -> None:
    double = kit.Shard([{"n": 10.0}, {"n": 14.5}], {"n": kit.mapped("double", "d0")})
    long = kit.Shard([{"n": 10}, {"n": 100}], {"n": kit.mapped("long", "l0")})
    answer = kit.run({"t": {"terms": {"field": "n"}}}, long, double)["t"]
    assert buckets(answer) == [(10.0, 2), (14.5, 1), (100.0, 1)]
    assert all(isinstance(bucket["key"], float) for bucket in answer["buckets"])


def test_an_empty_double_index_leaves_long_keys_as_they_are(kit: Any) -> None:
    large = 4_611_686_018_427_387_903
    double = kit.Shard([], {"n": kit.mapped("double", "d0")})
    long = kit.Shard([{"n": large}], {"n": kit.mapped("long", "l0")})
    assert kit.run({"t": {"terms": {"field": "n"}}}, double, long)["t"]["buckets"] == [{"key": large, "doc_count": 1}]


def test_text_and_number_indices_do_not_join(kit: Any) -> None:
    text = kit.Shard([{"n": "a"}], {"n": kit.mapped("keyword", "k0")})
    long = kit.Shard([{"n": 10}], {"n": kit.mapped("long", "l0")})
    with pytest.raises(AggregationExecutionError, match="two different types"):
        kit.run({"t": {"terms": {"field": "n"}}}, long, text)


def test_text_fields_are_refused(kit: Any) -> None:
    with pytest.raises(IllegalArgumentError, match=r"Fielddata is disabled on \[body\] in \[logs\]"):
        kit.run({"t": {"terms": {"field": "body"}}}, [])


def test_keys_of_flattened_fields(kit: Any) -> None:
    fields = {"labels": kit.mapped("flattened", "k0", "k1")}
    sub = fields["labels"].at_key("env")
    held = {**fields, "labels.env": sub}
    shard = kit.Shard([{}, {}], held)
    import tantivy

    writer = shard.index.writer(15_000_000, 1)
    for values in (["env\0prod", "tier\0one"], ["env\0test"], ["env\0prod"], ["tier\0two"]):
        writer.add_document(tantivy.Document(k1=values))
    writer.commit()
    shard.index.reload()
    shard.searcher = shard.index.searcher()
    aggs = {
        "t": {"terms": {"field": "labels.env"}, "aggs": {"f": {"filter": {"match_all": {}}}}},
        "m": {"terms": {"field": "labels.env", "missing": "none"}},
        "c": {"cardinality": {"field": "labels.env"}},
        "v": {"value_count": {"field": "labels.env"}},
        "x": {"missing": {"field": "labels.env"}},
    }
    answer = kit.run(aggs, shard)
    assert [(b["key"], b["doc_count"], b["f"]["doc_count"]) for b in answer["t"]["buckets"]] == [
        ("prod", 2, 2),
        ("test", 1, 1),
    ]
    assert buckets(answer["m"]) == [("none", 3), ("prod", 2), ("test", 1)]
    assert (answer["c"]["value"], answer["v"]["value"], answer["x"]["doc_count"]) == (2, 3, 3)


def test_more_terms_than_tantivy_builds_buckets_for(kit: Any) -> None:
    docs = [{"tag": f"t{number % 70_000}", "count": number % 70_000, "price": number / 7} for number in range(70_003)]
    shard = kit.Shard(docs)
    aggs = {
        "t": {"terms": {"field": "tag", "size": 2}, "aggs": {"s": {"sum": {"field": "count"}}}},
        "n": {"terms": {"field": "count", "size": 2}, "aggs": {"s": {"value_count": {"field": "count"}}}},
        "c": {"cardinality": {"field": "price"}},
        "p": {"percentiles": {"field": "count", "percents": [50]}},
    }
    answer = kit.run(aggs, shard)
    assert [(b["key"], b["doc_count"], b["s"]["value"]) for b in answer["t"]["buckets"]] == [
        ("t0", 2, 0.0),
        ("t1", 2, 2.0),
    ]
    assert [(b["key"], b["doc_count"], b["s"]["value"]) for b in answer["n"]["buckets"]] == [(0, 2, 2), (1, 2, 2)]
    assert answer["t"]["sum_other_doc_count"] == answer["n"]["sum_other_doc_count"] == 69_999
    assert answer["c"]["value"] == pytest.approx(70_003, rel=0.05)
    assert answer["p"]["values"]["50.0"] == pytest.approx(34_998, rel=0.002)


def test_too_many_buckets_in_the_answer(kit: Any) -> None:
    docs = tagged(a=1, b=1, c=1)
    with pytest.raises(
        TooManyBucketsError, match=r"less than or equal to: \[2\] but this number of buckets was exceeded"
    ) as caught:
        kit.run({"t": {"terms": {"field": "tag"}}}, docs, max_buckets=2)
    assert caught.value.metadata == {"max_buckets": 2}


def test_rare_terms_are_rare_over_all_shards(kit: Any) -> None:
    aggs = {"r": {"rare_terms": {"field": "tag"}, "aggs": {"s": {"value_count": {"field": "tag"}}}}}
    answer = kit.run(aggs, tagged(a=1, b=1, c=3), tagged(a=1, d=1, c=1))
    assert [(b["key"], b["doc_count"], b["s"]["value"]) for b in answer["r"]["buckets"]] == [("b", 1, 1), ("d", 1, 1)]
