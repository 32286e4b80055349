"""What the parts do by themselves, for the benches to stand beside: the libraries, and nothing of ours.

Not a bench of its own; `bench.node` and `bench.clusters` print its figures next to the node's, from the same run.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import orjson
import tantivy
import uvloop
from aiohttp import web

from bench.documents import MAPPING, document

LIBRARIES = "aiohttp apsw bcrypt cryptography.x509 lark msgspec orjson re2 ruamel.yaml ssl structlog tantivy uvloop"
"""What a node has imported when it serves."""
_IMPORTS = f"""
import {", ".join(LIBRARIES.split())}
from pathlib import Path
print(int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20)
"""
COMMITS = 200


class Imports(NamedTuple):
    seconds: float
    resident_mb: float


def imports(runs: int = 5) -> Imports:
    """An interpreter that imports the node's libraries, prints and ends: median time, resident memory."""
    times, resident = [], "0"
    for _ in range(runs):
        started = time.perf_counter()
        resident = subprocess.run(
            [sys.executable, "-c", _IMPORTS], stdout=subprocess.PIPE, text=True, check=True
        ).stdout
        times.append(time.perf_counter() - started)
    return Imports(statistics.median(times), float(resident))


def insertion_rate(documents: int, size: int) -> float:
    """Documents a second into SQLite (one durable transaction of `size` each) and a tantivy writer, one thread."""
    sources = [document(number) for number in range(documents)]
    with tempfile.TemporaryDirectory() as name:
        database = _database(Path(name))
        schema, writer = _search_index(Path(name))
        started = time.perf_counter()
        for first in range(0, documents, size):
            part = sources[first : first + size]
            with database:
                database.executemany("INSERT INTO ops VALUES (?, ?, ?)", _rows(first, part))
            for source in part:
                writer.add_document(tantivy.Document.from_dict(orjson.loads(source), schema))
        writer.commit()
        took = time.perf_counter() - started
        database.close()
    return documents / took


def commit_ms() -> float:
    """One document in a durable transaction: median."""
    took = []
    with tempfile.TemporaryDirectory() as name:
        database = _database(Path(name))
        for number in range(COMMITS):
            started = time.perf_counter()
            with database:
                database.executemany("INSERT INTO ops VALUES (?, ?, ?)", _rows(number, [b'{"status":1}']))
            took.append((time.perf_counter() - started) * 1000)
        database.close()
    return statistics.median(took)


def _database(folder: Path) -> apsw.Connection:
    database = apsw.Connection(str(folder / "store.sqlite"))
    database.pragma("journal_mode", "wal")
    database.pragma("synchronous", "full")
    database.execute("CREATE TABLE ops (seq_no INTEGER PRIMARY KEY, id TEXT UNIQUE, source BLOB)")
    return database


def _rows(first: int, sources: list[bytes]) -> Iterator[tuple[int, str, bytes]]:
    return ((number, f"id-{number:020d}", source) for number, source in enumerate(sources, first))


def _search_index(folder: Path) -> tuple[tantivy.Schema, tantivy.IndexWriter]:
    builder = tantivy.SchemaBuilder()
    for name, field in MAPPING["mappings"]["properties"].items():  # type: ignore[index]
        kind = field["type"]
        if kind in ("text", "keyword"):
            builder.add_text_field(name, tokenizer_name="default" if kind == "text" else "raw", fast=kind == "keyword")
        elif kind == "double":
            builder.add_float_field(name, indexed=True, fast=True)
        elif kind == "boolean":
            builder.add_boolean_field(name, indexed=True, fast=True)
        else:
            builder.add_integer_field(name, indexed=True, fast=True)
    schema = builder.build()
    (folder / "index").mkdir()
    return schema, tantivy.Index(schema, path=str(folder / "index")).writer(32_000_000, 1)


@contextmanager
def https_server(config: Path, body: bytes) -> Iterator[tuple[str, int]]:
    """Address and id of a process in which the HTTP library answers all with `body`, with a node's certificate."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(config, body, theirs), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


def _serve(config: Path, body: bytes, pipe: Any) -> None:
    async def serve() -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(config / "node.crt", config / "node.key")
        server = web.Server(_answering(body), access_log=None)
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(server, "127.0.0.1", 0, ssl=context)
        pipe.send((f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}", os.getpid()))
        await asyncio.Event().wait()

    uvloop.run(serve())


def _answering(body: bytes) -> Any:
    async def answer(request: web.BaseRequest) -> web.Response:
        async for _ in request.content.iter_any():
            pass
        return web.Response(body=body, content_type="application/json")

    return answer
