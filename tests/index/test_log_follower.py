"""A copy and its log, with a real stream: what is caught up, what stops the copy, and what is never done to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from tests.index.shards import Node, given_up, ids_found, index, node, one
from tests.nats_servers import Connect
from tests.one_node import CRANE

from hanse.cluster.allocation.commands import commanded
from hanse.cluster.jetstream.commit_log import JetStreamCommitLog
from hanse.cluster.jetstream.engine import JetStreamEngine
from hanse.cluster.jetstream.records import encoded
from hanse.cluster.jetstream.state_store import JetStreamStateStore
from hanse.cluster.log import Batch, Operation
from hanse.cluster.requests import RerouteCommand
from hanse.errors import HanseError, LogDamagedError, RetryOnPrimaryError, ShardFailedError, UnavailableShardsError
from hanse.index.shard import Shard

Open = Callable[[], AbstractAsyncContextManager[Node]]


@pytest.fixture
async def engine(connect: Connect) -> JetStreamEngine:
    connection = await connect()
    return JetStreamEngine(connection, JetStreamStateStore(connection, "unused"), 2**28)


@pytest.fixture
def opened(engine: JetStreamEngine, tmp_path: Path) -> Open:
    return lambda: node(tmp_path, engine)


@pytest.fixture
async def here(opened: Open) -> AsyncIterator[Node]:
    async with opened() as made:
        yield made


def log_of(shard: Shard, engine: JetStreamEngine) -> JetStreamCommitLog:
    return engine.commit_log(shard.index_uuid, shard.number)


def operation(seq_no: int, id: str, term: int = 1) -> Operation:
    return Operation(seq_no, term, id, 1, False, None, b'{"title": "t"}')


async def refused(shard: Shard, id: str = "x") -> HanseError:
    outcome = (await shard.write([index(id, title="x")]))[0]
    assert isinstance(outcome, HanseError)
    return outcome


async def begun_anew(here: Node, name: str) -> Shard:
    """What an operator's `allocate_stale_primary` does."""
    command = RerouteCommand("allocate_stale_primary", name, 0, node=CRANE.id, accept_data_loss=True)
    await here.cluster.update("reroute", lambda state: commanded(state, [command], 0)[0])
    assert await here.indices.ready(name)
    return here.indices.get(name).shard(0)


