"""A cluster of whole nodes on one event loop, without security: real transport, real shards, an engine in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson

from hanse.cluster.formation import open_state
from hanse.cluster.updates import ClusterService
from hanse.index.administration import requests as administration
from hanse.index.administration.requests import ByNames, CreateIndex
from hanse.index.document_requests import BULK, BulkItem, BulkRequest
from hanse.index.writing import WriteOp
from hanse.node import Node, read_settings
from hanse.search.merge import render
from hanse.search.parameters import search_request
from hanse.search.request import SEARCH
from hanse.transport.actions import Action, IndicesOptions, Origin
from hanse.transport.identity import Identity
from tests.shared_engine import SharedEngine
from tests.two_clusters import until

ANYBODY = Identity("anybody", ())


class Member(Node):
    """A node on an engine that it shares."""

    def __init__(self, engine: SharedEngine, config: Path, settings: Any) -> None:
        super().__init__(config, settings)
        self._shared = engine

    async def _open_state(self) -> ClusterService:
        self._engine = self._shared
        return await open_state(self._engine.state_store, self.settings, self._data_path)

    @property
    def id(self) -> str:
        return self._node_id


class SeveralNodes:
    """`nodes` in the order in which they were started."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._engine = SharedEngine()
        self.nodes: list[Member] = []

    async def add(self, **settings: str) -> Member:
        name = f"crane-{len(self.nodes) + 1}"
        config = self._folder / name
        config.mkdir(parents=True)
        given = {
            "cluster.name": "harbour",
            "node.name": name,
            "path.data": str(config / "data"),
            "http.port": "0",
            "transport.port": "0",
            "xpack.security.enabled": "false",
            **settings,
        }
        node = Member(self._engine, config, read_settings(config, given))
        await node.start()
        self.nodes.append(node)
        return node

    async def stop(self, node: Member) -> None:
        self.nodes.remove(node)
        await node.close()

    async def run(self, action: Action[Any, Any], request: Any, node: int = 0, identity: Identity = ANYBODY) -> Any:
        return await self.nodes[node].gate.run(action, request, identity, Origin())

    async def create(self, index: str, *, shards: int = 3, replicas: int = 0, **body: Any) -> None:
        settings = {"number_of_shards": shards, "number_of_replicas": replicas, **body.pop("settings", {})}
        await self.run(administration.CREATE, CreateIndex((index,), {"settings": settings, **body}))
        for node in self.nodes:
            assert await node.indices.ready(index, "all")
        await until(lambda: self.is_at_rest(index))

    def is_at_rest(self, index: str) -> bool:
        """No copy fills up or moves, by what any node knows."""
        shards = (shard for node in self.nodes for shard in node.cluster.state.routing[index])
        return all(copy.state == "STARTED" for shard in shards for copy in shard.copies)

    async def write(self, index: str, documents: Sequence[dict[str, Any]], node: int = 0) -> None:
        """Documents with the ids 1, 2, ... (or their own `_id`), searchable when this returns."""
        items = []
        for number, given in enumerate(documents, 1):
            source = {key: value for key, value in given.items() if key not in ("_id", "_routing")}
            op = WriteOp("index", str(given.get("_id", number)), orjson.dumps(source), given.get("_routing"))
            items.append(BulkItem(index, op))
        result = await self.run(BULK, BulkRequest(items), node)
        assert [item.error for item in result.items if item.error is not None] == []
        await self.run(administration.REFRESH, ByNames((index,)), node)

    async def search(self, index: str = "", body: Any = None, node: int = 0, **parameters: Any) -> Any:
        """The answer of `_search` as JSON."""
        names = tuple(part for part in index.split(",") if part)
        raw = b"" if body is None else orjson.dumps(body)
        request = search_request(names, IndicesOptions(), {k: str(v) for k, v in parameters.items()}, raw)
        return orjson.loads(render(await self.run(SEARCH, request, node), request))

    def holders(self, index: str) -> list[set[int]]:
        """For each shard the numbers of the nodes that have an active copy."""
        routing = self.nodes[0].cluster.state.routing[index]
        numbers = {node.id: number for number, node in enumerate(self.nodes)}
        return [{numbers[copy.node] for copy in shard.active()} for shard in routing]


@asynccontextmanager
async def several_nodes(folder: Path, count: int = 3) -> AsyncIterator[SeveralNodes]:
    made = SeveralNodes(folder)
    try:
        for _ in range(count):
            await made.add()
        yield made
    finally:
        await asyncio.gather(*(node.close() for node in made.nodes))
