"""The seam to a shard's ordered, fenced batches: embedded (the document store itself) or a JetStream stream.

Contract tests in tests/contracts/test_commit_log.py run against every engine.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import NamedTuple, Protocol

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
    """Operations that become durable together.

    A batch that `is_replicated` carries a leader's operations with the leader's numbers; `up_to` is how far the
    leader's feed had got with them. `leases` are the shard's retention leases from here on, where they changed. A batch
    without anything is a new primary's first: it shows its term, so that no earlier primary can append any more.
    `mapping_version`: the mapping that the documents need; a copy that takes them has to have it.
    """

    primary_term: int
    operations: list[Operation]
    is_replicated: bool = False
    up_to: int | None = None
    leases: bytes | None = None
    mapping_version: int = 0


class Logged(NamedTuple):
    """Where a batch lies in a log outside of the store."""

    position: int
    chain: bytes
    primary_term: int


class CommitLog(Protocol):
    """A shard's log.

    Promises: `append` is durable when it returns; it raises FencedError, changing nothing, when `expected_last` is not
    the last position or the primary term is lower than one already seen. Positions rise (by one, unless an engine had
    to split a batch). `read` yields batches after a position in order. A log whose end is behind what a copy was told,
    or whose batches do not belong together, raises LogDamagedError; nothing here ever changes a copy.
    """

    @property
    def chain(self) -> bytes:
        """The hash of the batch that was appended, or yielded by `read`, last; empty where an engine has none."""
        ...

    async def attach(self, position: int, chain: bytes, *, is_new: bool = True) -> None:
        """Says where the copy on this node stands; raises LogDamagedError when the log does not go on from there.

        `is_new`: the shard never held anything, so an empty copy may begin a log.
        """
        ...

    def taken(self, position: int, chain: bytes) -> None:
        """The copy got the batches up to here from another one, which had them from the log."""
        ...

    async def last(self) -> int: ...

    async def append(self, batch: Batch, expected_last: int) -> int:
        """The batch's position. UnavailableShardsError: the outcome is unknown, read on from the last position."""
        ...

    def read(self, after: int) -> AsyncIterator[tuple[int, Batch]]: ...

    async def rebuild(self, position: int, chain: bytes) -> None:
        """Begins the log anew behind what this copy holds; whatever else the log held is gone. Only when told to."""
        ...

    def when_led_here(self, told: Callable[[], None]) -> None:
        """`told` is called when the leader that the log's servers have among them comes to be on this node."""
        ...

    async def step_aside(self) -> None:
        """Has that leader be elsewhere, so that no machine's end takes both it and the primary. Called by the primary,
        with nothing being appended; what fails is left as it is."""
        ...

    async def close(self) -> None: ...
