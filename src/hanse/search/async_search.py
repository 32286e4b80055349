"""Searches that outlive their request: `_async_search`.

A search runs as whoever submitted it, through the gate, like any other; its rendered answer is kept in the memory of
the node that took it. The id names that node, so every node can be asked; nobody but the submitter is answered, and
others cannot tell his searches from ones that are not there. What expires is gone, and so is all after a restart.
Rules: spec, ccs.md; the documentation of async search. Tests: tests/search/test_async_search.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from hanse import clock
from hanse.errors import HanseError, IllegalArgumentError, RejectedExecutionError, ResourceNotFoundError
from hanse.search import pit_id
from hanse.search.contexts import Owner, new_id, only, owner_of
from hanse.search.copies import ELSEWHERE
from hanse.search.merge import render
from hanse.search.pit_id import Part
from hanse.search.reach import Reach
from hanse.search.request import SEARCH, SearchRequest, SearchResult
from hanse.settings.units import format_time
from hanse.tasks import Tasks
from hanse.transport.actions import Acknowledged, Action, ActionRegistry, Call, Scope
from hanse.transport.wire_errors import WireError, from_wire, to_wire

WAIT_S, KEEP_ALIVE_S, KEEP_ALIVE_S_MIN = 1.0, 5 * 24 * 3600.0, 60.0
KEPT_MAX, KEPT_OF_ONE_MAX = 500, 100
KEPT_BYTES_MAX = 256 * 1024 * 1024
ASK_GRACE_S = 10.0
"""How much longer than it is to wait another node's answer may take."""


class SubmitAsyncSearch(msgspec.Struct, frozen=True):
    search: SearchRequest
    wait_s: float = WAIT_S
    keep_alive_s: float = KEEP_ALIVE_S
    keep_on_completion: bool = False


class AskAsyncSearch(msgspec.Struct, frozen=True):
    """`keep_alive_s` prolongs its life, counted from now."""

    id: str
    wait_s: float = 0.0
    keep_alive_s: float | None = None


class AsyncSearch(msgspec.Struct, frozen=True):
    """How one stands. Times are in milliseconds since 1970; `response` is JSON, and empty when the search failed."""

    id: str | None
    started_ms: int
    expires_ms: int
    completed_ms: int | None
    response: bytes
    error: WireError | None = None

    @property
    def is_running(self) -> bool:
        return self.completed_ms is None

    @property
    def failure(self) -> HanseError | None:
        return None if self.error is None else from_wire(self.error)


SUBMIT = Action("indices:data/read/async_search/submit", SubmitAsyncSearch, AsyncSearch, Scope.AUTHENTICATED)
GET = Action("indices:data/read/async_search/get", AskAsyncSearch, AsyncSearch, Scope.AUTHENTICATED)
DELETE = Action("indices:data/read/async_search/delete", AskAsyncSearch, Acknowledged, Scope.AUTHENTICATED)


@dataclass(eq=False)
class _Kept:
    id: str
    owner: Owner
    request: SearchRequest
    started_ms: int
    expires_ms: int
    running: asyncio.Task[None] | None = None
    expiry: asyncio.TimerHandle | None = None
    completed_ms: int | None = None
    response: bytes = b""
    error: HanseError | None = None
    is_awaited: bool = False
    """Whether the answer goes to who waits for it and is not kept: then it may be as long as any."""

    def shown(self, *, with_id: bool = True) -> AsyncSearch:
        response = self.response
        if self.completed_ms is None:
            response = render(SearchResult(), self.request)
        error = None if self.error is None else to_wire(self.error)
        return AsyncSearch(
            self.id if with_id else None, self.started_ms, self.expires_ms, self.completed_ms, response, error
        )


