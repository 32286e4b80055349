"""How many documents a second one shard takes, with everything: queue, mapping, store, search index, refreshes.

Run: .venv/bin/python bench/shard_write.py [documents] [bulk size] [clients]
Prints documents/s until all is acknowledged and until all is searchable, the longest hold of the event loop, and what
single writes and opening again take.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

import orjson
import uvloop

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.one_node import cluster_of_one, indices_of_one

from hanse.cluster.embedded.state_store import SqliteStateStore
from hanse.cluster.state import IndexMetadata
from hanse.cluster.updates import ClusterService
from hanse.index.mapping import Mapping
from hanse.index.service import Indices
from hanse.index.shard import Shard, WriteOp

MAPPING = {
    "properties": {
        "title": {"type": "text"},
        "body": {"type": "text"},
        "user": {"type": "keyword"},
        "country": {"type": "keyword"},
        "bytes": {"type": "long"},
        "status": {"type": "long"},
        "price": {"type": "double"},
        "at": {"type": "long"},
    }
}


def sources(count: int) -> list[bytes]:
    """Documents of about 500 bytes and 8 fields."""
    source = random.Random(7)
    words = [f"word{number}" for number in range(3000)]
    return [
        orjson.dumps(
            {
                "title": " ".join(source.choices(words, k=4)),
                "body": " ".join(source.choices(words, k=38)),
                "user": f"user-{source.randrange(1000)}",
                "country": source.choice(["de", "fr", "at", "ch", "nl"]),
                "bytes": source.randrange(1_000_000),
                "status": source.choice([200, 404, 500]),
                "price": source.random() * 100,
                "at": 1_700_000_000_000 + number,
            }
        )
        for number in range(count)
    ]


async def watch(holds: list[float]) -> None:
    while True:
        before = time.perf_counter()
        await asyncio.sleep(0.001)
        holds.append(time.perf_counter() - before - 0.001)


async def client(shard: Shard, bulks: list[list[WriteOp]]) -> None:
    while bulks:
        for outcome in await shard.write(bulks.pop()):
            if isinstance(outcome, Exception):
                raise outcome


async def opened(folder: Path) -> tuple[SqliteStateStore, ClusterService, Indices]:
    store = SqliteStateStore(folder / "state.sqlite")
    cluster = cluster_of_one(store, await store.load())
    indices = indices_of_one(cluster, folder)
    await indices.start()
    return store, cluster, indices


async def run(folder: Path, count: int, bulk: int, clients: int, with_ids: bool) -> None:
    store, cluster, indices = await opened(folder)
    mappings, slots = Mapping.from_metadata({}, {}, {}).merge(MAPPING)
    metadata = IndexMetadata(name="bench", uuid="bench", settings={}, mappings=mappings, slots=slots)
    await cluster.update("create", lambda state: state.with_index(metadata))
    await indices.ready("bench")
    shard = indices.get("bench").shards[0]
    documents = sources(count)
    size = sum(map(len, documents)) / count
    ops = [WriteOp("index", f"id-{at}" if with_ids else None, source) for at, source in enumerate(documents)]
    bulks = [ops[at : at + bulk] for at in range(0, count, bulk)]
    holds: list[float] = []
    watching = asyncio.get_running_loop().create_task(watch(holds))
    started = time.perf_counter()
    await asyncio.gather(*(client(shard, bulks) for _ in range(clients)))
    acknowledged = time.perf_counter() - started
    await shard.refresh()
    searchable = time.perf_counter() - started
    watching.cancel()
    with shard.reader() as reader:
        assert reader.searcher.num_docs == count
    holds.sort()
    print(
        f"{count} documents of {size:.0f} B, bulks of {bulk}, {clients} clients, "
        f"ids {'given' if with_ids else 'made'}: "
        f"acknowledged {count / acknowledged:,.0f}/s, searchable {count / searchable:,.0f}/s, "
        f"loop held p99 {holds[int(len(holds) * 0.99)] * 1000:.1f} ms max {holds[-1] * 1000:.1f} ms"
    )
    started = time.perf_counter()
    for at in range(500):
        await shard.write([WriteOp("index", f"single-{at}", documents[at])])
    print(f"single writes: {(time.perf_counter() - started) / 500 * 1000:.2f} ms each")
    started = time.perf_counter()
    await indices.close()
    await store.close()
    print(f"close: {(time.perf_counter() - started) * 1000:.0f} ms")
    started = time.perf_counter()
    store, _, indices = await opened(folder)
    indices.get("bench").shards[0].reader().close()
    print(f"open again and first reader: {(time.perf_counter() - started) * 1000:.1f} ms")
    await indices.close()
    await store.close()


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    count, bulk, clients = (numbers + [200_000, 1_000, 2][len(numbers) :])[:3]
    for with_ids in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            uvloop.run(run(Path(folder), count, bulk, clients, with_ids))
