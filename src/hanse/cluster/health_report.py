"""`_health_report`: indicators with a status, what it means and what mends it. Rooms bring indicators of their own.

Tests: tests/cluster/test_health_report.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hanse.cluster.broadcast import Broadcast
from hanse.cluster.requests import HEALTH_OF_NODE, HEALTH_REPORT, OfNode, ReadHealthReport
from hanse.cluster.shard_health import ORDER, index_counts
from hanse.cluster.state import ClusterState
from hanse.cluster.updates import ClusterService
from hanse.errors import ResourceNotFoundError
from hanse.transport.actions import ActionRegistry, Call

Indicator = Callable[[], dict[str, Any]]
_WORST_FIRST = ("red", "yellow", "unknown", "green")
_KINDS = ("primaries", "replicas")
_WHAT = ("creating", "initializing", "restarting", "started", "unassigned")
_SAID = (
    ("unassigned_primaries", "unavailable", "primary"),
    ("creating_primaries", "creating", "primary"),
    ("initializing_primaries", "initializing", "primary"),
    ("restarting_primaries", "restarting", "primary"),
    ("unassigned_replicas", "unavailable", "replica"),
    ("initializing_replicas", "initializing", "replica"),
    ("restarting_replicas", "restarting", "replica"),
)
"""What a symptom counts, and in which words."""


class HealthReport:
    """Handler. `indicators` are asked at every report; each gives `status`, `symptom`, `details` and what follows.

    Those `of_nodes` are asked of every node and become one: the worst status, and under `details.nodes` each node's.
    """

    def __init__(
        self,
        cluster: ClusterService,
        indicators: Mapping[str, Indicator] | None = None,
        of_nodes: Mapping[str, Indicator] | None = None,
        broadcast: Broadcast | None = None,
    ) -> None:
        self._of_nodes = of_nodes or {}
        self._broadcast = broadcast or Broadcast(cluster)
        self._cluster = cluster
        self._indicators = {
            "master_is_stable": self._master,
            "shards_availability": self._shards,
            **(indicators or {}),
        }

    def register(self, registry: ActionRegistry) -> None:
        registry.register(HEALTH_REPORT, self.report)
        registry.register(HEALTH_OF_NODE, self.own)

    async def report(self, call: Call, request: ReadHealthReport) -> dict[str, Any]:
        """Without `verbose` there are no details and no diagnosis. Raises ResourceNotFoundError for an indicator that
        does not exist."""
        names = [*self._indicators, *self._of_nodes] if request.indicator is None else [request.indicator]
        if not self._indicators.keys() | self._of_nodes.keys() >= set(names):
            raise ResourceNotFoundError(f"Did not find indicator {request.indicator}")
        found = {name: self._indicators[name]() for name in names if name in self._indicators}
        found |= await self._from_nodes(call, tuple(name for name in names if name in self._of_nodes))
        if not request.verbose:
            found = {name: {key: indicator[key] for key in ("status", "symptom")} for name, indicator in found.items()}
        answer: dict[str, Any] = {"cluster_name": self._cluster.state.cluster_name, "indicators": found}
        if request.indicator is None:
            statuses = {indicator["status"] for indicator in found.values()}
            answer = {"status": next(status for status in _WORST_FIRST if status in statuses), **answer}
        return answer

    async def own(self, call: Call, request: OfNode) -> dict[str, Any]:
        """This node's part of the indicators that every node has."""
        return {name: self._of_nodes[name]() for name in request.metrics if name in self._of_nodes}

    async def _from_nodes(self, call: Call, names: tuple[str, ...]) -> dict[str, Any]:
        if not names:
            return {}
        asked = await self._broadcast.ask_chosen(call, (), HEALTH_OF_NODE, OfNode(names))
        known = self._cluster.state.nodes
        found: dict[str, Any] = {}
        for name in names:
            parts = {known[id].name if id in known else id: answer[name] for id, answer in asked.answers.items()}
            for id, error in asked.failures.items():
                why = f"The node did not answer: {error.reason}"
                parts[known[id].name if id in known else id] = {"status": "unknown", "symptom": why, "details": {}}
            found[name] = next(iter(parts.values())) if len(parts) == 1 else _joined(parts)
        return found

    def _master(self) -> dict[str, Any]:
        state = self._cluster.state
        master = state.nodes.get(state.master_node or "")
        if master is None:
            return {"status": "red", "symptom": "The cluster has no elected master node.", "details": {}}
        node = {"node_id": master.id, "name": master.name}
        symptom = "The cluster has a stable master node"
        return {"status": "green", "symptom": symptom, "details": {"current_master": node, "recent_masters": [node]}}

    def _shards(self) -> dict[str, Any]:
        state = self._cluster.state
        details = _shard_details(state)
        statuses = {name: index_counts(state, name).status for name in state.indices}
        status = max(statuses.values(), key=ORDER.__getitem__, default="green")
        indicator: dict[str, Any] = {"status": status, "symptom": _symptom(details), "details": details}
        diagnoses = [*_diagnoses(state)]
        if diagnoses:
            indicator["diagnosis"] = diagnoses
        return indicator


