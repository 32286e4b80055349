"""Even spreading: which node a copy goes to, and which copies move because a node has too many or may not have them.

A node weighs as much as its copies, those of the index at hand more. A move must make the sum of all weights' squares
smaller, so moving comes to an end. Tests: tests/cluster/allocation/test_balance.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from hanse.cluster.allocation.copies import begin_move
from hanse.cluster.allocation.deciders import Question, is_restricted, may_stay, verdict
from hanse.cluster.allocation.draft import Draft, Shard, setting_of
from hanse.cluster.routing import ShardCopy
from hanse.settings import allocation_settings as index_rules
from hanse.settings import cluster_settings as cluster_rules

PER_COPY = 9
PER_COPY_OF_INDEX = 11
GAIN_MIN = PER_COPY + PER_COPY_OF_INDEX
"""Moving one copy takes this from one node and gives it to the other, so a smaller difference is none."""

Order = tuple[int, int, int, str]


def weight(draft: Draft, index: str, node: str) -> int:
    return PER_COPY * draft.load.copies[node] + PER_COPY_OF_INDEX * draft.load.of_index[node, index]


def order(draft: Draft, at: Shard, node: str) -> Order:
    """The smallest is the best node for another copy of the shard.

    Primaries, which do the work of writing, are spread as well. Of equal nodes a replica takes the next one after that
    of its primary, so that the copies of an index' shards lie like scales and none has to move afterwards.
    """
    primary = draft[at].primary
    after = primary is not None and node <= primary.node
    return weight(draft, at.index, node), draft.load.primaries[node], int(after), node


def move_forbidden(draft: Draft) -> None:
    """Copies on nodes where they may not stay begin to move away, of each shard one at a time."""
    restricted = {name for name, index in draft.indices.items() if index.is_open and is_restricted(draft, index)}
    for at in draft.shards():
        if at.index not in restricted:
            continue
        # A replica is spared before a primary where it does not matter which one leaves (awareness).
        for copy in sorted(draft[at].copies, key=lambda copy: copy.is_primary):
            asked = _question(draft, at, copy, copy.node)
            if asked is not None and _can_move(draft, at, copy) and not may_stay(draft, asked):
                target = _best_target(draft, at, copy)
                if target is not None:
                    begin_move(draft, at, copy, target)


def rebalance(draft: Draft) -> None:
    """Begins the moves that even out most, as many as may run at a time and only while nothing else fills up."""
    most = draft.settings.read(cluster_rules.CONCURRENT_REBALANCE)
    while is_settled(draft) and (most < 0 or sum(1 for _ in moving(draft)) < most):
        moves = list(_gains(draft))
        if not moves:
            return
        _, _, at, copy, target = min(moves, key=lambda move: (-move[0], move[3].is_primary, move[1], move[4]))
        begin_move(draft, at, copy, target)


def moving(draft: Draft) -> Iterator[ShardCopy]:
    return (copy for at in draft.shards() for copy in draft[at].copies if copy.state == "RELOCATING")


def is_settled(draft: Draft) -> bool:
    """Balance waits until every copy that can be filled has been."""
    allow = draft.settings.read(cluster_rules.ALLOW_REBALANCE)
    for at in draft.shards():
        shard = draft[at]
        if draft.indices[at.index].is_open and any(
            copy.state == "INITIALIZING" and not copy.is_target for copy in shard.copies
        ):
            return False
        if allow == "indices_all_active" and shard.unassigned:
            return False
        if allow == "indices_primaries_active" and shard.active_primary is None:
            return False
    return True


def _gains(draft: Draft) -> Iterator[tuple[int, tuple[str, int], Shard, ShardCopy, str]]:
    """Every move that evens out: how much, and which. Cheap tests come first, since this looks at all copies."""
    weights_of = {name: {node: weight(draft, name, node) for node in draft.data_nodes} for name in draft.indices}
    uneven = {
        name for name, found in weights_of.items() if found and max(found.values()) - min(found.values()) > GAIN_MIN
    }
    for at in draft.shards():
        if at.index not in uneven:
            continue
        weights = weights_of[at.index]
        lightest = min(weights.values())
        for copy in draft[at].copies:
            heavy = weights.get(copy.node, 0)
            if heavy - lightest <= GAIN_MIN or not _can_move(draft, at, copy) or not _may_rebalance(draft, at, copy):
                continue
            for node, light in weights.items():
                if heavy - light > GAIN_MIN and _verdict(draft, at, copy, node) == "YES":
                    yield heavy - light, (at.index, at.number), at, copy, node


def _can_move(draft: Draft, at: Shard, copy: ShardCopy) -> bool:
    """A copy that rests, of a shard whose primary is there and of which nothing else moves or fills up."""
    shard = draft[at]
    return (
        draft.indices[at.index].is_open
        and shard.active_primary is not None
        and all(other.state == "STARTED" for other in shard.copies)
        and copy in shard.copies
    )


def _may_rebalance(draft: Draft, at: Shard, copy: ShardCopy) -> bool:
    own = index_rules.INDEX_REBALANCE_ENABLE
    index = draft.indices[at.index]
    is_own = own.key in index.settings
    value = setting_of(index, own) if is_own else draft.settings.read(cluster_rules.REBALANCE_ENABLE)
    return value == "all" or (value == "primaries" and copy.is_primary) or (value == "replicas" and not copy.is_primary)


def _best_target(draft: Draft, at: Shard, copy: ShardCopy) -> str | None:
    allowed = [node for node in draft.data_nodes if _verdict(draft, at, copy, node) == "YES"]
    return min(allowed, key=lambda node: order(draft, at, node), default=None)


def _verdict(draft: Draft, at: Shard, copy: ShardCopy, node: str) -> str:
    asked = _question(draft, at, copy, node)
    return "NO" if asked is None or copy.node == node else verdict(draft, asked)


def _question(draft: Draft, at: Shard, copy: ShardCopy, node: str) -> Question | None:
    member = draft.nodes.get(node)
    if member is None:
        return None
    return Question(at, draft.indices[at.index], draft[at], member, copy.is_primary, moving=copy)
