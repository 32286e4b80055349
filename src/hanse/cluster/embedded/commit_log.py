"""The embedded CommitLog: the shard's document store is the log, so nothing is written twice.

A batch's content is what the store still holds of it: operations that were superseded and purged are missing when it
is read later, as they would be from a compacted stream. Tests: tests/contracts/test_commit_log.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from typing import Any, Protocol

from hanse.cluster.log import Batch

READ_BATCHES = 100


class BatchStore(Protocol):
    """What a document store offers its log."""

    @property
    def log_position(self) -> int: ...

    def append(self, batch: Batch, expected_last: int) -> int: ...

    def batches(self, after: int, limit: int) -> list[tuple[int, Batch]]: ...

    def close(self) -> None: ...


class EmbeddedCommitLog:
    """CommitLog over a store of this node. Appends run in `executor` one after the other; the caller queues them."""

    def __init__(self, store: BatchStore, executor: Executor | None = None) -> None:
        self._store = store
        self._executor = executor

    @property
    def chain(self) -> bytes:
        return b""

    async def attach(self, position: int, chain: bytes, *, is_new: bool = True) -> None:
        """The log is the copy: they cannot differ."""

    async def rebuild(self, position: int, chain: bytes) -> None:
        """The log is the copy: there is nothing else to begin anew."""

    def taken(self, position: int, chain: bytes) -> None:
        """The log is the copy: there is no other one."""

    async def last(self) -> int:
        return self._store.log_position

    async def append(self, batch: Batch, expected_last: int) -> int:
        position: int = await self._run(self._store.append, batch, expected_last)
        return position

    async def read(self, after: int) -> AsyncIterator[tuple[int, Batch]]:
        while found := await self._run(self._store.batches, after, READ_BATCHES):
            for position, batch in found:
                yield position, batch
            after = found[-1][0]

    def when_led_here(self, told: Callable[[], None]) -> None:
        """There is one machine."""

    async def step_aside(self) -> None:
        """There is one machine."""

    async def close(self) -> None:
        await self._run(self._store.close)

    async def _run(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)
