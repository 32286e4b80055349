"""Two real sockets on loopback, on asyncio and uvloop: what each side is told when a handshake is refused."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest
import structlog

from hanse.errors import ConnectTransportError
from hanse.tls.contexts import Refused, TlsContexts
from hanse.tls.endpoints import dial, listen
from hanse.tls.faults import Fault
from hanse.tls.handshake import TlsProtocol, connection_lost_sentence
from hanse.tls.identity import peer_certificate

from .conftest import FAR_AHEAD, LONG_AGO, Place

ANSWER = b"HTTP/1.1 400 Bad Request\r\n\r\nThis is not an HTTP port"


class Echo(asyncio.Protocol):
    """Says back what it hears."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass

    def data_received(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


class Caller(asyncio.Protocol):
    """Says hello as soon as it is connected, as the transport does, and keeps what comes of it."""

    def __init__(self) -> None:
        self.heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(b"hello")

    def data_received(self, data: bytes) -> None:
        if not self.heard.done():
            self.heard.set_result(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


class Greeter(asyncio.Protocol):
    """A server of another protocol, which speaks first."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(b"220 mail.example ESMTP\r\n")


class Listener:
    def __init__(self, contexts: TlsContexts | None) -> None:
        self._contexts = contexts
        self._seen = contexts.refused_handshakes if contexts is not None else 0
        self.accepted: list[Echo] = []
        self.port = 0

    def echo(self) -> Echo:
        self.accepted.append(Echo())
        return self.accepted[-1]

    @property
    def has_refused_nobody(self) -> bool:
        return self._contexts is None or self._contexts.refused_handshakes == self._seen

    async def failure(self) -> Refused:
        """The next handshake that was refused, as the APIs would show it."""
        assert self._contexts is not None
        async with asyncio.timeout(5):
            while self.has_refused_nobody:
                await asyncio.sleep(0.001)
        found = self._contexts.refused[self._seen - self._contexts.refused_handshakes]
        self._seen += 1
        return found


@asynccontextmanager
async def listening(contexts: TlsContexts | None) -> AsyncIterator[Listener]:
    listener = Listener(contexts)
    server = await listen(listener.echo, "127.0.0.1", 0, contexts, plaintext_answer=ANSWER)
    listener.port = server.sockets[0].getsockname()[1]
    try:
        yield listener
    finally:
        server.close()
        for echo in listener.accepted:
            if echo.transport is not None:
                echo.transport.abort()
        await asyncio.sleep(0)


async def fate(contexts: TlsContexts, port: int, host: str = "127.0.0.1") -> str:
    """The sentence the dialling side is given, at `dial` or, with TLS 1.3, after it."""
    try:
        _, caller = await dial(Caller, host, port, contexts)
    except ConnectTransportError as error:
        return error.reason
    lost = await asyncio.wait_for(caller.lost, 5)
    return connection_lost_sentence(lost)


async def test_two_nodes_of_two_authorities_that_trust_each_other_talk(place: Place) -> None:
    server = place.node("berlin", "ca-berlin", "ca-berlin", "ca-paris")
    client = place.node("paris", "ca-paris", "ca-berlin", "ca-paris")
    async with listening(server) as listener:
        transport, caller = await dial(Caller, "127.0.0.1", listener.port, client)
        assert await asyncio.wait_for(caller.heard, 5) == b"hello"
        seen = peer_certificate(transport)
        assert seen is not None
        assert (seen.subject, seen.issuer) == ("CN=berlin", "CN=ca-berlin")
        echo_transport = listener.accepted[0].transport
        assert echo_transport is not None
        at_server = peer_certificate(echo_transport)
        assert at_server is not None
        assert at_server.subject == "CN=paris"
        transport.close()
        assert await asyncio.wait_for(caller.lost, 5) is None


@pytest.mark.parametrize("version", ["TLSv1.3", "TLSv1.2"])
async def test_a_dialler_whose_authority_is_unknown_is_refused_and_both_sides_know_why(
    place: Place, version: str
) -> None:
    server = place.node("berlin", "ca-berlin", supported_protocols=[version])
    client = place.node("rogue", "ca-rogue", "ca-berlin")
    async with listening(server) as listener:
        sentence = await fate(client, listener.port)
        failure = await listener.failure()
    assert "does not trust the authority that signed this node's certificate" in sentence
    assert failure.fault is Fault.UNKNOWN_AUTHORITY
    assert failure.sentence.startswith("failed to establish trust with client at [127.0.0.1:")
    assert "is not configured to trust that issuer" in failure.sentence
    assert "[xpack.security.transport.ssl.certificate_authorities]" in failure.sentence
    assert "the client provided a certificate with subject name [CN=rogue]" in failure.sentence
    assert "has subject alternative names [DNS:localhost,IP:127.0.0.1]" in failure.sentence
    assert "issued by [CN=ca-rogue]" in failure.sentence
    assert "(with trust configuration: PEM-trust{ca-berlin.crt})" in failure.sentence
    assert "it only trusts the issuer [CN=ca-berlin]" in failure.sentence
    kept = server.refused[-1]
    assert (kept.sentence, kept.presented) == (failure.sentence, failure.presented)


async def test_a_dialler_without_a_certificate_is_refused_and_both_sides_know_why(place: Place) -> None:
    server = place.node("berlin", "ca")
    bare = ssl.create_default_context(cadata=place.authority("ca").certificate_pem.decode())
    caller = Caller()
    async with listening(server) as listener:
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        tls = TlsProtocol(loop, caller, bare, server_side=False, server_name="localhost", waiter=waiter)
        await loop.create_connection(lambda: tls, "127.0.0.1", listener.port)
        await waiter  # under TLS 1.3 this side believes itself connected
        lost = await asyncio.wait_for(caller.lost, 5)
        failure = await listener.failure()
    assert "requires a client certificate and this node presented none" in connection_lost_sentence(lost)
    assert failure.fault is Fault.NO_CERTIFICATE
    assert "Empty client certificate chain" in failure.sentence


@pytest.mark.parametrize("version", ["TLSv1.3", "TLSv1.2"])
async def test_a_server_whose_authority_is_unknown_is_refused_and_both_sides_know_why(
    place: Place, version: str
) -> None:
    server = place.node("berlin", "ca-berlin", "ca-berlin", "ca-paris", supported_protocols=[version])
    client = place.node("paris", "ca-paris")
    async with listening(server) as listener:
        sentence = await fate(client, listener.port)
        failure = await listener.failure()
    assert f"[][127.0.0.1:{listener.port}] connect_exception" in sentence
    assert "failed to establish trust with server at [127.0.0.1]" in sentence
    assert "subject name [CN=berlin]" in sentence
    assert "issued by [CN=ca-berlin]" in sentence
    assert "is not configured to trust that issuer" in sentence
    assert "(with trust configuration: PEM-trust{ca-paris.crt})" in sentence
    assert failure.fault is Fault.OWN_UNKNOWN_AUTHORITY
    assert failure.sentence.startswith("client did not trust this server's certificate, closing connection")


async def test_full_checks_the_dialled_address_and_certificate_does_not(place: Place) -> None:
    server = place.node("berlin", "ca", issue={"ips": (), "dns": ("berlin.example",)})
    strict = place.node("paris", "ca")
    lenient = place.node("rome", "ca", verification_mode="certificate")
    async with listening(server) as listener:
        sentence = await fate(strict, listener.port)
        failure = await listener.failure()
        _, caller = await dial(Caller, "127.0.0.1", listener.port, lenient)
        assert await asyncio.wait_for(caller.heard, 5) == b"hello"
        transport, caller = await dial(Caller, "127.0.0.1", listener.port, strict, server_name="berlin.example")
        assert await asyncio.wait_for(caller.heard, 5) == b"hello"
        transport.abort()
    assert "not valid for the name [127.0.0.1] that was dialled" in sentence
    assert "has subject alternative names [DNS:berlin.example]" in sentence
    assert "issue it with that IP address" in sentence
    assert failure.fault is Fault.OWN_BAD_CERTIFICATE
    assert "dialled a name or address that the certificate does not hold" in failure.sentence


async def test_full_checks_names_too(place: Place) -> None:
    server = place.node("berlin", "ca", issue={"ips": ("127.0.0.1",), "dns": ("berlin.example",)})
    async with listening(server) as listener:
        sentence = await fate(place.node("paris", "ca"), listener.port, host="localhost")
    assert "not valid for the name [localhost] that was dialled; issue it with that DNS name" in sentence


async def test_the_accepting_side_does_not_check_names(place: Place) -> None:
    server = place.node("berlin", "ca")
    client = place.node("paris", "ca", issue={"ips": (), "dns": ("elsewhere.example",)})
    async with listening(server) as listener:
        _, caller = await dial(Caller, "127.0.0.1", listener.port, client)
        assert await asyncio.wait_for(caller.heard, 5) == b"hello"


async def test_an_expired_certificate_is_refused_on_either_side(place: Place) -> None:
    sound = place.node("sound", "ca")
    old = place.node("old", "ca", issue={"now": LONG_AGO, "days": 1})
    async with listening(sound) as listener:
        sentence = await fate(old, listener.port)
        failure = await listener.failure()
    assert "refused this node's certificate because it has expired; renew" in sentence
    assert failure.fault is Fault.EXPIRED
    assert "it has expired" in failure.sentence
    async with listening(old) as listener:
        sentence = await fate(sound, listener.port)
        failure = await listener.failure()
    assert "it has expired; issue it a new one" in sentence
    assert failure.fault is Fault.OWN_EXPIRED


async def test_a_certificate_from_the_future_points_to_the_clocks(place: Place) -> None:
    server = place.node("early", "ca", issue={"now": FAR_AHEAD})
    async with listening(server) as listener:
        assert "check the clocks" in await fate(place.node("paris", "ca"), listener.port)


async def test_verification_mode_none_accepts_anything(place: Place) -> None:
    server = place.node("berlin", "ca-berlin", verification_mode="none")
    client = place.node("paris", "ca-paris", verification_mode="none")
    async with listening(server) as listener:
        _, caller = await dial(Caller, "127.0.0.1", listener.port, client)
        assert await asyncio.wait_for(caller.heard, 5) == b"hello"


async def test_an_http_request_on_a_tls_port_is_answered_and_logged(place: Place) -> None:
    async with listening(place.node("berlin", "ca")) as listener:
        with structlog.testing.capture_logs() as logs:
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert await asyncio.wait_for(reader.read(), 5) == ANSWER
            failure = await listener.failure()
            writer.close()
    assert failure.fault is Fault.PLAINTEXT_HTTP
    assert logs[-1]["event"].startswith("received plaintext traffic on an encrypted channel, closing connection")
    assert logs[-1]["log_level"] == "warning"


async def test_plaintext_http_on_the_https_port_has_elasticsearchs_line(place: Place) -> None:
    contexts = place.node("berlin", "ca", prefix="xpack.security.http.ssl")
    async with listening(contexts) as listener:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await asyncio.wait_for(reader.read(), 5)
        writer.close()
        failure = await listener.failure()
    assert failure.sentence.startswith("received plaintext http traffic on an https channel, closing connection")


async def test_plaintext_frames_on_a_tls_port_are_cut_without_an_answer(place: Place) -> None:
    async with listening(place.node("berlin", "ca")) as listener:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"\x00\x00\x00\x10 frames")
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        failure = await listener.failure()
    assert failure.fault is Fault.PLAINTEXT


async def test_dialling_a_plaintext_port_says_so(place: Place) -> None:
    async with listening(None) as listener:
        with pytest.raises(ConnectTransportError) as raised:
            await dial(Caller, "127.0.0.1", listener.port, place.node("paris", "ca"))
    # an echo is TLS bytes indeed, but no answer to a ClientHello
    assert raised.value.reason.startswith(f"[][127.0.0.1:{listener.port}] connect_exception: ")

    server = await listen(Greeter, "127.0.0.1", 0, None)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(ConnectTransportError, match="does not speak TLS on that port"):
        await dial(Caller, "127.0.0.1", port, place.node("paris", "ca"))
    server.close()


async def test_a_peer_that_never_answers_ends_with_the_time_out(place: Place) -> None:
    server = await listen(asyncio.Protocol, "127.0.0.1", 0, None)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(ConnectTransportError) as raised:
        await dial(Caller, "127.0.0.1", port, place.node("paris", "ca"), timeout_s=0.2)
    assert raised.value.reason == f"[][127.0.0.1:{port}] connect_timeout[200ms]"
    server.close()


async def test_nobody_there_and_no_such_name(place: Place) -> None:
    contexts = place.node("paris", "ca")
    with pytest.raises(ConnectTransportError, match=r"^\[\]\[127.0.0.1:1\] connect_exception: Connection refused"):
        await dial(Caller, "127.0.0.1", 1, contexts)
    with pytest.raises(ConnectTransportError, match="connect_exception: Connection refused"):
        await dial(Caller, "127.0.0.1", 1, None)
    with pytest.raises(ConnectTransportError, match="connect_exception: the name cannot be resolved"):
        await dial(Caller, "no-such-host.invalid", 1, contexts)
    with pytest.raises(ConnectTransportError, match="is not a server name"):
        await dial(Caller, "127.0.0.1", 1, contexts, server_name="." * 300 + "x" * 300)


async def test_no_version_in_common(place: Place) -> None:
    server = place.node("berlin", "ca", supported_protocols=["TLSv1.2"])
    client = place.node("paris", "ca", supported_protocols=["TLSv1.3"])
    async with listening(server) as listener:
        sentence = await fate(client, listener.port)
        failure = await listener.failure()
    assert "no TLS version in common" in sentence
    assert failure.fault is Fault.NO_COMMON_VERSION


async def test_a_client_that_connects_and_goes_is_no_warning(place: Place) -> None:
    contexts = place.node("berlin", "ca")
    async with listening(contexts) as listener:
        with structlog.testing.capture_logs() as logs:
            _, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.close()
            async with asyncio.timeout(5):
                while not logs:
                    await asyncio.sleep(0.001)
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("connection closed during handshake", "debug")]
    assert contexts.refused_handshakes == 0


async def test_plaintext_on_both_sides_just_connects() -> None:
    async with listening(None) as listener:
        transport, caller = await dial(Caller, "127.0.0.1", listener.port, None)
        assert await asyncio.wait_for(caller.heard, 5) == b"hello"
        assert peer_certificate(transport) is None
        transport.close()


async def test_a_reload_reaches_the_next_connection_and_leaves_the_open_one(place: Place) -> None:
    server = place.node("berlin", "ca")
    old_client = place.node("paris", "ca")
    async with listening(server) as listener:
        transport, caller = await dial(Caller, "127.0.0.1", listener.port, old_client)
        assert await asyncio.wait_for(caller.heard, 5) == b"hello"
        (place.folder / "ca.crt").write_bytes(place.authority("new-ca").certificate_pem)
        assert server.reload() is None
        assert "does not trust" in await fate(old_client, listener.port)
        assert not transport.is_closing()
        transport.abort()
