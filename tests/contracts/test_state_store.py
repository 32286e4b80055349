"""What every StateStore promises. An engine joins by adding itself to `ENGINES`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from hanse.cluster.embedded.state_store import SqliteStateStore
from hanse.cluster.state import ClusterState, IndexMetadata
from hanse.cluster.store import StateStore
from hanse.errors import FencedError


async def sqlite(folder: Path) -> StateStore:
    return SqliteStateStore(folder / "state" / "cluster.sqlite")


Open = Callable[[Path], Awaitable[StateStore]]
ENGINES: dict[str, Open] = {"embedded": sqlite}


@pytest.fixture(params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest) -> Open:
    return ENGINES[request.param]


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
