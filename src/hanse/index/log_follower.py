"""Keeps a copy's document store level with a log outside of it: a batch goes to the log first, then into the store.

Where the two may differ (at start, after an append whose outcome is unknown, after a store that failed) the log is read
on from the store's position before anything else is written. A log that contradicts the copy stops it: from then on
`failure` is set, the shard serves nothing, and nothing of the copy is changed. A copy that needs what the log no longer
holds or has another history, can be healed from a peer's change feed: that comes with replicas and begins at `failure`.
Tests: tests/index/test_log_follower.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import structlog

from hanse.cluster.log import Batch, CommitLog, Operation
from hanse.errors import LogDamagedError
from hanse.index.document_store import DocumentStore
from hanse.index.records import Logged

log = structlog.get_logger(__name__)

Take = Callable[[Sequence[Operation], int | None, int, Logged], Awaitable[None]]
"""Puts operations into store and search feed: operations, checkpoint, bytes, where they lie in the log."""


class LogFollower:
    """Used by one group commit at a time."""

    def __init__(self, commit_log: CommitLog, store: DocumentStore, take: Take) -> None:
        self._log = commit_log
        self._store = store
        self._take = take
        self._is_level = False
        self.failure: LogDamagedError | None = None

    async def attach(self) -> None:
        """Compares the copy with the log. Raises LogDamagedError when they do not belong together."""
        progress = self._store.progress
        with self._stops_on_damage():
            await self._log.attach(progress.position, progress.chain)

    async def catch_up(self) -> None:
        """Applies what the log holds beyond the store; costs nothing while the two are known to be level."""
        if self.failure is not None:
            raise self.failure
        if self._is_level:
            return
        count = 0
        with self._stops_on_damage():
            async for position, batch in self._log.read(self._store.progress.position):
                await self._take_batch(batch, Logged(position, self._log.chain, batch.primary_term))
                count += 1
        if count:
            log.info("batches were taken from the log", store=str(self._store.path), batches=count)
        self._is_level = True

    async def _take_batch(self, batch: Batch, logged: Logged) -> None:
        """A primary's own batch carries numbers nobody had before; a leader's may repeat what is here."""
        operations = batch.operations
        up_to = batch.up_to
        if not batch.is_replicated:
            first, highest = operations[0].seq_no, self._store.progress.max_seq_no
            if first <= highest or batch.primary_term < self._store.progress.primary_term:
                raise LogDamagedError(
                    f"the batch at [{logged.position}] of the log gives seq_no [{first}], term [{batch.primary_term}], "
                    f"but this copy is at seq_no [{highest}] in term [{self._store.progress.primary_term}]"
                )
            up_to = operations[-1].seq_no
        await self._take(operations, up_to, sum(len(op.source) for op in operations), logged)

    @contextmanager
    def _stops_on_damage(self) -> Iterator[None]:
        try:
            yield
        except LogDamagedError as error:
            self.failure = error
            log.error("copy stops serving", store=str(self._store.path), why=error.reason)
            raise

    @asynccontextmanager
    async def appended(self, batch: Batch) -> AsyncIterator[Logged]:
        """Appends to the log; the body puts the batch into the store. What fails in between is caught up later."""
        self._is_level = False
        with self._stops_on_damage():
            position = await self._log.append(batch, self._store.progress.position)
        yield Logged(position, self._log.chain, batch.primary_term)
        self._is_level = True
