"""An HTTP answer whose body is known: head and body in one write.

aiohttp's own response can stream, chunk and set cookies; nothing here does, and for a short search all that costs as
much as the gate. This satisfies what aiohttp's connection asks of a response (`prepare`, `write_eof`, `keep_alive`).
The head is that of RFC 9110: `Date` (6.6.1), `Content-Length` also for HEAD where it is known (8.6), no body for HEAD.
Tests: tests/rest/test_answer.py.
"""

from __future__ import annotations

from email.utils import formatdate
from http import HTTPStatus

from aiohttp import HttpVersion10, web

from hanse import clock

_REASONS = {status.value: status.phrase for status in HTTPStatus}


class Answer:
    """One answer. `keep_alive` is what the request asked for, unless `close` was called."""

    __slots__ = ("_body", "_content_type", "_headers", "_request", "_status", "keep_alive")

    def __init__(self, status: int, content_type: str, body: bytes, headers: list[tuple[str, str]]) -> None:
        self._status = status
        self._content_type = content_type
        self._body = body
        self._headers = headers
        self._request: web.BaseRequest | None = None
        self.keep_alive: bool | None = None

    def close(self) -> None:
        """The connection carries no other request after this answer."""
        self.keep_alive = False

    async def prepare(self, request: web.BaseRequest) -> None:
        self._request = request
        if self.keep_alive is None:
            self.keep_alive = request.keep_alive

    async def write_eof(self) -> None:
        """Writes everything; waits while the client does not take what it was sent before."""
        request = self._request
        assert request is not None
        body = b"" if request.method == "HEAD" else self._body
        await request.writer.write(self._head(request) + body)
        if request.protocol.writing_paused:
            await request.writer.drain()

    def _head(self, request: web.BaseRequest) -> bytes:
        """Raises ValueError for a header that would not be one line."""
        headers = self._headers
        if self._body or request.method != "HEAD":
            headers.append(("Content-Length", str(len(self._body))))
        version = request.version
        if not self.keep_alive:
            headers.append(("Connection", "close"))
        elif version == HttpVersion10:
            headers.append(("Connection", "keep-alive"))
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
        if not lines.count("\r") == lines.count("\n") == len(headers):
            raise ValueError("a header of an answer holds a line break")
        head = (
            f"HTTP/{version[0]}.{version[1]} {self._status} {_REASONS.get(self._status, '')}\r\n"
            f"X-elastic-product: Elasticsearch\r\nContent-Type: {self._content_type}\r\nServer: Hanse\r\n"
            f"Date: {_date.now()}\r\n{lines}\r\n"
        )
        return head.encode("utf-8", "surrogateescape")


class _Date:
    """The time as a header, written once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._text = ""

    def now(self) -> str:
        second = clock.now_ms() // 1000
        if second != self._second:
            self._second, self._text = second, formatdate(second, usegmt=True)
        return self._text


_date = _Date()
