"""What a leader serves: its metadata, its change feed, and the leases that keep deletes until followers saw them.

Runs as the user who followed, through this cluster's own gate. Tests: tests/replication/test_leader.py.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import structlog

from hanse.cluster.node_actions import NO_SECTIONS
from hanse.cluster.requests import STATE, ReadState
from hanse.cluster.state import ClusterState, IndexMetadata
from hanse.errors import (
    HanseError,
    IllegalArgumentError,
    IndexClosedError,
    IndexNotFoundError,
    RetentionLeaseNotFoundError,
    SecurityError,
)
from hanse.index.administration.bodies import alias_json
from hanse.index.administration.requests import STATS, Stats
from hanse.index.index_service import IndexService
from hanse.index.primaries import Primaries
from hanse.index.shard import Shard
from hanse.replication import requests
from hanse.replication.requests import (
    CHANGES_AT_PRIMARY,
    LEASE_AT_PRIMARY,
    ChangesAtPrimary,
    LeaderIndexes,
    LeaderMetadata,
    LeaseAtPrimary,
    OneIndex,
    RemoveLease,
    ShardChanges,
    ShardChangesAnswer,
)
from hanse.tasks import Tasks
from hanse.transport.actions import ActionRegistry, Call, Empty

log = structlog.get_logger(__name__)

POLL_TIMEOUT_S_MAX = 300.0
LEASE_RENEWAL_S = 30.0
LEASE_TIMEOUT_S = 20.0
READ_GRACE_S = 20.0
"""How much longer than its poll time-out another node's answer may take."""
PRIMARY_WAIT_S = 10.0
"""How long a shard without a primary is waited for; the follower asks again by itself."""