def _shard_details(state: ClusterState) -> dict[str, int]:
    """Primaries and replicas by what they are doing. Being created is not being unavailable, nor is restarting."""
    details = {f"{what}_{kind}": 0 for kind in _KINDS for what in _WHAT}
    for shards in state.routing.values():
        for shard in shards:
            for copy in shard.copies:
                if not copy.is_target:
                    what = "started" if copy.is_active else "initializing"
                    if copy.is_primary and not copy.is_active and not shard.in_sync:
                        what = "creating"
                    details[f"{what}_{_KINDS[not copy.is_primary]}"] += 1
            for info in shard.unassigned:
                restarting = info.reason == "NODE_RESTARTING" and info.delayed_until_ms > 0
                details[f"{'restarting' if restarting else 'unassigned'}_{_KINDS[not info.is_primary]}"] += 1
    return details


def _symptom(details: dict[str, int]) -> str:
    said = [
        f"{count} {what} {kind} shard{'s' if count > 1 else ''}" for key, what, kind in _SAID if (count := details[key])
    ]
    return f"This cluster has {', '.join(said)}." if said else "This cluster has all shards available."


def _diagnoses(state: ClusterState) -> Iterator[dict[str, Any]]:
    """What keeps copies from being assigned, the worst first."""
    waiting = {name: [info for shard in shards for info in shard.unassigned] for name, shards in state.routing.items()}
    lost = [name for name, infos in waiting.items() if any(info.is_primary for info in infos)]
    if lost:
        yield _diagnosis(
            "no_valid_copy",
            "No node that holds the data of a primary is in the cluster, or its copy could not be opened.",
            "Start the nodes that held them, see [GET /_cluster/allocation/explain], or take what is left with the "
            "command [allocate_stale_primary] of [POST /_cluster/reroute].",
            lost,
        )
    replicas = [name for name, infos in waiting.items() if any(not info.is_primary for info in infos)]
    delayed = [name for name in replicas if any(info.delayed_until_ms for info in waiting[name])]
    if delayed:
        yield _diagnosis(
            "delayed",
            "A node has left, and its replicas wait for it to come back.",
            "Start the node again, or wait until [index.unassigned.node_left.delayed_timeout] is over.",
            delayed,
        )
    nodes = sum(node.holds_data for node in state.nodes.values())
    crowded = [name for name in replicas if nodes <= state.indices[name].number_of_replicas]
    if crowded:
        yield _diagnosis(
            "increase_node_capacity",
            "There are fewer data nodes than copies of each shard.",
            "Set [index.number_of_replicas] to [0], or add nodes."
            if nodes == 1
            else "Lower [index.number_of_replicas], or add nodes.",
            crowded,
        )
    other = [name for name in replicas if name not in (*delayed, *crowded, *lost)]
    if other:
        yield _diagnosis(
            "explain_allocations",
            "Replicas are not assigned because settings forbid it, or because other copies are filled first.",
            "See [GET /_cluster/allocation/explain].",
            other,
        )


def _diagnosis(name: str, cause: str, action: str, indices: list[str]) -> dict[str, Any]:
    return {
        "id": f"hanse:health:shards_availability:diagnosis:{name}",
        "cause": cause,
        "action": action,
        "affected_resources": {"indices": sorted(indices)},
        "help_url": "",
    }


def _joined(parts: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """One indicator of those of several nodes, by node name."""
    status = next(status for status in _WORST_FIRST if any(part["status"] == status for part in parts.values()))
    bad = {name: part for name, part in parts.items() if part["status"] != "green"}
    symptoms = [f"[{name}] {part['symptom']}" for name, part in bad.items()]
    joined: dict[str, Any] = {
        "status": status,
        "symptom": "; ".join(symptoms) or next(iter(parts.values()))["symptom"],
        "details": {"nodes": {name: part["details"] for name, part in parts.items()}},
    }
    for key in ("impacts", "diagnosis"):
        entries = [entry for part in bad.values() for entry in part.get(key, ())]
        if entries:
            joined[key] = [entry for at, entry in enumerate(entries) if entry not in entries[:at]]
    return joined
