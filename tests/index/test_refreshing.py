"""A refresh holds on every copy that is searched next, wherever it was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.index.shards import ids_found
from tests.nats_servers import NatsServer
from tests.node_group import Group, Member, node_group, refused, until

from hanse import clock
from hanse.cluster import allocation
from hanse.cluster.routing import ShardCopy
from hanse.errors import RetryOnPrimaryError, ShardFailedError
from hanse.index import refreshing as module
from hanse.index.copy_requests import REFRESH_COPY
from hanse.index.primaries import Primaries
from hanse.index.refreshing import REFRESH_SHARD, Refreshing, RefreshShard
from hanse.index.reports import Reports
from hanse.index.shard import WriteOp


@pytest.fixture
async def group(tmp_path: Path, nats_server: NatsServer) -> AsyncIterator[Group]:
    async with node_group(tmp_path, nats_server) as made:
        await made[0].create("books", replicas=1, index__refresh_interval="-1")
        await made.all_serve("books", 2)
        yield made


def refreshing(member: Member) -> Refreshing:
    return Refreshing(Primaries(member.node.cluster, member.node.indices, member.node.nodes))


def found(group: Group) -> list[list[str]]:
    return [ids_found(member.shard("books")) for member in group.members if member.copy("books") is not None]


async def test_every_copy_is_searchable_whoever_asks(group: Group) -> None:
    for number, member in enumerate(group.members):
        await member.write("books", str(number))
        assert await refreshing(member).refresh(member.node.indices.get("books"), 0) == 2
        assert found(group) == [[str(at) for at in range(number + 1)]] * 2


async def test_a_write_with_refresh_is_found_on_every_copy(group: Group) -> None:
    for number, member in enumerate(group.members):
        await member.write("books", str(number), refresh="true")
        assert found(group) == [[str(at) for at in range(number + 1)]] * 2


async def test_a_copy_that_missed_batches_reads_them_first(group: Group) -> None:
    group.primary("books").shard("books").tell(lambda before, sent: None)
    await group[0].write("books", "1")
    assert await refreshing(group[0]).refresh(group[0].node.indices.get("books"), 0) == 2
    assert found(group) == [["1"], ["1"]]


async def test_a_copy_that_is_filled_and_not_yet_known_to_be_active_is_refreshed_too(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a search that is asked of it as soon as it is active misses what the refresh promised."""
    held: list[Callable[[], None]] = []
    tell = Reports.started

    def started(reports: Reports, index_uuid: str, shard: int, allocation_id: str) -> None:
        (copy,) = [copy for copy in _copies(group, "late") if copy.allocation_id == allocation_id]
        if copy.is_primary:
            tell(reports, index_uuid, shard, allocation_id)
        else:
            held.append(partial(tell, reports, index_uuid, shard, allocation_id))

    monkeypatch.setattr(Reports, "started", started)
    creating = asyncio.ensure_future(group[0].create("late", replicas=1, index__refresh_interval="-1"))
    await until(lambda: len(held) == 1)
    await group[0].write("late", "1", refresh="true")
    held[0]()
    await creating
    await group.all_serve("late", 2)
    (replica,) = group.replicas("late")
    assert ids_found(replica.shard("late")) == ["1"]


async def test_a_copy_that_cannot_be_refreshed_is_searched_no_more(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COPY_TIMEOUT_S", 0.0)
    (replica,) = group.replicas("books")
    before = replica.copy("books")
    primary = group.primary("books")
    call = primary.node.nodes.call

    async def failing(node_id: str, action: object, *arguments: object, **options: object) -> object:
        if action is REFRESH_COPY:
            raise ShardFailedError("disk on fire")
        return await call(node_id, action, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(primary.node.nodes, "call", failing)
    await primary.write("books", "1")
    await refreshing(primary).refresh(primary.node.indices.get("books"), 0)
    assert before is not None
    await until(lambda: all(copy.allocation_id != before.allocation_id for copy in _copies(group)))
    info = next((copy.unassigned_info for copy in _copies(group) if not copy.is_primary), None)
    unassigned = group[0].state.routing["books"][0].unassigned
    told = [one.details for one in (*unassigned, *([info] if info else []))]
    assert told in (["it could not be refreshed: disk on fire"], []), "until the copy has started again"
    monkeypatch.undo()
    await group.all_serve("books", 2)
    await refreshing(primary).refresh(primary.node.indices.get("books"), 0)
    assert found(group) == [["1"], ["1"]]


def _copies(group: Group, index: str = "books") -> tuple[ShardCopy, ...]:
    return group[0].state.routing[index][0].copies


async def test_a_copy_that_is_the_primary_no_more_sends_the_refresh_on(group: Group) -> None:
    old = group.primary("books")
    await old.write("books", "1")
    shard = old.shard("books")
    await old.node.cluster.update("down", lambda state: allocation.stepping_down(state, old.id, clock.now_ms()))
    error = await refused(refreshing(old).refresh_copies(shard), RetryOnPrimaryError)
    assert "is not the primary" in error.reason
    asking = next(member for member in group.members if member is not old)
    request = RefreshShard(shard.index_uuid, 0, 0)
    await refused(asking.node.nodes.call(old.id, REFRESH_SHARD, request), RetryOnPrimaryError)
    assert await refreshing(old).refresh(old.node.indices.get("books"), 0) == 2
    assert found(group) == [["1"], ["1"]]


async def test_a_write_is_not_done_again_when_its_primary_ends_before_the_refresh(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = group.primary("books")
    shard = old.shard("books")
    write = shard.write
    shard.tell(lambda before, sent: None)  # only the log tells the next primary of the write

    async def and_step_down(ops: Sequence[WriteOp]) -> Any:
        results = await write(ops)
        await old.node.cluster.update("down", lambda state: allocation.stepping_down(state, old.id, clock.now_ms()))
        return results

    monkeypatch.setattr(shard, "write", and_step_down)
    asking = next(member for member in group.members if member is not old)
    (result,) = await asking.write("books", "1", refresh="true")
    assert result.version == 1
    new = group.primary("books")
    assert new is not old
    assert found(group) == [["1"], ["1"]]
    held = new.shard("books").get("1")
    assert held is not None
    assert held.version == 1


async def test_refreshes_and_writes_at_once_promise_what_came_before(group: Group) -> None:
    async def client(member: Member, name: str) -> None:
        for at in range(5):
            await member.write("books", f"{name}-{at}")
            await refreshing(member).refresh(member.node.indices.get("books"), 0)
            assert all(f"{name}-{at}" in ids for ids in found(group))

    await asyncio.gather(*(client(member, member.name) for member in group.members))