async def test_a_log_is_begun_anew_once_however_often_opening_is_tried(
    here: Node, engine: JetStreamEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = await here.create("again")
    await one(shard, index("1", title="a"))
    log = log_of(shard, engine)
    forged, _ = encoded(Batch(1, [operation(1, "forged")]), b"another history", 10_000)
    await log._js.publish(log._subject, forged[0])
    assert isinstance(await refused(shard), RetryOnPrimaryError)
    assert isinstance(await refused(shard), LogDamagedError)
    await given_up(here, "again")
    attach, rebuild = JetStreamCommitLog.attach, JetStreamCommitLog.rebuild
    attached: list[str] = []
    rebuilt: list[str] = []

    async def electing(log: JetStreamCommitLog, *where: Any, **more: Any) -> None:
        opening = here.indices.get("again").copies[0].shard
        assert opening is not None
        attached.append(opening.history_uuid)
        if len(attached) < 3:
            raise UnavailableShardsError("the stream elects a leader")
        await attach(log, *where, **more)

    async def counted(log: JetStreamCommitLog, *where: Any) -> None:
        rebuilt.append(log._name)
        await rebuild(log, *where)

    monkeypatch.setattr(JetStreamCommitLog, "attach", electing)
    monkeypatch.setattr(JetStreamCommitLog, "rebuild", counted)
    shard = await begun_anew(here, "again")
    assert (len(attached), len(set(attached)), len(rebuilt)) == (3, 1, 1)
    assert shard.get("1") is not None
    assert (await one(shard, index("2", title="b"))).seq_no == 1


async def test_what_is_written_lies_in_log_and_store(here: Node, engine: JetStreamEngine) -> None:
    shard = await here.create("both")
    await shard.write([index("1", title="a"), index("2", title="b")])
    await shard.write([index("1", title="c")])
    log = log_of(shard, engine)
    found = [(position, [op.id for op in batch.operations]) async for position, batch in log.read(0)]
    assert found == [(1, ["1", "2"]), (2, ["1"])]
    progress = shard.store.progress
    assert (progress.position, progress.chain) == (2, log.chain)


async def test_batches_beyond_the_store_are_applied_when_it_opens(opened: Open, engine: JetStreamEngine) -> None:
    async with opened() as here:
        shard = await here.create("tail")
        await one(shard, index("1", title="a"))
        progress = shard.store.progress
        log = log_of(shard, engine)
    await log.attach(progress.position, progress.chain)
    await log.append(Batch(4, [operation(1, "2", 4), operation(2, "1", 4)]), 1)
    async with opened() as here:
        shard = here.indices.get("tail").shards[0]
        assert (shard.max_seq_no, shard.checkpoint) == (2, 2)
        assert shard.primary_term == 5, "a log in a later term than the state makes the state follow"
        assert shard.get("2") is not None
        assert ids_found(shard) == ["1", "2"]
        assert (await one(shard, index("3", title="c"))).seq_no == 3


async def test_an_append_that_was_fenced_off_is_followed_by_catching_up(here: Node, engine: JetStreamEngine) -> None:
    shard = await here.create("fenced")
    await one(shard, index("1", title="a"))
    other = log_of(shard, engine)
    await other.append(Batch(2, [operation(1, "other", 2)]), 1)
    assert isinstance(await refused(shard), RetryOnPrimaryError)
    assert isinstance(await refused(shard), RetryOnPrimaryError), "the log is in a term that is not this copy's"
    assert shard.get("x") is None
    assert shard.get("other") is not None
    await here.indices.get("fenced").raise_term(0, 2)
    assert (await one(shard, index("2", title="b"))).seq_no == 2
    assert shard.primary_term == 3


async def test_a_store_that_failed_catches_up_from_the_log(here: Node) -> None:
    shard = await here.create("full")
    await one(shard, index("1", title="a"))
    writer = shard.store._writer
    writer.pragma("max_page_count", writer.pragma("page_count") + 1)
    outcomes = await shard.write([index(f"{at}", title="x" * 2000) for at in range(50)])
    assert {type(outcome) for outcome in outcomes} == {ShardFailedError}
    writer.pragma("max_page_count", 100_000)
    await one(shard, index("last", title="b"))
    assert shard.get("49") is not None, "the batch was in the log, so it took place"
    assert shard.failure is None


async def test_a_followers_operations_go_through_the_log(opened: Open, engine: JetStreamEngine) -> None:
    async with opened() as here:
        shard = await here.create("follower")
        await shard.replicate([operation(3, "a", 7), operation(5, "b", 7)], 6)
        await shard.replicate([], 6)
        await shard.replicate([], 9)
        log = log_of(shard, engine)
        found = [(batch.is_replicated, batch.up_to, len(batch.operations)) async for _, batch in log.read(0)]
        assert found == [(True, 6, 2), (True, 9, 0)]
        progress = shard.store.progress
        assert (progress.checkpoint, progress.position) == (9, 2)
    await log.append(Batch(1, [operation(11, "c", 7)], is_replicated=True, up_to=12), 2)
    async with opened() as here:
        shard = here.indices.get("follower").shards[0]
        assert (shard.checkpoint, shard.max_seq_no) == (12, 12)
        assert shard.get("c") is not None


async def test_a_broken_chain_stops_the_copy_and_leaves_it_as_it_is(here: Node, engine: JetStreamEngine) -> None:
    shard = await here.create("chain")
    await one(shard, index("1", title="a"))
    await shard.refresh()
    log = log_of(shard, engine)
    forged, _ = encoded(Batch(1, [operation(1, "forged")]), b"another history", 10_000)
    await log._js.publish(log._subject, forged[0])
    assert isinstance(await refused(shard), RetryOnPrimaryError)
    assert isinstance(await refused(shard), LogDamagedError)
    for ask in (lambda: shard.get("1"), shard.reader, lambda: shard.changes(-1)):
        with pytest.raises(LogDamagedError, match="follows a batch with hash"):
            ask()
    assert (shard.max_seq_no, shard.store.get("forged")) == (0, None)
    assert "follows a batch with hash" in await given_up(here, "chain")
    again = await begun_anew(here, "chain")
    assert ids_found(again) == ["1"]
    assert (await one(again, index("2", title="b"))).seq_no == 1


@pytest.mark.parametrize("harm", ["deleted", "shorter"])
async def test_a_log_behind_the_copy_keeps_the_index_closed_and_the_copy_whole(
    opened: Open, engine: JetStreamEngine, harm: str
) -> None:
    name = f"harm-{harm}"
    async with opened() as here:
        shard = await here.create(name, shards=2)
        for at in range(4):
            await shard.write([index(f"{at}", title="a")])
        log = log_of(shard, engine)
        store = shard.store.path
    await log._js.delete_stream(log._name)
    if harm == "shorter":
        shorter = log_of(shard, engine)
        await shorter.attach(0, b"")
        await shorter.append(Batch(1, [operation(0, "other")]), 0)
    before = store.read_bytes()
    for _ in range(2):
        async with opened() as here:
            assert ("is gone" if harm == "deleted" else "lost its end") in await given_up(here, name)
            with pytest.raises(ShardFailedError):
                here.indices.get(name).shard(0)
        assert store.read_bytes() == before
    async with opened() as here:
        await given_up(here, name)
        assert (await begun_anew(here, name)).stats()["docs"]["count"] == 4
    async with opened() as here:
        assert (await one(here.indices.get(name).shard(0), index("5", title="e"))).seq_no == 4


async def test_the_log_of_a_deleted_index_goes(here: Node, engine: JetStreamEngine) -> None:
    shard = await here.create("gone")
    await one(shard, index("1", title="a"))
    log = log_of(shard, engine)
    assert await log._info() is not None
    await here.delete("gone")
    while await log._info() is not None:
        await asyncio.sleep(0.01)
