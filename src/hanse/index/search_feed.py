"""Keeps a shard's search index up with its document store, behind the acknowledgement.

Batches that were committed are handed over already mapped and wait in memory; they are fed when enough have come
together or when a refresh wants them. Is the index not where the batches begin (after a crash, after damage, with too
small pools), it catches up from the store, and batches are dropped meanwhile, as the store has them.

All work on the index happens in rounds, one at a time, each a task of its own: who waits for one may be cancelled, the
round is not. Tests: tests/index/test_search_feed.py.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from hanse.cluster.log import Operation
from hanse.errors import HanseError, ShardFailedError
from hanse.index.changes import BEFORE_ALL
from hanse.index.document_store import DocumentStore
from hanse.index.mapping import DocumentMapper, MappedDocument, Mapping
from hanse.index.reading import Published
from hanse.index.search_index import Generation, SearchIndex, newest_only
from hanse.index.workers import WRITERS_MAX, Workers
from hanse.index.writing import IndexedOperation
from hanse.tasks import Tasks

log = structlog.get_logger(__name__)

FEED_BYTES = 1024 * 1024
UNFED_BYTES_MAX = 64 * 1024 * 1024
REPLAY_OPERATIONS = 1_000
REPLAY_BYTES = 4 * 1024 * 1024
UNCOMMITTED_BYTES_MAX = 512 * 1024 * 1024
"""What is fed without a refresh before it is committed all the same; it bounds the replay after a crash."""


class Mark(NamedTuple):
    """How much has been fed: so many of the batches handed over, which is the store up to `through`."""

    batches: int
    through: int


class PoolsTooSmallError(Exception):
    """The mapping needs slots the generation that is being filled does not have."""


class SearchFeed:
    """The search index of one shard. `mapping` gives the index' current mapping."""

    def __init__(
        self,
        name: str,
        store: DocumentStore,
        folder: Path,
        mapping: Callable[[], Mapping],
        workers: Workers,
        tasks: Tasks,
    ) -> None:
        self._name = name
        self._store = store
        self._mapping = mapping
        self._workers = workers
        self._tasks = tasks
        self._index = SearchIndex(folder)
        self._waiting: list[IndexedOperation] = []
        self._waiting_bytes = 0
        self._uncommitted_bytes = 0
        self._handed_over = Mark(0, store.progress.checkpoint)
        self._fed = Mark(0, self._index.standing.through)
        self._published: Published | None = None
        self._round: asyncio.Task[None] | None = None
        self._has_room = asyncio.Event()
        self._counts_writer = False
        self._replayed_through = BEFORE_ALL
        self._is_behind = not self._index.is_made or self._index.standing.through < store.progress.max_seq_no
        self.refreshes = 0
        self.refresh_time_s = 0.0

    # -- what others ask

    @property
    def is_behind(self) -> bool:
        """True while the index must catch up from the store."""
        return self._is_behind

    @property
    def needs_refresh(self) -> bool:
        return self._is_behind or self._handed_over.batches > self._published_batches

    @property
    def has_writer(self) -> bool:
        return self._index.current is not None and self._index.current.has_writer

    @property
    def through(self) -> int:
        """Up to where the store is in what searches see (or will see once the index is opened)."""
        return self._index.standing.through if self._published is None else self._published.through

    @property
    def segments(self) -> int:
        return 0 if self._published is None else self._published.searcher.num_segments

    def size_bytes(self) -> int:
        return self._index.size_bytes()

    @property
    def _published_batches(self) -> int:
        return 0 if self._published is None else self._published.batches

    def hand_over(self, operations: list[IndexedOperation], through: int) -> None:
        """Takes a committed batch; `through` is the store's checkpoint after it."""
        self._handed_over = Mark(self._handed_over.batches + 1, through)
        if self._is_behind:
            return
        self._waiting.extend(operations)
        self._waiting_bytes += sum(operation.size for operation in operations)
        self._feed_when_much_waits()

    def _feed_when_much_waits(self) -> None:
        if self._waiting_bytes >= FEED_BYTES and self._round is None:
            self._start(self._feed_only())

    async def room(self) -> None:
        """Returns when not too much waits to be fed: writes must not outrun the search index without end."""
        while self._waiting_bytes > UNFED_BYTES_MAX:
            self._has_room.clear()
            await self._has_room.wait()

    def published(self) -> Published:
        """What searches see now; opens the index when this is the first to ask."""
        if self._published is None:
            try:
                generation = self._index.open()
                generation.use(self._mapping())
                searcher = generation.searcher()
            except ShardFailedError as error:
                self._fall_behind()
                raise ShardFailedError(
                    "the search index of this shard is missing or damaged and is being rebuilt from its documents",
                    caused_by=error,
                ) from error
            self._published = Published.now(searcher, generation.schema, generation.through, 0)
        return self._published

    async def refresh(self) -> None:
        """Everything handed over before the call is visible after it."""
        wanted = self._handed_over.batches
        while self._is_behind or self._published_batches < wanted:
            if self._round is None:
                await asyncio.shield(self._start(self._refresh()))
            else:
                # Not awaited itself: a task that is done but not yet taken off gives control back at once, forever.
                await asyncio.wait((self._round,))

    async def merge(self) -> None:
        """Everything handed over before the call is merged as far as it is to be, and searches see the outcome."""
        await self.refresh()
        await self._idle()
        await asyncio.shield(self._start(self._merge()))

    async def rest(self) -> None:
        """Closes the writer of an index nobody writes to any more; what was fed is committed first."""
        await self._idle()
        await asyncio.shield(self._start(self._close_writer(finish_merges=True)))

    async def close(self, *, keep: bool) -> None:
        """Ends the work; with `keep` the index is committed, so that opening it again needs no replay."""
        await self._idle()
        if keep and not self._is_behind:
            try:
                await asyncio.shield(self._start(self._close_writer(finish_merges=False)))
            except HanseError as error:
                log.warning("search index could not be committed on close", shard=self._name, error=error.reason)
        await self._workers.index(self._index.close)
        self._count_writer()
        self._published = None

    # -- rounds

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        assert self._round is None, "one round at a time"
        self._round = self._tasks.spawn(f"search index of {self._name}", work)
        self._round.add_done_callback(self._ended)
        return self._round

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._round = None
        self._has_room.set()
        self._count_writer()
        if task.cancelled() or task.exception() is not None:
            self._fall_behind()
        # What came while the round was ending did not start one.
        self._feed_when_much_waits()

    async def _idle(self) -> None:
        while self._round is not None:
            await asyncio.wait((self._round,))

    def _fall_behind(self) -> None:
        """What memory held may be lost, so the store has to give it again."""
        self._is_behind = True
        self._waiting, self._waiting_bytes = [], 0

    def _count_writer(self) -> None:
        has_writer = self.has_writer
        self._workers.writers_open += has_writer - self._counts_writer
        self._counts_writer = has_writer

    async def _feed_only(self) -> None:
        while self._waiting_bytes >= FEED_BYTES and not self._is_behind:
            await self._feed()

    async def _refresh(self) -> None:
        started = time.monotonic()
        generation = None if self._is_behind else await self._feed()
        if generation is None:
            generation = await self._catch_up()
        fed = self._fed
        self._published = await self._workers.index(self._commit, generation, fed)
        self._uncommitted_bytes = 0
        self.refreshes += 1
        self.refresh_time_s += time.monotonic() - started
        if self._workers.writers_open > WRITERS_MAX:
            await self._workers.index(generation.close_writer)

    def _commit(self, generation: Generation, fed: Mark) -> Published:
        generation.commit(fed.through)
        self._index.adopt(generation)
        return Published.now(generation.searcher(), generation.schema, fed.through, fed.batches)

    async def _merge(self) -> None:
        if not self._is_behind:
            self._published = await self._workers.index(self._finish_merges, self._fed)
            self._uncommitted_bytes = 0

    def _finish_merges(self, fed: Mark) -> Published:
        generation = self._index.open()
        generation.finish_merges(fed.through)
        self._index.adopt(generation)
        return Published.now(generation.searcher(), generation.schema, fed.through, fed.batches)

    async def _close_writer(self, *, finish_merges: bool) -> None:
        if self._waiting and not self._is_behind:
            await self._feed()
        generation, fed = self._index.current, self._fed
        if generation is None or not generation.has_writer or self._is_behind:
            return

        def close() -> None:
            generation.commit(fed.through)
            self._index.adopt(generation)
            generation.close_writer(finish_merges=finish_merges)

        await self._workers.index(close)
        self._uncommitted_bytes = 0

    # -- from memory

    async def _feed(self) -> Generation | None:
        """Feeds what waits; None (and behind) when the open index can't take it."""
        mapping, waiting, mark = self._mapping(), self._waiting, self._handed_over
        self._uncommitted_bytes += self._waiting_bytes
        self._waiting, self._waiting_bytes = [], 0
        try:
            generation = await self._workers.index(self._feed_to_current, waiting, mapping, mark)
        except ShardFailedError as error:
            log.warning("search index failed and catches up from the store", shard=self._name, error=error.reason)
            generation = None
        if generation is None:
            self._fall_behind()
            return None
        self._fed = mark
        self._has_room.set()
        return generation

    def _feed_to_current(self, waiting: list[IndexedOperation], mapping: Mapping, mark: Mark) -> Generation | None:
        generation = self._index.open()
        if mapping.slots.factor > generation.pool_factor:
            return None
        generation.use(mapping)
        if waiting:
            generation.feed(newest_only(waiting), always_replace=waiting[0].seq_no <= self._replayed_through)
        if self._uncommitted_bytes > UNCOMMITTED_BYTES_MAX:
            generation.commit(mark.through)
            self._index.adopt(generation)
            self._uncommitted_bytes = 0
        return generation

    # -- from the store

    async def _catch_up(self) -> Generation:
        """Feeds from the store until nothing was handed over during a pass; from then on memory goes on."""
        while True:
            factor = self._mapping().slots.factor
            generation = await self._workers.index(self._generation_to_fill, factor)
            after = generation.through
            try:
                while True:
                    mark = Mark(self._handed_over.batches, self._store.progress.checkpoint)
                    await self._workers.index(self._replay, generation, after)
                    after = mark.through
                    if mark.batches == self._handed_over.batches:
                        self._fed, self._is_behind = mark, False
                        return generation
            except PoolsTooSmallError:
                await self._workers.index(generation.close_writer)

    def _generation_to_fill(self, pool_factor: int) -> Generation:
        if self._index.is_made:
            try:
                generation = self._index.open()
                if generation.pool_factor >= pool_factor:
                    return generation
            except ShardFailedError as error:
                log.warning("search index is damaged and made anew", shard=self._name, error=error.reason)
        if self._store.progress.max_seq_no > BEFORE_ALL:
            log.info("search index is filled from the document store", shard=self._name, pool_factor=pool_factor)
        return self._index.make(pool_factor)

    def _replay(self, generation: Generation, after: int) -> None:
        last = self._store.progress.max_seq_no
        while True:
            mapping = self._mapping()
            if mapping.slots.factor > generation.pool_factor:
                raise PoolsTooSmallError
            operations, more = self._store.operations(after, last, REPLAY_OPERATIONS, REPLAY_BYTES)
            generation.use(mapping)
            mapper = DocumentMapper(mapping)
            generation.feed([mapped_again(operation, mapper) for operation in operations], always_replace=True)
            if not more:
                break
            after = operations[-1].seq_no
        self._replayed_through = max(self._replayed_through, last)


def mapped_again(operation: Operation, mapper: DocumentMapper, *, is_first: bool = False) -> IndexedOperation:
    """A stored operation as the search index takes it. A source the mapping refuses is found by its id alone."""
    document: MappedDocument | None = None
    if not operation.deleted:
        try:
            document = mapper.map(operation.source, operation.id)
            if document.dynamic is not None:
                document = unmapped()
        except HanseError as error:
            log.error("stored document can't be mapped any more", id=operation.id, error=error.reason)
            document = unmapped()
    size = len(operation.source)
    return IndexedOperation(operation.seq_no, operation.id, operation.routing, document, is_first, size)


def unmapped() -> MappedDocument:
    """A document without fields."""
    return MappedDocument(values={}, dynamic=None, ignored=(), pretokenized=[])
