"""An engine of several nodes in one process: state and logs in memory, agreed on because there is only one of each.

Compare-and-set, fencing and order are those of the real engines; nothing of it outlives the process.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable

import msgspec

from hanse.cluster.log import Batch
from hanse.cluster.state import ClusterState
from hanse.cluster.store import Lease
from hanse.cluster.voting import OnlyVoter
from hanse.errors import FencedError, LogDamagedError


class SharedState:
    """The StateStore of all nodes; each node's `watch` sees what any of them commits."""

    def __init__(self) -> None:
        self._state: ClusterState | None = None
        self._watching: set[asyncio.Queue[ClusterState]] = set()

    async def load(self) -> ClusterState | None:
        return self._state

    async def commit(self, old: ClusterState, new: ClusterState) -> None:
        if (0 if self._state is None else self._state.version) != old.version:
            raise FencedError("another node was first")
        # As bytes and back: nodes must not share what one of them could change.
        self._state = msgspec.msgpack.decode(msgspec.msgpack.encode(new), type=ClusterState)
        for queue in self._watching:
            queue.put_nowait(self._state)

    async def watch(self) -> AsyncIterator[ClusterState]:
        queue: asyncio.Queue[ClusterState] = asyncio.Queue()
        self._watching.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._watching.discard(queue)

    async def acquire(self, name: str, holder: str, ttl_s: float) -> Lease:
        raise NotImplementedError("no room asks for a lease")

    async def renew(self, lease: Lease, ttl_s: float) -> Lease:
        raise NotImplementedError("no room asks for a lease")

    async def release(self, lease: Lease) -> None:
        raise NotImplementedError("no room asks for a lease")

    async def close(self) -> None:
        """It outlives its nodes."""


class Stream:
    """The batches of one shard, each with the hash of all up to it."""

    def __init__(self) -> None:
        self.batches: list[tuple[Batch, bytes]] = []

    def chain(self, position: int) -> bytes:
        return self.batches[position - 1][1] if position else b""


class SharedLog:
    """One node's CommitLog over a stream."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._chain = b""

    @property
    def chain(self) -> bytes:
        return self._chain

    async def attach(self, position: int, chain: bytes, *, is_new: bool = True) -> None:
        if position > len(self._stream.batches) or self._stream.chain(position) != chain:
            raise LogDamagedError(f"the log holds another batch at [{position}]")
        self._chain = chain

    def taken(self, position: int, chain: bytes) -> None:
        self._chain = chain

    async def last(self) -> int:
        return len(self._stream.batches)

    async def append(self, batch: Batch, expected_last: int) -> int:
        batches = self._stream.batches
        if len(batches) != expected_last:
            raise FencedError(f"the log ends at [{len(batches)}], not at [{expected_last}]")
        if batches and batches[-1][0].primary_term > batch.primary_term:
            raise FencedError("the log has seen a later primary term")
        before = self._stream.chain(len(batches))
        self._chain = hashlib.sha256(before + msgspec.msgpack.encode(batch)).digest()
        batches.append((batch, self._chain))
        return len(batches)

    async def read(self, after: int) -> AsyncIterator[tuple[int, Batch]]:
        for position, (batch, chain) in enumerate(self._stream.batches[after:], after + 1):
            self._chain = chain
            yield position, batch

    async def rebuild(self, position: int, chain: bytes) -> None:
        raise NotImplementedError("nothing in memory is ever begun anew")

    def when_led_here(self, told: Callable[[], None]) -> None:
        """No server leads it."""

    async def step_aside(self) -> None:
        """No server leads it."""

    async def close(self) -> None:
        """The stream outlives its readers."""


class SharedEngine:
    """Give the same one to every node."""

    def __init__(self) -> None:
        self.state_store = SharedState()
        self.voters = OnlyVoter()
        self._streams: dict[tuple[str, int], Stream] = {}

    def commit_log(self, index_uuid: str, shard: int) -> SharedLog:
        return SharedLog(self._streams.setdefault((index_uuid, shard), Stream()))

    async def forget(self, index_uuid: str, shards: int) -> None:
        for number in range(shards):
            self._streams.pop((index_uuid, number), None)

    async def close(self) -> None:
        """It outlives its nodes."""
