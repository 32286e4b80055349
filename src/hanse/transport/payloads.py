"""Large payloads in pieces: a huge request or response never keeps others waiting.

The sender may be `WINDOW_BYTES` ahead of what the receiver granted, and streams take turns, a chunk each. The receiver
believes no size beyond `MESSAGE_BYTES_MAX` and keeps at most `PARTIAL_BYTES_MAX` of unfinished payloads.
Sans-IO: both classes only say what is to be sent. Tests: tests/transport/test_payloads.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from hanse.transport.frames import CHUNK_BYTES, MESSAGE_BYTES_MAX, Chunk, Credit, Request, Response, Violation

WINDOW_BYTES = 8 * CHUNK_BYTES
"""How far a sender may be ahead: 2 MiB fill 40 MB/s at a round trip of 50 ms."""
GRANT_BYTES = 2 * CHUNK_BYTES
"""Credit is returned in portions of this size, not for every chunk."""
PARTIAL_BYTES_MAX = 4 * MESSAGE_BYTES_MAX
"""Unfinished payloads of one connection together: what they claim, not what has arrived."""


@dataclass(slots=True)
class _Outgoing:
    payload: bytes
    offset: int
    allowed: int


class OutgoingPayloads:
    """Payloads being sent in chunks, by request id."""

    def __init__(self) -> None:
        self._streams: dict[int, _Outgoing] = {}

    def __len__(self) -> int:
        return len(self._streams)

    def begin(self, id: int, payload: bytes) -> bytes:
        """The first piece, which goes into the request or response frame; the rest waits for `next_chunk`."""
        self._streams[id] = _Outgoing(payload, CHUNK_BYTES, CHUNK_BYTES + WINDOW_BYTES)
        return payload[:CHUNK_BYTES]

    def grant(self, credit: Credit) -> None:
        """More credit. A stranger's id is a payload that was cancelled meanwhile."""
        stream = self._streams.get(credit.id)
        if stream is not None and credit.granted_bytes > 0:
            stream.allowed = min(stream.allowed + credit.granted_bytes, stream.offset + WINDOW_BYTES)

    def drop(self, id: int) -> None:
        self._streams.pop(id, None)

    def next_chunk(self) -> Chunk | None:
        """A chunk of the stream that has waited longest and may send; None when none may."""
        id = next((id for id, stream in self._streams.items() if stream.offset < stream.allowed), None)
        if id is None:
            return None
        stream = self._streams[id]
        end = min(stream.offset + CHUNK_BYTES, stream.allowed)
        chunk = Chunk(id, stream.payload[stream.offset : end])
        stream.offset = end
        del self._streams[id]
        if end < len(stream.payload):
            self._streams[id] = stream  # to the end of the queue: others first
        return chunk


@dataclass(slots=True)
class _Incoming:
    head: Request | Response
    payload: bytearray
    ungranted: int = 0


@dataclass(frozen=True, slots=True)
class Complete:
    """A chunked message whose last piece has come."""

    head: Request | Response
    payload: bytearray


class IncomingPayloads:
    """Payloads arriving in chunks, by request id."""

    def __init__(self) -> None:
        self._streams: dict[int, _Incoming] = {}
        self._claimed_bytes = 0

    def __len__(self) -> int:
        return len(self._streams)

    def begin(self, head: Request | Response) -> Violation | None:
        """Called for a frame whose `total_bytes` is not 0."""
        total = head.total_bytes
        if not len(head.payload) < total <= MESSAGE_BYTES_MAX:
            return Violation(f"a message claims [{total}] bytes, at most [{MESSAGE_BYTES_MAX}] are allowed")
        if head.id in self._streams:
            return Violation(f"two unfinished messages have the id [{head.id}]")
        if self._claimed_bytes + total > PARTIAL_BYTES_MAX:
            return Violation(f"unfinished messages claim more than [{PARTIAL_BYTES_MAX}] bytes")
        self._claimed_bytes += total
        self._streams[head.id] = _Incoming(head, bytearray(head.payload))
        return None

    def add(self, chunk: Chunk) -> Complete | Credit | Violation | None:
        """What the chunk calls for: the finished message, credit to return, or nothing."""
        stream = self._streams.get(chunk.id)
        if stream is None:
            return None  # cancelled here while the chunk was on its way
        size = len(chunk.payload)
        received = len(stream.payload) + size
        if size == 0 or received > stream.head.total_bytes:
            return Violation(f"message [{chunk.id}] has more bytes than the [{stream.head.total_bytes}] it announced")
        stream.payload += chunk.payload
        if received == stream.head.total_bytes:
            self.drop(chunk.id)
            return Complete(stream.head, stream.payload)
        stream.ungranted += size
        if stream.ungranted < GRANT_BYTES:
            return None
        granted, stream.ungranted = stream.ungranted, 0
        return Credit(chunk.id, granted)

    def drop(self, id: int) -> None:
        stream = self._streams.pop(id, None)
        if stream is not None:
            self._claimed_bytes -= stream.head.total_bytes
