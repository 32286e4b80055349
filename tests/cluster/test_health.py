from __future__ import annotations

import asyncio
from typing import Any, cast

import msgspec
import pytest
from tests.cluster.conftest import CRANE, NOW_MS, start_all

from hanse.cluster.allocation import failed, with_member, without_member
from hanse.cluster.health import HealthAction
from hanse.cluster.requests import Health
from hanse.cluster.state import ClusterState, IndexMetadata
from hanse.cluster.updates import ClusterService
from hanse.errors import IllegalArgumentError
from hanse.transport.actions import Call, IndicesOptions

NOBODY = cast(Call, None)
replaced = msgspec.structs.replace


async def add(
    cluster: ClusterService, name: str, shards: int = 1, replicas: int = 0, state: str = "open", start: bool = True
) -> None:
    index = IndexMetadata(
        name, name, {}, state=state, number_of_shards=shards, number_of_replicas=replicas, primary_terms=(1,) * shards
    )
    await cluster.update("add", lambda old: old.with_index(index))
    if start:
        await start_all(cluster)


async def health(cluster: ClusterService, *indices: str, **how: Any) -> dict[str, Any]:
    return await HealthAction(cluster).health(NOBODY, Health(indices, **{"timeout_s": 0.01, **how}))


async def test_an_empty_cluster_is_green(cluster: ClusterService) -> None:
    answer = await health(cluster)
    assert (answer["status"], answer["number_of_nodes"], answer["active_shards"]) == ("green", 1, 0)
    assert answer["active_shards_percent_as_number"] == 100.0


async def test_replicas_of_a_single_node_stay_unassigned(cluster: ClusterService) -> None:
    await add(cluster, "a", shards=3, replicas=1)
    await add(cluster, "b")
    answer = await health(cluster, level="shards")
    assert (answer["status"], answer["active_shards"], answer["unassigned_shards"]) == ("yellow", 4, 3)
    assert answer["active_shards_percent_as_number"] == pytest.approx(400 / 7)
    assert [answer["indices"][name]["status"] for name in ("a", "b")] == ["yellow", "green"]
    assert answer["indices"]["a"]["shards"]["2"]["unassigned_shards"] == 1


@pytest.mark.parametrize(
    ("indices", "options", "shown"),
    [
        ((), None, ["a", "b"]),
        (("a",), None, ["a"]),
        (("*",), IndicesOptions(), ["a"]),
        (("*",), IndicesOptions(expand_open=False, expand_closed=True), ["b"]),
    ],
)
async def test_of_some_indices(
    cluster: ClusterService, indices: tuple[str, ...], options: IndicesOptions | None, shown: list[str]
) -> None:
    await add(cluster, "a")
    await add(cluster, "b", state="close")
    answer = await health(cluster, *indices, level="indices", **({"options": options} if options else {}))
    assert list(answer["indices"]) == shown


@pytest.mark.parametrize(
    ("how", "timed_out"),
    [
        ({"wait_for_status": "yellow"}, False),
        ({"wait_for_status": "green"}, True),
        ({"wait_for_nodes": "1"}, False),
        ({"wait_for_nodes": ">=1"}, False),
        ({"wait_for_nodes": "ge(2)"}, True),
        ({"wait_for_nodes": "<2"}, False),
        ({"wait_for_nodes": "lt(1)"}, True),
        ({"wait_for_nodes": "<=1"}, False),
        ({"wait_for_nodes": "gt(1)"}, True),
        ({"wait_for_active_shards": "0"}, False),
        ({"wait_for_active_shards": "1"}, False),
        ({"wait_for_active_shards": "2"}, True),
        ({"wait_for_active_shards": "all"}, True),
        ({"wait_for_no_relocating_shards": True, "wait_for_no_initializing_shards": True}, False),
    ],
)
async def test_waiting(cluster: ClusterService, how: dict[str, Any], timed_out: bool) -> None:
    await add(cluster, "a", replicas=1)
    answer = await health(cluster, **how)
    assert (answer["timed_out"], answer["status"]) == (timed_out, "yellow")


