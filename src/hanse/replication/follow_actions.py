"""Handlers of follow, pause, resume, unfollow, info and stats (spec: ccr.md §1).

Tests: tests/replication/test_follow_actions.py, tests/journeys/.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from hanse import clock
from hanse.cluster.broadcast import Broadcast, Gathered
from hanse.cluster.state import ClusterState, IndexMetadata
from hanse.errors import (
    HanseError,
    IllegalArgumentError,
    IndexNotFoundError,
    ParsingError,
    ResourceAlreadyExistsError,
    ResourceNotFoundError,
    XContentParseError,
)
from hanse.index.administration.create import replaced
from hanse.index.administration.data_streams import backing_indices
from hanse.index.administration.names import check_index_name
from hanse.index.index_service import IndexService
from hanse.index.primaries import Primaries
from hanse.index.shard import Shard
from hanse.remote.registry import RemoteClusters
from hanse.replication import requests
from hanse.replication.auto_follow import AutoFollow
from hanse.replication.metadata_sync import FOLLOWING, new_follower, overrides_of, synced, versions_of
from hanse.replication.parameters import NAMES, parse_parameters
from hanse.replication.remote_client import RemoteClient, watching_node
from hanse.replication.requests import (
    AUTO_FOLLOW_STATS,
    FIRST_COPY,
    FOLLOWS_HERE,
    LEADER_METADATA,
    REMOVE_LEASE,
    ApplyOperations,
    ByFollower,
    FirstCopy,
    Followers,
    FollowsHere,
    FollowStarted,
    LeaderMetadata,
    OneIndex,
    PutFollow,
    RemoveLease,
)
from hanse.replication.service import Replication, is_active, with_follow
from hanse.transport.actions import Acknowledged, ActionRegistry, Call, Empty
from hanse.transport.identity import SYSTEM, Identity

FIRST_COPY_TIMEOUT_S = 24 * 3600.0
"""How long a shard's primary may be missed while its first copy is awaited; a caller gives up by itself."""
_FOLLOW_KEYS = NAMES | {"remote_cluster", "leader_index", "settings", "data_stream_name"}


