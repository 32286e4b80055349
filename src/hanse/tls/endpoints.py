"""Opens every listening and dialled socket, with or without TLS, for HTTP and for the transport.

`listen` chooses the context per connection and logs each refused handshake in one sentence; `dial` raises
ConnectTransportError with the check that failed and what mends it. Tests: tests/tls/test_endpoints.py.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from typing import Any, TypeVar

import structlog

from hanse.errors import ConnectTransportError
from hanse.settings.units import format_time
from hanse.tls.contexts import Refused, TlsContexts
from hanse.tls.explain import View, explain
from hanse.tls.faults import Fault, fault_of
from hanse.tls.handshake import TlsProtocol

log = structlog.get_logger(__name__)

P = TypeVar("P", bound=asyncio.BaseProtocol)

BACKLOG = 1024
DIAL_TIMEOUT_S = 30.0


async def listen(
    protocol_factory: Callable[[], asyncio.BaseProtocol],
    host: str | None,
    port: int,
    contexts: TlsContexts | None,
    *,
    plaintext_answer: bytes | None = None,
    restricted_answer: Callable[[str], bytes] | None = None,
) -> asyncio.Server:
    """Accepts connections; plaintext when `contexts` is None or not enabled.

    A plaintext HTTP request on a TLS port is answered with `plaintext_answer`, then closed. Whom trust restrictions
    refuse is sent `restricted_answer(sentence)`, since TLS has no alert left by then. OSError is passed on, so
    that the caller can try the next port of a range.
    """
    loop = asyncio.get_running_loop()
    factory = protocol_factory
    if contexts is not None and contexts.enabled:
        contexts.server()  # a missing identity shows now, not at the first connection
        factory = _accepting(loop, protocol_factory, contexts, plaintext_answer, restricted_answer)
    return await loop.create_server(factory, host, port, backlog=BACKLOG)


def _accepting(
    loop: asyncio.AbstractEventLoop,
    protocol_factory: Callable[[], asyncio.BaseProtocol],
    contexts: TlsContexts,
    plaintext_answer: bytes | None,
    restricted_answer: Callable[[str], bytes] | None,
) -> Callable[[], TlsProtocol]:
    def refused(error: BaseException, connection: TlsProtocol) -> None:
        noted = _noted(error, connection, contexts)
        _log(noted, is_diagnosed=contexts.diagnoses_trust)
        if noted.fault is not Fault.CLOSED:
            contexts.note_refused(noted)

    def accept() -> TlsProtocol:
        return TlsProtocol(
            loop,
            protocol_factory(),
            contexts.server(),
            server_side=True,
            on_failure=refused,
            plaintext_answer=plaintext_answer,
            restrictions=contexts.restrictions,
            restricted_answer=restricted_answer,
        )

    return accept


def _noted(error: BaseException, connection: TlsProtocol, contexts: TlsContexts) -> Refused:
    peer, presented = format_address(connection.peer_address), connection.shown
    view = View(peer, is_dialling=False, prefix=contexts.prefix, shown=presented, trust=contexts.trust)
    return Refused(peer, fault_of(error), explain(error, view), presented)


def _log(refused: Refused, *, is_diagnosed: bool) -> None:
    if refused.fault is Fault.CLOSED:
        # health checks and port scanners connect and go: no news for an operator
        log.debug("connection closed during handshake", peer=refused.peer)
    elif not is_diagnosed and refused.sentence.startswith("failed to establish trust"):
        log.warning("a peer is not trusted, closing connection", peer=refused.peer, fault=refused.fault.value)
    else:
        log.warning(refused.sentence, peer=refused.peer, fault=refused.fault.value)


async def dial(
    protocol_factory: Callable[[], P],
    host: str,
    port: int,
    contexts: TlsContexts | None,
    *,
    server_name: str | None = None,
    timeout_s: float = DIAL_TIMEOUT_S,
    restricted_answer: Callable[[str], bytes] | None = None,
) -> tuple[asyncio.Transport, P]:
    """Connects within `timeout_s`; plaintext when `contexts` is None or not enabled.

    `server_name` is sent as SNI and, with `verification_mode: full`, is the name that is checked instead of `host`.
    With TLS 1.3 it returns before the peer has judged our certificate: only an answer to the hello proves a connection.
    Cancelling it closes the socket. A server that trust restrictions refuse is sent `restricted_answer(sentence)`:
    Python's ssl can send no alert of its own choice, and by then OpenSSL has none left.
    """
    address = format_address((host, port))
    app = protocol_factory()
    try:
        async with asyncio.timeout(timeout_s):
            if contexts is None or not contexts.enabled:
                transport = await _connect(lambda: app, host, port, address)
            else:
                name = server_name or host
                transport = await _dial_tls(app, host, port, contexts, name, address, restricted_answer)
    except TimeoutError as error:
        raise ConnectTransportError(f"[][{address}] connect_timeout[{format_time(timeout_s)}]") from error
    return transport, app


async def _connect(
    factory: Callable[[], asyncio.BaseProtocol], host: str, port: int, address: str
) -> asyncio.Transport:
    loop = asyncio.get_running_loop()
    try:
        transport, _ = await loop.create_connection(factory, host, port)
    except TimeoutError:
        raise
    except (OSError, UnicodeError, OverflowError) as error:
        raise ConnectTransportError(f"[][{address}] connect_exception: {_socket_reason(error)}") from error
    return transport


async def _dial_tls(
    app: asyncio.BaseProtocol,
    host: str,
    port: int,
    contexts: TlsContexts,
    name: str,
    address: str,
    restricted_answer: Callable[[str], bytes] | None,
) -> asyncio.Transport:
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()
    try:
        tls = TlsProtocol(
            loop,
            app,
            contexts.client(),
            server_side=False,
            server_name=_plain_name(name),
            waiter=waiter,
            restrictions=contexts.restrictions,
            restricted_answer=restricted_answer,
        )
    except (ValueError, UnicodeError) as error:
        raise ConnectTransportError(f"[][{address}] connect_exception: [{name}] is not a server name") from error
    transport = tls.app_transport()
    try:
        socket_transport = await _connect(lambda: tls, host, port, address)
    except BaseException:
        tls.never_connected()
        raise
    try:
        await waiter
    except asyncio.CancelledError:
        socket_transport.abort()
        raise
    except OSError as error:
        view = View(peer=address, host=name, prefix=contexts.prefix, shown=tls.shown, trust=contexts.trust)
        raise ConnectTransportError(f"[][{address}] connect_exception: {explain(error, view)}") from error
    return transport


def _plain_name(name: str) -> str:
    """Without brackets and zone: `[fe80::1%eth0]` is checked as `fe80::1`."""
    bare = name.removeprefix("[").removesuffix("]").rstrip(".")
    try:
        return str(ipaddress.ip_address(bare.partition("%")[0]))
    except ValueError:
        return bare


def _socket_reason(error: BaseException) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "Connection refused; no node listens there"
    if isinstance(error, OSError) and error.errno is not None and error.errno < 0:
        return "the name cannot be resolved to an address"
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def format_address(address: tuple[Any, ...] | None) -> str:
    """`host:port`, with brackets around an IPv6 address."""
    if not address:
        return "unknown"
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"


__all__ = ["dial", "format_address", "listen"]
