"""From operations to a committed batch: map, put new fields into the cluster state, check versions, commit, feed.

Short groups run on the event loop, long ones in a thread. The caller (write_queue.py) lets one group in at a time.
Nothing of a group is kept when it can't be committed. Tests: tests/index/test_shard.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, Protocol, TypeVar

from hanse.cluster.log import Batch, CommitLog, Logged, Operation
from hanse.cluster.routing import ShardRouting
from hanse.cluster.state import IndexMetadata
from hanse.errors import FencedError, HanseError, IllegalArgumentError, RetryOnPrimaryError, UnavailableShardsError
from hanse.index.document_store import DocumentStore
from hanse.index.log_follower import LogFollower, SentBatch
from hanse.index.mapping import DocumentMapper, MappedDocument, Mapping
from hanse.index.search_feed import SearchFeed, mapped_again
from hanse.index.workers import Workers
from hanse.index.writing import IndexedOperation, Mapped, Place, Plan, UpdateBody, WriteOp, WriteResult

P = ParamSpec("P")
R = TypeVar("R")

INLINE_BYTES_MAX = 64 * 1024
INLINE_OPERATIONS_MAX = 64
SLOW_COMMIT_S = 0.002
"""A disk whose commits take longer than this gets even short groups in a thread."""
MAPPING_ROUNDS_MAX = 100


class Owner(Protocol):
    """The index a shard belongs to, as far as the shard needs it."""

    metadata: IndexMetadata
    mapping: Mapping
    mapper: DocumentMapper
    refresh_interval_s: float
    write_refusal: HanseError | None

    def leads(self, number: int) -> int | None:
        """The term in which this node's copy of a shard is the primary; None while it is not."""
        ...

    def routing(self, number: int) -> ShardRouting:
        """Which nodes have copies of a shard."""
        ...

    async def has_mapping(self, version: int) -> None:
        """Waits until this node has that version of the mapping; UnavailableShardsError when it does not come."""
        ...

    async def raise_term(self, number: int, above: int) -> None:
        """Has this node's copy lead in a term above `above`, if it is the primary."""
        ...

    async def is_superseding(self, number: int) -> bool:
        """Whether some node may still hold itself for the primary, which it was before the one here."""
        ...

    async def put_dynamic(self, updates: Sequence[dict[str, Any]]) -> None: ...


Sent = Callable[[Logged, SentBatch], None]
"""Is told of every batch that went to the log: where the log stood before, and the batch."""


def _to_nobody(before: Logged, sent: SentBatch) -> None:
    """A shard whose copies nobody keeps level."""


class MappingNeededError(Exception):
    """A document that came about by an update brings fields the mapping does not have."""

    def __init__(self, update: dict[str, Any]) -> None:
        super().__init__()
        self.update = update


