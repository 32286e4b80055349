"""Calls over real sockets and real TLS."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme

from hanse.errors import (
    ConnectTransportError,
    ContentTooLongError,
    HanseError,
    IndexNotFoundError,
    NodeDisconnectedError,
    NodeNotConnectedError,
    ReceiveTimeoutError,
)
from hanse.tls.contexts import TlsContexts
from hanse.transport import connection as connection_module
from hanse.transport.actions import Action, Origin, Scope
from hanse.transport.connection import connect
from hanse.transport.frames import CHUNK_BYTES, MESSAGE_BYTES_MAX, HelloAck, encode_frame
from hanse.transport.hello import PREFACE
from hanse.transport.identity import Identity

from .conftest import StartServer, hello, write_contexts

ALICE = Identity("alice", ("reader",))


class Text(msgspec.Struct):
    text: str


class Blob(msgspec.Struct):
    data: bytes


ECHO = Action("indices:data/read/echo", Text, Text, Scope.CLUSTER)
BLOB = Action("indices:data/read/blob", Blob, Blob, Scope.CLUSTER)


async def echo(action: str, payload: bytes, identity: Identity, origin: Origin) -> bytes:
    return payload


async def test_a_call_comes_back_with_its_answer(start_server: StartServer, contexts: TlsContexts) -> None:
    seen: list[tuple[str, Identity, Origin]] = []

    async def note(action: str, payload: bytes, identity: Identity, origin: Origin) -> bytes:
        seen.append((action, identity, origin))
        return payload

    _, port = await start_server(note)
    connection = await connect("127.0.0.1", port, hello("caller"), contexts)
    assert await connection.call(ECHO, Text("moin"), ALICE, opaque_id="x-1") == Text("moin")
    ((action, identity, origin),) = seen
    assert (action, identity) == ("indices:data/read/echo", ALICE)
    assert (origin.kind, origin.opaque_id) == ("transport", "x-1")
    assert "127.0.0.1" in origin.peer.ip_addresses
    assert msgspec.structs.replace(connection.peer, clock_ms=0) == hello()
    assert connection.clock_skew_s is not None
    assert connection.peer_certificate is not None
    assert connection.is_open
    assert repr(connection) == f"<Connection [node-1][127.0.0.1:{port}] interactive, 0 running>"
    await connection.close()
    assert not connection.is_open
    assert connection.closed.done()


async def test_it_works_without_tls(start_server: StartServer) -> None:
    _, port = await start_server(echo, tls=None)
    connection = await connect("127.0.0.1", port, hello("caller"), None)
    assert await connection.call(ECHO, Text("moin"), ALICE) == Text("moin")
    assert connection.peer_certificate is None
    await connection.close()


async def test_answers_come_back_in_any_order(start_server: StartServer, contexts: TlsContexts) -> None:
    gates = {text: asyncio.Event() for text in ("first", "second")}

    async def wait(action: str, payload: bytes, identity: Identity, origin: Origin) -> bytes:
        await gates[msgspec.msgpack.decode(payload, type=Text).text].wait()
        return payload

    _, port = await start_server(wait)
    connection = await connect("127.0.0.1", port, hello("caller"), contexts)
    calls = {text: asyncio.ensure_future(connection.call(ECHO, Text(text), ALICE)) for text in gates}
    gates["second"].set()
    assert await calls["second"] == Text("second")
    assert not calls["first"].done()
    gates["first"].set()
    assert await calls["first"] == Text("first")
    await connection.close()


async def test_the_peers_error_is_raised_as_it_was_raised_there(
    start_server: StartServer, contexts: TlsContexts
) -> None:
    async def fail(action: str, payload: bytes, identity: Identity, origin: Origin) -> bytes:
        raise IndexNotFoundError.of("logs")

    _, port = await start_server(fail)
    connection = await connect("127.0.0.1", port, hello("caller"), contexts)
    with pytest.raises(IndexNotFoundError, match=r"no such index \[logs\]") as raised:
        await connection.call(ECHO, Text(""), ALICE)
    assert raised.value.metadata["index"] == "logs"
    assert connection.is_open
    await connection.close()


async def test_a_bug_in_a_handler_crosses_without_its_details(start_server: StartServer, contexts: TlsContexts) -> None:
    async def fail(action: str, payload: bytes, identity: Identity, origin: Origin) -> bytes:
        raise ValueError("secret of somebody else")

    _, port = await start_server(fail)
    connection = await connect("127.0.0.1", port, hello("caller"), contexts)
    with pytest.raises(HanseError, match=r"failed there with an unexpected \[ValueError\]") as raised:
        await connection.call(ECHO, Text(""), ALICE)
    assert "secret" not in raised.value.reason
    await connection.close()


async def test_cancelling_a_call_cancels_the_handler(start_server: StartServer, contexts: TlsContexts) -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def hang(action: str, payload: bytes, identity: Identity, origin: Origin) -> bytes:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return b""

    _, port = await start_server(hang)
    connection = await connect("127.0.0.1", port, hello("caller"), contexts)
    async with asyncio.TaskGroup() as group:
        call = group.create_task(connection.call(ECHO, Text(""), ALICE))
        await started.wait()
        call.cancel()
    await asyncio.wait_for(cancelled.wait(), 5)
    assert connection.is_open
    assert connection.calls_running == 0
    await connection.close()


async def test_a_call_that_takes_too_long_ends_and_is_cancelled_there(
    start_server: StartServer, contexts: TlsContexts
) -> None:
    cancelled = asyncio.Event()

    async def hang(action: str, payload: bytes, identity: Identity, origin: Origin) -> bytes:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return b""

    _, port = await start_server(hang)
    connection = await connect("127.0.0.1", port, hello("caller"), contexts)
    with pytest.raises(ReceiveTimeoutError, match=r"read/echo\] request_id \[1\] timed out after \[50ms\]"):
        await connection.call(ECHO, Text(""), ALICE, timeout_s=0.05)
    await asyncio.wait_for(cancelled.wait(), 5)
    await connection.close()


async def test_a_server_that_goes_fails_every_running_call(start_server: StartServer, contexts: TlsContexts) -> None:
    started = asyncio.Semaphore(0)

    async def hang(action: str, payload: bytes, identity: Identity, origin: Origin) -> bytes:
        started.release()
        await asyncio.Event().wait()
        return b""

    server, port = await start_server(hang)
    connection = await connect("127.0.0.1", port, hello("caller"), contexts)
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(expect_disconnect(connection.call(ECHO, Text(""), ALICE))) for _ in range(3)]
        for _ in calls:
            await started.acquire()
        await server.close()
    sentences = {call.result() for call in calls}
    assert sentences == {
        f"[node-1][127.0.0.1:{port}][indices:data/read/echo] disconnected: the other side closed the connection"
    }
    assert await connection.closed == "the other side closed the connection"
    with pytest.raises(NodeNotConnectedError, match="Node not connected"):
        await connection.call(ECHO, Text(""), ALICE)


async def test_a_server_that_is_killed_fails_the_running_call(start_server: StartServer, contexts: TlsContexts) -> None:
    started = asyncio.Event()

    async def hang(action: str, payload: bytes, identity: Identity, origin: Origin) -> bytes:
        started.set()
        await asyncio.Event().wait()
        return b""

    server, port = await start_server(hang)
    connection = await connect("127.0.0.1", port, hello("caller"), contexts)
    async with asyncio.TaskGroup() as group:
        call = group.create_task(expect_disconnect(connection.call(ECHO, Text(""), ALICE)))
        await started.wait()
        for served in server.connections:
            served.cut("killed")
    assert re.search(r"echo\] disconnected: the (other side closed|connection was reset)", call.result())


async def expect_disconnect(call: object) -> str:
    with pytest.raises(ConnectTransportError) as raised:
        await call  # type: ignore[misc]
    return raised.value.reason


@pytest.mark.parametrize("size", [CHUNK_BYTES - 20, CHUNK_BYTES, CHUNK_BYTES + 1, 10 * CHUNK_BYTES + 7])
async def test_large_payloads_travel_in_chunks_both_ways(
    start_server: StartServer, contexts: TlsContexts, size: int
) -> None:
    _, port = await start_server(echo)
    connection = await connect("127.0.0.1", port, hello("caller"), contexts)
    data = bytes(range(256)) * (size // 256 + 1)
    assert (await connection.call(BLOB, Blob(data[:size]), ALICE)).data == data[:size]
    await connection.close()


async def test_a_small_call_overtakes_a_huge_answer(start_server: StartServer, contexts: TlsContexts) -> None:
    huge = msgspec.msgpack.encode(Blob(bytes(60 * CHUNK_BYTES)))

    async def answer(action: str, payload: bytes, identity: Identity, origin: Origin) -> bytes:
        return huge if action == BLOB.name else payload

    _, port = await start_server(answer)
    connection = await connect("127.0.0.1", port, hello("caller"), contexts)
    order: list[str] = []

    async def call_huge() -> None:
        await connection.call(BLOB, Blob(b""), ALICE)
        order.append("huge")

    async def call_small() -> None:
        await connection.call(ECHO, Text("x"), ALICE)
        order.append("small")

    await asyncio.gather(call_huge(), call_small())
    assert order == ["small", "huge"]
    await connection.close()


async def test_cancelling_while_a_huge_answer_arrives_leaves_the_connection_usable(
    start_server: StartServer, contexts: TlsContexts
) -> None:
    huge = msgspec.msgpack.encode(Blob(bytes(200 * CHUNK_BYTES)))
    first_chunks = asyncio.Event()

    async def answer(action: str, payload: bytes, identity: Identity, origin: Origin) -> bytes:
        first_chunks.set()
        return huge if action == BLOB.name else payload

    _, port = await start_server(answer)
    connection = await connect("127.0.0.1", port, hello("caller"), contexts)
    with pytest.raises(ReceiveTimeoutError):
        await connection.call(BLOB, Blob(b""), ALICE, timeout_s=0.01)
    await first_chunks.wait()
    for _ in range(3):
        assert await connection.call(ECHO, Text("still here"), ALICE) == Text("still here")
    await connection.close()


async def test_messages_beyond_the_limit_are_refused_before_they_are_sent(
    start_server: StartServer, contexts: TlsContexts
) -> None:
    async def answer(action: str, payload: bytes, identity: Identity, origin: Origin) -> bytes:
        return bytes(MESSAGE_BYTES_MAX + 1)

    _, port = await start_server(answer)
    connection = await connect("127.0.0.1", port, hello("caller"), contexts)
    with pytest.raises(ContentTooLongError, match="the request of"):
        await connection.call(BLOB, Blob(bytes(MESSAGE_BYTES_MAX)), ALICE)
    with pytest.raises(ContentTooLongError, match="the answer to"):
        await connection.call(BLOB, Blob(b""), ALICE)
    await connection.close()


async def test_an_answer_this_version_cannot_read_is_an_error_that_names_the_peer(
    start_server: StartServer, contexts: TlsContexts
) -> None:
    async def answer(action: str, payload: bytes, identity: Identity, origin: Origin) -> bytes:
        return msgspec.msgpack.encode({"text": 5})

    _, port = await start_server(answer)
    connection = await connect("127.0.0.1", port, hello("caller"), contexts)
    with pytest.raises(HanseError, match=r"the answer of \[node-1\] to .* it runs version \[9.1.0\]"):
        await connection.call(ECHO, Text(""), ALICE)
    await connection.close()


async def test_the_round_trip_is_measured(start_server: StartServer, contexts: TlsContexts) -> None:
    _, port = await start_server(echo)
    connection = await connect("127.0.0.1", port, hello("caller"), contexts)
    await connection.call(ECHO, Text(""), ALICE)
    assert connection.round_trip_s is not None
    assert 0 < connection.round_trip_s < 5
    await connection.close()


async def test_a_peer_that_falls_silent_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut sends no FIN: only unanswered pings tell."""
    monkeypatch.setattr(connection_module, "PING_INTERVAL_S", 0.01)

    class GreetsOnly(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transport.write(PREFACE + encode_frame(HelloAck(hello())))  # type: ignore[attr-defined]

    server = await asyncio.get_running_loop().create_server(GreetsOnly, "127.0.0.1", 0)
    connection = await connect("127.0.0.1", server.sockets[0].getsockname()[1], hello("caller"), None)
    with pytest.raises(NodeDisconnectedError, match="the node did not answer for"):
        await connection.call(ECHO, Text(""), ALICE)
    server.close()


async def test_a_caller_waits_while_the_peer_reads_nothing() -> None:
    """What does not fit into the socket stays with its callers, not in a buffer without end."""

    class ReadsNothing(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transport.write(PREFACE + encode_frame(HelloAck(hello())))  # type: ignore[attr-defined]
            transport.pause_reading()  # type: ignore[attr-defined]
            accepted.append(transport)

    accepted: list[Any] = []
    server = await asyncio.get_running_loop().create_server(ReadsNothing, "127.0.0.1", 0)
    connection = await connect("127.0.0.1", server.sockets[0].getsockname()[1], hello("caller"), None)
    async with asyncio.TaskGroup() as group:
        calls = [
            group.create_task(expect_disconnect(connection.call(BLOB, Blob(bytes(200_000)), ALICE))) for _ in range(200)
        ]
        while connection.calls_running == 0:
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
        assert connection.calls_running < 100
        accepted[0].abort()
    assert len({call.result() for call in calls}) <= 2
    server.close()


# What can go wrong while dialling.


async def test_nobody_listens() -> None:
    with pytest.raises(ConnectTransportError, match=r"\[\]\[127.0.0.1:1\] connect_exception: Connection refused"):
        await connect("127.0.0.1", 1, hello("caller"), None)


async def test_a_node_whose_authority_is_unknown_there_is_not_connected(
    start_server: StartServer, tmp_path: Path, authority: trustme.CA
) -> None:
    server, port = await start_server(echo)
    stranger = trustme.CA(key_type=trustme.KeyType.ECDSA)
    contexts = write_contexts(tmp_path / "stranger", stranger, authority)
    with pytest.raises(ConnectTransportError, match="does not trust the authority that signed this node's certificate"):
        await connect("127.0.0.1", port, hello("stranger"), contexts)
    assert server.connection_count == 0
    assert server._contexts is not None
    assert server._contexts.refused_handshakes >= 1


async def test_a_server_with_a_name_of_its_own_is_not_believed(
    start_server: StartServer, tmp_path: Path, authority: trustme.CA, contexts: TlsContexts
) -> None:
    elsewhere = write_contexts(tmp_path / "elsewhere", authority, authority, "elsewhere.example")
    _, port = await start_server(echo, tls=elsewhere)
    with pytest.raises(ConnectTransportError, match=r"not valid for the name \[127.0.0.1\]"):
        await connect("127.0.0.1", port, hello("caller"), contexts)
    connection = await connect("127.0.0.1", port, hello("caller"), contexts, server_name="elsewhere.example")
    assert connection.is_open
    await connection.close()


async def test_dialling_without_tls_a_port_that_wants_it(start_server: StartServer) -> None:
    _, port = await start_server(echo)
    with pytest.raises(ConnectTransportError, match="it may require TLS, which is off here"):
        await connect("127.0.0.1", port, hello("caller"), None, timeout_s=5)


async def test_dialling_with_tls_a_port_that_has_none(start_server: StartServer, contexts: TlsContexts) -> None:
    _, port = await start_server(echo, tls=None)
    with pytest.raises(ConnectTransportError, match="may not speak TLS on that port"):
        await connect("127.0.0.1", port, hello("caller"), contexts, timeout_s=5)


async def test_a_listener_that_says_nothing_is_given_up_in_time() -> None:
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(ConnectTransportError, match=r"connect_timeout\[0.1s\]: hello not answered"):
        await connect("127.0.0.1", port, hello("caller"), None, timeout_s=0.1)
    server.close()


async def test_an_http_server_is_recognised() -> None:
    async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(http, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(ConnectTransportError, match="an HTTP server answered; name the transport port"):
        await connect("127.0.0.1", port, hello("caller"), None, timeout_s=5)
    server.close()
