"""A cluster of one node for tests of a room: a real cluster state whose shards are allocated to that node, and a gate
without security before its actions."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import msgspec

from hanse import clock
from hanse.cluster.allocation import reroute, with_member
from hanse.cluster.engine import Engine
from hanse.cluster.names import ClusterNames
from hanse.cluster.security_entries import ClusterSecurityStore
from hanse.cluster.state import ClusterState, NodeMetadata
from hanse.cluster.store import StateStore
from hanse.cluster.updates import ClusterService
from hanse.index.service import Indices
from hanse.security.gate import Gate
from hanse.security.role_store import RoleStore
from hanse.settings.registry import Settings
from hanse.transport.actions import Action, ActionRegistry, Origin
from hanse.transport.identity import Identity

CRANE = NodeMetadata("n1", "crane", "127.0.0.1:9300", "127.0.0.1:9200")


def cluster_of_one(store: StateStore, state: ClusterState | None = None) -> ClusterService:
    """The service over `state` (or an empty one), with `CRANE` as its only member and master."""
    joined = with_member(state or ClusterState("test", "cluster-uuid"), CRANE, clock.now_ms())
    return ClusterService(
        store,
        msgspec.structs.replace(joined, master_node=CRANE.id),
        derive=lambda old, new: reroute(old, new, clock.now_ms()),
    )


def indices_of_one(
    cluster: ClusterService, folder: Path, settings: Settings | None = None, engine: Engine | None = None
) -> Indices:
    return Indices(cluster, folder, settings, engine, own_id=lambda: CRANE.id)


class Asking:
    """Runs actions of a registry as somebody who may do everything."""

    def __init__(self, cluster: ClusterService) -> None:
        self.registry = ActionRegistry()
        self.gate = Gate(
            registry=self.registry,
            catalogue=ClusterNames(lambda: cluster.state),
            realms=cast(Any, None),
            roles=RoleStore(ClusterSecurityStore(cluster)),
            enabled=False,
        )

    async def run(self, action: Action[Any, Any], request: Any) -> Any:
        return await self.gate.run(action, request, Identity("anybody", ()), Origin())
