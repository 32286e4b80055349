"""`reroute`: the routing that follows from a changed cluster state. Runs just before every commit.

Tests: tests/cluster/allocation/test_reroute.py, test_properties.py.
"""

from __future__ import annotations

from hanse.cluster.allocation.balance import Order, move_forbidden, order, rebalance, weight
from hanse.cluster.allocation.copies import assign, lose, retire, trim_in_sync
from hanse.cluster.allocation.deciders import Question, nearness, node_filter, verdict
from hanse.cluster.allocation.draft import Draft, Shard, replaced, setting_of
from hanse.cluster.allocation.events import left_info, reopen
from hanse.cluster.routing import ShardCopy, ShardRouting, Unassigned
from hanse.cluster.state import ClusterState, IndexMetadata
from hanse.settings import allocation_settings as index_rules


def reroute(old: ClusterState, new: ClusterState, now_ms: int) -> ClusterState:
    """`new` with the routing that follows from what changed since `old`; `new` itself when nothing follows.

    Routing is made for new indices and dropped with deleted ones; copies on nodes that are gone are lost; primaries
    come from `in_sync` and never begin empty in its stead; missing replicas are assigned, superfluous ones retired;
    copies move for filters and balance. An index of `old` that has no routing is one of an older version: its data
    lie on the only member. With `old is new` it does what time brings: assigns replicas whose delay is over.
    """
    if not _concerns(old, new) and not (old is new and _due(new, now_ms)):
        return new
    draft = Draft(new, now_ms, old.version + 1)
    _match_indices(draft, old, new)
    for at in list(draft.shards()):
        if any(copy.node not in draft.nodes for copy in draft[at].copies):
            _drop_lost(draft, at)
    for index in list(draft.indices.values()):
        _expand(draft, index)
    incomplete = [at for at in draft.shards() if not _is_complete(draft, at)]
    for at in incomplete:
        _end_delays(draft, at)
        _fit_replicas(draft, at)
        _assign_primary(draft, at)
    for at in incomplete:
        replicas = draft.indices[at.index].number_of_replicas
        trim_in_sync(draft, at, replicas)  # else a replica would wait for a node that is about to be forgotten
        _assign_replicas(draft, at)
        trim_in_sync(draft, at, replicas)
    move_forbidden(draft)
    rebalance(draft)
    return draft.result()


def next_wakeup_ms(state: ClusterState) -> int | None:
    """When the next delay of a lost replica ends; the master then runs `reroute(state, state, now_ms)`."""
    ends = (
        info.delayed_until_ms
        for shards in state.routing.values()
        for shard in shards
        for info in shard.unassigned
        if info.delayed_until_ms
    )
    return min(ends, default=None)


def _due(state: ClusterState, now_ms: int) -> bool:
    end_ms = next_wakeup_ms(state)
    return end_ms is not None and end_ms <= now_ms


def _concerns(old: ClusterState, new: ClusterState) -> bool:
    """Whether anything changed that allocation looks at, or an index has no routing at all."""
    if old.nodes is not new.nodes or old.routing is not new.routing:
        return True
    if old.persistent is not new.persistent or old.transient is not new.transient:
        return True
    if len(new.routing) != len(new.indices):
        return True
    if old.indices is new.indices:
        return False
    for name, index in new.indices.items():
        before = old.indices.get(name)
        if before is not index and (before is None or _differs(before, index)):
            return True
    return len(old.indices) != len(new.indices)


def _differs(before: IndexMetadata, index: IndexMetadata) -> bool:
    return (
        before.uuid != index.uuid
        or before.state != index.state
        or before.number_of_replicas != index.number_of_replicas
        or before.settings is not index.settings
    )


