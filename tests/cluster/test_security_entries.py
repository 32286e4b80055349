from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hanse.cluster.security_entries import ClusterSecurityStore
from hanse.cluster.state import ClusterState
from hanse.cluster.updates import ClusterService


class VolatileStateStore:
    async def load(self) -> ClusterState | None:
        return None

    async def commit(self, old: ClusterState, new: ClusterState) -> None:
        await asyncio.sleep(0)

    async def close(self) -> None:
        return None


def made() -> tuple[ClusterService, ClusterSecurityStore]:
    service = ClusterService(VolatileStateStore(), ClusterState("harbour", "u"))
    return service, ClusterSecurityStore(service)


async def test_users_and_roles_are_state() -> None:
    service, store = made()
    assert await store.put_user("joe", {"roles": []}) is True
    assert await store.put_user("joe", {"roles": ["a"]}) is False
    assert await store.put_role("r", {}) is True
    assert service.state.users == {"joe": {"roles": ["a"]}} == store.entries("user")
    assert service.state.roles == {"r": {}} == store.entries("role")
    assert await store.delete_user("joe") is True
    assert await store.delete_user("joe") is False
    assert await store.delete_role("r") is True
    assert store.users() == {}


async def test_versions_rise_with_their_own_entries_only() -> None:
    service, store = made()
    await store.put_role("r", {})
    users, roles = store.user_version, store.role_version
    await store.put_user("joe", {})
    assert (store.user_version, store.role_version) == (users + 1, roles)
    await store.put_user("joe", {})
    assert store.user_version == users + 1
    await service.update("other", lambda state: state.with_custom("x", {"a": 1}))
    assert (store.user_version, store.role_version) == (users + 1, roles)


async def test_other_kinds_are_customs() -> None:
    service, store = made()
    await store.change("api_key", lambda _: {"k": {"a": 1}, "l": {"a": 2}})
    await store.change("api_key", lambda entries: {"k": None, "l": {"a": entries["l"]["a"] + 1}})
    assert store.entries("api_key") == {"l": {"a": 3}} == service.state.customs["security_api_key"]
    await store.change("api_key", lambda _: {"l": None})
    assert "security_api_key" not in service.state.customs


async def test_changes_see_what_is_in_force() -> None:
    _, store = made()
    await store.change("n", lambda _: {"count": {"n": 0}})

    def add(entries: Any) -> Any:
        return {"count": {"n": entries["count"]["n"] + 1}}

    await asyncio.gather(*(store.change("n", add) for _ in range(20)))
    assert store.entries("n")["count"]["n"] == 20


async def test_a_change_that_raises_does_nothing() -> None:
    service, store = made()
    version = service.state.version

    def refuse(entries: Any) -> Any:
        raise ValueError

    with pytest.raises(ValueError):
        await store.change("n", refuse)
    assert service.state.version == version
