"""What happens to a shard when one of its copies is assigned, starts, moves, is lost or takes over as the primary.

The invariants: a node has one copy of a shard at most; at most one copy is the primary; only a node of `in_sync`
becomes the primary of a shard that ever held something; copies fill up only while an active primary is there; a
node leaves `in_sync` only while one is there, so `in_sync` never empties.

Tests: tests/cluster/allocation/test_copies.py.
"""

from __future__ import annotations

from hanse.cluster.allocation.draft import Draft, Shard, replaced
from hanse.cluster.routing import ShardCopy, Unassigned


def assign(draft: Draft, at: Shard, info: Unassigned, node: str, *, started: bool = False) -> None:
    """Gives an unassigned copy to a node. A primary's term rises, but for the first one of a new shard.

    `started`: there is nothing to open, as with closed indices.
    """
    shard = draft[at]
    copy = ShardCopy(
        node=node,
        allocation_id=draft.new_id(),
        is_primary=info.is_primary,
        state="STARTED" if started else "INITIALIZING",
        since_ms=draft.now_ms,
        unassigned_info=None if started else info,
    )
    is_first = not shard.in_sync and info.reason == "INDEX_CREATED"
    if info.is_primary and not is_first:
        draft.raise_term(at)
    left = list(shard.unassigned)
    left.remove(info)
    draft[at] = replaced(shard, copies=(*shard.copies, copy), unassigned=tuple(left))


def begin_anew(draft: Draft, at: Shard, info: Unassigned, node: str, *, empty: bool) -> None:
    """The primary begins a new log, from what the node holds or from nothing. What others hold is of the old one."""
    assign(draft, at, info, node)
    shard = draft[at]
    marked = tuple(
        replaced(copy, begins_log=True, begins_empty=empty) if copy.is_primary else copy for copy in shard.copies
    )
    draft[at] = replaced(shard, copies=marked, in_sync=(node,))


def start(draft: Draft, at: Shard, copy: ShardCopy) -> None:
    """The copy has everything. A target takes the place of its source, and a new primary begins a new term."""
    shard = draft[at]
    fresh = replaced(
        copy,
        state="STARTED",
        relocating_node=None,
        unassigned_info=None,
        begins_log=False,
        begins_empty=False,
        since_ms=draft.now_ms,
    )
    source = shard.on(copy.relocating_node) if copy.relocating_node else None
    kept = [other for other in shard.copies if other is not copy and other is not source]
    in_sync = shard.in_sync if copy.node in shard.in_sync else (*shard.in_sync, copy.node)
    if source is not None:
        in_sync = tuple(node for node in in_sync if node != source.node)
        if source.is_primary:
            fresh = replaced(fresh, is_primary=True)
            draft.raise_term(at)
    draft[at] = replaced(shard, copies=(*kept, fresh), in_sync=in_sync)


def begin_move(draft: Draft, at: Shard, copy: ShardCopy, node: str) -> None:
    """The copy is to move; it serves until the new one has started."""
    target = ShardCopy(node, draft.new_id(), relocating_node=copy.node, since_ms=draft.now_ms)
    moving = replaced(copy, state="RELOCATING", relocating_node=node, since_ms=draft.now_ms)
    shard = draft[at]
    copies = (*(moving if other is copy else other for other in shard.copies), target)
    draft[at] = replaced(shard, copies=copies)


def end_move(draft: Draft, at: Shard, source: ShardCopy, failed: bool = False) -> None:
    """The copy stays where it is, and its target is dropped."""
    staying = replaced(
        source,
        state="STARTED",
        relocating_node=None,
        since_ms=draft.now_ms,
        failed_moves=source.failed_moves + 1 if failed else source.failed_moves,
    )
    shard = draft[at]
    kept = [other for other in shard.copies if not (other.is_target and other.relocating_node == source.node)]
    draft[at] = replaced(shard, copies=tuple(staying if other is source else other for other in kept))