def _match_indices(draft: Draft, old: ClusterState, new: ClusterState) -> None:
    """Routing for exactly the indices that are there."""
    for name in [name for name in new.routing if name not in new.indices]:
        draft.forget(name)
    for name, index in new.indices.items():
        before = old.indices.get(name)
        is_new = before is None or before.uuid != index.uuid
        if not draft.has(name) or (before is not None and is_new):
            if is_new:
                draft.begin(name, _routing(draft, index, "INDEX_CREATED", ()))
            elif (holder := _only_holder(draft, new)) is not None:
                draft.begin(name, _routing(draft, index, "CLUSTER_RECOVERED", (holder,)))
        elif before is not None and not before.is_open and index.is_open:
            reopen(draft, name)


def _routing(draft: Draft, index: IndexMetadata, reason: str, in_sync: tuple[str, ...]) -> tuple[ShardRouting, ...]:
    info = Unassigned("INDEX_CREATED" if reason == "INDEX_CREATED" else "CLUSTER_RECOVERED", draft.now_ms)
    copies = (replaced(info, is_primary=True), *[info] * index.number_of_replicas)
    return (ShardRouting(unassigned=copies, in_sync=in_sync),) * index.number_of_shards


def _only_holder(draft: Draft, state: ClusterState) -> str | None:
    """Before there was routing a cluster had one node, which held everything."""
    if state.master_node in draft.data_nodes:
        return state.master_node
    return draft.data_nodes[0] if draft.data_nodes else None


def _drop_lost(draft: Draft, at: Shard) -> None:
    for copy in draft[at].copies:
        current = draft[at].on(copy.node)
        if copy.node not in draft.nodes and current is not None:
            lose(draft, at, current, left_info(draft, at, copy.node, f"node_left [{copy.node}]"))


def _expand(draft: Draft, index: IndexMetadata) -> None:
    """index.auto_expand_replicas: a copy on each data node that may hold one, within the range."""
    key = index_rules.AUTO_EXPAND_REPLICAS.key
    expansion = setting_of(index, index_rules.AUTO_EXPAND_REPLICAS) if key in index.settings else None
    if expansion is None or not draft.data_nodes:
        return
    least, most = expansion
    nodes = sum(
        node_filter(draft, _asked(draft, Shard(index.name, 0), None, node)).decision == "YES"
        for node in draft.data_nodes
    )
    wanted = max(least, nodes - 1 if most is None else min(most, nodes - 1))
    if wanted == index.number_of_replicas:
        return
    draft.change_index(
        replaced(
            index,
            number_of_replicas=wanted,
            settings={**index.settings, "index.number_of_replicas": str(wanted)},
            settings_version=index.settings_version + 1,
            version=index.version + 1,
        )
    )


def _is_complete(draft: Draft, at: Shard) -> bool:
    """The shard has the copies it should have, and nobody is remembered who has none."""
    shard = draft[at]
    copies = sum(not copy.is_target for copy in shard.copies)
    wanted = 1 + draft.indices[at.index].number_of_replicas
    return not shard.unassigned and copies == wanted and len(shard.in_sync) <= len(shard.copies)


def _end_delays(draft: Draft, at: Shard) -> None:
    """A delay that is over is forgotten, whether or not a node is found: nobody has to wake up for it again.

    It is reckoned anew, since the index' setting may have changed meanwhile. It ends when the node is back: if that
    does not take the copy, it has another one of the shard by now.
    """
    shard = draft[at]
    delay_ms = int(setting_of(draft.indices[at.index], index_rules.DELAYED_TIMEOUT) * 1000)

    def now(info: Unassigned) -> Unassigned:
        if not info.delayed_until_ms:
            return info
        is_back = info.last_node in draft.nodes
        until_ms = 0 if is_back else info.at_ms + delay_ms
        return replaced(info, delayed_until_ms=until_ms if until_ms > draft.now_ms else 0)

    draft[at] = replaced(shard, unassigned=tuple(now(info) for info in shard.unassigned))


