"""Keys for others: by their password, with or without acting as somebody else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hanse.errors import HanseError
from hanse.security import requests
from hanse.security.api_key_grant import GRANT_API_KEY, GrantApiKey
from hanse.security.authentication import HttpCredentials
from hanse.transport.identity import Identity

from .conftest import REST, Cluster, user

Make = Callable[..., Cluster]
GRANTER = user("granter", "granting")


@pytest.fixture
async def cluster(make_cluster: Make) -> Cluster:
    made = make_cluster()
    await made.add_role("granting", cluster=["grant_api_key"])
    await made.add_role("acting", run_as=["target"])
    for name, roles in (("target", []), ("actor", ["acting"]), ("nobody", [])):
        body = {"password": f"password-of-{name}", "roles": roles}
        await made.gate.run(requests.PUT_USER, requests.PutUser(name, body), user("boss", "superuser"), REST)
    return made


async def grant(cluster: Cluster, username: str, caller: Identity = GRANTER, **more: Any) -> Identity:
    """The identity that the new key stands for."""
    body = {"grant_type": "password", "username": username, "password": f"password-of-{username}"}
    body |= {"api_key": {"name": "k"}, **more}
    answer = await cluster.gate.run(GRANT_API_KEY, GrantApiKey(body), caller, REST)
    return await cluster.gate.authenticate(HttpCredentials(f"ApiKey {answer.body['encoded']}", uri="/x"))


async def test_a_key_of_somebody_else(cluster: Cluster) -> None:
    assert (await grant(cluster, "target")).username == "target"
    assert (await grant(cluster, "actor", run_as="target")).username == "target"


@pytest.mark.parametrize(
    ("more", "status", "reason"),
    [
        ({"password": "wrong"}, 401, "unable to authenticate user [target]"),
        ({"run_as": "actor"}, 403, "user [target] is unauthorized to run as [actor]"),
        ({"run_as": "unknown"}, 403, "user [target] is unauthorized to run as [unknown]"),
        ({"grant_type": "access_token"}, 400, "[grant_type] must be [password]"),
        ({"api_key": None}, 400, "[username], [password] and [api_key] are required"),
        ({"api_key": {}}, 400, "api key name is required"),
        ({"more": 1}, 400, "unknown field [more]"),
    ],
)
async def test_refusals(cluster: Cluster, more: dict[str, Any], status: int, reason: str) -> None:
    with pytest.raises(HanseError) as refused:
        await grant(cluster, "target", **more)
    assert refused.value.status == status
    assert reason in refused.value.reason


async def test_only_who_may_grant_does(cluster: Cluster) -> None:
    await cluster.add_role("own", cluster=["manage_own_api_key"])
    with pytest.raises(HanseError, match="is granted by the cluster privileges") as refused:
        await grant(cluster, "target", user("target", "own"))
    assert refused.value.status == 403
