"""A node's indices with a search on top, for tests: real shards, real queries, the gate's part played by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
from tests.index.shards import Node, node

from hanse.errors import HanseError, IndexNotFoundError
from hanse.index.writing import WriteOp
from hanse.search.contexts import Contexts
from hanse.search.coordinate import search_local
from hanse.search.copies import Copies
from hanse.search.field_selection import matches_any
from hanse.search.merge import render
from hanse.search.parameters import search_request
from hanse.search.reach import Reach
from hanse.search.request import SEARCH, SearchRequest, SearchResult
from hanse.search.spread_contexts import SpreadContexts
from hanse.transport.actions import FULL_ACCESS, Access, Action, Call, IndicesOptions, Origin, Target, Targets
from hanse.transport.identity import Identity

ALICE = Identity("alice", ("reader",))
BOB = Identity("bob", ("reader",))
NOW_MS = 1_600_000_000_000
"""2020-09-13T12:26:40Z"""


class Library:
    """Indices to fill and to search."""

    def __init__(self, here: Node) -> None:
        self.node = here
        self.indices = here.indices
        self.contexts = Contexts()
        self.reach = Reach(here.cluster, here.indices, Copies(here.cluster, here.indices), self.contexts)
        self.spread = SpreadContexts(self.reach)
        self.access: dict[str, Access] = {}
        self.filters: dict[str, tuple[dict[str, Any], ...]] = {}

    async def add(
        self,
        name: str,
        documents: Sequence[dict[str, Any]],
        mappings: dict[str, Any] | None = None,
        shards: int = 1,
        refresh_each: bool = False,
        **settings: str,
    ) -> None:
        """An index of documents with the ids 1, 2, ... (or their own `_id`), searchable when this returns."""
        await self.node.create(name, mappings or {}, shards, **settings)
        service = self.indices.get(name)
        for number, given in enumerate(documents, 1):
            source = {key: value for key, value in given.items() if key not in ("_id", "_routing")}
            id, routing = str(given.get("_id", number)), given.get("_routing")
            shard = service.shard_for(id, routing)
            outcome = (await shard.write([WriteOp("index", id, orjson.dumps(source), routing)]))[0]
            if isinstance(outcome, HanseError):
                raise outcome
            if refresh_each:
                await shard.refresh()
        for shard in service.shards:
            await shard.refresh()

    def call(self, indices: Sequence[str], identity: Identity = ALICE) -> Call:
        names = sorted(service.name for service in self.indices)
        chosen = [name for name in names if not indices or matches_any(name, indices)]
        for name in indices:
            if "*" not in name and name not in names:
                raise IndexNotFoundError.of(name)
        local = tuple(
            Target(name, self.access.get(name, FULL_ACCESS), self.filters.get(name, ()), name) for name in chosen
        )

        async def run(action: Action[Any, Any], request: Any) -> Any:
            assert action is SEARCH
            return await self.run(request, identity)

        return Call(SEARCH, identity, Origin(), Targets(local), run)

    async def run(self, request: SearchRequest, identity: Identity = ALICE) -> SearchResult:
        return await search_local(self.indices, self.call(request.indices, identity), request, self.contexts)

    async def search(self, index: str = "", body: Any = None, identity: Identity = ALICE, **parameters: Any) -> Any:
        """The answer of `_search` as JSON."""
        request = self.request(index, body, **parameters)
        return orjson.loads(render(await self.run(request, identity), request))

    def request(self, index: str = "", body: Any = None, **parameters: Any) -> SearchRequest:
        names = tuple(part for part in index.split(",") if part)
        texts = {
            key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in parameters.items()
        }
        raw = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        return search_request(names, IndicesOptions(), texts, raw)

    async def ids(self, index: str, query: Any = None, **body: Any) -> list[str]:
        """The ids of all hits of a query, in the order of the answer."""
        members = {"size": 1000, **body}
        if query is not None:
            members["query"] = query
        return [hit["_id"] for hit in (await self.search(index, members))["hits"]["hits"]]


@asynccontextmanager
async def library(folder: Path) -> AsyncIterator[Library]:
    async with node(folder) as here:
        made = Library(here)
        try:
            yield made
        finally:
            await made.contexts.close()
