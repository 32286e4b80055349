"""The node's threads for shards: commits that are too long for the event loop, and work on search indices.

Tests: tests/index/test_shard.py (what runs where is measured in bench/shard_write.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

WRITE_THREADS = 2
INDEX_THREADS = 3
WRITERS_MAX = 8
"""Search indices that keep a writer (6 threads, 6 MB) between refreshes; others close theirs after each."""


class Workers:
    """Shared by all shards of a node. Shards queue their own work, so one never runs twice at a time."""

    def __init__(self) -> None:
        self._writes = ThreadPoolExecutor(WRITE_THREADS, "hanse-write")
        self._indexing = ThreadPoolExecutor(INDEX_THREADS, "hanse-index")
        self.writers_open = 0

    async def write(self, work: Callable[P, R], *arguments: P.args, **keywords: P.kwargs) -> R:
        return await self._run(self._writes, work, *arguments, **keywords)

    async def index(self, work: Callable[P, R], *arguments: P.args, **keywords: P.kwargs) -> R:
        return await self._run(self._indexing, work, *arguments, **keywords)

    async def _run(
        self, executor: ThreadPoolExecutor, work: Callable[P, R], *arguments: P.args, **keywords: P.kwargs
    ) -> R:
        """Waits for the end of `work` even when cancelled: its caller holds the lock that keeps others out."""
        running = asyncio.get_running_loop().run_in_executor(executor, lambda: work(*arguments, **keywords))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait((running,))
            raise

    def close(self) -> None:
        self._writes.shutdown()
        self._indexing.shutdown()
