"""Where a copy may lie: small rules, each of which says its decision in a sentence as Elasticsearch's explain does.

Names and sentences follow the explain API's reference (cluster-allocation-explain) and the allocation settings'
(modules-cluster, index-modules-allocation). Tests: tests/cluster/allocation/test_deciders.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Literal

import msgspec

from hanse.cluster.allocation.draft import Draft, Shard, filters_of, setting_of
from hanse.cluster.routing import ShardCopy, ShardRouting, Unassigned
from hanse.cluster.state import IndexMetadata, NodeMetadata
from hanse.settings import allocation_settings as index_rules
from hanse.settings import cluster_settings as cluster_rules

Verdict = Literal["YES", "THROTTLE", "NO"]


class Decision(msgspec.Struct, frozen=True):
    """`decider` is Elasticsearch's name of the rule."""

    decider: str
    decision: Verdict
    explanation: str


class Question(msgspec.Struct, frozen=True):
    """May this copy lie on this node? `info` is that of an unassigned copy, `moving` a copy that would come from
    another node. A copy is new when its shard never held anything."""

    at: Shard
    index: IndexMetadata
    shard: ShardRouting
    node: NodeMetadata
    is_primary: bool
    info: Unassigned | None = None
    moving: ShardCopy | None = None

    @property
    def is_new_primary(self) -> bool:
        return self.is_primary and not self.shard.in_sync

    @property
    def is_restored_primary(self) -> bool:
        """The node holds the shard's data: then nothing is moved by opening it there."""
        return self.is_primary and self.moving is None and self.node.id in self.shard.in_sync


Decider = Callable[[Draft, Question], Decision]


def same_shard(draft: Draft, asked: Question) -> Decision:
    there = asked.shard.on(asked.node.id)
    if there is None:
        return Decision("same_shard", "YES", "this node does not hold a copy of this shard")
    return Decision(
        "same_shard",
        "NO",
        f"a copy of this shard is already allocated to this node [{_described(asked.at, there)}]",
    )


def data_role(draft: Draft, asked: Question) -> Decision:
    if asked.node.holds_data:
        return Decision("data_tier", "YES", "the node holds data")
    return Decision("data_tier", "NO", "the node does not have the role [data]")


def node_filter(draft: Draft, asked: Question) -> Decision:
    """The filters of the index and of the cluster, over names, ids, addresses and attributes."""
    for level, filters in (("index", filters_of(asked.index.settings, "index")), ("cluster", draft.filters)):
        for kind, wanted in filters.items():
            if not _passes(kind, wanted, asked.node):
                between = " AND " if kind == "require" else " OR "
                pairs = between.join(f'{name}:"{_joined(value)}"' for name, value in sorted(wanted.items()))
                verb = "matches" if kind == "exclude" else "does not match"
                setting = f"{level}.routing.allocation.{kind}"
                return Decision("filter", "NO", f"node {verb} {level} setting [{setting}] filters [{pairs}]")
    return Decision("filter", "YES", "node passes include/exclude/require filters")


def enabled(draft: Draft, asked: Question) -> Decision:
    """What a node holds already is opened there whatever this setting says (modules-cluster)."""
    if asked.is_restored_primary:
        return Decision("enable", "YES", "the primary may always be opened where its data are")
    own = index_rules.INDEX_ALLOCATION_ENABLE
    setting = own if own.key in asked.index.settings else cluster_rules.ALLOCATION_ENABLE
    level = "index" if setting is own else "cluster"
    value = setting_of(asked.index, own) if setting is own else draft.settings.read(setting)
    allowed = {
        "all": True,
        "primaries": asked.is_primary,
        "new_primaries": asked.is_new_primary,
        "none": False,
    }[value]
    if allowed:
        return Decision("enable", "YES", "all allocations are allowed" if value == "all" else "allowed by the setting")
    what = "no allocations are allowed"
    if value in ("primaries", "new_primaries"):
        what = f"{'replica' if not asked.is_primary else 'non-new primary'} allocations are forbidden"
    return Decision("enable", "NO", f"{what} due to {level} setting [{setting.key}={value}]")


def max_retry(draft: Draft, asked: Question) -> Decision:
    most = setting_of(asked.index, index_rules.MAX_RETRIES)
    failures = asked.info.failed_allocations if asked.info else asked.moving.failed_moves if asked.moving else 0
    if failures < most or failures == 0:
        return Decision(
            "max_retry", "YES", "shard has no previous failures" if not failures else _retry(failures, most)
        )
    return Decision(
        "max_retry",
        "NO",
        f"shard has exceeded the maximum number of retries [{most}] on failed allocation attempts - manually call "
        f"[POST /_cluster/reroute?retry_failed] to retry, [{_shown(asked.info)}]",
    )