class Leader:
    def __init__(self, primaries: Primaries, tasks: Tasks, is_peer: Callable[[str], bool]) -> None:
        """`is_peer`: whether a remote peer of that name is listed now."""
        self._is_peer = is_peer
        self._primaries = primaries
        self._cluster = primaries.cluster
        self._indices = primaries.indices
        self._tasks = tasks
        self._renewed: dict[tuple[str, int, str], tuple[int, float]] = {}

    async def metadata(self, call: Call, request: OneIndex) -> LeaderMetadata:
        """Checks what Elasticsearch checks before a follow: read_ccr on the cluster, monitor on the index."""
        await call.run(STATE, ReadState(metrics=("version",)))
        name = self._only_index(call, request.indices[0])
        await self._check_monitor(call, name)
        self._refuse_restricted(call)
        index = self._cluster.state.indices[name]
        if not index.is_open:
            raise IndexClosedError("closed", index=name, index_uuid=index.uuid)
        return LeaderMetadata(
            name=name,
            uuid=index.uuid,
            state=index.state,
            mappings=index.mappings,
            settings=dict(index.settings),
            aliases={alias: alias_json(body) for alias, body in index.aliases.items()},
            number_of_shards=index.number_of_shards,
            mapping_version=index.mapping_version,
            settings_version=index.settings_version,
            aliases_version=index.aliases_version,
            cluster_name=self._cluster.state.cluster_name,
            data_stream=index.data_stream,
        )

    async def _check_monitor(self, call: Call, name: str) -> None:
        try:
            await call.run(STATS, Stats(indices=(name,), metrics=NO_SECTIONS))
        except SecurityError as error:
            raise SecurityError(
                f"insufficient privileges to follow index [{name}], privilege for action [{STATS.name}] is missing"
            ) from error

    def _only_index(self, call: Call, asked: str) -> str:
        """The index that is named, which has to be among the granted ones: a request may ask to ignore others."""
        if asked not in self._cluster.state.indices:
            if call.targets.local:
                raise IllegalArgumentError(f"cannot follow [{asked}], because it is a ALIAS")
            raise IndexNotFoundError.of(asked)
        if asked not in call.targets.names:
            raise IndexNotFoundError.of(asked)
        return asked

    def _refuse_restricted(self, call: Call) -> None:
        """A copy would hold what the role may not see, so document and field level security forbid following."""
        for target in call.targets.local:
            if not target.access.is_full or target.filters:
                raise SecurityError(
                    f"can't follow index [{target.index}]: the roles of user [{call.identity.username}] restrict its "
                    f"documents or fields here; grant a role without [query] and [field_security] to replicate"
                )

    async def changes(self, call: Call, request: ShardChanges) -> ShardChangesAnswer:
        """The feed after `request.after`; waits for something new up to the poll time-out, then answers empty.

        The primary answers, wherever it is: it knows what the log has, and it keeps the leases.
        """
        self._refuse_restricted(call)
        name = self._only_index(call, request.indices[0])
        service = self._service(name, request.leader_uuid, request.shard)
        nodes = self._primaries.nodes

        async def here(shard: Shard) -> ShardChangesAnswer:
            return await self._changes_here(call, name, request)

        async def there(node: str) -> ShardChangesAnswer:
            assert nodes is not None
            asked = ChangesAtPrimary(request.indices, request, self._cluster.state.version)
            timeout_s = min(request.poll_timeout_s, POLL_TIMEOUT_S_MAX) + READ_GRACE_S
            return await nodes.forward(node, call, CHANGES_AT_PRIMARY, asked, timeout_s=timeout_s)

        return await self._primaries.run(service, request.shard, here, there, timeout_s=PRIMARY_WAIT_S, may_repeat=True)

    async def changes_at_primary(self, call: Call, request: ChangesAtPrimary) -> ShardChangesAnswer:
        """The same for another node of this cluster, which found the primary here."""
        self._refuse_restricted(call)
        return await self._changes_here(call, self._only_index(call, request.indices[0]), request.changes)

    async def _changes_here(self, call: Call, name: str, request: ShardChanges) -> ShardChangesAnswer:
        started = time.monotonic()
        shard = self._primary(name, request.leader_uuid, request.shard)
        if request.lease_id is not None:
            await self._renew(shard, request.lease_id, request.after + 1, _peer_of(call))
        if shard.max_seq_no <= request.after and _versions(self._cluster.state.indices[name]) == request.versions:
            await self._news(shard, request)
            shard = self._primary(name, request.leader_uuid, request.shard)
        changes = await shard.read_changes(
            request.after, request.max_operation_count, request.max_batch_bytes, floor=request.floor
        )
        index = self._cluster.state.indices[name]
        return ShardChangesAnswer(
            operations=changes.operations,
            up_to=changes.up_to,
            max_seq_no=changes.max_seq_no,
            mapping_version=index.mapping_version,
            settings_version=index.settings_version,
            aliases_version=index.aliases_version,
            tombstone_floor=changes.tombstone_floor,
            lost=changes.lost,
            took_ms=int((time.monotonic() - started) * 1000),
        )

    async def _news(self, shard: Shard, request: ShardChanges) -> None:
        """Waits for an operation, for a change of mapping, settings, aliases or the index' state, and for the primary
        to go elsewhere."""
        name = request.indices[0]

        def look(old: ClusterState, new: ClusterState) -> None:
            if old.indices.get(name) is not new.indices.get(name) or not shard.is_primary:
                waiting.cancel()

        waiting = self._tasks.spawn(
            f"news of {name}", shard.wait_for_changes(request.after, min(request.poll_timeout_s, POLL_TIMEOUT_S_MAX))
        )
        unsubscribe = self._cluster.subscribe(look)
        try:
            await asyncio.wait((waiting,))
        finally:
            unsubscribe()
            waiting.cancel()

    def _primary(self, name: str, uuid: str, number: int) -> Shard:
        """The copy here. Raises RetryOnPrimaryError when it is not the primary (any more)."""
        shard = self._service(name, uuid, number).shard(number)
        shard.check_primary()
        return shard

    def _service(self, name: str, uuid: str, number: int) -> IndexService:
        index = self._cluster.state.indices.get(name)
        if index is None:
            raise IndexNotFoundError.of(name)
        if index.uuid != uuid:
            raise IllegalArgumentError(
                f"leader index [{name}] has uuid [{index.uuid}] but the follower follows [{uuid}]: the leader was "
                f"deleted and made anew; recreate the follower"
            )
        if not index.is_open:
            raise IndexClosedError("closed", index=name, index_uuid=uuid)
        if not 0 <= number < index.number_of_shards:
            raise IllegalArgumentError(f"leader index [{name}] has no shard [{number}]")
        return self._indices.get(name)

    async def _renew(self, shard: Shard, lease_id: str, retaining_seq_no: int, by: str) -> None:
        """Each poll tells how far the follower is; the lease is written when that moved and at most every 30 s."""
        self._check_holder(shard, lease_id, by)
        key = (shard.index_uuid, shard.number, lease_id)
        known = self._renewed.get(key)
        now = time.monotonic()
        if known is not None and (known[0] == retaining_seq_no or now - known[1] < LEASE_RENEWAL_S):
            return
        try:
            await shard.renew_lease(lease_id, retaining_seq_no, by)
        except HanseError as error:
            if error.name != "retention_lease_not_found_exception":
                raise
            await shard.add_lease(lease_id, retaining_seq_no, "ccr", by)
        self._renewed[key] = (retaining_seq_no, now)

    def _check_holder(self, shard: Shard, lease_id: str, by: str | None) -> None:
        """What a listed peer took nobody else from outside renews or removes: he could make its follower lose history.

        `by`: the peers that the caller's certificate is of; None for this cluster's own administrator. A holder that is
        listed no more holds nothing. Who holds it instead is for the log alone.
        """
        lease = shard.retention_leases.leases.get(lease_id)
        if by is None or lease is None or not lease.holder:
            return
        holders = [peer for peer in lease.holder.split(",") if self._is_peer(peer)]
        if holders and not set(holders) & set(by.split(",")):
            log.warning("lease of another peer refused", lease=lease_id, holder=lease.holder, by=by)
            raise SecurityError(f"retention lease [{lease_id}] is held by another remote peer")

    async def remove_lease(self, call: Call, request: RemoveLease) -> Empty:
        index = self._cluster.state.indices.get(request.index)
        if index is None or index.uuid != request.index_uuid or not index.is_open:
            return Empty()
        outcomes = await self._without_lease(self._indices.get(request.index), request.lease_id, _peer_of(call))
        for outcome in outcomes:
            if outcome is not None and not isinstance(outcome, RetentionLeaseNotFoundError):
                raise outcome
        return Empty()

    async def _without_lease(self, service: IndexService, lease_id: str, by: str | None) -> list[HanseError | None]:
        """Removes a lease from every shard; by shard, what kept it from that."""
        numbers = range(service.metadata.number_of_shards)
        return await asyncio.gather(*(self._remove_at_primary(service, number, lease_id, by) for number in numbers))

    async def _remove_at_primary(
        self, service: IndexService, number: int, lease_id: str, by: str | None
    ) -> HanseError | None:
        nodes = self._primaries.nodes

        async def here(shard: Shard) -> None:
            await self._remove_here(shard, lease_id, by)

        async def there(node: str) -> None:
            assert nodes is not None
            asked = LeaseAtPrimary(service.name, service.uuid, number, lease_id, self._cluster.state.version, by)
            await nodes.call(node, LEASE_AT_PRIMARY, asked, timeout_s=LEASE_TIMEOUT_S)

        try:
            await self._primaries.run(service, number, here, there, timeout_s=PRIMARY_WAIT_S, may_repeat=True)
        except HanseError as error:
            return error
        return None

    async def remove_lease_at_primary(self, call: Call, request: LeaseAtPrimary) -> Empty:
        shard = self._primary(request.index, request.index_uuid, request.shard)
        await self._remove_here(shard, request.lease_id, request.by)
        return Empty()

    async def _remove_here(self, shard: Shard, lease_id: str, by: str | None) -> None:
        self._check_holder(shard, lease_id, by)
        self._renewed.pop((shard.index_uuid, shard.number, lease_id), None)
        await shard.remove_lease(lease_id)

    async def forget_follower(self, call: Call, request: OneIndex) -> dict[str, Any]:
        """Removes a follower's leases by hand: its cluster is gone and will not unfollow."""
        body = request.body
        wanted = ("follower_cluster", "follower_index", "follower_index_uuid", "leader_remote_cluster")
        missing = [name for name in wanted if not body.get(name)]
        if missing:
            raise IllegalArgumentError(f"[{missing[0]}] is missing")
        name = self._only_index(call, request.indices[0])
        leader_uuid = self._cluster.state.indices[name].uuid
        lease_id = lease_id_of(
            body["follower_cluster"],
            body["follower_index"],
            body["follower_index_uuid"],
            body["leader_remote_cluster"],
            name,
            leader_uuid,
        )
        outcomes = await self._without_lease(self._indices.get(name), lease_id, None)
        failures = [_failure(name, number, error) for number, error in enumerate(outcomes) if error is not None]
        total = len(outcomes)
        answer: dict[str, Any] = {"total": total, "successful": total - len(failures), "failed": len(failures)}
        return {"_shards": {**answer, "failures": failures} if failures else answer}

    async def indexes(self, call: Call, request: LeaderIndexes) -> dict[str, Any]:
        indices = self._cluster.state.indices
        found = [indices[target.index] for target in call.targets.local if target.index in indices]
        return {
            index.name: {"uuid": index.uuid, "open": index.is_open}
            | ({"data_stream": index.data_stream} if index.data_stream else {})
            for index in found
        }


