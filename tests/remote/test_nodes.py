from __future__ import annotations

from hanse.cluster.state import NodeMetadata
from hanse.remote.nodes import NODES, RemoteNodes, register
from hanse.transport.actions import ActionRegistry, Call, Empty, Origin, Scope, Targets
from hanse.transport.identity import SYSTEM


async def test_the_nodes_are_listed_as_they_are_now() -> None:
    members = [NodeMetadata("1", "a", "10.0.0.1:9300", "10.0.0.1:9200")]
    registry = ActionRegistry()
    register(registry, lambda: members)
    members.append(NodeMetadata("2", "b", "10.0.0.2:9300", ""))

    async def run(action: object, request: object) -> None:
        raise AssertionError

    call = Call(NODES, SYSTEM, Origin(), Targets(), run)
    assert await registry.handler(NODES)(call, Empty()) == RemoteNodes(tuple(members))


def test_only_nodes_may_ask() -> None:
    assert NODES.scope is Scope.INTERNAL
    assert NODES.name == "cluster:internal/remote_cluster/nodes"
