"""The dialling end: one connection to a node, over which calls go and answers come back in any order.

A call ends with the answer, the peer's own error, a time-out, or the loss of the connection, never with silence: pings
notice a peer that is gone without a word. Cancelling the caller's coroutine cancels the handler over there.
Tests: tests/transport/test_connection.py; calls per second: bench/transport.py.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, TypeVar, cast

import msgspec

from hanse.errors import (
    ConnectTransportError,
    ContentTooLongError,
    HanseError,
    NodeDisconnectedError,
    NodeNotConnectedError,
    ReceiveTimeoutError,
)
from hanse.tls import endpoints
from hanse.tls.contexts import TlsContexts
from hanse.tls.identity import PeerCertificate, peer_certificate
from hanse.transport.actions import Action, Lane
from hanse.transport.channel import Channel
from hanse.transport.frames import (
    CALLING,
    MESSAGE_BYTES_MAX,
    NAME_BYTES_MAX,
    Cancel,
    Error,
    Hello,
    Ping,
    Pong,
    Request,
    Response,
)
from hanse.transport.hello import Close, DiallingHello, Established, Send, refusal
from hanse.transport.identities import encode_identity
from hanse.transport.identity import Identity
from hanse.transport.payloads import Complete
from hanse.transport.wire_errors import from_wire

Q = TypeVar("Q")
R = TypeVar("R")

PING_INTERVAL_S = 10.0
SILENT_PINGS_MAX = 3
"""A peer that let this many pings unanswered is gone."""

_ENCODER = msgspec.msgpack.Encoder()
_decoders: dict[Any, msgspec.msgpack.Decoder[Any]] = {}


class Connection:
    """An open connection. `closed` is done with a sentence when it is lost."""

    def __init__(self, channel: _CallingChannel, peer: Hello, lane: Lane) -> None:
        self._channel = channel
        self.peer = peer
        self.lane = lane
        self._peer_certificate: PeerCertificate | None = channel.extra_info(peer_certificate)
        self.address = channel.target
        self.closed = channel.ended

    def __repr__(self) -> str:
        state = f"{len(self._channel.pending)} running" if self.is_open else "closed"
        return f"<Connection [{self.peer.node_name}][{self.address}] {self.lane.value}, {state}>"

    @property
    def is_open(self) -> bool:
        return self._channel.is_open

    @property
    def peer_certificate(self) -> PeerCertificate | None:
        return self._peer_certificate

    @property
    def certificates(self) -> tuple[PeerCertificate | None, ...]:
        """What was shown, as `Peer.certificates`."""
        return (self._peer_certificate,)

    @property
    def round_trip_s(self) -> float | None:
        return self._channel.round_trip_s

    @property
    def clock_skew_s(self) -> float | None:
        """How far the clock there is ahead of ours, by its own word; negative when it is behind."""
        return self._channel.clock_skew_s

    @property
    def calls_running(self) -> int:
        return len(self._channel.pending)

    async def call(
        self,
        action: Action[Q, R],
        request: Q,
        identity: Identity,
        *,
        timeout_s: float | None = None,
        opaque_id: str | None = None,
        parent_task: str | None = None,
    ) -> R:
        """Runs an action at the peer as `identity`; its error is raised here as it was raised there."""
        payload = _ENCODER.encode(request)
        answer = await self._channel.call(
            action.name, payload, encode_identity(identity), timeout_s, opaque_id, parent_task
        )
        decoder = _decoders.get(action.response)
        if decoder is None:
            decoder = _decoders[action.response] = msgspec.msgpack.Decoder(action.response)
        try:
            return cast(R, decoder.decode(answer))
        except msgspec.DecodeError as error:
            raise HanseError(
                f"the answer of [{self.peer.node_name}] to [{action.name}] could not be read: {error}; "
                f"it runs version [{self.peer.version}]"
            ) from error

    def cut(self, sentence: str) -> None:
        self._channel.cut(sentence)

    async def close(self) -> None:
        await self._channel.finish("the connection was closed on this side")


async def connect(
    host: str,
    port: int,
    hello: Hello,
    contexts: TlsContexts | None,
    *,
    server_name: str | None = None,
    timeout_s: float = 30.0,
    lane: Lane = Lane.INTERACTIVE,
) -> Connection:
    """Dials and returns once the peer answered the hello. Raises ConnectTransportError with a sentence."""
    started_s = time.monotonic()
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    is_encrypted = contexts is not None and contexts.enabled
    _, channel = await endpoints.dial(
        lambda: _CallingChannel(hello, lane, target, is_encrypted),
        host,
        port,
        contexts,
        server_name=server_name,
        timeout_s=timeout_s,
        restricted_answer=lambda sentence: refusal(ConnectTransportError(sentence)),
    )
    try:
        left_s = max(0.0, timeout_s - (time.monotonic() - started_s))
        async with asyncio.timeout(left_s):
            either: list[asyncio.Future[Any]] = [channel.established, channel.ended]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    except TimeoutError as error:
        channel.cut("the hello was not answered in time")
        raise ConnectTransportError(f"[][{target}] connect_timeout[{timeout_s:g}s]: hello not answered") from error
    except asyncio.CancelledError:
        channel.cut("dialling was cancelled")
        raise
    if not channel.established.done():
        raise ConnectTransportError(f"[][{target}] handshake failed: {channel.ended.result()}") from channel.lost_by
    connection = Connection(channel, channel.established.result(), lane)
    if contexts is not None:
        contexts.hold(connection)
    return connection


class _CallingChannel(Channel):
    """The protocol below a Connection: numbers calls and hands answers to whoever waits."""

    def __init__(self, own: Hello, lane: Lane, target: str, is_encrypted: bool) -> None:
        super().__init__()
        self.target = target
        self.established: asyncio.Future[Hello] = self.loop.create_future()
        self.pending: dict[int, tuple[asyncio.Future[bytes], str]] = {}
        self.round_trip_s: float | None = None
        self._hello = DiallingHello(own, lane, is_encrypted=is_encrypted)
        self._node = ""
        self._last_id = 0
        self._silent_pings = 0
        self._timer: asyncio.TimerHandle | None = None
        self._writable: asyncio.Future[None] | None = None

    # Calls.

    async def call(
        self,
        action: str,
        payload: bytes,
        identity: bytes,
        timeout_s: float | None,
        opaque_id: str | None,
        parent_task: str | None = None,
    ) -> bytes:
        if len(payload) > MESSAGE_BYTES_MAX:
            raise ContentTooLongError(
                f"the request of [{action}] has [{len(payload)}] bytes, "
                f"more than the [{MESSAGE_BYTES_MAX}] a message may have"
            )
        while self._writable is not None:  # again and again: whoever was first may have filled the buffer anew
            await asyncio.shield(self._writable)
        if not self.is_open:
            raise NodeNotConnectedError(f"[{self._node}][{self.target}] Node not connected")
        self._last_id = id = self._last_id + 1
        answer: asyncio.Future[bytes] = self.loop.create_future()
        self.pending[id] = (answer, action)
        timer = None if timeout_s is None else self.loop.call_later(timeout_s, self._timed_out, id, timeout_s)
        try:
            piece, total_bytes = self.first_piece(id, payload)
            self.send(Request(id, action, identity, piece, total_bytes, _bounded(opaque_id), parent_task))
            return await answer
        finally:
            if timer is not None:
                timer.cancel()
            if self.pending.pop(id, None) is not None:
                # Still pending: the caller was cancelled. The peer is told, and late chunks are nobody's.
                self._abandon(id)

    def _timed_out(self, id: int, timeout_s: float) -> None:
        entry = self.pending.pop(id, None)
        if entry is None or entry[0].done():
            return
        self._abandon(id)
        call = f"[{self._node}][{self.target}][{entry[1]}] request_id [{id}]"
        entry[0].set_exception(ReceiveTimeoutError(f"{call} timed out after [{timeout_s * 1000:.0f}ms]"))

    def _abandon(self, id: int) -> None:
        self.forget(id)
        if self.is_open:
            self.send(Cancel(id))

    # Frames.

    def _take_response(self, response: Response) -> None:
        if response.total_bytes:
            if response.id in self.pending:
                self.begin_message(response)
            return
        entry = self.pending.pop(response.id, None)
        if entry is not None and not entry[0].done():
            entry[0].set_result(response.payload)

    def message_complete(self, complete: Complete) -> None:
        entry = self.pending.pop(complete.head.id, None)
        if entry is not None and not entry[0].done():
            # Not copied again: a large answer is decoded from the buffer it was collected in.
            entry[0].set_result(cast(bytes, complete.payload))

    def _take_error(self, error: Error) -> None:
        self.forget(error.id)
        entry = self.pending.pop(error.id, None)
        if entry is not None and not entry[0].done():
            entry[0].set_exception(from_wire(error.error))

    def _take_pong(self, pong: Pong) -> None:
        self.round_trip_s = (time.monotonic_ns() - pong.nonce) / 1e9

    # The hello and the socket.

    @property
    def clock_skew_s(self) -> float | None:
        return self._hello.clock_skew_s

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.write_now(self._hello.start().data)

    def hello_received(self, data: bytes) -> None:
        if self.is_ending:
            return
        for command in self._hello.receive(data):
            if isinstance(command, Send):
                self.write_now(command.data)
            elif isinstance(command, Established):
                self._established(command.peer)
            elif isinstance(command, Close):
                self.end(command.sentence)

    def _established(self, peer: Hello) -> None:
        self._node = peer.node_name
        self.open_frames(CALLING, {Response: self._take_response, Error: self._take_error, Pong: self._take_pong})
        if not self.established.done():
            self.established.set_result(peer)
        self._ping()

    def _ping(self) -> None:
        if not self.is_open:
            return
        self._silent_pings = 0 if self.heard else self._silent_pings + 1
        if self._silent_pings > SILENT_PINGS_MAX:
            self.cut(f"the node did not answer for [{PING_INTERVAL_S * SILENT_PINGS_MAX:.0f}s]")
            return
        self.heard = False
        self.send(Ping(time.monotonic_ns()))
        self._timer = self.loop.call_later(PING_INTERVAL_S, self._ping)

    def writable_no_more(self) -> None:
        if self._writable is None:
            self._writable = self.loop.create_future()

    def writable_again(self) -> None:
        if self._writable is not None:
            writable, self._writable = self._writable, None
            writable.set_result(None)

    def connection_lost(self, exc: BaseException | None) -> None:
        if exc is None and not self.established.done() and not self.is_ending:
            self._why = self._hello.lost().sentence
        super().connection_lost(exc)

    def lost(self, sentence: str) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.writable_again()
        pending, self.pending = self.pending, {}
        for future, action in pending.values():
            if not future.done():
                future.set_exception(
                    NodeDisconnectedError(f"[{self._node}][{self.target}][{action}] disconnected: {sentence}")
                )


def _bounded(opaque_id: str | None) -> str | None:
    return opaque_id if opaque_id is None else opaque_id[: NAME_BYTES_MAX // 4]
