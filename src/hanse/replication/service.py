"""Runs the follows this node is responsible for: the cluster state says which, tasks do the work.

A follow starts when the state says `active`, ends when it says otherwise, and starts again by itself after a restart.
Tests: tests/replication/test_service.py, tests/journeys/.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog

from hanse.cluster.state import ClusterState, IndexMetadata
from hanse.cluster.updates import ClusterService
from hanse.index.administration.create import replaced
from hanse.index.service import Indices
from hanse.remote.registry import RemoteClusters
from hanse.replication.follower import ShardFollow
from hanse.replication.leader import lease_id_of
from hanse.replication.loop import Apply, FollowerLoop, Versions
from hanse.replication.metadata_sync import synced, versions_of
from hanse.replication.parameters import FollowParameters, parse_parameters
from hanse.replication.requests import (
    APPLY,
    LEADER_METADATA,
    SHARD_CHANGES,
    ApplyOperations,
    LeaderMetadata,
    OneIndex,
    ShardChanges,
)
from hanse.tasks import Tasks
from hanse.transport.actions import Action
from hanse.transport.identity import Identity

log = structlog.get_logger(__name__)

READ_GRACE_S = 30.0
"""How much longer than its poll time-out a read may take before the connection counts as dead."""

RunAs = Callable[[Action[Any, Any], Any, Identity], Awaitable[Any]]
"""The gate: runs a local action as somebody."""


class Replication:
    def __init__(self, cluster: ClusterService, indices: Indices, remotes: RemoteClusters, run: RunAs) -> None:
        self._cluster = cluster
        self._indices = indices
        self._remotes = remotes
        self._run = run
        self._tasks = Tasks()
        self._follows: dict[str, list[ShardFollow]] = {}
        self._running: dict[str, list[asyncio.Task[Any]]] = {}
        self._random = secrets.SystemRandom()
        self._unsubscribe: Callable[[], None] = lambda: None

    async def start(self) -> None:
        self._unsubscribe = self._cluster.subscribe(self._changed)
        for index in self._cluster.state.indices.values():
            self._reconcile(None, index)

    async def close(self) -> None:
        self._unsubscribe()
        await self._tasks.close()

    def follows(self, index: str) -> list[ShardFollow]:
        """The running follows of an index, by shard; empty when paused or not a follower."""
        return self._follows.get(index, [])

    async def begun(self, index: str) -> list[ShardFollow]:
        """The follows of an index whose start is under way, once they run."""
        tasks = self._running.get(index)
        if tasks:
            await asyncio.shield(tasks[0])
        return self.follows(index)

    def _changed(self, old: ClusterState, new: ClusterState) -> None:
        for name in old.indices.keys() | new.indices.keys():
            before, after = old.indices.get(name), new.indices.get(name)
            if before is not after:
                self._reconcile(before, after)

    def _reconcile(self, before: IndexMetadata | None, after: IndexMetadata | None) -> None:
        was = _identity_of_follow(before)
        wanted = _identity_of_follow(after)
        name = (after or before).name  # type: ignore[union-attr]
        if was is not None and was != wanted:
            self._stop(name)
        if wanted is not None and name not in self._running and after is not None:
            self._running[name] = [self._tasks.spawn(f"start follow {name}", self._begin(after))]

    def _stop(self, name: str) -> None:
        for task in self._running.pop(name, ()):
            task.cancel()
        self._follows.pop(name, None)

    async def _begin(self, index: IndexMetadata) -> None:
        await self._indices.ready(index.name)
        follows = [self._shard_follow(index, shard.number) for shard in self._indices.get(index.name).shards]
        self._follows[index.name] = follows
        for follow in follows:
            task = self._tasks.spawn(f"follow {index.name}[{follow.number}]", follow.run(self._tasks))
            self._running[index.name].append(task)
        log.info("following", index=index.name, leader=f"{follows[0].alias}:{follows[0].leader_index}")

    def _shard_follow(self, index: IndexMetadata, number: int) -> ShardFollow:
        custom = index.custom["ccr"]
        shard = self._indices.get(index.name).shards[number]
        parameters = parse_parameters(custom.get("params") or {})
        loop = FollowerLoop(
            parameters=parameters,
            checkpoint=shard.checkpoint,
            synced=Versions(*custom.get("versions", (0, 0, 0))),
            random_s=lambda most: self._random.uniform(0, most),
            floor=int((custom.get("floors") or {}).get(str(number), -1)),
        )
        return ShardFollow(
            index=index,
            shard=shard,
            number=number,
            alias=custom["remote_cluster"],
            leader_index=custom["leader_index"],
            leader_uuid=custom["leader_uuid"],
            lease_id=self.lease_id(index),
            parameters=parameters,
            loop=loop,
            context=self,
        )

    def lease_id(self, index: IndexMetadata) -> str:
        custom = index.custom["ccr"]
        return lease_id_of(
            self._cluster.state.cluster_name,
            index.name,
            index.uuid,
            custom["remote_cluster"],
            custom["leader_index"],
            custom["leader_uuid"],
        )

    async def read(self, follow: ShardFollow, request: ShardChanges) -> Any:
        timeout_s = request.poll_timeout_s + READ_GRACE_S
        return await self._remotes.call(
            follow.alias, SHARD_CHANGES, request, identity_of(follow.index), timeout_s=timeout_s
        )

    async def apply(self, follow: ShardFollow, command: Apply) -> None:
        request = ApplyOperations((follow.index.name,), follow.number, command.operations, command.up_to)
        await self._run(APPLY, request, identity_of(follow.index))

    async def sync(self, follow: ShardFollow, wanted: Versions) -> Versions:
        """Brings the follower's metadata up to the leader's; another shard's sync may have done it already."""
        name = follow.index.name
        current = self._cluster.state.indices[name]
        known = Versions(*current.custom["ccr"].get("versions", (0, 0, 0)))
        if known.covers(wanted):
            return known
        leader: LeaderMetadata = await self._remotes.call(
            follow.alias, LEADER_METADATA, OneIndex((follow.leader_index,)), identity_of(follow.index)
        )
        versions = versions_of(leader)

        def change(state: ClusterState) -> ClusterState:
            index = synced(state.indices[name], leader)
            return state.with_index(
                with_follow(index, versions=[versions.mapping, versions.settings, versions.aliases])
            )

        await self._cluster.update(f"sync follower [{name}]", change)
        return versions

    async def keep_floor(self, follow: ShardFollow, floor: int) -> None:
        def change(state: ClusterState) -> ClusterState:
            index = state.indices[follow.index.name]
            floors = {**(index.custom["ccr"].get("floors") or {}), str(follow.number): floor}
            return state.with_index(with_follow(index, floors=floors))

        await self._cluster.update(f"follower [{follow.index.name}] begins", change)


def with_follow(index: IndexMetadata, **changes: Any) -> IndexMetadata:
    """The index with members of its follow changed."""
    return replaced(index, custom={**index.custom, "ccr": {**index.custom["ccr"], **changes}})


def identity_of(index: IndexMetadata) -> Identity:
    """Who called follow: reads on the leader and writes here run with that user's role names."""
    return msgspec.convert(index.custom["ccr"]["identity"], Identity)


def is_active(index: IndexMetadata | None) -> bool:
    return (
        index is not None
        and index.is_open
        and index.is_follower
        and index.custom.get("ccr", {}).get("status") == "active"
    )


def _identity_of_follow(index: IndexMetadata | None) -> tuple[Any, ...] | None:
    """What makes a running follow the same one: a change of any of it means stop and start anew."""
    if index is None or not is_active(index):
        return None
    custom = index.custom["ccr"]
    return index.uuid, custom["remote_cluster"], custom["leader_uuid"], custom["run"]


__all__ = ["FollowParameters", "Replication", "identity_of", "is_active", "with_follow"]
