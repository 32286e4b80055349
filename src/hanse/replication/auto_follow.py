"""Auto-follow: patterns kept in the cluster state, and the watcher that follows new leader indices matching them.

Only indices made after a pattern are followed (spec: ccr.md §6). Follows run as the user who put the pattern.
Tests: tests/replication/test_auto_follow.py, tests/journeys/.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import msgspec
import structlog

from hanse import clock
from hanse.cluster.state import ClusterState
from hanse.cluster.updates import ClusterService
from hanse.errors import ActionRequestValidationError, HanseError, ResourceNotFoundError, XContentParseError
from hanse.remote.registry import RemoteClusters
from hanse.replication import requests
from hanse.replication.parameters import NAMES, parse_parameters
from hanse.replication.remote_client import RemoteClient, watching_node
from hanse.replication.requests import LEADER_INDEXES, PUT_FOLLOW, AutoFollowPattern, LeaderIndexes, PutFollow
from hanse.replication.service import RunAs
from hanse.tasks import Tasks
from hanse.transport.actions import Acknowledged, ActionRegistry, Call
from hanse.transport.identity import Identity

log = structlog.get_logger(__name__)

STATE_KEY = "ccr_auto_follow"
LOOK_EVERY_S = 1.0
"""How often a remote cluster with active patterns is asked for its index names."""
ERRORS_MAX = 256
_KEYS = NAMES | {
    "remote_cluster",
    "leader_index_patterns",
    "leader_index_exclusion_patterns",
    "follow_index_pattern",
    "settings",
}


class AutoFollow:
    """The patterns' handlers on every node, and the watcher, which works while this node is the one that watches."""

    def __init__(self, cluster: ClusterService, remotes: RemoteClusters, run: RunAs, own_id: Callable[[], str]) -> None:
        self._cluster = cluster
        self._own_id = own_id
        self._remotes = remotes
        self._run = run
        self._tasks = Tasks()
        self._followed = 0
        self._failed_follows = 0
        self._failed_looks = 0
        self._errors: OrderedDict[str, tuple[int, HanseError]] = OrderedDict()
        self._looked_at: dict[str, float] = {}
        self._wake = asyncio.Event()

    async def start(self) -> None:
        self._cluster.subscribe(self._changed)
        self._tasks.spawn("auto-follow", self._watch())

    def _changed(self, old: ClusterState, new: ClusterState) -> None:
        patterns = self._patterns(new)
        if self._patterns(old) != patterns or watching_node(old) != watching_node(new):
            for key in [key for key in self._errors if key.split(":")[0] not in patterns]:
                del self._errors[key]
            self._wake.set()

    async def close(self) -> None:
        await self._tasks.close()

    @staticmethod
    def _patterns(state: ClusterState) -> dict[str, Any]:
        return state.customs.get(STATE_KEY, {})

    async def put(self, call: Call, request: AutoFollowPattern) -> Acknowledged:
        pattern = checked_pattern(request.name, request.body)
        alias = pattern["remote_cluster"]
        self._remotes.get(alias)
        existing = await self._leader_indexes(alias, pattern, call.identity)
        previous = self._patterns(self._cluster.state).get(request.name, {})
        known = {*previous.get("followed", ()), *(entry["uuid"] for entry in existing.values())}
        if previous:
            old_matches = {n for n, entry in existing.items() if matches(previous, n, entry.get("data_stream", ""))}
            known = {*previous["followed"], *(existing[n]["uuid"] for n in existing if n not in old_matches)}
        stored = {
            **pattern,
            "active": True,
            "followed": sorted(known),
            "identity": msgspec.to_builtins(call.identity),
        }

        def change(state: ClusterState) -> ClusterState:
            return state.with_custom(STATE_KEY, {**self._patterns(state), request.name: stored})

        await self._cluster.update(f"put-auto-follow-pattern [{request.name}]", change)
        return Acknowledged()

    async def get(self, call: Call, request: AutoFollowPattern) -> dict[str, Any]:
        patterns = self._patterns(self._cluster.state)
        if request.name and request.name not in patterns:
            raise _missing(request.name)
        names = [request.name] if request.name else sorted(patterns)
        hidden = ("followed", "identity")
        return {
            "patterns": [
                {"name": name, "pattern": {k: v for k, v in patterns[name].items() if k not in hidden}}
                for name in names
            ]
        }

    async def delete(self, call: Call, request: AutoFollowPattern) -> Acknowledged:
        def change(state: ClusterState) -> ClusterState:
            patterns = self._patterns(state)
            if request.name not in patterns:
                raise _missing(request.name)
            return state.with_custom(STATE_KEY, {k: v for k, v in patterns.items() if k != request.name})

        await self._cluster.update(f"delete-auto-follow-pattern [{request.name}]", change)
        return Acknowledged()

    async def activate(self, call: Call, request: AutoFollowPattern) -> Acknowledged:
        """Pause and resume: `body["active"]` says which."""
        await self._change_pattern(request.name, active=bool(request.body["active"]))
        return Acknowledged()

    async def _change_pattern(self, name: str, **changes: Any) -> None:
        def change(state: ClusterState) -> ClusterState:
            patterns = self._patterns(state)
            if name not in patterns:
                raise _missing(name)
            if all(patterns[name].get(key) == value for key, value in changes.items()):
                return state
            return state.with_custom(STATE_KEY, {**patterns, name: {**patterns[name], **changes}})

        await self._cluster.update(f"auto-follow-pattern [{name}]", change)

    def stats(self) -> dict[str, Any]:
        now = time.monotonic()
        return {
            "number_of_failed_follow_indices": self._failed_follows,
            "number_of_failed_remote_cluster_state_requests": self._failed_looks,
            "number_of_successful_follow_indices": self._followed,
            "recent_auto_follow_errors": [
                {
                    "leader_index": key,
                    "timestamp": at_ms,
                    "auto_follow_exception": {"type": error.name, "reason": error.reason},
                }
                for key, (at_ms, error) in reversed(self._errors.items())
            ],
            "auto_followed_clusters": [
                {
                    "cluster_name": alias,
                    "time_since_last_check_millis": int((now - at) * 1000),
                    "last_seen_metadata_version": self._cluster.state.version,
                }
                for alias, at in sorted(self._looked_at.items())
            ],
        }

    async def _watch(self) -> None:
        while True:
            patterns = self._watched()
            for name, pattern in patterns.items():
                await self._look(name, pattern, patterns)
            self._wake.clear()
            timeout_s = LOOK_EVERY_S if patterns else None
            try:
                await asyncio.wait_for(self._wake.wait(), timeout_s)
            except TimeoutError:
                continue

    def _watched(self) -> dict[str, Any]:
        """The active patterns while this node is to watch; two watchers would both follow what is new."""
        state = self._cluster.state
        if watching_node(state) != self._own_id():
            return {}
        return {name: pattern for name, pattern in self._patterns(state).items() if pattern["active"]}

    async def _look(self, name: str, pattern: Mapping[str, Any], patterns: Mapping[str, Any]) -> None:
        alias = pattern["remote_cluster"]
        identity = msgspec.convert(pattern["identity"], Identity)
        try:
            leaders = await self._leader_indexes(alias, pattern, identity)
        except HanseError as error:
            self._failed_looks += 1
            self._note(name, error)
            return
        self._looked_at[alias] = time.monotonic()
        self._errors.pop(name, None)
        followed = set(pattern["followed"])
        done = {entry["uuid"] for entry in leaders.values()} & followed
        for leader, entry in leaders.items():
            if entry["uuid"] not in followed and entry["open"]:
                stream = entry.get("data_stream", "")
                others = [
                    n
                    for n, p in patterns.items()
                    if n != name and p["remote_cluster"] == alias and matches(p, leader, stream)
                ]
                if await self._follow(name, pattern, leader, entry["uuid"], others, identity):
                    done.add(entry["uuid"])
        if done != followed:
            try:
                await self._change_pattern(name, followed=sorted(done))
            except ResourceNotFoundError:
                return

    async def _leader_indexes(self, alias: str, pattern: Mapping[str, Any], identity: Identity) -> dict[str, Any]:
        found = await self._remotes.call(alias, LEADER_INDEXES, LeaderIndexes(), identity)
        return {name: entry for name, entry in found.items() if matches(pattern, name, entry.get("data_stream", ""))}

    async def _follow(
        self,
        name: str,
        pattern: Mapping[str, Any],
        leader: str,
        uuid: str,
        others: list[str],
        identity: Identity,
    ) -> bool:
        key = f"{name}:{leader}"
        if others:
            self._note(
                key,
                HanseError(f"index to follow [{leader}] for pattern [{name}] matches with other patterns {others}"),
            )
            return False
        follower = (pattern.get("follow_index_pattern") or "{{leader_index}}").replace("{{leader_index}}", leader)
        local = self._cluster.state.indices.get(follower)
        if local is not None and local.custom.get("ccr", {}).get("leader_uuid") == uuid:
            return True
        body = {k: pattern[k] for k in (*NAMES, "settings") if k in pattern}
        body |= {"remote_cluster": pattern["remote_cluster"], "leader_index": leader}
        try:
            await self._run(PUT_FOLLOW, PutFollow((follower,), body), identity)
        except HanseError as error:
            self._failed_follows += 1
            self._note(key, error)
            return False
        self._followed += 1
        self._errors.pop(key, None)
        log.info("auto-followed", pattern=name, leader=f"{pattern['remote_cluster']}:{leader}", follower=follower)
        return True

    def _note(self, key: str, error: HanseError) -> None:
        self._errors[key] = (clock.now_ms(), error)
        self._errors.move_to_end(key)
        while len(self._errors) > ERRORS_MAX:
            self._errors.popitem(last=False)


