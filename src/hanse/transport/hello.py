"""The hello: the first bytes of a connection, and what is said to a peer that is no Hanse node.

Both sides begin with a preface (magic and protocol version); the dialling side adds its hello and is connected only
when that was answered, since in TLS 1.3 it believes itself connected before its certificate was judged. Both sides are
sans-IO: bytes in, commands out, so tests read as transcripts. Tests: tests/transport/test_hello.py.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from hanse import clock
from hanse.errors import HanseError
from hanse.tls.certificate_words import printable
from hanse.transport.actions import Lane
from hanse.transport.frames import (
    ACCEPTING_HELLO,
    DIALLING_HELLO,
    Error,
    FrameReader,
    Hello,
    HelloAck,
    HelloFrame,
    Violation,
    encode_frame,
)
from hanse.transport.wire_errors import to_wire

PROTOCOL_VERSION = 1
MAGIC = b"HANSE\x00"
PREFACE = MAGIC + PROTOCOL_VERSION.to_bytes(2, "big")
HELLO_TIMEOUT_S = 10.0
"""How long an accepted connection may stay without a complete hello."""

HTTP_REFUSAL = b"This is not an HTTP port"
HTTP_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=UTF-8\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%s" % (len(HTTP_REFUSAL), HTTP_REFUSAL)
)

_HTTP_METHODS = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"CONNECT ", b"TRACE ")
_TLS_HANDSHAKE = b"\x16\x03"
_TLS_ALERT = b"\x15\x03"
_ELASTICSEARCH = b"ES"


CLOCK_SKEW_S_MAX = 10.0
"""Clocks that are kept by a time service agree better than this."""


class Send(msgspec.Struct, frozen=True):
    data: bytes


class Established(msgspec.Struct, frozen=True):
    """The hello is over; frames may flow."""

    peer: Hello
    lane: Lane


class Close(msgspec.Struct, frozen=True):
    """Close the connection; the sentence goes to the log, and to the caller where there is one."""

    sentence: str


Command = Send | Established | Close


class AcceptingHello:
    """The accepting side. `own` is what this node answers."""

    def __init__(self, own: Hello, now_ms: Callable[[], int] = clock.now_ms) -> None:
        self._own = own
        self._now_ms = now_ms
        self._first = b""
        self._reader: FrameReader | None = None

    def receive(self, data: bytes) -> list[Command]:
        if self._reader is None:
            self._first += data
            if len(self._first) < len(PREFACE):
                return []
            if not self._first.startswith(PREFACE):
                return self._refuse_stranger(self._first)
            self._reader = FrameReader(ACCEPTING_HELLO)
            data = self._first[len(PREFACE) :]
        for event in self._reader.feed(data):
            if isinstance(event, HelloFrame):
                return self._greet(event)
            if isinstance(event, Error):
                return [Close(f"the node that dialled refuses this one: {printable(event.error.reason)}")]
            if isinstance(event, Violation):
                return [Close(f"the hello is malformed: {event.sentence}")]
        return []

    def _greet(self, frame: HelloFrame) -> list[Command]:
        if self._reader is not None and not self._reader.is_between_frames:
            return [Close("the hello is malformed: bytes follow it before it was answered")]
        lane = Lane.BULK if frame.lane == Lane.BULK.value else Lane.INTERACTIVE
        own = msgspec.structs.replace(self._own, clock_ms=self._now_ms())
        return [Send(PREFACE + encode_frame(HelloAck(own))), Established(frame.node, lane)]

    def _refuse_stranger(self, first: bytes) -> list[Command]:
        if first.startswith(MAGIC):
            theirs = int.from_bytes(first[len(MAGIC) : len(PREFACE)], "big")
            # The preface tells the other side our version, so that it can say the same sentence.
            return [Send(PREFACE), Close(_version_sentence(theirs))]
        if first.startswith(_HTTP_METHODS):
            return [Send(HTTP_ANSWER), Close("an HTTP request came to the transport port")]
        if first.startswith(_TLS_HANDSHAKE):
            seen = ",".join(str(byte) for byte in first[:3])
            return [Close(f"SSL/TLS request received but SSL/TLS is not enabled on this node, got ({seen})")]
        if first.startswith(_ELASTICSEARCH):
            return [Close("an Elasticsearch node tried to connect; its binary transport protocol is not spoken here")]
        return [Close(f"invalid internal transport message format, got ({first[:4].hex(',')})")]


class DiallingHello:
    """The dialling side: `start` gives what to send, `receive` takes the answer."""

    def __init__(
        self,
        own: Hello,
        lane: Lane = Lane.INTERACTIVE,
        *,
        is_encrypted: bool = True,
        now_ms: Callable[[], int] = clock.now_ms,
    ) -> None:
        self._own = own
        self._lane = lane
        self._now_ms = now_ms
        self._started_ms = 0
        self.clock_skew_s: float | None = None
        """How far the clock there is ahead of ours, to half of the time that the hello took; None if it does not tell.
        Its word only: to be shown, never to be judged by."""
        self._is_encrypted = is_encrypted
        self._first = b""
        self._reader: FrameReader | None = None

    def start(self) -> Send:
        self._started_ms = self._now_ms()
        own = msgspec.structs.replace(self._own, clock_ms=self._started_ms)
        return Send(PREFACE + encode_frame(HelloFrame(own, self._lane.value)))

    def receive(self, data: bytes) -> list[Command]:
        if self._reader is None:
            self._first += data
            if len(self._first) < len(PREFACE):
                return []
            if not self._first.startswith(PREFACE):
                return self._judge_stranger()
            self._reader = FrameReader(DIALLING_HELLO)
            data = self._first[len(PREFACE) :]
        for event in self._reader.feed(data):
            if isinstance(event, HelloAck):
                if event.node.clock_ms:
                    self.clock_skew_s = (event.node.clock_ms - (self._started_ms + self._now_ms()) / 2) / 1000
                return [Established(event.node, self._lane)]
            if isinstance(event, Error):
                return [Close(f"the node there refused the hello: {event.error.reason}")]
            if isinstance(event, Violation):
                return [Close(f"its answer to the hello is malformed: {event.sentence}")]
        return []

    def lost(self) -> Close:
        """The connection ended before the hello was answered, with no reason given."""
        if self._first and self._reader is None:
            return Close(_stranger_sentence(self._first))
        if not self._is_encrypted:
            return Close(
                "it closed the connection without answering the hello; it may require TLS, which is off here: "
                "set [xpack.security.transport.ssl.enabled] to the same value on both sides, else its log says why"
            )
        return Close("it closed the connection without answering the hello; its log says why")

    def _judge_stranger(self) -> list[Command]:
        first = self._first
        if first.startswith(b"HTTP/") and len(first) < len(HTTP_ANSWER):
            return []  # the text decides which port this is; `lost` judges what has come by then
        if first.startswith(MAGIC):
            return [Close(_version_sentence(int.from_bytes(first[len(MAGIC) : len(PREFACE)], "big")))]
        return [Close(_stranger_sentence(first))]


def refusal(error: HanseError) -> bytes:
    """What a node sends instead of a hello, or of the answer to one, when it does not want this peer."""
    return PREFACE + encode_frame(Error(0, to_wire(error)))


def _version_sentence(theirs: int) -> str:
    return (
        f"the peer speaks version [{theirs}] of the transport protocol, this node version [{PROTOCOL_VERSION}]; "
        "nodes of one release understand each other"
    )


def _stranger_sentence(first: bytes) -> str:
    if HTTP_REFUSAL in first or first.startswith(_TLS_ALERT):
        return (
            "the port there requires TLS while TLS is off here; "
            "set [xpack.security.transport.ssl.enabled] to the same value on both sides"
        )
    if first.startswith(b"HTTP/"):
        return "an HTTP server answered; name the transport port (transport.port, by default 9300), not the HTTP port"
    if first.startswith(_ELASTICSEARCH):
        return "an Elasticsearch node answered; its binary transport protocol is not spoken here"
    return f"no Hanse node answered there, the first bytes were ({first[:4].hex(',')})"


__all__ = [
    "HELLO_TIMEOUT_S",
    "HTTP_ANSWER",
    "PREFACE",
    "AcceptingHello",
    "Close",
    "Command",
    "DiallingHello",
    "Established",
    "Hello",
    "Send",
    "refusal",
]
