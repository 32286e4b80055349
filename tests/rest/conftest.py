"""A whole node inside the test process, security on, HTTP without TLS; and a bare server for routes of a test."""

from __future__ import annotations

import asyncio
import json
import threading
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, cast

import pytest

from hanse.cluster.names import ClusterNames
from hanse.cluster.security_entries import ClusterSecurityStore
from hanse.cluster.state import ClusterState
from hanse.cluster.updates import ClusterService
from hanse.node import Node, read_settings
from hanse.rest.routes import Routes
from hanse.rest.server import HttpServer
from hanse.security.gate import Gate
from hanse.security.role_store import RoleStore
from hanse.settings.registry import Settings
from hanse.transport.actions import ActionRegistry

PASSWORD = "secret-of-elastic"
NDJSON = "application/x-ndjson"


@dataclass
class Answer:
    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def reason(self) -> str:
        """The sentence of an error."""
        error = self.json["error"]
        return str(error if isinstance(error, str) else error["reason"])


class Client:
    """Plain HTTP/1.1, one connection; as elastic unless told otherwise."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection = HTTPConnection("127.0.0.1", port, timeout=30)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        user: str | None = f"elastic:{PASSWORD}",
        kind: str | None = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        sent = dict(headers or {})
        if user is not None:
            sent["Authorization"] = "Basic " + b64encode(user.encode()).decode()
        if body is not None and kind is not None:
            sent["Content-Type"] = kind
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self._connection.request(method, path, body, sent)
        response = self._connection.getresponse()
        return Answer(response.status, response.headers, response.read())

    def bulk(self, *lines: Any, path: str = "/_bulk", **options: Any) -> Answer:
        body = b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
        return self.call("POST", path, body, kind=NDJSON, **options)

    def close(self) -> None:
        self._connection.close()


class NodeThread:
    """A node on an event loop of its own."""

    def __init__(self, folder: Path) -> None:
        config = folder / "config"
        config.mkdir()
        (config / "elasticsearch.yml").write_text("cluster.name: harbour\nnode.name: crane\n")
        overrides = {
            "path.data": str(folder / "data"),
            "path.logs": str(folder / "logs"),
            "http.port": "0",
            "transport.port": "0",
            "discovery.type": "single-node",
        }
        self._config, self._settings = config, read_settings(config, overrides)
        self._port: Future[int] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="node", daemon=True)

    def start(self) -> int:
        """The HTTP port."""
        self._thread.start()
        return self._port.result(30)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        node = Node(self._config, self._settings, elastic_password=PASSWORD)
        try:
            await node.start()
            self._port.set_result(int(node._http_address.rpartition(":")[2]))
            await self._stop.wait()
        except BaseException as error:
            self._port.set_exception(error)
            raise
        finally:
            await node.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)


@pytest.fixture(scope="session")
def node_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    running = NodeThread(tmp_path_factory.mktemp("rest"))
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture
def client(node_port: int) -> Iterator[Client]:
    made = Client(node_port)
    yield made
    made.close()


@pytest.fixture
def index(client: Client, request: pytest.FixtureRequest) -> Iterator[str]:
    """A name of its own for each test; whatever is created under it is deleted afterwards."""
    name = request.node.name.split("[")[0].lower().replace("test_", "", 1)[:60]
    yield name
    client.call("DELETE", f"/{name}?ignore_unavailable=true")


Serve = Callable[..., Any]


@pytest.fixture
def serve() -> Serve:
    """`async with serve(routes) as port`: a server without security around a test's own handlers."""

    @asynccontextmanager
    async def serving(routes: Routes, **settings: str) -> AsyncIterator[int]:
        state = ClusterState("harbour", "uuid")
        gate = Gate(
            registry=ActionRegistry(),
            catalogue=ClusterNames(lambda: state),
            realms=cast(Any, None),
            roles=RoleStore(ClusterSecurityStore(ClusterService(cast(Any, None), state))),
            enabled=False,
        )
        given = Settings({key.replace("__", "."): value for key, value in settings.items()})
        server = HttpServer(routes, gate, given)
        listener = await asyncio.get_running_loop().create_server(server.protocol_factory, "127.0.0.1", 0)
        try:
            yield listener.sockets[0].getsockname()[1]
        finally:
            listener.close()
            await server.close()

    return serving


Ask = Callable[..., Awaitable[tuple[int, dict[str, list[str]], bytes]]]


@pytest.fixture
def ask() -> Ask:
    """Sends raw bytes and reads one answer: status, headers by lower-case name, body."""

    async def asking(port: int, head: str, body: bytes = b"") -> tuple[int, dict[str, list[str]], bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n" + body)
        answered = await read_answer(reader)
        writer.close()
        await writer.wait_closed()
        return answered

    return asking


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, list[str]], bytes]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers: dict[str, list[str]] = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        if name:
            headers.setdefault(name.lower(), []).append(value.strip())
    size = int(headers.get("content-length", ["0"])[0])
    return int(lines[0].split()[1]), headers, await reader.readexactly(size)
