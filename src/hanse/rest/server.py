"""HTTP in, HTTP out: the thin layer between aiohttp's protocol and the handlers.

In this order: who asks (before a byte of the body is read, so that a stranger cannot make us hold one), which route,
the body within its limit, the handler, the answer with the headers that official clients check. A client that goes
away takes a cancellable request (a search) with it; everything else is finished.
Tests: tests/rest/test_server.py.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote_plus

import structlog
from aiohttp import web
from aiohttp.hdrs import ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, EXPECT
from aiohttp.http_exceptions import LineTooLong
from multidict import istr

from hanse.errors import ContentTooLongError, HanseError, IllegalArgumentError
from hanse.rest.answer import Answer
from hanse.rest.build import BUILD_HASH
from hanse.rest.content import rendered
from hanse.rest.errors import error_response, simple_response, unexpected_response
from hanse.rest.media_types import Negotiated, negotiate
from hanse.rest.request import RestRequest, RestResponse
from hanse.rest.routes import Routes
from hanse.security.authentication import HttpCredentials
from hanse.security.gate import Gate
from hanse.settings import node_settings
from hanse.settings.registry import Settings
from hanse.transport.actions import Action, Origin
from hanse.transport.identity import Identity

log = structlog.get_logger(__name__)

CLOSE_WAIT_S = 5.0
"""How long requests that still run are waited for when the server closes."""
COMPRESS_FROM_BYTES = 2048
COMPRESS_IN_THREAD_FROM_BYTES = 128 * 1024
COMPRESSION_LEVEL = 3
_GZIP = 16 + zlib.MAX_WBITS
_OPAQUE_ID = istr("X-Opaque-Id")
_RUN_AS = istr("es-security-runas-user")
_PLAIN = Negotiated("application/json", False, "")


class TooLongHttpLineError(HanseError):
    type = "too_long_http_line_exception"
    status = 400


class Connection(web.RequestHandler):
    """One client connection. Knows who is at the other end, and what to cancel when it breaks."""

    __slots__ = ("__weakref__", "address", "cancellable", "peer_certificate")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        manager = self._manager
        assert isinstance(manager, _Server)
        name = transport.get_extra_info("peername")
        self.address = f"{name[0]}:{name[1]}" if isinstance(name, tuple) else ""
        self.peer_certificate = manager.peer_certificate(transport)
        self.cancellable = False
        if manager.connected is not None:
            manager.connected(self)

    def cut(self, sentence: str) -> None:
        """Ends the connection at once, as when nobody vouches for the client's certificate any more."""
        log.warning("http connection cut", address=self.address, reason=sentence)
        if self.transport is not None:
            self.transport.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        running = self._task_handler if getattr(self, "cancellable", False) else None
        super().connection_lost(exc)
        if running is not None:
            running.cancel()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """What is not even HTTP. The text repeats nothing of what came in."""
        if isinstance(exc, LineTooLong):
            error: HanseError = TooLongHttpLineError("An HTTP line or header is larger than what this node allows")
        else:
            error = IllegalArgumentError("invalid HTTP request")
        log.debug("refused what is no HTTP request", address=self.address, error=str(exc))
        body = error_response(error).rendered()
        answer = Answer(status if status < 500 else 400, "application/json", body, [])
        answer.close()
        return answer  # type: ignore[return-value]


