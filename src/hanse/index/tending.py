"""What a shard that is written to needs beside: refreshes, purging, a quiet end.

A task lives from the first write until the shard has been quiet for a while; then the search index' writer is closed
and the task ends. An idle shard has no task and no thread. Tests: tests/index/test_tending.py.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

import structlog

from hanse.errors import HanseError
from hanse.index.changes import BEFORE_ALL
from hanse.index.document_store import DocumentStore
from hanse.index.leases import RetentionLeases
from hanse.index.reading import Pins
from hanse.index.search_feed import SearchFeed
from hanse.index.workers import Workers
from hanse.tasks import Tasks

log = structlog.get_logger(__name__)

QUIET_S = 30.0
TOMBSTONE_AGE_S = 60.0
"""How long a deleted document's version is remembered at least (Elasticsearch's index.gc_deletes)."""
PAUSE_S = 1.0
"""Between looks at a shard that does not refresh by itself."""


class Tending:
    """`refresh_interval_s` and `leases` are asked anew each time; `exclusive` is held while the store is written."""

    def __init__(
        self,
        name: str,
        store: DocumentStore,
        feed: SearchFeed,
        pins: Pins,
        workers: Workers,
        tasks: Tasks,
        exclusive: asyncio.Lock,
        refresh_interval_s: Callable[[], float],
        leases: Callable[[], RetentionLeases],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._store = store
        self._feed = feed
        self._pins = pins
        self._workers = workers
        self._tasks = tasks
        self._exclusive = exclusive
        self._refresh_interval_s = refresh_interval_s
        self._leases = leases
        self._clock = clock
        self._running: asyncio.Task[None] | None = None
        self._is_stopped = False
        self._ages: deque[tuple[float, int]] = deque([(clock(), store.progress.max_seq_no)])
        self._purged = (BEFORE_ALL, BEFORE_ALL)

    def ensure(self) -> None:
        """Called after each write."""
        if self._running is None and not self._is_stopped:
            self._running = self._tasks.spawn(f"tending of {self._name}", self._tend())

    async def stop(self) -> None:
        self._is_stopped = True
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait((self._running,))

    async def _tend(self) -> None:
        tended_through = BEFORE_ALL - 1
        try:
            while tended_through != self._store.progress.max_seq_no:
                tended_through = await self._tend_until_quiet()
                await self._feed.rest()
                async with self._exclusive:
                    await self._workers.write(self._store.rest)
        finally:
            self._running = None

    async def _tend_until_quiet(self) -> int:
        """Returns the max_seq_no that has not moved for a while."""
        quiet_s, seen = 0.0, self._store.progress.max_seq_no
        while quiet_s < QUIET_S:
            interval_s = self._refresh_interval_s()
            pause_s = interval_s if interval_s > 0 else PAUSE_S
            await asyncio.sleep(pause_s)
            now = self._store.progress.max_seq_no
            quiet_s, seen = (quiet_s + pause_s if now == seen else 0.0), now
            try:
                if self._feed.is_behind or (interval_s >= 0 and self._feed.needs_refresh):
                    await self._feed.refresh()
                await self.purge()
            except HanseError as error:
                log.warning("shard could not be tended", shard=self._name, error=error.reason)
        return seen

    async def purge(self) -> None:
        """Drops operations no reader can name any more, and tombstones that are old and every follower has passed."""
        superseded_through = self._pins.lowest(self._feed.through)
        tombstones_through = min(superseded_through, self._aged_through())
        retained = self._leases().retaining_seq_no
        if retained is not None:
            tombstones_through = min(tombstones_through, retained - 1)
        if (superseded_through, tombstones_through) == self._purged:
            return
        more = True
        while more:
            async with self._exclusive:
                more = await self._workers.write(self._store.purge, superseded_through, tombstones_through)
        self._purged = (superseded_through, tombstones_through)

    def _aged_through(self) -> int:
        """The highest seq_no that is older than a tombstone has to become."""
        now = self._clock()
        self._ages.append((now, self._store.progress.max_seq_no))
        while len(self._ages) > 1 and self._ages[1][0] <= now - TOMBSTONE_AGE_S:
            self._ages.popleft()
        made, seq_no = self._ages[0]
        return seq_no if made <= now - TOMBSTONE_AGE_S else BEFORE_ALL
