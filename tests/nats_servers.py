"""nats-server processes for tests: one, or three that replicate, each killed and started again as a test wants."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sysconfig
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from hanse.cli.local_nodes import free_ports
from hanse.cluster.jetstream.connection import NATS_ERRORS, Connection
from hanse.cluster.jetstream.connection import connect as connect_to

T = TypeVar("T")
Connect = Callable[[], Awaitable[Connection]]
BINARY = Path(sysconfig.get_path("scripts")) / "nats-server"
WAIT_S = 60.0


class NatsServer:
    """One nats-server on loopback without TLS; `more` is merged into its configuration."""

    def __init__(self, folder: Path, name: str = "n1", **more: Any) -> None:
        self.folder = folder
        self.port, self.monitor_port = free_ports(2)
        self.config: dict[str, Any] = {
            "server_name": name,
            "host": "127.0.0.1",
            "port": self.port,
            "http": f"127.0.0.1:{self.monitor_port}",
            "log_file": str(folder / "log"),
            "jetstream": {"store_dir": str(folder), "sync_interval": "always"},
            **more,
        }
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def monitor(self) -> str:
        return f"127.0.0.1:{self.monitor_port}"

    def start(self, *, wait: bool = True) -> NatsServer:
        file = self.folder / "server.conf"
        file.write_text(json.dumps(self.config))
        self.process = subprocess.Popen([str(BINARY), "-c", str(file)], start_new_session=True)
        if wait:
            self.wait_until_healthy()
        return self

    def wait_until_healthy(self) -> None:
        deadline = time.monotonic() + WAIT_S
        while True:
            try:
                with urllib.request.urlopen(f"http://{self.monitor}/healthz") as answer:
                    if answer.status == 200:
                        return
            except OSError:
                assert self.process is not None
                assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.02)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def freeze(self) -> None:
        """SIGSTOP; when this returns no thread of it runs any more."""
        self.signal(signal.SIGSTOP)
        assert self.process is not None
        tasks = Path(f"/proc/{self.process.pid}/task")
        while any(_state(task) != "T" for task in tasks.iterdir()):
            time.sleep(0.001)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    async def connect(self, replicas: int = 1) -> Connection:
        return await connect_to([self.url], {}, replicas=replicas, timeout_s=WAIT_S)


def _state(task: Path) -> str:
    """As the kernel shows it; a thread that has ended counts as stopped."""
    try:
        return (task / "stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "T"


async def eventually(ask: Callable[[], Awaitable[T]]) -> T:
    """Asked until it is answered: JetStream has no leader all the time, and servers first have to find one another."""
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                return await ask()
            except NATS_ERRORS:
                await asyncio.sleep(0.1)


class NatsCluster:
    """Three nats-servers that keep every stream three times; `more` is merged into the configuration of each."""

    def __init__(self, folder: Path, **more: Any) -> None:
        ports = free_ports(3)
        routes = [f"nats-route://127.0.0.1:{port}" for port in ports]
        self.servers = [
            NatsServer(
                folder / f"n{at}",
                f"n{at}",
                cluster={"name": "c", "host": "127.0.0.1", "port": port, "routes": routes},
                **more,
            )
            for at, port in enumerate(ports)
        ]

    def start(self) -> NatsCluster:
        for server in self.servers:
            server.start(wait=False)
        for server in self.servers:
            server.wait_until_healthy()
        return self

    def kill(self) -> None:
        for server in self.servers:
            server.kill()

    async def connect(self, replicas: int = 3) -> Connection:
        return await connect_to([server.url for server in self.servers], {}, replicas=replicas, timeout_s=WAIT_S)


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """One for all tests of a folder that only use it."""
    server = NatsServer(tmp_path_factory.mktemp("nats")).start()
    yield server
    server.kill()


@pytest.fixture
async def connect(nats_server: NatsServer) -> AsyncIterator[Connect]:
    """Opens connections to it, which are closed after the test."""
    opened: list[Connection] = []

    async def one() -> Connection:
        opened.append(await nats_server.connect())
        return opened[-1]

    yield one
    for connection in opened:
        await connection.close()
