"""Which node holds which copy of which shard: the part of the cluster state that allocation writes.

Immutable values; allocation/ makes new ones from old ones, and whoever commits a change of the state commits the
routing that follows from it. Names are those of Elasticsearch's routing table. Tests: tests/cluster/allocation/.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

CopyState = Literal["INITIALIZING", "STARTED", "RELOCATING"]
Reason = Literal[
    "INDEX_CREATED",
    "CLUSTER_RECOVERED",
    "INDEX_REOPENED",
    "NODE_LEFT",
    "NODE_RESTARTING",
    "REPLICA_ADDED",
    "ALLOCATION_FAILED",
    "REROUTE_CANCELLED",
    "PRIMARY_FAILED",
]


class Unassigned(msgspec.Struct, frozen=True, omit_defaults=True):
    """A copy that the settings ask for and no node has: since when, why, and until when nobody else gets it.

    `last_node` held it; `failed_allocations` in a row, after too many of which it is not tried again by itself.
    """

    reason: Reason
    at_ms: int
    is_primary: bool = False
    details: str | None = None
    last_node: str | None = None
    delayed_until_ms: int = 0
    failed_allocations: int = 0
    last_status: str = "no_attempt"


class ShardCopy(msgspec.Struct, frozen=True, omit_defaults=True):
    """One copy of a shard on a node.

    `allocation_id` names this very assignment, so that a late report about an earlier one changes nothing. A copy that
    moves is RELOCATING on its old node and INITIALIZING on the new one; each names the other in `relocating_node`.
    The new one is not the primary before it has taken the old one's place, also where the old one is.

    `unassigned_info`: how it came to be assigned, until it has started. `begins_log`: its log is to be begun anew from
    what the node holds (allocate_stale_primary) or, with `begins_empty`, from nothing (allocate_empty_primary).
    `failed_moves` in a row, after too many of which it stays where it is.
    """

    node: str
    allocation_id: str
    is_primary: bool = False
    state: CopyState = "INITIALIZING"
    relocating_node: str | None = None
    since_ms: int = 0
    unassigned_info: Unassigned | None = None
    begins_log: bool = False
    begins_empty: bool = False
    failed_moves: int = 0

    @property
    def is_active(self) -> bool:
        """It has everything and serves; one that moves away serves until the new one does."""
        return self.state != "INITIALIZING"

    @property
    def is_target(self) -> bool:
        """It fills up to take the place of the copy that moves here."""
        return self.state == "INITIALIZING" and self.relocating_node is not None


class ShardRouting(msgspec.Struct, frozen=True, omit_defaults=True):
    """All copies of one shard. `in_sync`: nodes whose copy once had everything; only from those comes a primary.

    An empty `in_sync` means that the shard never held anything: any node may begin it. `superseded`: nodes whose copy
    was the primary, and that may not know that it is none any more (touch.py).
    """

    copies: tuple[ShardCopy, ...] = ()
    unassigned: tuple[Unassigned, ...] = ()
    in_sync: tuple[str, ...] = ()
    superseded: tuple[str, ...] = ()

    @property
    def primary(self) -> ShardCopy | None:
        return next((copy for copy in self.copies if copy.is_primary), None)

    @property
    def active_primary(self) -> ShardCopy | None:
        return next((copy for copy in self.copies if copy.is_primary and copy.is_active), None)

    def active(self) -> Iterator[ShardCopy]:
        return (copy for copy in self.copies if copy.is_active)

    def on(self, node: str) -> ShardCopy | None:
        """The copy on a node; a node has one copy of a shard at most."""
        return next((copy for copy in self.copies if copy.node == node), None)


RoutingTable = dict[str, tuple[ShardRouting, ...]]
"""By index name, the shards in order of their number."""
