"""The engine as a whole, as a node opens it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hanse.cluster.embedded.state_store import SqliteStateStore
from hanse.cluster.engine import Surroundings, open_engine
from hanse.cluster.log import Batch, Operation
from hanse.errors import SettingsError
from hanse.settings.registry import RawValue, Settings


def around(folder: Path, **settings: RawValue) -> Surroundings:
    chosen = Settings({"hanse.cluster.engine": "jetstream", "hanse.nats.client_port": "0", **settings})
    return Surroundings(chosen, {}, folder, folder / "data", folder / "logs", None)


async def test_logs_are_there_again_and_go_with_their_index(tmp_path: Path) -> None:
    engine = await open_engine(around(tmp_path))
    log = engine.commit_log("uuid", 0)
    assert log is not None
    await log.attach(0, b"")
    await log.append(Batch(1, [Operation(0, 1, "a", 1, False, None, b"{}")]), 0)
    await engine.close()
    engine = await open_engine(around(tmp_path))
    log = engine.commit_log("uuid", 0)
    assert log is not None
    await log.attach(0, b"")
    assert await log.last() == 1
    await engine.forget("uuid", 2)
    await log.attach(0, b"")
    assert await log.last() == 0
    await engine.close()


async def test_a_data_folder_of_the_other_engine_is_refused(tmp_path: Path) -> None:
    await SqliteStateStore(tmp_path / "data" / "state.sqlite").close()
    with pytest.raises(SettingsError, match="holds the state of a cluster that was run with"):
        await open_engine(around(tmp_path))


async def test_external_servers_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"\[hanse\.nats\.servers\] names no nats-server"):
        await open_engine(around(tmp_path, **{"hanse.nats.mode": "external"}))
