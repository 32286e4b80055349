"""Following through nodes without the role `remote_cluster_client`: they pass it on to one that has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.several_nodes import SeveralNodes, several_nodes
from tests.two_clusters import Cluster, until

from hanse.cluster.requests import UPDATE_SETTINGS, UpdateSettings
from hanse.cluster.state import ClusterState, NodeMetadata
from hanse.errors import IllegalArgumentError, IndexNotFoundError, NodeDisconnectedError
from hanse.index.administration import requests as administration
from hanse.index.administration.requests import ByNames
from hanse.replication import auto_follow, requests
from hanse.replication.remote_client import watching_node
from hanse.replication.requests import AutoFollowPattern, ByFollower, OneIndex, PutFollow
from hanse.transport.actions import Empty

LEADER = {"remote_cluster": "there", "leader_index": "books"}
WITHOUT = {"node.roles": "master,data"}


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[Cluster]:
    made = Cluster(tmp_path, "there")
    await made.node.start()
    try:
        await made.create("books", settings={"number_of_replicas": 0})
        await made.write("books", "1", "2", n=1)
        yield made
    finally:
        await made.node.close()


@pytest.fixture
async def cluster(tmp_path: Path, there: Cluster) -> AsyncIterator[SeveralNodes]:
    """Node 0, the master, lacks the role; node 1 has it."""
    async with several_nodes(tmp_path, 0) as made:
        await made.add(**WITHOUT)
        await made.add()
        await connect(made, there)
        yield made


async def connect(cluster: SeveralNodes, there: Cluster) -> None:
    settings: dict[str, Any] = {"cluster.remote.there.seeds": [there.node._transport_address]}
    await cluster.run(UPDATE_SETTINGS, UpdateSettings(settings))


async def test_a_follow_is_begun_resumed_and_ended_through_a_node_without_the_role(
    cluster: SeveralNodes, there: Cluster
) -> None:
    started = await cluster.run(requests.PUT_FOLLOW, PutFollow(("copy",), LEADER, "1"))
    assert started == requests.FollowStarted(True, True, True)
    await cluster.run(requests.PAUSE_FOLLOW, ByFollower("copy"))
    await cluster.run(requests.RESUME_FOLLOW, ByFollower("copy"))
    await cluster.run(requests.PAUSE_FOLLOW, ByFollower("copy"))
    await cluster.run(administration.CLOSE, ByNames(("copy",)))
    assert there.shard("books").leases()
    await cluster.run(requests.UNFOLLOW, OneIndex(("copy",)))
    assert not there.shard("books").leases()


async def test_what_the_other_node_refuses_is_refused(cluster: SeveralNodes) -> None:
    with pytest.raises(IndexNotFoundError):
        await cluster.run(requests.PUT_FOLLOW, PutFollow(("copy",), {**LEADER, "leader_index": "none"}))


async def test_what_became_of_a_follow_that_was_cut_off_is_not_guessed(cluster: SeveralNodes) -> None:
    async def cut_off(*_: Any) -> bytes:
        raise NodeDisconnectedError("the node was cut off")

    await cluster.add()
    cluster.nodes[1].gate.run_encoded = cut_off
    with pytest.raises(NodeDisconnectedError):
        await cluster.run(requests.PUT_FOLLOW, PutFollow(("copy",), LEADER))
    del cluster.nodes[1].gate.run_encoded


async def test_auto_follow_works_where_the_master_lacks_the_role(
    cluster: SeveralNodes, there: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto_follow, "LOOK_EVERY_S", 0.02)
    assert cluster.nodes[0].cluster.state.master_node == cluster.nodes[0].id
    body = {"remote_cluster": "there", "leader_index_patterns": ["logs-*"]}
    await cluster.run(requests.PUT_AUTO_FOLLOW, AutoFollowPattern("logs", body))
    await there.create("logs-1")
    await until(lambda: "logs-1" in cluster.nodes[0].cluster.state.indices)
    await until(lambda: cluster.nodes[1].auto_follow.stats()["number_of_successful_follow_indices"])
    stats = (await cluster.run(requests.STATS, Empty()))["auto_follow_stats"]
    assert stats["number_of_successful_follow_indices"] == 1


async def test_without_any_such_node_it_is_refused(tmp_path: Path, there: Cluster) -> None:
    async with several_nodes(tmp_path, 0) as cluster:
        await cluster.add(**WITHOUT)
        await cluster.add(**WITHOUT)
        await connect(cluster, there)
        with pytest.raises(IllegalArgumentError) as raised:
            await cluster.run(requests.PUT_FOLLOW, PutFollow(("copy",), LEADER))
        assert raised.value.reason == "node [crane-1] does not have the remote cluster client role enabled"


def test_one_node_watches() -> None:
    nodes = {
        id: NodeMetadata(id, id, "", "", roles=roles)
        for id, roles in (("a", ("master",)), ("b", ("remote_cluster_client",)), ("c", ("remote_cluster_client",)))
    }
    for master, watching in (("a", "b"), ("b", "b"), ("c", "c"), (None, "b")):
        state = ClusterState("here", "uuid", nodes=nodes, master_node=master)
        assert watching_node(state) == watching
    assert watching_node(msgspec.structs.replace(state, nodes={"a": nodes["a"]}, master_node="a")) is None
