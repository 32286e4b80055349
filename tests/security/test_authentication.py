"""Logging in over HTTP: 401 in Elasticsearch's words, realms in order, run-as."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from hanse.errors import IllegalArgumentError, SecurityError
from hanse.security.authentication import NO_SUCH_USER, HttpCredentials
from hanse.transport.identity import UNSECURED, Identity

from .conftest import Cluster

Make = Callable[..., Cluster]
CHALLENGES = ['Basic realm="security", charset="UTF-8"', "ApiKey"]


def basic(user: str, password: str, scheme: str = "Basic") -> str:
    return f"{scheme} " + base64.b64encode(f"{user}:{password}".encode()).decode()


async def login(cluster: Cluster, authorization: str | None, run_as: str | None = None) -> Identity:
    return await cluster.gate.authenticate(HttpCredentials(authorization, run_as, "/idx/_search?q=x"))


async def refusal(cluster: Cluster, authorization: str | None) -> str:
    with pytest.raises(SecurityError) as caught:
        await login(cluster, authorization)
    assert caught.value.status == 401
    assert caught.value.headers == {"WWW-Authenticate": CHALLENGES}
    return caught.value.reason


async def test_without_credentials(make_cluster: Make) -> None:
    cluster = make_cluster()
    missing = "missing authentication credentials for REST request [/idx/_search?q=x]"
    for header in (None, "", "Digest x", "Bearer abc", "Basic" + " x" * 9000):
        assert await refusal(cluster, header) == missing


async def test_a_native_user(make_cluster: Make) -> None:
    cluster = make_cluster()
    await cluster.add_user("joe", "s3krit-password", "reader", "gone")
    identity = await login(cluster, basic("joe", "s3krit-password"))
    assert (identity.username, identity.roles, identity.realm.type) == ("joe", ("reader", "gone"), "native")
    assert (await login(cluster, basic("joe", "s3krit-password", "bAsIc"))).username == "joe"


async def test_passwords_may_hold_colons_and_umlauts(make_cluster: Make) -> None:
    cluster = make_cluster()
    await cluster.add_user("joe", "größe:2:x")
    assert (await login(cluster, basic("joe", "größe:2:x"))).username == "joe"


async def test_wrong_password_unknown_and_disabled_users_look_the_same(make_cluster: Make) -> None:
    cluster = make_cluster()
    await cluster.add_user("joe", "s3krit-password")
    await cluster.add_user("off", "s3krit-password")
    await cluster.store.put_user("off", {**cluster.store.users()["off"], "enabled": False})
    before = cluster.realms.verified.hashed
    for number, name in enumerate(("joe", "nobody", "off", "elastic"), 1):
        password = "s3krit-password" if name == "off" else "wrong-password"
        assert await refusal(cluster, basic(name, password)) == (
            f"unable to authenticate user [{name}] for REST request [/idx/_search?q=x]"
        )
        assert cluster.realms.verified.hashed == before + number, "every refusal costs one check"


async def test_a_change_acts_at_once(make_cluster: Make) -> None:
    cluster = make_cluster()
    await cluster.add_user("joe", "s3krit-password", "a")
    await login(cluster, basic("joe", "s3krit-password"))
    await cluster.add_user("joe", "new-password", "b")
    await refusal(cluster, basic("joe", "s3krit-password"))
    assert (await login(cluster, basic("joe", "new-password"))).roles == ("b",)
    await cluster.store.delete_user("joe")
    await refusal(cluster, basic("joe", "new-password"))


async def test_a_stored_entry_cannot_shadow_a_built_in_user(make_cluster: Make) -> None:
    cluster = make_cluster()
    await cluster.add_user("elastic", "s3krit-password", "nothing")
    identity = await login(cluster, basic("elastic", "s3krit-password"))
    assert (identity.roles, identity.realm.type) == (("superuser",), "reserved")


@pytest.mark.parametrize("name", ["_system", "_xpack"])
async def test_internal_users_cannot_log_in(make_cluster: Make, name: str) -> None:
    cluster = make_cluster()
    assert "unable to authenticate user" in await refusal(cluster, basic(name, "password"))


@pytest.mark.parametrize("header", ["Basic !!!", "Basic " + base64.b64encode(b"\xff\xfe:x").decode()])
async def test_what_is_no_base64(make_cluster: Make, header: str) -> None:
    assert await refusal(make_cluster(), header) == "invalid basic authentication header encoding"


async def test_a_value_without_colon(make_cluster: Make) -> None:
    header = "Basic " + base64.b64encode(b"joe").decode()
    assert await refusal(make_cluster(), header) == "invalid basic authentication header value"


async def test_run_as(make_cluster: Make) -> None:
    cluster = make_cluster()
    await cluster.add_user("joe", "s3krit-password", "actor")
    await cluster.add_user("other", "s3krit-password", "reader")
    identity = await login(cluster, basic("joe", "s3krit-password"), "other")
    assert (identity.username, identity.roles) == ("other", ("reader",))
    assert identity.run_by is not None
    assert identity.run_by.username == "joe"
    for name in ("nobody", "_system"):
        identity = await login(cluster, basic("joe", "s3krit-password"), name)
        assert (identity.realm, identity.roles) == (NO_SUCH_USER, ())
    with pytest.raises(IllegalArgumentError):
        await login(cluster, basic("joe", "s3krit-password"), " ")


async def test_with_security_off_nobody_is_asked(make_cluster: Make) -> None:
    assert await login(make_cluster(enabled=False), None) == UNSECURED
