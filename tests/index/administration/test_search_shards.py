"""Which shards a search would ask: all, those of a routing value, those behind an alias."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.several_nodes import several_nodes

from hanse.index.administration.requests import SEARCH_SHARDS, SearchShards

from .conftest import Administration

ONE, TWO = {"term": {"f": 1}}, {"term": {"f": 2}}


async def asked(here: Administration, *names: str, routing: str | None = None) -> Any:
    return await here.run(SEARCH_SHARDS, SearchShards(names, routing=routing))


async def test_shards_of_an_expression(here: Administration) -> None:
    await here.create("b", settings={"number_of_shards": 3})
    await here.create("a")
    answer = await asked(here)
    assert [(copy["index"], copy["shard"]) for (copy,) in answer["shards"]] == [("a", 0), ("b", 0), ("b", 1), ("b", 2)]
    assert answer["indices"] == {"a": {}, "b": {}}
    (routed,) = (await asked(here, "b", routing="x"))["shards"]
    assert routed[0]["shard"] == here.indices.get("b").shard_for("", "x").number


async def test_aliases_are_named_with_what_they_filter(here: Administration) -> None:
    aliases = {"plain": {}, "one": {"filter": ONE, "routing": "x"}, "two": {"filter": TWO}}
    await here.create("a", aliases=aliases, settings={"number_of_shards": 4})
    assert (await asked(here, "plain"))["indices"] == {"a": {"aliases": ["plain"]}}
    answer = await asked(here, "one")
    assert answer["indices"] == {"a": {"aliases": ["one"], "filter": ONE}}
    assert len(answer["shards"]) == 1
    both = (await asked(here, "one", "two"))["indices"]["a"]
    assert both == {"aliases": ["one", "two"], "filter": {"bool": {"should": [ONE, TWO]}}}
    assert "filter" not in (await asked(here, "one", "plain"))["indices"]["a"]


async def test_every_copy_of_every_shard_is_told_by_any_node(tmp_path: Path) -> None:
    async with several_nodes(tmp_path) as cluster:
        await cluster.create("b", shards=4, replicas=1)
        ids = [node.id for node in cluster.nodes]
        held = [{ids[number] for number in numbers} for numbers in cluster.holders("b")]
        for node in range(3):
            answer = await cluster.run(SEARCH_SHARDS, SearchShards(("b",)), node)
            assert [{copy["node"] for copy in copies} for copies in answer["shards"]] == held
            assert [[copy["primary"] for copy in copies] for copies in answer["shards"]] == [[True, False]] * 4
            assert set(answer["nodes"]) == set(ids)
