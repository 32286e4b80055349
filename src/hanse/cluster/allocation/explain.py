"""`_cluster/allocation/explain`: why a copy is where it is, or nowhere, node by node.

Shapes are those of the reference (cluster-allocation-explain). Tests: tests/cluster/allocation/test_explain.py.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from hanse.cluster.allocation.balance import GAIN_MIN, is_settled, order, weight
from hanse.cluster.allocation.deciders import STAYING, Decision, Question, decisions
from hanse.cluster.allocation.draft import Draft, Shard, setting_of
from hanse.cluster.requests import ExplainAllocation
from hanse.cluster.routing import ShardCopy, Unassigned
from hanse.cluster.state import ClusterState, NodeMetadata
from hanse.errors import ActionRequestValidationError, IllegalArgumentError, IndexNotFoundError
from hanse.settings import allocation_settings as index_rules
from hanse.settings.units import format_time

_CHOSEN = (
    "No shard was specified in the explain API request, so this response explains a randomly chosen unassigned shard. "
    "There may be other unassigned shards in this cluster which cannot be assigned for different reasons. It may not "
    "be possible to assign this shard until one of the other shards is assigned correctly. To explain the allocation "
    "of other shards (whether assigned or unassigned) you must specify the target shard in the request to this API."
)
_NONE_UNASSIGNED = (
    "No shard was specified in the request which means the response should explain a randomly-chosen unassigned shard, "
    "but there are no unassigned shards in this cluster. To explain the allocation of an assigned shard you must "
    "specify the target shard in the request."
)
_SENTENCES = {
    "yes": "The shard can be allocated.",
    "no": "This shard may not be allocated to any of the nodes in the cluster. Choose a node to which you expect this "
    "shard to be allocated, find this node in the node-by-node explanation, and address the reasons which prevent the "
    "shard from being allocated there.",
    "throttled": "The cluster is currently busy with other activities. It expects to be able to allocate this shard "
    "when those activities finish. Please wait.",
    "no_valid_shard_copy": "This shard cannot be allocated because there are no copies of its data in the cluster. It "
    "will be allocated when a node holding a good copy of its data joins the cluster. If no such node is available, "
    "take what another node holds with the command [allocate_stale_primary] of the reroute API.",
}


def explained(state: ClusterState, request: ExplainAllocation, now_ms: int) -> dict[str, Any]:
    """Raises ActionRequestValidationError, IllegalArgumentError, IndexNotFoundError."""
    draft = Draft(state, now_ms)
    given = (request.index, request.shard, request.primary)
    if given == (None, None, None) and request.current_node is None:
        at, info = _any_unassigned(draft)
        return {"note": _CHOSEN, **_unassigned(draft, at, info, request.include_yes_decisions)}
    if request.index is None or request.shard is None or request.primary is None:
        named = zip(("index", "shard", "primary"), given, strict=True)
        raise ActionRequestValidationError.of(*(f"{name} must be specified" for name, value in named if value is None))
    at = Shard(request.index, request.shard)
    if request.index not in state.indices:
        raise IndexNotFoundError.of(request.index)
    if at not in draft:
        raise IllegalArgumentError(f"no such shard [{at.index}][{at.number}]")
    found = _found(draft, at, request)
    if isinstance(found, Unassigned):
        return _unassigned(draft, at, found, request.include_yes_decisions)
    return _assigned(draft, at, found, request.include_yes_decisions)


def _any_unassigned(draft: Draft) -> tuple[Shard, Unassigned]:
    """Primaries first: their replicas wait for them."""
    every = [(at, info) for at in draft.shards() for info in draft[at].unassigned]
    if not every:
        raise IllegalArgumentError(_NONE_UNASSIGNED)
    return min(every, key=lambda found: not found[1].is_primary)


def _found(draft: Draft, at: Shard, request: ExplainAllocation) -> ShardCopy | Unassigned:
    """An unassigned copy rather than an assigned one, since that is what people ask about."""
    shard = draft[at]
    copies = [copy for copy in shard.copies if copy.is_primary == request.primary and not copy.is_target]
    if request.current_node is not None:
        for copy in copies:
            node = draft.nodes.get(copy.node)
            if request.current_node in (copy.node, node.name if node else None):
                return copy
        raise IllegalArgumentError(
            f"unable to find a {'primary' if request.primary else 'replica'} shard assigned to node "
            f"[{request.current_node}]"
        )
    waiting = [info for info in shard.unassigned if info.is_primary == request.primary]
    if not waiting and not copies:
        raise IllegalArgumentError(f"no such copy of [{at.index}][{at.number}] in the routing table")
    return waiting[0] if waiting else copies[0]


def _unassigned(draft: Draft, at: Shard, info: Unassigned, include_yes: bool) -> dict[str, Any]:
    nodes = _node_decisions(draft, at, info.is_primary, include_yes, info=info)
    can = _can_allocate(draft, at, info, {node["node_decision"] for node in nodes})
    left_ms = max(0, info.delayed_until_ms - draft.now_ms)
    entry: dict[str, Any] = {
        **_named(at, info.is_primary, "unassigned"),
        "unassigned_info": {**shown_info(info), "last_allocation_status": _last_status(can)},
        "can_allocate": can,
    }
    if can == "allocation_delayed":
        delay_ms = int(setting_of(draft.indices[at.index], index_rules.DELAYED_TIMEOUT) * 1000)
        entry["allocate_explanation"] = (
            "The node containing this shard copy recently left the cluster. It is waited for. If the node does not "
            f"return within [{format_time(left_ms / 1000)}] then this shard will be allocated to another node. Please "
            "wait."
        )
        entry["configured_delay_in_millis"] = delay_ms
        entry["remaining_delay_in_millis"] = left_ms
    else:
        entry["allocate_explanation"] = _SENTENCES[can]
    return {**entry, "node_allocation_decisions": nodes}


def _can_allocate(draft: Draft, at: Shard, info: Unassigned, found: set[str]) -> str:
    shard = draft[at]
    if info.is_primary and shard.in_sync and not any(node in draft.nodes for node in shard.in_sync):
        return "no_valid_shard_copy"
    if "yes" in found:
        return "allocation_delayed" if info.delayed_until_ms > draft.now_ms else "yes"
    return "throttled" if "throttled" in found else "no"


def _last_status(can: str) -> str:
    return {"yes": "no_attempt", "allocation_delayed": "delayed_allocation"}.get(can, can)


def _assigned(draft: Draft, at: Shard, copy: ShardCopy, include_yes: bool) -> dict[str, Any]:
    node = draft.nodes[copy.node]
    entry = _named(at, copy.is_primary, copy.state.lower())
    if copy.unassigned_info is not None:
        entry["unassigned_info"] = shown_info(copy.unassigned_info)
    entry["current_node"] = {
        "id": node.id,
        "name": node.name,
        "transport_address": node.transport_address,
        "attributes": node.attributes,
        "roles": sorted(node.roles),
        "weight_ranking": _ranking(draft, at).index(node.id) + 1,
    }
    if copy.state == "INITIALIZING":
        entry["explanation"] = (
            f"the shard is in the process of initializing on node [{node.name}], wait until initialization has "
            "completed"
        )
        return entry
    if copy.state == "RELOCATING":
        target = draft.nodes.get(copy.relocating_node or "")
        entry["explanation"] = (
            f"the shard is in the process of relocating from node [{node.name}] to node "
            f"[{target.name if target else copy.relocating_node}], wait until relocation has completed"
        )
        return entry
    return entry | _resting(draft, at, copy, include_yes)


def _resting(draft: Draft, at: Shard, copy: ShardCopy, include_yes: bool) -> dict[str, Any]:
    """A started copy: whether it may stay, and otherwise or for balance where it might go."""
    asked = _question(draft, at, draft.nodes[copy.node], copy.is_primary, moving=copy)
    stays = [decider(draft, asked) for decider in STAYING]
    nodes = _node_decisions(draft, at, copy.is_primary, include_yes, moving=copy)
    if any(one.decision == "NO" for one in stays):
        can = "yes" if any(node["node_decision"] == "yes" for node in nodes) else "no"
        return {
            "can_remain_on_current_node": "no",
            "can_remain_decisions": _shown_deciders(stays, include_yes),
            "can_move_to_other_node": can,
            "move_explanation": "This shard may not remain on its current node. It moves to another one."
            if can == "yes"
            else "This shard may not remain on its current node, and no other node may have it.",
            "node_allocation_decisions": nodes,
        }
    own = weight(draft, at.index, copy.node)
    for node in nodes:
        if node["node_decision"] == "yes" and own - weight(draft, at.index, node["node_id"]) <= GAIN_MIN:
            node["node_decision"] = "worse_balance"
    settled = is_settled(draft)
    can = "yes" if settled and any(node["node_decision"] == "yes" for node in nodes) else "no"
    return {
        "can_remain_on_current_node": "yes",
        "can_rebalance_cluster": "yes" if settled else "no",
        "can_rebalance_to_other_node": can,
        "rebalance_explanation": "This shard is about to move to another node for better balance."
        if can == "yes"
        else "This shard is in a well-balanced location and satisfies all allocation rules so it will remain on this "
        "node."
        if settled
        else "Rebalancing is not allowed as long as other copies are being filled.",
        "node_allocation_decisions": nodes,
    }


def _node_decisions(
    draft: Draft,
    at: Shard,
    is_primary: bool,
    include_yes: bool,
    info: Unassigned | None = None,
    moving: ShardCopy | None = None,
) -> list[dict[str, Any]]:
    """Every data node but the one a copy moves from, the best first."""
    shown = []
    holds = draft[at].in_sync
    for rank, node_id in enumerate(_ranking(draft, at), 1):
        if moving is not None and node_id == moving.node:
            continue
        node = draft.nodes[node_id]
        asked = _question(draft, at, node, is_primary, info=info, moving=moving)
        decided = list(decisions(draft, asked))
        if is_primary and moving is None and holds and node_id not in holds:
            decided = [Decision("in_sync", "NO", "the node does not hold a copy of the shard's data"), *decided]
        kinds = {one.decision for one in decided}
        decision = "no" if "NO" in kinds else "throttled" if "THROTTLE" in kinds else "yes"
        shown.append(
            {
                "node_id": node.id,
                "node_name": node.name,
                "transport_address": node.transport_address,
                "node_attributes": node.attributes,
                "roles": sorted(node.roles),
                "node_decision": decision,
                **({"store": {"in_sync": node_id in holds}} if info is not None and holds else {}),
                "weight_ranking": rank,
                "deciders": _shown_deciders(decided, include_yes),
            }
        )
    return sorted(shown, key=lambda entry: ("yes", "throttled", "no").index(entry["node_decision"]))


def _ranking(draft: Draft, at: Shard) -> list[str]:
    return sorted(draft.data_nodes, key=lambda node: order(draft, at, node))


def _shown_deciders(decided: list[Decision], include_yes: bool) -> list[dict[str, Any]]:
    return [msgspec.to_builtins(one) for one in decided if include_yes or one.decision != "YES"]


def _question(
    draft: Draft,
    at: Shard,
    node: NodeMetadata,
    is_primary: bool,
    info: Unassigned | None = None,
    moving: ShardCopy | None = None,
) -> Question:
    return Question(at, draft.indices[at.index], draft[at], node, is_primary, info=info, moving=moving)


def _named(at: Shard, is_primary: bool, state: str) -> dict[str, Any]:
    return {"index": at.index, "shard": at.number, "primary": is_primary, "current_state": state}


def shown_info(info: Unassigned) -> dict[str, Any]:
    """How and when a copy came to be unassigned, as explain and the cluster state show it."""
    shown: dict[str, Any] = {"reason": info.reason, "at": _iso(info.at_ms)}
    if info.failed_allocations:
        shown["failed_allocation_attempts"] = info.failed_allocations
    if info.details:
        shown["details"] = info.details
    if info.last_node:
        shown["last_node"] = info.last_node
    return shown


def _iso(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