async def test_a_missing_index_is_red_and_waited_for(cluster: ClusterService) -> None:
    answer = await health(cluster, "a")
    assert (answer["timed_out"], answer["status"]) == (True, "red")
    waiting = asyncio.create_task(health(cluster, "a", wait_for_status="green", timeout_s=30.0))
    await asyncio.sleep(0)
    await add(cluster, "a")
    answer = await waiting
    assert (answer["timed_out"], answer["status"], answer["active_shards"]) == (False, "green", 1)


@pytest.mark.parametrize("how", [{"wait_for_nodes": "many"}, {"wait_for_active_shards": "some"}])
async def test_conditions_that_cannot_be_read(cluster: ClusterService, how: dict[str, Any]) -> None:
    with pytest.raises(IllegalArgumentError):
        await health(cluster, **how)


async def test_nobody_listens_when_the_wait_is_over(cluster: ClusterService) -> None:
    await health(cluster, wait_for_nodes="9")
    seen: list[ClusterState] = []
    cluster.subscribe(lambda old, new: seen.append(new))
    await add(cluster, "a")
    assert len(cluster._listeners) == 1


async def test_a_shard_that_fails_is_red_until_it_serves_again(cluster: ClusterService) -> None:
    await add(cluster, "a", shards=3, replicas=1)
    await add(cluster, "b")
    primary = cluster.state.routing["a"][1].primary
    assert primary is not None
    await cluster.update(
        "fail", lambda state: failed(state, "a", 1, primary.allocation_id, "the log was cut off", NOW_MS)
    )
    answer = await health(cluster, level="shards")
    assert (answer["status"], answer["active_primary_shards"], answer["initializing_shards"]) == ("red", 3, 1)
    assert answer["unassigned_shards"] == 3
    shards = answer["indices"]["a"]["shards"]
    assert [shards[number]["status"] for number in "012"] == ["yellow", "red", "yellow"]
    assert [shards[number]["primary_active"] for number in "012"] == [True, False, True]
    assert answer["indices"]["b"]["status"] == "green"
    waiting = asyncio.create_task(health(cluster, wait_for_status="yellow", timeout_s=30.0))
    await asyncio.sleep(0)
    await start_all(cluster)
    answer = await waiting
    assert (answer["timed_out"], answer["status"]) == (False, "yellow")


async def test_waiting_for_copies_to_come_to_rest(cluster: ClusterService) -> None:
    await add(cluster, "a", start=False)
    assert (await health(cluster, wait_for_no_initializing_shards=True))["timed_out"]
    assert (await health(cluster, wait_for_active_shards="all"))["timed_out"]
    assert not (await health(cluster, wait_for_no_relocating_shards=True))["timed_out"]
    waiting = asyncio.create_task(health(cluster, wait_for_no_initializing_shards=True, timeout_s=30.0))
    await asyncio.sleep(0)
    await start_all(cluster)
    assert not (await waiting)["timed_out"]


async def test_copies_move_when_a_node_joins(cluster: ClusterService) -> None:
    for name in ("a", "b", "c", "d"):
        await add(cluster, name)
    await cluster.update("join", lambda state: with_member(state, replaced(CRANE, id="n2", name="tug"), NOW_MS))
    answer = await health(cluster, wait_for_no_relocating_shards=True)
    assert answer["timed_out"]
    assert (answer["status"], answer["relocating_shards"], answer["initializing_shards"]) == ("green", 2, 0)
    assert (answer["number_of_nodes"], answer["active_shards"]) == (2, 4)


async def test_replicas_of_a_node_that_left_are_delayed(cluster: ClusterService) -> None:
    await cluster.update("join", lambda state: with_member(state, replaced(CRANE, id="n2", name="tug"), NOW_MS))
    await add(cluster, "a", replicas=1)
    assert (await health(cluster))["status"] == "green"
    await cluster.update("leave", lambda state: without_member(state, "n2", "node_left [n2]", NOW_MS))
    answer = await health(cluster)
    assert (answer["status"], answer["unassigned_shards"], answer["delayed_unassigned_shards"]) == ("yellow", 1, 1)
