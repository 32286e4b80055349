"""Performs one shard's follow: the commands of `loop.py` become calls to the leader and writes to the follower.

Reads and writes run as the user who called follow, through both clusters' gates, so taking a role away stops them.
Tests: tests/replication/ and tests/journeys/.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from hanse.cluster.state import IndexMetadata
from hanse.errors import HanseError
from hanse.index.shard import Shard
from hanse.replication.loop import (
    Activity,
    Apply,
    Command,
    FollowerLoop,
    Halt,
    KeepFloor,
    Read,
    Sync,
    Versions,
    Wait,
)
from hanse.replication.parameters import FollowParameters
from hanse.replication.requests import ShardChanges
from hanse.tasks import Tasks

log = structlog.get_logger(__name__)


class FollowContext(Protocol):
    """What a shard's follow needs from the service around it."""

    async def read(self, follow: ShardFollow, request: ShardChanges) -> Any: ...

    async def apply(self, follow: ShardFollow, command: Apply) -> None: ...

    async def sync(self, follow: ShardFollow, wanted: Versions) -> Versions: ...

    async def keep_floor(self, follow: ShardFollow, floor: int) -> None: ...


@dataclass(slots=True)
class FollowCounters:
    successful_reads: int = 0
    failed_reads: int = 0
    operations_read: int = 0
    bytes_read: int = 0
    read_s: float = 0.0
    remote_ms: int = 0
    successful_writes: int = 0
    failed_writes: int = 0
    operations_written: int = 0
    write_s: float = 0.0
    last_read_at: float | None = None
    read_failure: tuple[int, HanseError] | None = None


