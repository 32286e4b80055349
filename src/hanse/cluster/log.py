"""The seam to a shard's ordered, fenced batches: embedded (the document store itself) or a JetStream stream.

Contract tests in tests/contracts/test_commit_log.py run against every engine.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec


class Operation(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One operation of a shard, as the log, the change feed, a recovery and a follower carry it.

    `source` is the document's bytes as they came in (empty for a delete). `seq_no` is dense per shard: every number is
    given once; `primary_term` rises when a shard gets a new primary; `version` is the document's version.
    """

    seq_no: int
    primary_term: int
    id: str
    version: int
    deleted: bool
    routing: str | None
    source: bytes


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """Operations that become durable together. `first`/`last` are the lowest and highest seq_no in it."""

    primary_term: int
    operations: list[Operation]


class CommitLog(Protocol):
    """A shard's log.

    Promises: `append` is durable when it returns; it raises FencedError, changing nothing, when `expected_last` is not
    the last position or the primary term is lower than one already seen; positions rise by one per batch. `read` yields
    batches after a position in order.
    """

    async def last(self) -> int: ...

    async def append(self, batch: Batch, expected_last: int) -> int: ...

    def read(self, after: int) -> AsyncIterator[tuple[int, Batch]]: ...

    async def close(self) -> None: ...
