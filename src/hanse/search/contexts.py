"""Search contexts that outlive a request: scrolls and points in time, on this node (spread_contexts.py joins several).

A context keeps views of its shards open and belongs to the user who opened it; to anybody else it does not exist. It is
freed when its keep-alive passes without use, by a timer. Tests: tests/search/test_contexts.py.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import monotonic, perf_counter
from typing import Any

import msgspec

from hanse.errors import HanseError, IllegalArgumentError, SearchContextMissingError
from hanse.index.service import Indices
from hanse.search import pit_id
from hanse.search.body import SearchBody
from hanse.search.failures import all_shards_failed, error_object
from hanse.search.limits import SearchLimits
from hanse.search.pit_id import Part
from hanse.search.request import (
    Hit,
    OpenPitRequest,
    OpenPitResult,
    ScrollRequest,
    SearchRequest,
    SearchResult,
    ShardFailure,
)
from hanse.search.sort import SCORE, SHARD_DOC, SortKey
from hanse.search.views import ShardView, acquire_views, release
from hanse.settings.cluster_settings import MAX_KEEP_ALIVE
from hanse.settings.units import format_time, parse_time_s
from hanse.transport.actions import Call
from hanse.transport.identity import Identity

CONTEXTS_MAX = 500
Owner = tuple[str, str, str]


class TooManyScrollContextsError(HanseError):
    type = "too_many_scroll_contexts_exception"
    status = 429


@dataclass(slots=True)
class Context:
    """An open scroll or point in time."""

    id: str
    owner: Owner
    views: list[ShardView]
    keep_alive_s: float
    expires_at: float
    node: str = ""
    body: SearchBody | None = None
    request: SearchRequest | None = None
    total: int | None = None
    relation: str = "eq"
    in_use: int = 0
    is_closed: bool = False
    last: list[Any] | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def part(self) -> Part:
        return Part(self.node, self.id, len(self.views))


def new_id() -> str:
    return secrets.token_urlsafe(16)


def owner_of(identity: Identity) -> Owner:
    return (identity.realm.type, identity.realm.name, identity.username)


class Contexts:
    """All contexts of the node. `close` frees them."""

    def __init__(
        self,
        clock: Callable[[], float] = monotonic,
        limits: Callable[[], SearchLimits] = SearchLimits,
    ) -> None:
        """The limits are read anew for each context and search: they follow the cluster settings."""
        self._clock = clock
        self.limits = limits
        self._open: dict[str, Context] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for context in list(self._open.values()):
            self._free(context)

    # -- scrolls

    def check_scrolls(self) -> None:
        """Raises TooManyScrollContextsError where one more is not allowed."""
        most = self.limits().scrolls_max
        if len(self._open) >= most:
            raise TooManyScrollContextsError(
                f"Trying to create too many scroll contexts. Must be less than or equal to: [{most}]. "
                "This limit can be set by changing the [search.max_open_scroll_context] setting."
            )

    async def start_scroll(
        self, indices: Indices, call: Call, body: SearchBody, request: SearchRequest
    ) -> SearchResult:
        """The first page, and a context that continues after it. All shards are on this node."""
        keep_alive_s = self.read_keep_alive(request.scroll or "", "scroll")
        self.check_scrolls()
        views, failures = acquire_views(indices, call.targets, request.routing, request.preference)
        context = self.open_scroll(call.identity, views, keep_alive_s, indices.own_id, body, request)
        try:
            assert context.body is not None
            result = await self._page(context, context.body, failures)
        except BaseException:
            self._free(context)
            raise
        context.total, context.relation = result.total, result.relation
        return result

    def open_scroll(
        self,
        identity: Identity,
        views: list[ShardView],
        keep_alive_s: float,
        node: str,
        body: SearchBody,
        request: SearchRequest,
        id: str = "",
    ) -> Context:
        context = self.open(identity, views, keep_alive_s, node, id)
        context.body, context.request = continuable(body), request
        return context

    async def scroll(self, call: Call, request: ScrollRequest) -> SearchResult:
        """The next page of a scroll that is on this node alone. Raises what Elasticsearch says of one that is gone."""
        part = only(pit_id.scroll_parts(request.scroll_id), request.scroll_id)
        context = self._find(call.identity, part.context)
        if context is None or context.body is None:
            raise all_shards_failed([missing(part)])
        async with context.lock:
            self._prolong(context, request.scroll, "scroll")
            result = await self._page(context, _next(context), [])
            result.total, result.relation, result.aggregations = context.total, context.relation, None
            return result

    async def _page(self, context: Context, body: SearchBody, failures: list[ShardFailure]) -> SearchResult:
        from hanse.search.coordinate import search_views

        assert context.request is not None
        started = perf_counter()
        with self._using(context):
            result = await search_views(context.views, failures, body, context.request, self.limits())
        self._advance(context, result.hits)
        result.scroll_id = pit_id.encode((context.part,))
        result.took_ms = int((perf_counter() - started) * 1000)
        return result

    def _advance(self, context: Context, hits: list[Hit]) -> None:
        context.last = list(hits[-1].sort) if hits else None

    async def first_part(self, context: Context, failures: list[ShardFailure]) -> SearchResult:
        """What the shards here have for the first page of a scroll over several nodes."""
        assert context.body is not None
        result = await self._part(context, context.body, failures)
        context.total, context.relation = result.total, result.relation
        return result

    async def next_part(
        self, identity: Identity, context_id: str, keep_alive: str | None
    ) -> tuple[SearchResult, SearchRequest]:
        """What the shards here have for the next page, and what the scroll is. Raises SearchContextMissingError."""
        context = self._find(identity, context_id)
        if context is None or context.body is None or context.request is None:
            raise SearchContextMissingError(f"No search context found for id [{context_id}]")
        self._prolong(context, keep_alive, "scroll")
        result = await self._part(context, _next(context), [])
        result.total, result.relation, result.aggregations = context.total, context.relation, None
        return result, context.request

    async def _part(self, context: Context, body: SearchBody, failures: list[ShardFailure]) -> SearchResult:
        from hanse.search.coordinate import query_views

        request = context.request
        assert request is not None
        with self._using(context):
            return await query_views(context.views, failures, body, request, request.now_ms or 0, self.limits())

    def go_on(self, identity: Identity, context_id: str, last: list[Any]) -> None:
        """The page that all nodes made together ended at `last`: the next one begins behind it."""
        context = self._find(identity, context_id)
        if context is not None:
            context.last = last

    # -- points in time

    def check_points(self) -> None:
        """Raises TooManyScrollContextsError where one more is not allowed."""
        if len(self._open) >= CONTEXTS_MAX:
            raise TooManyScrollContextsError(
                f"Trying to create too many search contexts, the limit is [{CONTEXTS_MAX}]."
            )

    async def open_pit(self, indices: Indices, call: Call, request: OpenPitRequest) -> OpenPitResult:
        """All shards are on this node."""
        keep_alive_s = self.read_keep_alive(request.keep_alive, "keep_alive")
        self.check_points()
        views, failures = acquire_views(indices, call.targets, request.routing, request.preference)
        if failures and (not views or not request.allow_partial_search_results):
            release(views)
            raise all_shards_failed(failures, "open_search_context")
        context = self.open(call.identity, views, keep_alive_s, indices.own_id)
        names = tuple(sorted({view.index for view in views}))
        return OpenPitResult(
            pit_id.encode((context.part,), names), len(views) + len(failures), len(views), 0, len(failures)
        )

    @contextmanager
    def pit_views(self, call: Call, body: SearchBody) -> Iterator[list[ShardView]]:
        """The shards of the body's point in time, which is on this node alone, as the caller may see them now."""
        part = only(pit_id.parts_of(body.pit_id or ""), body.pit_id)
        try:
            with self.part_views(call, part.context, body.pit_keep_alive) as views:
                yield views
        except SearchContextMissingError as error:
            raise all_shards_failed([missing(part)]) from error

    @contextmanager
    def part_views(self, call: Call, context_id: str, keep_alive: str | None) -> Iterator[list[ShardView]]:
        """The shards that a point in time has on this node. Raises SearchContextMissingError."""
        context = self._find(call.identity, context_id)
        if context is None or context.body is not None:
            raise SearchContextMissingError(f"No search context found for id [{context_id}]")
        self._prolong(context, keep_alive, "keep_alive")
        visible = {target.index: target for target in call.targets.local}
        with self._using(context):
            yield [
                msgspec.structs.replace(view, target=visible[view.index])
                for view in context.views
                if view.index in visible
            ]

    # -- all contexts

    def read_keep_alive(self, text: str, name: str) -> float:
        return read_keep_alive(text, name, self.limits().keep_alive_max_s)

    def _prolong(self, context: Context, keep_alive: str | None, name: str) -> None:
        if keep_alive is not None:
            context.keep_alive_s = self.read_keep_alive(keep_alive, name)

    def open(self, identity: Identity, views: list[ShardView], keep_alive_s: float, node: str, id: str = "") -> Context:
        """`node` is this one; `id` is of `new_id`, where the node that asks has chosen it."""
        context = Context(id or new_id(), owner_of(identity), views, keep_alive_s, self._clock() + keep_alive_s, node)
        self._open[context.id] = context
        self._schedule()
        return context

    def _find(self, identity: Identity, context_id: str) -> Context | None:
        self.expire()
        context = self._open.get(context_id)
        return context if context is not None and context.owner == owner_of(identity) else None

    @contextmanager
    def _using(self, context: Context) -> Iterator[None]:
        """Views in use are not closed under a running search, and its time does not count as idle."""
        context.in_use += 1
        try:
            yield
        finally:
            context.in_use -= 1
            context.expires_at = self._clock() + context.keep_alive_s
            if context.is_closed and context.in_use == 0:
                release(context.views)

    def _free(self, context: Context) -> None:
        self._open.pop(context.id, None)
        context.is_closed = True
        if context.in_use == 0:
            release(context.views)

    def free(self, identity: Identity, context_ids: Iterable[str]) -> int:
        """Frees those that are the caller's; returns how many shards they held."""
        found = [self._find(identity, context_id) for context_id in context_ids]
        return self._freed([context for context in found if context is not None])

    def free_scrolls(self, identity: Identity) -> int:
        """The same for all of the caller's scrolls."""
        owner = owner_of(identity)
        return self._freed([c for c in self._open.values() if c.body is not None and c.owner == owner])

    def _freed(self, contexts: list[Context]) -> int:
        for context in contexts:
            self._free(context)
        return sum(len(context.views) for context in contexts)

    def expire(self) -> None:
        """Frees what nobody used for its keep-alive."""
        now = self._clock()
        for context in [c for c in self._open.values() if c.expires_at <= now and c.in_use == 0]:
            self._free(context)

    def _schedule(self) -> None:
        if self._timer is not None or not self._open:
            return
        wait = max(1.0, min(context.expires_at for context in self._open.values()) - self._clock())
        self._timer = asyncio.get_running_loop().call_later(wait, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.expire()
        self._schedule()


def _next(context: Context) -> SearchBody:
    """What the next page asks for: what comes behind the last one, without what only the first page has."""
    assert context.body is not None
    body = replace(
        context.body,
        plans={},
        aggregations=None,
        search_after=context.last,
        after_is_raw=True,
        track_total_hits=False,
    )
    if context.last is None:
        body.size = 0
    return body


def continuable(body: SearchBody) -> SearchBody:
    """A body whose order has no ties: a page can begin exactly behind the last. The added keys are not shown."""
    if body.sort:
        return replace(body, sort=(*body.sort, SortKey(SHARD_DOC)), hidden_keys=1, plans={})
    order = (SortKey(SCORE, descending=True), SortKey(SHARD_DOC))
    return replace(body, sort=order, hidden_keys=2, plans={})


def read_keep_alive(text: str, name: str, most_s: float = MAX_KEEP_ALIVE.default) -> float:
    seconds = parse_time_s(text, name)
    if seconds <= 0:
        raise IllegalArgumentError(f"keepAlive must be positive, got [{text}]")
    if seconds > most_s:
        raise IllegalArgumentError(
            f"Keep alive for request ({format_time(seconds)}) is too large. It must be less than "
            f"({format_time(most_s)}). This limit can be set by changing the [search.max_keep_alive] cluster "
            "level setting."
        )
    return seconds


def only(parts: tuple[Part, ...], text: str | None) -> Part:
    if len(parts) != 1:
        raise IllegalArgumentError(f"invalid id: [{text}]")
    return parts[0]


def missing(part: Part) -> ShardFailure:
    """What Elasticsearch says of shards whose context is gone."""
    cause = SearchContextMissingError(f"No search context found for id [{part.context}]")
    return ShardFailure(-1, None, error_object(cause), status=404)
