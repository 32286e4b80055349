"""`_health_report`: indicators with a status, what it means and what mends it. Rooms bring indicators of their own.

Tests: tests/cluster/test_health_report.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hanse.cluster.health import Broken, cluster_health, no_shards
from hanse.cluster.requests import HEALTH_REPORT, ReadHealthReport
from hanse.cluster.updates import ClusterService
from hanse.errors import ResourceNotFoundError
from hanse.transport.actions import ActionRegistry, Call

Indicator = Callable[[], dict[str, Any]]
_WORST_FIRST = ("red", "yellow", "unknown", "green")


class HealthReport:
    """Handler. `indicators` are asked at every report; each gives `status`, `symptom`, `details` and what follows."""

    def __init__(
        self,
        cluster: ClusterService,
        indicators: Mapping[str, Indicator] | None = None,
        broken: Broken = no_shards,
    ) -> None:
        self._cluster = cluster
        self._broken = broken
        self._indicators = {
            "master_is_stable": self._master,
            "shards_availability": self._shards,
            **(indicators or {}),
        }

    def register(self, registry: ActionRegistry) -> None:
        registry.register(HEALTH_REPORT, self.report)

    async def report(self, call: Call, request: ReadHealthReport) -> dict[str, Any]:
        """Without `verbose` there are no details and no diagnosis. Raises ResourceNotFoundError for an indicator that
        does not exist."""
        if request.indicator is not None and request.indicator not in self._indicators:
            raise ResourceNotFoundError(f"Did not find indicator {request.indicator}")
        names = [request.indicator] if request.indicator is not None else [*self._indicators]
        found = {name: self._indicators[name]() for name in names}
        if not request.verbose:
            found = {name: {key: indicator[key] for key in ("status", "symptom")} for name, indicator in found.items()}
        answer: dict[str, Any] = {"cluster_name": self._cluster.state.cluster_name, "indicators": found}
        if request.indicator is None:
            statuses = {indicator["status"] for indicator in found.values()}
            answer = {"status": next(status for status in _WORST_FIRST if status in statuses), **answer}
        return answer

    def _master(self) -> dict[str, Any]:
        state = self._cluster.state
        master = state.nodes.get(state.master_node or "")
        if master is None:
            return {"status": "red", "symptom": "The cluster has no elected master node.", "details": {}}
        node = {"node_id": master.id, "name": master.name}
        symptom = "The cluster has a stable master node"
        return {"status": "green", "symptom": symptom, "details": {"current_master": node, "recent_masters": [node]}}

    def _shards(self) -> dict[str, Any]:
        health = cluster_health(self._cluster.state, broken=self._broken())
        unassigned = health["unassigned_shards"]
        indicator: dict[str, Any] = {
            "status": health["status"],
            "symptom": f"This cluster has {unassigned} unavailable replica shards."
            if unassigned
            else "This cluster has all shards available.",
            "details": {
                "started_primaries": health["active_primary_shards"],
                "started_replicas": health["active_shards"] - health["active_primary_shards"],
                "unassigned_primaries": health["unassigned_primary_shards"],
                "unassigned_replicas": unassigned - health["unassigned_primary_shards"],
            },
        }
        if unassigned:
            indicator["diagnosis"] = [
                {
                    "id": "hanse:health:shards_availability:diagnosis:increase_node_capacity",
                    "cause": "There are fewer data nodes than copies of each shard.",
                    "action": "Set [index.number_of_replicas] to [0], or add nodes.",
                    "affected_resources": {},
                    "help_url": "",
                }
            ]
        return indicator
