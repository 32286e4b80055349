"""The security room's entries (users, roles, role mappings, API keys) in the cluster state.

Satisfies security's SecurityStore. Every write is one committed update; versions rise only when such an entry really
changed, whoever committed it. Password hashes live here: the cluster-state API must never show `users` or the custom
sections below `security_`. Tests: tests/cluster/test_security_entries.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from hanse.cluster.state import ClusterState
from hanse.cluster.updates import ClusterService

CUSTOM_PREFIX = "security_"
Change = Callable[[Mapping[str, dict[str, Any]]], Mapping[str, dict[str, Any] | None]]


class ClusterSecurityStore:
    """Reads from the current state, writes through the cluster service."""

    def __init__(self, cluster: ClusterService) -> None:
        self._cluster = cluster
        self._users = cluster.state.users
        self._roles = cluster.state.roles
        self._user_version = 0
        self._role_version = 0

    @property
    def user_version(self) -> int:
        users = self._cluster.state.users
        if users is not self._users:
            self._user_version += users != self._users
            self._users = users
        return self._user_version

    @property
    def role_version(self) -> int:
        roles = self._cluster.state.roles
        if roles is not self._roles:
            self._role_version += roles != self._roles
            self._roles = roles
        return self._role_version

    def users(self) -> Mapping[str, dict[str, Any]]:
        return self._cluster.state.users

    def roles(self) -> Mapping[str, dict[str, Any]]:
        return self._cluster.state.roles

    def entries(self, kind: str) -> Mapping[str, dict[str, Any]]:
        if kind == "user":
            return self.users()
        return self.roles() if kind == "role" else self._cluster.state.customs.get(CUSTOM_PREFIX + kind, {})

    async def put_user(self, name: str, user: dict[str, Any]) -> bool:
        return await self._put("user", name, user)

    async def delete_user(self, name: str) -> bool:
        return await self._delete("user", name)

    async def put_role(self, name: str, role: dict[str, Any]) -> bool:
        return await self._put("role", name, role)

    async def delete_role(self, name: str) -> bool:
        return await self._delete("role", name)

    async def change(self, kind: str, change: Change) -> None:
        """Puts and (None) deletes entries of a kind. `change` sees the entries in force, and may raise."""
        await self._change(kind, change)

    async def _put(self, kind: str, name: str, value: dict[str, Any]) -> bool:
        return not await self._change(kind, lambda _: {name: value})

    async def _delete(self, kind: str, name: str) -> bool:
        return await self._change(kind, lambda before: {name: None} if name in before else {})

    async def _change(self, kind: str, changes: Change) -> bool:
        """Returns whether the first changed entry was there before."""
        existed = False

        def change(state: ClusterState) -> ClusterState:
            nonlocal existed
            before = _section(state, kind)
            wanted = changes(before)
            existed = any(name in before for name in wanted)
            after = {name: value for name, value in before.items() if wanted.get(name, value) is not None}
            after.update({name: value for name, value in wanted.items() if value is not None})
            return state if after == before else _with_section(state, kind, after)

        await self._cluster.update(f"security: change {kind}", change)
        return existed


def _section(state: ClusterState, kind: str) -> dict[str, dict[str, Any]]:
    if kind == "user":
        return state.users
    return state.roles if kind == "role" else state.customs.get(CUSTOM_PREFIX + kind, {})


def _with_section(state: ClusterState, kind: str, entries: dict[str, dict[str, Any]]) -> ClusterState:
    if kind == "user":
        return msgspec.structs.replace(state, users=entries)
    if kind == "role":
        return msgspec.structs.replace(state, roles=entries)
    return state.with_custom(CUSTOM_PREFIX + kind, entries or None)
