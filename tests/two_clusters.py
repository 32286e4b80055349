"""Two whole nodes on one event loop, without security: `here` reaches `there` under the alias `there`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson

from hanse.cluster.requests import UPDATE_SETTINGS, UpdateSettings
from hanse.errors import HanseError
from hanse.index.administration import requests as administration
from hanse.index.administration.requests import ByNames, CreateIndex
from hanse.index.shard import Shard
from hanse.index.writing import WriteOp, WriteResult
from hanse.node import Node, read_settings
from hanse.search.merge import render
from hanse.search.parameters import search_request
from hanse.search.request import SEARCH
from hanse.transport.actions import Action, IndicesOptions, Origin
from hanse.transport.identity import Identity

ANYBODY = Identity("anybody", ())
WAIT_S = 20.0


class Cluster:
    """A node and what tests ask of it."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        config = folder / name
        config.mkdir(parents=True)
        settings = {
            "cluster.name": name,
            "node.name": f"{name}-1",
            "path.data": str(config / "data"),
            "http.port": "0",
            "transport.port": "0",
            "xpack.security.enabled": "false",
        }
        self.node = Node(config, read_settings(config, settings))

    async def run(self, action: Action[Any, Any], request: Any) -> Any:
        return await self.node.gate.run(action, request, ANYBODY, Origin())

    async def settings(self, **persistent: Any) -> None:
        await self.run(UPDATE_SETTINGS, UpdateSettings({k.replace("__", "."): v for k, v in persistent.items()}))

    async def connect(self, alias: str, other: Cluster, *, skip_unavailable: bool = False) -> None:
        persistent = {
            f"cluster.remote.{alias}.seeds": [other.node._transport_address],
            f"cluster.remote.{alias}.skip_unavailable": str(skip_unavailable).lower(),
        }
        await self.run(UPDATE_SETTINGS, UpdateSettings(persistent))
        await self.node.remotes.ensure_connected(alias)

    async def create(self, index: str, **body: Any) -> None:
        await self.run(administration.CREATE, CreateIndex((index,), body))

    async def by_names(self, action: Action[Any, Any], *names: str) -> Any:
        return await self.run(action, ByNames(names))

    def shard(self, index: str, number: int = 0) -> Shard:
        return self.node.indices.get(index).shards[number]

    async def write(self, index: str, *ids: str, delete: bool = False, **source: Any) -> list[WriteResult]:
        """Writes or deletes documents; each is searchable when this returns."""
        results = []
        for id in ids:
            shard = self.node.indices.get(index).shard_for(id, None)
            op = WriteOp("delete", id, b"") if delete else WriteOp("index", id, orjson.dumps(source))
            outcome = (await shard.write([op]))[0]
            if isinstance(outcome, HanseError):
                raise outcome
            results.append(outcome)
        for shard in self.node.indices.get(index).shards:
            await shard.refresh()
        return results

    async def search(self, expression: str, body: Any = None, **parameters: Any) -> Any:
        raw = b"" if body is None else orjson.dumps(body)
        names = tuple(part for part in expression.split(",") if part)
        request = search_request(names, IndicesOptions(), {k: str(v) for k, v in parameters.items()}, raw)
        return orjson.loads(render(await self.run(SEARCH, request), request))

    def ids(self, index: str) -> dict[str, tuple[int, int]]:
        """Id to (seq_no, version) of every live document."""
        operations = [op for shard in self.node.indices.get(index).shards for op in shard.changes(-1).operations]
        return {op.id: (op.seq_no, op.version) for op in operations if not op.deleted}


@asynccontextmanager
async def two_clusters(folder: Path) -> AsyncIterator[tuple[Cluster, Cluster]]:
    here, there = Cluster(folder, "here"), Cluster(folder, "there")
    try:
        await asyncio.gather(here.node.start(), there.node.start())
        await here.connect("there", there)
        yield here, there
    finally:
        await asyncio.gather(here.node.close(), there.node.close())


async def until(holds: Callable[[], Any]) -> None:
    """Looks again after each turn of the loop. The limit only ends a test that would never end."""
    async with asyncio.timeout(WAIT_S):
        while not holds():
            await asyncio.sleep(0.005)
