"""What both ends of a connection share: the asyncio half around the sans-IO parts.

Writes of one loop turn leave together (one TLS record for many small frames). Chunked payloads are sent a few chunks a
turn and only while the socket takes them. A channel that breaks the protocol, or is silent for too long, is closed
with a sentence. Tests: tests/transport/test_connection.py, tests/transport/test_server.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from hanse.tls.handshake import connection_lost_sentence
from hanse.transport.frames import (
    CHUNK_BYTES,
    Bounds,
    Chunk,
    Credit,
    FrameReader,
    Request,
    Response,
    Violation,
    append_frame,
)
from hanse.transport.payloads import Complete, IncomingPayloads, OutgoingPayloads

WRITE_BUFFER_HIGH_BYTES = 512 * 1024
WRITE_BUFFER_LOW_BYTES = 128 * 1024
CHUNKS_A_TURN = 4
FLUSH_AT_BYTES = 4 * 1024
"""So much does not wait for the end of the turn: the other side can begin while this one goes on."""
CLOSE_TIMEOUT_S = 2.0
"""How long a closing connection may take to say goodbye before it is cut."""

Taker = Callable[[Any], None]


class Channel(asyncio.Protocol):
    """One connection after its socket is open. Subclasses do the hello, then call `open_frames`."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[str] = self.loop.create_future()
        """Done when the connection is gone; the result is the sentence that says why."""
        self.lost_by: BaseException | None = None
        """What ended the connection, when it was not ended in peace: fault_of tells which fault it stands for."""
        self.address = ""
        self.heard = False
        self._transport: asyncio.Transport | None = None
        self._reader: FrameReader | None = None
        self._takers: dict[type, Taker] = {}
        self._out = bytearray()
        self._is_flush_due = False
        self._is_paused = False
        self._why: str | None = None
        self._outgoing = OutgoingPayloads()
        self._incoming = IncomingPayloads()

    # What a subclass defines.

    def hello_received(self, data: bytes) -> None:
        raise NotImplementedError

    def message_complete(self, complete: Complete) -> None:
        raise NotImplementedError

    def writable_again(self) -> None:
        """The socket takes data again."""

    def writable_no_more(self) -> None:
        """The socket's buffer is full."""

    def lost(self, sentence: str) -> None:
        raise NotImplementedError

    # asyncio's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(WRITE_BUFFER_HIGH_BYTES, WRITE_BUFFER_LOW_BYTES)
        name = transport.get_extra_info("peername")
        self.address = f"{name[0]}:{name[1]}" if name else ""

    def data_received(self, data: bytes) -> None:
        self.heard = True
        if self._reader is None:
            self.hello_received(data)
            return
        for event in self._reader.feed(data):
            self._takers[type(event)](event)

    def pause_writing(self) -> None:
        self._is_paused = True
        self.writable_no_more()

    def resume_writing(self) -> None:
        self._is_paused = False
        self._flush_soon()
        self.writable_again()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self.ended.done():
            return
        self.lost_by = exc
        sentence = self._why or connection_lost_sentence(exc, peer=self.address)
        self._transport = None
        self._outgoing = OutgoingPayloads()
        self._incoming = IncomingPayloads()
        self.ended.set_result(sentence)
        self.lost(sentence)

    # What subclasses use.

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing() and self._reader is not None

    @property
    def is_writable(self) -> bool:
        return not self._is_paused

    @property
    def is_ending(self) -> bool:
        return self._why is not None or self._transport is None

    def open_frames(self, bounds: Bounds, takers: dict[type, Taker]) -> None:
        """The hello is over: from now on frames of these kinds are taken."""
        self._reader = FrameReader(bounds)
        self._takers = {Chunk: self._take_chunk, Credit: self._take_credit, Violation: self._take_violation, **takers}

    def send(self, frame: Any) -> None:
        """Queues a frame; it leaves with all others of this loop turn."""
        append_frame(self._out, frame)
        if len(self._out) >= FLUSH_AT_BYTES and self._transport is not None and not self._is_paused:
            out, self._out = self._out, bytearray()
            self._transport.write(out)
            if not len(self._outgoing):
                return
        if not self._is_flush_due:
            self._is_flush_due = True
            self.loop.call_soon(self._flush)

    def first_piece(self, id: int, payload: bytes) -> tuple[bytes, int]:
        """What of a payload goes into its head frame, and the `total_bytes` to announce there."""
        if len(payload) <= CHUNK_BYTES:
            return payload, 0
        return self._outgoing.begin(id, payload), len(payload)

    def begin_message(self, head: Request | Response) -> None:
        """The head of a chunked message has come."""
        violation = self._incoming.begin(head)
        if violation is not None:
            self._take_violation(violation)

    def forget(self, id: int) -> None:
        """Drops what is unsent and unfinished of a message."""
        self._outgoing.drop(id)
        self._incoming.drop(id)

    def write_now(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def set_reading(self, is_reading: bool) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if is_reading:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def end(self, sentence: str) -> None:
        """Closes after what is queued was sent; the sentence is the reason everybody gets to see."""
        self._why = self._why or sentence
        if self._transport is not None:
            self._flush()
            self._transport.close()

    def cut(self, sentence: str) -> None:
        """Closes at once."""
        self._why = self._why or sentence
        if self._transport is not None:
            self._transport.abort()

    async def finish(self, sentence: str) -> None:
        """Closes and waits until the connection is gone."""
        self.end(sentence)
        if self._transport is None:
            return
        await asyncio.wait([self.ended], timeout=CLOSE_TIMEOUT_S)
        if not self.ended.done():
            self.cut(sentence)
            await self.ended

    def extra_info(self, transport_reader: Callable[[asyncio.BaseTransport], Any]) -> Any:
        """What a function reads from the socket, such as the peer's certificate; None when it is gone."""
        return transport_reader(self._transport) if self._transport is not None else None

    # Inside.

    def _flush_soon(self) -> None:
        if not self._is_flush_due:
            self._is_flush_due = True
            self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flush_due = False
        transport = self._transport
        if transport is None:
            self._out.clear()
            return
        if self._out:
            # The buffer is handed over, not copied: the transport may keep it.
            out, self._out = self._out, bytearray()
            transport.write(out)
        if len(self._outgoing):
            self._send_chunks(transport)

    def _send_chunks(self, transport: asyncio.Transport) -> None:
        for _ in range(CHUNKS_A_TURN):
            if self._is_paused:
                return
            chunk = self._outgoing.next_chunk()
            if chunk is None:
                return
            buffer = bytearray()
            append_frame(buffer, chunk)
            transport.write(buffer)
        self._flush_soon()

    def _take_chunk(self, chunk: Chunk) -> None:
        outcome = self._incoming.add(chunk)
        if isinstance(outcome, Complete):
            self.message_complete(outcome)
        elif isinstance(outcome, Credit):
            self.send(outcome)
        elif outcome is not None:
            self._take_violation(outcome)

    def _take_credit(self, credit: Credit) -> None:
        self._outgoing.grant(credit)
        self._flush_soon()

    def _take_violation(self, violation: Violation) -> None:
        self.cut(f"the peer broke the transport protocol: {violation.sentence}")