class _Server(web.Server):
    """aiohttp's low-level server with our connections."""

    def __init__(self, handler: Callable[[web.BaseRequest], Awaitable[Any]], **limits: Any) -> None:
        self.peer_certificate: Callable[[asyncio.BaseTransport], Any] = limits.pop("peer_certificate")
        self.connected: Callable[[Any], None] | None = limits.pop("connected")
        self._body_max: int = limits.pop("body_max")
        super().__init__(handler, request_factory=self._request, access_log=None)
        self._limits = limits

    def _request(self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        return web.BaseRequest(message, payload, protocol, writer, task, self._loop, client_max_size=self._body_max)

    def __call__(self) -> Connection:
        return Connection(self, loop=self._loop, access_log=None, **self._limits)  # type: ignore[arg-type]


class HttpServer:
    """Answers HTTP with `routes`, through `gate`. Made in a running loop; `protocol_factory` goes to the listener."""

    def __init__(
        self,
        routes: Routes,
        gate: Gate,
        settings: Settings,
        *,
        peer_certificate: Callable[[asyncio.BaseTransport], Any] = lambda transport: None,
        connected: Callable[[Any], None] | None = None,
    ) -> None:
        """`connected` is told of each new connection."""
        self._routes = routes
        self._gate = gate
        self._settings = settings
        self._body_max = settings.read(node_settings.HTTP_MAX_CONTENT_LENGTH)
        self._compresses = settings.read(node_settings.HTTP_COMPRESSION)
        version = settings.read(node_settings.COMPATIBILITY_VERSION)
        self._warning_agent = f"299 Elasticsearch-{version}-{BUILD_HASH}"
        self._server = _Server(
            self._exchange,
            peer_certificate=peer_certificate,
            connected=connected,
            body_max=self._body_max,
            max_line_size=settings.read(node_settings.HTTP_MAX_INITIAL_LINE_LENGTH),
            max_field_size=settings.read(node_settings.HTTP_MAX_HEADER_SIZE),
        )

    def protocol_factory(self) -> asyncio.Protocol:
        return self._server()

    async def close(self) -> None:
        """Waits for requests that still run, but not for ever."""
        self._server.pre_shutdown()
        await self._server.shutdown(CLOSE_WAIT_S)

    async def _exchange(self, http: web.BaseRequest) -> Answer:
        uri = http.raw_path
        if not uri.startswith("/"):
            uri = http.rel_url.raw_path_qs
        path, _, query = uri.partition("?")
        headers, warnings = http.headers, list[str]()
        negotiated, parameters = _PLAIN, dict[str, str]()
        try:
            negotiated = negotiate(headers.get(ACCEPT), headers.get(CONTENT_TYPE))
            if query:
                parameters = parse_query(query)
            response = await self._answer(http, uri, path, parameters, negotiated, warnings)
        except HanseError as error:
            response = error_response(error)
        except Exception as error:
            response = unexpected_response(error, path)
        return await self._finished(http, response, parameters, negotiated, warnings)

    async def _answer(
        self,
        http: web.BaseRequest,
        uri: str,
        path: str,
        parameters: dict[str, str],
        negotiated: Negotiated,
        warnings: list[str],
    ) -> RestResponse:
        method = http.method
        if method == "OPTIONS":
            return self._options(path)
        connection, headers = http.protocol, http.headers
        assert isinstance(connection, Connection)
        identity = await self._gate.authenticate(
            HttpCredentials(
                headers.get(AUTHORIZATION),
                headers.get(_RUN_AS),
                uri,
                connection.peer_certificate,
                connection.address,
            )
        )
        found = self._routes.find(method, path)
        if found is None:
            return self._no_route(method, path)
        route, path_parameters = found
        body = await self._body(http) if http.body_exists else b""
        if body and negotiated.unsupported is not None:
            return _unsupported(negotiated.unsupported)
        origin = Origin("rest", connection.address, connection.peer_certificate, headers.get(_OPAQUE_ID))
        request = RestRequest(
            method,
            path,
            self._runner(identity, origin, warnings),
            path_parameters=path_parameters,
            parameters=parameters,
            headers=headers,
            body=body,
            settings=self._settings,
            warnings=warnings,
        )
        connection.cancellable = route.cancellable
        try:
            response = await route.handler(request)
        finally:
            connection.cancellable = False
        if not request.is_checked:
            request.check_parameters()
        return response

    def _runner(
        self, identity: Identity, origin: Origin, warnings: list[str]
    ) -> Callable[[Action[Any, Any], Any], Awaitable[Any]]:
        gate = self._gate

        def run(action: Action[Any, Any], request: Any) -> Awaitable[Any]:
            return gate.run(action, request, identity, origin, warnings=warnings)

        return run

    async def _body(self, http: web.BaseRequest) -> bytes:
        """The whole body, decompressed, or 413."""
        announced = http.content_length
        if announced is not None and announced > self._body_max:
            raise self._too_long(announced)
        content = http.content
        if not content.is_eof() and http.headers.get(EXPECT, "").lower() == "100-continue":
            await http.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            http.writer.output_size = 0
        try:
            # What has come with the head is there already.
            body = content.read_nowait() if content.is_eof() else await http.read()
        except web.HTTPRequestEntityTooLarge:
            raise self._too_long(announced or self._body_max + 1) from None
        except web.RequestPayloadError as error:
            raise IllegalArgumentError(
                "the request body is incomplete or its Content-Encoding is not what it says"
            ) from error
        if len(body) > self._body_max:
            raise self._too_long(len(body))
        return body

    def _too_long(self, size: int) -> ContentTooLongError:
        return ContentTooLongError(
            f"entity content is too long [{size}] for the configured limit [{self._body_max}] of "
            f"[http.max_content_length]"
        )

    def _options(self, path: str) -> RestResponse:
        methods = self._routes.methods(path)
        return RestResponse.empty(headers={"Allow": ",".join(methods)} if methods else None)

    def _no_route(self, method: str, path: str) -> RestResponse:
        methods = self._routes.methods(path)
        if not methods:
            return simple_response(f"no handler found for uri [{path}] and method [{method}]", 400, with_status=False)
        return simple_response(
            f"Incorrect HTTP method for uri [{path}] and method [{method}], allowed: [{', '.join(methods)}]",
            405,
            headers={"Allow": ",".join(methods)},
        )

    async def _finished(
        self,
        http: web.BaseRequest,
        response: RestResponse,
        parameters: dict[str, str],
        negotiated: Negotiated,
        warnings: list[str],
    ) -> Answer:
        try:
            body, content_type = rendered(response, parameters, negotiated)
        except Exception as error:
            response = unexpected_response(error, http.raw_path)
            body, content_type = response.rendered(), "application/json"
        headers: list[tuple[str, str]] = []
        opaque_id = http.headers.get(_OPAQUE_ID)
        if opaque_id is not None:
            headers.append((_OPAQUE_ID, opaque_id))
        if len(body) >= COMPRESS_FROM_BYTES and self._compresses and "gzip" in http.headers.get(ACCEPT_ENCODING, ""):
            body = await _compressed(body)
            headers.append((CONTENT_ENCODING, "gzip"))
        if response.headers:
            for name, values in response.headers.items():
                headers += [(name, value) for value in ((values,) if isinstance(values, str) else values)]
        for text in dict.fromkeys(warnings):
            headers.append(("Warning", f'{self._warning_agent} "{_header_text(text)}"'))
        answer = Answer(response.status, content_type, body, headers)
        if not http.content.is_eof():
            # Nobody reads the rest of this body, so the connection cannot carry another request.
            answer.close()
        return answer


def parse_query(query: str) -> dict[str, str]:
    """The parameters of a query string; the last of equal names wins, as in Elasticsearch."""
    parameters: dict[str, str] = {}
    encoded = "%" in query or "+" in query
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if encoded:
            name, value = _decoded(name), _decoded(value)
        if name:
            parameters[name] = value
    return parameters


def _decoded(text: str) -> str:
    try:
        return unquote_plus(text, errors="strict")
    except UnicodeDecodeError as error:
        raise IllegalArgumentError(f"failed to decode a parameter of the query string: {error.reason}") from error


def _unsupported(content_type: str) -> RestResponse:
    named = (
        f"Content-Type header [{content_type}] is not supported" if content_type else "Content-Type header is missing"
    )
    return simple_response(named, 406)


async def _compressed(body: bytes) -> bytes:
    if len(body) < COMPRESS_IN_THREAD_FROM_BYTES:
        return _gzip(body)
    return await asyncio.get_running_loop().run_in_executor(None, _gzip, body)


def _gzip(body: bytes) -> bytes:
    compressor = zlib.compressobj(COMPRESSION_LEVEL, zlib.DEFLATED, _GZIP)
    return compressor.compress(body) + compressor.flush()


def _header_text(text: str) -> str:
    """Quotable in a header: quotes escaped, control characters and what is not ASCII percent-encoded."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return "".join(one if " " <= one <= "~" else "".join(f"%{byte:02X}" for byte in one.encode()) for one in escaped)
