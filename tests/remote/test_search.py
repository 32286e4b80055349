"""Searches over two real nodes. Roles and certificates are the journeys' part."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.two_clusters import ANYBODY, Cluster, two_clusters

from hanse.errors import HanseError, IllegalArgumentError, IndexNotFoundError, RemoteTransportError
from hanse.index.administration.requests import RESOLVE, ByNames
from hanse.remote.search import all_or_none, wrapped
from hanse.search.parameters import search_request
from hanse.search.request import FIELD_CAPS, SEARCH, FieldCapsRequest
from hanse.transport.actions import IndicesOptions

Pair = tuple[Cluster, Cluster]


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with two_clusters(tmp_path) as made:
        for cluster, numbers in zip(made, ((1, 3), (2, 4)), strict=True):
            await cluster.create("logs")
            for number in numbers:
                await cluster.write("logs", str(number), n=number, tag=cluster.name)
        yield made


def details(answer: Any) -> dict[str, str]:
    return {alias: entry["status"] for alias, entry in answer["_clusters"]["details"].items()}


async def test_hits_of_both_clusters_in_one_order(pair: Pair) -> None:
    here, _ = pair
    answer = await here.search("logs,there:logs", {"sort": [{"n": "desc"}], "size": 3, "from": 0})
    assert [(hit["_index"], hit["_id"]) for hit in answer["hits"]["hits"]] == [
        ("there:logs", "4"),
        ("logs", "3"),
        ("there:logs", "2"),
    ]
    assert answer["hits"]["total"]["value"] == 4
    assert details(answer) == {"(local)": "successful", "there": "successful"}
    assert answer["_shards"]["total"] == 2


async def test_aggregations_merge(pair: Pair) -> None:
    body = {"size": 0, "aggs": {"mean": {"avg": {"field": "n"}}, "by": {"terms": {"field": "tag.keyword"}}}}
    aggregations = (await pair[0].search("logs,there:logs", body))["aggregations"]
    assert aggregations["mean"]["value"] == 2.5
    assert sorted((bucket["key"], bucket["doc_count"]) for bucket in aggregations["by"]["buckets"]) == [
        ("here", 2),
        ("there", 2),
    ]


async def test_aggregations_on_index_tell_the_clusters_apart(pair: Pair) -> None:
    body = {"size": 0, "aggs": {"of": {"terms": {"field": "_index"}}, "how_many": {"cardinality": {"field": "_index"}}}}
    aggregations = (await pair[0].search("logs,there:logs", body))["aggregations"]
    assert [(bucket["key"], bucket["doc_count"]) for bucket in aggregations["of"]["buckets"]] == [
        ("logs", 2),
        ("there:logs", 2),
    ]
    assert aggregations["how_many"] == {"value": 2}


IN_2017 = {"query": {"range": {"at": {"gte": "2017-01-01", "lt": "2018-01-01"}}}}
IN_2016 = {"query": {"range": {"at": {"gte": "2016-01-01", "lt": "2017-01-01"}}}}
IN_1999 = {"query": {"range": {"at": {"lt": "2000-01-01"}}}}


async def test_without_minimized_round_trips_all_shards_are_those_of_one_search(pair: Pair) -> None:
    here, there = pair
    for cluster, at in ((here, "2017-05-01"), (there, "2016-05-01")):
        await cluster.create("days")
        await cluster.write("days", "1", at=at)
    options = {"ccs_minimize_roundtrips": "false", "pre_filter_shard_size": 1}
    for body, name in ((IN_2017, "days"), (IN_2016, "there:days")):
        answer = await here.search("days,there:days", body, **options)
        assert [hit["_index"] for hit in answer["hits"]["hits"]] == [name]
        assert answer["_shards"] == {"total": 2, "successful": 2, "skipped": 1, "failed": 0}
        assert "num_reduce_phases" not in answer
    nothing = await here.search("days,there:days", IN_1999, **options)
    assert (nothing["_shards"]["skipped"], nothing["hits"]["total"]["value"]) == (1, 0)
    # Each on its own terms: one shard is not more than one.
    answer = await here.search("days,there:days", IN_2017, pre_filter_shard_size=1)
    assert (answer["_shards"]["skipped"], answer["num_reduce_phases"]) == (0, 3)


async def test_a_profile_names_the_shards_of_all_clusters(pair: Pair) -> None:
    for expression, indices in (("logs,there:logs", ["logs", "there:logs"]), ("there:logs", ["there:logs"])):
        shards = (await pair[0].search(expression, {"profile": True}))["profile"]["shards"]
        assert [shard["id"].split("][")[1] for shard in shards] == indices
        assert shards[-1]["cluster"] == "there"
        assert all(shard["searches"][0]["query"][0]["time_in_nanos"] > 0 for shard in shards)


async def test_one_remote_alone_reduces_for_itself(pair: Pair) -> None:
    answer = await pair[0].search("there:lo*", {"sort": ["n"], "from": 1, "size": 1})
    assert [hit["_id"] for hit in answer["hits"]["hits"]] == ["4"]
    assert details(answer) == {"there": "successful"}
    assert answer["_clusters"]["details"]["there"]["indices"] == "lo*"


async def test_local_searches_have_no_clusters_section(pair: Pair) -> None:
    assert "_clusters" not in await pair[0].search("logs")


async def test_a_scroll_that_another_cluster_sends_on_is_refused(pair: Pair) -> None:
    """A context would stay open over here for whoever asks over there; our own node never asks, another might."""
    here, there = pair
    request = search_request(("logs",), IndicesOptions(), {"scroll": "1m"}, b"")
    with pytest.raises(IllegalArgumentError, match="cannot be opened by another cluster") as refused:
        await here.node.remotes.call("there", SEARCH, request, ANYBODY)
    assert refused.value.status == 400
    assert len(there.node.contexts) == 0


async def test_scroll_stays_at_home(pair: Pair) -> None:
    with pytest.raises(IllegalArgumentError, match=r"\[scroll\] cannot be used across clusters"):
        await pair[0].search("there:logs", scroll="1m")


async def test_an_error_of_the_remote_is_the_searches(pair: Pair) -> None:
    for expression in ("there:none", "logs,there:none"):
        with pytest.raises(RemoteTransportError) as raised:
            await pair[0].search(expression)
        assert raised.value.status == 404
        assert isinstance(raised.value.caused_by, IndexNotFoundError)


@pytest.mark.parametrize("expression", ["there:logs", "logs,there:logs"])
async def test_a_lost_cluster_fails_the_search_or_is_skipped(pair: Pair, expression: str) -> None:
    here, there = pair
    await there.node.close()
    with pytest.raises(HanseError):
        await here.search(expression)
    await here.settings(cluster__remote__there__skip_unavailable="true")
    answer = await here.search(expression)
    assert details(answer)["there"] == "skipped"
    assert (answer["_clusters"]["skipped"], answer["_clusters"]["total"]) == (1, len(expression.split(",")))
    failure = answer["_clusters"]["details"]["there"]["failures"][0]
    assert failure["shard"] == -1
    assert failure["reason"]["type"]
    assert [hit["_id"] for hit in answer["hits"]["hits"]] == (["1", "3"] if "," in expression else [])


@pytest.mark.parametrize("expression", ["logs", "there:logs", "logs,there:logs"])
async def test_runtime_fields_are_refused_wherever_they_are_asked_for(pair: Pair, expression: str) -> None:
    request = FieldCapsRequest(tuple(expression.split(",")), fields=("n",), runtime_mappings={"n": {"type": "keyword"}})
    with pytest.raises(HanseError) as raised:
        await pair[0].run(FIELD_CAPS, request)
    cause = raised.value.caused_by or raised.value
    assert (raised.value.status, cause.reason) == (400, "[runtime_mappings] is not supported")


async def test_field_caps_of_both_and_of_one_that_fails(pair: Pair) -> None:
    here, there = pair
    request = FieldCapsRequest(("logs", "there:logs"), fields=("n",))
    merged = await here.run(FIELD_CAPS, request)
    assert sorted(merged.indices) == ["logs", "there:logs"]
    await there.node.close()
    merged = await here.run(FIELD_CAPS, request)
    assert list(merged.indices) == ["logs"]
    assert merged.failures[0]["indices"] == ["there:logs"]
    with pytest.raises(RemoteTransportError):
        await here.run(FIELD_CAPS, FieldCapsRequest(("there:logs",), fields=("n",)))


async def test_resolve_names_of_both(pair: Pair) -> None:
    here, there = pair
    await there.create("also", aliases={"x": {}})
    answer = await here.run(RESOLVE, ByNames(("logs", "there:*")))
    assert [entry["name"] for entry in answer["indices"]] == ["logs", "there:also", "there:logs"]
    assert [entry["name"] for entry in answer["aliases"]] == ["there:x"]
    await there.node.close()
    with pytest.raises(HanseError):
        await here.run(RESOLVE, ByNames(("there:*",)))
    await here.settings(cluster__remote__there__skip_unavailable="true")
    assert [entry["name"] for entry in (await here.run(RESOLVE, ByNames(("logs", "there:*"))))["indices"]] == ["logs"]


def test_a_wrapped_error_keeps_its_status() -> None:
    error = wrapped("berlin", IndexNotFoundError.of("x"))
    assert (error.status, error.reason) == (404, "error while communicating with remote cluster [berlin]")


async def test_the_first_failure_cancels_the_others() -> None:
    cancelled = asyncio.Event()

    async def slow() -> int:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return 1

    async def broken() -> int:
        await asyncio.sleep(0)
        raise IndexNotFoundError.of("x")

    with pytest.raises(IndexNotFoundError):
        await all_or_none({"a": slow(), "b": broken()})
    assert cancelled.is_set()


async def test_all_keep_their_order() -> None:
    async def after(number: int) -> int:
        for _ in range(number):
            await asyncio.sleep(0)
        return number

    assert list((await all_or_none({"c": after(3), "a": after(0), "b": after(1)})).items()) == [
        ("c", 3),
        ("a", 0),
        ("b", 1),
    ]
