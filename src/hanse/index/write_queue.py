"""The one queue through which a shard is written.

Whoever writes puts operations in and waits. One task at a time, which lives while something waits, takes all there is
as a group and commits it; then everybody is answered. Who stops waiting does not stop the group.
Tests: tests/index/test_shard.py.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from hanse.cluster.log import Operation
from hanse.errors import HanseError, ShardFailedError
from hanse.index.document_store import DocumentStore
from hanse.index.group_commit import GroupCommit
from hanse.index.search_feed import SearchFeed
from hanse.index.shard_stats import Counters
from hanse.index.workers import Workers
from hanse.index.writing import WriteOp, WriteResult
from hanse.tasks import Tasks

GROUP_BYTES_MAX = 16 * 1024 * 1024
WAL_PAGES_MAX = 4_000
DRAIN_TIMEOUT_S = 5.0

Results = list[WriteResult | HanseError]


class Waiting(NamedTuple):
    """Somebody's operations: new ones, or ones that already carry a leader's numbers."""

    ops: Sequence[WriteOp]
    replicated: Sequence[Operation] | None
    up_to: int | None
    size: int
    done: asyncio.Future[Results]


class WriteQueue:
    """`exclusive` is held while the store is written; `committed` is called after each group."""

    def __init__(
        self,
        name: str,
        commit: GroupCommit,
        store: DocumentStore,
        feed: SearchFeed,
        workers: Workers,
        tasks: Tasks,
        exclusive: asyncio.Lock,
        counters: Counters,
        committed: Callable[[], None],
    ) -> None:
        self._name = name
        self._commit = commit
        self._store = store
        self._feed = feed
        self._workers = workers
        self._tasks = tasks
        self._exclusive = exclusive
        self._counters = counters
        self._committed = committed
        self._waiting: deque[Waiting] = deque()
        self._draining: asyncio.Task[None] | None = None

    async def write(self, ops: Sequence[WriteOp]) -> Results:
        return await self._queued(ops, None, None, sum(_size(op) for op in ops))

    async def replicate(self, operations: Sequence[Operation], up_to: int | None) -> None:
        for outcome in await self._queued((), operations, up_to, sum(len(op.source) for op in operations)):
            if isinstance(outcome, HanseError):
                raise outcome

    async def drained(self) -> None:
        """Lets what was accepted finish; a log that does not answer is not waited for longer than a stop may take."""
        if self._draining is not None:
            await asyncio.wait((self._draining,), timeout=DRAIN_TIMEOUT_S)
        if self._draining is not None:
            self._draining.cancel()
            await asyncio.wait((self._draining,))

    async def _queued(
        self, ops: Sequence[WriteOp], replicated: Sequence[Operation] | None, up_to: int | None, size: int
    ) -> Results:
        done: asyncio.Future[Results] = asyncio.get_running_loop().create_future()
        self._waiting.append(Waiting(ops, replicated, up_to, size, done))
        if self._draining is None:
            self._draining = self._tasks.spawn(f"writes of {self._name}", self._drain())
        return await done

    async def _drain(self) -> None:
        try:
            while self._waiting:
                await self._feed.room()
                async with self._exclusive:
                    await self._commit_group(self._next_group())
                    if self._store.wal_pages > WAL_PAGES_MAX:
                        await self._workers.write(self._store.checkpoint_wal)
        finally:
            self._draining = None
            if self._waiting:
                self._answer_failure(list(self._waiting), ShardFailedError(f"shard {self._name} takes no writes now"))
                self._waiting.clear()

    def _next_group(self) -> list[Waiting]:
        """What waits, up to a size; a replicated batch stands alone, as it carries a checkpoint of its own."""
        group = [self._waiting.popleft()]
        size = group[0].size
        while self._waiting and group[0].replicated is None and self._waiting[0].replicated is None:
            size += self._waiting[0].size
            if size > GROUP_BYTES_MAX:
                break
            group.append(self._waiting.popleft())
        return group

    async def _commit_group(self, group: list[Waiting]) -> None:
        started = time.monotonic()
        try:
            results = await self._results(group)
        except BaseException as error:
            self._answer_failure(group, error)
            if not isinstance(error, HanseError):
                raise
            return
        self._counters.written(results, time.monotonic() - started)
        at = 0
        for waiting in group:
            if not waiting.done.done():
                waiting.done.set_result(results[at : at + len(waiting.ops)])
            at += len(waiting.ops)
        self._committed()

    async def _results(self, group: list[Waiting]) -> Results:
        first = group[0]
        if first.replicated is not None:
            await self._commit.replicate(first.replicated, first.up_to, first.size)
            return []
        ops = [op for waiting in group for op in waiting.ops]
        return await self._commit.write(ops, sum(waiting.size for waiting in group))

    def _answer_failure(self, group: list[Waiting], error: BaseException) -> None:
        failure = error if isinstance(error, HanseError) else ShardFailedError(f"shard {self._name} failed: {error!r}")
        for waiting in group:
            if not waiting.done.done():
                waiting.done.set_result([failure] * max(1, len(waiting.ops)))


def _size(op: WriteOp) -> int:
    update = op.update
    return len(op.source) if update is None else len(update.doc or b"") + len(update.upsert or b"")