class FollowActions:
    def __init__(
        self,
        primaries: Primaries,
        broadcast: Broadcast,
        remotes: RemoteClusters,
        replication: Replication,
        auto_follow: AutoFollow,
    ) -> None:
        self._cluster = primaries.cluster
        self._indices = primaries.indices
        self._primaries = primaries
        self._broadcast = broadcast
        self._remotes = remotes
        self._replication = replication
        self._auto_follow = auto_follow

    async def put_follow(self, call: Call, request: PutFollow) -> FollowStarted:
        body = request.body
        alias, leader_name = _required(body)
        parameters = parse_parameters(body)
        overrides = overrides_of(body.get("settings"))
        check_index_name(request.follower)
        leader = await self._leader(alias, leader_name, call.identity)
        custom = _custom(alias, leader, call.identity, parameters.given)
        now_ms = clock.now_ms()

        def change(state: ClusterState) -> ClusterState:
            existing = state.indices.get(request.follower)
            if existing is not None and existing.is_open:
                raise ResourceAlreadyExistsError(
                    f"[_ccr_{alias}:_latest_/_latest_] cannot restore index [{request.follower}] because an open index "
                    f"with same name already exists in the cluster. Either close or delete the existing index or "
                    f"restore the index under a different name by providing a rename pattern and replacement name",
                    index=request.follower,
                    index_uuid=existing.uuid,
                )
            _refuse_beside_own_stream(state, request.follower, leader)
            return state.with_index(new_follower(request.follower, leader, overrides, custom, now_ms))

        await self._cluster.update(f"put-follow [{request.follower}]", change)
        await self._indices.ready(request.follower)
        if request.wait_for_active_shards == "0":
            return FollowStarted(True, False, False)
        await self._first_copy(request.follower)
        return FollowStarted(True, True, True)

    async def _leader(self, alias: str, name: str, identity: Identity) -> LeaderMetadata:
        """The leader's metadata as the calling user; what the remote refuses is shown as the remote said it."""
        self._remotes.get(alias)
        try:
            leader: LeaderMetadata = await self._remotes.call(alias, LEADER_METADATA, OneIndex((name,)), identity)
        except HanseError as error:
            cause = error.caused_by if error.name == "remote_transport_exception" and error.caused_by else error
            raise cause from error
        if leader.settings.get("index.soft_deletes.enabled") == "false":
            raise IllegalArgumentError(f"leader index [{name}] does not have soft deletes enabled")
        return leader

    async def _first_copy(self, follower: str) -> None:
        """Returns when every shard has what the leader had when it was first asked."""
        service = self._indices.get(follower)
        await asyncio.gather(*(self._first_copy_of(service, n) for n in range(service.metadata.number_of_shards)))

    async def _first_copy_of(self, service: IndexService, number: int) -> None:
        nodes = self._primaries.nodes

        async def here(shard: Shard) -> None:
            await self._replication.first_copy(service.name, number)

        async def there(node: str) -> None:
            assert nodes is not None
            await nodes.call(node, FIRST_COPY, FirstCopy(service.name, number, self._cluster.state.version))

        await self._primaries.run(service, number, here, there, timeout_s=FIRST_COPY_TIMEOUT_S, may_repeat=True)

    async def first_copy_here(self, call: Call, request: FirstCopy) -> Empty:
        await self._replication.first_copy(request.index, request.shard)
        return Empty()

    async def pause(self, call: Call, request: ByFollower) -> Acknowledged:
        name = request.follower

        def change(state: ClusterState) -> ClusterState:
            index = _follower(state, name)
            if index.custom["ccr"]["status"] != "active":
                raise IllegalArgumentError(f"no shard follow tasks for [{name}]")
            return state.with_index(with_follow(index, status="paused"))

        await self._cluster.update(f"pause-follow [{name}]", change)
        return Acknowledged()

    async def resume(self, call: Call, request: ByFollower) -> Acknowledged:
        name = request.follower
        unknown = sorted(set(request.body) - NAMES)
        if unknown:
            raise XContentParseError(f"[1:1] [resume_follow] unknown field [{unknown[0]}]")
        parameters = parse_parameters(request.body)
        index = self._cluster.state.indices.get(name)
        if index is None:
            raise IndexNotFoundError.of(name)
        if "ccr" not in index.custom:
            raise IllegalArgumentError(f"follow index [{name}] does not have ccr metadata")
        custom = index.custom["ccr"]
        if custom["status"] == "active":
            raise ResourceAlreadyExistsError(f"task with id {{{index.uuid}-0}} already exist")
        if not index.is_open:
            raise IllegalArgumentError("leader and follow index must be open")
        leader = await self._leader(custom["remote_cluster"], custom["leader_index"], call.identity)
        if leader.uuid != custom["leader_uuid"]:
            raise IllegalArgumentError(
                f"follow index [{name}] should reference [{leader.uuid}] as leader index but instead reference "
                f"[{custom['leader_uuid']}] as leader index"
            )
        fresh = _custom(custom["remote_cluster"], leader, call.identity, parameters.given)

        def change(state: ClusterState) -> ClusterState:
            current = synced(_follower(state, name), leader)
            return state.with_index(with_follow(current, **fresh))

        await self._cluster.update(f"resume-follow [{name}]", change)
        return Acknowledged()

    async def unfollow(self, call: Call, request: OneIndex) -> Acknowledged:
        """The index becomes a regular one first; a lease that cannot be removed is an error that says so."""
        name = call.targets.names[0] if call.targets.names else request.indices[0]
        index = _follower(self._cluster.state, name)
        lease_id = self._replication.lease_id(index)
        custom = index.custom["ccr"]

        def change(state: ClusterState) -> ClusterState:
            current = _follower(state, name)
            if current.is_open:
                raise IllegalArgumentError(
                    f"cannot convert the follower index [{name}] to a non-follower, because it has not been closed"
                )
            if current.custom["ccr"]["status"] == "active":
                raise IllegalArgumentError(
                    f"cannot convert the follower index [{name}] to a non-follower, because it has not been paused"
                )
            return state.with_index(regular(current))

        await self._cluster.update(f"unfollow [{name}]", change)
        try:
            await self._remotes.call(
                custom["remote_cluster"],
                REMOVE_LEASE,
                RemoveLease(custom["leader_index"], custom["leader_uuid"], lease_id),
                SYSTEM,
                timeout_s=30.0,
            )
        except HanseError as error:
            error.metadata["failed_to_remove_retention_leases"] = [lease_id]
            raise
        return Acknowledged()

    async def info(self, call: Call, request: Followers) -> dict[str, Any]:
        state = self._cluster.state
        entries = []
        for name in _chosen(state, request.names, must_exist=True):
            custom = state.indices[name].custom["ccr"]
            entry = {
                "follower_index": name,
                "remote_cluster": custom["remote_cluster"],
                "leader_index": custom["leader_index"],
                "status": custom["status"],
            }
            if custom["status"] == "active":
                entry["parameters"] = parse_parameters(custom.get("params") or {}).shown()
            entries.append(entry)
        return {"follower_indices": entries}

    async def stats(self, call: Call, request: Followers) -> dict[str, Any]:
        asked, shown = await self._stats(call, request)
        return _with_failures(asked, shown)

    async def _stats(self, call: Call, request: Followers) -> tuple[Gathered[FollowsHere], dict[str, Any]]:
        state = self._cluster.state
        names = [name for name in _chosen(state, request.names, must_exist=True) if is_active(state.indices[name])]
        if not names and request.names and not any("*" in name or name == "_all" for name in request.names):
            raise ResourceNotFoundError(f"No shard follow tasks for follower indices [{','.join(request.names)}]")
        asked = await self._broadcast.ask(call, state.nodes, FOLLOWS_HERE, Empty())
        shards = [shard for answer in asked.answers.values() for shard in answer.shards]
        return asked, {"indices": [_index_stats(name, shards) for name in names]}

    async def follows_here(self, call: Call, request: Empty) -> FollowsHere:
        return FollowsHere(self._replication.stats())

    async def auto_follow_stats(self, call: Call, request: Empty) -> dict[str, Any]:
        return self._auto_follow.stats()

    async def all_stats(self, call: Call, request: Empty) -> dict[str, Any]:
        asked, follows = await self._stats(call, Followers())
        watcher = watching_node(self._cluster.state) or self._broadcast.own_id
        of_watcher = await self._broadcast.ask(call, (watcher,), AUTO_FOLLOW_STATS, Empty())
        stats = of_watcher.answers.get(watcher) or self._auto_follow.stats()
        shown = {"auto_follow_stats": stats, "follow_stats": follows}
        return _with_failures(asked.lacking(of_watcher.failures), shown)

    async def apply(self, call: Call, request: ApplyOperations) -> Empty:
        name = request.indices[0]
        shard = self._indices.get(name).shard(request.shard)
        await shard.replicate(request.operations, request.up_to)
        return Empty()


