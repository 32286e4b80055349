"""API keys through the gate: made, used, shown, limited, revoked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from hanse import clock
from hanse.errors import HanseError, SecurityError
from hanse.security import keys, requests
from hanse.security.authentication import HttpCredentials
from hanse.security.requests import Answer
from hanse.transport.actions import Action
from hanse.transport.identity import Identity, RealmRef

from .conftest import GET, PEER, REST, SEARCH, Cluster, index, user

Make = Callable[..., Cluster]
BOSS = user("boss", "superuser")


async def run(cluster: Cluster, action: Action[Any, Any], request: Any, identity: Identity = BOSS) -> Answer:
    answer: Answer = await cluster.gate.run(action, request, identity, REST)
    return answer


async def create(cluster: Cluster, identity: Identity = BOSS, **body: Any) -> dict[str, Any]:
    request = requests.CreateApiKey({"name": "key", **body})
    return (await run(cluster, requests.CREATE_API_KEY, request, identity)).body


async def login(cluster: Cluster, encoded: str) -> Identity:
    return await cluster.gate.authenticate(HttpCredentials(f"ApiKey {encoded}", uri="/x"))


async def test_a_key_is_its_owner_limited(make_cluster: Make) -> None:
    cluster = make_cluster(index("logs-1"), index("other"))
    await cluster.add_reader("reader", "logs-*")
    await cluster.add_role("keys", cluster=["manage_own_api_key"])
    joe = user("joe", "reader", "keys")
    narrow = {"r": {"indices": [{"names": ["*"], "privileges": ["all"]}]}}
    made = await create(cluster, joe, role_descriptors=narrow)
    identity = await login(cluster, made["encoded"])
    assert (identity.username, identity.authentication_type) == ("joe", "api_key")
    assert await cluster.run(SEARCH, identity) == ["logs-1"]
    with pytest.raises(SecurityError) as caught:
        await cluster.run(GET, identity, "other")
    assert caught.value.reason == (
        f"action [indices:data/read/get] is unauthorized for API key id [{made['id']}] of user [joe] on indices "
        f"[other], this action is granted by the index privileges [read,all]"
    )


async def test_the_limit_is_what_the_owner_could_do_then(make_cluster: Make) -> None:
    cluster = make_cluster(index("logs-1"), index("other"))
    await cluster.add_reader("reader", "logs-*")
    await cluster.add_role("keys", cluster=["manage_own_api_key"])
    made = await create(cluster, user("joe", "reader", "keys"))
    await cluster.add_reader("reader", "other")
    assert await cluster.run(SEARCH, await login(cluster, made["encoded"])) == ["logs-1"]


async def test_a_remote_decides_by_the_descriptors_that_travel(make_cluster: Make) -> None:
    home, away = make_cluster(), make_cluster(index("cities"), index("secret"))
    entry = {"indices": [{"names": ["cities"], "privileges": ["read", "read_cross_cluster"]}]}
    made = await create(home, role_descriptors={"r": entry})
    identity = await login(home, made["encoded"])
    assert await away.run(SEARCH, identity, origin=PEER) == ["cities"]


async def test_wrong_expired_and_invalidated_keys(make_cluster: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = make_cluster()
    made = await create(cluster, expiration="1h")
    await login(cluster, made["encoded"])
    later = clock.now_ms() + 3_600_001
    with monkeypatch.context() as patch:
        patch.setattr(clock, "now_ms", lambda: later)
        with pytest.raises(SecurityError, match="unable to authenticate user"):
            await login(cluster, made["encoded"])
    invalidate = requests.InvalidateApiKeys({"ids": [made["id"]]})
    answer = await run(cluster, requests.INVALIDATE_API_KEYS, invalidate)
    assert answer.body["invalidated_api_keys"] == [made["id"]]
    with pytest.raises(SecurityError):
        await login(cluster, made["encoded"])
    answer = await run(cluster, requests.INVALIDATE_API_KEYS, invalidate)
    assert answer.body["previously_invalidated_api_keys"] == [made["id"]]
    by_name = requests.InvalidateApiKeys({"name": "key"})
    answer = await run(cluster, requests.INVALIDATE_API_KEYS, by_name)
    assert (answer.body["invalidated_api_keys"], answer.body["previously_invalidated_api_keys"]) == ([], [])
    for header in ("!!", "YWJj", ""):
        with pytest.raises(SecurityError) as caught:
            await login(cluster, header)
        assert caught.value.status == 401


async def test_an_update_does_not_bring_an_invalidated_key_back(make_cluster: Make) -> None:
    cluster = make_cluster()
    made = await create(cluster)
    update = requests.UpdateApiKey(made["id"], {"metadata": {"a": 1}})
    assert (await run(cluster, requests.UPDATE_API_KEY, update)).body == {"updated": True}
    await run(cluster, requests.INVALIDATE_API_KEYS, requests.InvalidateApiKeys({"ids": [made["id"]]}))
    with pytest.raises(HanseError, match="cannot update invalidated or expired API key"):
        await run(cluster, requests.UPDATE_API_KEY, update)


async def test_secrets_are_shown_once(make_cluster: Make) -> None:
    cluster = make_cluster()
    made = await create(cluster, metadata={"a": 1})
    (shown,) = (await run(cluster, requests.GET_API_KEYS, requests.GetApiKeys(with_limited_by=True))).body["api_keys"]
    assert made["api_key"] not in repr(shown)
    assert "hash" not in shown
    assert (shown["name"], shown["username"], shown["metadata"]) == ("key", "boss", {"a": 1})
    assert list(shown["limited_by"][0]) == ["superuser"]
    assert shown["limited_by"][0]["superuser"]["transient_metadata"] == {"enabled": True}
    assert made["api_key"] not in repr(cluster.store.entries(keys.KIND))


async def test_own_keys_only(make_cluster: Make) -> None:
    cluster = make_cluster()
    await cluster.add_role("keys", cluster=["manage_own_api_key"])
    joe = user("joe", "keys")
    own, others = await create(cluster, joe), await create(cluster)
    found = await run(cluster, requests.GET_API_KEYS, requests.GetApiKeys(owner=True), joe)
    assert [key["id"] for key in found.body["api_keys"]] == [own["id"]]
    found = await run(cluster, requests.QUERY_API_KEYS, requests.Query(), joe)
    assert [key["id"] for key in found.body["api_keys"]] == [own["id"]]
    for request in (
        requests.InvalidateApiKeys({"ids": [others["id"]]}),
        requests.InvalidateApiKeys({"username": "boss"}),
    ):
        with pytest.raises(SecurityError):
            await run(cluster, requests.INVALIDATE_API_KEYS, request, joe)
    body = {"ids": [others["id"]], "owner": True}
    answer = await run(cluster, requests.INVALIDATE_API_KEYS, requests.InvalidateApiKeys(body), joe)
    assert answer.body["invalidated_api_keys"] == []
    with pytest.raises(SecurityError):
        await create(cluster, user("eve"))


async def test_a_key_cannot_make_a_key_with_privileges(make_cluster: Make) -> None:
    cluster = make_cluster()
    identity = await login(cluster, (await create(cluster))["encoded"])
    for descriptors in ({}, {"r": {"cluster": ["monitor"]}}):
        with pytest.raises(HanseError, match="creating derived api keys requires an explicit role descriptor"):
            await create(cluster, identity, role_descriptors=descriptors)
    await create(cluster, identity, role_descriptors={"none": {}})


async def test_a_key_cannot_change_its_owners_password(make_cluster: Make) -> None:
    cluster = make_cluster()
    await cluster.add_role("keys", cluster=["manage_own_api_key"])
    identity = await login(cluster, (await create(cluster, user("joe", "keys")))["encoded"])
    request = requests.ChangePassword({"password": "stolen-password"})
    with pytest.raises(SecurityError):
        await run(cluster, requests.CHANGE_PASSWORD, request, identity)


@pytest.mark.parametrize(
    "body",
    [
        {"name": ""},
        {"name": "_x"},
        {"name": 7},
        {"expiration": "soon"},
        {"colour": 1},
        {"metadata": {"_a": 1}},
        {"role_descriptors": {"r": {"x": 1}}},
    ],
)
async def test_bad_requests(make_cluster: Make, body: dict[str, Any]) -> None:
    with pytest.raises(HanseError) as caught:
        await create(make_cluster(), **body)
    assert caught.value.status == 400


def test_a_key_does_not_learn_what_limits_it() -> None:
    key = Identity("boss", (), RealmRef("_es_api_key", "_es_api_key"), api_key={"id": "k"})
    owner = Identity("boss", (), RealmRef("default_native", "native"))
    for request in (requests.GetApiKeys(id="k"), requests.GetApiKeys(owner=True), requests.Query()):
        assert request.concerns(key)
        assert not msgspec.structs.replace(request, with_limited_by=True).concerns(key)
    assert requests.GetApiKeys(owner=True, with_limited_by=True).concerns(owner)
