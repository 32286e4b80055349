"""What talks to a remote cluster runs on a node that may: one with the role `remote_cluster_client`.

Another node passes such a request on, on behalf of the caller, so that any node takes it.
Tests: tests/replication/test_remote_client.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from hanse.cluster.nodes import Nodes
from hanse.cluster.state import ClusterState
from hanse.cluster.updates import ClusterService
from hanse.errors import ConnectTransportError, IllegalArgumentError, NodeDisconnectedError
from hanse.transport.actions import Action, Call

Q = TypeVar("Q", bound=msgspec.Struct)
R = TypeVar("R")


class RemoteClient:
    def __init__(self, cluster: ClusterService, nodes: Nodes, *, is_client: bool) -> None:
        """`is_client`: this node has the role itself."""
        self._cluster = cluster
        self._nodes = nodes
        self._is_client = is_client

    def handler(
        self, action: Action[Q, R], here: Callable[[Call, Q], Awaitable[R]]
    ) -> Callable[[Call, Q], Awaitable[R]]:
        """Of the action on this node: `here`, or asking a node that has the role. The request has a `state_version`."""
        if self._is_client:
            return here

        async def elsewhere(call: Call, request: Q) -> R:
            return await self._passed_on(call, action, request)

        return elsewhere

    async def _passed_on(self, call: Call, action: Action[Q, R], request: Q) -> R:
        """The first that can be reached is asked; whether one that was lost did it nobody knows."""
        asked = msgspec.structs.replace(request, state_version=self._cluster.state.version)
        failure: Exception = IllegalArgumentError(
            f"node [{self._nodes.name_of(self._nodes.own_id)}] does not have the remote cluster client role enabled"
        )
        for node in self._nodes.others():
            if node.is_remote_client:
                try:
                    return await self._nodes.forward(node.id, call, action, asked)
                except NodeDisconnectedError:
                    raise
                except ConnectTransportError as error:
                    failure = error
        raise failure


def watching_node(state: ClusterState) -> str | None:
    """The one node that looks for new leaders: the master or, where that lacks the role, the first that has it."""
    clients = [node.id for node in state.nodes.values() if node.is_remote_client]
    return state.master_node if state.master_node in clients else next(iter(clients), None)
