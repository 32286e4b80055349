"""The stream as a log, and every way in which it may contradict a copy: damaged on purpose, on disk and by requests."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest
from tests.nats_servers import Connect, NatsCluster, NatsServer

from hanse.cluster.jetstream import commit_log as module
from hanse.cluster.jetstream import connection as connection_module
from hanse.cluster.jetstream.commit_log import JetStreamCommitLog
from hanse.cluster.jetstream.connection import Connection
from hanse.cluster.jetstream.records import encoded
from hanse.cluster.log import Batch, Operation
from hanse.errors import FencedError, LogDamagedError, UnavailableShardsError

LOG_BYTES = 2**28


def batch(seq_no: int, source: bytes = b"{}", term: int = 1) -> Batch:
    return Batch(term, [Operation(seq_no, term, f"id-{seq_no}", 1, False, None, source)])


async def opened(connection: Connection, name: str, bytes_max: int = LOG_BYTES) -> JetStreamCommitLog:
    log = JetStreamCommitLog(connection, name, bytes_max=bytes_max)
    await log.attach(0, b"")
    return log


@pytest.fixture
async def log(connect: Connect, tmp_path: Path) -> JetStreamCommitLog:
    return await opened(await connect(), tmp_path.name)


@pytest.fixture
def own_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NatsServer]:
    """One that the test may kill; answers are not waited for as long as in earnest."""
    for place in (module, connection_module):
        monkeypatch.setattr(place, "REQUEST_TIMEOUT_S", 0.3)
    server = NatsServer(tmp_path / "nats").start()
    yield server
    server.kill()


@pytest.fixture
async def own(own_server: NatsServer) -> AsyncIterator[Connection]:
    connection = await own_server.connect()
    yield connection
    await connection.close()


async def positions(log: JetStreamCommitLog, after: int = 0) -> list[int]:
    return [position async for position, _ in log.read(after)]


async def sources(log: JetStreamCommitLog) -> list[bytes]:
    return [operation.source async for _, found in log.read(0) for operation in found.operations]


async def read_all(log: JetStreamCommitLog, position: int, chain: bytes) -> None:
    await log.attach(position, chain)
    await positions(log, 0)


async def write(log: JetStreamCommitLog, count: int) -> tuple[int, bytes]:
    position = await log.last()
    for at in range(count):
        position = await log.append(batch(position + at), position)
    return position, log.chain


# -- long batches


async def test_a_batch_longer_than_a_message_is_split_and_comes_out_whole(log: JetStreamCommitLog) -> None:
    long = batch(0, b"x" * 3_000_000)
    position = await log.append(long, 0)
    assert position > 1, "a position is the place of the last piece"
    assert await log.append(batch(1), position) == position + 1
    assert [found async for _, found in log.read(0)] == [long, batch(1)]
    assert await positions(log, position) == [position + 1]


async def test_pieces_of_a_writer_that_died_are_passed_over(log: JetStreamCommitLog, connect: Connect) -> None:
    position, chain = await write(log, 2)
    messages, _ = encoded(batch(9, b"y" * 5_000), chain, 1_000)
    for message in messages[:3]:
        await log._js.publish(log._subject, message)
    other = await opened(await connect(), log._name)
    assert await other.last() == position
    with pytest.raises(FencedError, match="by somebody else"):
        await log.append(batch(2), position)
    assert await log.append(batch(2), position) == position + 4
    assert await sources(other) == [b"{}"] * 3


async def test_the_oldest_batches_go_when_there_are_too_many(connect: Connect, tmp_path: Path) -> None:
    log = await opened(await connect(), tmp_path.name, bytes_max=100_000)
    position = 0
    for at in range(60):
        position = await log.append(batch(at, b"z" * 5_000), position)
    state = (await log._js.stream_info(log._name)).state
    assert state.bytes <= 150_000
    assert state.last_seq == 60
    with pytest.raises(LogDamagedError, match="must take its documents from another copy"):
        await positions(log, 3)
    assert await positions(log, 55) == [56, 57, 58, 59, 60]
    with pytest.raises(LogDamagedError, match="from another copy"):
        await JetStreamCommitLog(await connect(), log._name, bytes_max=1).attach(3, b"?")


# -- two writers


async def test_of_two_writers_the_one_who_does_not_know_the_end_is_refused(
    log: JetStreamCommitLog, connect: Connect
) -> None:
    await write(log, 2)
    rival = await opened(await connect(), log._name)
    assert await rival.append(batch(2, b"rival", term=2), 2) == 3
    with pytest.raises(FencedError):
        await log.append(batch(2, b"late"), 2)
    with pytest.raises(FencedError, match=r"primary term \[1\] is older than \[2\]"):
        await log.append(batch(3, b"older term"), 3)
    assert (await sources(log))[2:] == [b"rival"]


# -- outcomes that nobody heard of


async def test_an_answer_that_is_lost_neither_loses_nor_doubles_the_batch(
    own_server: NatsServer, own: Connection
) -> None:
    log = await opened(own, "lost")
    await write(log, 3)
    own_server.freeze()
    waiting = asyncio.ensure_future(log.append(batch(3, b"asked once"), 3))
    await asyncio.sleep(1)  # several answers fail to come: the same batch is asked for again each time
    assert not waiting.done()
    own_server.signal(signal.SIGCONT)
    assert await waiting == 4
    assert await log.append(batch(4), 4) == 5
    assert await sources(log) == [b"{}"] * 3 + [b"asked once", b"{}"]


async def test_a_batch_that_landed_unheard_is_found_when_the_writer_goes_on(
    own_server: NatsServer, own: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = await opened(own, "unheard")
    await write(log, 1)
    monkeypatch.setattr(module, "APPEND_TIMEOUT_S", 0.5)
    own_server.freeze()
    with pytest.raises(UnavailableShardsError):
        await log.append(batch(1, b"unheard"), 1)
    own_server.signal(signal.SIGCONT)
    monkeypatch.setattr(module, "APPEND_TIMEOUT_S", 20.0)
    found = [(position, found.operations[0].source) async for position, found in log.read(1)]
    assert found in ([], [(2, b"unheard")])
    with pytest.raises(FencedError):
        await log.append(batch(2), 1 if found else 2)
    assert await log.append(batch(2), 2 if found else 1) == (3 if found else 2)


async def test_a_server_that_is_killed_under_appends_loses_nothing_it_acknowledged(
    own_server: NatsServer, own: Connection
) -> None:
    log = await opened(own, "killed")
    acknowledged: list[bytes] = []

    async def append() -> None:
        position = 0
        for at in range(400):
            source = b"%d" % at
            position = await log.append(batch(at, source), position)
            acknowledged.append(source)

    writing = asyncio.ensure_future(append())
    for enough in (50, 150, 250):
        while len(acknowledged) < enough:
            await asyncio.sleep(0)
        own_server.kill()
        await asyncio.to_thread(own_server.start)
    await writing
    assert await sources(log) == acknowledged


# -- logs that contradict the copy


async def test_a_batch_that_somebody_else_put_in_is_noticed(log: JetStreamCommitLog) -> None:
    position, chain = await write(log, 3)
    forged, _ = encoded(batch(3, b"forged"), b"another history", 10_000)
    await log._js.publish(log._subject, forged[0])
    with pytest.raises(LogDamagedError, match="follows a batch with hash"):
        await positions(log, position)
    await log.attach(position, chain)


async def test_a_message_that_is_no_batch_is_noticed(log: JetStreamCommitLog) -> None:
    await write(log, 1)
    await log._js.publish(log._subject, b"hello")
    with pytest.raises(LogDamagedError, match="is not a record of a batch"):
        await log.last()


async def test_a_changed_batch_is_noticed(log: JetStreamCommitLog) -> None:
    messages, _ = encoded(batch(0, b"right"), b"", 10_000)
    await log._js.publish(log._subject, messages[0].replace(b"right", b"wrong"))
    with pytest.raises(LogDamagedError, match="does not have the hash"):
        await positions(log)


async def test_another_batch_at_the_copys_place_is_noticed(log: JetStreamCommitLog) -> None:
    position, chain = await write(log, 3)
    await log.attach(position, chain)
    with pytest.raises(LogDamagedError, match=r"another batch at \[3\]"):
        await log.attach(position, b"what the copy took")


async def test_a_log_that_is_gone_is_not_made_again(log: JetStreamCommitLog) -> None:
    position, chain = await write(log, 3)
    await log._js.delete_stream(log._name)
    with pytest.raises(LogDamagedError, match="is gone"):
        await log.attach(position, chain)
    with pytest.raises(LogDamagedError, match="is gone"):
        await log.append(batch(3), position)
    assert await log._info() is None


async def test_a_log_that_lost_its_end_is_noticed_at_start_and_under_way(log: JetStreamCommitLog) -> None:
    position, chain = await write(log, 5)
    await log._js.delete_stream(log._name)
    shorter = await opened(log._connection, log._name)
    await write(shorter, 2)
    with pytest.raises(LogDamagedError, match=r"lost its end: it ends at \[2\].*up to \[5\]"):
        await log.append(batch(5), position)
    with pytest.raises(LogDamagedError, match="lost its end"):
        await JetStreamCommitLog(log._connection, log._name, bytes_max=1).attach(position, chain)
    assert await positions(shorter) == [1, 2], "the log is left as it is"


@pytest.mark.parametrize("place", [0.1, 0.5, 0.95])
async def test_flipped_bits_in_the_servers_files_are_noticed(own_server: NatsServer, place: float) -> None:
    connection = await own_server.connect()
    log = await opened(connection, "flipped")
    position = 0
    for at in range(20):
        position = await log.append(batch(at, b"%d" % at * 200), position)
    chain = log.chain
    await connection.close()
    own_server.kill()
    block = next((own_server.folder / "jetstream").rglob("flipped/msgs/*.blk"))
    content = bytearray(block.read_bytes())
    at = int(len(content) * place)
    content[at : at + 4] = bytes(byte ^ 0xFF for byte in content[at : at + 4])
    block.write_bytes(content)
    for index in block.parent.glob("index*"):
        index.unlink()
    own_server.start()
    connection = await own_server.connect()
    again = JetStreamCommitLog(connection, "flipped", bytes_max=LOG_BYTES)
    with pytest.raises(LogDamagedError):
        await read_all(again, position, chain)
    await connection.close()


async def test_a_log_begun_anew_takes_batches_behind_the_copy(log: JetStreamCommitLog) -> None:
    position, chain = await write(log, 5)
    await log._js.delete_stream(log._name)
    await log.rebuild(position, chain)
    again = JetStreamCommitLog(log._connection, log._name, bytes_max=LOG_BYTES)
    await again.attach(position, chain)
    assert await again.append(batch(5), 5) == 6
    assert await positions(again, 5) == [6]
    with pytest.raises(LogDamagedError, match="from another copy"):
        await JetStreamCommitLog(log._connection, log._name, bytes_max=1).attach(2, b"an older copy")


async def test_operations_of_a_leader_keep_their_mark(log: JetStreamCommitLog) -> None:
    replicated = msgspec.structs.replace(batch(7), is_replicated=True, up_to=9)
    await log.append(replicated, 0)
    assert [found async for _, found in log.read(0)] == [replicated]


# -- three servers


async def test_of_three_servers_one_may_be_killed(tmp_path: Path) -> None:
    cluster = NatsCluster(tmp_path).start()
    connection = await cluster.connect()
    try:
        log = await opened(connection, "three")
        position, _ = await write(log, 20)
        leader = (await connection.js.stream_info("three")).cluster.leader
        next(server for server in cluster.servers if server.config["server_name"] == leader).kill()
        for at in range(20):
            position = await log.append(batch(20 + at, b"after"), position)
        assert len(await positions(log)) == 40
    finally:
        await connection.close()
        cluster.kill()