def shards_limit(draft: Draft, asked: Question) -> Decision:
    """total_shards_per_node of the index and of the cluster."""
    own = setting_of(asked.index, index_rules.INDEX_TOTAL_SHARDS_PER_NODE)
    all_ = draft.settings.read(cluster_rules.TOTAL_SHARDS_PER_NODE)
    of_index = draft.load.of_index[asked.node.id, asked.index.name]
    total = draft.load.copies[asked.node.id]
    if 0 <= own <= of_index:
        return Decision(
            "shards_limit",
            "NO",
            f"too many shards [{of_index}] allocated to this node for index [{asked.index.name}], index setting "
            f"[{index_rules.INDEX_TOTAL_SHARDS_PER_NODE.key}={own}]",
        )
    if 0 <= all_ <= total:
        return Decision(
            "shards_limit",
            "NO",
            f"too many shards [{total}] allocated to this node, cluster setting "
            f"[{cluster_rules.TOTAL_SHARDS_PER_NODE.key}={all_}]",
        )
    if own < 0 and all_ < 0:
        return Decision("shards_limit", "YES", f"total shard limits are disabled: [index: {own}, cluster: {all_}] <= 0")
    return Decision("shards_limit", "YES", f"the shard count [{total}] for this node is under the limits")


def awareness(draft: Draft, asked: Question) -> Decision:
    """No value of an awareness attribute has more than its share of a shard's copies. Of copies that move it counts
    where they move to."""
    setting = cluster_rules.AWARENESS_ATTRIBUTES.key
    if not draft.awareness:
        return Decision(
            "awareness", "YES", f"allocation awareness is not enabled, set cluster setting [{setting}] to enable it"
        )
    expansion = setting_of(asked.index, index_rules.AUTO_EXPAND_REPLICAS)
    if expansion is not None and expansion[1] is None:
        text = "allocation awareness is ignored, this index is set to auto-expand to all nodes"
        return Decision("awareness", "YES", text)
    copies = asked.index.number_of_replicas + 1
    others = [copy for copy in asked.shard.copies if copy != asked.moving]
    for attribute in draft.awareness:
        name, value = attribute.name, asked.node.attributes.get(attribute.name)
        if value is None:
            names = ",".join(each.name for each in draft.awareness)
            return Decision(
                "awareness",
                "NO",
                f"node does not contain the awareness attribute [{name}]; required attributes cluster setting "
                f"[{setting}={names}]",
            )
        there, most = 1 + _having(draft, others, name, value), attribute.most(copies)
        if there > most:
            forced = f"{_listed(attribute.forced)} from forced awareness" if attribute.forced else "no forced awareness"
            return Decision(
                "awareness",
                "NO",
                f"there are [{copies}] copies of this shard and [{attribute.values}] values for attribute [{name}] "
                f"({_listed(attribute.found)} from nodes in the cluster and {forced}) so there may be at most [{most}] "
                f"copies of this shard allocated to nodes with each value, but (including this copy) there would be "
                f"[{there}] copies allocated to nodes with [node.attr.{name}: {value}]",
            )
    return Decision("awareness", "YES", "node meets all awareness attribute requirements")


def nearness(draft: Draft, shard: ShardRouting, copy: ShardCopy) -> int:
    """How many copies of the shard lie on nodes of the same value, summed over the awareness attributes."""
    attributes = draft.nodes[copy.node].attributes
    names = [attribute.name for attribute in draft.awareness if attribute.name in attributes]
    return sum(_having(draft, shard.copies, name, attributes[name]) for name in names)


def _having(draft: Draft, copies: Iterable[ShardCopy], name: str, value: str) -> int:
    found = (draft.nodes.get(copy.node) for copy in copies if copy.state != "RELOCATING")
    return sum(node is not None and node.attributes.get(name) == value for node in found)


def _listed(values: tuple[str, ...]) -> str:
    return f"[{', '.join(values)}]"


def remote_client(draft: Draft, asked: Question) -> Decision:
    """A follower's tasks call the leader's cluster, so they need a node that may (ccr-getting-started)."""
    if not asked.index.is_follower:
        return Decision(
            "ccr_primary_follower", "YES", "shard is not a follower and is not under the purview of this decider"
        )
    if asked.node.is_remote_client:
        return Decision("ccr_primary_follower", "YES", "node has the remote cluster client role")
    return Decision(
        "ccr_primary_follower",
        "NO",
        "shard is a follower and the node does not have the [remote_cluster_client] role",
    )


