"""How a node comes to its cluster's state and to its own id."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest
from tests.one_node import CRANE
from tests.shared_engine import SharedState

from hanse.cluster.formation import NODE_ID_FILE, open_state, own_id
from hanse.cluster.state import ClusterState
from hanse.errors import SettingsError
from hanse.settings.registry import Settings


def settings(node: str = "crane", founders: str = "", cluster: str = "berlin") -> Settings:
    values = {"cluster.name": cluster, "node.name": node}
    return Settings(values | ({"cluster.initial_master_nodes": founders} if founders else {}))


async def test_a_node_alone_forms_its_cluster_and_finds_it_again(tmp_path: Path) -> None:
    store = SharedState()
    formed = (await open_state(store, settings(), tmp_path)).state
    assert (formed.cluster_name, formed.version) == ("berlin", 1)
    assert (await open_state(store, settings(), tmp_path)).state.cluster_uuid == formed.cluster_uuid


async def test_founders_that_begin_together_form_one_cluster(tmp_path: Path) -> None:
    store, founders = SharedState(), "crane,gull,heron"
    opened = await asyncio.gather(
        *(open_state(store, settings(name, founders), tmp_path) for name in founders.split(","))
    )
    assert len({one.state.cluster_uuid for one in opened}) == 1


async def test_who_is_no_founder_waits_for_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hanse.cluster.formation.FORMATION_POLL_S", 0)
    store = SharedState()
    waiting = asyncio.create_task(open_state(store, settings("tern", "crane"), tmp_path))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not waiting.done()
    assert await store.load() is None
    formed = (await open_state(store, settings("crane", "crane"), tmp_path)).state
    assert (await waiting).state.cluster_uuid == formed.cluster_uuid


async def test_data_of_another_cluster_stop_the_start(tmp_path: Path) -> None:
    store = SharedState()
    await open_state(store, settings(cluster="berlin"), tmp_path)
    with pytest.raises(SettingsError, match=r"belongs to cluster \[berlin\], but \[cluster.name\] is \[munich\]"):
        await open_state(store, settings(cluster="munich"), tmp_path)


def test_a_node_keeps_its_id_in_a_file_that_is_its_own(tmp_path: Path) -> None:
    drawn = own_id(tmp_path, ClusterState("berlin", "u"), "crane")
    assert own_id(tmp_path, ClusterState("berlin", "u"), "renamed") == drawn
    assert stat.S_IMODE((tmp_path / NODE_ID_FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize(("name", "is_it"), [(CRANE.name, True), ("somebody else", False)])
def test_a_folder_without_the_file_was_of_its_only_node(tmp_path: Path, name: str, is_it: bool) -> None:
    state = ClusterState("berlin", "u", nodes={CRANE.id: CRANE})
    assert (own_id(tmp_path, state, name) == CRANE.id) is is_it
