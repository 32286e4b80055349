"""How the searches of a node reach the shards of the whole cluster.

Tests: tests/search/test_distribute.py, tests/search/test_spread_contexts.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from hanse.cluster.nodes import Nodes
from hanse.cluster.updates import ClusterService
from hanse.index.service import Indices
from hanse.search.contexts import Contexts
from hanse.search.copies import Copies
from hanse.transport.actions import Action, Call

Q = TypeVar("Q")
R = TypeVar("R")


class Reach(NamedTuple):
    """The shards here (`indices`) and everywhere (`copies`), the `contexts` kept here, and the way to the other
    `nodes`; without any this node stands alone."""

    cluster: ClusterService
    indices: Indices
    copies: Copies
    contexts: Contexts
    nodes: Nodes | None = None

    @property
    def own_id(self) -> str:
        return self.indices.own_id

    @property
    def node_ids(self) -> list[str]:
        """This one first."""
        return [self.own_id, *(node.id for node in (self.nodes.others() if self.nodes else ()))]

    @property
    def state_version(self) -> int:
        return self.cluster.state.version

    def is_here(self, node: str) -> bool:
        return self.nodes is None or node == self.own_id

    async def answered(
        self,
        node: str,
        call: Call,
        action: Action[Q, R],
        request: Q,
        here: Callable[[Call, Q], Awaitable[R]],
        *,
        timeout_s: float | None = None,
    ) -> R:
        """What a node answers to a part of the call: this one by `here`, its own handler of the action, another one
        through its gate and within `timeout_s`."""
        if self.nodes is None or node == self.own_id:
            return await here(call, request)
        return await self.nodes.forward(node, call, action, request, timeout_s=timeout_s)
