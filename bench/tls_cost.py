"""What TLS costs: the same node with and without TLS on its HTTP port, in turns, bulk throughput and a search's p50.

    .venv/bin/python -m bench.tls_cost

Both nodes have security on; the load generator's own share of TLS counts too. Promised: under 5 % of bulk throughput
and under 0.15 ms of a search's p50.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

import uvloop

from bench.load import Measured, load
from bench.node import bulk_rate, term_searches
from hanse.cli.local_cluster import LocalNode
from hanse.tls.authority import CertificateAuthority

ROUNDS = 7
DOCUMENTS = 20_000
SEARCH_S = 2.0


class PlainHttpNode(LocalNode):
    """Security as usual, but for TLS on the HTTP port."""

    def __init__(self, folder: Path, authority: CertificateAuthority) -> None:
        super().__init__(folder, "plain", authority, settings={"xpack.security.http.ssl.enabled": False})

    @property
    def url(self) -> str:
        return super().url.replace("https://", "http://")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, authority = Path(name), CertificateAuthority.create()
        with (
            LocalNode(folder / "tls", "tls", authority) as encrypted,
            PlainHttpNode(folder / "plain", authority) as plain,
        ):
            bulk(encrypted, plain)
            for connections in (1, 8):
                search(encrypted, plain, connections)


def bulk(encrypted: LocalNode, plain: LocalNode) -> None:
    rates: dict[LocalNode, list[float]] = {encrypted: [], plain: []}
    for node in (encrypted, plain):
        bulk_rate(node, "warm", DOCUMENTS)
    for number in range(ROUNDS):
        for node in in_turn(encrypted, plain, number):
            rates[node].append(bulk_rate(node, f"bulk{number}", DOCUMENTS))
    with_tls, without = statistics.median(rates[encrypted]), statistics.median(rates[plain])
    each = [one / other for one, other in zip(rates[encrypted], rates[plain], strict=True)]
    print(f"bulk, plain HTTP / TLS            {without:,.0f} / {with_tls:,.0f} documents/s, medians of {ROUNDS}")
    print(
        f"TLS costs                         {1 - with_tls / without:.1%} of bulk throughput "
        f"(median of the pairs {1 - statistics.median(each):.1%})"
    )


def search(encrypted: LocalNode, plain: LocalNode, connections: int) -> None:
    found: dict[LocalNode, list[Measured]] = {encrypted: [], plain: []}
    for node in (encrypted, plain):
        node.request("POST", "/bulk0/_refresh")
        _searched(node, connections)
    for number in range(ROUNDS):
        for node in in_turn(encrypted, plain, number):
            found[node].append(_searched(node, connections))
    with_tls, without = (statistics.median(one.at(0.5) for one in found[node]) for node in (encrypted, plain))
    print(f"term search p50, {connections} connections      {without:.3f} / {with_tls:.3f} ms, medians of {ROUNDS}")
    print(f"TLS costs                         {with_tls - without:.3f} ms of a search's p50")


def _searched(node: LocalNode, connections: int) -> Measured:
    searches = term_searches(node, "bulk0")
    return uvloop.run(load(node.url, str(node.ca_file), searches, connections=connections, seconds=SEARCH_S))


def in_turn(first: LocalNode, second: LocalNode, number: int) -> tuple[LocalNode, LocalNode]:
    """Each goes first as often as the other, so that a machine that slows down favours none."""
    return (first, second) if number % 2 else (second, first)


if __name__ == "__main__":
    main()
