"""What follows at once when a node joins, leaves or steps down, or a copy has started or failed.

Lost primaries are replaced here by active copies; what is then to be assigned `reroute` assigns, before the commit.
Each function returns the very same state when it changes nothing. Tests: tests/cluster/allocation/test_events.py.
"""

from __future__ import annotations

from collections.abc import Iterable

from hanse.cluster.allocation.copies import end_move, lose, promote, start
from hanse.cluster.allocation.draft import Draft, Shard, replaced, setting_of
from hanse.cluster.routing import ShardCopy, Unassigned
from hanse.cluster.state import ClusterState, NodeMetadata
from hanse.settings import allocation_settings as index_rules


def with_member(state: ClusterState, node: NodeMetadata, now_ms: int) -> ClusterState:
    """A node joins. One that was a member under this id has started again: the copies it had are lost first.

    The same `ephemeral_id` is the same process, which may have changed what it says about itself. It is the node itself
    that commits this, so it knows the state.
    """
    before = state.nodes.get(node.id)
    if before == node:
        return state
    joined = replaced(state, nodes={**state.nodes, node.id: node})
    if before is None or before.ephemeral_id != node.ephemeral_id:
        joined = _lose_all(joined, node.id, f"node [{node.name}] started again", now_ms, restarted=True)
    return _knowing(joined, node.id, now_ms)


def without_member(
    state: ClusterState, node_id: str, reason_text: str, now_ms: int, *, is_over: bool = False
) -> ClusterState:
    """A node is gone. Its replicas are made anew elsewhere when it does not come back within their delay.

    `is_over`: it is known to serve nothing any more. Else it may be there and not know of this.
    """
    if node_id not in state.nodes:
        return state
    left = replaced(state, nodes={other: node for other, node in state.nodes.items() if other != node_id})
    left = _lose_all(left, node_id, reason_text, now_ms)
    return _knowing(left, node_id, now_ms) if is_over else left


def stepping_down(state: ClusterState, node_id: str, now_ms: int = 0) -> ClusterState:
    """A node is about to stop: other active copies take over its primaries; it stays a member, with replicas."""
    draft = Draft(state, now_ms)
    for at in list(draft.shards()):
        primary = draft[at].active_primary
        if primary is None or primary.node != node_id:
            continue
        others = [copy for copy in draft[at].active() if copy.node != node_id and copy.node in draft.nodes]
        if not others:
            continue
        best = min(others, key=lambda copy: (copy.state == "RELOCATING", draft.load.primaries[copy.node], copy.node))
        if primary.state == "RELOCATING":
            end_move(draft, at, primary)
        promote(draft, at, best)
    return draft.result()


def started(state: ClusterState, reports: Iterable[tuple[str, int, str]], now_ms: int) -> ClusterState:
    """Copies have everything: (index uuid, shard, allocation id) of each. Late reports change nothing."""
    draft = Draft(state, now_ms)
    for index_uuid, number, allocation_id in reports:
        found = _find(draft, index_uuid, number, allocation_id)
        if found is not None and found[1].state == "INITIALIZING":
            start(draft, *found)
    return draft.result()


def failed(
    state: ClusterState, index_uuid: str, shard: int, allocation_id: str, details: str, now_ms: int
) -> ClusterState:
    """A copy could not be opened or filled, or does not serve any more. A late report changes nothing."""
    draft = Draft(state, now_ms)
    found = _find(draft, index_uuid, shard, allocation_id)
    if found is None:
        return state
    at, copy = found
    before = copy.unassigned_info.failed_allocations if copy.unassigned_info else 0
    info = Unassigned(
        "ALLOCATION_FAILED",
        now_ms,
        details=details,
        last_node=copy.node,
        failed_allocations=before + 1,
        last_status="no_valid_shard_copy" if copy.is_primary else "no_attempt",
    )
    lose(draft, at, copy, info, failed=True)
    return draft.result()


def reopened(state: ClusterState, name: str, now_ms: int) -> ClusterState:
    """A closed index was opened: its copies are to be opened, the primary first."""
    draft = Draft(state, now_ms)
    reopen(draft, name)
    return draft.result()


def reopen(draft: Draft, name: str) -> None:
    """The primary opens where it is; the replicas wait for it and then go back to their nodes."""
    for at in [at for at in draft.shards() if at.index == name]:
        shard = draft[at]
        primary = shard.active_primary
        if primary is None:
            continue
        info = Unassigned("INDEX_REOPENED", draft.now_ms, is_primary=True, last_node=primary.node)
        opening = ShardCopy(
            primary.node,
            draft.new_id(),
            is_primary=True,
            since_ms=draft.now_ms,
            unassigned_info=info,
        )
        waiting = tuple(
            Unassigned("INDEX_REOPENED", draft.now_ms, last_node=copy.node)
            for copy in shard.copies
            if copy is not primary and not copy.is_target
        )
        draft[at] = replaced(shard, copies=(opening,), unassigned=(*shard.unassigned, *waiting))
        draft.raise_term(at)


def left_info(draft: Draft, at: Shard, node_id: str, details: str, restarted: bool = False) -> Unassigned:
    """For a replica that the node held; nobody else gets it before the delay is over."""
    delay_s = setting_of(draft.indices[at.index], index_rules.DELAYED_TIMEOUT)
    return Unassigned(
        "NODE_RESTARTING" if restarted else "NODE_LEFT",
        draft.now_ms,
        details=details,
        last_node=node_id,
        delayed_until_ms=draft.now_ms + int(delay_s * 1000) if delay_s > 0 else 0,
    )


def _lose_all(state: ClusterState, node_id: str, details: str, now_ms: int, restarted: bool = False) -> ClusterState:
    """Closed indices keep their copies on a node that has started again: nothing of them was open."""
    draft = Draft(state, now_ms)
    for at in list(draft.shards()):
        copy = draft[at].on(node_id)
        if copy is None or (restarted and copy.is_active and not draft.indices[at.index].is_open):
            continue
        lose(draft, at, copy, left_info(draft, at, node_id, details, restarted))
    return draft.result()


def _knowing(state: ClusterState, node_id: str, now_ms: int) -> ClusterState:
    """The node has the state from here on, or is there no more: it holds itself for no primary that it was before."""
    draft = Draft(state, now_ms)
    for at in list(draft.shards()):
        superseded = tuple(other for other in draft[at].superseded if other != node_id)
        draft[at] = replaced(draft[at], superseded=superseded)
    return draft.result()


def _find(draft: Draft, index_uuid: str, number: int, allocation_id: str) -> tuple[Shard, ShardCopy] | None:
    for name, index in draft.indices.items():
        if index.uuid == index_uuid and draft.has(name) and number < index.number_of_shards:
            at = Shard(name, number)
            return next(((at, copy) for copy in draft[at].copies if copy.allocation_id == allocation_id), None)
    return None
