"""The action by which a connecting cluster learns which nodes a remote cluster has.

Every node serves it, to other nodes only. Tests: tests/remote/test_nodes.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from hanse.cluster.state import NodeMetadata
from hanse.transport.actions import Action, ActionRegistry, Call, Empty, Scope


class RemoteNodes(msgspec.Struct, frozen=True):
    nodes: tuple[NodeMetadata, ...]


NODES = Action("cluster:internal/remote_cluster/nodes", Empty, RemoteNodes, Scope.INTERNAL)


def register(registry: ActionRegistry, nodes: Callable[[], Sequence[NodeMetadata]]) -> None:
    """`nodes` gives the members of this cluster, as they are now."""

    async def list_nodes(call: Call, request: Empty) -> RemoteNodes:
        return RemoteNodes(tuple(nodes()))

    registry.register(NODES, list_nodes)
