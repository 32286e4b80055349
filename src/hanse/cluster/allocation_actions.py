"""The cluster actions about allocation: reroute and explain.

Tests: tests/cluster/test_allocation_actions.py.
"""

from __future__ import annotations

from typing import Any

from hanse import clock
from hanse.cluster.allocation import reroute
from hanse.cluster.allocation.commands import commanded, retried
from hanse.cluster.allocation.explain import explained
from hanse.cluster.requests import ALLOCATION_EXPLAIN, REROUTE, ExplainAllocation, Reroute
from hanse.cluster.state import ClusterState
from hanse.cluster.state_view import shown_state
from hanse.cluster.updates import ClusterService
from hanse.transport.actions import ActionRegistry, Call


class AllocationActions:
    def __init__(self, cluster: ClusterService) -> None:
        self._cluster = cluster

    def register(self, registry: ActionRegistry) -> None:
        registry.register(REROUTE, self.reroute)
        registry.register(ALLOCATION_EXPLAIN, self.explain)

    async def reroute(self, call: Call, request: Reroute) -> dict[str, Any]:
        """The commands, in order and all or none; a dry run shows what they would lead to.

        Raises IllegalArgumentError and IndexNotFoundError for a command that is not possible.
        """
        explanations: list[dict[str, Any]] = []

        def change(state: ClusterState) -> ClusterState:
            changed, explanations[:] = commanded(state, request.commands, clock.now_ms(), explain=request.explain)
            return retried(changed, clock.now_ms()) if request.retry_failed else changed

        if request.dry_run:
            before = self._cluster.state
            state = reroute(before, change(before), clock.now_ms())
        else:
            state = await self._cluster.update("cluster_reroute (api)", change)
        shown: dict[str, Any] = {"cluster_uuid": state.cluster_uuid, "version": state.version}
        if request.metrics and "none" not in request.metrics:
            shown |= shown_state(state, sorted(state.indices), set(request.metrics))
        answer: dict[str, Any] = {"acknowledged": True, "state": shown}
        return {**answer, "explanations": explanations} if request.explain else answer

    async def explain(self, call: Call, request: ExplainAllocation) -> dict[str, Any]:
        return explained(self._cluster.state, request, clock.now_ms())
