"""A load generator light enough for one machine: raw HTTP/1.1, with TLS or not, one request in flight a connection."""

from __future__ import annotations

import asyncio
import ssl
import time
from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import urlsplit

from hanse.cli.local_cluster import LocalNode


@dataclass(frozen=True)
class Measured:
    """Latencies in milliseconds, sorted."""

    rate: float
    latencies_ms: list[float]

    def at(self, share: float) -> float:
        return self.latencies_ms[min(len(self.latencies_ms) - 1, int(share * len(self.latencies_ms)))]

    def __str__(self) -> str:
        return f"{self.rate:8,.0f}/s  p50 {self.at(0.5):6.2f} ms  p99 {self.at(0.99):6.2f} ms"


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


async def load(url: str, ca_file: str, requests: list[bytes], *, connections: int, seconds: float) -> Measured:
    """Sends `requests` in turn over `connections` until the time is over; fails on any status but 200."""
    parts = urlsplit(url)
    context = tls_for(url, ca_file)
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    async def one(number: int) -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=context, limit=2**26)
        position = number
        while (started := time.perf_counter()) < end:
            writer.write(requests[position % len(requests)])
            position += connections
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode(errors="replace"))
            lower = head.lower()
            at = lower.index(b"content-length:") + 15
            await reader.readexactly(int(lower[at : lower.index(b"\r\n", at)]))
            latencies.append((time.perf_counter() - started) * 1000)
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(connections)))
    took = time.perf_counter() - started
    return Measured(len(latencies) / took, sorted(latencies))
