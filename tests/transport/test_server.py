"""The accepting side, spoken to with raw bytes."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from structlog.testing import capture_logs

from hanse import clock
from hanse.tls.contexts import TlsContexts
from hanse.transport import server as server_module
from hanse.transport.actions import Lane, Origin
from hanse.transport.connection import connect
from hanse.transport.frames import (
    CALLING,
    DIALLING_HELLO,
    HEADER,
    Cancel,
    Error,
    Event,
    FrameReader,
    HelloAck,
    Ping,
    Pong,
    Request,
    Response,
    encode_frame,
)
from hanse.transport.hello import PREFACE, DiallingHello
from hanse.transport.identities import encode_identity
from hanse.transport.identity import Identity

from .conftest import StartServer, hello

ALICE = encode_identity(Identity("alice"))


async def echo(action: str, payload: bytes, identity: Identity, origin: Origin) -> bytes:
    return payload


class Wire:
    """A plain connection after its hello, to say whatever a peer might say."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._frames = FrameReader(CALLING)
        self._events: list[Event] = []

    @classmethod
    async def open(cls, port: int) -> Wire:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(DiallingHello(hello("caller"), Lane.INTERACTIVE).start().data)
        before_ms = clock.now_ms()
        size = len(PREFACE + encode_frame(HelloAck(msgspec.structs.replace(hello(), clock_ms=before_ms))))
        (answer,) = FrameReader(DIALLING_HELLO).feed((await reader.readexactly(size)).removeprefix(PREFACE))
        assert isinstance(answer, HelloAck)
        assert before_ms <= answer.node.clock_ms <= clock.now_ms()
        assert msgspec.structs.replace(answer.node, clock_ms=0) == hello()
        return cls(reader, writer)

    def say(self, *frames: Request | Ping | Cancel) -> None:
        self._writer.write(b"".join(encode_frame(frame) for frame in frames))

    def say_bytes(self, data: bytes) -> None:
        self._writer.write(data)

    async def hear(self) -> Event:
        while not self._events:
            data = await self._reader.read(65536)
            assert data, "the server closed the connection"
            self._events = self._frames.feed(data)
        return self._events.pop(0)

    async def is_closed(self) -> bool:
        try:
            return await asyncio.wait_for(self._reader.read(1), 5) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self._writer.close()


async def test_an_http_request_on_a_plain_port_is_told_so(start_server: StartServer) -> None:
    _, port = await start_server(echo, tls=None)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with capture_logs() as logs:
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain")
    assert answer.endswith(b"\r\n\r\nThis is not an HTTP port")
    assert [entry["event"] for entry in logs] == ["an HTTP request came to the transport port"]
    writer.close()


async def test_an_http_request_on_a_tls_port_is_told_so(start_server: StartServer) -> None:
    _, port = await start_server(echo)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert (await reader.read()).endswith(b"This is not an HTTP port")
    writer.close()


async def test_tls_on_a_plain_port_is_logged(start_server: StartServer) -> None:
    _, port = await start_server(echo, tls=None)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with capture_logs() as logs:
        writer.write(bytes.fromhex("1603010200010001fc0303"))
        assert await reader.read() == b""
    assert logs[0]["event"] == "SSL/TLS request received but SSL/TLS is not enabled on this node, got (22,3,1)"
    writer.close()


async def test_requests_pings_and_answers(start_server: StartServer) -> None:
    _, port = await start_server(echo, tls=None)
    wire = await Wire.open(port)
    wire.say(Ping(7), Request(1, "a", ALICE, b"x"), Request(2, "b", ALICE, b"y"))
    assert [await wire.hear() for _ in range(3)] == [Pong(7), Response(1, b"x"), Response(2, b"y")]
    wire.close()


async def test_a_handler_is_a_task_named_after_its_action(start_server: StartServer) -> None:
    async def name(action: str, payload: bytes, identity: Identity, origin: Origin) -> bytes:
        task = asyncio.current_task()
        return task.get_name().encode() if task else b""

    _, port = await start_server(name, tls=None)
    wire = await Wire.open(port)
    wire.say(Request(1, "indices:data/read/get", ALICE, b""))
    assert await wire.hear() == Response(1, b"indices:data/read/get")
    wire.close()


async def test_a_handler_cancelled_by_this_node_is_answered(start_server: StartServer) -> None:
    async def cancelled(action: str, payload: bytes, identity: Identity, origin: Origin) -> bytes:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)
        return b""

    _, port = await start_server(cancelled, tls=None)
    wire = await Wire.open(port)
    wire.say(Request(1, "a", ALICE, b""))
    answer = await wire.hear()
    assert isinstance(answer, Error)
    assert (answer.error.type, answer.error.reason) == ("task_cancelled_exception", "task cancelled")
    wire.close()


async def test_an_identity_that_cannot_be_read_is_refused_and_nothing_runs(start_server: StartServer) -> None:
    _, port = await start_server(echo, tls=None)
    wire = await Wire.open(port)
    wire.say(Request(1, "a", b"\xc1", b""))
    answer = await wire.hear()
    assert isinstance(answer, Error)
    assert answer.error.type == "illegal_argument_exception"
    wire.close()


