"""A search over the shards of this cluster, wherever they are: one request for each node, the answers merged.

When all shards serve on this node it is `search_local` and nothing else. Otherwise each shard is asked of one copy, and
of the next when that does not answer; a node searches and reads its shards' hits in one go and answers as a remote
cluster would (see merge.py). Tests: tests/search/test_distribute.py, tests/journeys/test_search_over_nodes.py.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from time import perf_counter

import msgspec

from hanse.cluster.nodes import Nodes
from hanse.cluster.updates import ClusterService
from hanse.errors import HanseError, NoShardAvailableError
from hanse.index.service import Indices
from hanse.search.body import SearchBody
from hanse.search.contexts import Contexts
from hanse.search.coordinate import check_failures, query_views, read_body, reduce_phases, search_local
from hanse.search.copies import ELSEWHERE, Copies, Place
from hanse.search.expand import expand_groups
from hanse.search.failures import from_failure, shard_failure
from hanse.search.merge import merge
from hanse.search.request import SearchRequest, SearchResult, ShardFailure
from hanse.search.shard_requests import SEARCH_SHARDS, SearchShards, Shards
from hanse.search.views import acquire_named, release
from hanse.transport.actions import ActionRegistry, Call

_ELSEWHERE = frozenset(error.type for error in ELSEWHERE)


class Distribution:
    """Without `nodes` this node stands alone."""

    def __init__(
        self,
        cluster: ClusterService,
        indices: Indices,
        copies: Copies,
        contexts: Contexts | None = None,
        nodes: Nodes | None = None,
    ) -> None:
        self._cluster = cluster
        self._indices = indices
        self._copies = copies
        self._contexts = contexts
        self._nodes = nodes

    def register(self, registry: ActionRegistry) -> None:
        registry.register(SEARCH_SHARDS, self._search_shards)

    async def search(self, call: Call, request: SearchRequest) -> SearchResult:
        """The answer of the local targets. With `final_reduce` off, hits reach from 0 to from + size."""
        if self._copies.all_serve_here(call.targets, request.preference):
            return await search_local(self._indices, call, request, self._contexts)
        started = perf_counter()
        body = await read_body(self._indices, call, request)
        places = self._copies.places(call.targets, request.routing, request.preference)
        if request.now_ms is None:
            request = msgspec.structs.replace(request, now_ms=time.time_ns() // 1_000_000)
        result = await self._gathered(call, places, body, request)
        if result.failed:
            check_failures(result, request)
        if body.collapse is not None and body.collapse.get("inner_hits") and result.hits:
            await expand_groups(
                result.hits,
                body,
                lambda group, asked: self._group(call, places, group, asked, request),
                totals_as_int=request.total_hits_as_int,
            )
        result.took_ms = int((perf_counter() - started) * 1000)
        return result

    async def _group(
        self, call: Call, places: Sequence[Place], body: SearchBody, asked: SearchRequest, request: SearchRequest
    ) -> SearchResult:
        inner = msgspec.structs.replace(
            asked, options=request.options, cluster_alias=request.cluster_alias, now_ms=request.now_ms
        )
        return await self._gathered(call, places, body, inner)

    async def _gathered(
        self, call: Call, places: Sequence[Place], body: SearchBody, request: SearchRequest
    ) -> SearchResult:
        part = msgspec.structs.replace(request, final_reduce=False)

        async def ask(node: str, group: list[Place]) -> tuple[SearchResult, dict[int, HanseError]]:
            result = await self._ask(node, call, part, by_index(group))
            return result, _taken_out(result, group, request.cluster_alias)

        results, lost = await self._copies.ask(places, ask)
        if not places:
            results = [await self._search_here(call, part, {})]
        if lost:
            results.append(_lost(lost, request.cluster_alias))
        merged = merge(results, request, body)
        merged.failures.sort(key=lambda failure: (failure.index or "", failure.shard))
        if merged.profile is not None:
            merged.profile.sort(key=lambda shard: str(shard["id"]).partition("]")[2])
        merged.num_reduce_phases = reduce_phases(merged.successful, request.batched_reduce_size)
        return merged

    async def _ask(self, node: str, call: Call, part: SearchRequest, shards: Shards) -> SearchResult:
        if self._nodes is None or node == self._indices.own_id:
            return await self._search_here(call, part, shards)
        asked = SearchShards(call.targets.expression, part, shards, self._cluster.state.version, part.options)
        return await self._nodes.forward(node, call, SEARCH_SHARDS, asked)

    async def _search_shards(self, call: Call, request: SearchShards) -> SearchResult:
        """What another node asks of the shards on this one."""
        return await self._search_here(call, request.search, request.shards)

    async def _search_here(self, call: Call, part: SearchRequest, shards: Shards) -> SearchResult:
        body = await read_body(self._indices, call, part)
        views, failures = acquire_named(self._indices, call.targets, shards)
        try:
            return await query_views(views, failures, body, part, part.now_ms or time.time_ns() // 1_000_000)
        finally:
            release(views)


def by_index(places: Sequence[Place]) -> Shards:
    shards: dict[str, list[tuple[int, int]]] = {}
    for place in places:
        shards.setdefault(place.index, []).append((place.number, place.ordinal))
    return {index: tuple(numbers) for index, numbers in shards.items()}


def _taken_out(result: SearchResult, asked: Sequence[Place], cluster_alias: str) -> dict[int, HanseError]:
    """Takes the shards out of the answer that another copy may answer for; by ordinal why they are not in it."""
    if not result.failures:
        return {}
    ordinals = {(place.index, place.number): place.ordinal for place in asked}
    prefix = f"{cluster_alias}:" if cluster_alias else ""
    kept: list[ShardFailure] = []
    taken: dict[int, HanseError] = {}
    for failure in result.failures:
        ordinal = ordinals.get(((failure.index or "").removeprefix(prefix), failure.shard))
        if ordinal is not None and failure.reason.get("type") in _ELSEWHERE:
            taken[ordinal] = from_failure(failure)
        else:
            kept.append(failure)
    result.failures = kept
    result.failed -= len(taken)
    result.total_shards -= len(taken)
    return taken


def _lost(places: Sequence[Place], cluster_alias: str) -> SearchResult:
    """The shards that no copy answered for. It may be different in a moment, so they stand for a 503."""
    prefix = f"{cluster_alias}:" if cluster_alias else ""
    failures = []
    for place in places:
        why = place.failure or NoShardAvailableError(f"no active copy of shard [{place.index}][{place.number}]")
        failures.append(shard_failure(prefix + place.index, place.number, why, node=place.asked))
        failures[-1].status = 503
    return SearchResult(total_shards=len(places), failed=len(places), failures=failures)
