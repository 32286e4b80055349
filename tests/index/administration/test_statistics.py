from __future__ import annotations

from tests.index.administration.conftest import Administration
from tests.index.shards import index as write_op
from tests.index.shards import one

from hanse.index.administration import requests
from hanse.index.administration.requests import Recovery, Stats
from hanse.index.administration.statistics import added, node_statistics


async def filled(here: Administration) -> None:
    await here.create("a", settings={"number_of_shards": 2, "number_of_replicas": 0})
    await here.create("b")
    for number, shard in enumerate(here.indices.get("a").shards):
        await one(shard, write_op(f"{number}", n=number))
        await shard.refresh()


async def test_sums_over_shards_and_indices(here: Administration) -> None:
    await filled(here)
    answer = await here.run(requests.STATS, Stats())
    assert answer["_shards"] == {"total": 4, "successful": 3, "failed": 0}
    assert answer["_all"]["total"]["docs"]["count"] == 2
    a = answer["indices"]["a"]
    assert (a["health"], a["status"], a["total"]["indexing"]["index_total"]) == ("green", "open", 2)
    assert [a["shards"][n][0]["docs"]["count"] for n in ("0", "1")] == [1, 1]
    assert a["shards"]["0"][0]["seq_no"]["max_seq_no"] == 0
    assert "seq_no" not in a["total"]
    assert answer["indices"]["b"]["health"] == "yellow"


async def test_closed_indices_have_no_statistics(here: Administration) -> None:
    await filled(here)
    await here.by_names(requests.CLOSE, "a")
    assert list((await here.run(requests.STATS, Stats()))["indices"]) == ["b"]


async def test_segments(here: Administration) -> None:
    await filled(here)
    answer = await here.by_names(requests.SEGMENTS)
    assert answer["_shards"]["total"] == 3
    assert answer["indices"]["a"]["shards"]["0"][0]["segments"]["_0"]["num_docs"] == 1
    assert answer["indices"]["b"]["shards"]["0"][0]["segments"] == {}


async def test_recovery_says_done(here: Administration) -> None:
    await filled(here)
    shards = (await here.run(requests.RECOVERY, Recovery(("a",))))["a"]["shards"]
    assert [(shard["id"], shard["type"], shard["stage"]) for shard in shards] == [
        (0, "EMPTY_STORE", "DONE"),
        (1, "EMPTY_STORE", "DONE"),
    ]
    assert (shards[0]["source"], shards[0]["target"]["name"], shards[0]["primary"]) == ({}, "crane", True)
    assert await here.run(requests.RECOVERY, Recovery(("a",), active_only=True)) == {}
    await here.by_names(requests.CLOSE, "a")
    await here.by_names(requests.OPEN, "a")
    (reopened, _) = (await here.run(requests.RECOVERY, Recovery(("a",))))["a"]["shards"]
    assert (reopened["type"], reopened["index"]["size"]["percent"]) == ("EXISTING_STORE", "100.0%")


async def test_of_the_node(here: Administration) -> None:
    assert node_statistics(here.indices)["docs"] == {"count": 0, "deleted": 0}
    await filled(here)
    statistics = node_statistics(here.indices)
    assert statistics["docs"]["count"] == 2
    assert statistics["indices"]["a"]["docs"]["count"] == 2
    assert statistics["warmer"]["total"] == 0


def test_trees_add_up_leaf_by_leaf() -> None:
    left = {"a": {"n": 1, "b": True, "t": "x"}}
    right = {"a": {"n": 2.5, "b": False, "t": "y"}, "c": 1}
    assert added(left, right) == {"a": {"n": 3.5, "b": False, "t": "y"}, "c": 1}
    assert left == {"a": {"n": 1, "b": True, "t": "x"}}
