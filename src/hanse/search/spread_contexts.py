"""Scrolls and points in time over several nodes, begun, continued and ended through any of them.

Theory of operation. Each node keeps a context for its own shards; the id names them all, so no node is special. A page
of a scroll is what each node has behind the last page, merged; then every node is told where the merged page ended,
and the next one begins there, through whichever node it is asked for. A context that is lost takes its shards with it.
Contexts belong to the user on every node. Tests: tests/search/test_spread_contexts.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from time import perf_counter

import msgspec

from hanse.errors import HanseError
from hanse.search import pit_id
from hanse.search.body import SearchBody, parse_request
from hanse.search.contexts import TooManyScrollContextsError, continuable, missing, new_id
from hanse.search.coordinate import check_failures, read_body
from hanse.search.copies import ELSEWHERE, Place
from hanse.search.failures import all_shards_failed, shard_failure
from hanse.search.parts import GONE, by_index, gone, lost_shards, merged, share, taken_out
from hanse.search.pit_id import Part
from hanse.search.reach import Reach
from hanse.search.request import (
    CLEAR_SCROLL,
    CLOSE_PIT,
    OPEN_PIT,
    SCROLL,
    ClearedContexts,
    ClearScrollRequest,
    ClosePitRequest,
    OpenPitRequest,
    OpenPitResult,
    ScrollRequest,
    SearchRequest,
    SearchResult,
)
from hanse.search.shard_requests import (
    BEGIN_SCROLL,
    FREE_CONTEXTS,
    GO_ON,
    OPEN_SHARDS,
    SCROLL_SHARDS,
    FreeContexts,
    FreedContexts,
    GoOn,
    OpenedShards,
    OpenShards,
    ScrolledShards,
    ScrollShards,
)
from hanse.search.views import acquire_named
from hanse.tasks import together
from hanse.transport.actions import ActionRegistry, Call, Empty

FREE_TIMEOUT_S = 10.0


class SpreadContexts:
    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._indices, self._copies, self._contexts = reach.indices, reach.copies, reach.contexts

    def register(self, registry: ActionRegistry) -> None:
        registry.register(SCROLL, self.scroll)
        registry.register(CLEAR_SCROLL, self.clear_scroll)
        registry.register(OPEN_PIT, self.open_pit)
        registry.register(CLOSE_PIT, self.close_pit)
        registry.register(OPEN_SHARDS, self._open_shards)
        registry.register(BEGIN_SCROLL, self._open_shards)
        registry.register(SCROLL_SHARDS, self._scroll_shards)
        registry.register(GO_ON, self._go_on)
        registry.register(FREE_CONTEXTS, self._free)

    # -- scrolls

    async def start_scroll(
        self, call: Call, places: Sequence[Place], body: SearchBody, request: SearchRequest
    ) -> SearchResult:
        """The first page, and contexts on the nodes that hold the shards. `now_ms` of the request is set, and
        `pre_filter_shard_size`."""
        keep_alive = request.scroll or ""
        self._contexts.read_keep_alive(keep_alive, "scroll")
        part = msgspec.structs.replace(request, final_reduce=False)
        opened, lost = await self._opened(call, places, keep_alive, part)
        results = [result for _, result in opened]
        if lost:
            results.append(lost_shards(lost, ""))
        parts = tuple(part for part, _ in opened if part.context)
        try:
            return await self._page(call, parts, results, part, continuable(body))
        except BaseException:
            await self._give_up(call, parts)
            raise

    async def scroll(self, call: Call, request: ScrollRequest) -> SearchResult:
        """The next page. Raises what Elasticsearch says of a scroll that is gone."""
        parts = pit_id.scroll_parts(request.scroll_id)
        if len(parts) == 1 and self._reach.is_here(parts[0].node):
            return await self._contexts.scroll(call, request)
        started = perf_counter()
        answers = await together([self._next(call, part, request.scroll) for part in self._own_last(parts)])
        search = next((answer.search for answer in answers if isinstance(answer, ScrolledShards)), None)
        if search is None:
            raise all_shards_failed([missing(part) for part in parts])
        results = [answer.result if isinstance(answer, ScrolledShards) else gone(answer) for answer in answers]
        result = await self._page(
            call, parts, results, search, replace(continuable(parse_request(search)), aggregations=None)
        )
        result.took_ms = int((perf_counter() - started) * 1000)
        return result

    async def _next(self, call: Call, part: Part, keep_alive: str | None) -> ScrolledShards | Part:
        """The part's share of the next page; the part itself when it is lost."""
        asked = ScrollShards(part.context, keep_alive)
        try:
            return await self._reach.answered(part.node, call, SCROLL_SHARDS, asked, self._scroll_shards)
        except GONE:
            return part

    async def _page(
        self,
        call: Call,
        parts: tuple[Part, ...],
        results: Sequence[SearchResult],
        request: SearchRequest,
        body: SearchBody,
    ) -> SearchResult:
        result = merged(results, request, body)
        if result.failed:
            check_failures(result, request)
        if result.hits:
            last = list(result.hits[-1].sort)
            await together([self._tell(call, part, last) for part in self._own_last(parts)])
        result.scroll_id = pit_id.encode(parts)
        return result

    async def _tell(self, call: Call, part: Part, last: list[object]) -> None:
        try:
            await self._reach.answered(part.node, call, GO_ON, GoOn(part.context, last), self._go_on)
        except GONE:
            # The next page will say so.
            return

    def _own_last(self, parts: Sequence[Part]) -> list[Part]:
        return sorted(parts, key=lambda part: self._reach.is_here(part.node))

    async def clear_scroll(self, call: Call, request: ClearScrollRequest) -> ClearedContexts:
        if request.scroll_ids == ("_all",):
            everywhere = FreeContexts(all_scrolls=True)
            freed = await together([self._freed(call, node, everywhere) for node in self._reach.node_ids])
            return ClearedContexts(True, sum(freed))
        parts = [part for text in request.scroll_ids for part in pit_id.scroll_parts(text)]
        return await self._cleared(call, parts)

    # -- points in time

    async def open_pit(self, call: Call, request: OpenPitRequest) -> OpenPitResult:
        if self._copies.all_serve_here(call.targets, request.preference):
            return await self._contexts.open_pit(self._indices, call, request)
        self._contexts.read_keep_alive(request.keep_alive, "keep_alive")
        places = self._copies.places(call.targets, request.routing, request.preference)
        opened, lost = await self._opened(call, places, request.keep_alive, None, request)
        results = [result for _, result in opened]
        if lost:
            results.append(lost_shards(lost, ""))
        parts = tuple(part for part, _ in opened if part.context)
        failures = [failure for result in results for failure in result.failures]
        if failures and (not parts or not request.allow_partial_search_results):
            await self._give_up(call, parts)
            raise all_shards_failed(failures, "open_search_context")
        lacking = {(failure.index, failure.shard) for failure in failures}
        names = tuple(sorted({place.index for place in places if (place.index, place.number) not in lacking}))
        successful = len(places) - len(failures)
        return OpenPitResult(pit_id.encode(parts, names), len(places), successful, 0, len(failures))

    async def close_pit(self, call: Call, request: ClosePitRequest) -> ClearedContexts:
        return await self._cleared(call, pit_id.parts_of(request.id))

    # -- opening and freeing on many nodes

    async def _opened(
        self,
        call: Call,
        places: Sequence[Place],
        keep_alive: str,
        scroll: SearchRequest | None,
        pit: OpenPitRequest | None = None,
    ) -> tuple[list[tuple[Part, SearchResult]], list[Place]]:
        """Each part with its first page, and the shards that no node answered for. The contexts are named here, so
        that they can be freed wherever they were opened when that fails on one of the nodes."""
        named: list[Part] = []
        options = (scroll or pit or SearchRequest()).options
        action = OPEN_SHARDS if scroll is None else BEGIN_SCROLL

        async def ask(node: str, group: list[Place]) -> tuple[tuple[Part, SearchResult], dict[int, HanseError]]:
            search = None
            if scroll is not None:
                # A context is not asked twice: the part with the first shard runs one for the answer's shape.
                has_first = any(place.ordinal == 0 for place in group)
                search = share(scroll, elsewhere=len(places) - len(group), runs=has_first)
            context = new_id()
            named.append(Part(node, context, 0))
            asked = OpenShards(
                call.targets.expression,
                by_index(group),
                keep_alive,
                self._reach.state_version,
                search,
                options,
                context,
            )
            opened = await self._reach.answered(node, call, action, asked, self._open_shards)
            refused = taken_out(opened.result, group, "")
            shards = len(group) - len(refused) - opened.result.failed
            return (Part(node, opened.context, shards), opened.result), refused

        try:
            return await self._copies.ask(places, ask)
        except BaseException:
            await self._give_up(call, named)
            raise

    async def _give_up(self, call: Call, parts: Sequence[Part]) -> None:
        """Frees contexts that nobody is told of; where that does not succeed their keep-alive ends them."""
        with suppress(HanseError):
            await self._cleared(call, parts)

    async def _cleared(self, call: Call, parts: Sequence[Part]) -> ClearedContexts:
        by_node: dict[str, list[str]] = {}
        for part in parts:
            by_node.setdefault(part.node, []).append(part.context)
        freed = await together(
            [self._freed(call, node, FreeContexts(tuple(contexts))) for node, contexts in by_node.items()]
        )
        return ClearedContexts(True, sum(freed))

    async def _freed(self, call: Call, node: str, request: FreeContexts) -> int:
        """A node that is gone holds nothing any more."""
        try:
            freed = await self._reach.answered(node, call, FREE_CONTEXTS, request, self._free, timeout_s=FREE_TIMEOUT_S)
            return freed.shards
        except ELSEWHERE:
            return 0

    # -- what is asked of this node, by itself or by another one

    async def _open_shards(self, call: Call, request: OpenShards) -> OpenedShards:
        name = "keep_alive" if request.scroll is None else "scroll"
        keep_alive_s = self._contexts.read_keep_alive(request.keep_alive, name)
        try:
            if request.scroll is None:
                self._contexts.check_points()
            else:
                self._contexts.check_scrolls()
        except TooManyScrollContextsError as error:
            return OpenedShards("", self._refused(request, error))
        body = None if request.scroll is None else await read_body(self._indices, call, request.scroll)
        views, failures = acquire_named(self._indices, call.targets, request.shards)
        if not views:
            return OpenedShards("", SearchResult(total_shards=len(failures), failed=len(failures), failures=failures))
        own_id = self._reach.own_id
        if body is None or request.scroll is None:
            context = self._contexts.open(call.identity, views, keep_alive_s, own_id, request.context)
            total = len(views) + len(failures)
            return OpenedShards(context.id, SearchResult(0, False, total, len(views), 0, len(failures), failures))
        context = self._contexts.open_scroll(
            call.identity, views, keep_alive_s, own_id, body, request.scroll, request.context
        )
        try:
            return OpenedShards(context.id, await self._contexts.first_part(context, failures))
        except BaseException:
            self._contexts.free(call.identity, (context.id,))
            raise

    def _refused(self, request: OpenShards, error: HanseError) -> SearchResult:
        failures = [
            shard_failure(index, number, error, node=self._reach.own_id)
            for index, shards in request.shards.items()
            for number, _ in shards
        ]
        return SearchResult(total_shards=len(failures), failed=len(failures), failures=failures)

    async def _scroll_shards(self, call: Call, request: ScrollShards) -> ScrolledShards:
        return ScrolledShards(*await self._contexts.next_part(call.identity, request.context, request.keep_alive))

    async def _go_on(self, call: Call, request: GoOn) -> Empty:
        self._contexts.go_on(call.identity, request.context, request.last)
        return Empty()

    async def _free(self, call: Call, request: FreeContexts) -> FreedContexts:
        if request.all_scrolls:
            return FreedContexts(self._contexts.free_scrolls(call.identity))
        return FreedContexts(self._contexts.free(call.identity, request.contexts))