def lose(draft: Draft, at: Shard, copy: ShardCopy, info: Unassigned, *, failed: bool = False) -> None:
    """The copy is gone from its node. A lost primary is replaced at once by an active copy, when one is left.

    `failed`: what the node holds is not to be trusted, so it leaves `in_sync` unless it is all there is.
    """
    shard = draft[at]
    if copy.is_target and (source := shard.on(copy.relocating_node or "")) is not None:
        end_move(draft, at, source, failed)
        return
    copies = tuple(
        _alone(other, info) if other.is_target and other.relocating_node == copy.node else other
        for other in shard.copies
        if other is not copy
    )
    draft[at] = replaced(shard, copies=copies, unassigned=(*shard.unassigned, replaced(info, is_primary=False)))
    if copy.is_primary and not promote_any(draft, at):
        _without_primary(draft, at, info)
    if failed and draft[at].active_primary is not None:
        _leave_in_sync(draft, at, copy.node)


def promote_any(draft: Draft, at: Shard) -> bool:
    """Makes the best active copy on a living node the primary; false when there is none."""
    active = [copy for copy in draft[at].active() if copy.node in draft.nodes and not copy.is_primary]
    if not active:
        return False
    best = min(active, key=lambda copy: (copy.state == "RELOCATING", draft.load.primaries[copy.node], copy.node))
    promote(draft, at, best)
    return True


def promote(draft: Draft, at: Shard, best: ShardCopy) -> None:
    """The copy becomes the primary, in a new term; the one that was, if it is still there, stays as a replica."""
    shard = draft[at]
    copies = tuple(
        replaced(copy, is_primary=copy is best) if copy.is_primary or copy is best else copy for copy in shard.copies
    )
    draft[at] = replaced(shard, copies=copies)
    draft.raise_term(at)


def retire(draft: Draft, at: Shard, copy: ShardCopy) -> None:
    """Drops a replica that is not wanted any more; with an active primary its node leaves `in_sync`."""
    if copy.state == "RELOCATING":
        end_move(draft, at, copy)
        copy = draft[at].on(copy.node) or copy
    shard = draft[at]
    draft[at] = replaced(shard, copies=tuple(other for other in shard.copies if other is not copy))
    if draft[at].active_primary is not None:
        _leave_in_sync(draft, at, copy.node)


def trim_in_sync(draft: Draft, at: Shard, replicas: int) -> None:
    """Nodes without a copy stay in `in_sync` as long as a copy that they held has not been replaced.

    They can catch up from the log, so they are the hope of a shard that loses the copies it has left.
    """
    shard = draft[at]
    if shard.active_primary is None:
        return
    awaited = {info.last_node for info in shard.unassigned}
    awaited |= {copy.unassigned_info.last_node for copy in shard.copies if copy.unassigned_info}
    if len([*shard.active()]) > replicas:
        awaited = set()
    holding = {copy.node for copy in shard.copies}
    draft[at] = replaced(shard, in_sync=tuple(node for node in shard.in_sync if node in holding or node in awaited))


def _alone(target: ShardCopy, info: Unassigned) -> ShardCopy:
    """A target whose source is gone fills up as any other replica."""
    return replaced(target, relocating_node=None, unassigned_info=replaced(info, is_primary=False))


def _without_primary(draft: Draft, at: Shard, info: Unassigned) -> None:
    """Nothing active is left: the primary is to be assigned, and what was filling up waits for it."""
    shard = draft[at]
    waiting = [
        Unassigned(
            "PRIMARY_FAILED", draft.now_ms, details="primary failed while replica initializing", last_node=c.node
        )
        for c in shard.copies
        if not c.is_active
    ]
    lost = replaced(info, is_primary=True, delayed_until_ms=0)
    replicas = list(shard.unassigned)
    replicas.remove(replaced(info, is_primary=False))
    active = tuple(copy for copy in shard.copies if copy.is_active)
    draft[at] = replaced(shard, copies=active, unassigned=(lost, *replicas, *waiting))


def _leave_in_sync(draft: Draft, at: Shard, node: str) -> None:
    shard = draft[at]
    draft[at] = replaced(shard, in_sync=tuple(other for other in shard.in_sync if other != node))
