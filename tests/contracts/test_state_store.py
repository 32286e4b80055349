"""What every StateStore promises. An engine joins by adding itself to `ENGINES`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from tests.nats_servers import Connect

from hanse.cluster.embedded.state_store import SqliteStateStore
from hanse.cluster.jetstream.state_store import JetStreamStateStore
from hanse.cluster.state import ClusterState, IndexMetadata
from hanse.cluster.store import StateStore
from hanse.errors import FencedError


async def sqlite(folder: Path, connect: Connect) -> StateStore:
    return SqliteStateStore(folder / "state" / "cluster.sqlite")


async def jetstream(folder: Path, connect: Connect) -> StateStore:
    store = JetStreamStateStore(await connect(), folder.name)
    await store.open()
    return store


Open = Callable[[Path], Awaitable[StateStore]]
ENGINES = {"embedded": sqlite, "jetstream": jetstream}


@pytest.fixture(params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest, connect: Connect) -> Open:
    return lambda folder: ENGINES[request.param](folder, connect)


@pytest.fixture
async def store(engine: Open, tmp_path: Path) -> AsyncIterator[StateStore]:
    made = await engine(tmp_path)
    yield made
    await made.close()


def version(number: int, name: str = "c") -> ClusterState:
    index = IndexMetadata(name="i", uuid="u", settings={"index.number_of_shards": "1"}, primary_terms=(1, 2))
    return ClusterState(name, "uuid", version=number, users={"u": {"hash": "x", "n": number}}).with_index(index)


async def test_nothing_is_there_at_first(store: StateStore) -> None:
    assert await store.load() is None


async def test_what_was_committed_is_loaded_equal(store: StateStore) -> None:
    await store.commit(ClusterState("c", "uuid"), version(1))
    await store.commit(version(1), version(2))
    assert await store.load() == version(2)


@pytest.mark.parametrize("expected", [0, 1, 3])
async def test_a_stale_or_future_version_is_fenced_off(store: StateStore, expected: int) -> None:
    await store.commit(version(0), version(1))
    await store.commit(version(1), version(2))
    with pytest.raises(FencedError, match=rf"expected cluster state version \[{expected}\] but \[2\]"):
        await store.commit(version(expected), version(expected + 1, "other"))
    assert await store.load() == version(2)


async def test_the_state_is_there_after_closing_and_opening(engine: Open, tmp_path: Path) -> None:
    first = await engine(tmp_path)
    await first.commit(version(0), version(1))
    await first.close()
    again = await engine(tmp_path)
    assert await again.load() == version(1)
    await again.close()


async def test_of_two_openers_only_one_wins_a_version(engine: Open, tmp_path: Path) -> None:
    one, two = await engine(tmp_path), await engine(tmp_path)
    await one.commit(version(0), version(1, "one"))
    with pytest.raises(FencedError):
        await two.commit(version(0), version(1, "two"))
    loaded = await two.load()
    assert msgspec.structs.asdict(loaded)["cluster_name"] == "one"  # type: ignore[arg-type]
    await one.close()
    await two.close()


# -- leases


async def test_a_lease_has_one_holder(store: StateStore) -> None:
    lease = await store.acquire("master", "one", 60)
    with pytest.raises(FencedError, match=r"\[master\] is held by \[one\]"):
        await store.acquire("master", "two", 60)
    assert (await store.acquire("other", "two", 60)).holder == "two"
    renewed = await store.renew(lease, 60)
    assert (renewed.token, renewed.holder) == (lease.token, "one")
    assert renewed.valid_until_s > lease.valid_until_s


async def test_a_lease_that_was_given_back_goes_to_the_next_with_a_higher_token(store: StateStore) -> None:
    first = await store.renew(await store.acquire("master", "one", 60), 60)
    await store.release(first)
    second = await store.acquire("master", "two", 60)
    assert second.token > first.token
    with pytest.raises(FencedError):
        await store.renew(first, 60)
    await store.release(first)
    with pytest.raises(FencedError):
        await store.acquire("master", "three", 60)


async def test_a_lease_runs_out(store: StateStore) -> None:
    first = await store.acquire("master", "one", 1)
    while True:
        try:
            second = await store.acquire("master", "two", 1)
            break
        except FencedError:
            await asyncio.sleep(0.02)
    assert time.monotonic() >= first.valid_until_s
    assert second.token > first.token
    with pytest.raises(FencedError):
        await store.renew(first, 1)


async def test_a_watch_shows_what_others_commit(engine: Open, tmp_path: Path) -> None:
    one, two = await engine(tmp_path), await engine(tmp_path)
    await one.commit(version(0), version(1))
    assert await two.load() == version(1)
    seen = [state async for state in two.watch()] if isinstance(two, SqliteStateStore) else None
    if seen is None:
        watch = two.watch()
        await one.commit(version(1), version(2))
        assert await anext(watch) == version(2)
        await one.commit(version(2), version(3))
        await one.commit(version(3), version(4))
        while (state := await anext(watch)) != version(4):
            assert state == version(3)
        await watch.aclose()  # type: ignore[attr-defined]
    else:
        assert seen == [], "a node is alone with its file"
    await one.close()
    await two.close()