def _with_failures(asked: Gathered[Any], shown: dict[str, Any]) -> dict[str, Any]:
    """Elasticsearch's answer, which has no place for nodes: they are named where some are missing from it."""
    return {**asked.header(), **shown} if asked.failures else shown


def _index_stats(name: str, every: list[dict[str, Any]]) -> dict[str, Any]:
    shards = sorted((shard for shard in every if shard["follower_index"] == name), key=lambda shard: shard["shard_id"])
    lag = sum(shard["leader_global_checkpoint"] - shard["follower_global_checkpoint"] for shard in shards)
    return {"index": name, "total_global_checkpoint_lag": lag, "shards": shards}


def regular(index: IndexMetadata) -> IndexMetadata:
    """A follower made a regular index: it takes writes, and nothing leads back."""
    settings = {key: value for key, value in index.settings.items() if key != FOLLOWING}
    custom = {key: value for key, value in index.custom.items() if key != "ccr"}
    return replaced(index, settings=settings, custom=custom, settings_version=index.settings_version + 1)


def _required(body: Mapping[str, Any]) -> tuple[str, str]:
    unknown = sorted(set(body) - _FOLLOW_KEYS)
    if unknown:
        raise XContentParseError(f"[1:1] [put_follow_request] unknown field [{unknown[0]}]")
    missing = [name for name in ("remote_cluster", "leader_index") if not body.get(name)]
    if missing:
        raise ParsingError(f"[{missing[0]}] is missing")
    return str(body["remote_cluster"]), str(body["leader_index"])


def _refuse_beside_own_stream(state: ClusterState, follower: str, leader: LeaderMetadata) -> None:
    """A data stream is written here or over there: with backing indices of both, two would take the writes."""
    behind = backing_indices(state, leader.data_stream) if follower == leader.name and leader.data_stream else []
    if behind and not behind[-1].is_follower:
        raise IllegalArgumentError(
            f"cannot follow backing index [{follower}], because local data stream [{leader.data_stream}] is no longer "
            f"marked as replicated"
        )


def _custom(alias: str, leader: LeaderMetadata, identity: Identity, params: dict[str, Any]) -> dict[str, Any]:
    versions = versions_of(leader)
    return {
        "remote_cluster": alias,
        "leader_index": leader.name,
        "leader_uuid": leader.uuid,
        "status": "active",
        "params": params,
        "identity": msgspec.to_builtins(identity),
        "versions": [versions.mapping, versions.settings, versions.aliases],
        "run": secrets.token_hex(8),
    }


def _follower(state: ClusterState, name: str) -> IndexMetadata:
    index = state.indices.get(name)
    if index is None:
        raise IndexNotFoundError.of(name)
    if not index.is_follower or "ccr" not in index.custom:
        raise IllegalArgumentError(f"index [{name}] is not a follower index")
    return index


def _chosen(state: ClusterState, names: tuple[str, ...], *, must_exist: bool) -> list[str]:
    """The followers a list of names and patterns means."""
    chosen: set[str] = set()
    for part in names or ("*",):
        hits = {name for name in state.indices if part == "_all" or fnmatchcase(name, part)}
        if not hits and must_exist and "*" not in part and part != "_all":
            raise IndexNotFoundError.of(part)
        chosen |= hits
    return sorted(name for name in chosen if "ccr" in state.indices[name].custom)


def register(registry: ActionRegistry, actions: FollowActions, client: RemoteClient) -> None:
    registry.register(requests.PUT_FOLLOW, client.handler(requests.PUT_FOLLOW, actions.put_follow))
    registry.register(requests.PAUSE_FOLLOW, actions.pause)
    registry.register(requests.RESUME_FOLLOW, client.handler(requests.RESUME_FOLLOW, actions.resume))
    registry.register(requests.UNFOLLOW, client.handler(requests.UNFOLLOW, actions.unfollow))
    registry.register(requests.FOLLOW_INFO, actions.info)
    registry.register(requests.FOLLOW_STATS, actions.stats)
    registry.register(requests.STATS, actions.all_stats)
    registry.register(requests.APPLY, actions.apply)
    registry.register(requests.FIRST_COPY, actions.first_copy_here)
    registry.register(requests.FOLLOWS_HERE, actions.follows_here)
    registry.register(requests.AUTO_FOLLOW_STATS, actions.auto_follow_stats)
