from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.replication.following import caught_up, follow, shard_stats
from tests.several_nodes import several_nodes
from tests.two_clusters import Cluster

from hanse.errors import HanseError, NodeDisconnectedError
from hanse.index.administration import requests as administration
from hanse.index.administration.requests import CreateIndex, PutTemplate, Rollover
from hanse.replication import requests
from hanse.replication.requests import ByFollower, Followers, OneIndex, PutFollow
from hanse.transport.actions import Empty

Pair = tuple[Cluster, Cluster]
PAUSED = r"no shard follow tasks for \[copy\]"


@pytest.fixture
async def followed(pair: Pair) -> Pair:
    here, there = pair
    await there.create("books", settings={"number_of_replicas": 0}, aliases={"library": {}})
    await there.write("books", "1", "2", n=1)
    assert await follow(here) == requests.FollowStarted(True, True, True)
    return pair


async def pause(here: Cluster) -> None:
    await here.run(requests.PAUSE_FOLLOW, ByFollower("copy"))


async def resume(here: Cluster, **body: Any) -> None:
    await here.run(requests.RESUME_FOLLOW, ByFollower("copy", body))


async def test_the_first_copy_is_there_when_follow_returns(followed: Pair) -> None:
    here, there = followed
    assert here.ids("copy") == there.ids("books")
    copy = here.node.cluster.state.indices["copy"]
    assert copy.is_follower
    assert (list(copy.aliases), list(copy.mappings["properties"])) == (["library"], ["n"])


async def test_without_waiting_nothing_is_promised(pair: Pair) -> None:
    here, there = pair
    await there.create("books")
    body = {"remote_cluster": "there", "leader_index": "books"}
    started = await here.run(requests.PUT_FOLLOW, PutFollow(("copy",), body))
    assert started == requests.FollowStarted(True, False, False)
    await there.write("books", "1", n=1)
    await caught_up(here, there)


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"leader_index": "none"}, 404, "no such index [none]"),
        ({"remote_cluster": "nowhere"}, 404, "no such remote cluster: [nowhere]"),
        ({"remote_cluster": None}, 400, "[remote_cluster] is missing"),
        ({"colour": "red"}, 400, "[1:1] [put_follow_request] unknown field [colour]"),
        ({"max_retry_delay": "0s"}, 400, "[max_retry_delay] must be positive"),
        ({"settings": {"number_of_shards": 2}}, 400, "can not put follower index that could override leader settings"),
        ({"leader_index": "library"}, 400, "cannot follow [library], because it is a ALIAS"),
    ],
)
async def test_follows_that_are_refused(followed: Pair, body: dict[str, Any], status: int, reason: str) -> None:
    with pytest.raises(HanseError) as raised:
        await follow(followed[0], "new", **{"leader": body.pop("leader_index", "books"), **body})
    assert (raised.value.status, reason in raised.value.reason) == (status, True), raised.value.reason
    assert "new" not in followed[0].node.cluster.state.indices


async def test_an_open_index_is_in_the_way(followed: Pair) -> None:
    with pytest.raises(HanseError, match=r"cannot restore index \[copy\] because an open index with same name already"):
        await follow(followed[0])


async def test_pause_stops_and_resume_goes_on(followed: Pair) -> None:
    here, there = followed
    await pause(here)
    with pytest.raises(HanseError, match=PAUSED):
        await pause(here)
    await there.write("books", "3", n=3)
    assert "3" not in here.ids("copy")
    (entry,) = (await here.run(requests.FOLLOW_INFO, Followers(("copy",))))["follower_indices"]
    assert (entry["status"], "parameters" in entry) == ("paused", False)
    await resume(here, max_read_request_operation_count=1)
    await caught_up(here, there)
    (entry,) = (await here.run(requests.FOLLOW_INFO, Followers(("c*",))))["follower_indices"]
    assert (entry["status"], entry["parameters"]["max_read_request_operation_count"]) == ("active", 1)


async def test_resume_refuses(followed: Pair) -> None:
    here, there = followed
    with pytest.raises(HanseError, match=r"task with id \{.*-0\} already exist"):
        await resume(here)
    await pause(here)
    with pytest.raises(HanseError, match=r"\[resume_follow\] unknown field \[leader_index\]"):
        await resume(here, leader_index="x")
    await here.by_names(administration.CLOSE, "copy")
    with pytest.raises(HanseError, match="leader and follow index must be open"):
        await resume(here)
    await here.by_names(administration.OPEN, "copy")
    await there.by_names(administration.DELETE, "books")
    await there.create("books")
    with pytest.raises(HanseError, match=r"as leader index but instead reference \["):
        await resume(here)
    await here.create("own")
    with pytest.raises(HanseError, match=r"follow index \[own\] does not have ccr metadata"):
        await here.run(requests.RESUME_FOLLOW, ByFollower("own"))


