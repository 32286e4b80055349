"""States longer than a message, writers that fall over each other, answers that are lost."""

from __future__ import annotations

import asyncio
import secrets
import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.nats_servers import Connect, NatsServer

from hanse.cluster.jetstream import connection as connection_module
from hanse.cluster.jetstream import state_store as module
from hanse.cluster.jetstream.connection import Connection
from hanse.cluster.jetstream.state_store import JetStreamStateStore, bucket_of
from hanse.cluster.state import ClusterState
from hanse.cluster.updates import ClusterService
from hanse.errors import FailedToCommitClusterStateError, FencedError, ShardFailedError
from hanse.tasks import Tasks

EMPTY = ClusterState("c", "uuid")


def long_state(version: int, size: int) -> ClusterState:
    """Its random text does not shrink by compression."""
    return msgspec.structs.replace(EMPTY, version=version, customs={"long": {"text": secrets.token_hex(size // 2)}})


async def opened(connection: Connection, name: str) -> JetStreamStateStore:
    store = JetStreamStateStore(connection, name)
    await store.open()
    return store


async def subjects(store: JetStreamStateStore) -> list[str]:
    info = await store._js.stream_info(store._stream, subjects_filter=f"{store._prefix}>")
    return sorted(subject.removeprefix(store._prefix) for subject in info.state.subjects or {})


@pytest.fixture
async def store(connect: Connect, tmp_path: Path) -> JetStreamStateStore:
    return await opened(await connect(), tmp_path.name)


def test_a_bucket_is_named_after_its_cluster() -> None:
    assert bucket_of("harbour_1-a") == "hanse-harbour_1-a"
    assert bucket_of("my harbour").startswith("hanse-")
    assert bucket_of("my harbour") != bucket_of("my.harbour")


async def test_a_state_longer_than_a_message_is_kept_in_pieces(store: JetStreamStateStore, connect: Connect) -> None:
    long = long_state(1, 5_000_000)
    await store.commit(EMPTY, long)
    assert len(await subjects(store)) > 5
    other = await opened(await connect(), store._stream.removeprefix("KV_hanse-"))
    assert await other.load() == long
    longer = long_state(2, 6_000_000)
    await other.commit(long, longer)
    assert await store.load() == longer
    short = msgspec.structs.replace(EMPTY, version=3)
    await store.commit(longer, short)
    assert await subjects(store) == ["state"], "pieces that nobody names any more are gone"
    assert await other.load() == short


async def test_a_writer_that_was_forestalled_leaves_no_pieces(store: JetStreamStateStore, connect: Connect) -> None:
    other = await opened(await connect(), store._stream.removeprefix("KV_hanse-"))
    assert await other.load() is None
    await store.commit(EMPTY, msgspec.structs.replace(EMPTY, version=1))
    with pytest.raises(FencedError, match=r"expected cluster state version \[0\] but \[1\] is stored"):
        await other.commit(EMPTY, long_state(1, 3_000_000))
    assert await subjects(store) == ["state"]


async def test_of_many_writers_at_once_one_wins_each_version(store: JetStreamStateStore, connect: Connect) -> None:
    stores = [await opened(await connect(), store._stream.removeprefix("KV_hanse-")) for _ in range(5)]

    async def write(one: JetStreamStateStore, name: str) -> Any:
        try:
            await one.commit(EMPTY, msgspec.structs.replace(EMPTY, version=1, cluster_uuid=name))
            return name
        except FencedError:
            return None

    winners = [name for name in await asyncio.gather(*(write(s, str(at)) for at, s in enumerate(stores))) if name]
    loaded = await store.load()
    assert loaded is not None
    assert winners == [loaded.cluster_uuid]


async def test_damaged_states_are_refused(store: JetStreamStateStore) -> None:
    await store._js.publish(f"{store._prefix}state", b"what is this")
    with pytest.raises(ShardFailedError, match="damaged"):
        await store.load()
    long = long_state(1, 3_000_000)
    await store._js.purge_stream(store._stream)
    store._seen = None
    await store.commit(EMPTY, long)
    piece = next(subject for subject in await subjects(store) if subject.startswith("piece."))
    await store._js.purge_stream(store._stream, subject=store._prefix + piece)
    with pytest.raises(ShardFailedError, match="misses pieces"):
        await store.load()


async def test_lost_answers_neither_lose_nor_double_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (module, connection_module):
        monkeypatch.setattr(place, "REQUEST_TIMEOUT_S", 0.2)
    server = NatsServer(tmp_path).start()
    connection = await server.connect()
    try:
        store = await opened(connection, "c")
        await store.commit(EMPTY, msgspec.structs.replace(EMPTY, version=1))
        server.freeze()
        one = msgspec.structs.replace(EMPTY, version=1)
        waiting = asyncio.ensure_future(store.commit(one, msgspec.structs.replace(EMPTY, version=2)))
        await asyncio.sleep(0.7)  # several answers fail to come
        server.signal(signal.SIGCONT)
        await waiting
        monkeypatch.setattr(module, "COMMIT_TIMEOUT_S", 0.3)
        server.freeze()
        two = msgspec.structs.replace(EMPTY, version=2)
        with pytest.raises(FailedToCommitClusterStateError, match="could not be written in time"):
            await store.commit(two, msgspec.structs.replace(EMPTY, version=3))
        server.signal(signal.SIGCONT)
        loaded = await store.load()
        assert loaded is not None
        assert loaded.version in (2, 3)
    finally:
        server.signal(signal.SIGCONT)
        await connection.close()
        server.kill()


async def test_a_commit_waits_for_servers_that_elect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that has to read first what is in force: nothing was written that could have been done twice."""
    monkeypatch.setattr(module, "COMMIT_TIMEOUT_S", 60.0)
    server = NatsServer(tmp_path).start()
    connections = [await server.connect(), await server.connect()]
    try:
        one, two = [await opened(connection, "c") for connection in connections]
        states = [msgspec.structs.replace(EMPTY, version=version) for version in range(3)]
        await one.commit(states[0], states[1])
        server.freeze()
        waiting = asyncio.ensure_future(two.commit(states[1], states[2]))
        await asyncio.wait((waiting,), timeout=3 * connection_module.READ_TIMEOUT_S)
        assert not waiting.done()
        server.signal(signal.SIGCONT)
        await waiting
        assert await one.load() == states[2]
    finally:
        server.signal(signal.SIGCONT)
        for connection in connections:
            await connection.close()
        server.kill()


async def test_a_watch_goes_on_over_a_restart_of_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WATCH_IDLE_S", 0.3)
    server = NatsServer(tmp_path).start()
    connections = [await server.connect(), await server.connect()]
    try:
        one, two = [await opened(connection, "c") for connection in connections]
        states = [msgspec.structs.replace(EMPTY, version=version) for version in range(4)]
        await one.commit(states[0], states[1])
        watch = two.watch()
        assert await anext(watch) == states[1]
        server.kill()
        await asyncio.to_thread(server.start)
        await one.commit(states[1], states[2])
        assert await anext(watch) == states[2]
        await one.commit(states[2], states[3])
        assert await anext(watch) == states[3]
        await watch.aclose()
    finally:
        for connection in connections:
            await connection.close()
        server.kill()


async def test_two_nodes_that_change_the_state_at_once_follow_each_other(connect: Connect, tmp_path: Path) -> None:
    services = [
        ClusterService(await opened(await connect(), tmp_path.name), msgspec.structs.replace(EMPTY, version=0))
        for _ in range(2)
    ]
    tasks = Tasks()
    for service in services:
        tasks.spawn("follow", service.follow())

    async def count(service: ClusterService, key: str) -> None:
        for number in range(20):
            await service.update("count", lambda state, n=number: state.with_custom(key, {"n": n}))  # type: ignore[misc]

    await asyncio.gather(count(services[0], "a"), count(services[1], "b"))
    while services[0].state != services[1].state:
        await asyncio.sleep(0.01)
    assert services[0].state.version == 40
    assert services[0].state.customs == {"a": {"n": 19}, "b": {"n": 19}}
    await tasks.close()
