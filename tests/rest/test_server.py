from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest
from tests.rest.conftest import Ask, Client, Serve, read_answer

from hanse.errors import IllegalArgumentError
from hanse.rest.request import RestRequest, RestResponse
from hanse.rest.routes import Routes
from hanse.rest.server import parse_query

HEAD = "GET /echo HTTP/1.1\nHost: x"


async def echo(request: RestRequest) -> RestResponse:
    request.accept("a", "b")
    request.warn('say "no" to ü')
    request.warn('say "no" to ü')
    return RestResponse.json(
        {"method": request.method, "body": request.body.decode(), "parameters": request.parameters}
    )


def echoing() -> Routes:
    routes = Routes()
    for method in ("GET", "POST", "HEAD"):
        routes.add(method, "/echo", echo)
    return routes


async def test_headers_that_clients_check(serve: Serve, ask: Ask) -> None:
    async with serve(echoing()) as port:
        status, headers, body = await ask(port, f"{HEAD}\nX-Opaque-Id: my-id")
    assert status == 200
    assert headers["x-elastic-product"] == ["Elasticsearch"]
    assert headers["x-opaque-id"] == ["my-id"]
    assert headers["content-type"] == ["application/json"]
    (warning,) = headers["warning"]
    assert warning.startswith("299 Elasticsearch-9.2.0-")
    assert warning.endswith('"say \\"no\\" to %C3%BC"')
    assert json.loads(body)["method"] == "GET"


async def test_the_answer_has_the_versioned_type(serve: Serve, ask: Ask) -> None:
    async with serve(echoing()) as port:
        _, headers, _ = await ask(port, f"{HEAD}\nAccept: application/vnd.elasticsearch+json; compatible-with=8")
        status, _, body = await ask(port, f"{HEAD}\nAccept: application/vnd.elasticsearch+json; compatible-with=7")
    assert headers["content-type"] == ["application/vnd.elasticsearch+json;compatible-with=8"]
    assert status == 400
    assert json.loads(body)["error"]["type"] == "media_type_header_exception"


