"""A bucket that fell behind what this node knows is refused, and put right only when told to."""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest
from tests.nats_servers import Connect

from hanse.cluster.jetstream.state_copy import CopiedStateStore
from hanse.cluster.jetstream.state_store import JetStreamStateStore
from hanse.cluster.state import ClusterState
from hanse.errors import SettingsError, ShardFailedError

EMPTY = ClusterState("c", "uuid")
STATES = [msgspec.structs.replace(EMPTY, version=version) for version in range(5)]


@pytest.fixture
async def bucket(connect: Connect, tmp_path: Path) -> JetStreamStateStore:
    store = JetStreamStateStore(await connect(), tmp_path.name)
    await store.open()
    return store


def over(bucket: JetStreamStateStore, folder: Path, *, restore: bool = False) -> CopiedStateStore:
    return CopiedStateStore(bucket, folder / "state.copy", restore=restore)


async def test_a_bucket_that_is_as_it_was_is_taken(bucket: JetStreamStateStore, tmp_path: Path) -> None:
    store = over(bucket, tmp_path)
    assert await store.load() is None
    await store.commit(EMPTY, STATES[1])
    assert stat.S_IMODE((tmp_path / "state.copy").stat().st_mode) == 0o600
    assert await over(bucket, tmp_path).load() == STATES[1]
    await bucket.commit(STATES[1], STATES[2])
    assert await over(bucket, tmp_path).load() == STATES[2], "the bucket may be ahead: others commit too"


@pytest.mark.parametrize("left", [0, 1])
async def test_a_bucket_that_lost_its_end_is_refused_until_told_to_put_the_copy_back(
    bucket: JetStreamStateStore, tmp_path: Path, left: int
) -> None:
    store = over(bucket, tmp_path)
    for version in range(3):
        await store.commit(STATES[version], STATES[version + 1])
    await bucket._js.delete_stream(bucket._stream)
    await bucket.open()
    bucket._seen = None
    if left:
        await bucket.commit(EMPTY, STATES[1])
    with pytest.raises(SettingsError, match=r"knows version \[3\].*hanse\.nats\.restore_state: true"):
        await over(bucket, tmp_path).load()
    assert await over(bucket, tmp_path, restore=True).load() == STATES[3]
    assert await bucket.load() == STATES[3]
    assert await over(bucket, tmp_path).load() == STATES[3]


async def test_the_state_of_another_cluster_is_refused(bucket: JetStreamStateStore, tmp_path: Path) -> None:
    await over(bucket, tmp_path).commit(EMPTY, STATES[1])
    other = msgspec.structs.replace(STATES[2], cluster_uuid="other")
    await bucket.commit(STATES[1], other)
    with pytest.raises(SettingsError, match=r"the state of cluster \[other\]"):
        await over(bucket, tmp_path, restore=True).load()


async def test_what_others_commit_is_kept_too(bucket: JetStreamStateStore, connect: Connect, tmp_path: Path) -> None:
    other = JetStreamStateStore(await connect(), tmp_path.name)
    await other.commit(EMPTY, STATES[1])
    watch = over(bucket, tmp_path).watch()
    assert await anext(watch) == STATES[1]
    assert msgspec.msgpack.decode((tmp_path / "state.copy").read_bytes(), type=ClusterState) == STATES[1]
    await watch.aclose()
    (tmp_path / "state.copy").write_bytes(b"damaged")
    with pytest.raises(ShardFailedError, match="cannot be read"):
        await over(bucket, tmp_path).load()
