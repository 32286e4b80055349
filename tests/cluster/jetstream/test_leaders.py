"""Three real nats-servers, each the own server of one node: who leads a log, and who sees to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from nats.aio.msg import Msg
from tests.index.shards import index, node, one
from tests.nats_servers import WAIT_S, NatsCluster

from hanse.cluster.jetstream.commit_log import JetStreamCommitLog
from hanse.cluster.jetstream.connection import Connection, connect
from hanse.cluster.jetstream.engine import JetStreamEngine
from hanse.cluster.jetstream.leaders import ELECTED, Leaders
from hanse.cluster.jetstream.state_store import JetStreamStateStore
from hanse.cluster.log import Batch, Operation
from hanse.index import shard as shard_module


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    cluster = NatsCluster(tmp_path_factory.mktemp("nats")).start()
    yield cluster
    cluster.kill()


@pytest.fixture
async def connections(servers: NatsCluster) -> AsyncIterator[list[Connection]]:
    made = [await connect([server.url], {}, replicas=3, timeout_s=WAIT_S) for server in servers.servers]
    yield made
    for connection in made:
        await connection.close()


async def leaders_of(connection: Connection) -> Leaders:
    made = Leaders(connection, connection.server_name)
    await made.start()
    return made


async def led_by(connection: Connection, stream: str) -> str:
    """The name of the server that leads."""
    leaders = Leaders(connection, connection.server_name)
    while not (name := await leaders.leader_of(stream)):
        await asyncio.sleep(0.01)
    return name


async def lead_with(wanted: Connection, connections: list[Connection], stream: str) -> None:
    """Others step down until the wanted one leads."""
    while (now := await led_by(wanted, stream)) != wanted.server_name:
        leading = next(one for one in connections if one.server_name == now)
        await Leaders(leading, now).step_aside(stream)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not holds():
            await asyncio.sleep(0.01)


async def made_stream(connection: Connection, name: str) -> str:
    await JetStreamCommitLog(connection, name, bytes_max=2**28).attach(0, b"")
    return name


async def test_who_leads_steps_aside_and_who_does_not_leaves_it(connections: list[Connection]) -> None:
    own = connections[0]
    stream = await made_stream(own, "aside")
    await lead_with(own, connections, stream)
    leaders = Leaders(own, own.server_name)
    await leaders.step_aside(stream)
    other = await led_by(own, stream)
    assert other != own.server_name
    await leaders.step_aside(stream)
    assert await led_by(own, stream) == other
    await leaders.step_aside("no-such-stream")


async def test_none_that_has_just_died_is_given_the_lead(tmp_path: Path) -> None:
    """The others would have to elect another one, which takes them seconds, while the log answers nothing."""
    cluster = NatsCluster(tmp_path).start()
    made = [await connect([server.url], {}, replicas=3, timeout_s=WAIT_S) for server in cluster.servers]
    try:
        own, left, _ = made
        log = JetStreamCommitLog(own, "left", bytes_max=2**28)
        await log.attach(0, b"")
        await lead_with(own, made, "left")
        cluster.servers[2].kill()
        await log.append(Batch(1, [Operation(0, 1, "a", 1, False, None, b"{}")]), 0)
        await Leaders(own, own.server_name).step_aside("left")
        assert await Leaders(own, own.server_name).leader_of("left") == left.server_name
    finally:
        for connection in made:
            await connection.close()
        cluster.kill()


async def test_who_watches_is_told_when_its_own_server_was_elected(connections: list[Connection]) -> None:
    own = connections[0]
    stream = await made_stream(own, "watched")
    leaders = await leaders_of(own)
    told: list[str] = []

    def led_here() -> None:
        told.append(stream)

    while await led_by(own, stream) == own.server_name:
        await leaders.step_aside(stream)
    leaders.watch(stream, led_here)
    await lead_with(own, connections, stream)
    await until(lambda: told != [])
    await leaders.step_aside(stream)
    leaders.leave(stream, lambda: None)
    before = len(told)
    await lead_with(own, connections, stream)
    await until(lambda: len(told) > before)
    leaders.leave(stream, led_here)
    assert leaders._told == {}


async def test_the_log_of_a_primary_is_led_elsewhere_from_its_beginning_and_after_every_election(
    connections: list[Connection], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_module, "PART_AFTER_S", 0.0)
    own, other, _ = connections
    elected: list[str] = []

    async def heard(message: Msg) -> None:
        elected.append(json.loads(message.data)["leader"])

    engine = JetStreamEngine(own, JetStreamStateStore(own, "unused"), 2**28, leaders=await leaders_of(own))
    async with node(tmp_path, engine) as here:
        for number in range(4):
            shard = await here.create(f"books-{number}")
            await one(shard, index("1", title="a"))
            stream = f"hanse-{shard.index_uuid}-0"
            async with asyncio.timeout(WAIT_S):
                while await led_by(other, stream) == own.server_name:
                    await asyncio.sleep(0.01)
        await other.client.subscribe(f"{ELECTED}.{stream}", cb=heard)
        while own.server_name not in elected:
            now = await led_by(other, stream)
            if now != own.server_name:
                leading = next(one for one in connections if one.server_name == now)
                await Leaders(leading, now).step_aside(stream)
        async with asyncio.timeout(WAIT_S):
            while await led_by(other, stream) == own.server_name:
                await asyncio.sleep(0.01)
        assert (await one(shard, index("2", title="b"))).seq_no == 1
    assert engine._leaders is not None
    assert engine._leaders._told == {}, "closed shards are told nothing"