def _fit_replicas(draft: Draft, at: Shard) -> None:
    """As many replicas, assigned or not, as the index asks for. Those that nobody ever had are given up first."""
    wanted = draft.indices[at.index].number_of_replicas
    shard = draft[at]
    missing = sorted((info for info in shard.unassigned if not info.is_primary), key=lambda info: not info.last_node)
    assigned = [copy for copy in shard.copies if not copy.is_primary and not copy.is_target]
    surplus = len(missing) + len(assigned) - wanted
    if surplus < 0:
        added = (Unassigned("REPLICA_ADDED", draft.now_ms),) * -surplus
        draft[at] = replaced(shard, unassigned=(*shard.unassigned, *added))
    elif surplus > 0:
        kept = missing[: max(0, len(missing) - surplus)]
        primary = [info for info in shard.unassigned if info.is_primary]
        draft[at] = replaced(shard, unassigned=(*primary, *kept))
        for _ in range(surplus - len(missing)):
            retire(draft, at, _worst(draft, at))


def _worst(draft: Draft, at: Shard) -> ShardCopy:
    """The replica that is missed least: one that fills up, then one with many near it, then one of a full node."""
    replicas = [copy for copy in draft[at].copies if not copy.is_primary and not copy.is_target]
    return min(
        replicas,
        key=lambda c: (c.is_active, -nearness(draft, draft[at], c), -weight(draft, at.index, c.node), c.node),
    )


def _assign_primary(draft: Draft, at: Shard) -> None:
    """Where its data are, and anywhere only when it never had any."""
    shard = draft[at]
    info = next((info for info in shard.unassigned if info.is_primary), None)
    if info is None:
        return
    allowed = [node for node in draft.data_nodes if _may_begin(draft, at, info, node)]
    if not allowed:
        return

    def best(node: str) -> tuple[bool, Order]:
        is_last = node == info.last_node
        return is_last if info.failed_allocations else not is_last, order(draft, at, node)

    assign(draft, at, info, min(allowed, key=best), started=bool(shard.in_sync) and _is_closed(draft, at))


def _may_begin(draft: Draft, at: Shard, info: Unassigned, node: str) -> bool:
    shard = draft[at]
    if shard.in_sync:
        retries = setting_of(draft.indices[at.index], index_rules.MAX_RETRIES)
        return node in shard.in_sync and (not info.failed_allocations or info.failed_allocations < retries)
    return verdict(draft, _asked(draft, at, info, node)) == "YES"


def _assign_replicas(draft: Draft, at: Shard) -> None:
    """To the node that held it, then to one whose copy once had everything, then where there is room."""
    for info in draft[at].unassigned:
        shard = draft[at]
        if info.is_primary or shard.active_primary is None:
            continue
        nodes = [node for node in draft.data_nodes if shard.on(node) is None]
        if info.delayed_until_ms > draft.now_ms:
            nodes = [node for node in nodes if node == info.last_node or node in shard.in_sync]
        verdicts = {node: verdict(draft, _asked(draft, at, info, node)) for node in nodes}
        possible = [node for node, found in verdicts.items() if found != "NO"]

        def best(node: str, info: Unassigned = info, at: Shard = at) -> tuple[bool, bool, Order]:
            return node not in draft[at].in_sync, node != info.last_node, order(draft, at, node)

        preferred = [node for node in possible if node in shard.in_sync]
        chosen = min(preferred or [node for node in possible if verdicts[node] == "YES"], key=best, default=None)
        if chosen is not None and verdicts[chosen] == "YES":
            assign(draft, at, info, chosen, started=_is_closed(draft, at))


def _is_closed(draft: Draft, at: Shard) -> bool:
    """The copies of a closed index are not opened, so there is nothing to wait for."""
    return not draft.indices[at.index].is_open


def _asked(draft: Draft, at: Shard, info: Unassigned | None, node: str) -> Question:
    is_primary = info is not None and info.is_primary
    return Question(at, draft.indices[at.index], draft[at], draft.nodes[node], is_primary, info=info)
