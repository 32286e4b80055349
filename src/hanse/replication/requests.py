"""Typed requests and actions of replication; the names are Elasticsearch's where it has one."""

from __future__ import annotations

from typing import Any

import msgspec

from hanse.cluster.log import Operation
from hanse.transport.actions import Acknowledged, Action, Empty, IndicesOptions, Lane, Scope

_ONE = IndicesOptions(allow_no_indices=False, expand_open=False, ignore_aliases=False, forbid_closed_indices=False)
_MANY = IndicesOptions(expand_closed=True, forbid_closed_indices=False)


class PutFollow(msgspec.Struct, frozen=True, omit_defaults=True):
    indices: tuple[str, ...]
    body: dict[str, Any]
    wait_for_active_shards: str = "0"
    options: IndicesOptions = _ONE
    state_version: int = 0
    """Here and below: what a node that passes the request on knows (remote_client.py)."""

    @property
    def follower(self) -> str:
        return self.indices[0]


class FollowStarted(msgspec.Struct, frozen=True):
    follow_index_created: bool
    follow_index_shards_acked: bool
    index_following_started: bool


class ByFollower(msgspec.Struct, frozen=True, omit_defaults=True):
    """Pause and resume are cluster actions in Elasticsearch (manage_ccr), so the name is no index expression here."""

    follower: str
    body: dict[str, Any] = {}
    state_version: int = 0


class OneIndex(msgspec.Struct, frozen=True, omit_defaults=True):
    indices: tuple[str, ...]
    body: dict[str, Any] = {}
    options: IndicesOptions = _ONE
    state_version: int = 0


