"""The accepting end: answers the hello, runs each request as a task, sends its answer or its error.

A handler is a task named after its action; it is cancelled when the caller cancels or the connection is lost. Reading
stops while the caller does not take its answers. Who a peer is comes from its certificate, whom it asks for from the
request's identity; what that identity may do is decided behind `on_request`, never here.
Tests: tests/transport/test_server.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import structlog

from hanse.errors import (
    ConnectTransportError,
    ContentTooLongError,
    HanseError,
    RejectedExecutionError,
    TaskCancelledError,
)
from hanse.tls import endpoints
from hanse.tls.contexts import TlsContexts
from hanse.tls.identity import PeerCertificate, peer_certificate
from hanse.transport.actions import Origin
from hanse.transport.channel import CLOSE_TIMEOUT_S, Channel
from hanse.transport.connection import PING_INTERVAL_S, SILENT_PINGS_MAX
from hanse.transport.frames import (
    MESSAGE_BYTES_MAX,
    SERVING,
    Cancel,
    Error,
    Hello,
    Ping,
    Pong,
    Request,
    Response,
    Violation,
)
from hanse.transport.hello import HELLO_TIMEOUT_S, HTTP_ANSWER, AcceptingHello, Close, Established, Send, refusal
from hanse.transport.identities import decode_identity
from hanse.transport.identity import Identity
from hanse.transport.payloads import Complete
from hanse.transport.wire_errors import to_wire

log = structlog.get_logger(__name__)

OnRequest = Callable[[str, bytes, Identity, Origin], Awaitable[bytes]]

REQUESTS_RUNNING_MAX = 10_000
"""Requests of one connection that run at the same time; one more is refused with 429."""
SILENCE_S = PING_INTERVAL_S * (SILENT_PINGS_MAX + 2)
"""A caller pings; one that was not heard for so long is gone, as after a power cut."""


class TransportServer:
    """Listens on the transport port. `hello` is asked at each connection, so that it may change."""

    def __init__(self, hello: Callable[[], Hello], on_request: OnRequest, contexts: TlsContexts | None) -> None:
        self._hello = hello
        self._on_request = on_request
        self._contexts = contexts
        self._listener: asyncio.Server | None = None
        self._connections: set[ServedConnection] = set()

    @property
    def connections(self) -> list[ServedConnection]:
        return [*self._connections]

    @property
    def connection_count(self) -> int:
        return len(self._connections)

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Binds; returns the bound address (with the port the system chose for port 0)."""
        self._listener = await endpoints.listen(
            self._accept,
            host,
            port,
            self._contexts,
            plaintext_answer=HTTP_ANSWER,
            restricted_answer=lambda sentence: refusal(ConnectTransportError(sentence)),
        )
        bound = self._listener.sockets[0].getsockname()
        return bound[0], bound[1]

    async def close(self) -> None:
        """Stops listening, closes every connection, cancels running handlers and waits for them (not for ever)."""
        if self._listener is not None:
            self._listener.close()
        connections = self.connections
        handlers = [task for connection in connections for task in connection.running]
        await asyncio.gather(*(connection.finish("this node shuts down") for connection in connections))
        if handlers:
            await asyncio.wait(handlers, timeout=CLOSE_TIMEOUT_S)

    def _accept(self) -> ServedConnection:
        return ServedConnection(self._hello(), self._on_request, self._connections, self._contexts)


