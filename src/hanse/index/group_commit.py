"""From operations to a committed batch: map, put new fields into the cluster state, check versions, commit, feed.

Short groups run on the event loop, long ones in a thread. The caller (write_queue.py) lets one group in at a time.
Nothing of a group is kept when it can't be committed. Tests: tests/index/test_shard.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, Protocol, TypeVar

from hanse.cluster.log import Batch, CommitLog, Operation
from hanse.cluster.state import IndexMetadata
from hanse.errors import HanseError, IllegalArgumentError
from hanse.index.document_store import DocumentStore
from hanse.index.log_follower import LogFollower
from hanse.index.mapping import DocumentMapper, MappedDocument, Mapping
from hanse.index.records import Logged
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

    async def put_dynamic(self, updates: Sequence[dict[str, Any]]) -> None: ...


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
        self._follower = None if log is None else LogFollower(log, store, self._take)

    @property
    def primary_term(self) -> int:
        return max(self._owner.metadata.primary_terms[self._place.shard], self._store.progress.primary_term)

    async def write(self, ops: list[WriteOp], size: int) -> list[WriteResult | HanseError]:
        """Each op's outcome, durable. Raises only what concerns all of them."""
        if self._follower is not None:
            await self._follower.catch_up()
        is_long = self._is_long(size, len(ops))
        mapped = await self._map_all(ops, is_long)
        plan = await self._planned(ops, mapped, is_long)
        if plan.operations:
            batch = Batch(self.primary_term, plan.operations)
            if self._follower is None:
                await self._run(is_long, self._append, batch, plan)
            else:
                async with self._follower.appended(batch) as logged:
                    await self._run(is_long, self._append, batch, plan, logged)
            self._feed.hand_over(plan.indexed, self._store.progress.checkpoint)
        return plan.results

    async def replicate(self, operations: Sequence[Operation], up_to: int | None, size: int) -> None:
        if self._follower is None:
            await self._take(operations, up_to, size, None)
            return
        await self._follower.catch_up()
        if not operations and (up_to is None or up_to <= self._store.progress.checkpoint):
            return
        batch = Batch(self.primary_term, list(operations), is_replicated=True, up_to=up_to)
        async with self._follower.appended(batch) as logged:
            await self._take(operations, up_to, size, logged)

    @property
    def failure(self) -> HanseError | None:
        """Why this copy must not serve; only a log outside of the store can say so."""
        return None if self._follower is None else self._follower.failure

    async def catch_up(self) -> None:
        """Takes what the log holds beyond the store; afterwards the two agree."""
        if self._follower is not None:
            await self._follower.attach()
            await self._follower.catch_up()

    async def _take(self, operations: Sequence[Operation], up_to: int | None, size: int, logged: Logged | None) -> None:
        is_long = self._is_long(size, len(operations))
        indexed = await self._run(is_long, self._apply, operations, up_to, logged)
        self._feed.hand_over(indexed, self._store.progress.checkpoint)

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

    def _apply(
        self, operations: Sequence[Operation], up_to: int | None, logged: Logged | None
    ) -> list[IndexedOperation]:
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
            document = mapper.map(part, id)
            if document.dynamic is not None:
                return document
    return None