def matches(pattern: Mapping[str, Any], index: str, stream: str = "") -> bool:
    """By its own name or by that of its data stream. An index with a dot in front is followed with its stream only."""
    names = [name for name in (index, stream) if name and not name.startswith(".")]

    def fits(parts: Iterable[str]) -> bool:
        return any(fnmatchcase(name, part) for name in names for part in parts)

    return fits(pattern["leader_index_patterns"]) and not fits(pattern.get("leader_index_exclusion_patterns") or ())


def checked_pattern(name: str, body: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(body) - _KEYS)
    if unknown:
        raise XContentParseError(f"[1:1] [put_auto_follow_pattern_request] unknown field [{unknown[0]}]")
    problems = _name_problems(name)
    problems += [f"[{key}] is missing" for key in ("remote_cluster", "leader_index_patterns") if not body.get(key)]
    if problems:
        raise ActionRequestValidationError.of(*problems)
    parse_parameters(body)
    pattern = {key: value for key, value in body.items() if value is not None}
    for key in ("leader_index_patterns", "leader_index_exclusion_patterns"):
        value = pattern.get(key, [])
        pattern[key] = [value] if isinstance(value, str) else list(value)
    return pattern


def _name_problems(name: str) -> list[str]:
    checks = (
        (name.startswith("_"), "must not start with a '_'"),
        ("#" in name, "must not contain a '#'"),
        ("," in name, "must not contain a ','"),
        (" " in name, "must not contain a space"),
        (name != name.lower(), "must be lower cased"),
    )
    return [f"[{name}] {text}" for failed, text in checks if failed]


def _missing(name: str) -> ResourceNotFoundError:
    return ResourceNotFoundError(f"auto-follow pattern [{name}] is missing")


def register(registry: ActionRegistry, auto_follow: AutoFollow, client: RemoteClient) -> None:
    registry.register(requests.PUT_AUTO_FOLLOW, client.handler(requests.PUT_AUTO_FOLLOW, auto_follow.put))
    registry.register(requests.GET_AUTO_FOLLOW, auto_follow.get)
    registry.register(requests.DELETE_AUTO_FOLLOW, auto_follow.delete)
    registry.register(requests.ACTIVATE_AUTO_FOLLOW, auto_follow.activate)