class GroupCommit:
    def __init__(
        self,
        place: Place,
        owner: Owner,
        store: DocumentStore,
        feed: SearchFeed,
        workers: Workers,
        log: CommitLog | None,
    ) -> None:
        """`log`: where a batch goes before this copy's store; None when the store itself is the log."""
        self._place = place
        self._owner = owner
        self._store = store
        self._feed = feed
        self._workers = workers
        self._commit_s = 0.0
        self._led_term: int | None = None
        self._follower = None if log is None else LogFollower(log, store, self._take, owner.has_mapping)
        self.took_over: Callable[[], None] = lambda: None
        self.sent: Sent = _to_nobody
        self.leases_taken: Callable[[bytes], None] = lambda leases: None

    @property
    def primary_term(self) -> int:
        """That which it leads in, if it does: the state may name its successor's already."""
        if self._led_term is not None:
            return self._led_term
        return max(self._owner.metadata.primary_terms[self._place.shard], self._store.progress.primary_term)

    @property
    def is_leading(self) -> bool:
        term = self._owner.leads(self._place.shard)
        return term is not None and (self._follower is None or self._led_term == term)

    async def lead(self) -> None:
        """Makes this copy the primary in its term, which every write needs; once done it costs nothing.

        What an earlier primary appended is taken first; then a batch without content shows the new term, so that the
        log refuses the earlier one for good. It leads when the earlier one reads for nobody either. Raises
        RetryOnPrimaryError when this copy is not (or not yet, or no more) the primary.
        """
        term = self._owner.leads(self._place.shard)
        if term is None:
            raise self._not_primary("it is a replica")
        if self._follower is None:
            self._led_term = term
            return
        if self._led_term != term:
            self._follower.is_unsure()
        try:
            await self._follower.catch_up()
            while self._store.progress.primary_term < term:
                try:
                    await self._log_and_take(Batch(term, []))
                except FencedError:
                    await self._follower.catch_up()
        except UnavailableShardsError as error:
            raise self._not_primary(error.reason) from error  # nothing of anybody's was done: it may be tried again
        if self._store.progress.primary_term > term:
            raise self._not_primary(f"term [{self._store.progress.primary_term}] began after its own, [{term}]")
        if self._led_term != term:
            if await self._owner.is_superseding(self._place.shard):
                raise self._not_primary("the one before it may not know yet that it is none any more")
            self._led_term = term
            self.took_over()

    def _not_primary(self, why: str) -> RetryOnPrimaryError:
        place = self._place
        return RetryOnPrimaryError(
            f"[{place.index}][{place.shard}] the copy on this node is not the primary: {why}", index=place.index
        )

    async def _log_and_take(self, batch: Batch, size: int = 0) -> None:
        """For a batch that is not this shard's own operations: those are put into the store in `write`."""
        assert self._follower is not None
        before = self._store.progress.logged
        async with self._follower.appended(batch) as logged:
            await self._take(batch, batch.up_to, size, logged)
        self.sent(before, SentBatch(logged.position, logged.chain, batch))

    async def write(self, ops: list[WriteOp], size: int) -> list[WriteResult | HanseError]:
        """Each op's outcome, durable. Raises only what concerns all of them."""
        await self.lead()
        is_long = self._is_long(size, len(ops))
        mapped = await self._map_all(ops, is_long)
        plan = await self._planned(ops, mapped, is_long)
        if plan.operations:
            batch = Batch(self.primary_term, plan.operations, mapping_version=self._owner.metadata.mapping_version)
            if self._follower is None:
                await self._run(is_long, self._append, batch, plan)
            else:
                await self._append_to_log(batch, plan, is_long)
            self._feed.hand_over(plan.indexed, self._store.progress.checkpoint)
        return plan.results

    async def _append_to_log(self, batch: Batch, plan: Plan, is_long: bool) -> None:
        assert self._follower is not None
        before = self._store.progress.logged
        try:
            async with self._follower.appended(batch) as logged:
                await self._run(is_long, self._append, batch, plan, logged)
        except FencedError as error:
            self._led_term = None
            raise self._not_primary(error.reason) from error
        self.sent(before, SentBatch(logged.position, logged.chain, batch))

    async def replicate(self, operations: Sequence[Operation], up_to: int | None, size: int) -> None:
        await self.lead()
        version = self._owner.metadata.mapping_version
        batch = Batch(self.primary_term, list(operations), is_replicated=True, up_to=up_to, mapping_version=version)
        if self._follower is None:
            await self._take(batch, up_to, size, None)
        elif operations or (up_to is not None and up_to > self._store.progress.checkpoint):
            await self._log_or_refuse(batch, size)

    async def put_leases(self, leases: bytes) -> None:
        """Makes retention leases durable, on every copy where there are several."""
        if self._follower is None:
            await self._workers.write(self._store.put_meta, "leases", leases)
            return
        await self.lead()
        await self._log_or_refuse(Batch(self.primary_term, [], leases=leases), len(leases))

    async def _log_or_refuse(self, batch: Batch, size: int) -> None:
        try:
            await self._log_and_take(batch, size)
        except FencedError as error:
            self._led_term = None
            raise self._not_primary(error.reason) from error

    async def read_on(self) -> int:
        """Takes what the log holds by now; returns the position reached."""
        if self._follower is not None:
            self._follower.is_unsure()
            await self._follower.catch_up()
        return self._store.progress.position

    async def take_sent(self, after: int, chain: bytes, sent: Sequence[SentBatch]) -> int:
        """Takes what the primary sent, or reads the log where that does not fit; returns the position reached."""
        if self._follower is None:
            raise IllegalArgumentError(f"[{self._place.index}][{self._place.shard}] has no log outside of its store")
        if not await self._follower.take_sent(after, chain, sent):
            return await self.read_on()
        return self._store.progress.position

    @property
    def has_log(self) -> bool:
        return self._follower is not None

    def when_failed(self, failed: Callable[[HanseError], None]) -> None:
        if self._follower is not None:
            self._follower.failed = failed

    @property
    def failure(self) -> HanseError | None:
        """Why this copy must not serve; only a log outside of the store can say so."""
        return None if self._follower is None else self._follower.failure

    async def attach(self, *, is_new: bool) -> None:
        """Compares this copy with its log. Raises LogDamagedError when they do not belong together."""
        if self._follower is not None:
            await self._follower.attach(is_new=is_new)

    async def catch_up(self) -> None:
        """Takes what the log holds beyond the store; afterwards the two agree."""
        if self._follower is not None:
            await self._follower.catch_up()

    async def _take(self, batch: Batch, up_to: int | None, size: int, logged: Logged | None) -> None:
        is_long = self._is_long(size, len(batch.operations))
        indexed = await self._run(is_long, self._apply, batch, up_to, logged)
        if batch.operations or up_to is not None:
            self._feed.hand_over(indexed, self._store.progress.checkpoint)
        if batch.leases is not None:
            self.leases_taken(batch.leases)

    async def take_copied(self, operations: Sequence[Operation], up_to: int, logged: Logged | None) -> None:
        """Takes a piece of another copy's feed; `logged` comes with the last one."""
        size = sum(len(operation.source) for operation in operations)
        await self._take(Batch(0, list(operations)), up_to, size, logged)

    def _is_long(self, size: int, count: int) -> bool:
        return size > INLINE_BYTES_MAX or count > INLINE_OPERATIONS_MAX or self._commit_s > SLOW_COMMIT_S

    async def _run(self, is_long: bool, work: Callable[P, R], *arguments: P.args, **keywords: P.kwargs) -> R:
        return await self._workers.write(work, *arguments, **keywords) if is_long else work(*arguments, **keywords)

    # -- the plan and the transaction

    async def _planned(self, ops: list[WriteOp], mapped: list[Mapped], is_long: bool) -> Plan:
        for _ in range(MAPPING_ROUNDS_MAX):
            try:
                return await self._run(is_long, self._plan, ops, mapped)
            except MappingNeededError as needed:
                await self._owner.put_dynamic([needed.update])
        raise IllegalArgumentError(f"the mapping of [{self._place.index}] did not settle")

    def _plan(self, ops: list[WriteOp], mapped: list[Mapped]) -> Plan:
        heads = self._store.heads({op.id for op in ops if op.id is not None})
        next_seq_no = self._store.progress.max_seq_no + 1
        plan = Plan(self._place, self.primary_term, next_seq_no, heads, self._store.get, self._map_updated)
        plan.add(ops, mapped)
        return plan

    def _map_updated(self, source: bytes, id: str) -> MappedDocument:
        document = self._owner.mapper.map(source, id)
        if document.dynamic is not None:
            raise MappingNeededError(document.dynamic)
        return document

    def _append(self, batch: Batch, plan: Plan, logged: Logged | None = None) -> None:
        started = time.monotonic()
        self._store.append(batch, self._store.progress.position, plan.heads, logged)
        if len(batch.operations) <= INLINE_OPERATIONS_MAX:
            self._commit_s += (time.monotonic() - started - self._commit_s) / 8

    def _apply(self, batch: Batch, up_to: int | None, logged: Logged | None) -> list[IndexedOperation]:
        operations = batch.operations
        if batch.leases is not None:
            self._store.put_meta("leases", batch.leases)
        heads = self._store.heads({op.id for op in operations})
        taken = self._store.apply(operations, known=heads, up_to=up_to, logged=logged)
        mapper = self._owner.mapper
        return [mapped_again(op, mapper, is_first=op.id not in heads) for op in taken]

    # -- mapping

    async def _map_all(self, ops: list[WriteOp], is_long: bool) -> list[Mapped]:
        """Maps every document, putting new fields into the cluster state first."""
        mapped = await self._run(is_long, _map_each, self._owner.mapper, ops)
        for _ in range(MAPPING_ROUNDS_MAX):
            news = {at: update for at, document in enumerate(mapped) if (update := _dynamic(document)) is not None}
            if not news:
                return mapped
            failures = await self._put_dynamic(news)
            again = [at for at in news if at not in failures]
            documents = await self._run(is_long, _map_each, self._owner.mapper, [ops[at] for at in again])
            for at, outcome in (*failures.items(), *zip(again, documents, strict=True)):
                mapped[at] = outcome
        raise IllegalArgumentError(f"the mapping of [{self._place.index}] did not settle")

    async def _put_dynamic(self, news: dict[int, dict[str, Any]]) -> dict[int, HanseError]:
        """All at once; when they don't go together, one by one, and only those that can't be merged fail."""
        distinct: list[dict[str, Any]] = []
        for update in news.values():
            if update not in distinct[-1:]:
                distinct.append(update)
        try:
            await self._owner.put_dynamic(distinct)
            return {}
        except HanseError as error:
            if len(news) == 1:
                return dict.fromkeys(news, error)
        failures: dict[int, HanseError] = {}
        for at, update in news.items():
            try:
                await self._owner.put_dynamic([update])
            except HanseError as error:
                failures[at] = error
        return failures


def _dynamic(document: Mapped) -> dict[str, Any] | None:
    return document.dynamic if isinstance(document, MappedDocument) else None


def _map_each(mapper: DocumentMapper, ops: Sequence[WriteOp]) -> list[Mapped]:
    return [_map_one(mapper, op) for op in ops]


def _map_one(mapper: DocumentMapper, op: WriteOp) -> Mapped:
    """What an op needs of the mapping. Of an update only the new fields count: the whole comes about in the plan."""
    try:
        if op.op == "delete":
            return None
        if op.update is None:
            return mapper.map(op.source, op.id)
        return _map_parts(mapper, op.update, op.id)
    except HanseError as error:
        return error


def _map_parts(mapper: DocumentMapper, update: UpdateBody, id: str | None) -> MappedDocument | None:
    for part in (update.doc, update.upsert):
        if part is not None:
            document = mapper.map(part, id, is_part=True)
            if document.dynamic is not None:
                return document
    return None
