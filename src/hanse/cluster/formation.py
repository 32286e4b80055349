"""How a node comes to its cluster's state when it starts, and to its own id.

The first of several founders forms the cluster, by the one commit that can succeed; the others take what it made.
Tests: tests/cluster/test_formation.py.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog

from hanse import clock
from hanse.cluster import allocation
from hanse.cluster.state import ClusterState
from hanse.cluster.store import StateStore
from hanse.cluster.updates import ClusterService
from hanse.cluster.uuids import new_uuid
from hanse.errors import FencedError, SettingsError
from hanse.settings.node_settings import CLUSTER_NAME, INITIAL_MASTER_NODES, NODE_NAME
from hanse.settings.registry import Settings
from hanse.tls.pem_files import write_private

log = structlog.get_logger(__name__)

NODE_ID_FILE = "node.id"
FORMATION_POLL_S = 0.5


async def open_state(store: StateStore, settings: Settings, data_path: Path) -> ClusterService:
    """The state as it was committed last, or the first of a new cluster.

    Raises SettingsError when the data belong to a cluster of another name.
    """
    name = settings.read(CLUSTER_NAME)
    state = await store.load() or await _formed(store, settings)
    if state.cluster_name != name:
        raise SettingsError(
            f"the data folder [{data_path}] belongs to cluster [{state.cluster_name}], but [cluster.name] is [{name}]"
        )
    return ClusterService(store, state, derive=lambda old, new: allocation.reroute(old, new, clock.now_ms()))


async def _formed(store: StateStore, settings: Settings) -> ClusterState:
    """The first state of a new cluster: this node's or, where several begin it, that of the one which was first."""
    founders = settings.read(INITIAL_MASTER_NODES)
    may_form = not founders or settings.read(NODE_NAME) in founders
    while True:
        if may_form:
            first = ClusterState(settings.read(CLUSTER_NAME), new_uuid(), version=1)
            try:
                await store.commit(ClusterState("", ""), first)
                log.info("a new cluster was formed", cluster=first.cluster_name, uuid=first.cluster_uuid)
                return first
            except FencedError:
                log.info("another node formed the cluster first")
        found = await store.load()
        if found is not None:
            return found
        log.info("waiting for one of the founders to form the cluster", founders=founders)
        await asyncio.sleep(FORMATION_POLL_S)


def own_id(data_path: Path, state: ClusterState, name: str) -> str:
    """Stable over restarts. A folder of an earlier version has no file yet: its only node was this one."""
    file = data_path / NODE_ID_FILE
    if file.exists():
        return file.read_text().strip()
    nodes = state.nodes
    known = [node.id for node in nodes.values() if len(nodes) == 1 and node.name == name]
    node_id = known[0] if known else new_uuid()
    write_private(file, node_id.encode())
    return node_id
