"""The follower loop of one shard as an event-in, command-out object, without I/O, clock or randomness of its own.

Theory of operation: one read is outstanding at most, because a read starts where the last one ended; while its answer
is applied the next one is already on its way, until the buffer's limits are reached. An answer is applied only when
settings, mappings and aliases have been brought up to the versions it names. Each of the three activities (read, sync,
apply) retries by itself with a growing random wait; an error that waiting cannot mend halts the loop and is shown.
`follower.py` performs the commands. Tests: tests/replication/test_loop.py (transcripts).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from hanse.cluster.log import Operation
from hanse.errors import HanseError, ResourceNotFoundError
from hanse.replication.parameters import FollowParameters
from hanse.replication.requests import ShardChangesAnswer

RETRY_STEP_S = 0.05
RETRY_DOUBLINGS_MAX = 24

RETRYABLE = frozenset(
    {
        "connect_transport_exception",
        "node_disconnected_exception",
        "node_not_connected_exception",
        "node_closed_exception",
        "no_seed_node_left_exception",
        "no_such_remote_cluster_exception",
        "receive_timeout_transport_exception",
        "security_exception",
        "cluster_block_exception",
        "index_closed_exception",
        "retry_on_primary_exception",
        "es_rejected_execution_exception",
        "circuit_breaking_exception",
        "shard_not_found_exception",
        "no_shard_available_action_exception",
        "unavailable_shards_exception",
        "already_closed_exception",
        "illegal_index_shard_state_exception",
        "shard_failed_exception",
        "timeout_exception",
        "task_cancelled_exception",
    }
)


class Activity(Enum):
    READ = "read"
    SYNC = "sync"
    APPLY = "apply"


@dataclass(frozen=True, slots=True)
class Versions:
    """Of the leader's mapping, settings and aliases."""

    mapping: int = 0
    settings: int = 0
    aliases: int = 0

    def covers(self, other: Versions) -> bool:
        return self.mapping >= other.mapping and self.settings >= other.settings and self.aliases >= other.aliases


@dataclass(frozen=True, slots=True)
class Read:
    """Ask the leader for what comes after."""

    after: int


@dataclass(frozen=True, slots=True)
class Sync:
    """Bring settings, mapping and aliases up to at least these versions."""

    wanted: Versions


@dataclass(frozen=True, slots=True)
class Apply:
    operations: list[Operation]
    up_to: int


@dataclass(frozen=True, slots=True)
class KeepFloor:
    """Remember, durably, that deletes up to here were purged before this copy began."""

    floor: int


@dataclass(frozen=True, slots=True)
class Wait:
    activity: Activity
    delay_s: float


@dataclass(frozen=True, slots=True)
class Halt:
    error: HanseError


Command = Read | Sync | Apply | KeepFloor | Wait | Halt


@dataclass(slots=True)
class _Buffered:
    operations: list[Operation]
    up_to: int
    versions: Versions
    size_bytes: int


@dataclass(slots=True)
class FollowerLoop:
    """State of one shard's follow. Methods are events; each returns the commands to perform now.

    `random_s(most)` gives a wait between 0 and `most` seconds.
    """

    parameters: FollowParameters
    checkpoint: int
    synced: Versions
    random_s: Callable[[float], float]
    floor: int = -1
    requested: int = field(init=False)
    leader_max_seq_no: int = -1
    halted: HanseError | None = None
    failures: dict[Activity, int] = field(default_factory=dict)
    _busy: set[Activity] = field(default_factory=set)
    _buffer: deque[_Buffered] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.requested = self.checkpoint

    @property
    def buffered_operations(self) -> int:
        return sum(len(item.operations) for item in self._buffer)

    @property
    def buffered_bytes(self) -> int:
        return sum(item.size_bytes for item in self._buffer)

    @property
    def is_reading(self) -> bool:
        return Activity.READ in self._busy

    @property
    def is_applying(self) -> bool:
        return Activity.APPLY in self._busy

    def start(self) -> list[Command]:
        return self._decide()

    def changes_arrived(self, answer: ShardChangesAnswer) -> list[Command]:
        self._done(Activity.READ)
        if answer.lost:
            return self._halt(_history_lost(self.requested, answer))
        commands: list[Command] = []
        if self.requested < 0 and answer.tombstone_floor > self.floor:
            self.floor = answer.tombstone_floor
            commands.append(KeepFloor(self.floor))
        self.leader_max_seq_no = max(self.leader_max_seq_no, answer.max_seq_no)
        versions = Versions(answer.mapping_version, answer.settings_version, answer.aliases_version)
        if answer.up_to > self.requested or not self.synced.covers(versions):
            assert answer.up_to >= self.requested, "the leader's feed went backwards"
            size = sum(len(operation.source) for operation in answer.operations)
            self._buffer.append(_Buffered(answer.operations, answer.up_to, versions, size))
            self.requested = answer.up_to
        return commands + self._decide()

    def metadata_synced(self, versions: Versions) -> list[Command]:
        self._done(Activity.SYNC)
        self.synced = versions
        return self._decide()

    def applied(self) -> list[Command]:
        self._done(Activity.APPLY)
        item = self._buffer.popleft()
        assert item.up_to >= self.checkpoint, "a follower's checkpoint never goes back"
        self.checkpoint = item.up_to
        return self._decide()

    def failed(self, activity: Activity, error: HanseError) -> list[Command]:
        """A retryable error waits, any other halts."""
        if error.name not in RETRYABLE:
            return self._halt(error)
        count = self.failures.get(activity, 0) + 1
        self.failures[activity] = count
        most = (2 ** min(count, RETRY_DOUBLINGS_MAX) - 1) * RETRY_STEP_S
        return [Wait(activity, self.random_s(min(most, self.parameters.max_retry_delay_s)))]

    def wait_over(self, activity: Activity) -> list[Command]:
        self._busy.discard(activity)
        return self._decide()

    def _done(self, activity: Activity) -> None:
        self._busy.discard(activity)
        self.failures.pop(activity, None)

    def _halt(self, error: HanseError) -> list[Command]:
        self.halted = error
        return [Halt(error)]

    def _decide(self) -> list[Command]:
        """What to do next; each activity runs once at a time, a waiting one counts as running."""
        if self.halted is not None:
            return []
        commands: list[Command] = []
        if self._buffer and not self._busy & {Activity.APPLY, Activity.SYNC}:
            head = self._buffer[0]
            if self.synced.covers(head.versions):
                self._busy.add(Activity.APPLY)
                commands.append(Apply(head.operations, head.up_to))
            else:
                self._busy.add(Activity.SYNC)
                commands.append(Sync(head.versions))
        if Activity.READ not in self._busy and self._has_room():
            self._busy.add(Activity.READ)
            commands.append(Read(self.requested))
        return commands

    def _has_room(self) -> bool:
        limits = self.parameters
        return (
            self.buffered_operations < min(limits.max_write_buffer_count, 4 * limits.max_read_request_operation_count)
            and self.buffered_bytes < limits.max_write_buffer_bytes
        )


def _history_lost(after: int, answer: ShardChangesAnswer) -> HanseError:
    return ResourceNotFoundError(
        "Operations are no longer available for replicating. The leader purged deletes up to "
        f"[{answer.tombstone_floor}] while this follower stood at [{after}], after its retention lease had been "
        "removed (forget_follower); pause, close and follow again to copy anew",
        requested_operations_missing=[str(after + 1), str(answer.tombstone_floor)],
    )
