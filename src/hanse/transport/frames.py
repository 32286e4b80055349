"""Frames: what travels over a connection, and the reader that turns bytes into them.

A frame is a 4-byte length, a kind byte and a MessagePack array. A length is compared with the bound of its kind
before a byte of it is kept. The reader is sans-IO: however the bytes are cut, the same events come out, and after the
first `Violation` nothing more. It knows nothing of requests and answers; `transport/payloads.py` joins chunks.
Tests: tests/transport/test_frames.py.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from hanse.transport.wire_errors import ERROR_BYTES_MAX, WireError

CHUNK_BYTES = 256 * 1024
"""A payload above this travels in chunks, so that other frames get in between."""
MESSAGE_BYTES_MAX = 100 * 1024 * 1024
"""The largest request or response."""
HELLO_BYTES_MAX = 64 * 1024
"""The largest frame before the hello is answered."""
IDENTITY_BYTES_MAX = 64 * 1024
NAME_BYTES_MAX = 4 * 1024
"""Action names and opaque ids."""
SMALL_BYTES_MAX = 64
"""Cancel, credit, ping, pong."""
ENVELOPE_BYTES = 64
"""What the array around a payload adds at most."""

HEADER = struct.Struct(">IB")


class Frame(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """`KIND` is the byte on the wire; a new kind needs a new number and a row in the bounds below."""

    KIND: ClassVar[int]


class Hello(msgspec.Struct, frozen=True, gc=False):
    """Who a node is, as it introduces itself. Fields are named on the wire, so that versions may add some."""

    cluster_name: str
    cluster_uuid: str
    node_id: str
    node_name: str
    ephemeral_id: str
    version: str
    address: str
    roles: tuple[str, ...] = ()
    attributes: dict[str, str] = {}
    clock_ms: int = 0
    """The sender's clock when it was sent; 0 from a node that does not tell."""


class HelloFrame(Frame, frozen=True):
    KIND: ClassVar[int] = 1
    node: Hello
    lane: str


class HelloAck(Frame, frozen=True):
    """The hello is answered: only now is the dialling side connected."""

    KIND: ClassVar[int] = 2
    node: Hello


class Request(Frame, frozen=True):
    """`total_bytes` is 0 for a whole payload, else the payload's full size: chunks with the same id follow.

    `parent_task` is the task at the caller, `node:number`, that this one is a part of.
    """

    KIND: ClassVar[int] = 3
    id: int
    action: str
    identity: bytes
    payload: bytes
    total_bytes: int = 0
    opaque_id: str | None = None
    parent_task: str | None = None


class Response(Frame, frozen=True):
    KIND: ClassVar[int] = 4
    id: int
    payload: bytes
    total_bytes: int = 0


class Error(Frame, frozen=True):
    """The answer to a request that failed. Id 0: the connection itself is refused."""

    KIND: ClassVar[int] = 5
    id: int
    error: WireError


class Cancel(Frame, frozen=True):
    """The caller no longer waits; the handler is cancelled and what is left of a payload is not sent."""

    KIND: ClassVar[int] = 6
    id: int


class Chunk(Frame, frozen=True):
    KIND: ClassVar[int] = 7
    id: int
    payload: bytes


class Credit(Frame, frozen=True):
    """The receiver of a chunked payload allows this many more bytes."""

    KIND: ClassVar[int] = 8
    id: int
    granted_bytes: int


class Ping(Frame, frozen=True):
    KIND: ClassVar[int] = 9
    nonce: int


class Pong(Frame, frozen=True):
    KIND: ClassVar[int] = 10
    nonce: int


class Violation(msgspec.Struct, frozen=True):
    """The peer broke the protocol; the sentence says how. Nothing after it can be believed."""

    sentence: str


Event = Frame | Violation
Bounds = Mapping[int, int]

_PAYLOAD_FRAME_BYTES_MAX = CHUNK_BYTES + IDENTITY_BYTES_MAX + 3 * NAME_BYTES_MAX + ENVELOPE_BYTES

