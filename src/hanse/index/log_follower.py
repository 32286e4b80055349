"""Keeps a copy's document store level with a log outside of it: a batch goes to the log first, then into the store.

Where the two may differ (at start, after an append whose outcome is unknown, after a store that failed) the log is read
on from the store's position before anything else is written. A copy that is not the primary gets the batches from the
primary, which had them from the log; where one is missing it reads the log on, too. A log that contradicts the copy
stops it: from then on `failure` is set, the shard serves nothing, and nothing of the copy is changed until it is healed
from another copy (local_copy.py). Tests: tests/index/test_log_follower.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import msgspec
import structlog

from hanse.cluster.log import Batch, CommitLog, Logged
from hanse.errors import LogDamagedError
from hanse.index.document_store import DocumentStore

log = structlog.get_logger(__name__)

Take = Callable[[Batch, int | None, int, Logged], Awaitable[None]]
"""Puts a batch into store and search feed: batch, checkpoint, bytes, where it lies in the log."""


class SentBatch(msgspec.Struct, frozen=True, array_like=True):
    """A batch as the primary sends it to another copy, with where it lies in the log."""

    position: int
    chain: bytes
    batch: Batch


class LogFollower:
    """Used by one group commit at a time."""

    def __init__(
        self, commit_log: CommitLog, store: DocumentStore, take: Take, has_mapping: Callable[[int], Awaitable[None]]
    ) -> None:
        """`has_mapping` waits until this node has the mapping of that version."""
        self._has_mapping = has_mapping
        self._log = commit_log
        self._store = store
        self._take = take
        self._is_level = False
        self.failure: LogDamagedError | None = None
        self.failed: Callable[[LogDamagedError], None] = lambda error: None

    async def attach(self, *, is_new: bool) -> None:
        """Compares the copy with the log. Raises LogDamagedError when they do not belong together."""
        progress = self._store.progress
        with self._stops_on_damage():
            await self._log.attach(progress.position, progress.chain, is_new=is_new)

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

    def is_unsure(self) -> None:
        """Somebody else may have appended: the log is read on before anything else."""
        self._is_level = False

    async def take_sent(self, after: int, chain: bytes, sent: Sequence[SentBatch]) -> bool:
        """Takes batches that follow the one at `after` with hash `chain`; False when this copy does not stand there."""
        if self.failure is not None:
            raise self.failure
        self._is_level = False
        with self._stops_on_damage():
            for one in sent:
                now = self._store.progress
                if one.position > now.position:
                    if (now.position, now.chain) != (after, chain):
                        return False
                    await self._take_batch(one.batch, Logged(one.position, one.chain, one.batch.primary_term))
                    self._log.taken(one.position, one.chain)
                after, chain = one.position, one.chain
            now = self._store.progress
            if now.position == after and now.chain != chain:
                raise LogDamagedError(f"this copy holds another batch at [{after}] than the primary")
        return now.position >= after

    async def _take_batch(self, batch: Batch, logged: Logged) -> None:
        """A primary's own batch carries numbers nobody had before; a leader's may repeat what is here."""
        operations = batch.operations
        up_to = batch.up_to
        if batch.primary_term < self._store.progress.primary_term:
            raise LogDamagedError(
                f"the batch at [{logged.position}] of the log has term [{batch.primary_term}], but this copy is in "
                f"term [{self._store.progress.primary_term}]"
            )
        if operations and not batch.is_replicated:
            first, highest = operations[0].seq_no, self._store.progress.max_seq_no
            if first <= highest:
                raise LogDamagedError(
                    f"the batch at [{logged.position}] of the log gives seq_no [{first}], term [{batch.primary_term}], "
                    f"but this copy is at seq_no [{highest}] in term [{self._store.progress.primary_term}]"
                )
            up_to = operations[-1].seq_no
        await self._has_mapping(batch.mapping_version)
        await self._take(batch, up_to, sum(len(op.source) for op in operations), logged)

    @contextmanager
    def _stops_on_damage(self) -> Iterator[None]:
        try:
            yield
        except LogDamagedError as error:
            self.failure = error
            log.error("copy stops serving", store=str(self._store.path), why=error.reason)
            self.failed(error)
            raise

    @asynccontextmanager
    async def appended(self, batch: Batch) -> AsyncIterator[Logged]:
        """Appends to the log; the body puts the batch into the store. What fails in between is caught up later.

        Raises FencedError when another primary was there first: nothing was appended then.
        """
        self._is_level = False
        with self._stops_on_damage():
            position = await self._log.append(batch, self._store.progress.position)
        yield Logged(position, self._log.chain, batch.primary_term)
        self._is_level = True
