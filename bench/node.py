"""One node: start, idle memory, bulk, term search through HTTPS with Basic auth; each beside the bare libraries.

python -m bench.node
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import orjson
import uvloop

from bench import bare
from bench.documents import MAPPING, WORDS, bulk_bodies
from bench.load import http_request, load, tls_for
from hanse.cli.local_cluster import LocalNode
from hanse.tls.authority import CertificateAuthority

DOCUMENTS = 100_000
BULK_SIZE = 1000


def resident_mb(node: LocalNode) -> float:
    pages = int(Path(f"/proc/{node.pid}/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def start_seconds(folder: Path) -> list[float]:
    node = LocalNode(folder, "start", CertificateAuthority.create())
    times = []
    for _ in range(5):
        started = time.perf_counter()
        node.start()
        times.append(time.perf_counter() - started)
        node.stop()
    return times


def bulk_rate(
    node: LocalNode, index: str = "bench", documents: int = DOCUMENTS, *, through: bytes | None = None
) -> float:
    """Documents a second from one client; `through`: to a bare server that answers so, instead of the node."""
    node.request("PUT", f"/{index}", MAPPING)
    requests = [
        http_request(node, "POST", "/_bulk", body, "application/x-ndjson")
        for body in bulk_bodies(documents, BULK_SIZE, index)
    ]
    with nullcontext((node.url, 0)) if through is None else bare.https_server(node.config, through) as (url, _):
        started = time.perf_counter()
        uvloop.run(_send_all(url, str(node.ca_file), requests))
        return documents / (time.perf_counter() - started)


async def _send_all(url: str, ca_file: str, requests: list[bytes]) -> None:
    host, _, port = url.partition("://")[2].partition(":")
    context = tls_for(url, ca_file)
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context, limit=2**26)
    for request in requests:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        at = head.index(b"content-length:") + 15
        body = await reader.readexactly(int(head[at : head.index(b"\r\n", at)]))
        if b'"errors":false' not in body:
            raise RuntimeError(body[:500])
    writer.close()


def term_searches(node: LocalNode, expression: str = "bench") -> list[bytes]:
    return [
        http_request(
            node, "POST", f"/{expression}/_search", b'{"query":{"term":{"text":"%s"}},"size":10}' % word.encode()
        )
        for word in WORDS[:200]
    ]


def beside(ours: float, bare: float) -> str:
    return f"({ours / bare:.2f} times it)"


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        starts = start_seconds(folder / "start")
        libraries = bare.imports()
        start = statistics.median(starts)
        print(f"start to serving, security on     median {start:.2f} s, best {min(starts):.2f} s")
        print(
            f"bare: import the libraries        median {libraries.seconds:.2f} s   {beside(start, libraries.seconds)}"
        )
        with LocalNode(folder / "node", "bench", CertificateAuthority.create()) as node:
            idle = resident_mb(node)
            print(f"idle memory                       {idle:.0f} MB")
            resident = libraries.resident_mb
            print(f"bare: the libraries imported      {resident:.0f} MB   {beside(idle, resident)}")
            bulk(node)
            search(node)
            print(f"memory after                      {resident_mb(node):.0f} MB")


def bulk(node: LocalNode) -> None:
    rate = bulk_rate(node)
    carried = bulk_rate(node, through=b'{"errors":false}')
    inserted = bare.insertion_rate(DOCUMENTS, BULK_SIZE)
    print(f"bulk, one client, {BULK_SIZE} a request    {rate:,.0f} documents/s")
    print(f"bare: HTTPS server takes bodies   {carried:,.0f} documents/s   (bulk is {rate / carried:.0%} of it)")
    print(f"bare: SQLite and tantivy          {inserted:,.0f} documents/s   (bulk is {rate / inserted:.0%} of it)")
    both = 1 / (1 / carried + 1 / inserted)
    print(f"bare: the two one after the other {both:,.0f} documents/s   (bulk is {rate / both:.0%} of it)")


def search(node: LocalNode) -> None:
    node.request("POST", "/bench/_refresh")
    status, answer = node.request("POST", "/bench/_search", {"query": {"term": {"text": "word1"}}})
    assert status == 200
    ca_file, searches = str(node.ca_file), term_searches(node)
    ours = uvloop.run(load(node.url, ca_file, searches, connections=8, seconds=8, pid=node.pid))
    with bare.https_server(node.config, orjson.dumps(answer)) as (url, pid):
        theirs = uvloop.run(load(url, ca_file, searches, connections=8, seconds=5, pid=pid))
    print(f"term search, top 10 of {DOCUMENTS:,}    {ours}")
    print(f"bare: HTTPS server, same answer   {theirs}   (search is {ours.rate / theirs.rate:.0%} of it)")


if __name__ == "__main__":
    main()
