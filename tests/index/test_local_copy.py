"""How a copy comes to be whole and stays so: three real nodes, real logs; copies are compared store by store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest
from tests.index.shards import ids_found
from tests.index.shards import node as node_of_one
from tests.nats_servers import Connect, NatsServer
from tests.node_group import Group, Member, contents, eventually, node_group, refused, routing, until

from hanse import clock
from hanse.cluster import allocation
from hanse.cluster.jetstream.engine import JetStreamEngine
from hanse.cluster.jetstream.state_store import JetStreamStateStore
from hanse.errors import HanseError, LogDamagedError, RetryOnPrimaryError
from hanse.index import copy_actions
from hanse.index.copy_requests import CopyPage, ReadCopy
from hanse.index.document_store import DocumentStore
from hanse.index.local_copy import LocalCopy, aside_of
from hanse.index.shard import WriteOp

from .shards import index, one

Read = Callable[[LocalCopy, ReadCopy], object]


@pytest.fixture
async def group(tmp_path: Path, nats_server: NatsServer) -> AsyncIterator[Group]:
    async with node_group(tmp_path, nats_server, cluster__fault_detection__follower_check__interval="100ms") as made:
        yield made


class Reads:
    """Every piece a copy took from a primary; `before` is awaited with the number of the piece."""

    def __init__(self) -> None:
        self.requests: list[ReadCopy] = []
        self.asides: list[bool] = []

    async def before(self, number: int) -> None:
        """Nothing, unless a test has a plan."""


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    monkeypatch.setattr(copy_actions, "OPERATIONS_MAX", 20)
    recorded = Reads()
    read = LocalCopy._read

    async def recording(copy: LocalCopy, request: ReadCopy) -> CopyPage:
        recorded.requests.append(request)
        recorded.asides.append(copy._aside.exists())
        await recorded.before(len(recorded.requests))
        return await read(copy, request)

    monkeypatch.setattr(LocalCopy, "_read", recording)
    return recorded


async def set_replicas(group: Group, name: str, replicas: int) -> None:
    await group.up[0].node.cluster.update(
        "replicas",
        lambda state: state.with_index(msgspec.structs.replace(state.indices[name], number_of_replicas=replicas)),
    )


async def same(group: Group, name: str, copies: int) -> None:
    """All copies serve, stand at the same place and hold the same."""
    await group.all_serve(name, copies)
    await group.level(name)
    holders = [member.shard(name) for member in group.up if member.copy(name) is not None]
    first = holders[0]
    for other in holders[1:]:
        assert contents(other) == contents(first)
        assert other.logged == first.logged
        assert (other.max_seq_no, other.checkpoint) == (first.max_seq_no, first.checkpoint)
        assert other.history_uuid == first.history_uuid
        assert other.stats()["docs"]["count"] == first.stats()["docs"]["count"]
        assert other.retention_leases == first.retention_leases
        await first.refresh()
        await other.refresh()
        assert ids_found(other) == ids_found(first)


async def written(group: Group, name: str, first: int, count: int) -> None:
    """Documents, some of them again, some of them deleted; in batches of ten."""
    via = group.up[0]
    for at in range(first, first + count, 10):
        await eventually(lambda at=at: via.write(name, *(str(n) for n in range(at, at + 10)), n=at))
    await via.write(name, str(first), n=-1)
    await via.write(name, str(first + 1), delete=True)


async def test_a_new_replica_is_filled_by_the_feed_and_then_follows(group: Group, reads: Reads) -> None:
    await group[0].create("books", replicas=0)
    await written(group, "books", 0, 100)
    primary = group.primary("books")
    await primary.shard("books").add_lease("follower", 3, "ccr")
    await set_replicas(group, "books", 2)
    await same(group, "books", 3)
    assert len(reads.requests) >= 10, "page by page, each of the two"
    assert not any(reads.asides)
    count = len(reads.requests)
    await written(group, "books", 200, 30)
    await same(group, "books", 3)
    assert len(reads.requests) == count, "what is written later comes through the log"


async def test_a_replica_filled_under_writes_misses_nothing(group: Group, reads: Reads) -> None:
    await group[0].create("books", replicas=0)
    await written(group, "books", 0, 60)

    async def write_between(number: int) -> None:
        if number < 20:
            await group[0].write("books", str(number), f"new-{number}", field=f"x{number}")
            await group[0].write("books", str(number + 1), delete=True)

    reads.before = write_between
    await set_replicas(group, "books", 1)
    await same(group, "books", 2)


async def test_a_replica_that_was_away_reads_the_log_on(group: Group, reads: Reads) -> None:
    await group[0].create("books", replicas=1)
    await written(group, "books", 0, 20)
    await same(group, "books", 2)
    count = len(reads.requests)
    (replica,) = group.replicas("books")
    await replica.vanish()
    await group.agree()
    await written(group, "books", 100, 40)
    await replica.start()
    await same(group, "books", 2)
    assert replica.copy("books") is not None
    assert len(reads.requests) == count


async def behind_its_log(group: Group) -> Member:
    """A replica that is away while its log went on further than it is kept; not started again."""
    for member in group.members:
        member.node._engine._log_size = 4096
    await group[0].create("books", replicas=1)
    await written(group, "books", 0, 50)
    await same(group, "books", 2)
    (replica,) = group.replicas("books")
    await replica.vanish()
    await group.agree()
    for at in range(6):
        await eventually(lambda at=at: group.up[0].write("books", f"large-{at}", text="x" * 4000))
    await written(group, "books", 100, 50)
    return replica


async def test_one_that_is_further_behind_than_the_log_is_filled_with_the_old_copy_put_aside(
    group: Group, reads: Reads
) -> None:
    replica = await behind_its_log(group)
    count = len(reads.requests)
    await replica.start()
    await same(group, "books", 2)
    assert replica.copy("books") is not None
    assert len(reads.requests) > count + 2
    assert all(reads.asides[count:]), "until it is whole"
    folder = replica.shard("books").store.path.parent
    await until(lambda: not aside_of(folder).exists())


async def test_a_crash_in_the_middle_of_filling_costs_nothing(group: Group, reads: Reads) -> None:
    replica = await behind_its_log(group)
    count = len(reads.requests)
    reached, never = asyncio.Event(), asyncio.Event()

    async def stop_at_third(number: int) -> None:
        if number == count + 3:
            reached.set()
            await never.wait()

    reads.before = stop_at_third
    await replica.start()
    await reached.wait()
    copy = replica.node.indices._services["books"].copies[0]
    assert copy.shard is not None
    folder = copy._folder
    filled = copy.shard.checkpoint
    assert filled > -1
    assert copy.shard.logged.position == 0
    await replica.vanish()
    assert aside_of(folder).exists()
    await group.agree()
    at = len(reads.requests)
    await replica.start()
    await same(group, "books", 2)
    assert replica.copy("books") is not None
    assert reads.requests[at].after == filled, "what it had got is not fetched again"
    await until(lambda: not aside_of(folder).exists())


async def test_a_copy_that_contradicts_the_log_is_filled_anew(group: Group, reads: Reads) -> None:
    await group[0].create("books", replicas=1)
    await written(group, "books", 0, 30)
    await same(group, "books", 2)
    (replica,) = group.replicas("books")
    count = len(reads.requests)
    path = replica.shard("books").store.path
    await replica.vanish()
    await group.agree()
    store = DocumentStore(path)
    store.put_meta("progress", msgspec.msgpack.encode(msgspec.structs.replace(store.progress, chain=b"another")))
    store.close()
    await eventually(lambda: group.up[0].write("books", "more"))
    await replica.start()
    await same(group, "books", 2)
    assert len(reads.requests) > count
    assert all(reads.asides[count:])
    assert replica.shard("books").get("more") is not None


async def test_a_batch_that_contradicts_the_primary_takes_the_copy_out_until_it_healed(group: Group) -> None:
    await group[0].create("books", replicas=1)
    await written(group, "books", 0, 10)
    await same(group, "books", 2)
    (replica,) = group.replicas("books")
    shard, before = replica.shard("books"), replica.copy("books")
    await refused(shard.take_sent(shard.logged.position, b"another", []), LogDamagedError)
    await refused(_get(shard), LogDamagedError)
    assert before is not None
    await until(lambda: (now := replica.copy("books")) and now.is_active and now.allocation_id != before.allocation_id)
    await same(group, "books", 2)
    assert replica.shard("books") is not shard


async def _get(shard: object) -> None:
    shard.get("1")  # type: ignore[attr-defined]


async def test_a_primary_that_was_replaced_without_knowing_is_fenced(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    await group[0].create("books", replicas=2)
    await written(group, "books", 0, 10)
    await same(group, "books", 3)
    old = group.primary("books")
    if old is group[0]:  # the master shall be one that hears of everything
        await group[0].node.cluster.update("down", lambda now: allocation.stepping_down(now, old.id, clock.now_ms()))
        await until(lambda: group.primary("books") is not old)
        old = group.primary("books")
        await eventually(lambda: group[0].write("books", "again"))
    shard, cluster = old.shard("books"), old.node.cluster
    take_over = cluster._take_over
    monkeypatch.setattr(cluster, "_take_over", lambda state: None)
    term = group[0].state.indices["books"].primary_terms[0]
    await group[0].node.cluster.update("down", lambda now: allocation.stepping_down(now, old.id, clock.now_ms()))
    new = next(member for member in group.members if member is not old and member.node.indices.get("books").leads(0))
    await until(lambda: new.shard("books").logged.primary_term == term + 1)
    outcome = (await shard.write([WriteOp("index", "lost", b"{}")]))[0]
    assert isinstance(outcome, RetryOnPrimaryError)
    assert shard.is_primary, "it still does not know"
    await new.write("books", "won")
    monkeypatch.setattr(cluster, "_take_over", take_over)
    take_over(new.state)
    await same(group, "books", 3)
    assert old.shard("books").get("won") is not None
    assert old.shard("books").get("lost") is None


async def test_a_primary_whose_log_is_gone_goes_red_and_keeps_what_it_has(group: Group, connect: Connect) -> None:
    await group[0].create("books", replicas=1)
    await written(group, "books", 0, 10)
    await same(group, "books", 2)
    holders = [member for member in group.members if member.copy("books") is not None]
    held = [contents(member.shard("books")) for member in holders]
    stores = [member.shard("books").store.path for member in holders]
    uuid = group[0].state.indices["books"].uuid
    await (await connect()).js.delete_stream(f"hanse-{uuid}-0")
    error = await refused(group[0].write("books", "more"), HanseError)
    assert error.status == 503
    await until(lambda: not routing(group[0].state, "books").copies)
    lost = [one for one in routing(group[0].state, "books").unassigned if one.is_primary]
    assert "is gone" in str(lost[0].details)
    for member, content, store in zip(holders, held, stores, strict=True):
        await member.stop()
        # A replica that was about to be filled from the primary has put what it had aside.
        aside = aside_of(store.parent) / store.name
        copy = DocumentStore(aside if aside.exists() else store)
        assert {op.id for op in copy.operations(-1, 10**6, 10**6, 10**9)[0]} == set(content)
        copy.close()


@pytest.mark.parametrize("whole", ["the one put aside", "its successor"])
async def test_of_two_copies_a_primary_begins_with_the_whole_one(tmp_path: Path, connect: Connect, whole: str) -> None:
    connection = await connect()
    engine = JetStreamEngine(connection, JetStreamStateStore(connection, "unused"), 2**28)
    name = f"two-{'a' if whole == 'its successor' else 'b'}"
    async with node_of_one(tmp_path, engine) as here:
        shard = await here.create(name)
        await one(shard, index("1", title="a"))
        await one(shard, index("2", title="b"))
        folder = shard.store.path.parent
    aside = aside_of(folder)
    if whole == "its successor":
        (aside / "search").mkdir(parents=True)
    else:
        folder.rename(aside)
        folder.mkdir()
    async with node_of_one(tmp_path, engine) as here:
        assert await here.indices.ready(name)
        assert ids_found(here.indices.get(name).shard(0)) == ["1", "2"]
        assert not aside.exists()


async def test_a_copy_that_moved_away_leaves_nothing_behind(group: Group) -> None:
    await group[0].create("books", replicas=1)
    await written(group, "books", 0, 20)
    await same(group, "books", 2)
    (replica,) = group.replicas("books")
    folder = replica.shard("books").store.path.parent
    excluded = {"index.routing.allocation.exclude._name": replica.name}
    await group[0].node.cluster.update(
        "exclude",
        lambda state: state.with_index(
            msgspec.structs.replace(state.indices["books"], settings={**state.indices["books"].settings, **excluded})
        ),
    )
    await until(lambda: group[0].state.routing["books"][0].on(replica.id) is None)
    await same(group, "books", 2)
    await until(lambda: not folder.exists() and not folder.with_name("0.deleted").exists())
