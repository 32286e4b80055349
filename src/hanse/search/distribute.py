"""A search over the shards of this cluster, wherever they are: one request for each node, the answers merged.

When all shards serve on this node it is `search_local` and nothing else. Otherwise each shard is asked of one copy, and
of the next when that does not answer; a node searches and reads its shards' hits in one go and answers as a remote
cluster would (see merge.py). Tests: tests/search/test_distribute.py, tests/journeys/test_search_over_nodes.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter

import msgspec

from hanse import clock
from hanse.errors import HanseError
from hanse.search.body import SearchBody
from hanse.search.can_match import threshold
from hanse.search.coordinate import check_failures, query_views, read_body, search_local
from hanse.search.copies import Place
from hanse.search.expand import expand_groups
from hanse.search.limits import SearchLimits
from hanse.search.parts import GONE, by_index, gone, idle_part, lost_shards, merged, share, taken_out
from hanse.search.pit_id import Part, parts_of
from hanse.search.reach import Reach
from hanse.search.request import SearchRequest, SearchResult
from hanse.search.shard_requests import SEARCH_SHARDS, SearchShards, Shards
from hanse.search.spread_contexts import SpreadContexts
from hanse.search.views import acquire_named, release
from hanse.tasks import together
from hanse.transport.actions import ActionRegistry, Call

Gather = Callable[[SearchBody, SearchRequest], Awaitable[SearchResult]]
"""Runs a body, which the request has as bytes, over the shards of the search."""


class Distribution:
    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._indices, self._copies, self._contexts = reach.indices, reach.copies, reach.contexts
        self._spread = SpreadContexts(reach)

    def register(self, registry: ActionRegistry) -> None:
        registry.register(SEARCH_SHARDS, self._search_shards)
        self._spread.register(registry)

    def limits(self) -> SearchLimits:
        """What the cluster settings allow now."""
        return self._contexts.limits()

    async def search(self, call: Call, request: SearchRequest) -> SearchResult:
        """The answer of the local targets. With `final_reduce` off, hits reach from 0 to from + size."""
        if b'"pit"' in request.body:
            body = await read_body(self._indices, call, request)
            if body.pit_id is not None:
                return await self._search_in_pit(call, body, body.pit_id, request)
        if self._copies.all_serve_here(call.targets, request.preference):
            return await search_local(self._indices, call, request, self._contexts)
        started = perf_counter()
        body = await read_body(self._indices, call, request)
        places = self._copies.places(call.targets, request.routing, request.preference)
        request = _dated(request)
        if request.scroll is not None:
            result = await self._spread.start_scroll(call, places, body, self._decided(call, body, request))
        else:
            result = await _finished(body, request, lambda body, asked: self._over_places(call, places, body, asked))
        return self._measured(result, started)

    def _measured(self, result: SearchResult, started: float) -> SearchResult:
        result.took_ms = int((perf_counter() - started) * 1000)
        result.max_buckets = self.limits().max_buckets
        return result

    def _decided(self, call: Call, body: SearchBody, request: SearchRequest) -> SearchRequest:
        """With what only the whole search tells: from how many shards on they are looked at before they are asked."""
        settings = [self._indices.get(target.index).metadata.settings for target in call.targets.local]
        return msgspec.structs.replace(request, pre_filter_shard_size=threshold(body, request, settings))

    async def _over_places(
        self, call: Call, places: Sequence[Place], body: SearchBody, request: SearchRequest
    ) -> SearchResult:
        decided = self._decided(call, body, request)
        lost: list[Place] = []

        async def over(some: Sequence[Place], *, runs: bool) -> list[tuple[list[Place], SearchResult]]:
            """The answers with the shards they are about. With `runs` at least one shard of each is searched."""

            async def ask(
                node: str, group: list[Place]
            ) -> tuple[tuple[list[Place], SearchResult], dict[int, HanseError]]:
                part = share(decided, elsewhere=len(places) - len(group), runs=runs)
                result = await self._ask(node, call, self._request(call, part, by_index(group)))
                refused = taken_out(result, group, request.cluster_alias)
                return ([place for place in group if place.ordinal not in refused], result), refused

            answers, unanswered = await self._copies.ask(some, ask)
            lost.extend(unanswered)
            return answers

        answers = await over(places, runs=False)
        idle = None if request.may_skip_all else idle_part([result for _, result in answers])
        if idle is not None:
            group, _ = answers.pop(idle)
            answers += await over(group, runs=True)
        results = [result for _, result in answers]
        if not places:
            results = [await self._search_shards(call, self._request(call, share(decided), {}))]
        if lost:
            results.append(lost_shards(lost, request.cluster_alias))
        return merged(results, request, body)

    def _request(self, call: Call, part: SearchRequest, shards: Shards, context: str = "") -> SearchShards:
        return SearchShards(
            call.targets.expression, part, shards, self._reach.state_version, part.options, context=context
        )

    async def _ask(self, node: str, call: Call, request: SearchShards) -> SearchResult:
        return await self._reach.answered(node, call, SEARCH_SHARDS, request, self._search_shards)

    async def _search_shards(self, call: Call, request: SearchShards) -> SearchResult:
        """What is asked of the shards on this node, by itself or by another one."""
        part = _dated(request.search)
        body = await read_body(self._indices, call, part)
        if request.context:
            with self._contexts.part_views(call, request.context, request.keep_alive) as views:
                return await query_views(views, [], body, part, part.now_ms or 0, self.limits())
        views, failures = acquire_named(self._indices, call.targets, request.shards)
        try:
            return await query_views(views, failures, body, part, part.now_ms or 0, self.limits())
        finally:
            release(views)

    # -- points in time

    async def _search_in_pit(self, call: Call, body: SearchBody, pit: str, request: SearchRequest) -> SearchResult:
        started = perf_counter()
        parts = parts_of(pit)
        if len(parts) < 2 and all(part.node == self._reach.own_id for part in parts):
            return await search_local(self._indices, call, request, self._contexts)
        request = _dated(request)
        result = await _finished(
            body, request, lambda inner, asked: self._over_parts(call, parts, inner, asked, body.pit_keep_alive)
        )
        result.pit_id = pit
        return self._measured(result, started)

    async def _over_parts(
        self, call: Call, parts: Sequence[Part], body: SearchBody, request: SearchRequest, keep_alive: str | None
    ) -> SearchResult:
        """A view of a point in time is nowhere else: what does not answer has failed."""
        decided = self._decided(call, body, request)
        shards = sum(part.shards for part in parts)

        async def one(part: Part, *, runs: bool) -> SearchResult:
            asked = share(decided, elsewhere=shards - part.shards, runs=runs)
            wanted = msgspec.structs.replace(self._request(call, asked, {}, part.context), keep_alive=keep_alive)
            try:
                return await self._ask(part.node, call, wanted)
            except GONE:
                return gone(part)

        own_last = sorted(parts, key=lambda part: part.node == self._reach.own_id)
        results = await together([one(part, runs=False) for part in own_last])
        idle = None if request.may_skip_all else idle_part(results)
        if idle is not None:
            results[idle] = await one(own_last[idle], runs=True)
        return merged(results, request, body)


async def _finished(body: SearchBody, request: SearchRequest, gather: Gather) -> SearchResult:
    """The merged result, refused when too little answered, with the groups of a collapse."""
    result = await gather(body, request)
    if result.failed:
        check_failures(result, request)
    if body.collapse is not None and body.collapse.get("inner_hits") and result.hits:

        async def group(inner: SearchBody, asked: SearchRequest) -> SearchResult:
            of_search = {name: getattr(request, name) for name in ("options", "cluster_alias", "now_ms")}
            return await gather(inner, msgspec.structs.replace(asked, **of_search))

        await expand_groups(result.hits, body, group, totals_as_int=request.total_hits_as_int)
    return result


def _dated(request: SearchRequest) -> SearchRequest:
    """With the one moment that is now for all shards."""
    return request if request.now_ms is not None else msgspec.structs.replace(request, now_ms=clock.now_ms())