def active_primary(draft: Draft, asked: Question) -> Decision:
    if asked.is_primary:
        return Decision("replica_after_primary_active", "YES", "shard is primary and can be allocated")
    if asked.shard.active_primary is None:
        return Decision("replica_after_primary_active", "NO", "primary shard for this replica is not yet active")
    return Decision("replica_after_primary_active", "YES", "primary shard for this replica is already active")


def open_index(draft: Draft, asked: Question) -> Decision:
    """A closed index keeps the copies that it has; there is nothing to fill a new one from."""
    if asked.index.is_open or asked.node.id in asked.shard.in_sync:
        return Decision("closed_index", "YES", "the index is open, or the node holds its data")
    return Decision("closed_index", "NO", "the index is closed and the node does not hold its data")


def throttling(draft: Draft, asked: Question) -> Decision:
    if asked.is_primary and asked.moving is None:
        return Decision("throttling", "YES", "primaries that begin from what their node holds are not throttled")
    most = draft.settings.read(cluster_rules.CONCURRENT_RECOVERIES)
    incoming = draft.load.incoming[asked.node.id]
    if incoming < most:
        return Decision("throttling", "YES", f"below shard recovery limit of incoming: [{incoming} < {most}]")
    return Decision(
        "throttling",
        "THROTTLE",
        f"reached the limit of incoming shard recoveries [{incoming}], cluster setting "
        f"[{cluster_rules.CONCURRENT_RECOVERIES.key}={most}] (can also be set via "
        f"[cluster.routing.allocation.node_concurrent_incoming_recoveries])",
    )


DECIDERS: tuple[Decider, ...] = (
    max_retry,
    active_primary,
    enabled,
    open_index,
    node_filter,
    same_shard,
    data_role,
    remote_client,
    shards_limit,
    awareness,
    throttling,
)
STAYING: tuple[Decider, ...] = (node_filter, remote_client, awareness)
"""Rules that a copy must go on to meet where it lies; one that does not moves away."""


def decisions(draft: Draft, asked: Question) -> Iterator[Decision]:
    return (decider(draft, asked) for decider in DECIDERS)


def verdict(draft: Draft, asked: Question) -> Verdict:
    """NO before THROTTLE before YES, of all rules."""
    result: Verdict = "YES"
    for decision in decisions(draft, asked):
        if decision.decision == "NO":
            return "NO"
        if decision.decision == "THROTTLE":
            result = "THROTTLE"
    return result


def may_stay(draft: Draft, asked: Question) -> bool:
    return all(decider(draft, asked).decision == "YES" for decider in STAYING)


def is_restricted(draft: Draft, index: IndexMetadata) -> bool:
    """Whether there is a node at all that a copy of the index might have to leave."""
    return index.is_follower or bool(draft.filters or draft.awareness or filters_of(index.settings, "index"))


def _passes(kind: str, wanted: dict[str, str | list[str]], node: NodeMetadata) -> bool:
    """require: all must match; include: one must; exclude: none may. Values are patterns, split at commas."""
    found = [_matches(name, value, node) for name, value in wanted.items()]
    if kind == "require":
        return all(found)
    return any(found) if kind == "include" else not any(found)


def _matches(name: str, value: str | list[str], node: NodeMetadata) -> bool:
    patterns = [part.strip() for part in _joined(value).split(",") if part.strip()]
    return any(fnmatchcase(own, pattern) for own in _values(name, node) for pattern in patterns)


def _values(name: str, node: NodeMetadata) -> tuple[str, ...]:
    transport, http = (_host(address) for address in (node.transport_address, node.http_address))
    if name == "_name":
        return (node.name,)
    if name == "_id":
        return (node.id,)
    if name in ("_ip", "_host"):
        return (transport, http)
    if name in ("_publish_ip", "_host_ip"):
        return (transport,)
    value = node.attributes.get(name)
    return () if value is None else (value,)


def _host(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")


def _joined(value: str | list[str]) -> str:
    return value if isinstance(value, str) else ",".join(value)


def _described(at: Shard, copy: ShardCopy) -> str:
    kind = "P" if copy.is_primary else "R"
    return f"[{at.index}][{at.number}], node[{copy.node}], [{kind}], s[{copy.state}], a[id={copy.allocation_id}]"


def _retry(failures: int, most: int) -> str:
    return f"shard has failed allocating [{failures}] times but [{most}] retries are allowed"


def _shown(info: Unassigned | None) -> str:
    if info is None:
        return "relocation failed"
    text = f"unassigned_info[[reason={info.reason}], failed_attempts[{info.failed_allocations}]"
    return f"{text}, details[{info.details}]]" if info.details else f"{text}]"
