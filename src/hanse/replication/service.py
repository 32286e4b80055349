"""Runs the follows this node is responsible for: the cluster state says which, tasks do the work.

A follow starts when the state says `active` and gives this node the primary, ends when it says otherwise, and starts
again by itself after a restart.
Tests: tests/replication/test_service.py, tests/journeys/.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog

from hanse.cluster.state import ClusterState, IndexMetadata
from hanse.cluster.updates import ClusterService
from hanse.errors import HanseError, RetryOnPrimaryError
from hanse.index.administration.create import replaced
from hanse.index.service import Indices
from hanse.index.shard import Shard
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

FOLLOW_TASK = "xpack/ccr/shard_follow_task"
Listed = Callable[[str, Any, Identity], AbstractContextManager[None]]
READ_GRACE_S = 30.0
"""How much longer than its poll time-out a read may take before the connection counts as dead."""

OPEN_POLL_S = 0.1

RunAs = Callable[[Action[Any, Any], Any, Identity], Awaitable[Any]]
"""The gate: runs a local action as somebody."""

Place = tuple[str, int]
"""An index and the number of a shard."""


@dataclass(slots=True)
class _Running:
    """The follow of one shard on this node. `key` is what makes it the same one; `follow` is None while it starts."""

    key: tuple[Any, ...]
    task: asyncio.Task[Any]
    follow: ShardFollow | None = None


class Replication:
    """Follows on this node: exactly those of shards whose primary the cluster state gives to this node.

    So a follow moves with the primary. A node without the role `remote_cluster_client` reaches no leader and runs none.
    """

    def __init__(
        self,
        cluster: ClusterService,
        indices: Indices,
        remotes: RemoteClusters,
        run: RunAs,
        own_id: Callable[[], str],
        *,
        is_client: bool = True,
        listed: Listed = lambda action, request, identity: nullcontext(),
    ) -> None:
        """`listed` shows a follow among the tasks of this node while it runs."""
        self._listed = listed
        self._cluster = cluster
        self._indices = indices
        self._remotes = remotes
        self._run = run
        self._own_id = own_id
        self._is_client = is_client
        self._tasks = Tasks()
        self._running: dict[Place, _Running] = {}
        self._random = secrets.SystemRandom()
        self._unsubscribe: Callable[[], None] = lambda: None

    async def start(self) -> None:
        if self._is_client:
            self._unsubscribe = self._cluster.subscribe(self._changed)
            for name in self._cluster.state.indices:
                self._reconcile(name, self._cluster.state)

    async def close(self) -> None:
        self._unsubscribe()
        await self._tasks.close()

    def follows(self, index: str) -> list[ShardFollow]:
        """The follows of an index that run here, by shard; empty when it is paused, no follower, or led elsewhere."""
        found = [running.follow for place, running in sorted(self._running.items()) if place[0] == index]
        return [follow for follow in found if follow is not None]

    def stats(self) -> list[dict[str, Any]]:
        """Of every follow that runs here (spec: ccr.md §1.3)."""
        return [running.follow.stats() for _, running in sorted(self._running.items()) if running.follow is not None]

    async def first_copy(self, index: str, number: int) -> None:
        """Returns when the shard here has what the leader had when it was first asked, and when it follows no more.

        Raises RetryOnPrimaryError when the follow goes to another node meanwhile.
        """
        while True:
            if not is_active(self._cluster.state.indices.get(index)):
                return
            running = self._running.get((index, number))
            if running is None:
                raise RetryOnPrimaryError(f"[{index}][{number}] is not followed on this node", index=index)
            if running.follow is not None and (running.follow.caught_up.is_set() or running.follow.loop.halted):
                return
            if running.follow is None:
                await asyncio.wait((running.task,), timeout=OPEN_POLL_S)
                continue
            caught_up = self._tasks.spawn(f"first copy of {index}[{number}]", running.follow.caught_up.wait())
            try:
                await asyncio.wait((running.task, caught_up), return_when=asyncio.FIRST_COMPLETED)
            finally:
                caught_up.cancel()

    def _changed(self, old: ClusterState, new: ClusterState) -> None:
        for name in old.indices.keys() | new.indices.keys():
            is_same = old.indices.get(name) is new.indices.get(name)
            if not is_same or old.routing.get(name) is not new.routing.get(name):
                self._reconcile(name, new)

    def _reconcile(self, name: str, state: ClusterState) -> None:
        wanted = _follows_of(state, name, self._own_id())
        for place in [place for place in self._running if place[0] == name]:
            if self._running[place].key != wanted.get(place[1]):
                self._running.pop(place).task.cancel()
        for number, key in wanted.items():
            if (name, number) not in self._running:
                work = self._tasks.spawn(f"follow {name}[{number}]", self._follow(name, number, key))
                self._running[name, number] = _Running(key, work)

    async def _follow(self, name: str, number: int, key: tuple[Any, ...]) -> None:
        shard = await self._primary(name, number)
        running = self._running.get((name, number))
        if running is None or running.key != key:
            return
        follow = running.follow = self._shard_follow(self._cluster.state.indices[name], shard)
        log.info("following", index=name, shard=number, leader=f"{follow.alias}:{follow.leader_index}")
        with self._listed(FOLLOW_TASK, OneIndex((name,)), identity_of(follow.index)):
            await follow.run(self._tasks)

    async def _primary(self, name: str, number: int) -> Shard:
        """The copy here, once it serves and has taken over: only then it knows how far the follower had come."""
        while True:
            try:
                shard = self._indices.get(name).shard(number)
                await shard.lead()
                return shard
            except HanseError as error:
                log.debug("a follow waits for its shard", index=name, shard=number, why=error.reason)
            await asyncio.sleep(OPEN_POLL_S)

    def _shard_follow(self, index: IndexMetadata, shard: Shard) -> ShardFollow:
        custom = index.custom["ccr"]
        number = shard.number
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
            known = Versions(*state.index(name).custom["ccr"].get("versions", (0, 0, 0)))
            if known.covers(versions):
                return state  # another node, with another shard, was faster
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


def _follows_of(state: ClusterState, name: str, node: str) -> dict[int, tuple[Any, ...]]:
    """The shards of an index that a node is to follow, each with what makes a running follow the same one: a change of
    any of it means stop and start anew."""
    index = state.indices.get(name)
    if index is None or not is_active(index):
        return {}
    custom = index.custom["ccr"]
    wanted = {}
    for number, shard in enumerate(state.routing.get(name, ())):
        copy = shard.active_primary
        if copy is not None and copy.node == node:
            term = index.primary_terms[number]
            source = custom["remote_cluster"], custom["leader_uuid"], custom["run"]
            wanted[number] = (index.uuid, *source, copy.allocation_id, term)
    return wanted


__all__ = ["FollowParameters", "Replication", "identity_of", "is_active", "with_follow"]
