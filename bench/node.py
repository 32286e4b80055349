"""One node: start, idle memory, bulk, term search through HTTPS with Basic auth; beside a bare TLS server.

python -m bench.node
"""

from __future__ import annotations

import asyncio
import ssl
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import web

from bench.documents import MAPPING, WORDS, bulk_bodies
from bench.load import Measured, http_request, load, tls_for
from hanse.cli.local_cluster import LocalNode
from hanse.tls.authority import CertificateAuthority

DOCUMENTS = 100_000
BULK_SIZE = 1000


def resident_mb(node: LocalNode) -> float:
    assert node.process is not None
    pages = int(Path(f"/proc/{node.process.pid}/statm").read_text().split()[1])
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


def bulk_rate(node: LocalNode, index: str = "bench", documents: int = DOCUMENTS) -> float:
    node.request("PUT", f"/{index}", MAPPING)
    requests = [
        http_request(node, "POST", "/_bulk", body, "application/x-ndjson")
        for body in bulk_bodies(documents, BULK_SIZE, index)
    ]
    started = time.perf_counter()
    uvloop.run(_send_all(node, requests))
    return documents / (time.perf_counter() - started)


async def _send_all(node: LocalNode, requests: list[bytes]) -> None:
    host, _, port = node.url.partition("://")[2].partition(":")
    context = tls_for(node.url, str(node.ca_file))
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


async def bare_server(config: Path, body: bytes) -> tuple[web.Server[Any], asyncio.Server, str]:
    """What the HTTP library does with the same certificate and the same answer, and nothing else."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(config / "node.crt", config / "node.key")

    async def answer(request: web.BaseRequest) -> web.Response:
        await request.read()
        return web.Response(body=body, content_type="application/json")

    server = web.Server(answer, access_log=None)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0, ssl=context)
    return server, listener, f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}"


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        starts = start_seconds(folder / "start")
        print(f"start to serving, security on     median {statistics.median(starts):.2f} s, best {min(starts):.2f} s")
        with LocalNode(folder / "node", "bench", CertificateAuthority.create()) as node:
            print(f"idle memory                       {resident_mb(node):.0f} MB")
            rate = bulk_rate(node)
            print(f"bulk, one client, {BULK_SIZE} a request    {rate:,.0f} documents/s")
            node.request("POST", "/bench/_refresh")
            node.request("POST", "/bench/_search", {"query": {"term": {"text": "word1"}}})
            searched = uvloop.run(load(node.url, str(node.ca_file), term_searches(node), connections=8, seconds=8))
            print(f"term search, top 10 of {DOCUMENTS:,}    {searched}")
            bare = _bare_in_own_process(node)
            print(f"bare HTTPS server, same answer    {bare}   (search is {searched.rate / bare.rate:.0%} of it)")
            print(f"memory after                      {resident_mb(node):.0f} MB")


def _bare_in_own_process(node: LocalNode) -> Measured:
    import multiprocessing

    status, answer = node.request("POST", "/bench/_search", {"query": {"term": {"text": "word1"}}})
    assert status == 200
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve_bare, args=(node.config, str(answer).encode(), theirs), daemon=True)
    process.start()
    url = ours.recv()
    measured = uvloop.run(load(url, str(node.ca_file), term_searches(node), connections=8, seconds=5))
    process.terminate()
    process.join()
    return measured


def _serve_bare(config: Path, body: bytes, pipe: Any) -> None:
    async def serve() -> None:
        _, _, url = await bare_server(config, body)
        pipe.send(url)
        await asyncio.Event().wait()

    uvloop.run(serve())


if __name__ == "__main__":
    main()
