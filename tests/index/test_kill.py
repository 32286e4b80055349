"""Nothing that was acknowledged is lost when the process is killed in the middle of writing."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.index.shards import TEXT, ids_found, node

WRITER = """
import asyncio, pathlib, sys
from tests.index.shards import index, node, TEXT

async def main(folder):
    async with node(pathlib.Path(folder)) as here:
        shard = await here.create("books", {mappings!r}, refresh_interval="50ms")
        async def client(name, size):
            at = 0
            while True:
                ids = [f"{{name}}-{{at + n}}" for n in range(size)]
                await shard.write([index(id, title=f"text of {{id}} " * 10, n=at) for id in ids])
                print(*ids, flush=True)
                at += size
        await asyncio.gather(client("one", 1), client("few", 20), client("many", 400))

asyncio.run(main(sys.argv[1]))
"""
ACKNOWLEDGED_BEFORE_KILL = 5_000


@pytest.mark.parametrize("round", range(2))
async def test_every_acknowledged_document_is_there_after_sigkill(tmp_path: Path, round: int) -> None:
    acknowledged = await asyncio.to_thread(write_until_killed, tmp_path)
    assert len(acknowledged) >= ACKNOWLEDGED_BEFORE_KILL
    async with node(tmp_path) as again:
        shard = again.indices.get("books").shards[0]
        missing = [id for id in acknowledged if shard.get(id) is None]
        assert missing == []
        await shard.refresh()
        assert acknowledged <= set(ids_found(shard))
        assert len(ids_found(shard)) == shard.stats()["docs"]["count"]


def write_until_killed(folder: Path) -> set[str]:
    root = Path(__file__).parents[2]
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER.format(mappings=TEXT), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])},
    )
    assert writer.stdout is not None
    acknowledged: set[str] = set()
    for line in writer.stdout:
        # A line that the kill cut short names an id that was never printed whole; all whole lines were acknowledged.
        if not line.startswith(("one-", "few-", "many-")):
            continue
        if line.endswith("\n"):
            acknowledged.update(line.split())
        if len(acknowledged) >= ACKNOWLEDGED_BEFORE_KILL and writer.poll() is None:
            os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    return acknowledged