async def test_a_head_answer_has_no_body(serve: Serve) -> None:
    async with serve(echoing()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HEAD /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\n")


async def test_unknown_ways_and_methods(serve: Serve, ask: Ask) -> None:
    async with serve(echoing()) as port:
        nowhere = await ask(port, "GET /nowhere/at/all?x=1 HTTP/1.1\nHost: x")
        wrong = await ask(port, "PATCH /echo?x=1 HTTP/1.1\nHost: x")
        options = await ask(port, "OPTIONS /echo HTTP/1.1\nHost: x")
    assert nowhere[0] == 400
    assert json.loads(nowhere[2]) == {"error": "no handler found for uri [/nowhere/at/all] and method [GET]"}
    assert wrong[0] == 405
    assert wrong[1]["allow"] == ["GET,HEAD,POST"]
    assert json.loads(wrong[2]) == {
        "error": "Incorrect HTTP method for uri [/echo] and method [PATCH], allowed: [GET, HEAD, POST]",
        "status": 405,
    }
    assert (options[0], options[1]["allow"], options[2]) == (200, ["GET,HEAD,POST"], b"")


async def test_content_types(serve: Serve, ask: Ask) -> None:
    post = "POST /echo HTTP/1.1\nHost: x\nContent-Length: 2"
    async with serve(echoing()) as port:
        form = await ask(port, f"{post}\nContent-Type: application/x-www-form-urlencoded", b"{}")
        missing = await ask(port, post, b"{}")
        fine = await ask(port, f"{post}\nContent-Type: application/json", b"{}")
    assert form[0] == missing[0] == 406
    assert json.loads(form[2])["error"] == "Content-Type header [application/x-www-form-urlencoded] is not supported"
    assert json.loads(missing[2])["error"] == "Content-Type header is missing"
    assert fine[0] == 200


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_at_the_limit_and_one_past_it(serve: Serve, ask: Ask, chunked: bool) -> None:
    async def send(size: int) -> tuple[int, Any, bytes]:
        body = b"x" * size
        if chunked:
            length, body = "Transfer-Encoding: chunked", b"%x\r\n%b\r\n0\r\n\r\n" % (size, body)
        else:
            length = f"Content-Length: {size}"
        return await ask(port, f"POST /echo HTTP/1.1\nHost: x\nContent-Type: application/json\n{length}", body)

    async with serve(echoing(), http__max_content_length="1kb") as port:
        assert (await send(1024))[0] == 200
        status, _, body = await send(1025)
    assert status == 413
    assert json.loads(body)["error"]["type"] == "content_too_long_exception"


async def test_a_compressed_body_counts_as_what_it_becomes(serve: Serve, ask: Ask) -> None:
    head = "POST /echo HTTP/1.1\nHost: x\nContent-Type: application/json\nContent-Encoding: gzip\nContent-Length: "
    small, bomb = gzip.compress(b'{"a": 1}'), gzip.compress(b"x" * 10_000_000)
    async with serve(echoing(), http__max_content_length="100kb") as port:
        status, _, body = await ask(port, head + str(len(small)), small)
        assert (status, json.loads(body)["body"]) == (200, '{"a": 1}')
        assert (await ask(port, head + str(len(bomb)), bomb))[0] == 413
        assert (await ask(port, head + "5", b"junk!"))[0] == 400


async def test_large_answers_are_compressed_for_who_can_read_them(serve: Serve, ask: Ask) -> None:
    routes = Routes()
    for size in (1000, 5000, 500_000):
        routes.add("GET", f"/{size}", _answering(b'"' + b"x" * size + b'"'))
    async with serve(routes) as port:
        for size, compressed in ((1000, False), (5000, True), (500_000, True)):
            _, headers, body = await ask(port, f"GET /{size} HTTP/1.1\nHost: x\nAccept-Encoding: gzip, deflate")
            assert ("content-encoding" in headers) == compressed
            assert len(json.loads(gzip.decompress(body) if compressed else body)) == size
        assert "content-encoding" not in (await ask(port, "GET /5000 HTTP/1.1\nHost: x"))[1]
    async with serve(routes, http__compression="false") as port:
        assert "content-encoding" not in (await ask(port, "GET /5000 HTTP/1.1\nHost: x\nAccept-Encoding: gzip"))[1]


def _answering(body: bytes) -> Any:
    async def handler(request: RestRequest) -> RestResponse:
        return RestResponse.raw(body)

    return handler


async def test_who_waits_for_permission_gets_it(serve: Serve) -> None:
    async with serve(echoing()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        assert (await read_answer(reader))[0] == 100
        writer.write(b"{}")
        assert (await read_answer(reader))[0] == 200
        writer.close()


async def test_a_client_that_goes_away_takes_its_search_with_it_but_not_its_write(serve: Serve) -> None:
    started, cancelled, finished, go = asyncio.Event(), asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def search(request: RestRequest) -> RestResponse:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        raise AssertionError

    async def write(request: RestRequest) -> RestResponse:
        started.set()
        await go.wait()
        finished.set()
        return RestResponse.empty()

    routes = Routes()
    routes.add("GET", "/search", search, cancellable=True)
    routes.add("GET", "/write", write)
    async with serve(routes) as port:
        for path in ("search", "write"):
            started.clear()
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await asyncio.wait_for(started.wait(), 5)
            writer.transport.abort()
            if path == "search":
                await asyncio.wait_for(cancelled.wait(), 5)
        go.set()
        await asyncio.wait_for(finished.wait(), 5)


async def test_a_bug_is_a_500_that_tells_nothing(serve: Serve, ask: Ask) -> None:
    async def broken(request: RestRequest) -> RestResponse:
        raise ZeroDivisionError("the secret")

    async def unrenderable(request: RestRequest) -> RestResponse:
        return RestResponse.json({"a": object()})

    routes = Routes()
    routes.add("GET", "/broken", broken)
    routes.add("GET", "/unrenderable", unrenderable)
    async with serve(routes) as port:
        for path in ("broken", "unrenderable"):
            status, headers, body = await ask(port, f"GET /{path} HTTP/1.1\nHost: x")
            assert status == 500
            assert headers["x-elastic-product"] == ["Elasticsearch"]
            assert b"secret" not in body
            assert b"object" not in body


async def test_parameters_nobody_read_are_refused_even_when_nothing_ran(serve: Serve, ask: Ask) -> None:
    async with serve(echoing()) as port:
        status, _, body = await ask(port, "GET /echo?a=1&x=2 HTTP/1.1\nHost: x")
    assert status == 400
    assert json.loads(body)["error"]["reason"] == "request [/echo] contains unrecognized parameter: [x]"


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n", "illegal_argument_exception"),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", "too_long_http_line_exception"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 40_000 + b"\r\n\r\n", "too_long_http_line_exception"),
    ],
)
async def test_what_is_not_http_is_refused_in_our_own_words(serve: Serve, sent: bytes, kind: str) -> None:
    async with serve(echoing()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        status, headers, body = await read_answer(reader)
        assert await reader.read() == b""
        writer.close()
    assert status == 400
    assert headers["x-elastic-product"] == ["Elasticsearch"]
    assert json.loads(body)["error"]["type"] == kind
    assert b"xxx" not in body


async def test_requests_are_answered_in_turn_on_one_connection(serve: Serve) -> None:
    async with serve(echoing()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"".join(b"GET /echo?a=%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(3)))
        for number in range(3):
            _, _, body = await read_answer(reader)
            assert json.loads(body)["parameters"] == {"a": str(number)}
        writer.close()


def test_query_strings() -> None:
    assert parse_query("a=1&b&c=&d=x%20y+z&%C3%BC=1&a=2&&=9") == {
        "a": "2",
        "b": "",
        "c": "",
        "d": "x y z",
        "ü": "1",
    }
    assert parse_query("q=a=b") == {"q": "a=b"}
    with pytest.raises(IllegalArgumentError):
        parse_query("a=%FF")


# -- with security


async def test_strangers_are_refused_before_their_body_is_read(node_port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", node_port)
    writer.write(b"POST /books/_bulk?pretty HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n\r\n{")
    status, headers, body = await read_answer(reader)
    writer.close()
    assert status == 401
    assert headers["www-authenticate"] == ['Basic realm="security", charset="UTF-8"', "ApiKey"]
    assert headers["connection"] == ["close"]
    assert json.loads(body)["error"]["reason"] == (
        "missing authentication credentials for REST request [/books/_bulk?pretty]"
    )


def test_a_wrong_password(client: Client) -> None:
    answer = client.call("GET", "/nowhere", user="elastic:wrong")
    assert answer.status == 401
    assert answer.reason == "unable to authenticate user [elastic] for REST request [/nowhere]"