class ServedConnection(Channel):
    """One accepted connection."""

    def __init__(
        self, own: Hello, on_request: OnRequest, among: set[ServedConnection], contexts: TlsContexts | None = None
    ) -> None:
        super().__init__()
        self.peer: Hello | None = None
        self._hello = AcceptingHello(own)
        self._on_request = on_request
        self._among = among
        self._contexts = contexts
        self._running: dict[int, asyncio.Task[None]] = {}
        self._origin = Origin("transport")
        self._timer = self.loop.call_later(HELLO_TIMEOUT_S, self._hello_is_late)

    @property
    def running(self) -> list[asyncio.Task[None]]:
        """The handlers that work for this connection."""
        return [*self._running.values()]

    @property
    def peer_certificate(self) -> PeerCertificate | None:
        certificate: PeerCertificate | None = self._origin.peer
        return certificate

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._origin = Origin("transport", self.address, peer_certificate(transport))
        self._among.add(self)
        if self._contexts is not None:
            self._contexts.hold(self)

    def hello_received(self, data: bytes) -> None:
        if self.is_ending:
            return
        for command in self._hello.receive(data):
            if isinstance(command, Send):
                self.write_now(command.data)
            elif isinstance(command, Established):
                self._established(command)
            elif isinstance(command, Close):
                log.warning(command.sentence, remote_address=self.address)
                self.end(command.sentence)

    def _established(self, established: Established) -> None:
        self.peer = established.peer
        self._origin = msgspec.structs.replace(self._origin, cluster_uuid=established.peer.cluster_uuid)
        self._timer.cancel()
        self._timer = self.loop.call_later(SILENCE_S, self._check_silence)
        self.open_frames(SERVING, {Request: self._take_request, Cancel: self._take_cancel, Ping: self._take_ping})
        log.debug(
            "transport connection accepted",
            node=established.peer.node_name,
            cluster=established.peer.cluster_name,
            lane=established.lane.value,
            remote_address=self.address,
        )

    def _hello_is_late(self) -> None:
        log.warning("a connection sent no hello in time", remote_address=self.address, timeout_s=HELLO_TIMEOUT_S)
        self.cut("no hello came in time")

    def _check_silence(self) -> None:
        if not self.heard:
            self.cut(f"the caller was not heard for [{SILENCE_S:.0f}s]")
            return
        self.heard = False
        self._timer = self.loop.call_later(SILENCE_S, self._check_silence)

    # Requests.

    def _take_request(self, request: Request) -> None:
        if request.total_bytes:
            self.begin_message(request)
        else:
            self._start(request, request.payload)

    def message_complete(self, complete: Complete) -> None:
        if isinstance(complete.head, Request):
            self._start(complete.head, bytes(complete.payload))

    def _start(self, request: Request, payload: bytes) -> None:
        if request.id in self._running:
            self._take_violation(Violation(f"two requests have the id [{request.id}]"))
            return
        try:
            if len(self._running) >= REQUESTS_RUNNING_MAX:
                raise RejectedExecutionError(
                    f"rejected execution of [{request.action}] as [{REQUESTS_RUNNING_MAX}] requests "
                    f"of this connection are running"
                )
            identity = decode_identity(request.identity)
        except HanseError as error:
            self.send(Error(request.id, to_wire(error)))
            return
        self._running[request.id] = self.loop.create_task(self._serve(request, payload, identity), name=request.action)

    async def _serve(self, request: Request, payload: bytes, identity: Identity) -> None:
        id = request.id
        try:
            answer = await self._on_request(request.action, payload, identity, self._origin_of(request))
            self._answer(request, answer)
        except HanseError as error:
            self._fail(id, error)
        except asyncio.CancelledError:
            # Cancelled by the caller or by the loss of the connection it is no longer in `_running`; else somebody
            # here cancelled it, and the caller still waits.
            self._fail(id, TaskCancelledError("task cancelled"))
            raise
        except Exception as error:
            log.exception("handler of a transport request failed", action=request.action, remote_address=self.address)
            self._fail(id, HanseError(f"[{request.action}] failed there with an unexpected [{type(error).__name__}]"))
        finally:
            self._running.pop(id, None)

    def _origin_of(self, request: Request) -> Origin:
        origin = self._origin
        if request.opaque_id is None and request.parent_task is None:
            return origin
        parent = request.parent_task or ""
        return Origin(origin.kind, origin.address, origin.peer, request.opaque_id, origin.cluster_uuid, parent)

    def _answer(self, request: Request, answer: bytes) -> None:
        id = request.id
        if id not in self._running:
            return
        if len(answer) > MESSAGE_BYTES_MAX:
            self._fail(id, _too_large(request.action, len(answer)))
            return
        piece, total_bytes = self.first_piece(id, answer)
        self.send(Response(id, piece, total_bytes))

    def _fail(self, id: int, error: HanseError) -> None:
        if id in self._running:
            self.send(Error(id, to_wire(error)))

    def _take_cancel(self, cancel: Cancel) -> None:
        self.forget(cancel.id)
        task = self._running.pop(cancel.id, None)
        if task is not None:
            task.cancel()

    def _take_ping(self, ping: Ping) -> None:
        self.send(Pong(ping.nonce))

    # The socket.

    def writable_no_more(self) -> None:
        self.set_reading(False)

    def writable_again(self) -> None:
        self.set_reading(True)

    def end(self, sentence: str) -> None:
        self._cancel_all()
        super().end(sentence)

    def lost(self, sentence: str) -> None:
        self._timer.cancel()
        self._among.discard(self)
        self._cancel_all()
        if self.peer is not None:
            log.debug("transport connection ended", node=self.peer.node_name, reason=sentence)

    def _cancel_all(self) -> None:
        running, self._running = self._running, {}
        for task in running.values():
            task.cancel()


def _too_large(action: str, size: int) -> HanseError:
    return ContentTooLongError(
        f"the answer to [{action}] has [{size}] bytes, more than the [{MESSAGE_BYTES_MAX}] a message may have"
    )


__all__ = ["OnRequest", "ServedConnection", "TransportServer"]
