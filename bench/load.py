"""A load generator light enough for one machine: raw HTTP/1.1, with TLS or not, one request in flight a connection."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from hanse.cli.local_cluster import LocalNode

RECEIVE_BYTES, RECORD_BYTES = 2**20, 2**14


@dataclass(frozen=True)
class Measured:
    """Latencies in milliseconds, sorted."""

    rate: float
    latencies_ms: list[float]
    cpu_us: float | None = None
    """The server's processor time a request, in microseconds."""

    @classmethod
    def of(cls, turns: Sequence[Measured]) -> Measured:
        """Several turns as one."""
        latencies_ms = sorted(latency for turn in turns for latency in turn.latencies_ms)
        return cls(sum(turn.rate for turn in turns) / len(turns), latencies_ms)

    def at(self, share: float) -> float:
        return self.latencies_ms[min(len(self.latencies_ms) - 1, int(share * len(self.latencies_ms)))]

    def __str__(self) -> str:
        cpu = "" if self.cpu_us is None else f"  {self.cpu_us:5.0f} us of processor time each"
        return f"{self.rate:8,.0f}/s  p50 {self.at(0.5):6.2f} ms  p99 {self.at(0.99):6.2f} ms{cpu}"


def http_request(node: LocalNode, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> bytes:
    token = b64encode(f"elastic:{node.password}".encode()).decode()
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {urlsplit(node.url).netloc}",
        f"Authorization: Basic {token}",
        f"Content-Length: {len(body)}",
        f"Content-Type: {kind}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def tls_for(url: str, ca_file: str) -> ssl.SSLContext | None:
    return ssl.create_default_context(cafile=ca_file) if url.startswith("https:") else None


class Connection:
    """One kept connection to a node, one request at a time."""

    def __init__(self, node: LocalNode) -> None:
        self._url, self._ca_file = node.url, str(node.ca_file)

    async def connect(self) -> None:
        parts = urlsplit(self._url)
        context = tls_for(self._url, self._ca_file)
        self._reader, self._writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=context, limit=2**26)

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body."""
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        at = head.index(b"content-length:") + 15
        body = await self._reader.readexactly(int(head[at : head.index(b"\r\n", at)]))
        return int(head.split(b" ", 2)[1]), body

    def close(self) -> None:
        self._writer.close()


class BlockingConnection:
    """As `Connection`, without an event loop: a request is encrypted whole and sent in one go."""

    def __init__(self, node: LocalNode) -> None:
        parts = urlsplit(node.url)
        assert parts.hostname
        self._socket = socket.create_connection((parts.hostname, parts.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = memoryview(bytearray(RECEIVE_BYTES))
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        if context := tls_for(node.url, str(node.ca_file)):
            self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=parts.hostname)
            self._shake_hands(self._tls)

    def _shake_hands(self, tls: ssl.SSLObject) -> None:
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                self._socket.sendall(self._outgoing.read())
                self._incoming.write(self._receive())
            else:
                self._socket.sendall(self._outgoing.read())
                return

    def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body."""
        if self._tls is not None:
            self._tls.write(request)
            request = self._outgoing.read()
        self._socket.sendall(request)
        answer, wanted, start = bytearray(), 0, 0
        while not wanted or len(answer) < wanted:
            answer += self._decrypted(self._receive())
            if not wanted and (end := answer.find(b"\r\n\r\n")) >= 0:
                start = end + 4
                wanted = start + int(answer[:end].lower().split(b"content-length:")[1].split(b"\r\n")[0])
        return int(answer.split(b" ", 2)[1]), bytes(answer[start:])

    def _receive(self) -> memoryview:
        if (count := self._socket.recv_into(self._received)) == 0:
            raise ConnectionError("the node closed the connection")
        return self._received[:count]

    def _decrypted(self, received: memoryview) -> bytes | memoryview:
        if self._tls is None:
            return received
        self._incoming.write(received)
        records = []
        with contextlib.suppress(ssl.SSLWantReadError):  # a part of a record
            while self._incoming.pending:
                records.append(self._tls.read(RECORD_BYTES))
        return b"".join(records)


def cpu_seconds(pid: int) -> float:
    """What a process has used since it was started, of all its threads, in user and kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def load(
    url: str,
    ca_file: str,
    requests: list[bytes],
    *,
    connections: int,
    seconds: float,
    rate: float | None = None,
    pid: int | None = None,
) -> Measured:
    """Sends `requests` in turn over `connections` until the time is over; fails on any status but 200.

    Without a `rate` each connection sends its next request when it has the answer. With one (requests a second, of all
    connections together) it waits for its turn, so that below saturation nobody queues and latencies are the server's.
    `pid` is the server's, whose processor time is measured (handshakes are over before).
    """
    parts = urlsplit(url)
    context = tls_for(url, ca_file)
    latencies: list[float] = []

    async def one(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        position = number
        due = begun + number / rate if rate else 0.0
        while (started := time.perf_counter()) < end:
            if rate:
                if due > started:
                    await asyncio.sleep(due - started)
                    started = time.perf_counter()
                due += connections / rate
            writer.write(requests[position % len(requests)])
            position += connections
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode(errors="replace"))
            lower = head.lower()
            at = lower.index(b"content-length:") + 15
            await reader.readexactly(int(lower[at : lower.index(b"\r\n", at)]))
            latencies.append((time.perf_counter() - started) * 1000)

    streams = [
        await asyncio.open_connection(parts.hostname, parts.port, ssl=context, limit=2**26) for _ in range(connections)
    ]
    used = cpu_seconds(pid) if pid is not None else 0.0
    begun = time.perf_counter()
    end = begun + seconds
    await asyncio.gather(*(one(number, *stream) for number, stream in enumerate(streams)))
    took = time.perf_counter() - begun
    cpu_us = (cpu_seconds(pid) - used) / len(latencies) * 1e6 if pid is not None else None
    for _, writer in streams:
        writer.close()
    return Measured(len(latencies) / took, sorted(latencies), cpu_us)
