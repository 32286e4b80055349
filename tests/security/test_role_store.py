from __future__ import annotations

from collections.abc import Callable

from .conftest import Cluster, user

Make = Callable[..., Cluster]
READ = "indices:data/read/search"


async def test_built_in_roles_win_over_stored_ones(make_cluster: Make) -> None:
    cluster = make_cluster()
    await cluster.store.put_role("superuser", {})
    assert cluster.roles.permission(user("a", "superuser")).allows_cluster("cluster:admin/reroute")


async def test_undefined_names_contribute_nothing(make_cluster: Make) -> None:
    cluster = make_cluster()
    await cluster.add_reader("reader", "logs")
    permission = cluster.roles.permission(user("a", "reader", "gone", "lost"))
    assert (permission.found, permission.missing) == (("reader",), ("gone", "lost"))
    assert permission.allows_index(READ, "logs")


async def test_permissions_are_kept_until_a_role_changes(make_cluster: Make) -> None:
    cluster = make_cluster()
    await cluster.add_reader("reader", "logs")
    first = cluster.roles.permission(user("a", "reader"))
    assert cluster.roles.permission(user("b", "reader")) is first
    await cluster.store.put_user("x", {"roles": []})
    assert cluster.roles.permission(user("a", "reader")) is first
    await cluster.add_reader("other", "logs")
    assert cluster.roles.permission(user("a", "reader")) is not first


async def test_an_api_key_brings_its_own_descriptors(make_cluster: Make) -> None:
    cluster = make_cluster()
    entry = {"indices": [{"names": ["logs"], "privileges": ["read"]}]}
    wide = {"indices": [{"names": ["*"], "privileges": ["all"]}], "metadata": {"_reserved": True}}

    def key(own: dict[str, object], limit: dict[str, object]) -> object:
        return user("a", "superuser", api_key={"id": "1", "role_descriptors": own, "limited_by": limit})

    def allows(identity: object, name: str) -> bool:
        return cluster.roles.permission(identity).allows_index(READ, name)  # type: ignore[arg-type]

    assert allows(key({"r": entry}, {"superuser": wide}), "logs")
    assert not allows(key({"r": entry}, {"superuser": wide}), "other")
    assert allows(key({}, {"r": entry}), "logs")
    assert not allows(key({"superuser": wide}, {"r": entry}), "other")
    assert not allows(key({"r": {"broken": 1}}, {"superuser": wide}), "logs")
    assert not allows(key({}, {}), "logs")
