"""Transcripts: what arrives, what is said, how it ends."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from hanse.errors import SecurityError
from hanse.transport.actions import Lane
from hanse.transport.frames import HEADER, Hello, HelloAck, HelloFrame, Ping, encode_frame
from hanse.transport.hello import (
    HTTP_ANSWER,
    MAGIC,
    PREFACE,
    AcceptingHello,
    Close,
    Command,
    DiallingHello,
    Established,
    Send,
    refusal,
)

LUEBECK = Hello("luebeck", "u1", "i1", "node-l", "e1", "9.1.0", "10.0.0.1:9300", ("master", "data"))
BERGEN = Hello("bergen", "u2", "i2", "node-b", "e2", "9.1.0", "10.0.0.2:9300", ("data",))


NOW_MS = 1_790_000_000_000


def at(hello: Hello, clock_ms: int) -> Hello:
    return msgspec.structs.replace(hello, clock_ms=clock_ms)


def accept(*pieces: bytes) -> list[Command]:
    hello = AcceptingHello(LUEBECK)
    return [command for piece in pieces for command in hello.receive(piece)]


def dial(*pieces: bytes) -> list[Command]:
    hello = DiallingHello(BERGEN)
    return [command for piece in pieces for command in hello.receive(piece)]


def sentence(commands: list[Command]) -> str:
    (close,) = (command for command in commands if isinstance(command, Close))
    return close.sentence


def test_two_nodes_greet_each_other() -> None:
    dialling = DiallingHello(BERGEN, Lane.BULK, now_ms=lambda: NOW_MS)
    accepting = AcceptingHello(LUEBECK, now_ms=lambda: NOW_MS)
    start = dialling.start()
    answer, established = accepting.receive(start.data)
    assert established == Established(at(BERGEN, NOW_MS), Lane.BULK)
    assert answer == Send(PREFACE + encode_frame(HelloAck(at(LUEBECK, NOW_MS))))
    assert dialling.receive(answer.data) == [Established(at(LUEBECK, NOW_MS), Lane.BULK)]


def clock(*readings_ms: int) -> Callable[[], int]:
    return iter(readings_ms).__next__


def test_clocks_are_compared_at_the_middle_of_the_way() -> None:
    dialling = DiallingHello(BERGEN, now_ms=clock(1_000_000, 1_000_400))
    answer, established = AcceptingHello(LUEBECK, now_ms=clock(1_005_200)).receive(dialling.start().data)
    assert isinstance(established, Established)
    assert established.peer.clock_ms == 1_000_000
    assert isinstance(answer, Send)
    dialling.receive(answer.data)
    assert dialling.clock_skew_s == 5.0


def test_a_node_that_does_not_tell_its_time_is_understood() -> None:
    class OlderHello(msgspec.Struct):
        cluster_name: str = "luebeck"
        cluster_uuid: str = "u1"
        node_id: str = "i1"
        node_name: str = "node-l"
        ephemeral_id: str = "e1"
        version: str = "9.0.0"
        address: str = ""

    payload = msgspec.msgpack.encode([OlderHello()])
    frame = HEADER.pack(len(payload), HelloAck.KIND) + payload
    dialling = DiallingHello(BERGEN)
    dialling.start()
    (established,) = dialling.receive(PREFACE + frame)
    assert isinstance(established, Established)
    assert dialling.clock_skew_s is None


def test_a_dialling_node_says_why_it_refuses_and_no_more_than_a_line_of_it_counts() -> None:
    told = sentence(accept(refusal(SecurityError("your names match nothing\n[ERROR] forged"))))
    assert told.startswith("the node that dialled refuses this one: your names match nothing")
    assert "\n" not in told


def test_the_same_byte_by_byte() -> None:
    dialling = DiallingHello(BERGEN, now_ms=lambda: NOW_MS)
    accepting = AcceptingHello(LUEBECK, now_ms=lambda: NOW_MS)
    said = [command for byte in dialling.start().data for command in accepting.receive(bytes([byte]))]
    assert said[1] == Established(at(BERGEN, NOW_MS), Lane.INTERACTIVE)
    heard = [command for byte in said[0].data for command in dialling.receive(bytes([byte]))]
    assert heard == [Established(at(LUEBECK, NOW_MS), Lane.INTERACTIVE)]


@pytest.mark.parametrize("request_line", [b"GET / HTTP/1.1\r\n", b"POST /_search HTTP/1.1\r\n", b"HEAD / HTTP/1.0\r\n"])
def test_an_http_request_is_told_that_this_is_no_http_port(request_line: bytes) -> None:
    assert accept(request_line) == [Send(HTTP_ANSWER), Close("an HTTP request came to the transport port")]
    assert HTTP_ANSWER.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert HTTP_ANSWER.endswith(b"\r\n\r\nThis is not an HTTP port")


def test_tls_bytes_on_a_plain_port_are_recognised() -> None:
    assert sentence(accept(b"\x16\x03\x01\x02\x00\x01\x00\x01")) == (
        "SSL/TLS request received but SSL/TLS is not enabled on this node, got (22,3,1)"
    )


def test_an_elasticsearch_node_is_recognised_on_both_sides() -> None:
    assert "an Elasticsearch node tried to connect" in sentence(accept(b"ES\x00\x00\x00\x2f\x00\x00"))
    assert "an Elasticsearch node answered" in sentence(dial(b"ES\x00\x00\x00\x2f\x00\x00"))


def test_other_bytes_are_shown_in_hex() -> None:
    assert sentence(accept(b"\x00\x01\x02\x03\x04\x05\x06\x07")) == (
        "invalid internal transport message format, got (00,01,02,03)"
    )


def test_fewer_bytes_than_a_preface_are_not_judged() -> None:
    assert accept(b"GET ") == []


def test_another_protocol_version_is_named_on_both_sides() -> None:
    theirs = MAGIC + b"\x00\x07"
    told, closed = accept(theirs + b"...")
    assert told == Send(PREFACE)
    assert isinstance(closed, Close)
    assert "the peer speaks version [7] of the transport protocol, this node version [1]" in closed.sentence
    assert "the peer speaks version [7]" in sentence(dial(theirs))


def test_a_request_before_the_hello_closes_the_connection() -> None:
    assert "a frame of kind [9] is not expected here" in sentence(accept(PREFACE + encode_frame(Ping(1))))


def test_nothing_may_follow_the_hello_before_it_was_answered() -> None:
    early = PREFACE + encode_frame(HelloFrame(BERGEN, "interactive")) + encode_frame(Ping(1))[:3]
    assert "bytes follow it before it was answered" in sentence(accept(early))


def test_a_refused_hello_carries_its_reason() -> None:
    said = refusal(SecurityError("peer [CN=x] is not trusted here"))
    assert sentence(dial(said)) == "the node there refused the hello: peer [CN=x] is not trusted here"


def test_dialling_the_http_port_is_explained_when_the_connection_ends() -> None:
    hello = DiallingHello(BERGEN)
    assert hello.receive(b"HTTP/1.1 400 Bad Request\r\n") == []
    assert "name the transport port" in hello.lost().sentence


def test_dialling_a_tls_port_without_tls_is_explained() -> None:
    assert "the port there requires TLS while TLS is off here" in sentence(dial(HTTP_ANSWER))
    assert "requires TLS" in sentence(dial(b"\x15\x03\x03\x00\x02\x02\x28\x00"))


def test_silence_is_explained() -> None:
    assert DiallingHello(BERGEN).lost().sentence == (
        "it closed the connection without answering the hello; its log says why"
    )


def test_silence_without_tls_names_the_likely_reason() -> None:
    assert "it may require TLS, which is off here" in DiallingHello(BERGEN, is_encrypted=False).lost().sentence