class Followers(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which followers an info or stats call is about; empty means all."""

    names: tuple[str, ...] = ()


class AutoFollowPattern(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    body: dict[str, Any] = {}
    state_version: int = 0


class ShardChanges(msgspec.Struct, frozen=True, omit_defaults=True):
    """Read the leader's feed after a position. With `lease_id` the position is also where its lease stands."""

    indices: tuple[str, ...]
    shard: int
    leader_uuid: str
    after: int
    floor: int = -1
    max_operation_count: int = 5120
    max_batch_bytes: int = 32 * 1024 * 1024
    poll_timeout_s: float = 60.0
    lease_id: str | None = None
    versions: tuple[int, int, int] = (0, 0, 0)
    """Mapping, settings and aliases version the follower has; the leader does not wait when its own are newer."""
    options: IndicesOptions = _ONE


class ShardChangesAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    operations: list[Operation]
    up_to: int
    max_seq_no: int
    mapping_version: int
    settings_version: int
    aliases_version: int
    tombstone_floor: int = -1
    lost: bool = False
    took_ms: int = 0


class LeaderMetadata(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a follower takes over of its leader."""

    name: str
    uuid: str
    state: str
    mappings: dict[str, Any]
    settings: dict[str, Any]
    aliases: dict[str, Any]
    number_of_shards: int
    mapping_version: int
    settings_version: int
    aliases_version: int
    cluster_name: str = ""
    data_stream: str = ""


class ApplyOperations(msgspec.Struct, frozen=True, omit_defaults=True):
    """Leader operations for a follower's shard. Runs on the follower's cluster as the user who followed."""

    indices: tuple[str, ...]
    shard: int
    operations: list[Operation]
    up_to: int
    options: IndicesOptions = _ONE


class ChangesAtPrimary(msgspec.Struct, frozen=True, omit_defaults=True):
    """A read of the feed of a shard whose primary lies on another node of the leader's cluster."""

    indices: tuple[str, ...]
    changes: ShardChanges
    state_version: int
    options: IndicesOptions = _ONE


class LeaseAtPrimary(msgspec.Struct, frozen=True):
    """The lease of one shard that its primary is to remove; `by`: for which peers, None for this cluster itself."""

    index: str
    index_uuid: str
    shard: int
    lease_id: str
    state_version: int
    by: str | None = None


class FirstCopy(msgspec.Struct, frozen=True):
    """Asks the node that follows a shard to answer when it has the first copy."""

    index: str
    shard: int
    state_version: int


class FollowsHere(msgspec.Struct, frozen=True):
    """Of the shards that a node follows: an entry of `_ccr/stats` each."""

    shards: list[dict[str, Any]]


class RemoveLease(msgspec.Struct, frozen=True):
    index: str
    index_uuid: str
    lease_id: str


class LeaderIndexes(msgspec.Struct, frozen=True, omit_defaults=True):
    """The leader's index names and uuids, for auto-follow: `{name: {"uuid", "open", "data_stream"?}}`."""

    indices: tuple[str, ...] = ("*",)
    options: IndicesOptions = IndicesOptions()


PUT_FOLLOW = Action("indices:admin/xpack/ccr/put_follow", PutFollow, FollowStarted, Scope.INDEX, creates=True)
UNFOLLOW = Action("indices:admin/xpack/ccr/unfollow", OneIndex, Acknowledged, Scope.INDEX)
FORGET_FOLLOWER = Action("indices:admin/xpack/ccr/forget_follower", OneIndex, dict, Scope.INDEX)
PAUSE_FOLLOW = Action("cluster:admin/xpack/ccr/pause_follow", ByFollower, Acknowledged, Scope.CLUSTER)
RESUME_FOLLOW = Action("cluster:admin/xpack/ccr/resume_follow", ByFollower, Acknowledged, Scope.CLUSTER)
FOLLOW_INFO = Action("cluster:monitor/ccr/follow_info", Followers, dict, Scope.CLUSTER)
FOLLOW_STATS = Action("cluster:monitor/ccr/follow_stats", Followers, dict, Scope.CLUSTER)
STATS = Action("cluster:monitor/ccr/stats", Empty, dict, Scope.CLUSTER)
PUT_AUTO_FOLLOW = Action(
    "cluster:admin/xpack/ccr/auto_follow_pattern/put", AutoFollowPattern, Acknowledged, Scope.CLUSTER
)
GET_AUTO_FOLLOW = Action("cluster:admin/xpack/ccr/auto_follow_pattern/get", AutoFollowPattern, dict, Scope.CLUSTER)
DELETE_AUTO_FOLLOW = Action(
    "cluster:admin/xpack/ccr/auto_follow_pattern/delete", AutoFollowPattern, Acknowledged, Scope.CLUSTER
)
ACTIVATE_AUTO_FOLLOW = Action(
    "cluster:admin/xpack/ccr/auto_follow_pattern/activate", AutoFollowPattern, Acknowledged, Scope.CLUSTER
)
SHARD_CHANGES = Action(
    "indices:data/read/xpack/ccr/shard_changes", ShardChanges, ShardChangesAnswer, Scope.INDEX, Lane.BULK
)
LEADER_METADATA = Action("indices:data/read/xpack/ccr/leader_metadata", OneIndex, LeaderMetadata, Scope.INDEX)
LEADER_INDEXES = Action("indices:data/read/xpack/ccr/leader_indexes", LeaderIndexes, dict, Scope.INDEX)
APPLY = Action("indices:data/write/bulk_shard_operations[s]", ApplyOperations, Empty, Scope.INDEX)
CHANGES_AT_PRIMARY = Action(
    "indices:data/read/xpack/ccr/shard_changes[p]",
    ChangesAtPrimary,
    ShardChangesAnswer,
    Scope.INDEX,
    Lane.BULK,
    within=True,
)
LEASE_AT_PRIMARY = Action("indices:admin/seq_no/remove_retention_lease[p]", LeaseAtPrimary, Empty, Scope.MEMBER)
FIRST_COPY = Action("internal:admin/xpack/ccr/first_copy", FirstCopy, Empty, Scope.MEMBER, Lane.BULK)
FOLLOWS_HERE = Action("cluster:monitor/ccr/follow_stats[n]", Empty, FollowsHere, Scope.CLUSTER, within=True)
AUTO_FOLLOW_STATS = Action("cluster:monitor/ccr/stats[m]", Empty, dict, Scope.CLUSTER, within=True)
REMOVE_LEASE = Action("indices:admin/seq_no/remove_retention_lease", RemoveLease, Empty, Scope.INTERNAL)
