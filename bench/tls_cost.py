"""What TLS costs: the same node with and without TLS on its HTTP port, request by request in turns.

    .venv/bin/python -m bench.tls_cost

Both nodes have security on; one request is in flight at a time, first at one node, then at the other, so that a machine
whose speed changes favours none. The client is a blocking socket, the least TLS can cost on its side. Since writing
varies more from bulk to bulk than TLS costs, the same bodies are also sent where they are refused unread: the
difference is TLS alone, and its share of a bulk is the steady figure. Promised: under 5 % of bulk throughput and under
0.15 ms of a search's p50.

With eight connections the nodes take turns of a second, at a fixed rate below what they can do, and then as fast as
they can. There p50 is the time in a queue of eight, so what TLS costs is eight times its processor time: that is
printed too, as the node's own time a request, and holds whatever the load.
"""

from __future__ import annotations

import socket
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import uvloop

from bench.documents import MAPPING, bulk_bodies
from bench.load import http_request, load, tls_for
from bench.node import term_searches
from hanse.cli.local_cluster import LocalNode
from hanse.tls.authority import CertificateAuthority

BULKS, BULK_SIZE, REFUSED, SEARCHES, WARM = 150, 1000, 400, 6000, 10
CONNECTIONS, RATE, TURNS, TURN_S = 8, 1000, 12, 1.0

T = TypeVar("T")


class PlainHttpNode(LocalNode):
    """Security as usual, but for TLS on the HTTP port."""

    def __init__(self, folder: Path, authority: CertificateAuthority) -> None:
        super().__init__(folder, "plain", authority, settings={"xpack.security.http.ssl.enabled": False})

    @property
    def url(self) -> str:
        return super().url.replace("https://", "http://")


class Timed:
    """One connection to one node, and how long each of its requests took."""

    def __init__(self, node: LocalNode) -> None:
        self.node = node
        self.took_s: list[float] = []
        parts = urlsplit(node.url)
        plain = socket.create_connection((parts.hostname, parts.port))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tls = tls_for(node.url, str(node.ca_file))
        self._socket = plain if tls is None else tls.wrap_socket(plain, server_hostname=parts.hostname)

    def _ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body."""
        self._socket.sendall(request)
        answer, wanted = b"", 0
        while not wanted or len(answer) < wanted:
            answer += self._socket.recv(65536)
            if not wanted and (end := answer.find(b"\r\n\r\n")) >= 0:
                head = answer[:end].lower()
                wanted = end + 4 + int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        return int(answer.split(b" ", 2)[1]), answer[end + 4 :]

    def send(self, request: bytes, wanted: int = 200) -> None:
        started = time.perf_counter()
        status, body = self._ask(request)
        self.took_s.append(time.perf_counter() - started)
        if status != wanted or b'"errors":true' in body:
            raise RuntimeError(body[:500])

    def measured(self) -> list[float]:
        took, self.took_s = self.took_s[WARM:], []
        return took


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, authority = Path(name), CertificateAuthority.create()
        with (
            LocalNode(folder / "tls", "tls", authority) as encrypted,
            PlainHttpNode(folder / "plain", authority) as plain,
        ):
            for node in (encrypted, plain):
                node.request("PUT", "/bench", MAPPING)
            compare(Timed(encrypted), Timed(plain))
            at_once(encrypted, plain, RATE)
            at_once(encrypted, plain, None)


def at_once(encrypted: LocalNode, plain: LocalNode, rate: float | None) -> None:
    """Eight connections, the nodes in turns; medians over the turns."""
    p50_ms: dict[LocalNode, list[float]] = {encrypted: [], plain: []}
    cpu_us: dict[LocalNode, list[float]] = {encrypted: [], plain: []}
    for number in range(TURNS):
        for node in in_turn((encrypted, plain), number):
            measured = uvloop.run(
                load(
                    node.url,
                    str(node.ca_file),
                    term_searches(node),
                    connections=CONNECTIONS,
                    seconds=TURN_S,
                    rate=rate,
                    pid=node.pid,
                )
            )
            p50_ms[node].append(measured.at(0.5))
            cpu_us[node].append(measured.cpu_us or 0.0)
    speed = f"{rate:,}/s" if rate else "at full speed"
    for name, values, unit in (("p50", p50_ms, "ms"), ("processor time of the node", cpu_us, "us")):
        with_tls, without = statistics.median(values[encrypted]), statistics.median(values[plain])
        print(
            f"term search, {CONNECTIONS} connections, {speed}: {name}, plain HTTP / TLS "
            f"{without:.2f} / {with_tls:.2f} {unit}: TLS costs {with_tls - without:.2f} {unit}"
        )


def compare(encrypted: Timed, plain: Timed) -> None:
    clients = (encrypted, plain)
    for number, body in enumerate(bulk_bodies((BULKS + WARM) * BULK_SIZE, BULK_SIZE, "bench")):
        for client in in_turn(clients, number):
            client.send(http_request(client.node, "POST", "/_bulk", body, "application/x-ndjson"))
    with_tls, without = (statistics.median(client.measured()) for client in clients)
    print(f"bulk of {BULK_SIZE}, plain HTTP / TLS     {without * 1000:.2f} / {with_tls * 1000:.2f} ms, medians")
    print(f"TLS costs                         {1 - without / with_tls:.1%} of bulk throughput")
    carry(clients, body, without)
    for client in clients:
        client.send(http_request(client.node, "POST", "/bench/_refresh"))
        client.took_s.clear()
    searches = {client: term_searches(client.node) for client in clients}
    for number in range(SEARCHES + WARM):
        for client in in_turn(clients, number):
            client.send(searches[client][number % len(searches[client])])
    with_tls, without = (statistics.median(client.measured()) for client in clients)
    print(f"term search p50, plain HTTP / TLS {without * 1000:.3f} / {with_tls * 1000:.3f} ms, one at a time")
    print(f"TLS costs                         {(with_tls - without) * 1000:.3f} ms of a search's p50")


def carry(clients: tuple[Timed, Timed], body: bytes, bulk_s: float) -> None:
    for number in range(REFUSED + WARM):
        for client in in_turn(clients, number):
            client.send(http_request(client.node, "POST", "/bench/_count", body), 400)
    with_tls, without = (statistics.median(client.measured()) for client in clients)
    cost = with_tls - without
    print(f"the same {len(body):,} bytes refused      {without * 1000:.2f} / {with_tls * 1000:.2f} ms, medians")
    print(f"TLS alone costs                   {cost * 1000:.2f} ms, {cost / (bulk_s + cost):.1%} of bulk throughput")


def in_turn(clients: tuple[T, T], number: int) -> Iterator[T]:
    """Each goes first as often as the other."""
    return iter(clients) if number % 2 else reversed(clients)


if __name__ == "__main__":
    main()