@dataclass(slots=True)
class ShardFollow:
    """One shard that follows its leader's. `run` ends when the task is cancelled or the loop halts."""

    index: IndexMetadata
    shard: Shard
    number: int
    alias: str
    leader_index: str
    leader_uuid: str
    lease_id: str
    parameters: FollowParameters
    loop: FollowerLoop
    context: FollowContext
    counters: FollowCounters = field(default_factory=FollowCounters)
    caught_up: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the copy has what the leader had; an empty leader is caught up with its first answer."""
    _has_read: bool = False
    _events: asyncio.Queue[Callable[[], list[Command]]] = field(default_factory=asyncio.Queue)

    async def run(self, tasks: Tasks) -> None:
        """Performs commands until the loop halts; what it started ends with it."""
        running: set[asyncio.Task[Any]] = set()
        try:
            commands = self.loop.start()
            while True:
                for command in commands:
                    if isinstance(command, Halt):
                        log.error(
                            "follower stopped", index=self.index.name, shard=self.number, reason=command.error.reason
                        )
                        return
                    task = tasks.spawn(f"follow {self.index.name}[{self.number}]", self._perform(command))
                    running.add(task)
                    task.add_done_callback(running.discard)
                commands = (await self._events.get())()
        finally:
            for task in tuple(running):
                task.cancel()

    async def _perform(self, command: Command) -> None:
        if isinstance(command, Read):
            await self._attempt(Activity.READ, self._read(command))
        elif isinstance(command, Apply):
            await self._attempt(Activity.APPLY, self._apply(command))
        elif isinstance(command, Sync):
            await self._attempt(Activity.SYNC, self._sync(command))
        elif isinstance(command, Wait):
            await asyncio.sleep(command.delay_s)
            self._events.put_nowait(lambda: self.loop.wait_over(command.activity))
        elif isinstance(command, KeepFloor):
            await self.context.keep_floor(self, command.floor)

    async def _attempt(self, activity: Activity, work: Awaitable[Callable[[], list[Command]]]) -> None:
        try:
            event = await work
        except HanseError as error:
            failure = error.caused_by if error.name == "remote_transport_exception" and error.caused_by else error
            self._count_failure(activity, failure)
            self._events.put_nowait(lambda: self.loop.failed(activity, failure))
        else:
            self._events.put_nowait(event)

    def _count_failure(self, activity: Activity, error: HanseError) -> None:
        if activity is Activity.READ:
            self.counters.failed_reads += 1
            self.counters.read_failure = (self.loop.requested + 1, error)
        elif activity is Activity.APPLY:
            self.counters.failed_writes += 1

    async def _read(self, command: Read) -> Callable[[], list[Command]]:
        synced = self.loop.synced
        request = ShardChanges(
            indices=(self.leader_index,),
            shard=self.number,
            leader_uuid=self.leader_uuid,
            after=command.after,
            floor=self.loop.floor,
            max_operation_count=self.parameters.max_read_request_operation_count,
            max_batch_bytes=self.parameters.max_read_request_bytes,
            poll_timeout_s=self.parameters.read_poll_timeout_s if self._has_read else 0.0,
            lease_id=self.lease_id,
            versions=(synced.mapping, synced.settings, synced.aliases),
        )
        started = time.monotonic()
        answer = await self.context.read(self, request)
        self._has_read = True
        counters = self.counters
        counters.last_read_at = time.monotonic()
        counters.read_failure = None
        if answer.operations:
            counters.successful_reads += 1
            counters.operations_read += len(answer.operations)
            counters.bytes_read += sum(len(operation.source) for operation in answer.operations)
            counters.read_s += counters.last_read_at - started
            counters.remote_ms += answer.took_ms
        return lambda: self._progress(self.loop.changes_arrived(answer))

    async def _apply(self, command: Apply) -> Callable[[], list[Command]]:
        started = time.monotonic()
        await self.context.apply(self, command)
        self.counters.successful_writes += 1
        self.counters.operations_written += len(command.operations)
        self.counters.write_s += time.monotonic() - started
        return lambda: self._progress(self.loop.applied())

    async def _sync(self, command: Sync) -> Callable[[], list[Command]]:
        versions = await self.context.sync(self, command.wanted)
        return lambda: self.loop.metadata_synced(versions)

    def _progress(self, commands: list[Command]) -> list[Command]:
        if self._has_read and self.loop.checkpoint >= self.loop.leader_max_seq_no:
            self.caught_up.set()
        return commands

    def stats(self) -> dict[str, Any]:
        """As `_ccr/stats` shows a shard (spec: ccr.md §1.3)."""
        counters, loop = self.counters, self.loop
        since = -1 if counters.last_read_at is None else int((time.monotonic() - counters.last_read_at) * 1000)
        leader_max = max(loop.leader_max_seq_no, loop.checkpoint)
        shown: dict[str, Any] = {
            "remote_cluster": self.alias,
            "leader_index": self.leader_index,
            "follower_index": self.index.name,
            "shard_id": self.number,
            "leader_global_checkpoint": leader_max,
            "leader_max_seq_no": leader_max,
            "follower_global_checkpoint": loop.checkpoint,
            "follower_max_seq_no": max(self.shard.max_seq_no, loop.checkpoint),
            "last_requested_seq_no": loop.requested,
            "outstanding_read_requests": int(loop.is_reading),
            "outstanding_write_requests": int(loop.is_applying),
            "write_buffer_operation_count": loop.buffered_operations,
            "write_buffer_size_in_bytes": loop.buffered_bytes,
            "follower_mapping_version": loop.synced.mapping,
            "follower_settings_version": loop.synced.settings,
            "follower_aliases_version": loop.synced.aliases,
            "total_read_time_millis": int(counters.read_s * 1000),
            "total_read_remote_exec_time_millis": counters.remote_ms,
            "successful_read_requests": counters.successful_reads,
            "failed_read_requests": counters.failed_reads,
            "operations_read": counters.operations_read,
            "bytes_read": counters.bytes_read,
            "total_write_time_millis": int(counters.write_s * 1000),
            "successful_write_requests": counters.successful_writes,
            "failed_write_requests": counters.failed_writes,
            "operations_written": counters.operations_written,
            "read_exceptions": self._read_exceptions(),
            "time_since_last_read_millis": since,
        }
        if loop.halted is not None:
            shown["fatal_exception"] = {"type": loop.halted.name, "reason": loop.halted.reason}
        return shown

    def _read_exceptions(self) -> list[dict[str, Any]]:
        if self.counters.read_failure is None:
            return []
        from_seq_no, error = self.counters.read_failure
        retries = self.loop.failures.get(Activity.READ, 0)
        exception = {"type": error.name, "reason": error.reason}
        return [{"from_seq_no": from_seq_no, "retries": retries, "exception": exception}]
