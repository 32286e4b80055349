"""The JetStream engine: appends to one server and to three, and a node's bulk and single writes beside embedded.

python -m bench.jetstream
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import uvloop
from tests.nats_servers import NatsCluster, NatsServer

from bench.node import BULK_SIZE, bulk_rate
from hanse.cli.local_cluster import LocalNode
from hanse.cluster.jetstream.commit_log import JetStreamCommitLog
from hanse.cluster.jetstream.connection import Connection
from hanse.cluster.log import Batch, Operation
from hanse.tls.authority import CertificateAuthority

APPENDS = 1_000
BIG_APPENDS = 200
SINGLES = 300
DOCUMENTS = 50_000


async def appends(connection: Connection, name: str, size: int, count: int) -> list[float]:
    log = JetStreamCommitLog(connection, name, bytes_max=2**28)
    await log.attach(0, b"")
    position, took = 0, []
    for at in range(count):
        batch = Batch(1, [Operation(at, 1, str(at), 1, False, None, b"x" * size)])
        started = time.perf_counter()
        position = await log.append(batch, position)
        took.append(time.perf_counter() - started)
    return sorted(took)


async def measure(servers: NatsServer | NatsCluster, what: str) -> None:
    connection = await servers.connect()
    for label, size, count in (("2 KB", 2_000, APPENDS), ("250 KB", 250_000, BIG_APPENDS)):
        took = await appends(connection, f"bench-{size}", size, count)
        print(
            f"{what}, {label} batches, one writer that waits: p50 {took[count // 2] * 1000:.2f} ms, "
            f"p99 {took[int(count * 0.99)] * 1000:.2f} ms, {count / sum(took):,.0f}/s, "
            f"{size * count / sum(took) / 2**20:.1f} MB/s",
            flush=True,
        )
    await connection.close()


def single_ms(node: LocalNode) -> float:
    took = []
    for at in range(SINGLES):
        started = time.perf_counter()
        node.request("PUT", f"/single/_doc/{at}", {"n": at})
        took.append((time.perf_counter() - started) * 1000)
    return statistics.median(took)


def nodes(folder: Path) -> None:
    for engine in ("embedded", "jetstream"):
        settings = {"hanse.cluster.engine": engine, "hanse.nats.client_port": 0}
        with LocalNode(folder / engine, engine, CertificateAuthority.create(), settings=settings) as node:
            rate = bulk_rate(node, documents=DOCUMENTS)
            print(
                f"node, {engine}: bulk of {BULK_SIZE} {rate:,.0f} documents/s, "
                f"one document a request p50 {single_ms(node):.1f} ms (new connection each)",
                flush=True,
            )


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        one = NatsServer(folder / "one").start()
        uvloop.run(measure(one, "one server"))
        one.kill()
        three = NatsCluster(folder / "three").start()
        uvloop.run(measure(three, "three servers, three replicas"))
        three.kill()
        nodes(folder)


if __name__ == "__main__":
    main()
