"""A node's indices for tests: a real cluster state on disk, real shards, no fakes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import msgspec
import orjson
import tantivy
from tests.one_node import cluster_of_one, indices_of_one

from hanse.cluster.embedded.state_store import SqliteStateStore
from hanse.cluster.engine import Engine
from hanse.cluster.state import ClusterState, IndexMetadata
from hanse.cluster.updates import ClusterService
from hanse.index.mapping import Mapping
from hanse.index.service import Indices
from hanse.index.shard import Shard, WriteOp, WriteResult
from hanse.settings.allocation_settings import MAX_RETRIES

TEXT = {"properties": {"title": {"type": "text"}, "tag": {"type": "keyword"}, "n": {"type": "long"}}}


class Node:
    """The part of a node that holds indices."""

    def __init__(self, cluster: ClusterService, indices: Indices) -> None:
        self.cluster = cluster
        self.indices = indices

    async def create(
        self, name: str = "books", mappings: dict[str, Any] = TEXT, shards: int = 1, **settings: str
    ) -> Shard:
        given: dict[str, Any] = {f"index.{key}": value for key, value in settings.items()}
        mapping = Mapping.from_metadata({}, {}, given)
        shown, slots = mapping.merge(mappings)
        metadata = IndexMetadata(
            name=name,
            uuid=f"uuid-{name}-{self.cluster.state.version}",
            settings=given,
            mappings=shown,
            slots=slots,
            number_of_shards=shards,
            primary_terms=(1,) * shards,
        )
        await self.cluster.update("create", lambda state: state.with_index(metadata))
        await self.indices.ready(name)
        return self.indices.get(name).shards[0]

    async def change(self, name: str, **changes: Any) -> None:
        def change(state: ClusterState) -> ClusterState:
            return state.with_index(msgspec.structs.replace(state.indices[name], **changes))

        await self.cluster.update("change", change)

    async def delete(self, name: str) -> None:
        await self.cluster.update("delete", lambda state: state.without_index(name))


@asynccontextmanager
async def node(folder: Path, engine: Engine | None = None) -> AsyncIterator[Node]:
    store = SqliteStateStore(folder / "state.sqlite")
    cluster = cluster_of_one(store, await store.load())
    indices = indices_of_one(cluster, folder, engine=engine)
    await indices.start()
    try:
        yield Node(cluster, indices)
    finally:
        await indices.close()
        await store.close()


async def given_up(here: Node, name: str) -> str:
    """Waits until the cluster has no primary of the shard and tries no more; returns why."""
    while True:
        shard = here.cluster.state.routing[name][0]
        lost = [one for one in shard.unassigned if one.is_primary]
        if lost and not shard.copies and lost[0].failed_allocations >= MAX_RETRIES.default:
            assert lost[0].details is not None
            return lost[0].details
        await asyncio.sleep(0.01)


def index(id: str | None, routing: str | None = None, **source: Any) -> WriteOp:
    return WriteOp("index", id, orjson.dumps(source), routing)


async def one(shard: Shard, op: WriteOp) -> WriteResult:
    """The result of a single write; raises what it failed with."""
    outcome = (await shard.write([op]))[0]
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def ids_found(shard: Shard, field: str = "title", term: str = "") -> list[str]:
    """The ids of documents a search for a term sees; without a term, of all."""
    with shard.reader() as reader:
        if term:
            mapped = reader.mapping.field(field)
            assert mapped is not None
            assert mapped.slot is not None
            query = tantivy.Query.term_query(reader.schema, mapped.slot, term)
        else:
            query = tantivy.Query.all_query()
        hits = reader.searcher.search(query, 100_000).hits
        seq_nos = reader.searcher.fast_field_values("_seq_no", [address for _, address in hits])
        return sorted(document.id for document in reader.fetch(cast("list[int]", seq_nos)))
