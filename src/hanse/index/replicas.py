"""Keeps the other copies of a shard level: the primary sends each of them what it put into the log.

A write is acknowledged when the log has it; copies follow behind that, usually within a millisecond. Each copy has a
queue of its own. One that does not answer, or whose queue grew too long, is no longer sent batches but asked from time
to time to read the log on by itself, until it says that it did. Tests: tests/index/test_replicas.py.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection

import structlog

from hanse.cluster.log import Logged
from hanse.errors import HanseError
from hanse.index.copy_requests import CopyAt, SendBatches
from hanse.index.log_follower import SentBatch
from hanse.tasks import Tasks

log = structlog.get_logger(__name__)

QUEUE_BYTES_MAX = 64 * 1024 * 1024
MESSAGE_BYTES_MAX = 8 * 1024 * 1024
RETRY_S = 0.2
RETRY_S_MAX = 1.0

Send = Callable[[str, SendBatches], Awaitable[CopyAt]]
"""To a node."""


class Replicas:
    """All other copies of one shard, by node. `name` is the shard, for people."""

    def __init__(self, name: str, index_uuid: str, shard: int, send: Send, tasks: Tasks) -> None:
        self._name = name
        self._index_uuid = index_uuid
        self._shard = shard
        self._send = send
        self._tasks = tasks
        self._queues: dict[str, _Queue] = {}

    def set_nodes(self, nodes: Collection[str], at: Logged) -> None:
        """The nodes that have a copy now. A new one is asked to come to where the primary stands, `at`."""
        for node in self._queues.keys() - set(nodes):
            self._queues.pop(node).close()
        for node in set(nodes) - self._queues.keys():
            queue = self._queues[node] = _Queue(self, node, at)
            queue.wake()

    def sent(self, before: Logged, sent: SentBatch) -> None:
        """Takes a batch that went to the log behind `before`."""
        for queue in self._queues.values():
            queue.put(before, sent)

    def close(self) -> None:
        self.set_nodes((), Logged(0, b"", 0))

    def spawn(self, node: str, queue: _Queue) -> asyncio.Task[None]:
        return self._tasks.spawn(f"keep the copy of {self._name} on [{node}] level", queue.drain())

    async def deliver(self, node: str, after: int, chain: bytes, batches: list[SentBatch]) -> int:
        return (await self._send(node, SendBatches(self._index_uuid, self._shard, after, chain, batches))).position


class _Queue:
    """What one copy has yet to be sent. `_is_behind`: it has to read the log itself, and batches are not kept."""

    def __init__(self, replicas: Replicas, node: str, at: Logged) -> None:
        self._replicas = replicas
        self._node = node
        self._waiting: deque[tuple[Logged, SentBatch]] = deque()
        self._bytes = 0
        self._end = (at.position, at.chain)
        self._is_behind = True
        self._is_closed = False
        self._draining: asyncio.Task[None] | None = None

    def put(self, before: Logged, sent: SentBatch) -> None:
        self._end = (sent.position, sent.chain)
        if not self._is_behind:
            self._waiting.append((before, sent))
            self._bytes += _size(sent)
            if self._bytes > QUEUE_BYTES_MAX:
                self._fall_behind()
        self.wake()

    def wake(self) -> None:
        if self._draining is None and not self._is_closed:
            self._draining = self._replicas.spawn(self._node, self)

    def close(self) -> None:
        self._is_closed = True
        if self._draining is not None:
            self._draining.cancel()

    def _fall_behind(self) -> None:
        self._is_behind = True
        self._waiting.clear()
        self._bytes = 0

    async def drain(self) -> None:
        pause_s = RETRY_S
        try:
            while self._is_behind or self._waiting:
                try:
                    await (self._ask() if self._is_behind else self._send())
                    pause_s = RETRY_S
                except HanseError as error:
                    log.debug("copy could not be kept level", node=self._node, why=error.reason)
                    self._fall_behind()
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, RETRY_S_MAX)
        finally:
            self._draining = None

    async def _ask(self) -> None:
        """Has the copy read the log; what is written meanwhile waits here."""
        wanted, chain = self._end
        self._is_behind = False
        if await self._replicas.deliver(self._node, wanted, chain, []) < wanted:
            self._fall_behind()
            await asyncio.sleep(RETRY_S)

    async def _send(self) -> None:
        before, size = self._waiting[0][0], 0
        batches: list[SentBatch] = []
        while self._waiting and (not batches or size < MESSAGE_BYTES_MAX):
            _, sent = self._waiting.popleft()
            batches.append(sent)
            size += _size(sent)
        self._bytes -= size
        reached = await self._replicas.deliver(self._node, before.position, before.chain, batches)
        if reached < batches[-1].position:
            self._fall_behind()


def _size(sent: SentBatch) -> int:
    return sum(len(operation.source) for operation in sent.batch.operations)
