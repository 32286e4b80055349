"""The leader's side, asked as a follower asks: on its own cluster, through its gate."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import structs
from tests.two_clusters import ANYBODY, Cluster

from hanse.errors import HanseError, IndexClosedError, IndexNotFoundError, RetryOnPrimaryError, SecurityError
from hanse.index.administration import requests as administration
from hanse.index.administration.requests import PutMapping
from hanse.replication.leader import Leader, lease_id_of
from hanse.replication.requests import (
    CHANGES_AT_PRIMARY,
    FORGET_FOLLOWER,
    LEADER_INDEXES,
    LEADER_METADATA,
    LEASE_AT_PRIMARY,
    REMOVE_LEASE,
    SHARD_CHANGES,
    ChangesAtPrimary,
    LeaderIndexes,
    LeaseAtPrimary,
    OneIndex,
    RemoveLease,
    ShardChanges,
    ShardChangesAnswer,
)
from hanse.transport.actions import Call, IndicesOptions, Origin, Target, Targets
from hanse.transport.identity import SYSTEM

Pair = tuple[Cluster, Cluster]


async def leader(pair: Pair, **body: Any) -> Cluster:
    await pair[1].create("books", **body)
    return pair[1]


def uuid(there: Cluster) -> str:
    return there.node.cluster.state.indices["books"].uuid


async def changes(there: Cluster, after: int, **more: Any) -> ShardChangesAnswer:
    index = there.node.cluster.state.indices["books"]
    members = {
        "leader_uuid": index.uuid,
        "poll_timeout_s": 0.01,
        "versions": (index.mapping_version, index.settings_version, index.aliases_version),
        "shard": 0,
        **more,
    }
    answer: ShardChangesAnswer = await there.run(SHARD_CHANGES, ShardChanges(("books",), after=after, **members))
    return answer


async def test_a_name_that_the_gate_dropped_is_not_served(pair: Pair) -> None:
    """What names an index and excludes it again reaches others only, and the index named first is not among them."""
    there = await leader(pair)
    await there.create("papers")
    await there.write("books", "1", n=1)
    dropped = ("books", "*", "-books")
    with pytest.raises(IndexNotFoundError, match="books"):
        await there.run(LEADER_METADATA, OneIndex(dropped, options=IndicesOptions()))
    with pytest.raises(IndexNotFoundError, match="books"):
        await there.run(
            SHARD_CHANGES,
            ShardChanges(
                dropped, after=-1, leader_uuid=uuid(there), poll_timeout_s=0.01, versions=(1, 1, 1), shard=0,
                options=IndicesOptions(),
            ),
        )  # fmt: skip


async def test_metadata(pair: Pair) -> None:
    there = await leader(pair, settings={"number_of_shards": 2}, aliases={"x": {"routing": "r"}})
    await there.write("books", "1", n=1)
    metadata = await there.run(LEADER_METADATA, OneIndex(("books",)))
    assert (metadata.uuid, metadata.number_of_shards, metadata.cluster_name) == (uuid(there), 2, "there")
    assert metadata.aliases == {"x": {"index_routing": "r", "search_routing": "r"}}
    with pytest.raises(HanseError, match=r"cannot follow \[x\], because it is a ALIAS"):
        await there.run(LEADER_METADATA, OneIndex(("x",)))
    with pytest.raises(IndexNotFoundError):
        await there.run(LEADER_METADATA, OneIndex(("none",)))
    await there.by_names(administration.CLOSE, "books")
    with pytest.raises(IndexClosedError):
        await there.run(LEADER_METADATA, OneIndex(("books",)))


async def test_the_feed_after_a_position(pair: Pair) -> None:
    there = await leader(pair)
    await there.write("books", "1", "2", "3", n=1)
    await there.write("books", "2", delete=True)
    answer = await changes(there, 0)
    assert [(op.seq_no, op.id, op.deleted) for op in answer.operations] == [(2, "3", False), (3, "2", True)]
    assert (answer.up_to, answer.max_seq_no) == (3, 3)
    part = await changes(there, -1, max_operation_count=1)
    assert ([op.id for op in part.operations], part.max_seq_no) == (["1"], 3)


async def test_a_poll_with_nothing_new_answers_empty(pair: Pair) -> None:
    there = await leader(pair)
    await there.write("books", "1", n=1)
    answer = await changes(there, 0)
    assert (answer.operations, answer.up_to) == ([], 0)


async def test_a_poll_wakes_for_a_write_and_for_a_mapping(pair: Pair) -> None:
    there = await leader(pair)
    polling = asyncio.create_task(changes(there, -1, poll_timeout_s=60.0))
    await asyncio.sleep(0)
    await there.write("books", "1")
    assert (await polling).max_seq_no == 0
    polling = asyncio.create_task(changes(there, 0, poll_timeout_s=60.0))
    await asyncio.sleep(0)
    await there.run(administration.PUT_MAPPING, PutMapping(("books",), {"properties": {"n": {"type": "long"}}}))
    answer = await polling
    assert (answer.operations, answer.mapping_version) == ([], 2)


async def test_a_follower_behind_in_metadata_does_not_wait(pair: Pair) -> None:
    there = await leader(pair)
    assert (await changes(there, -1, versions=(0, 0, 0), poll_timeout_s=60.0)).mapping_version == 1


@pytest.mark.parametrize(
    ("more", "reason"),
    [({"leader_uuid": "old"}, "the leader was deleted and made anew"), ({"shard": 7}, "has no shard [7]")],
)
async def test_polls_that_are_refused(pair: Pair, more: dict[str, Any], reason: str) -> None:
    there = await leader(pair)
    with pytest.raises(HanseError) as raised:
        await changes(there, -1, **more)
    assert reason in raised.value.reason


async def test_a_poll_ends_when_the_leader_is_deleted(pair: Pair) -> None:
    there = await leader(pair)
    polling = asyncio.create_task(changes(there, -1, poll_timeout_s=60.0))
    await asyncio.sleep(0.01)
    await there.by_names(administration.DELETE, "books")
    with pytest.raises(IndexNotFoundError):
        await polling


async def test_a_lease_stands_where_the_follower_is(pair: Pair) -> None:
    there = await leader(pair)
    await there.write("books", "1", "2", n=1)
    await changes(there, 0, lease_id="mine")
    (lease,) = there.shard("books").leases()
    assert (lease.id, lease.retaining_seq_no) == ("mine", 1)
    await changes(there, 1, lease_id="mine")
    assert there.shard("books").leases()[0].retaining_seq_no == 1, "renewed at most every half minute"
    request = RemoveLease("books", uuid(there), "mine")
    for _ in range(2):
        await there.node.gate.run(REMOVE_LEASE, request, SYSTEM, Origin())
    assert not there.shard("books").leases()


async def test_forget_a_follower(pair: Pair) -> None:
    there = await leader(pair, settings={"number_of_shards": 2})
    id = lease_id_of("here", "copy", "copy-uuid", "there", "books", uuid(there))
    await changes(there, -1, lease_id=id)
    body = {
        "follower_cluster": "here",
        "follower_index": "copy",
        "follower_index_uuid": "copy-uuid",
        "leader_remote_cluster": "there",
    }
    shards = (await there.run(FORGET_FOLLOWER, OneIndex(("books",), body)))["_shards"]
    assert (shards["total"], shards["successful"], shards["failed"]) == (2, 1, 1)
    assert shards["failures"][0]["shard"] == 1
    assert not there.shard("books").leases()
    with pytest.raises(HanseError, match=r"\[follower_index\] is missing"):
        await there.run(FORGET_FOLLOWER, OneIndex(("books",), {"follower_cluster": "here"}))


async def test_index_names_for_auto_follow(pair: Pair) -> None:
    there = await leader(pair)
    assert await there.run(LEADER_INDEXES, LeaderIndexes()) == {"books": {"uuid": uuid(there), "open": True}}
    assert ANYBODY.username == "anybody"


async def test_what_another_node_asks_of_the_primary(pair: Pair) -> None:
    """With several nodes: tests/journeys/test_replication_of_nodes.py."""
    there = await leader(pair)
    await there.write("books", "1", n=1)
    read = ShardChanges(("books",), 0, uuid(there), -1, poll_timeout_s=0.01, lease_id="lease")
    answer = await there.run(CHANGES_AT_PRIMARY, ChangesAtPrimary(("books",), read, 0))
    assert [operation.id for operation in answer.operations] == ["1"]
    assert [lease.id for lease in there.shard("books").leases()] == ["lease"]
    await there.run(LEASE_AT_PRIMARY, LeaseAtPrimary("books", uuid(there), 0, "lease", 0))
    assert there.shard("books").leases() == []
    with pytest.raises(HanseError, match="retention lease with ID"):
        await there.run(LEASE_AT_PRIMARY, LeaseAtPrimary("books", uuid(there), 0, "lease", 0))
    with pytest.raises(HanseError, match="has no shard"):
        await there.run(LEASE_AT_PRIMARY, LeaseAtPrimary("books", uuid(there), 5, "lease", 0))


async def test_a_copy_that_is_no_primary_sends_on(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    there = await leader(pair)
    service = there.node.indices.get("books")
    monkeypatch.setattr(service, "leads", lambda number: None)
    read = ShardChanges(("books",), 0, uuid(there), -1, poll_timeout_s=0.01)
    with pytest.raises(RetryOnPrimaryError, match="is not the primary"):
        await there.run(CHANGES_AT_PRIMARY, ChangesAtPrimary(("books",), read, 0))


async def test_a_lease_is_its_peers_alone_as_long_as_that_is_listed(pair: Pair) -> None:
    there = await leader(pair)
    await there.write("books", "1", n=1)
    listed = {"munich", "bremen"}
    serving = Leader(there.node._primaries, there.node._tasks, lambda name: name in listed)
    shard = there.node.indices.get("books").shards[0]
    polled = ShardChanges(
        ("books",), shard=0, leader_uuid=uuid(there), after=-1, poll_timeout_s=0.01, versions=(1, 1, 1), lease_id="a/b"
    )
    removed = RemoveLease("books", uuid(there), "a/b")

    def by(peer: str) -> Call:
        async def run(action: Any, request: Any) -> Any:
            raise AssertionError("nothing else is asked")

        ceiling = SimpleNamespace(label=peer) if peer else None
        return Call(SHARD_CHANGES, ANYBODY, Origin(), Targets((Target("books"),)), run, ceiling=ceiling)

    await serving.changes(by(""), polled)
    await serving.changes(by("munich"), structs.replace(polled, after=0))
    serving._renewed.clear()
    await serving.changes(by("munich"), structs.replace(polled, after=0))
    assert [lease.holder for lease in shard.leases()] == ["munich"]
    for other in ("bremen", ""):
        with pytest.raises(SecurityError, match=r"\[a/b\] is held by another remote peer$"):
            await serving.changes(by(other), polled)
        with pytest.raises(SecurityError):
            await serving.remove_lease(by(other), removed)
    await serving.changes(by("harbours,munich"), polled)
    listed.remove("munich")
    await serving.changes(by("bremen"), polled)
    listed.add("munich")
    await serving.remove_lease(by("munich"), removed)
    assert shard.leases() == []
