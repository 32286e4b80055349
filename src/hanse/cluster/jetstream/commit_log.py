"""The JetStream CommitLog: a shard's batches in one stream, fenced by the expected last sequence.

Theory of operation. A batch's position is the stream sequence of its last message, so the fence is the stream's own:
a message is accepted only where the writer believes the end to be (`Nats-Expected-Last-Sequence`). When an answer does
not come, the outcome is unknown: the writer asks what lies behind the place it expected. Is it the very message, the
append took place; is it another, the writer was fenced off; is there nothing, it writes the same again with the same
expectation, which can succeed only once. After any failure the end is read before anything else is written.

The stream is a log in transit and the copy's document store is the truth. `attach` compares the two: a stream that is
gone, shorter than the copy, or of another history is refused and nothing is repaired by itself.
Tests: tests/contracts/test_commit_log.py, tests/cluster/jetstream/test_commit_log.py.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

import structlog
from nats.js import api

from hanse.cluster.jetstream.connection import (
    NATS_ERRORS,
    REQUEST_TIMEOUT_S,
    Connection,
    check_cancelled,
    is_not_found,
)
from hanse.cluster.jetstream.leaders import Leaders
from hanse.cluster.jetstream.records import OVERHEAD_BYTES, Assembler, decoded, encoded
from hanse.cluster.jetstream.streams import make_stream
from hanse.cluster.log import Batch
from hanse.errors import FencedError, LogDamagedError, UnavailableShardsError

T = TypeVar("T")

log = structlog.get_logger(__name__)

APPEND_TIMEOUT_S = 20.0
"""JetStream elects a new leader in 4 to 9 seconds."""
RETRY_S = 0.1
SETTLE_S = 10.0
"""How long a replicated stream may look shorter than it was, or gone, before it is believed: a leader that was just
elected may not have taken up all that was agreed on."""
PIECE_BYTES_MAX = 2 * 1024 * 1024
READ_MESSAGES = 16
INLINE_BYTES_MAX = 128 * 1024


class End(NamedTuple):
    """The end of the stream: its last message, and the last complete batch with hash and term."""

    sequence: int
    position: int
    chain: bytes
    primary_term: int


class JetStreamCommitLog:
    """CommitLog over the stream `name`, which `attach` makes when the copy is empty and there is none."""

    def __init__(self, connection: Connection, name: str, *, bytes_max: int, leaders: Leaders | None = None) -> None:
        """`leaders` of a node that has a nats-server of its own among others."""
        self._connection = connection
        self._leaders = leaders
        self._led_here: Callable[[], None] | None = None
        self._js = connection.js
        self._name = name
        self._subject = f"hanse.log.{name}"
        self._bytes_max = bytes_max
        self._piece_bytes = min(PIECE_BYTES_MAX, connection.max_payload - OVERHEAD_BYTES)
        self._end: End | None = None
        self._attached = (0, b"")
        self._told = 0
        self._chain = b""
        self._untrimmed_bytes = 0

    @property
    def chain(self) -> bytes:
        return self._chain

    # -- where the log and the copy stand

    async def attach(self, position: int, chain: bytes, *, is_new: bool = True) -> None:
        self._attached = (position, chain)
        self._told = max(self._told, position)
        info = await self._settled_info()
        if info is None:
            # A copy that took batches from no log was its own (the embedded engine's): nothing is lost with another.
            if chain or (position == 0 and not is_new):
                raise self._gone()
            info = await self._create(position + 1)
        end = await self._read_end(info)
        if end.position <= position and end.chain != chain:
            raise LogDamagedError(
                f"the log [{self._name}] holds another batch at [{position}] than the one this copy took from it"
            )
        if end.position > position and info.state.first_seq > position + 1:
            raise self._trimmed(info.state.first_seq, position)

    async def rebuild(self, position: int, chain: bytes) -> None:
        if await self._info() is not None:
            await self._asked(self._connection.management.delete_stream(self._name))
        self._end, self._told, self._attached = None, position, (position, chain)
        await self._create(position + 1)

    async def last(self) -> int:
        self._end = await self._read_end(await self._required_info())
        return self._end.position

    async def _required_info(self) -> api.StreamInfo:
        info = await self._settled_info()
        if info is None:
            raise self._gone()
        return info

    async def _settled_info(self) -> api.StreamInfo | None:
        deadline = time.monotonic() + (SETTLE_S if self._connection.replicas > 1 and self._told else 0)
        while True:
            info = await self._info()
            if info is not None and info.state.last_seq >= self._told:
                return info
            if time.monotonic() >= deadline:
                return info
            await asyncio.sleep(RETRY_S)

    async def _info(self) -> api.StreamInfo | None:
        """As the stream's leader sees it."""
        try:
            return await self._js.stream_info(self._name)
        except NATS_ERRORS as error:
            if is_not_found(error):
                return None
            check_cancelled()
            raise self._unavailable(error) from error

    async def _create(self, first: int) -> api.StreamInfo:
        config = api.StreamConfig(
            name=self._name,
            subjects=[self._subject],
            storage=api.StorageType.FILE,
            retention=api.RetentionPolicy.LIMITS,
            discard=api.DiscardPolicy.OLD,
            # No max_bytes: the server would reserve that much for every shard. `_trim` keeps it short.
            num_replicas=self._connection.replicas,
            deny_delete=True,
            allow_direct=False,
            first_seq=first if first > 1 else None,
        )
        return await self._asked(make_stream(self._connection, config))

    async def _asked(self, request: Awaitable[T]) -> T:
        try:
            return await request
        except NATS_ERRORS as error:
            raise self._unavailable(error) from error

    async def _read_end(self, info: api.StreamInfo) -> End:
        """Walks back over pieces whose last one never came. Refuses an end behind what was acknowledged."""
        state = info.state
        if state.last_seq < self._told:
            raise self._lost(state.last_seq, self._told)
        at = state.last_seq
        while at >= max(1, state.first_seq):
            record = decoded(await self._message(at), at)
            if record.is_last_piece:
                return End(state.last_seq, at, record.hash, record.primary_term)
            at -= record.piece + 1
        position, chain = self._attached
        if at not in (0, position):
            raise self._trimmed(state.first_seq, position)
        return End(state.last_seq, at, chain if at else b"", 0)

    async def _message(self, sequence: int) -> bytes:
        try:
            return (await self._js.get_msg(self._name, seq=sequence)).data or b""
        except NATS_ERRORS as error:
            if is_not_found(error):
                raise LogDamagedError(f"the log [{self._name}] has no message [{sequence}] any more") from error
            check_cancelled()
            raise self._unavailable(error) from error

    # -- writing

    async def append(self, batch: Batch, expected_last: int) -> int:
        deadline = time.monotonic() + APPEND_TIMEOUT_S
        end = self._end or await self._found_end(deadline)
        if end.position != expected_last:
            self._end = None
            raise FencedError(f"expected last position [{expected_last}] but the log is at [{end.position}]")
        if batch.primary_term < end.primary_term:
            raise FencedError(f"primary term [{batch.primary_term}] is older than [{end.primary_term}]")
        self._end = None
        size = sum(len(operation.source) for operation in batch.operations)
        if size > INLINE_BYTES_MAX:
            messages, chain = await asyncio.to_thread(encoded, batch, end.chain, self._piece_bytes)
        else:
            messages, chain = encoded(batch, end.chain, self._piece_bytes)
        sequence = end.sequence
        for message in messages:
            sequence = await self._publish(message, sequence, deadline)
        self._end = End(sequence, sequence, chain, batch.primary_term)
        self._moved(sequence, chain)
        self._untrimmed_bytes += sum(map(len, messages))
        if self._untrimmed_bytes > self._bytes_max / 4:
            await self._trim()
        return sequence

    async def _found_end(self, deadline: float) -> End:
        while True:
            try:
                return await self._read_end(await self._required_info())
            except UnavailableShardsError:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(RETRY_S)

    def taken(self, position: int, chain: bytes) -> None:
        self._end = None
        self._moved(position, chain)

    def _moved(self, position: int, chain: bytes) -> None:
        self._chain, self._attached, self._told = chain, (position, chain), max(self._told, position)

    async def _trim(self) -> None:
        """Drops the oldest messages beyond the size that is kept. What fails here is tried again later."""
        self._untrimmed_bytes = 0
        with suppress(*NATS_ERRORS):
            state = (await self._js.stream_info(self._name)).state
            if state.bytes > self._bytes_max:
                kept = max(1, int(state.messages * self._bytes_max / state.bytes))
                await self._connection.management.purge_stream(self._name, seq=state.last_seq - kept + 1)

    async def _publish(self, message: bytes, after: int, deadline: float) -> int:
        headers: dict[str, Any] = {
            api.Header.EXPECTED_LAST_SEQUENCE: str(after),
            api.Header.EXPECTED_STREAM: self._name,
        }
        while True:
            try:
                ack = await self._js.publish(self._subject, message, timeout=REQUEST_TIMEOUT_S, headers=headers)
                return ack.seq
            except NATS_ERRORS as error:
                check_cancelled()
                found = await self._found_behind(after, deadline)
                if found == message:
                    return after + 1
                if found is not None:
                    raise FencedError(
                        f"the log [{self._name}] was written behind [{after}] by somebody else"
                    ) from error
                if time.monotonic() > deadline:
                    raise self._unavailable(error) from error
            await asyncio.sleep(RETRY_S)

    async def _found_behind(self, after: int, deadline: float) -> bytes | None:
        """The message behind a place; None when there is none (yet). Waits for the stream to answer."""
        while True:
            try:
                info = await self._required_info()
                if info.state.last_seq > after:
                    return await self._message(after + 1)
                await self._read_end(info)
                return None
            except UnavailableShardsError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(RETRY_S)

    # -- reading

    async def read(self, after: int) -> AsyncIterator[tuple[int, Batch]]:
        info = await self._required_info()
        through = (await self._read_end(info)).position
        if through <= after:
            return
        if info.state.first_seq > after + 1:
            raise self._trimmed(info.state.first_seq, after)
        position, chain = self._attached
        assembler = Assembler(chain if position == after and (chain or not after) else None)
        async for sequence, data in self._messages(after + 1, through):
            taken = assembler.take(sequence, data)
            if taken is not None:
                self._moved(taken.position, taken.hash)
                yield taken.position, taken.batch

    async def _messages(self, first: int, through: int) -> AsyncIterator[tuple[int, bytes]]:
        """From the stream's leader. A consumer could be placed on a server that is down, or read a damaged replica."""
        for start in range(first, through + 1, READ_MESSAGES):
            sequences = range(start, min(start + READ_MESSAGES, through + 1))
            found = await asyncio.gather(*(self._message(sequence) for sequence in sequences))
            for sequence, data in zip(sequences, found, strict=True):
                yield sequence, data

    # -- the leader of the stream

    def when_led_here(self, told: Callable[[], None]) -> None:
        if self._leaders is not None:
            self._led_here = told
            self._leaders.watch(self._name, told)

    async def step_aside(self) -> None:
        if self._leaders is not None:
            await self._leaders.step_aside(self._name)

    async def close(self) -> None:
        """The connection belongs to the engine."""
        if self._leaders is not None and self._led_here is not None:
            self._leaders.leave(self._name, self._led_here)

    # -- sentences

    def _gone(self) -> LogDamagedError:
        return LogDamagedError(f"the log [{self._name}] is gone, but this copy took batches from it. {_MENDED}")

    def _lost(self, last: int, told: int) -> LogDamagedError:
        return LogDamagedError(
            f"the log [{self._name}] lost its end: it ends at [{last}], but batches up to [{told}] were acknowledged. "
            f"{_MENDED}"
        )

    def _trimmed(self, first: int, position: int) -> LogDamagedError:
        return LogDamagedError(
            f"the log [{self._name}] begins at [{first}], but this copy needs what follows [{position}]. It must take "
            f"its documents from another copy"
        )

    def _unavailable(self, error: BaseException) -> UnavailableShardsError:
        reason = str(error) or type(error).__name__
        return UnavailableShardsError(f"the log [{self._name}] did not answer: {reason}")


_MENDED = (
    "The copy on this node is kept as it is and not served; [POST /_cluster/reroute] with [allocate_stale_primary] "
    "begins the log anew from it"
)
