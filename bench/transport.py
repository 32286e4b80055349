"""Calls per second over mutual TLS on loopback: 300 bytes up, 1 KB down, 16 callers on one connection.

    .venv/bin/python -m bench.transport [--seconds 3] [--callers 16] [--plain] [--asyncio]

The server is a process of its own. Also printed: latency with one caller, and how long small calls take while 50 MB
answers travel on the same connection.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import trustme
import uvloop

from bench.load import Measured
from hanse.settings.registry import Settings
from hanse.tls.contexts import TlsContexts
from hanse.transport.actions import Action, Origin, Scope
from hanse.transport.connection import Connection, connect
from hanse.transport.hello import Hello
from hanse.transport.identity import Identity, RealmRef
from hanse.transport.server import TransportServer

PREFIX = "xpack.security.transport.ssl"
CALLER = Identity("alice", ("logs-reader", "metrics-reader"), RealmRef("native1", "native", "node-1"))


class Ask(msgspec.Struct):
    body: bytes
    answer_bytes: int


class Answer(msgspec.Struct):
    body: bytes


ASK = Action("indices:data/read/bench", Ask, Answer, Scope.CLUSTER)


def hello(name: str) -> Hello:
    return Hello(name, "uuid", "id-" + name, name, "e-" + name, "0.1.0", "127.0.0.1:9300", ("data",))


def contexts(folder: Path) -> TlsContexts | None:
    if not (folder / "node.key").exists():
        return None
    values: dict[str, str | list[str]] = {
        f"{PREFIX}.enabled": "true",
        f"{PREFIX}.key": str(folder / "node.key"),
        f"{PREFIX}.certificate": str(folder / "node.crt"),
        f"{PREFIX}.certificate_authorities": [str(folder / "ca.crt")],
    }
    return TlsContexts.from_settings(Settings(values), PREFIX, folder)


def write_certificates(folder: Path) -> None:
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    node = authority.issue_cert("localhost", "127.0.0.1", key_type=trustme.KeyType.ECDSA)
    authority.cert_pem.write_to_path(str(folder / "ca.crt"))
    node.private_key_pem.write_to_path(str(folder / "node.key"))
    for pem in node.cert_chain_pems:
        pem.write_to_path(str(folder / "node.crt"), append=True)


async def serve(folder: Path) -> None:
    decoder = msgspec.msgpack.Decoder(Ask)
    encoder = msgspec.msgpack.Encoder()

    async def answer(action: str, payload: bytes, identity: Identity, origin: Origin) -> bytes:
        return encoder.encode(Answer(bytes(decoder.decode(payload).answer_bytes)))

    server = TransportServer(lambda: hello("server"), answer, contexts(folder))
    _, port = await server.start("127.0.0.1", 0)
    print(port, flush=True)
    await asyncio.Event().wait()


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[int]:
    """The port of a server in its own process, with the certificates in `folder`."""
    command = [sys.executable, "-m", "bench.transport", "--serve", str(folder), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield int(server.stdout.readline()) if server.stdout else 0
        finally:
            server.terminate()


async def calls_per_second(
    connection: Connection, callers: int, seconds: float, answer_bytes: int = 1000
) -> tuple[float, list[float]]:
    request, stop_s, took_s = Ask(bytes(300), answer_bytes), time.perf_counter() + seconds, []

    async def caller() -> int:
        count = 0
        while (before := time.perf_counter()) < stop_s:
            await connection.call(ASK, request, CALLER)
            took_s.append(time.perf_counter() - before)
            count += 1
        return count

    started = time.perf_counter()
    counts = await asyncio.gather(*(caller() for _ in range(callers)))
    return sum(counts) / (time.perf_counter() - started), took_s


def calls(callers: int, seconds: float, answer_bytes: int) -> Measured:
    """Bare calls over mutual TLS to a server process of its own, for other benches to stand beside."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_certificates(folder)
        with serving(folder) as port:
            return uvloop.run(_calls(port, folder, callers, seconds, answer_bytes))


async def _calls(port: int, folder: Path, callers: int, seconds: float, answer_bytes: int) -> Measured:
    connection = await connect("127.0.0.1", port, hello("client"), contexts(folder))
    await calls_per_second(connection, callers, 0.5, answer_bytes)
    rate, took_s = await calls_per_second(connection, callers, seconds, answer_bytes)
    await connection.close()
    return Measured(rate, sorted(one * 1000 for one in took_s))


async def beside_large_answers(connection: Connection, seconds: float) -> tuple[list[float], float]:
    stop_s, moved = time.perf_counter() + seconds, 0

    async def large() -> None:
        nonlocal moved
        while time.perf_counter() < stop_s:
            moved += len((await connection.call(ASK, Ask(b"", 50_000_000), CALLER)).body)

    started = time.perf_counter()
    (_, took_s), _ = await asyncio.gather(calls_per_second(connection, 1, seconds), large())
    return took_s, moved / (time.perf_counter() - started) / 1e6


def percentiles(took_s: list[float]) -> str:
    cuts = statistics.quantiles(took_s, n=100)
    return f"p50 {cuts[49] * 1e3:.2f} ms, p99 {cuts[98] * 1e3:.2f} ms"


async def measure(port: int, folder: Path, callers: int, seconds: float) -> None:
    connection = await connect("127.0.0.1", port, hello("client"), contexts(folder))
    await calls_per_second(connection, callers, 0.5)
    rate, took_s = await calls_per_second(connection, callers, seconds)
    print(f"{callers} callers, one connection: {rate:,.0f} calls/s, {percentiles(took_s)}")
    rate, took_s = await calls_per_second(connection, 1, 1)
    print(f"1 caller: {rate:,.0f} calls/s, {percentiles(took_s)}")
    took_s, rate = await beside_large_answers(connection, 2)
    print(f"1 caller beside 50 MB answers ({rate:,.0f} MB/s): {percentiles(took_s)}")
    await connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--callers", type=int, default=16)
    parser.add_argument("--plain", action="store_true", help="without TLS")
    parser.add_argument("--asyncio", action="store_true", help="asyncio's own loop instead of uvloop")
    parser.add_argument("--serve", type=Path)
    arguments = parser.parse_args()
    run = asyncio.run if arguments.asyncio else uvloop.run
    if arguments.serve:
        run(serve(arguments.serve))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not arguments.plain:
            write_certificates(folder)
        options = ["--asyncio"] if arguments.asyncio else []
        with serving(folder, *options) as port:
            print("plain" if arguments.plain else "mutual TLS", "asyncio" if arguments.asyncio else "uvloop")
            run(measure(port, folder, arguments.callers, arguments.seconds))


if __name__ == "__main__":
    main()
