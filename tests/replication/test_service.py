from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.replication.following import caught_up, follow, shard_stats
from tests.two_clusters import Cluster, until

from hanse.cluster.routing import ShardCopy, ShardRouting
from hanse.cluster.state import ClusterState, IndexMetadata
from hanse.index.administration import requests as administration
from hanse.index.administration.requests import AliasAction, PutMapping, PutSettings, UpdateAliases
from hanse.node import Node, read_settings
from hanse.replication import requests
from hanse.replication.requests import ByFollower
from hanse.replication.service import _follows_of

Pair = tuple[Cluster, Cluster]


async def test_writes_and_deletes_follow_with_their_numbers(pair: Pair) -> None:
    here, there = pair
    await there.create("books", settings={"number_of_shards": 2})
    await follow(here)
    await there.write("books", *map(str, range(50)), n=1)
    await there.write("books", "7", "8", n=2)
    await there.write("books", "9", delete=True)
    await caught_up(here, there)
    assert "9" not in here.ids("copy")


async def test_mapping_settings_and_aliases_follow(pair: Pair) -> None:
    here, there = pair
    await there.create("books")
    await follow(here)

    async def change() -> None:
        await there.run(administration.PUT_MAPPING, PutMapping(("books",), {"properties": {"k": {"type": "keyword"}}}))
        await there.run(administration.PUT_SETTINGS, PutSettings(("books",), {"hidden": True, "number_of_replicas": 7}))
        await there.run(administration.UPDATE_ALIASES, UpdateAliases((AliasAction("add", ("books",), ("x",)),)))

    await change()
    copy = here.node.cluster.state.indices
    await until(lambda: copy_has(here))
    assert copy["copy"].number_of_replicas == 1
    shard = await shard_stats(here)
    leader = there.node.cluster.state.indices["books"]
    assert shard["follower_mapping_version"] <= leader.mapping_version


def copy_has(here: Cluster) -> bool:
    copy = here.node.cluster.state.indices["copy"]
    return "k" in copy.mappings.get("properties", {}) and copy.is_hidden and "x" in copy.aliases


async def test_closing_or_deleting_a_follower_ends_its_tasks(pair: Pair) -> None:
    here, there = pair
    await there.create("books")
    await follow(here)
    await here.by_names(administration.CLOSE, "copy")
    assert here.node.replication.follows("copy") == []
    await here.by_names(administration.OPEN, "copy")
    await until(lambda: here.node.replication.follows("copy"))
    await there.write("books", "1", n=1)
    await caught_up(here, there)
    await here.by_names(administration.DELETE, "copy")
    assert here.node.replication.follows("copy") == []


async def test_it_goes_on_after_a_restart(pair: Pair, tmp_path: Path) -> None:
    here, there = pair
    await there.create("books")
    await there.write("books", "1", n=1)
    await follow(here)
    settings = here.node.settings
    await here.node.close()
    await there.write("books", "2", n=2)
    here.node = Node(tmp_path / "here", read_settings(tmp_path / "here", dict(settings)))  # type: ignore[arg-type]
    await here.node.start()
    await caught_up(here, there)


async def test_a_deleted_leader_halts_and_says_so(pair: Pair) -> None:
    here, there = pair
    await there.create("books")
    await follow(here)
    await there.by_names(administration.DELETE, "books")
    await until(lambda: here.node.replication.follows("copy")[0].loop.halted)
    shard = await shard_stats(here)
    assert shard["fatal_exception"]["type"] == "index_not_found_exception"
    assert shard["failed_read_requests"] == 1


async def test_a_closed_leader_is_waited_for(pair: Pair) -> None:
    here, there = pair
    await there.create("books")
    await follow(here, max_retry_delay="10ms")
    await there.by_names(administration.CLOSE, "books")
    await until(lambda: here.node.replication.follows("copy")[0].counters.read_failure)
    shard = await shard_stats(here)
    assert shard["read_exceptions"][0]["exception"]["type"] == "index_closed_exception"
    await there.by_names(administration.OPEN, "books")
    await there.write("books", "1", n=1)
    await caught_up(here, there)
    assert (await shard_stats(here))["read_exceptions"] == []


async def test_pauses_and_resumes_in_a_row_leave_one_task_a_shard(pair: Pair) -> None:
    here, there = pair
    await there.create("books")
    await follow(here)
    for _ in range(3):
        await here.run(requests.PAUSE_FOLLOW, ByFollower("copy"))
        await here.run(requests.RESUME_FOLLOW, ByFollower("copy"))
    await there.write("books", "1", n=1)
    await caught_up(here, there)
    assert len(here.node.replication.follows("copy")) == 1
    named = [task for task in asyncio.all_tasks() if task.get_name().startswith("follow copy[0]")]
    assert len(named) <= 3


def state_with(status: str, *primaries: ShardCopy) -> ClusterState:
    ccr = {"remote_cluster": "there", "leader_uuid": "leader", "status": status, "run": "r"}
    settings: dict[str, Any] = {"index.xpack.ccr.following_index": "true"}
    copy = IndexMetadata(
        "copy", "u", settings, number_of_shards=len(primaries), primary_terms=(1,) * len(primaries), custom={"ccr": ccr}
    )
    routing = {"copy": tuple(ShardRouting((primary,)) for primary in primaries)}
    return ClusterState("here", "uuid", indices={"copy": copy}, routing=routing)


def primary(node: str, allocation_id: str = "a", **more: Any) -> ShardCopy:
    return ShardCopy(node, allocation_id, is_primary=True, state=more.pop("state", "STARTED"), **more)


def test_a_node_follows_the_shards_whose_primary_it_has() -> None:
    state = state_with("active", primary("n1"), primary("n2"), primary("n1", state="INITIALIZING"), primary("n1"))
    assert list(_follows_of(state, "copy", "n1")) == [0, 3]
    assert list(_follows_of(state, "copy", "n2")) == [1]
    assert _follows_of(state, "copy", "n3") == {}
    assert _follows_of(state, "none", "n1") == {}
    assert _follows_of(state_with("paused", primary("n1")), "copy", "n1") == {}


def test_a_primary_that_went_and_came_back_is_followed_anew() -> None:
    first, again = (_follows_of(state_with("active", primary("n1", id)), "copy", "n1") for id in ("a", "b"))
    assert first[0] != again[0]
    assert first == _follows_of(state_with("active", primary("n1", "a")), "copy", "n1")
