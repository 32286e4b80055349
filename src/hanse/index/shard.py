"""A shard: a document store, a search index that follows it, and the one queue through which it is written.

Writes: write_queue.py gathers what waits, group_commit.py maps, checks and commits it, search_feed.py takes the mapped
documents behind the acknowledgement. Reads: `get` sees every acknowledged write, `reader` what was refreshed, `changes`
is the feed for followers. tending.py refreshes and purges while the shard is written to.
Tests: tests/index/test_shard.py, tests/index/test_changes.py, tests/index/test_kill.py.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hanse import clock
from hanse.cluster.log import CommitLog, Logged, Operation
from hanse.cluster.state import IndexMetadata
from hanse.errors import HanseError, RetryOnPrimaryError, ShardFailedError
from hanse.index import shard_stats
from hanse.index.changes import BEFORE_ALL, BYTES_MAX, OPERATIONS_MAX, Changes, is_lost
from hanse.index.document_store import DocumentStore
from hanse.index.group_commit import INLINE_OPERATIONS_MAX, GroupCommit, Owner, Sent
from hanse.index.leases import RetentionLease, RetentionLeases
from hanse.index.log_follower import SentBatch
from hanse.index.mapping import Mapping
from hanse.index.reading import Pins, ShardReader
from hanse.index.recent_documents import RecentDocuments
from hanse.index.records import StoredDocument
from hanse.index.search_feed import SearchFeed
from hanse.index.tending import Tending
from hanse.index.workers import Workers
from hanse.index.write_queue import WriteQueue
from hanse.index.writing import Place, UpdateBody, WriteOp, WriteResult
from hanse.tasks import Tasks

PART_AFTER_S = 5.0
"""How long after a change the log may be led on the machine of the primary."""


class Shard:
    """One copy of one shard. All methods are called on the event loop; `ShardReader.fetch` in any thread."""

    def __init__(
        self, owner: Owner, number: int, folder: Path, workers: Workers, tasks: Tasks, log: CommitLog | None = None
    ) -> None:
        """Opens or makes the files in `folder`; blocks for milliseconds. `recover` must be awaited before searches."""
        self.index_name = owner.metadata.name
        self.index_uuid = owner.metadata.uuid
        self.number = number
        self.counters = shard_stats.Counters()
        self._owner = owner
        self._workers = workers
        self._exclusive = asyncio.Lock()
        self._pins = Pins()
        self._news: set[asyncio.Future[None]] = set()
        self._is_closed = False
        self._is_level = False
        folder.mkdir(parents=True, exist_ok=True)
        name = str(self)
        self.store = DocumentStore(folder / "documents.sqlite")
        self.recent = RecentDocuments(self.store.fetch)
        self.retention_leases = RetentionLeases.decoded(self.store.get_meta("leases"))
        self.feed = SearchFeed(name, self.store, folder, lambda: owner.mapping, workers, tasks)
        place = Place(self.index_name, self.index_uuid, number)
        self._commit = GroupCommit(place, owner, self.store, self.feed, workers, log)
        self._commit.leases_taken = self._leases_taken
        self._tasks = tasks
        self._log = log
        self._parting: asyncio.Task[None] | None = None
        if log is not None:
            log.when_led_here(self._both_may_lead_here)
            self._commit.took_over = self._both_may_lead_here
        self._queue = WriteQueue(
            name, self._commit, self.store, self.feed, workers, tasks, self._exclusive, self.counters, self._committed
        )
        self._tending = Tending(
            name,
            self.store,
            self.feed,
            self._pins,
            workers,
            tasks,
            self._exclusive,
            lambda: owner.refresh_interval_s,
            lambda: self.retention_leases,
        )

    def __str__(self) -> str:
        return f"[{self.index_name}][{self.number}]"

    @property
    def metadata(self) -> IndexMetadata:
        return self._owner.metadata

    @property
    def mapping(self) -> Mapping:
        return self._owner.mapping

    @property
    def max_seq_no(self) -> int:
        return self.store.progress.max_seq_no

    @property
    def checkpoint(self) -> int:
        """Everything up to it is here: a leader's highest seq_no, or how far a follower's feed got."""
        return self.store.progress.checkpoint

    @property
    def primary_term(self) -> int:
        return self._commit.primary_term

    @property
    def logged(self) -> Logged:
        """The last batch of the log that is in this copy."""
        return self.store.progress.logged

    @property
    def history_uuid(self) -> str:
        return self.store.history_uuid

    @property
    def tombstone_floor(self) -> int:
        return self.store.progress.tombstone_floor

    @property
    def needs_refresh(self) -> bool:
        return self.feed.needs_refresh

    @property
    def failure(self) -> HanseError | None:
        """Why this copy serves nothing any more; None while it does."""
        return self._commit.failure

    @property
    def open_readers(self) -> int:
        return len(self._pins)

    def stats(self) -> dict[str, Any]:
        return shard_stats.shown(self)

    # -- reading

    def get(self, id: str) -> StoredDocument | None:
        """The document as last acknowledged, refreshed or not."""
        self._check_serving()
        found = self.store.get(id)
        if found is None:
            self.counters.get_missing += 1
        else:
            self.counters.get_exists += 1
        return found

    def reader(self) -> ShardReader:
        """A view of what the last refresh made visible; pins what it can name until it is closed."""
        self._check_serving()
        try:
            return ShardReader(self, self.feed.published(), self._pins, self._owner.mapping)
        except ShardFailedError:
            self._tending.ensure()
            raise

    async def refresh(self) -> None:
        """Makes all acknowledged writes searchable."""
        await self.feed.refresh()

    async def merge(self) -> None:
        """Makes all acknowledged writes searchable, in as few segments as tantivy's merges make of them."""
        self._check_open()
        await self.feed.merge()

    async def recover(self, *, is_new: bool = True) -> None:
        """Brings the store up to the log, and the search index up to the store. Raises LogDamagedError.

        `is_new`: no copy of this shard ever held anything.
        """
        async with self._exclusive:
            await self._commit.attach(is_new=is_new)
            # Before the log is read: what a refresh asks of this copy too early is in what is then read.
            self._is_level = True
            await self._commit.catch_up()
        if self.feed.needs_refresh:
            await self.feed.refresh()

    # -- one copy of several

    @property
    def has_log(self) -> bool:
        """Whether its batches go to a log outside of the store, which other copies can read."""
        return self._commit.has_log

    def when_failed(self, failed: Callable[[HanseError], None]) -> None:
        """`failed` is told when this copy stops serving."""
        self._commit.when_failed(failed)

    @property
    def is_level(self) -> bool:
        """Whether it follows the log: before, what it holds is only part of a copy."""
        return self._is_level

    def tell(self, sent: Sent) -> None:
        """`sent` is told of every batch that this copy, as the primary, put into the log."""
        self._commit.sent = sent

    async def lead(self) -> None:
        """Takes over as the primary: see `GroupCommit.lead`."""
        async with self._exclusive:
            await self._commit.lead()
        self._committed()

    def _both_may_lead_here(self) -> None:
        """This copy began to lead its shard, or this machine the log."""
        if not self._is_closed and (self._parting is None or self._parting.done()):
            self._parting = self._tasks.spawn(f"have the log of {self} led elsewhere", self._part())

    async def _part(self) -> None:
        """Not at once: while nodes come and go the log might be given to one that is going."""
        await asyncio.sleep(PART_AFTER_S)
        async with self._exclusive:
            if self._log is not None and self.is_leading and not self._is_closed:
                await self._log.step_aside()

    async def take_sent(self, after: int, chain: bytes, sent: Sequence[SentBatch]) -> int:
        """Follows the primary: see `GroupCommit.take_sent`. Returns the position in the log that was reached."""
        self._check_open()
        await self.feed.room()
        async with self._exclusive:
            position = await self._commit.take_sent(after, chain, sent)
        self._committed()
        return position

    @property
    def is_primary(self) -> bool:
        return self._owner.leads(self.number) is not None

    def check_primary(self) -> None:
        """Raises RetryOnPrimaryError when this copy is not the primary (any more)."""
        if not self.is_primary:
            raise RetryOnPrimaryError(f"{self} the copy on this node is not the primary", index=self.index_name)

    @property
    def is_leading(self) -> bool:
        """Whether it has taken over as the primary, with everything that was acknowledged before."""
        return self._commit.is_leading

    async def catch_up(self) -> int:
        """Reads the log on; returns the position that was reached."""
        self._check_open()
        async with self._exclusive:
            position = await self._commit.read_on()
        self._committed()
        return position

    async def settled(self) -> None:
        """Returns when the search index has been given what the store has now."""
        async with self._exclusive:
            pass

    async def take_copied(
        self, operations: Sequence[Operation], up_to: int, logged: Logged | None, mapping_version: int
    ) -> None:
        """Takes a piece of another copy's feed; with the last piece comes where that copy stands in the log."""
        self._check_open()
        await self._owner.has_mapping(mapping_version)
        await self.feed.room()
        async with self._exclusive:
            await self._commit.take_copied(operations, up_to, logged)

    async def adopt(self, history_uuid: str, leases: bytes | None) -> None:
        """Takes over whose history this copy is one of, and the retention leases."""
        async with self._exclusive:
            await self._workers.write(self.store.adopt_history, history_uuid)
            if leases is not None:
                await self._workers.write(self.store.put_meta, "leases", leases)
                self._leases_taken(leases)

    # -- the change feed

    def changes(
        self,
        after: int,
        max_ops: int = OPERATIONS_MAX,
        max_bytes: int = BYTES_MAX,
        *,
        floor: int = BEFORE_ALL,
        through: int | None = None,
    ) -> Changes:
        """The feed after a seq_no; `floor` is the `tombstone_floor` a reader that began with nothing was told first.

        It reaches to the checkpoint, or to `through`.
        """
        self._check_serving()
        progress = self.store.progress
        end = progress.checkpoint if through is None else through
        operations, more = self.store.operations(after, end, max_ops, max_bytes)
        tombstone_floor = self.store.progress.tombstone_floor
        return Changes(
            operations=operations,
            up_to=operations[-1].seq_no if more else max(after, end),
            max_seq_no=progress.max_seq_no,
            tombstone_floor=tombstone_floor,
            lost=is_lost(after, floor, tombstone_floor),
        )

    async def read_changes(
        self,
        after: int,
        max_ops: int = OPERATIONS_MAX,
        max_bytes: int = BYTES_MAX,
        *,
        floor: int = BEFORE_ALL,
        through: int | None = None,
    ) -> Changes:
        """As `changes`, in a thread when there may be much to read."""
        if self.checkpoint - after <= INLINE_OPERATIONS_MAX:
            return self.changes(after, max_ops, max_bytes, floor=floor, through=through)
        return await self._workers.index(self.changes, after, max_ops, max_bytes, floor=floor, through=through)

    async def wait_for_changes(self, after: int, timeout_s: float) -> None:
        """Returns when there is something after `after`, when the time is over or when the shard closes."""
        deadline = time.monotonic() + timeout_s
        while self.checkpoint <= after and not self._is_closed and (left_s := deadline - time.monotonic()) > 0:
            news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._news.add(news)
            try:
                await asyncio.wait((news,), timeout=left_s)
            finally:
                self._news.discard(news)

    # -- writing

    async def write(self, ops: Sequence[WriteOp]) -> list[WriteResult | HanseError]:
        """Durable when it returns. Each op has its own outcome; one that fails leaves the others alone."""
        self._check_open()
        refusal = self._owner.write_refusal
        if refusal is not None:
            return [refusal for _ in ops]
        return await self._queue.write(ops)

    async def replicate(self, operations: Sequence[Operation], up_to: int | None = None) -> None:
        """Applies a leader's operations with its numbers; doing it again changes nothing.

        `up_to` is the position the feed had reached with them and becomes this shard's checkpoint.
        """
        self._check_open()
        await self._queue.replicate(operations, up_to)

    def _check_open(self) -> None:
        if self._is_closed:
            raise ShardFailedError(
                f"{self} the copy on this node was closed", index_uuid=self.index_uuid, index=self.index_name
            )

    def _check_serving(self) -> None:
        failure = self.failure
        if failure is not None:
            raise failure

    def _committed(self) -> None:
        self._tell_news()
        self._tending.ensure()

    def _tell_news(self) -> None:
        for news in self._news:
            if not news.done():
                news.set_result(None)

    # -- retention leases

    def leases(self) -> list[RetentionLease]:
        return list(self.retention_leases.leases.values())

    async def add_lease(self, id: str, retaining_seq_no: int, source: str, holder: str = "") -> None:
        lease = RetentionLease(id, retaining_seq_no, clock.now_ms(), source, holder)
        await self._change_leases(lambda leases: leases.added(lease))

    async def renew_lease(self, id: str, retaining_seq_no: int, holder: str = "") -> None:
        await self._change_leases(lambda leases: leases.renewed(id, retaining_seq_no, clock.now_ms(), holder))

    async def remove_lease(self, id: str) -> None:
        await self._change_leases(lambda leases: leases.without(id))

    async def _change_leases(self, change: Callable[[RetentionLeases], RetentionLeases]) -> None:
        self._check_open()
        async with self._exclusive:
            await self._commit.lead()
            changed = change(self.retention_leases)
            await self._commit.put_leases(changed.encoded())
            self.retention_leases = changed

    def _leases_taken(self, leases: bytes) -> None:
        self.retention_leases = RetentionLeases.decoded(leases)

    # -- the end

    async def purge(self) -> None:
        """Drops what no reader and no follower needs; happens by itself while the shard is written to."""
        await self._tending.purge()

    async def close(self, *, keep: bool = True) -> None:
        """Lets accepted writes finish and closes the files; without `keep` the folder is about to go."""
        self._is_closed = True
        self._tell_news()
        await self._tending.stop()
        await self._queue.drained()
        await self.feed.close(keep=keep)
        async with self._exclusive:
            if self._log is not None:
                await self._log.close()
            await self._workers.write(self.store.close)


__all__ = ["Shard", "ShardReader", "StoredDocument", "UpdateBody", "WriteOp", "WriteResult"]