async def test_a_cancel_before_the_handler_began_is_honoured(start_server: StartServer) -> None:
    began = False

    async def begin(action: str, payload: bytes, identity: Identity, origin: Origin) -> bytes:
        nonlocal began
        began = True
        return b""

    _, port = await start_server(begin, tls=None)
    wire = await Wire.open(port)
    wire.say(Request(1, "a", ALICE, b""), Cancel(1), Ping(1))
    assert await wire.hear() == Pong(1)
    assert not began
    wire.close()


async def test_the_loss_of_a_connection_cancels_its_handlers(start_server: StartServer) -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def hang(action: str, payload: bytes, identity: Identity, origin: Origin) -> bytes:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return b""

    server, port = await start_server(hang, tls=None)
    wire = await Wire.open(port)
    wire.say(Request(1, "a", ALICE, b""))
    await started.wait()
    wire.close()
    await asyncio.wait_for(cancelled.wait(), 5)
    assert server.connection_count == 0


async def test_garbage_after_the_hello_ends_the_connection_only(start_server: StartServer) -> None:
    _, port = await start_server(echo, tls=None)
    rude, polite = await Wire.open(port), await Wire.open(port)
    rude.say_bytes(HEADER.pack(2**31, Request.KIND))
    assert await rude.is_closed()
    polite.say(Request(1, "a", ALICE, b"x"))
    assert await polite.hear() == Response(1, b"x")
    rude.close()
    polite.close()


async def test_two_requests_with_one_id_end_the_connection(start_server: StartServer) -> None:
    async def hang(action: str, payload: bytes, identity: Identity, origin: Origin) -> bytes:
        await asyncio.Event().wait()
        return b""

    _, port = await start_server(hang, tls=None)
    wire = await Wire.open(port)
    wire.say(Request(1, "a", ALICE, b""), Request(1, "a", ALICE, b""))
    assert await wire.is_closed()
    wire.close()


async def test_closing_the_server_closes_its_connections(start_server: StartServer, contexts: TlsContexts) -> None:
    server, port = await start_server(echo)
    connections = [await connect("127.0.0.1", port, hello("caller"), contexts) for _ in range(3)]
    assert server.connection_count == 3
    await server.close()
    assert server.connection_count == 0
    for connection in connections:
        assert await asyncio.wait_for(asyncio.shield(connection.closed), 5) == "the other side closed the connection"


async def test_closing_the_server_waits_for_its_handlers(start_server: StartServer) -> None:
    started, cleaned_up = asyncio.Event(), False

    async def tidy(action: str, payload: bytes, identity: Identity, origin: Origin) -> bytes:
        nonlocal cleaned_up
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            cleaned_up = True
        return b""

    server, port = await start_server(tidy, tls=None)
    wire = await Wire.open(port)
    wire.say(Request(1, "a", ALICE, b""))
    await started.wait()
    await server.close()
    assert cleaned_up
    wire.close()


async def test_one_request_too_many_is_refused(start_server: StartServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "REQUESTS_RUNNING_MAX", 2)

    async def hang(action: str, payload: bytes, identity: Identity, origin: Origin) -> bytes:
        await asyncio.Event().wait()
        return b""

    _, port = await start_server(hang, tls=None)
    wire = await Wire.open(port)
    wire.say(*(Request(id, "a", ALICE, b"") for id in (1, 2, 3)))
    refused = await wire.hear()
    assert isinstance(refused, Error)
    assert (refused.id, refused.error.type, refused.error.status) == (3, "es_rejected_execution_exception", 429)
    wire.close()


async def test_a_connection_without_a_hello_is_closed(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "HELLO_TIMEOUT_S", 0.02)
    _, port = await start_server(echo, tls=None)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(PREFACE)
    assert await Wire(reader, writer).is_closed()
    writer.close()


async def test_a_caller_that_was_not_heard_for_long_is_gone(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "SILENCE_S", 0.02)
    server, port = await start_server(echo, tls=None)
    wire = await Wire.open(port)
    assert await wire.is_closed()
    assert server.connection_count == 0
    wire.close()


async def test_a_caller_that_takes_no_answers_is_not_read_from(start_server: StartServer) -> None:
    """Requests are held back in the network, not in this process's memory."""
    answer = bytes(200_000)
    served = 0

    async def large(action: str, payload: bytes, identity: Identity, origin: Origin) -> bytes:
        nonlocal served
        served += 1
        return answer

    _, port = await start_server(large, tls=None)
    wire = await Wire.open(port)
    sent, idle_rounds = 0, 0
    while idle_rounds < 200 and sent < 3_000:
        before = served
        wire.say(Request(sent + 1, "a", ALICE, bytes(10_000)))
        sent += 1
        await asyncio.sleep(0)
        idle_rounds = idle_rounds + 1 if served == before else 0
    assert idle_rounds == 200
    assert served * len(answer) < 50_000_000
    for _ in range(served):
        assert isinstance(await wire.hear(), Response)
    wire.close()