class AsyncSearches:
    """Handlers on every node, and the searches this node keeps."""

    def __init__(self, reach: Reach, tasks: Tasks, answer_bytes_max: Callable[[], int]) -> None:
        self._reach = reach
        self._tasks = tasks
        self._answer_bytes_max = answer_bytes_max
        self._kept: dict[str, _Kept] = {}

    def register(self, registry: ActionRegistry) -> None:
        registry.register(SUBMIT, self.submit)
        registry.register(GET, self.get)
        registry.register(DELETE, self.delete)

    async def submit(self, call: Call, request: SubmitAsyncSearch) -> AsyncSearch:
        """The answer when it is there in time, else what there is and an id to ask for it. A search that failed in time
        raises its error, unless it is to be kept."""
        if request.search.scroll is not None:
            raise IllegalArgumentError("[scroll] queries are not supported")
        _check_keep_alive(request.keep_alive_s)
        kept = self._begun(call, request)
        assert kept.running is not None
        try:
            await asyncio.wait((kept.running,), timeout=request.wait_s)
        except asyncio.CancelledError:  # the client went away and never learns the id
            self._forget(kept)
            raise
        kept.is_awaited = False
        if kept.completed_ms is None or request.keep_on_completion:
            return kept.shown()
        self._forget(kept)
        if kept.error is not None:
            raise kept.error
        return kept.shown(with_id=False)

    async def get(self, call: Call, request: AskAsyncSearch) -> AsyncSearch:
        node = _node_of(request.id)
        timeout_s = request.wait_s + ASK_GRACE_S
        try:
            return await self._reach.answered(node, call, GET, request, self._get_here, timeout_s=timeout_s)
        except ELSEWHERE as error:
            raise ResourceNotFoundError(request.id) from error

    async def delete(self, call: Call, request: AskAsyncSearch) -> Acknowledged:
        """Ends it when it still runs."""
        node = _node_of(request.id)
        try:
            return await self._reach.answered(node, call, DELETE, request, self._delete_here, timeout_s=ASK_GRACE_S)
        except ELSEWHERE as error:
            raise ResourceNotFoundError(request.id) from error

    async def _get_here(self, call: Call, request: AskAsyncSearch) -> AsyncSearch:
        kept = self._find(call, request.id)
        if request.keep_alive_s is not None:
            _check_keep_alive(request.keep_alive_s)
            self._expire_in(kept, request.keep_alive_s)
        if kept.running is not None and kept.completed_ms is None and request.wait_s:
            await asyncio.wait((kept.running,), timeout=request.wait_s)
        return kept.shown()

    async def _delete_here(self, call: Call, request: AskAsyncSearch) -> Acknowledged:
        self._forget(self._find(call, request.id))
        return Acknowledged()

    # -- what this node keeps

    def _begun(self, call: Call, request: SubmitAsyncSearch) -> _Kept:
        owner = owner_of(call.identity)
        own = sum(kept.owner == owner for kept in self._kept.values())
        size = sum(len(kept.response) for kept in self._kept.values())
        if own >= KEPT_OF_ONE_MAX or len(self._kept) >= KEPT_MAX or size > KEPT_BYTES_MAX:
            raise RejectedExecutionError(
                f"this node keeps [{own}] async searches of this user, [{len(self._kept)}] of all with [{size}] bytes; "
                f"delete some, or let them expire"
            )
        id = pit_id.encode((Part(self._reach.own_id, new_id(), 0),))
        kept = _Kept(id, owner, request.search, clock.now_ms(), 0, is_awaited=not request.keep_on_completion)
        self._kept[id] = kept
        self._expire_in(kept, request.keep_alive_s)
        kept.running = self._tasks.spawn("async search", self._run(call, kept))
        return kept

    async def _run(self, call: Call, kept: _Kept) -> None:
        try:
            result = await call.run(SEARCH, kept.request)
            response = render(result, kept.request)
            if not kept.is_awaited and len(response) > (most := self._answer_bytes_max()):
                raise IllegalArgumentError(
                    f"Can't store an async search response larger than [{most}] bytes. This limit can be set by "
                    f"changing the [search.max_async_search_response_size] setting."
                )
            kept.response = response
        except HanseError as error:
            kept.error = error
        except BaseException:
            kept.error = HanseError("the search ended without an answer; the log of the node that ran it says why")
            raise
        finally:
            kept.completed_ms = clock.now_ms()

    def _find(self, call: Call, id: str) -> _Kept:
        kept = self._kept.get(id)
        if kept is None or kept.owner != owner_of(call.identity):
            raise ResourceNotFoundError(id)
        return kept

    def _expire_in(self, kept: _Kept, seconds: float) -> None:
        if kept.expiry is not None:
            kept.expiry.cancel()
        kept.expires_ms = clock.now_ms() + int(seconds * 1000)
        kept.expiry = asyncio.get_running_loop().call_later(seconds, self._forget, kept)

    def _forget(self, kept: _Kept) -> None:
        self._kept.pop(kept.id, None)
        if kept.expiry is not None:
            kept.expiry.cancel()
        if kept.running is not None:
            kept.running.cancel()

    def close(self) -> None:
        for kept in list(self._kept.values()):
            self._forget(kept)


def _node_of(id: str) -> str:
    """The id is that of a context which holds no shard."""
    return only(pit_id.parts_of(id), id).node


def _check_keep_alive(seconds: float) -> None:
    if seconds < KEEP_ALIVE_S_MIN:
        raise IllegalArgumentError(
            f"[keep_alive] must be greater or equals than {format_time(KEEP_ALIVE_S_MIN)}, got: {format_time(seconds)}"
        )
