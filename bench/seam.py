"""What the seams to durability and consensus cost: processor time of a search and of a bulk, and of the seam in them.

    .venv/bin/python -m bench.seam

A search never goes to the `StateStore`: calls to it are counted and are to be none. What remains of the seam is reading
the state in memory, which the gate does for names, roles and users. A bulk of the embedded engine has no `CommitLog`
(the document store is the log); what the seam would add to each batch is measured by itself, with a log that keeps
nothing, since a bulk varies more from run to run than that. Not in it: the position that the store writes with the
batch, and what an engine behind the seam does (`bench.jetstream`). Wanted: under 3 % of either.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson
import uvloop
from tests.index.shards import Node
from tests.one_node import cluster_of_one, indices_of_one
from tests.search.searching import Library

from bench.documents import MAPPING, document
from hanse.cluster.embedded.state_store import SqliteStateStore
from hanse.cluster.log import Batch, CommitLog
from hanse.cluster.names import ClusterNames
from hanse.cluster.security_entries import ClusterSecurityStore
from hanse.cluster.state import ClusterState
from hanse.cluster.updates import ClusterService
from hanse.index.log_follower import LogFollower
from hanse.index.service import Indices
from hanse.index.writing import WriteOp
from hanse.search.coordinate import search_local
from hanse.search.merge import render
from hanse.search.request import SearchRequest

DOCUMENTS, BULK_SIZE, TURNS, SEARCHES, BATCHES = 30_000, 1000, 10, 1000, 2000


class CountedStore(SqliteStateStore):
    """Counts every call."""

    calls = 0

    async def load(self) -> ClusterState | None:
        self.calls += 1
        return await super().load()

    async def commit(self, old: ClusterState, new: ClusterState) -> None:
        self.calls += 1
        await super().commit(old, new)


class ForgetfulLog(CommitLog):
    """Promises nothing and keeps nothing."""

    chain = b""

    def __init__(self) -> None:
        self._last = 0

    async def attach(self, position: int, chain: bytes, *, is_new: bool = True) -> None: ...

    def taken(self, position: int, chain: bytes) -> None:
        return None

    async def last(self) -> int:
        return self._last

    async def append(self, batch: Batch, expected_last: int) -> int:
        self._last += 1
        return self._last

    async def read(self, after: int) -> AsyncIterator[tuple[int, Batch]]:
        return
        yield

    async def rebuild(self, position: int, chain: bytes) -> None: ...

    def when_led_here(self, told: Callable[[], None]) -> None:
        return None

    async def step_aside(self) -> None: ...

    async def close(self) -> None: ...


async def measure(folder: Path) -> None:
    store = CountedStore(folder / "state.sqlite")
    cluster = cluster_of_one(store)
    indices = indices_of_one(cluster, folder)
    await indices.start()
    node = Node(cluster, indices)
    mappings: Any = MAPPING["mappings"]
    await node.create("bench", mappings)
    await bulks(indices)
    await searches(Library(node), cluster, store)
    await indices.close()
    await store.close()


async def bulks(indices: Indices) -> None:
    """Bulks without a log, and then what the seam does around each batch, many times."""
    shard = indices.get("bench").shards[0]
    bulk_us = []
    for first in range(0, DOCUMENTS, BULK_SIZE):
        ops = [WriteOp("index", None, document(number)) for number in range(first, first + BULK_SIZE)]
        before = time.process_time()
        await shard.write(ops)
        await shard.refresh()
        bulk_us.append((time.process_time() - before) * 1e6)
    follower = LogFollower(ForgetfulLog(), shard.store, _unused, _unused)
    batch = Batch(1, shard.store.operations(-1, DOCUMENTS - 1, BULK_SIZE, 2**30)[0])
    seam_us = []
    for _ in range(TURNS):
        before = time.process_time()
        for _ in range(BATCHES):
            await follower.catch_up()
            async with follower.appended(batch):
                pass
        seam_us.append((time.process_time() - before) / BATCHES * 1e6)
    bulk, seam = statistics.median(bulk_us), statistics.median(seam_us)
    print(f"bulk of {BULK_SIZE}, no log                             {bulk:,.0f} us")
    print(f"the CommitLog's seam around it                   {seam:.1f} us, {seam / bulk:.2%} of that")


async def _unused(*_: object) -> None:
    raise AssertionError("a log that keeps nothing has nothing to be taken")


async def searches(library: Library, cluster: ClusterService, store: CountedStore) -> None:
    call = library.call(["bench"])
    request = SearchRequest(indices=("bench",), body=orjson.dumps({"query": {"term": {"text": "word5"}}}))
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
