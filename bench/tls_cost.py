"""What TLS costs: the same node with and without TLS on its HTTP port, request by request in turns.

    .venv/bin/python -m bench.tls_cost

Both nodes have security on, and they take turns, so that a machine whose speed changes favours none. The client is a
blocking socket that encrypts a request and sends it in one go, the least TLS can cost on its side. Searches alternate
one by one. Bulks alternate by turns of a new index each, and a turn begins when neither node works on what came before
(two nodes that merge segments on two cores would be measured instead); what counts is the whole time of a turn, and the
spread of the turns is printed, since writing varies more than TLS costs. The same bodies are also sent where they are
refused unread: that is the transfer alone. Promised: under 5 % of bulk throughput and under 0.15 ms of a search's p50.

With eight connections the nodes take turns of a second, at a fixed rate below what they can do, and then as fast as
they can. There p50 is the time in a queue of eight, so what TLS costs is eight times its processor time: that is
printed too, as the node's own time a request, and holds whatever the load.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import uvloop

from bench.documents import MAPPING, bulk_bodies
from bench.load import BlockingConnection, cpu_seconds, http_request, load
from bench.node import term_searches
from hanse.cli.local_cluster import LocalNode
from hanse.tls.authority import CertificateAuthority

BULK_TURNS, BULKS, BULK_SIZE, REFUSED, SEARCHES, WARM = 40, 50, 1000, 400, 6000, 10
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
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
        self._connection = BlockingConnection(node)

    def send(self, request: bytes, wanted: int = 200) -> None:
        started = time.perf_counter()
        status, body = self._connection.ask(request)
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
    bodies = list(bulk_bodies(BULKS * BULK_SIZE, BULK_SIZE, "bench"))
    turns_s: dict[Timed, list[float]] = {encrypted: [], plain: []}
    for number in range(BULK_TURNS):
        for client in in_turn(clients, number):
            client.node.request("DELETE", "/bench?ignore_unavailable=true")
            client.node.request("PUT", "/bench", MAPPING)
            settle(client.node)
            for body in bodies:
                client.send(http_request(client.node, "POST", "/_bulk", body, "application/x-ndjson"))
            turns_s[client].append(sum(client.measured()))
            settle(client.node)
    with_tls, without = (BULK_TURNS * (BULKS - WARM) * BULK_SIZE / sum(turns_s[client]) for client in clients)
    costs = [1 - less / more for more, less in zip(turns_s[encrypted], turns_s[plain], strict=True)]
    low, _, high = statistics.quantiles(costs, n=4)
    print(f"bulk of {BULK_SIZE}, plain HTTP / TLS     {without:,.0f} / {with_tls:,.0f} documents/s")
    print(f"TLS costs                         {1 - with_tls / without:.1%} of bulk throughput", end="")
    print(f"   ({BULK_TURNS} turns: median {statistics.median(costs):.1%}, quartiles {low:.1%} and {high:.1%})")
    carry(clients, body, BULK_SIZE / without)
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


def settle(node: LocalNode) -> None:
    """Until the node's processor time stands still, to a tick of the kernel's clock."""
    before = cpu_seconds(node.pid)
    while True:
        time.sleep(0.1)
        now = cpu_seconds(node.pid)
        if now - before <= TICK_S:
            return
        before = now


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
