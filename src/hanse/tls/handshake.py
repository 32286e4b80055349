"""asyncio's TLS with two things it lacks: a refused peer is told why, and so are we; and reading without waste.

Theory of operation. `SSLProtocol` stands between the socket and our protocol. When a handshake fails OpenSSL leaves an
alert in the outgoing buffer and asyncio before July 2026 aborts the connection without sending it (gh-98078), so the
other side sees only an end. Here the failure path is our own: send the alert, shut down the writing half, read on for a
moment and discard what comes (closing with unread bytes would make the kernel send a reset, which may overtake the
alert), then close. The context is chosen when the protocol is made, once per connection, so a reload needs nothing
more. It works the same on asyncio and uvloop. The names it overrides are private: `_require_interpreter` guards them.
Tests: tests/tls/test_handshake.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
from asyncio import sslproto
from collections.abc import Callable
from typing import Any, cast

from hanse.tls.explain import View, explain, restricted_for_peer
from hanse.tls.faults import (
    Fault,
    HandshakeTimeoutError,
    PlaintextError,
    UnreadableCertificateError,
    fault_of,
    looks_like_tls,
)
from hanse.tls.identity import PeerCertificate, readable_certificate, shown_certificate
from hanse.tls.presented import presented_certificate
from hanse.tls.ssl_settings import TRANSPORT
from hanse.tls.trust_restrictions import RestrictedTrustError, TrustRestrictions

HANDSHAKE_TIMEOUT_S = 10.0
RECORD_BYTES_MAX = 2**14
"""What one TLS record holds at most (RFC 8446, 5.1); a read never gives more than one."""
LINGER_S = 1.0
LINGER_BYTES_MAX = 256 * 1024
"""What is read and thrown away after a refusal, before the connection is cut."""

_NEEDED_METHODS = (
    "_on_handshake_complete",
    "_check_handshake_timeout",
    "_set_state",
    "_wakeup_waiter",
    "_get_app_transport",
    "_do_read__copied",
    "_call_eof_received",
    "_start_shutdown",
)


def _require_interpreter() -> None:
    """Refuses to run where the private parts used below are gone, instead of losing a check silently."""
    missing = [name for name in _NEEDED_METHODS if not hasattr(sslproto.SSLProtocol, name)]
    if missing or not hasattr(sslproto, "SSLProtocolState"):
        version = ".".join(map(str, sys.version_info[:3]))
        raise ImportError(f"asyncio.sslproto of Python {version} lacks {missing}: hanse.tls.handshake must be adapted")


_require_interpreter()


_SSLProtocol: Any = sslproto.SSLProtocol  # typeshed describes the class of Python 3.10, which was another one


class TlsProtocol(_SSLProtocol):  # type: ignore[misc]
    """TLS around `app`. `on_failure` is called at most once, with the exception, before the connection closes.

    `app.connection_made` is called only after a handshake that succeeded on this side; with TLS 1.3 the dialling side
    succeeds before its certificate was judged, and a refusal then reaches `app.connection_lost` as an ssl.SSLError.
    """

    _transport: asyncio.Transport | None
    _incoming: ssl.MemoryBIO
    _outgoing: ssl.MemoryBIO
    _sslobj: ssl.SSLObject
    _server_side: bool
    _handshake_timeout_handle: asyncio.TimerHandle | None

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        app: asyncio.BaseProtocol,
        context: ssl.SSLContext,
        *,
        server_side: bool,
        server_name: str | None = None,
        waiter: asyncio.Future[None] | None = None,
        on_failure: Callable[[BaseException, TlsProtocol], None] | None = None,
        plaintext_answer: bytes | None = None,
        restrictions: TrustRestrictions | None = None,
        restricted_answer: Callable[[str], bytes] | None = None,
        timeout_s: float = HANDSHAKE_TIMEOUT_S,
    ) -> None:
        super().__init__(
            loop,
            app,
            context,
            waiter,
            server_side=server_side,
            server_hostname=server_name,
            ssl_handshake_timeout=timeout_s,
        )
        self._on_failure = on_failure
        self._plaintext_answer = plaintext_answer
        self._restrictions = restrictions
        self._restricted_answer = restricted_answer
        self._saw_first_bytes = False
        self._refused = False
        self._discarded = 0
        self._linger: asyncio.TimerHandle | None = None
        self.peer_address: tuple[Any, ...] | None = None

    @property
    def shown(self) -> PeerCertificate | None:
        """What the other side showed in the handshake that failed, verified by nobody."""
        return presented_certificate(self._sslobj) if self._server_side else shown_certificate(self._sslobj)

    def app_transport(self) -> asyncio.Transport:
        """The transport that `app` is given when the handshake succeeds."""
        return cast(asyncio.Transport, self._get_app_transport())

    def never_connected(self) -> None:
        """No socket came to be: keeps the unused transport from being reported as left open."""
        if self._app_transport is not None:
            self._app_transport._closed = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.peer_address = transport.get_extra_info("peername")
        super().connection_made(transport)

    def buffer_updated(self, nbytes: int) -> None:
        if self._refused:
            self._discard(nbytes)
            return
        if not self._saw_first_bytes:
            self._saw_first_bytes = True
            first_bytes = bytes(self._ssl_buffer_view[: min(nbytes, 16)])
            if not looks_like_tls(first_bytes):
                self._refuse(PlaintextError(first_bytes))
                return
        super().buffer_updated(nbytes)

    def _do_read__copied(self) -> None:
        """As asyncio's, but without asking for a record that has not come: each time that costs an exception."""
        chunks, chunk = [], b"?"
        try:
            while chunk := self._sslobj.read(RECORD_BYTES_MAX):
                chunks.append(chunk)
                if not self._incoming.pending:
                    break
        except sslproto.SSLAgainErrors:
            pass  # a part of a record has come
        if chunks:
            self._app_protocol.data_received(chunks[0] if len(chunks) == 1 else b"".join(chunks))
        if not chunk:  # the other side said that it sends no more
            self._call_eof_received()
            self._start_shutdown()

    def eof_received(self) -> bool | None:
        if self._refused:
            return None
        return cast("bool | None", super().eof_received())

    def connection_lost(self, exc: Exception | None) -> None:
        if self._linger is not None:
            self._linger.cancel()
        if self._state is sslproto.SSLProtocolState.DO_HANDSHAKE:
            self._set_state(sslproto.SSLProtocolState.UNWRAPPED)
            lost = exc or ConnectionResetError("connection lost during the handshake")
            self._tell(lost)
            self._wakeup_waiter(lost)
        super().connection_lost(exc)

    def _on_handshake_complete(self, handshake_exc: BaseException | type[BaseException] | None) -> None:
        if handshake_exc is None:
            handshake_exc = self._restriction() or self._unreadable()
        if handshake_exc is None:
            super()._on_handshake_complete(None)
            return
        # asyncio passes the bare class when the peer closed during the handshake
        error = handshake_exc() if isinstance(handshake_exc, type) else handshake_exc
        self._refuse(error)

    def _restriction(self) -> RestrictedTrustError | None:
        """Judged here, so that no byte of the peer is read before; OpenSSL has no more alerts to send by now."""
        try:
            if self._restrictions is not None:
                self._restrictions.check(self._sslobj)
            return None
        except RestrictedTrustError as error:
            if self._restricted_answer is not None:
                self._sslobj.write(self._restricted_answer(restricted_for_peer(error)))
            with contextlib.suppress(ssl.SSLError):  # the close is in the buffer; the peer's is not waited for
                self._sslobj.unwrap()
            return error

    def _unreadable(self) -> UnreadableCertificateError | None:
        """OpenSSL takes names that nobody else can read: whom they are to name cannot be known, so it is nobody."""
        shown = self._sslobj.getpeercert(binary_form=True)
        return UnreadableCertificateError() if shown and readable_certificate(shown) is None else None

    def _check_handshake_timeout(self) -> None:
        if self._state is sslproto.SSLProtocolState.DO_HANDSHAKE:
            self._refuse(HandshakeTimeoutError("handshake timed out"))

    def _refuse(self, error: BaseException) -> None:
        self._refused = True
        if self._handshake_timeout_handle is not None:
            self._handshake_timeout_handle.cancel()
            self._handshake_timeout_handle = None
        self._set_state(sslproto.SSLProtocolState.UNWRAPPED)
        self._say_goodbye(error)
        self._tell(error)
        self._wakeup_waiter(error)

    def _say_goodbye(self, error: BaseException) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        last_words = self._outgoing.read()
        if isinstance(error, PlaintextError) and error.is_http and self._server_side:
            last_words = self._plaintext_answer or b""
        try:
            if last_words:
                transport.write(last_words)
            transport.write_eof()
        except OSError:  # the peer is gone already
            transport.abort()
            return
        self._linger = self._loop.call_later(LINGER_S, transport.abort)

    def _discard(self, nbytes: int) -> None:
        self._discarded += nbytes
        if self._discarded > LINGER_BYTES_MAX and self._transport is not None:
            self._transport.abort()

    def _tell(self, error: BaseException) -> None:
        tell, self._on_failure = self._on_failure, None
        if tell is not None:
            tell(error, self)


def connection_lost_sentence(exc: BaseException | None, *, peer: str = "", prefix: str = TRANSPORT) -> str:
    """Why a connection that was made has ended, for `connection_lost(exc)`.

    This is where a dialler under TLS 1.3 learns that its certificate was refused.
    """
    fault = fault_of(exc)
    if fault is Fault.CLOSED:
        return "the other side closed the connection" if exc is None else "the connection was reset by the other side"
    if fault is Fault.TIMED_OUT:
        return "the network gave no answer in time"
    return explain(exc, View(peer=peer, prefix=prefix))