ACCEPTING_HELLO: Bounds = {HelloFrame.KIND: HELLO_BYTES_MAX, Error.KIND: HELLO_BYTES_MAX}
DIALLING_HELLO: Bounds = {HelloAck.KIND: HELLO_BYTES_MAX, Error.KIND: HELLO_BYTES_MAX}
SERVING: Bounds = {
    Request.KIND: _PAYLOAD_FRAME_BYTES_MAX,
    Cancel.KIND: SMALL_BYTES_MAX,
    Chunk.KIND: CHUNK_BYTES + ENVELOPE_BYTES,
    Credit.KIND: SMALL_BYTES_MAX,
    Ping.KIND: SMALL_BYTES_MAX,
}
CALLING: Bounds = {
    Response.KIND: CHUNK_BYTES + ENVELOPE_BYTES,
    Error.KIND: ERROR_BYTES_MAX + ENVELOPE_BYTES,
    Chunk.KIND: CHUNK_BYTES + ENVELOPE_BYTES,
    Credit.KIND: SMALL_BYTES_MAX,
    Pong.KIND: SMALL_BYTES_MAX,
}

_TYPES: tuple[type[Frame], ...] = (
    HelloFrame, HelloAck, Request, Response, Error, Cancel, Chunk, Credit, Ping, Pong,
)  # fmt: skip
_DECODERS: dict[int, msgspec.msgpack.Decoder[Any]] = {kind.KIND: msgspec.msgpack.Decoder(kind) for kind in _TYPES}
_ENCODER = msgspec.msgpack.Encoder()
_HEADER_ROOM = bytes(HEADER.size)


def append_frame(buffer: bytearray, frame: Frame) -> None:
    """Encodes a frame at the end of a buffer, without a copy between."""
    start = len(buffer)
    buffer += _HEADER_ROOM
    _ENCODER.encode_into(frame, buffer, -1)
    HEADER.pack_into(buffer, start, len(buffer) - start - HEADER.size, frame.KIND)


def encode_frame(frame: Frame) -> bytes:
    buffer = bytearray()
    append_frame(buffer, frame)
    return bytes(buffer)


class FrameReader:
    """Bytes in, events out. `bounds` names the kinds that may come now and how long each may be."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._rest = bytearray()
        self._needed = HEADER.size
        self._broken = False

    @property
    def is_between_frames(self) -> bool:
        return not self._rest

    def feed(self, data: bytes) -> list[Event]:
        """The frames these bytes complete, in order; a Violation comes last."""
        if self._broken:
            return []
        if not self._rest:
            events, used = self._parse(data)
            if used < len(data) and not self._broken:
                self._rest += data[used:]
            return events
        self._rest += data
        if len(self._rest) < self._needed:
            return []
        events, used = self._parse(self._rest)
        del self._rest[:used]
        return events

    def _parse(self, data: bytes | bytearray) -> tuple[list[Event], int]:
        events: list[Event] = []
        start, available = 0, len(data)
        view = memoryview(data)
        try:
            while available - start >= HEADER.size:
                length, kind = HEADER.unpack_from(data, start)
                bound = self.bounds.get(kind)
                if bound is None or length > bound:
                    events.append(self._break(_out_of_bounds(kind, length, bound)))
                    break
                end = start + HEADER.size + length
                if end > available:
                    self._needed = end - start
                    return events, start
                try:
                    events.append(_DECODERS[kind].decode(view[start + HEADER.size : end]))
                except msgspec.DecodeError as error:
                    events.append(self._break(f"a frame of kind [{kind}] could not be read: {error}"))
                    break
                start = end
        finally:
            view.release()
        self._needed = HEADER.size
        return events, start

    def _break(self, sentence: str) -> Violation:
        self._broken = True
        return Violation(sentence)


def _out_of_bounds(kind: int, length: int, bound: int | None) -> str:
    if bound is None:
        return f"a frame of kind [{kind}] is not expected here"
    return f"a frame of kind [{kind}] claims [{length}] bytes, at most [{bound}] are allowed"
