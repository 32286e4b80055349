"""The users API through the gate, as its REST handlers call it."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import Any

import pytest

from hanse.errors import HanseError, SecurityError
from hanse.security import requests
from hanse.security.authentication import HttpCredentials
from hanse.security.passwords import hash_now
from hanse.security.requests import Answer
from hanse.transport.actions import Action, Empty
from hanse.transport.identity import Identity

from .conftest import REST, Cluster, user

Make = Callable[..., Cluster]
BOSS = user("boss", "superuser")


async def run(cluster: Cluster, action: Action[Any, Any], request: Any, identity: Identity = BOSS) -> Answer:
    answer: Answer = await cluster.gate.run(action, request, identity, REST)
    return answer


async def put(cluster: Cluster, name: str, identity: Identity = BOSS, **body: Any) -> Answer:
    return await run(cluster, requests.PUT_USER, requests.PutUser(name, body), identity)


async def login(cluster: Cluster, name: str, password: str) -> Identity:
    header = "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
    return await cluster.gate.authenticate(HttpCredentials(header))


async def test_put_get_delete(make_cluster: Make) -> None:
    cluster = make_cluster()
    body = {
        "password": "s3krit-password",
        "roles": ["a", "b"],
        "full_name": "Joe",
        "email": "j@x",
        "metadata": {"k": 1},
    }
    assert await put(cluster, "joe", **body) == Answer({"created": True})
    assert await put(cluster, "joe", roles=["c"]) == Answer({"created": False})
    assert (await login(cluster, "joe", "s3krit-password")).roles == ("c",)
    shown = await run(cluster, requests.GET_USERS, requests.GetUsers(("joe", "nobody")))
    assert shown == Answer(
        {
            "joe": {
                "username": "joe",
                "roles": ["c"],
                "full_name": None,
                "email": None,
                "metadata": {},
                "enabled": True,
            }
        }
    )
    assert await run(cluster, requests.DELETE_USER, requests.ByNames(("joe",))) == Answer({"found": True})
    assert await run(cluster, requests.DELETE_USER, requests.ByNames(("joe",))) == Answer({"found": False}, 404)
    assert await run(cluster, requests.GET_USERS, requests.GetUsers(("joe",))) == Answer({}, 404)


async def test_hashes_are_stored_and_never_shown(make_cluster: Make) -> None:
    cluster = make_cluster()
    await put(cluster, "joe", password="s3krit-password", roles=[])
    assert cluster.store.users()["joe"]["password"].startswith("$2a$04$")
    for answer in (
        await run(cluster, requests.GET_USERS, requests.GetUsers()),
        await run(cluster, requests.QUERY_USERS, requests.Query()),
    ):
        assert "$2a$" not in repr(answer)
        assert "password" not in repr(answer)


async def test_all_users_include_the_built_in_ones(make_cluster: Make) -> None:
    cluster = make_cluster()
    body = (await run(cluster, requests.GET_USERS, requests.GetUsers())).body
    assert body["elastic"]["metadata"] == {"_reserved": True}
    assert body["elastic"]["roles"] == ["superuser"]


@pytest.mark.parametrize(
    ("name", "body", "reason"),
    [
        ("joe", {"password": "short", "roles": []}, "1: passwords must be at least [6] characters long;"),
        ("joe", {"password": "s3krit-password"}, "1: roles are missing;"),
        ("joe", {"roles": []}, "1: password must be specified unless you are updating an existing user;"),
        (
            "elastic",
            {"password": "s3krit-password", "roles": []},
            "1: user [elastic] is reserved and only the password can be changed;",
        ),
        ("_system", {"password": "s3krit-password", "roles": []}, "1: user [_system] is internal;"),
        (" joe", {"password": "s3krit-password", "roles": []}, "1: User names must be at least 1"),
        ("joe", {"password": "x" * 6, "password_hash": "x", "roles": []}, "cannot be specified in a single request"),
        ("joe", {"password_hash": "plain", "roles": []}, "could not be resolved to a supported hash algorithm"),
        ("joe", {"password": "s3krit-password", "roles": "a"}, "expected field [roles] to be an array of strings"),
        ("joe", {"password": 123456, "roles": []}, "expected field [password] to be a string"),
        ("joe", {"password": "s3krit-password", "roles": [], "metadata": {"_x": 1}}, "may not start with [_]"),
        ("joe", {"password": "s3krit-password", "roles": [], "colour": 1}, "unexpected field [colour]"),
        ("joe", {"username": "joey", "password": "s3krit-password", "roles": []}, "does not match"),
    ],
)
async def test_what_is_refused(make_cluster: Make, name: str, body: dict[str, Any], reason: str) -> None:
    cluster = make_cluster()
    with pytest.raises(HanseError) as caught:
        await run(cluster, requests.PUT_USER, requests.PutUser(name, body))
    assert caught.value.status == 400
    assert reason in caught.value.reason
    assert "s3krit" not in caught.value.reason
    assert cluster.store.users() == {}


async def test_a_ready_made_hash(make_cluster: Make) -> None:
    cluster = make_cluster()
    await put(cluster, "joe", password_hash=hash_now("s3krit-password", "bcrypt4"), roles=["a"])
    assert (await login(cluster, "joe", "s3krit-password")).roles == ("a",)


class TestChangingPasswords:
    async def test_ones_own_needs_no_privilege(self, make_cluster: Make) -> None:
        cluster = make_cluster()
        await put(cluster, "joe", password="s3krit-password", roles=[])
        joe = await login(cluster, "joe", "s3krit-password")
        for name, password in ((None, "second-password"), ("joe", "third-password")):
            request = requests.ChangePassword({"password": password}, name)
            assert await run(cluster, requests.CHANGE_PASSWORD, request, joe) == Answer({})
            await login(cluster, "joe", password)

    async def test_another_ones_does(self, make_cluster: Make) -> None:
        cluster = make_cluster()
        await put(cluster, "joe", password="s3krit-password", roles=[])
        request = requests.ChangePassword({"password": "stolen-password"}, "joe")
        with pytest.raises(SecurityError) as caught:
            await run(cluster, requests.CHANGE_PASSWORD, request, user("eve"))
        assert caught.value.reason == (
            "action [cluster:admin/xpack/security/user/change_password] is unauthorized for user [eve] with effective "
            "roles [], this action is granted by the cluster privileges [manage_security,all]"
        )
        await run(cluster, requests.CHANGE_PASSWORD, request)
        await login(cluster, "joe", "stolen-password")

    async def test_who_acts_as_another_may_not_change_the_password(self, make_cluster: Make) -> None:
        cluster = make_cluster()
        await put(cluster, "joe", password="s3krit-password", roles=[])
        await cluster.add_role("actor", run_as=["joe"])
        acting = user("joe", run_by=user("eve", "actor"))
        request = requests.ChangePassword({"password": "stolen-password"})
        with pytest.raises(SecurityError):
            await run(cluster, requests.CHANGE_PASSWORD, request, acting)

    async def test_of_a_user_that_does_not_exist(self, make_cluster: Make) -> None:
        request = requests.ChangePassword({"password": "s3krit-password"}, "nobody")
        with pytest.raises(HanseError, match="1: user must exist in order to change password;"):
            await run(make_cluster(), requests.CHANGE_PASSWORD, request)

    async def test_of_a_built_in_user(self, make_cluster: Make) -> None:
        cluster = make_cluster()
        request = requests.ChangePassword({"password": "s3krit-password"}, "elastic")
        await run(cluster, requests.CHANGE_PASSWORD, request)
        assert (await login(cluster, "elastic", "s3krit-password")).roles == ("superuser",)

    async def test_and_disabling_at_the_same_time_lose_nothing(self, make_cluster: Make) -> None:
        cluster = make_cluster()
        await put(cluster, "joe", password="s3krit-password", roles=[])
        await asyncio.gather(
            run(cluster, requests.CHANGE_PASSWORD, requests.ChangePassword({"password": "new-password"}, "joe")),
            run(cluster, requests.SET_ENABLED, requests.SetEnabled("joe", False)),
        )
        stored = cluster.store.users()["joe"]
        assert stored["enabled"] is False
        with pytest.raises(SecurityError):
            await login(cluster, "joe", "new-password")


class TestEnabling:
    async def test_a_disabled_user_cannot_log_in(self, make_cluster: Make) -> None:
        cluster = make_cluster()
        await put(cluster, "joe", password="s3krit-password", roles=[])
        await login(cluster, "joe", "s3krit-password")
        await run(cluster, requests.SET_ENABLED, requests.SetEnabled("joe", False))
        with pytest.raises(SecurityError):
            await login(cluster, "joe", "s3krit-password")
        await run(cluster, requests.SET_ENABLED, requests.SetEnabled("joe", True))
        await login(cluster, "joe", "s3krit-password")

    async def test_not_oneself_and_only_who_exists(self, make_cluster: Make) -> None:
        cluster = make_cluster()
        with pytest.raises(HanseError, match="users may not update the enabled status of their own account"):
            await run(cluster, requests.SET_ENABLED, requests.SetEnabled("boss", False))
        with pytest.raises(HanseError, match="only existing users can be disabled"):
            await run(cluster, requests.SET_ENABLED, requests.SetEnabled("nobody", False))


async def test_reserved_users_cannot_be_deleted(make_cluster: Make) -> None:
    with pytest.raises(HanseError, match=r"user \[elastic\] is reserved and cannot be deleted"):
        await run(make_cluster(), requests.DELETE_USER, requests.ByNames(("elastic",)))


async def test_authenticate_tells_who_one_is(make_cluster: Make) -> None:
    cluster = make_cluster()
    await put(cluster, "joe", password="s3krit-password", roles=["a"], full_name="Joe")
    answer = await run(cluster, requests.AUTHENTICATE, Empty(), await login(cluster, "joe", "s3krit-password"))
    realm = {"name": "default_native", "type": "native"}
    assert answer.body == {
        "username": "joe",
        "roles": ["a"],
        "full_name": "Joe",
        "email": None,
        "metadata": {},
        "enabled": True,
        "authentication_realm": realm,
        "lookup_realm": realm,
        "authentication_type": "realm",
    }


async def test_clearing_the_cache_hashes_again(make_cluster: Make) -> None:
    cluster = make_cluster()
    await put(cluster, "joe", password="s3krit-password", roles=[])
    await login(cluster, "joe", "s3krit-password")
    before = cluster.realms.verified.hashed
    await login(cluster, "joe", "s3krit-password")
    assert cluster.realms.verified.hashed == before
    await run(cluster, requests.CLEAR_REALM_CACHE, requests.ByNames(("joe",)))
    await login(cluster, "joe", "s3krit-password")
    assert cluster.realms.verified.hashed == before + 1
