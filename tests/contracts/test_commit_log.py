"""What every CommitLog promises. An engine joins by adding itself to `ENGINES`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.nats_servers import Connect

from hanse.cluster.embedded.commit_log import EmbeddedCommitLog
from hanse.cluster.jetstream.commit_log import JetStreamCommitLog
from hanse.cluster.log import Batch, CommitLog, Operation
from hanse.errors import FencedError
from hanse.index.document_store import DocumentStore


async def embedded(folder: Path, connect: Connect) -> CommitLog:
    return EmbeddedCommitLog(DocumentStore(folder / "documents.sqlite"))


async def jetstream(folder: Path, connect: Connect) -> CommitLog:
    log = JetStreamCommitLog(await connect(), folder.name, bytes_max=2**28)
    await log.attach(0, b"")
    return log


Open = Callable[[Path], Awaitable[CommitLog]]
ENGINES = {"embedded": embedded, "jetstream": jetstream}


@pytest.fixture(params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest, connect: Connect) -> Open:
    return lambda folder: ENGINES[request.param](folder, connect)


@pytest.fixture
async def log(engine: Open, tmp_path: Path) -> AsyncIterator[CommitLog]:
    made = await engine(tmp_path)
    yield made
    await made.close()


def batch(*seq_nos: int, term: int = 1) -> Batch:
    return Batch(term, [Operation(n, term, f"id-{n}", 1, n % 3 == 2, None, b"{}") for n in seq_nos])


async def read(log: CommitLog, after: int = 0) -> list[tuple[int, Batch]]:
    return [entry async for entry in log.read(after)]


async def test_an_empty_log_stands_at_nothing(log: CommitLog) -> None:
    assert await log.last() == 0
    assert await read(log) == []


async def test_positions_rise_by_one_per_batch(log: CommitLog) -> None:
    assert await log.append(batch(0, 1), 0) == 1
    assert await log.append(batch(2), 1) == 2
    assert await log.last() == 2


async def test_batches_are_read_in_order_after_a_position(log: CommitLog) -> None:
    for at in range(250):
        await log.append(batch(2 * at, 2 * at + 1), at)
    assert await read(log) == [(at + 1, batch(2 * at, 2 * at + 1)) for at in range(250)]
    assert await read(log, 249) == [(250, batch(498, 499))]


@pytest.mark.parametrize("expected", [0, 2])
async def test_a_writer_that_does_not_know_the_end_is_fenced_off(log: CommitLog, expected: int) -> None:
    await log.append(batch(0), 0)
    with pytest.raises(FencedError):
        await log.append(batch(1), expected)
    assert await log.last() == 1
    assert await read(log) == [(1, batch(0))]


async def test_an_older_primary_is_fenced_off(log: CommitLog) -> None:
    await log.append(batch(0, term=3), 0)
    with pytest.raises(FencedError, match="primary term"):
        await log.append(batch(1, term=2), 1)
    assert await log.append(batch(1, term=4), 1) == 2


async def test_the_log_is_there_after_closing_and_opening(engine: Open, tmp_path: Path) -> None:
    first = await engine(tmp_path)
    await first.append(batch(0, 1), 0)
    await first.close()
    again = await engine(tmp_path)
    assert await again.last() == 1
    assert await read(again) == [(1, batch(0, 1))]
    assert await again.append(batch(2), 1) == 2
    await again.close()


async def test_a_log_goes_on_from_where_a_copy_stands(log: CommitLog) -> None:
    await log.append(batch(0), 0)
    position, chain = await log.append(batch(1), 1), log.chain
    await log.append(batch(2), 2)
    await log.attach(position, chain)
    assert [found async for found, _ in log.read(position)] == [3]


async def test_a_log_begun_anew_goes_on_behind_the_copy(log: CommitLog) -> None:
    for at in range(3):
        await log.append(batch(at), at)
    position, chain = await log.last(), log.chain
    await log.rebuild(position, chain)
    await log.attach(position, chain)
    assert await log.last() == 3
    assert await log.append(batch(3), 3) == 4
