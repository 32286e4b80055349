"""What a node does for copies on other nodes, asked over the wire of two real nodes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.index.shards import ids_found
from tests.nats_servers import NatsServer
from tests.node_group import Group, Member, contents, node_group, refused

from hanse.cluster.log import Batch, Operation
from hanse.errors import LogDamagedError, RetryOnPrimaryError, ShardFailedError
from hanse.index import copy_actions
from hanse.index.copy_requests import READ_COPY, REFRESH_COPY, SEND_BATCHES, ReadCopy, RefreshCopy, SendBatches
from hanse.index.log_follower import SentBatch
from hanse.transport.actions import Action


@pytest.fixture
async def group(tmp_path: Path, nats_server: NatsServer) -> AsyncIterator[Group]:
    async with node_group(tmp_path, nats_server, 2) as made:
        await made[0].create("books", replicas=1)
        await made.all_serve("books", 2)
        await made[0].write("books", "1", "2")
        await made.level("books")
        yield made


@pytest.fixture
def primary(group: Group) -> Member:
    return group.primary("books")


@pytest.fixture
def replica(group: Group) -> Member:
    return group.replicas("books")[0]


@pytest.fixture
def uuid(group: Group) -> str:
    return group[0].state.indices["books"].uuid


async def ask(asking: Member, asked: Member, action: Action[Any, Any], request: Any) -> Any:
    return await asking.node.nodes.call(asked.id, action, request)


async def test_an_unknown_shard_is_refused(primary: Member, replica: Member, uuid: str) -> None:
    for action, request in (
        (SEND_BATCHES, SendBatches("another", 0, 0, b"", [])),
        (READ_COPY, ReadCopy(uuid, 1)),
        (REFRESH_COPY, RefreshCopy("another", 0, 0)),
    ):
        error = await refused(ask(primary, replica, action, request), ShardFailedError)
        assert error.status == 503
        assert "this node has no copy of shard" in error.reason


async def test_batches_that_fit_are_taken_and_those_known_already_pass(
    primary: Member, replica: Member, uuid: str
) -> None:
    shard = replica.shard("books")
    at = shard.logged
    where = await ask(primary, replica, SEND_BATCHES, SendBatches(uuid, 0, at.position, at.chain, []))
    assert where.position == at.position
    known = SentBatch(at.position, at.chain, Batch(1, [Operation(99, 1, "never", 1, False, None, b"{}")]))
    where = await ask(primary, replica, SEND_BATCHES, SendBatches(uuid, 0, at.position - 1, b"x", [known]))
    assert where.position == at.position
    assert shard.get("never") is None


async def test_where_a_batch_is_missing_the_copy_reads_the_log(primary: Member, replica: Member, uuid: str) -> None:
    leader, shard = primary.shard("books"), replica.shard("books")
    leader.tell(lambda before, sent: None)
    await primary.write("books", "3")
    await primary.write("books", "4")
    assert shard.get("3") is None
    at = leader.logged
    where = await ask(primary, replica, SEND_BATCHES, SendBatches(uuid, 0, at.position, at.chain, []))
    assert where.position == at.position
    assert contents(shard) == contents(leader)


async def test_another_batch_at_the_same_place_stops_the_copy(primary: Member, replica: Member, uuid: str) -> None:
    shard = replica.shard("books")
    request = SendBatches(uuid, 0, shard.logged.position, b"another batch", [])
    error = await refused(ask(primary, replica, SEND_BATCHES, request), ShardFailedError)
    assert "this copy holds another batch at" in error.reason
    with pytest.raises(LogDamagedError):
        shard.get("1")


async def test_the_primary_gives_its_documents_page_by_page(
    primary: Member, replica: Member, uuid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy_actions, "OPERATIONS_MAX", 2)
    await primary.write("books", *(f"n{at}" for at in range(5)))
    leader = primary.shard("books")
    after, found = -1, []
    while True:
        page = await ask(replica, primary, READ_COPY, ReadCopy(uuid, 0, after))
        found += [op.id for op in page.operations]
        after = page.up_to
        assert (page.history_uuid, page.lost) == (leader.history_uuid, False)
        assert page.mapping_version == leader.metadata.mapping_version
        if not page.more:
            break
        assert len(page.operations) == 2
    assert found == ["1", "2", "n0", "n1", "n2", "n3", "n4"]
    assert (page.position, page.chain, page.primary_term) == leader.logged
    assert page.up_to == leader.checkpoint


async def test_a_replica_gives_nothing(primary: Member, replica: Member, uuid: str) -> None:
    error = await refused(ask(primary, replica, READ_COPY, ReadCopy(uuid, 0)), RetryOnPrimaryError)
    assert "is not the primary" in error.reason


async def test_a_refresh_makes_searchable_what_lies_in_the_log(primary: Member, replica: Member, uuid: str) -> None:
    leader, shard = primary.shard("books"), replica.shard("books")
    leader.tell(lambda before, sent: None)
    await primary.write("books", "3")
    where = await ask(primary, replica, REFRESH_COPY, RefreshCopy(uuid, 0, leader.logged.position))
    assert where.position == leader.logged.position
    assert ids_found(shard) == ["1", "2", "3"]


async def test_a_copy_that_is_being_filled_takes_nothing_from_the_log(
    primary: Member, replica: Member, uuid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = replica.shard("books")
    monkeypatch.setattr(shard, "_is_level", False)
    at = primary.shard("books").logged
    for action, request in (
        (SEND_BATCHES, SendBatches(uuid, 0, at.position, at.chain, [])),
        (REFRESH_COPY, RefreshCopy(uuid, 0, at.position)),
    ):
        error = await refused(ask(primary, replica, action, request), ShardFailedError)
        assert "is still being filled" in error.reason
