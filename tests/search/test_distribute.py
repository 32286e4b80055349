"""A search over several nodes answers like a search on one, whichever node is asked and whichever is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.several_nodes import SeveralNodes, several_nodes
from tests.two_clusters import Cluster, until

from hanse import clock
from hanse.cluster import allocation
from hanse.cluster.requests import UPDATE_SETTINGS, UpdateSettings
from hanse.errors import (
    IllegalArgumentError,
    NodeDisconnectedError,
    ParsingError,
    SearchPhaseExecutionError,
    UnavailableShardsError,
)
from hanse.search.shard_requests import SEARCH_SHARDS

MAPPINGS = {"properties": {"n": {"type": "long"}, "tag": {"type": "keyword"}, "t": {"type": "text"}}}
DOCUMENTS = [{"n": n, "tag": f"tag{n % 7}", "t": "word " * (n % 4 + 1)} for n in range(60)]


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[SeveralNodes]:
    async with several_nodes(tmp_path) as made:
        yield made


async def filled(cluster: SeveralNodes, **settings: Any) -> None:
    await cluster.create("b", mappings=MAPPINGS, **settings)
    await cluster.write("b", DOCUMENTS)


async def test_every_node_finds_everything(cluster: SeveralNodes) -> None:
    await filled(cluster)
    assert sorted(cluster.holders("b"), key=min) == [{0}, {1}, {2}]
    for node in range(3):
        answer = await cluster.search("b", {"size": 100, "sort": ["n"]}, node)
        assert [hit["_source"]["n"] for hit in answer["hits"]["hits"]] == list(range(60))
        assert answer["_shards"] == {"total": 3, "successful": 3, "skipped": 0, "failed": 0}
        assert answer["hits"]["total"] == {"value": 60, "relation": "eq"}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"query": {"match": {"t": "word"}}, "size": 25},
        {"query": {"match": {"t": "word"}}, "from": 13, "size": 9},
        {"sort": [{"tag": "desc"}, "n"], "size": 60},
        {"sort": ["tag"], "size": 60},
        {"sort": ["_doc"], "size": 60},
        {"query": {"range": {"n": {"gte": 20}}}, "track_total_hits": 10},
        {"query": {"term": {"tag": "tag3"}}, "track_total_hits": False},
        {"collapse": {"field": "tag"}, "sort": [{"n": "desc"}]},
        {"collapse": {"field": "tag", "inner_hits": {"name": "others", "size": 4, "sort": ["n"]}}, "sort": ["tag"]},
        {"size": 0, "aggs": {"tags": {"terms": {"field": "tag", "size": 3}, "aggs": {"s": {"sum": {"field": "n"}}}}}},
        {"size": 0, "aggs": {"p": {"percentiles": {"field": "n"}}, "c": {"cardinality": {"field": "tag"}}}},
        {"aggs": {"top": {"terms": {"field": "tag"}, "aggs": {"best": {"top_hits": {"size": 2, "sort": ["n"]}}}}}},
        {"query": {"terms": {"tag": {"index": "b", "id": "3", "path": "tag"}}}, "sort": ["n"]},
        {"query": {"more_like_this": {"fields": ["t"], "like": [{"_id": "3"}], "min_term_freq": 1}}},
        {"indices_boost": [{"b": 3}], "query": {"match": {"t": "word"}}},
        {"search_after": [30], "sort": ["n"]},
        {"highlight": {"fields": {"t": {}}}, "query": {"match": {"t": "word"}}},
        {"query": {"match": {"t": "word"}}, "rescore": {"query": {"rescore_query": {"term": {"tag": "tag3"}}}}},
        {"min_score": 0.1, "query": {"match": {"t": "word"}}},
        {"terminate_after": 2},
        {"query": {"match_none": {}}},
    ],
)
async def test_the_answer_is_that_of_one_node(tmp_path: Path, body: dict[str, Any]) -> None:
    async with several_nodes(tmp_path / "one", 1) as one, several_nodes(tmp_path / "three") as three:
        await filled(one, shards=5)
        await filled(three, shards=5)
        whole, parts = await one.search("b", body), await three.search("b", body, node=1)
    whole.pop("took")
    parts.pop("took")
    assert parts == whole


async def test_where_all_shards_serve_here_nobody_else_is_asked(cluster: SeveralNodes) -> None:
    await filled(cluster, replicas=2)
    asked = counted(cluster)
    for node in range(3):
        assert (await cluster.search("b", {"size": 0}, node))["hits"]["total"]["value"] == 60
    assert asked == [0, 0, 0]


async def test_each_shard_is_asked_once_and_each_node_too(cluster: SeveralNodes) -> None:
    await filled(cluster, shards=9, replicas=1)
    asked = counted(cluster)
    answer = await cluster.search("b", {"size": 0})
    assert answer["_shards"] == {"total": 9, "successful": 9, "skipped": 0, "failed": 0}
    assert answer["hits"]["total"]["value"] == 60
    assert asked[0] == 0
    assert max(asked) == 1


async def test_only_the_shards_of_a_routing_value_are_asked(cluster: SeveralNodes) -> None:
    await cluster.create("b", mappings=MAPPINGS)
    await cluster.write("b", [{**document, "_routing": "anna"} for document in DOCUMENTS])
    answer = await cluster.search("b", {"size": 0}, routing="anna")
    assert (answer["_shards"]["total"], answer["hits"]["total"]["value"]) == (1, 60)


async def test_a_copy_that_does_not_answer_is_replaced_by_another(cluster: SeveralNodes) -> None:
    await filled(cluster, shards=6, replicas=1)
    lost = cluster.nodes[2]
    # Cut off before the cluster notices: its copies still count as active.
    lost.gate.run_encoded = refuse
    for _ in range(5):
        answer = await cluster.search("b", {"size": 0})
        assert answer["_shards"] == {"total": 6, "successful": 6, "skipped": 0, "failed": 0}
        assert answer["hits"]["total"]["value"] == 60


async def test_a_shard_that_no_copy_answers_for_fails_alone(cluster: SeveralNodes) -> None:
    await filled(cluster)
    cluster.nodes[2].gate.run_encoded = refuse
    answer = await cluster.search("b", {"size": 0})
    assert {key: answer["_shards"][key] for key in ("total", "successful", "failed")} == {
        "total": 3, "successful": 2, "failed": 1
    }  # fmt: skip
    (failure,) = answer["_shards"]["failures"]
    assert (failure["index"], failure["node"]) == ("b", cluster.nodes[2].id)
    assert failure["reason"]["type"] == "node_disconnected_exception"
    with pytest.raises(SearchPhaseExecutionError) as refused:
        await cluster.search("b", {"size": 0}, allow_partial_search_results="false")
    assert refused.value.status == 503


async def test_a_shard_without_an_active_copy_fails(cluster: SeveralNodes) -> None:
    await filled(cluster)
    await cluster.stop(cluster.nodes[2])
    await until(lambda: sum(1 for held in cluster.holders("b") if held) == 2)
    answer = await cluster.search("b", {"size": 0})
    assert (answer["_shards"]["successful"], answer["_shards"]["failed"]) == (2, 1)
    assert answer["_shards"]["failures"][0]["reason"]["type"] == "no_shard_available_action_exception"
    lost = answer["_shards"]["failures"][0]["shard"]
    with pytest.raises(SearchPhaseExecutionError) as refused:
        await cluster.search("b", {"size": 0}, preference=f"_shards:{lost}")
    assert refused.value.status == 503


async def test_a_failure_says_on_which_node(cluster: SeveralNodes) -> None:
    await cluster.create("b", mappings=MAPPINGS)
    await cluster.create("other", mappings={"properties": {"n": {"type": "keyword"}}}, shards=1)
    answer = await cluster.search("b,other", {"aggs": {"s": {"histogram": {"field": "n", "interval": 2}}}})
    (failure,) = answer["_shards"]["failures"]
    (holders,) = cluster.holders("other")
    assert (failure["index"], failure["node"]) == ("other", cluster.nodes[holders.pop()].id)
    profiled = await cluster.search("b", {"profile": True})
    shown = {shard["id"] for shard in profiled["profile"]["shards"]}
    assert shown == {
        f"[{cluster.nodes[held.pop()].id}][b][{number}]" for number, held in enumerate(cluster.holders("b"))
    }


async def test_a_mistake_is_refused_as_by_one_node(cluster: SeveralNodes) -> None:
    await filled(cluster)
    with pytest.raises(ParsingError, match=r"unknown query \[nonsense\]"):
        await cluster.search("b", {"query": {"nonsense": {}}})
    with pytest.raises(SearchPhaseExecutionError) as refused:
        await cluster.search("b", {"query": {"range": {"n": {"gte": "x"}}}})
    assert refused.value.status == 400


@pytest.mark.parametrize("text", ["_primary", "_only_nodes", "_nonsense:1"])
async def test_a_preference_that_is_none_is_refused(cluster: SeveralNodes, text: str) -> None:
    await filled(cluster)
    with pytest.raises(IllegalArgumentError, match=r"no Preference for \["):
        await cluster.search("b", preference=text)


async def test_preferences(cluster: SeveralNodes) -> None:
    await filled(cluster, shards=6, replicas=1)
    ids = [node.id for node in cluster.nodes]

    async def nodes(preference: str, node: int = 0) -> list[str]:
        answer = await cluster.search("b", {"profile": True}, node, preference=preference)
        return [shard["id"].split("]")[0][1:] for shard in answer["profile"]["shards"]]

    held = [{ids[number] for number in numbers} for numbers in cluster.holders("b")]
    mine = [node == ids[0] for node in await nodes("_local")]
    assert mine == [ids[0] in holders for holders in held]
    assert set(await nodes("_only_local")) == {ids[0]}
    assert len(await nodes("_only_local")) == sum(mine)
    assert [node == ids[2] for node in await nodes(f"_prefer_nodes:{ids[2]}")] == [ids[2] in one for one in held]
    assert set(await nodes(f"_only_nodes:{ids[1]},crane-3,nobody")) == {ids[1], ids[2]}
    with pytest.raises(
        IllegalArgumentError, match=r"no data nodes with criteria \[nobody\] found for shard: \[b\]\[0\]"
    ):
        await nodes("_only_nodes:nobody")
    assert len(await nodes("_shards:1,4")) == 2
    for text in ("anna", "bert", "a session of somebody"):
        first = await nodes(text)
        assert await nodes(text, 1) == await nodes(text, 2) == first
    assert len({tuple(await nodes(f"session {number}")) for number in range(20)}) > 1


async def test_the_gateway_of_a_remote_cluster_asks_its_own_nodes(cluster: SeveralNodes, tmp_path: Path) -> None:
    await filled(cluster, shards=6)
    here = Cluster(tmp_path, "here")
    try:
        await here.node.start()
        seeds = {"cluster.remote.there.seeds": [cluster.nodes[0]._transport_address]}
        await here.run(UPDATE_SETTINGS, UpdateSettings(seeds))
        await here.node.remotes.ensure_connected("there")
        await here.create("mine")
        await here.write("mine", "1", n=-1)
        body = {"size": 100, "sort": ["n"], "aggs": {"s": {"sum": {"field": "n"}}}}
        answer = await here.search("there:b", body)
        assert [hit["_source"]["n"] for hit in answer["hits"]["hits"]] == list(range(60))
        assert {hit["_index"] for hit in answer["hits"]["hits"]} == {"there:b"}
        assert answer["_clusters"]["details"]["there"]["_shards"]["successful"] == 6
        both = await here.search("mine,there:b", body)
        assert [hit["_source"]["n"] for hit in both["hits"]["hits"]] == list(range(-1, 60))
        assert both["aggregations"]["s"]["value"] == sum(range(60)) - 1
        assert both["_shards"]["total"] == 7
        cluster.nodes[2].gate.run_encoded = refuse
        partial = await here.search("there:b", {"size": 0})
        assert {failure["index"] for failure in partial["_shards"]["failures"]} == {"there:b"}
    finally:
        await here.node.close()


async def refuse(*_: Any) -> bytes:
    raise NodeDisconnectedError("the node was cut off")


def counted(cluster: SeveralNodes) -> list[int]:
    """How many parts of searches each node is asked for, from now on."""
    asked = [0] * len(cluster.nodes)
    for number, node in enumerate(cluster.nodes):
        answer = node.gate.run_encoded

        async def noted(name: str, *rest: Any, number: int = number, answer: Any = answer) -> bytes:
            asked[number] += name == SEARCH_SHARDS.name
            return await answer(name, *rest)

        node.gate.run_encoded = noted
    return asked


class Hanging:
    """A node that lets what is asked of it unanswered from now on: all of it, or searches alone."""

    def __init__(self, node: Any, *, everything: bool) -> None:
        self.is_asked = asyncio.Event()
        self._node = node
        self._answer = node.gate.run_encoded
        self._everything = everything
        node.gate.run_encoded = self._run_encoded

    async def _run_encoded(self, name: str, *rest: Any) -> bytes:
        if name == SEARCH_SHARDS.name:
            self.is_asked.set()
        elif not self._everything:
            return await self._answer(name, *rest)
        await asyncio.Event().wait()
        raise AssertionError

    def end(self) -> None:
        del self._node.gate.run_encoded


async def test_a_search_waits_no_more_for_a_node_that_is_taken_out(cluster: SeveralNodes) -> None:
    await filled(cluster, shards=1, replicas=1)
    asked = next(iter(cluster.holders("b")[0] - {0}))
    out = cluster.nodes[asked]
    hanging = Hanging(out, everything=False)
    search = asyncio.ensure_future(cluster.search("b", {"size": 0}, preference=f"_prefer_nodes:{out.id}"))
    await hanging.is_asked.wait()
    await cluster.nodes[0].cluster.update(
        "taken out", lambda state: allocation.without_member(state, out.id, "a test", clock.now_ms())
    )
    answer = await search
    assert answer["_shards"] == {"total": 1, "successful": 1, "skipped": 0, "failed": 0}
    assert answer["hits"]["total"]["value"] == 60
    hanging.end()


async def test_a_search_waits_no_more_for_a_node_that_does_not_answer_its_checks(tmp_path: Path) -> None:
    """Even where nobody can take it out, because the state cannot be changed."""
    checks = "cluster.fault_detection.follower_check"
    async with several_nodes(tmp_path, 0) as cluster:
        for _ in range(3):
            await cluster.add(
                **{f"{checks}.interval": "50ms", f"{checks}.timeout": "300ms", f"{checks}.retry_count": "1"}
            )
        await filled(cluster, shards=1, replicas=2)
        store = cluster._engine.state_store
        commit = store.commit

        async def no_quorum(*_: Any) -> None:
            raise UnavailableShardsError("the bucket has no quorum")

        store.commit = no_quorum  # type: ignore[method-assign]
        hanging = Hanging(cluster.nodes[2], everything=True)
        answer = await cluster.search("b", {"size": 0}, 1, preference=f"_prefer_nodes:{cluster.nodes[2].id}")
        assert hanging.is_asked.is_set()
        assert answer["_shards"] == {"total": 1, "successful": 1, "skipped": 0, "failed": 0}
        assert cluster.nodes[2].id in cluster.nodes[1].cluster.state.nodes
        hanging.end()
        store.commit = commit  # type: ignore[method-assign]
