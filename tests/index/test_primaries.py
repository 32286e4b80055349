"""Work for a primary finds it on whatever node it is, waits while there is none, and is never done twice unasked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from tests.nats_servers import NatsServer
from tests.node_group import Group, Member, node_group, refused, until

from hanse import clock
from hanse.cluster import allocation
from hanse.errors import (
    ConnectTransportError,
    HanseError,
    IndexNotFoundError,
    NodeDisconnectedError,
    ReceiveTimeoutError,
    RetryOnPrimaryError,
    ShardFailedError,
    UnavailableShardsError,
    VersionConflictError,
)
from hanse.index.primaries import Primaries
from hanse.index.shard import Shard


@pytest.fixture
async def group(tmp_path: Path, nats_server: NatsServer) -> AsyncIterator[Group]:
    async with node_group(tmp_path, nats_server) as made:
        await made[0].create("books", replicas=1)
        await made.all_serve("books", 2)
        yield made


class Work:
    """Records where it was done; `failures` are raised first, one after another."""

    def __init__(self, *failures: HanseError) -> None:
        self.failures = list(failures)
        self.done: list[str] = []

    async def here(self, shard: Shard) -> str:
        return await self.there("here")

    async def there(self, node: str) -> str:
        self.done.append(node)
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        return node


async def run(member: Member, work: Work, timeout_s: float = 60.0, *, may_repeat: bool = False) -> str:
    primaries = Primaries(member.node.cluster, member.node.indices, member.node.nodes)
    service = member.node.indices.get("books")
    return await primaries.run(service, 0, work.here, work.there, timeout_s=timeout_s, may_repeat=may_repeat)


async def change(group: Group, change_state: object) -> None:
    await group[0].node.cluster.update("a test", change_state)  # type: ignore[arg-type]


async def test_it_is_done_where_the_primary_is(group: Group) -> None:
    primary = group.primary("books")
    for member in group.members:
        assert await run(member, Work()) == ("here" if member is primary else primary.id)


@pytest.mark.parametrize("failure", [RetryOnPrimaryError, ConnectTransportError, ShardFailedError])
async def test_what_was_surely_not_done_is_tried_again(group: Group, failure: type[HanseError]) -> None:
    work = Work(failure("not now"), failure("not yet"))
    await run(group[0], work)
    assert len(work.done) == 3


@pytest.mark.parametrize("failure", [NodeDisconnectedError, ReceiveTimeoutError])
async def test_what_may_have_been_done_is_repeated_only_when_that_is_harmless(
    group: Group, failure: type[HanseError]
) -> None:
    work = Work(failure("lost"))
    error = await refused(run(group[0], work), UnavailableShardsError)
    assert "it is not known whether the operation was done" in error.reason
    assert error.status == 503
    assert isinstance(error.caused_by, failure)
    assert len(work.done) == 1
    again = Work(failure("lost"))
    await run(group[0], again, may_repeat=True)
    assert len(again.done) == 2


async def test_other_errors_are_the_callers(group: Group) -> None:
    work = Work(VersionConflictError("conflict"))
    await refused(run(group[0], work), VersionConflictError)
    assert len(work.done) == 1


async def test_it_goes_over_to_a_primary_that_comes_about(group: Group) -> None:
    old = group.primary("books")
    asking = next(member for member in group.members if member is not old)
    work = Work(*(RetryOnPrimaryError("not the primary any more") for _ in range(3)))
    waiting = asyncio.ensure_future(run(asking, work, may_repeat=True))
    await until(lambda: work.done)
    await change(group, lambda state: allocation.stepping_down(state, old.id, clock.now_ms()))
    assert await waiting != old.id


async def test_without_a_primary_it_waits_and_then_says_why(group: Group) -> None:
    work = Work()
    await group.primary("books").vanish()
    await group.replicas("books")[0].vanish()
    (last,) = group.up
    await until(lambda: not last.state.routing["books"][0].copies)
    error = await refused(run(last, work, 0.0), UnavailableShardsError)
    assert error.reason.startswith("[books][0] primary shard is not active")
    assert error.reason.endswith("Timeout: [0s]")
    assert not work.done
    waiting = asyncio.ensure_future(run(last, work))
    for member in group.members:
        if not member.is_up:
            await member.start()
    assert await waiting == group.primary("books").id


async def test_a_deleted_index_is_waited_for_no_more(group: Group) -> None:
    work = Work(*(RetryOnPrimaryError("no") for _ in range(10_000)))
    waiting = asyncio.ensure_future(run(group[0], work))
    await until(lambda: work.done)
    await change(group, lambda state: state.without_index("books"))
    await refused(waiting, IndexNotFoundError)


async def test_enough_copies_are_waited_for(group: Group) -> None:
    member = group[0]
    primaries = Primaries(member.node.cluster, member.node.indices, member.node.nodes)
    service = member.node.indices.get("books")
    for wanted in ("1", "2", "all"):
        await primaries.enough_copies(service, 0, wanted, 0.0)
    error = await refused(primaries.enough_copies(service, 0, "3", 0.0), UnavailableShardsError)
    assert error.reason == (
        "[books][0] Not enough active copies to meet shard count of [3] (have 2, needed 3). Timeout: [0s]"
    )
    waiting = asyncio.ensure_future(primaries.enough_copies(service, 0, "3", 60.0))
    await change(
        group,
        lambda state: state.with_index(msgspec.structs.replace(state.indices["books"], number_of_replicas=2)),
    )
    await waiting
