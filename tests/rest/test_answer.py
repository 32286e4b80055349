from __future__ import annotations

import asyncio
from email.utils import parsedate_to_datetime

import pytest
from tests.rest.conftest import Ask, Serve

from hanse.rest.request import RestRequest, RestResponse
from hanse.rest.routes import Routes

LARGE = 50_000_000


def routes() -> Routes:
    async def small(request: RestRequest) -> RestResponse:
        return RestResponse.json({"a": 1}, headers={"Allow": "GET", "Warning": ["one", "two"]})

    async def large(request: RestRequest) -> RestResponse:
        return RestResponse.raw(b'"' + b"x" * LARGE + b'"')

    async def split(request: RestRequest) -> RestResponse:
        return RestResponse.json({}, headers={"Location": "/a\r\nSet-Cookie: b=c"})

    found = Routes()
    for method in ("GET", "HEAD"):
        found.add(method, "/small", small)
    found.add("GET", "/large", large)
    found.add("GET", "/split", split)
    return found


async def raw(port: int, text: str) -> bytes:
    """What is sent until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**27)
    writer.write(text.replace("\n", "\r\n").encode())
    answer = await reader.read()
    writer.close()
    return answer


async def test_the_head_names_length_date_and_every_header(serve: Serve, ask: Ask) -> None:
    async with serve(routes()) as port:
        status, headers, body = await ask(port, "GET /small HTTP/1.1\nHost: x")
    assert (status, body) == (200, b'{"a":1}')
    assert headers["content-length"] == ["7"]
    assert headers["allow"] == ["GET"]
    assert headers["warning"] == ["one", "two"]
    assert headers["server"] == ["Hanse"]
    assert parsedate_to_datetime(headers["date"][0]).tzinfo is not None
    assert "connection" not in headers


async def test_head_tells_the_length_of_what_it_does_not_send(serve: Serve) -> None:
    async with serve(routes()) as port:
        answer = await raw(port, "HEAD /small HTTP/1.1\nHost: x\nConnection: close\n\n")
    assert b"\r\nContent-Length: 7\r\n" in answer
    assert b"\r\nConnection: close\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(("asked", "told"), [("\nConnection: keep-alive", b"keep-alive"), ("", b"close")])
async def test_an_old_client_is_told_whether_the_connection_stays(serve: Serve, asked: str, told: bytes) -> None:
    async with serve(routes()) as port:
        first = f"GET /small HTTP/1.0{asked}\n\n"
        second = "GET /small HTTP/1.0\n\n" if asked else ""
        answers = await raw(port, first + second)
    assert answers.count(b"HTTP/1.0 200 OK\r\n") == 1 + bool(asked)
    assert b"\r\nConnection: " + told + b"\r\n" in answers.partition(b"\r\n\r\n")[0] + b"\r\n"


async def test_a_slow_reader_gets_everything(serve: Serve) -> None:
    async with serve(routes()) as port:
        answer = await raw(port, "GET /large HTTP/1.1\nHost: x\n\nGET /small HTTP/1.1\nHost: x\nConnection: close\n\n")
    assert answer.count(b"x") >= LARGE
    assert answer.endswith(b'{"a":1}')


async def test_a_header_never_becomes_two(serve: Serve) -> None:
    async with serve(routes()) as port:
        assert await raw(port, "GET /split HTTP/1.1\nHost: x\n\n") == b""
