"""Nothing that was acknowledged is lost when the process is killed in the middle of writing."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from tests.index.shards import TEXT, ids_found, node

WRITER = """
import asyncio, pathlib, sys
from tests.index.shards import index, node

async def main(folder):
    async with node(pathlib.Path(folder)) as here:
        shard = await here.create("books", {mappings!r}, refresh_interval="50ms")

        async def client(name, size, different):
            at = 0
            while True:
                numbers = range(at, at + size)
                await shard.write([
                    index(f"{{name}}-{{n % different}}", title=f"text of {{n}} " * 10, n=n) for n in numbers
                ])
                print("ack", *(f"{{name}}-{{n % different}}={{n}}" for n in numbers), "end", flush=True)
                at += size

        await asyncio.gather(client("one", 1, 10**9), client("again", 20, 70), client("many", 400, 10**9))

asyncio.run(main(sys.argv[1]))
"""
ACKNOWLEDGED_BEFORE_KILL = 8_000


@pytest.mark.parametrize("round", range(3))
async def test_every_acknowledged_write_is_there_after_sigkill(tmp_path: Path, round: int) -> None:
    acknowledged = await asyncio.to_thread(write_until_killed, tmp_path)
    async with node(tmp_path) as again:
        shard = again.indices.get("books").shards[0]
        for id, number in acknowledged.items():
            found = shard.get(id)
            assert found is not None, id
            assert orjson.loads(found.source)["n"] >= number
        found_ids = ids_found(shard)
        assert set(acknowledged) <= set(found_ids), "the search index has caught up"
        assert len(found_ids) == len(set(found_ids)) == shard.stats()["docs"]["count"]


def write_until_killed(folder: Path) -> dict[str, int]:
    """Each acknowledged id with the highest number acknowledged for it."""
    root = Path(__file__).parents[2]
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER.format(mappings=TEXT), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert writer.stdout is not None
    acknowledged: dict[str, int] = {}
    writes = 0
    for line in writer.stdout:
        # The kill may cut the last line short; only one that is whole tells an acknowledgement.
        if not (line.startswith("ack ") and line.endswith(" end\n")):
            continue
        for entry in line.split()[1:-1]:
            id, number = entry.split("=")
            acknowledged[id] = max(int(number), acknowledged.get(id, 0))
            writes += 1
        if writes >= ACKNOWLEDGED_BEFORE_KILL and writer.poll() is None:
            os.kill(writer.pid, signal.SIGKILL)
    assert writer.wait() == -signal.SIGKILL
    assert writes >= ACKNOWLEDGED_BEFORE_KILL
    return acknowledged