async def test_unfollow_needs_a_closed_index_and_takes_the_lease(followed: Pair) -> None:
    here, there = followed
    assert there.shard("books").leases()

    async def unfollow() -> None:
        await here.run(requests.UNFOLLOW, OneIndex(("copy",)))

    with pytest.raises(HanseError, match="because it has not been closed"):
        await unfollow()
    await here.by_names(administration.CLOSE, "copy")
    with pytest.raises(HanseError, match="because it has not been paused"):
        await unfollow()
    await pause(here)
    await unfollow()
    assert not there.shard("books").leases()
    copy = here.node.cluster.state.indices["copy"]
    assert (copy.is_follower, copy.custom) == (False, {})
    await here.by_names(administration.OPEN, "copy")
    (written,) = await here.write("copy", "own", n=9)
    assert written.seq_no == 2


async def test_unfollow_says_which_lease_it_could_not_remove(followed: Pair) -> None:
    here, there = followed
    await pause(here)
    await here.by_names(administration.CLOSE, "copy")
    await there.node.close()
    with pytest.raises(HanseError) as raised:
        await here.run(requests.UNFOLLOW, OneIndex(("copy",)))
    (lease,) = raised.value.metadata["failed_to_remove_retention_leases"]
    assert lease.startswith("here/copy/")
    assert not here.node.cluster.state.indices["copy"].is_follower


async def test_stats(followed: Pair) -> None:
    here, _ = followed
    shard = await shard_stats(here)
    assert (shard["leader_index"], shard["follower_index"], shard["shard_id"]) == ("books", "copy", 0)
    assert (shard["follower_global_checkpoint"], shard["operations_written"]) == (1, 2)
    both = await here.run(requests.STATS, Empty())
    assert [entry["index"] for entry in both["follow_stats"]["indices"]] == ["copy"]
    await pause(here)
    with pytest.raises(HanseError, match=r"No shard follow tasks for follower indices \[copy\]"):
        await here.run(requests.FOLLOW_STATS, Followers(("copy",)))
    assert await here.run(requests.FOLLOW_STATS, Followers(("c*",))) == {"indices": []}


@pytest.mark.parametrize("action", [requests.FOLLOW_INFO, requests.FOLLOW_STATS])
async def test_an_index_that_is_not_there(pair: Pair, action: Any) -> None:
    with pytest.raises(HanseError, match=r"no such index \[none\]"):
        await pair[0].run(action, Followers(("none",)))
    await pair[0].create("own")
    answer = await pair[0].run(action, Followers(("_all",)))
    assert list(answer.values()) == [[]]


async def test_statistics_name_the_nodes_that_did_not_answer(tmp_path: Path) -> None:
    async def refuse(*_: Any) -> bytes:
        raise NodeDisconnectedError("the node was cut off")

    async with several_nodes(tmp_path, 2) as cluster:
        first, second = cluster.nodes
        for action, request in ((requests.STATS, Empty()), (requests.FOLLOW_STATS, Followers())):
            assert "_nodes" not in await cluster.run(action, request)
        second.gate.run_encoded = refuse
        for master in (first.id, second.id):
            await first.cluster.update(
                "another master", lambda state, master=master: msgspec.structs.replace(state, master_node=master)
            )
            nodes = (await cluster.run(requests.STATS, Empty()))["_nodes"]
            (failure,) = nodes.pop("failures")
            assert nodes == {"total": 2, "successful": 1, "failed": 1}
            assert (failure["node_id"], failure["caused_by"]["reason"]) == (second.id, "the node was cut off")
        assert (await cluster.run(requests.FOLLOW_STATS, Followers()))["_nodes"]["failed"] == 1
        del second.gate.run_encoded


async def test_a_backing_index_is_not_followed_beside_a_stream_that_is_written_here(pair: Pair) -> None:
    here, there = pair
    template = PutTemplate("logs", {"index_patterns": ["logs"], "data_stream": {}})
    for cluster in pair:
        await cluster.run(administration.PUT_INDEX_TEMPLATE, template)
        await cluster.run(administration.CREATE_DATA_STREAM, CreateIndex(("logs",)))
    rolled = await there.run(administration.ROLLOVER, Rollover(("logs",)))
    body = {"remote_cluster": "there", "leader_index": rolled["new_index"]}
    with pytest.raises(HanseError, match=r"local data stream \[logs\] is no longer marked as replicated"):
        await here.run(requests.PUT_FOLLOW, PutFollow((rolled["new_index"],), body))
    await here.run(requests.PUT_FOLLOW, PutFollow(("copy",), body))
    copy = here.node.cluster.state.indices["copy"]
    assert (copy.data_stream, copy.aliases) == ("", {})
