"""Searches that outlive their request: who gets them, when they end, what is kept of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.several_nodes import several_nodes
from tests.two_clusters import until

from hanse.errors import HanseError, IllegalArgumentError, IndexNotFoundError, ResourceNotFoundError
from hanse.search.async_search import DELETE, GET, SUBMIT, AskAsyncSearch, AsyncSearch, AsyncSearches, SubmitAsyncSearch
from hanse.search.request import SEARCH, SearchRequest, SearchResult
from hanse.tasks import Tasks
from hanse.transport.actions import Action, Call, Origin, Targets
from hanse.transport.identity import Identity

from .searching import ALICE, BOB, Library, library

SEARCHED = SearchRequest(indices=("books",))


class Held:
    """Async searches of one node whose inner searches end when told to."""

    def __init__(self, here: Library) -> None:
        self.tasks = Tasks()
        self.bytes_max = 10_000
        self.searches = AsyncSearches(here.reach, self.tasks, lambda: self.bytes_max)
        self.may_end = asyncio.Event()
        self.outcome: SearchResult | HanseError = SearchResult(total=7)
        self.cancelled = 0

    def call(self, identity: Identity = ALICE) -> Call:
        async def run(action: Action[Any, Any], request: Any) -> Any:
            assert (action, request) == (SEARCH, SEARCHED)
            try:
                await self.may_end.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
            if isinstance(self.outcome, HanseError):
                raise self.outcome
            return self.outcome

        return Call(SEARCH, identity, Origin(), Targets(), run)

    async def submit(self, **more: Any) -> AsyncSearch:
        return await self.searches.submit(self.call(), SubmitAsyncSearch(SEARCHED, **{"wait_s": 0.0, **more}))

    async def get(self, id: str | None, identity: Identity = ALICE, **more: Any) -> AsyncSearch:
        assert id is not None
        return await self.searches.get(self.call(identity), AskAsyncSearch(id, **more))


@pytest.fixture
async def held(tmp_path: Path) -> AsyncIterator[Held]:
    async with library(tmp_path) as here:
        made = Held(here)
        yield made
        made.searches.close()
        await made.tasks.close()


def total(state: AsyncSearch) -> int:
    found: int = orjson.loads(state.response)["hits"]["total"]["value"]
    return found


async def test_an_answer_in_time_is_given_and_not_kept(held: Held) -> None:
    held.may_end.set()
    state = await held.submit(wait_s=30.0)
    assert (state.id, state.is_running, total(state)) == (None, False, 7)
    kept = await held.submit(wait_s=30.0, keep_on_completion=True)
    assert total(await held.get(kept.id)) == 7


async def test_what_takes_longer_is_asked_for_later(held: Held) -> None:
    state = await held.submit()
    assert state.is_running
    assert total(state) == 0
    assert (await held.get(state.id)).is_running
    asking = asyncio.create_task(held.get(state.id, wait_s=30.0))
    held.may_end.set()
    found = await asking
    assert (found.is_running, total(found)) == (False, 7)
    assert found.completed_ms is not None


async def test_nobody_else_is_answered_and_none_can_tell(held: Held) -> None:
    state = await held.submit()
    with pytest.raises(ResourceNotFoundError) as of_bob:
        await held.get(state.id, BOB)
    await held.searches.delete(held.call(), AskAsyncSearch(state.id or ""))
    with pytest.raises(ResourceNotFoundError) as of_nobody:
        await held.get(state.id, BOB)
    assert str(of_bob.value) == str(of_nobody.value)
    with pytest.raises(IllegalArgumentError, match=r"invalid id: \[made up\]"):
        await held.get("made up")


async def test_deleting_ends_it(held: Held) -> None:
    state = await held.submit()
    with pytest.raises(ResourceNotFoundError):
        await held.searches.delete(held.call(BOB), AskAsyncSearch(state.id or ""))
    await held.searches.delete(held.call(), AskAsyncSearch(state.id or ""))
    await until(lambda: held.cancelled == 1)
    with pytest.raises(ResourceNotFoundError):
        await held.get(state.id)


async def test_who_goes_away_while_waiting_leaves_nothing(held: Held) -> None:
    submitting = asyncio.create_task(held.submit(wait_s=30.0))
    await asyncio.sleep(0)
    submitting.cancel()
    await until(lambda: held.cancelled == 1)


async def test_a_failure_is_raised_in_time_and_kept_later(held: Held) -> None:
    held.outcome = IndexNotFoundError.of("books")
    state = await held.submit()
    held.may_end.set()
    with pytest.raises(IndexNotFoundError):
        await held.submit(wait_s=30.0)
    found = await held.get(state.id, wait_s=30.0)
    assert (found.is_running, found.response) == (False, b"")
    assert isinstance(found.failure, IndexNotFoundError)


async def test_a_life_ends_and_is_prolonged(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(IllegalArgumentError, match=r"\[keep_alive\] must be greater or equals than 1m, got: 30s"):
        await held.submit(keep_alive_s=30.0)
    monkeypatch.setattr("hanse.search.async_search.KEEP_ALIVE_S_MIN", 0.0)
    lasting = await held.submit()
    ending = await held.submit(keep_alive_s=0.05)
    await until(lambda: held.cancelled == 1)
    with pytest.raises(ResourceNotFoundError):
        await held.get(ending.id)
    assert (await held.get(lasting.id, keep_alive_s=10**6)).expires_ms > lasting.expires_ms


async def test_only_so_much_is_kept(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    held.may_end.set()
    held.bytes_max = 10
    assert total(await held.submit(wait_s=30.0)) == 7
    refused = await held.submit(wait_s=30.0, keep_on_completion=True)
    assert "larger than [10] bytes" in str(refused.failure)
    for limit, who in (("KEPT_OF_ONE_MAX", ALICE), ("KEPT_MAX", BOB)):
        monkeypatch.setattr(f"hanse.search.async_search.{limit}", 1)
        with pytest.raises(HanseError, match="delete some, or let them expire") as raised:
            await held.searches.submit(held.call(who), SubmitAsyncSearch(SEARCHED))
        assert raised.value.status == 429


async def test_a_scroll_is_refused(held: Held) -> None:
    scrolled = SubmitAsyncSearch(SearchRequest(indices=("books",), scroll="1m"))
    with pytest.raises(IllegalArgumentError, match=r"\[scroll\] queries are not supported"):
        await held.searches.submit(held.call(), scrolled)


async def test_any_node_of_the_cluster_can_be_asked(tmp_path: Path) -> None:
    async with several_nodes(tmp_path, 2) as cluster:
        await cluster.create("books")
        await cluster.write("books", [{"n": n} for n in range(20)])
        submitted = SubmitAsyncSearch(SEARCHED, wait_s=30.0, keep_on_completion=True)
        state = await cluster.run(SUBMIT, submitted, 0)
        assert total(await cluster.run(GET, AskAsyncSearch(state.id), 1)) == 20
        with pytest.raises(ResourceNotFoundError):
            await cluster.run(GET, AskAsyncSearch(state.id), 1, BOB)
        await cluster.run(DELETE, AskAsyncSearch(state.id), 1)
        with pytest.raises(ResourceNotFoundError):
            await cluster.run(GET, AskAsyncSearch(state.id), 0)
        orphan = await cluster.run(SUBMIT, submitted, 1)
        await cluster.stop(cluster.nodes[1])
        with pytest.raises(ResourceNotFoundError):
            await cluster.run(GET, AskAsyncSearch(orphan.id), 0)