def _peer_of(call: Call) -> str:
    """The listed peers that the caller's certificate is of, joined by commas; empty when there are none."""
    return call.ceiling.label if call.ceiling is not None else ""


def _versions(index: IndexMetadata) -> tuple[int, int, int]:
    return index.mapping_version, index.settings_version, index.aliases_version


def lease_id_of(
    follower_cluster: str, follower: str, follower_uuid: str, alias: str, leader: str, leader_uuid: str
) -> str:
    return f"{follower_cluster}/{follower}/{follower_uuid}-following-{alias}/{leader}/{leader_uuid}"


def _failure(index: str, shard: int, error: HanseError) -> dict[str, Any]:
    return {
        "shard": shard,
        "index": index,
        "status": "NOT_FOUND" if error.status == 404 else "INTERNAL_SERVER_ERROR",
        "reason": {"type": error.name, "reason": error.reason},
    }


def register(registry: ActionRegistry, primaries: Primaries, tasks: Tasks, is_peer: Callable[[str], bool]) -> None:
    leader = Leader(primaries, tasks, is_peer)
    registry.register(requests.LEADER_METADATA, leader.metadata)
    registry.register(requests.LEADER_INDEXES, leader.indexes)
    registry.register(requests.SHARD_CHANGES, leader.changes)
    registry.register(requests.CHANGES_AT_PRIMARY, leader.changes_at_primary)
    registry.register(requests.REMOVE_LEASE, leader.remove_lease)
    registry.register(requests.LEASE_AT_PRIMARY, leader.remove_lease_at_primary)
    registry.register(requests.FORGET_FOLLOWER, leader.forget_follower)
