"""The parts of a refusal that two well-behaved nodes never show: silence, floods, resets, other interpreters."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from asyncio import sslproto

import pytest

from hanse.tls import handshake
from hanse.tls.contexts import TlsContexts
from hanse.tls.faults import Fault, HandshakeTimeoutError, fault_of
from hanse.tls.handshake import LINGER_BYTES_MAX, TlsProtocol

from .conftest import Place


class Accepting:
    """A listener of one TLS protocol with its own time-out; keeps what the handshake failed with."""

    def __init__(self, contexts: TlsContexts, timeout_s: float = 5) -> None:
        self._contexts, self._timeout_s = contexts, timeout_s
        self.failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        self.app = asyncio.Protocol()

    def __call__(self) -> TlsProtocol:
        return TlsProtocol(
            asyncio.get_running_loop(),
            self.app,
            self._contexts.server(),
            server_side=True,
            on_failure=lambda error, _: self.failed.set_result(error),
            timeout_s=self._timeout_s,
        )

    async def start(self) -> tuple[asyncio.Server, int]:
        server = await asyncio.get_running_loop().create_server(self, "127.0.0.1", 0)
        return server, server.sockets[0].getsockname()[1]


async def test_a_peer_that_says_nothing_is_cut_after_the_time_out(place: Place) -> None:
    accepting = Accepting(place.node("berlin", "ca"), timeout_s=0.1)
    server, port = await accepting.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert isinstance(await asyncio.wait_for(accepting.failed, 5), HandshakeTimeoutError)
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    server.close()


async def test_a_refused_peer_that_goes_on_sending_still_reads_the_reason(place: Place) -> None:
    accepting = Accepting(place.node("berlin", "ca"))
    server, port = await accepting.start()
    bare = ssl.create_default_context(cadata=place.authority("ca").certificate_pem.decode())

    def talk() -> str:
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            bare.wrap_socket(plain, server_hostname="localhost") as tls,
        ):
            try:
                tls.sendall(b"x" * 100_000)
                tls.recv(1)
            except ssl.SSLError as error:
                return str(error.reason)
            return "no reason"

    assert await asyncio.to_thread(talk) == "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    assert fault_of(await accepting.failed) is Fault.NO_CERTIFICATE
    server.close()


async def test_a_flood_after_the_refusal_is_cut_off(place: Place) -> None:
    accepting = Accepting(place.node("berlin", "ca"))
    server, port = await accepting.start()

    def flood() -> int:
        sent = 0
        with socket.create_connection(("127.0.0.1", port)) as plain:
            try:
                while sent < 100 * LINGER_BYTES_MAX:
                    sent += plain.send(b"y" * 65536)
            except OSError:
                return sent
        return sent

    assert await asyncio.to_thread(flood) < 100 * LINGER_BYTES_MAX
    server.close()


async def test_a_reset_in_the_handshake_is_reported_once(place: Place) -> None:
    accepting = Accepting(place.node("berlin", "ca"))
    server, port = await accepting.start()
    plain = socket.create_connection(("127.0.0.1", port))
    plain.send(b"\x16\x03\x01")
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    plain.close()
    assert fault_of(await asyncio.wait_for(accepting.failed, 5)) is Fault.CLOSED
    server.close()


async def test_a_half_record_and_garbage_is_refused(place: Place) -> None:
    accepting = Accepting(place.node("berlin", "ca"))
    server, port = await accepting.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"\x16\x03\x01\x00\x05hello")
    assert (await asyncio.wait_for(reader.read(), 5))[:1] == b"\x15"  # the alert
    assert isinstance(await accepting.failed, ssl.SSLError)
    writer.close()
    server.close()


def test_an_interpreter_without_the_private_parts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(sslproto.SSLProtocol, "_on_handshake_complete")
    with pytest.raises(ImportError, match=r"lacks .'_on_handshake_complete'.: hanse\.tls\.handshake must be adapted"):
        handshake._require_interpreter()


class Heard(asyncio.Protocol):
    """Keeps what came, and whether the other side said that no more comes."""

    def __init__(self) -> None:
        self.data = b""
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> None:
        self.ended.set_result(None)


@pytest.mark.parametrize("piece", [1, 7, 1000, 16_384, 100_000])
async def test_records_may_come_in_any_pieces(place: Place, piece: int) -> None:
    accepting = Accepting(place.node("berlin", "ca"))
    accepting.app = heard = Heard()
    server, port = await accepting.start()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = place.node("paris", "ca").client().wrap_bio(incoming, outgoing, server_hostname="localhost")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while True:
        try:
            client.do_handshake()
            break
        except ssl.SSLWantReadError:
            writer.write(outgoing.read())
            incoming.write(await reader.read(65_536))
    sent = b"a" + b"b" * 70_000 + b"c"
    for part in (sent[:1], sent[1:40_000], sent[40_000:]):
        client.write(part)
    with pytest.raises(ssl.SSLWantReadError):
        client.unwrap()
    records = outgoing.read()
    for at in range(0, len(records), piece):
        writer.write(records[at : at + piece])
        if at % 100 == 0:
            await writer.drain()
    await asyncio.wait_for(heard.ended, 30)
    assert heard.data == sent
    writer.close()
    server.close()
