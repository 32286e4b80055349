"""What the seams to durability and consensus cost: processor time of a search, and of a bulk, with and without them.

    .venv/bin/python -m bench.seam

A search never goes to the `StateStore`: calls to it are counted and are to be none. What remains of the seam is reading
the state in memory, which the gate does for names, roles and users. A bulk is written with no `CommitLog` (the embedded
engine, whose log is the document store itself) and with one that takes each batch and keeps nothing, in turns, so that
the difference is the seam and not an engine behind it (`bench.jetstream` has those). Wanted: under 3 % of either.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import uvloop
from tests.index.shards import Node
from tests.search.searching import Library

from bench.documents import MAPPING, document
from hanse.cluster.embedded.state_store import SqliteStateStore
from hanse.cluster.log import Batch, CommitLog
from hanse.cluster.names import ClusterNames
from hanse.cluster.security_entries import ClusterSecurityStore
from hanse.cluster.state import ClusterState
from hanse.cluster.updates import ClusterService
from hanse.index.service import Indices
from hanse.index.shard import WriteOp
from hanse.search.coordinate import search_local
from hanse.search.merge import render
from hanse.search.request import SearchRequest

DOCUMENTS, BULK_SIZE, TURNS, SEARCHES = 30_000, 1000, 10, 1000


class CountedStore(SqliteStateStore):
    """Counts every call."""

    calls = 0

    async def load(self) -> ClusterState | None:
        self.calls += 1
        return await super().load()

    async def commit(self, old: ClusterState, new: ClusterState) -> None:
        self.calls += 1
        await super().commit(old, new)


class ForgetfulLog:
    """A CommitLog that promises nothing and keeps nothing."""

    chain = b""

    def __init__(self) -> None:
        self._last = 0

    async def attach(self, position: int, chain: bytes) -> None:
        self._last = position

    async def rebuild(self, position: int, chain: bytes) -> None:
        self._last = position

    async def last(self) -> int:
        return self._last

    async def append(self, batch: Batch, expected_last: int) -> int:
        self._last += 1
        return self._last

    async def read(self, after: int) -> AsyncIterator[tuple[int, Batch]]:
        return
        yield

    async def close(self) -> None: ...


class ForgetfulEngine:
    """The embedded engine, with such a log before the shards of `logged`."""

    def __init__(self, store: SqliteStateStore) -> None:
        self.state_store = store

    def commit_log(self, index_uuid: str, shard: int) -> CommitLog | None:
        return ForgetfulLog() if "logged" in index_uuid else None

    async def forget(self, index_uuid: str, shards: int) -> None: ...

    async def close(self) -> None: ...


async def measure(folder: Path) -> None:
    store = CountedStore(folder / "state.sqlite")
    cluster = ClusterService(store, ClusterState("bench", "uuid"))
    indices = Indices(cluster, folder, engine=ForgetfulEngine(store))
    await indices.start()
    node = Node(cluster, indices)
    mappings: Any = MAPPING["mappings"]
    for name in ("bare", "logged"):
        await node.create(name, mappings)
    await bulks(indices)
    await searches(Library(node), cluster, store)
    await indices.close()
    await store.close()


async def bulks(indices: Indices) -> None:
    """The same documents into both indices, in turns."""
    sources = [document(number) for number in range(DOCUMENTS)]
    used_us: dict[str, list[float]] = {"bare": [], "logged": []}
    for first in range(0, DOCUMENTS, BULK_SIZE):
        for name in used_us if first // BULK_SIZE % 2 else reversed(used_us):
            shard = indices.get(name).shards[0]
            ops = [WriteOp("index", None, source) for source in sources[first : first + BULK_SIZE]]
            before = time.process_time()
            await shard.write(ops)
            await shard.refresh()
            used_us[name].append((time.process_time() - before) / BULK_SIZE * 1e6)
    bare, logged = (statistics.median(used_us[name]) for name in ("bare", "logged"))
    pairs = zip(used_us["logged"], used_us["bare"], strict=True)
    cost = statistics.median(with_log / without - 1 for with_log, without in pairs)
    print(f"bulk of {BULK_SIZE}, no log / a log that keeps nothing    {bare:.2f} / {logged:.2f} us a document, medians")
    print(f"the CommitLog's seam costs                       {cost:+.1%} of a bulk's processor time, median of pairs")


async def searches(library: Library, cluster: ClusterService, store: CountedStore) -> None:
    call = library.call(["bare"])
    request = SearchRequest(indices=("bare",), body=orjson.dumps({"query": {"term": {"text": "word5"}}}))
    names, entries = ClusterNames(lambda: cluster.state), ClusterSecurityStore(cluster)
    calls, search_us, seam_us = store.calls, [], []
    for _ in range(TURNS):
        before = time.process_time()
        for _ in range(SEARCHES):
            render(await search_local(library.indices, call, request), request)
        search_us.append((time.process_time() - before) / SEARCHES * 1e6)
        before = time.process_time()
        for _ in range(SEARCHES):
            _ = (names.version, entries.role_version, entries.users())
        seam_us.append((time.process_time() - before) / SEARCHES * 1e6)
    search, seam = statistics.median(search_us), statistics.median(seam_us)
    asked = store.calls - calls
    print(f"term search, without HTTP and gate               {search:.1f} us, {asked} calls to the StateStore")
    print(f"reading the state for it                         {seam:.2f} us, {seam / search:.1%} of that")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        uvloop.run(measure(Path(name)))


if __name__ == "__main__":
    main()
