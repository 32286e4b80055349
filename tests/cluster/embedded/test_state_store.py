"""What the embedded state store promises beyond the contract: who may read the file, and what a damaged one does."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from hanse.cluster.embedded.state_store import SqliteStateStore
from hanse.cluster.state import ClusterState
from hanse.errors import ShardFailedError


async def test_the_files_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    store = SqliteStateStore(tmp_path / "cluster.sqlite")
    await store.commit(ClusterState("c", "u"), ClusterState("c", "u", version=1))
    modes = {part.name: stat.S_IMODE(part.stat().st_mode) for part in tmp_path.iterdir()}
    assert set(modes.values()) == {0o600}, modes
    await store.close()


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cluster.sqlite"
    path.write_bytes(b"something else entirely, and quite a lot of it too" * 100)
    with pytest.raises(ShardFailedError, match=r"cluster\.sqlite"):
        SqliteStateStore(path)
