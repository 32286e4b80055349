"""What the primary sends its copies: order, batching, copies that are slow, dead, behind, or gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.two_clusters import until

from hanse.cluster.log import Batch, Logged, Operation
from hanse.errors import NodeDisconnectedError
from hanse.index import replicas as module
from hanse.index.copy_requests import CopyAt, SendBatches
from hanse.index.log_follower import SentBatch
from hanse.index.replicas import Replicas
from hanse.tasks import Tasks


def chain(position: int) -> bytes:
    return b"chain-%d" % position if position else b""


class Stream:
    """The log, the primary that appends to it, and copies that behave as `CopyActions.take` promises."""

    def __init__(self) -> None:
        self.tasks = Tasks()
        self.end = 0
        self.copies: dict[str, int] = {}
        self.asked: list[tuple[str, int, list[int]]] = []
        self.dead: set[str] = set()
        self.cannot_read: set[str] = set()
        self.open = asyncio.Event()
        self.open.set()
        self.held: set[str] = set()
        self.replicas = Replicas("[books][0]", "uuid", 0, self.send, self.tasks)

    async def send(self, node: str, request: SendBatches) -> CopyAt:
        assert (request.index_uuid, request.shard, request.chain) == ("uuid", 0, chain(request.after))
        self.asked.append((node, request.after, [sent.position for sent in request.batches]))
        if node in self.held:
            await self.open.wait()
        await asyncio.sleep(0)
        if node in self.dead:
            raise NodeDisconnectedError("gone")
        at = self.copies[node]
        if request.batches and request.after == at:
            assert [sent.position for sent in request.batches] == [*range(at + 1, at + 1 + len(request.batches))]
            self.copies[node] = request.batches[-1].position
        elif at < request.after + len(request.batches) and node not in self.cannot_read:
            self.copies[node] = self.end
        return CopyAt(self.copies[node])

    def set_copies(self, **at: int) -> None:
        self.copies = {node: self.copies.get(node, position) for node, position in at.items()}
        self.replicas.set_nodes(set(at), Logged(self.end, chain(self.end), 1))

    def append(self, size: int = 1) -> None:
        before = Logged(self.end, chain(self.end), 1)
        self.end += 1
        batch = Batch(1, [Operation(self.end, 1, "a", 1, False, None, b"x" * size)])
        self.replicas.sent(before, SentBatch(self.end, chain(self.end), batch))

    async def level(self, *nodes: str) -> None:
        await until(lambda: all(self.copies[node] == self.end for node in nodes or self.copies))

    def of(self, node: str) -> list[tuple[int, list[int]]]:
        return [(after, batches) for asked, after, batches in self.asked if asked == node]


@pytest.fixture(autouse=True, scope="module")
def no_pauses() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(module, "RETRY_S", 0.0)
        yield


@pytest.fixture
async def stream() -> AsyncIterator[Stream]:
    made = Stream()
    yield made
    made.replicas.close()
    await made.tasks.close()


async def test_a_new_copy_is_first_asked_to_come_to_where_the_primary_stands(stream: Stream) -> None:
    stream.end = 7
    stream.set_copies(a=3)
    await stream.level()
    assert stream.asked == [("a", 7, [])]


async def test_batches_follow_in_order_and_those_that_wait_go_together(stream: Stream) -> None:
    stream.set_copies(a=0)
    await until(lambda: stream.asked)
    stream.open.clear()
    stream.held.add("a")
    for _ in range(4):
        stream.append()
        await until(lambda: len(stream.asked) > 1)
    stream.open.set()
    await stream.level()
    assert stream.of("a") == [(0, []), (0, [1]), (1, [2, 3, 4])]


async def test_a_message_is_bounded(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MESSAGE_BYTES_MAX", 100)
    stream.set_copies(a=0)
    await until(lambda: stream.asked)
    await asyncio.sleep(0)
    for size in (60, 60, 10, 500, 1):
        stream.append(size)
    await stream.level()
    assert stream.of("a")[1:] == [(0, [1, 2]), (2, [3, 4]), (4, [5])]


async def test_a_slow_copy_holds_no_other(stream: Stream) -> None:
    stream.set_copies(slow=0, quick=0)
    await until(lambda: len(stream.asked) == 2)
    stream.open.clear()
    stream.held.add("slow")
    for _ in range(3):
        stream.append()
    await stream.level("quick")
    assert stream.copies["slow"] == 0
    stream.open.set()
    await stream.level()


async def test_a_copy_that_does_not_answer_is_asked_again_without_batches_until_it_is_level(stream: Stream) -> None:
    stream.set_copies(a=0)
    await until(lambda: stream.asked)
    stream.dead.add("a")
    for _ in range(3):
        stream.append()
    await until(lambda: len(stream.asked) > 5)
    assert all(batches == [] for _, batches in stream.of("a")[3:]), "batches are not kept for it"
    stream.dead.clear()
    await stream.level()
    stream.append()
    await stream.level()
    assert stream.of("a")[-1] == (3, [4])


async def test_a_queue_that_grew_too_long_is_dropped(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUEUE_BYTES_MAX", 100)
    stream.set_copies(a=0)
    await until(lambda: stream.asked)
    stream.open.clear()
    stream.held.add("a")
    stream.append()
    await until(lambda: len(stream.asked) > 1)
    for _ in range(5):
        stream.append(60)
    (queue,) = stream.replicas._queues.values()
    assert queue._bytes <= 100
    stream.open.set()
    await stream.level()
    assert (6, []) in stream.of("a"), "it was asked to read the log"


async def test_a_copy_that_cannot_come_level_yet_is_asked_again(stream: Stream) -> None:
    stream.end = 5
    stream.cannot_read.add("a")
    stream.set_copies(a=2)
    await until(lambda: len(stream.asked) > 2)
    stream.cannot_read.clear()
    await stream.level()


async def test_a_node_without_a_copy_gets_nothing_more(stream: Stream) -> None:
    stream.set_copies(a=0, b=0)
    await until(lambda: len(stream.asked) == 2)
    stream.replicas.set_nodes({"b"}, Logged(0, b"", 1))
    stream.append()
    await stream.level("b")
    assert stream.of("a") == [(0, [])]
    stream.replicas.close()
    count = len(stream.asked)
    stream.append()
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(stream.asked) == count


EVENTS = st.lists(
    st.sampled_from(["append", "append", "large", "kill", "revive", "lose a", "gain a", "turn"]), max_size=60
)


@given(EVENTS)
def test_whatever_happens_copies_come_level_in_the_end(events: list[str]) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(module, "QUEUE_BYTES_MAX", 30_000)
        asyncio.run(lived_through(events))


async def lived_through(events: list[str]) -> None:
    stream = Stream()
    stream.set_copies(a=0, b=0)
    for event in events:
        match event:
            case "append" | "large":
                stream.append(1 if event == "append" else 20_000)
            case "kill":
                stream.dead.add("b")
            case "revive":
                stream.dead.clear()
            case "lose a":
                stream.set_copies(b=0)
            case "gain a":
                stream.set_copies(a=0, b=0)
            case _:
                await asyncio.sleep(0)
    stream.dead.clear()
    await stream.level()
    stream.replicas.close()
    await stream.tasks.close()
