from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hanse.errors import HanseError
from hanse.security import requests
from hanse.security.requests import Answer
from hanse.transport.actions import Action, Empty
from hanse.transport.identity import Identity

from .conftest import REST, Cluster, user

Make = Callable[..., Cluster]
BOSS = user("boss", "superuser")


async def run(cluster: Cluster, action: Action[Any, Any], request: Any, identity: Identity = BOSS) -> Answer:
    answer: Answer = await cluster.gate.run(action, request, identity, REST)
    return answer


async def has(cluster: Cluster, identity: Identity, /, **body: Any) -> dict[str, Any]:
    return (await run(cluster, requests.HAS_PRIVILEGES, requests.HasPrivileges(body), identity)).body


async def test_has_privileges(make_cluster: Make) -> None:
    cluster = make_cluster()
    await cluster.add_role(
        "r",
        cluster=["monitor"],
        indices=[
            {"names": ["logs-*"], "privileges": ["read"]},
            {"names": ["logs-2024-*"], "privileges": ["write"]},
        ],
    )
    body = await has(
        cluster,
        user("joe", "r"),
        cluster=["monitor", "manage", "cluster:monitor/main"],
        index=[{"names": ["logs-*", "logs-2024-1", "other"], "privileges": ["read", "write", "indices:data/read/get"]}],
    )
    assert body == {
        "username": "joe",
        "has_all_requested": False,
        "cluster": {"cluster:monitor/main": True, "manage": False, "monitor": True},
        "index": {
            "logs-*": {"read": True, "write": False, "indices:data/read/get": True},
            "logs-2024-1": {"read": True, "write": True, "indices:data/read/get": True},
            "other": {"read": False, "write": False, "indices:data/read/get": False},
        },
        "application": {},
    }


async def test_superuser_has_everything_but_restricted_indices(make_cluster: Make) -> None:
    cluster = make_cluster()
    body = await has(
        cluster,
        BOSS,
        cluster=["all", "manage_own_api_key", "manage_ccr"],
        index=[{"names": ["*"], "privileges": ["all"]}],
        application=[{"application": "kibana-.kibana", "privileges": ["all"], "resources": ["*"]}],
    )
    assert body["has_all_requested"] is True
    restricted = {"names": ["*"], "privileges": ["read", "write"], "allow_restricted_indices": True}
    assert (await has(cluster, BOSS, index=[restricted]))["index"] == {"*": {"read": True, "write": False}}


async def test_privileges_of_several_roles_together(make_cluster: Make) -> None:
    cluster = make_cluster()
    await cluster.add_reader("a", "x", privileges=("indices:data/write/delete*", "indices:data/write/bulk*"))
    assert (await has(cluster, user("joe", "a"), index=[{"names": ["x"], "privileges": ["delete"]}]))[
        "has_all_requested"
    ]


async def test_checking_is_only_for_oneself(make_cluster: Make) -> None:
    cluster = make_cluster()
    request = requests.HasPrivileges({"cluster": ["all"]}, "other")
    with pytest.raises(HanseError):
        await run(cluster, requests.HAS_PRIVILEGES, request, user("joe"))
    with pytest.raises(HanseError, match="their own account"):
        await run(cluster, requests.HAS_PRIVILEGES, requests.HasPrivileges({"cluster": ["all"]}, "other"))


@pytest.mark.parametrize(
    "body", [{}, {"cluster": []}, {"indices": []}, {"cluster": ["x"]}, {"index": [{"names": "a"}]}]
)
async def test_bad_checks(make_cluster: Make, body: dict[str, Any]) -> None:
    with pytest.raises(HanseError) as caught:
        await has(make_cluster(), BOSS, **body)
    assert caught.value.status == 400


async def test_list_privileges_merges_roles(make_cluster: Make) -> None:
    cluster = make_cluster()
    entry = {"names": ["a"], "privileges": ["read"]}
    application = {"application": "app", "resources": ["*"]}
    await cluster.add_role(
        "one",
        cluster=["monitor"],
        indices=[{**entry, "query": {"term": {"x": 1}}, "field_security": {"grant": ["f"]}}],
        applications=[{**application, "privileges": ["user"]}],
        run_as=["b"],
    )
    await cluster.add_role(
        "two",
        cluster=["all", "monitor"],
        indices=[{**entry, "query": {"term": {"y": 1}}}],
        applications=[{**application, "privileges": ["admin"]}],
        run_as=["a"],
    )
    body = (await run(cluster, requests.LIST_PRIVILEGES, requests.ListPrivileges(), user("joe", "one", "two"))).body
    assert body == {
        "cluster": ["all", "monitor"],
        "global": [],
        "indices": [
            {
                **entry,
                "allow_restricted_indices": False,
                "query": ['{"term":{"x":1}}', '{"term":{"y":1}}'],
            }
        ],
        "applications": [{"application": "app", "privileges": ["admin", "user"], "resources": ["*"]}],
        "run_as": ["a", "b"],
    }


async def test_builtin_names(make_cluster: Make) -> None:
    body = (await run(make_cluster(), requests.BUILTIN_PRIVILEGES, Empty())).body
    assert "manage_ccr" in body["cluster"]
    assert "read_cross_cluster" in body["index"]


async def test_application_privileges(make_cluster: Make) -> None:
    cluster = make_cluster()
    definitions = {"app": {"read": {"actions": ["data:read/*"]}, "all": {"actions": ["*"], "metadata": {"k": 1}}}}
    put = requests.PutApplicationPrivileges(definitions)
    answer = await run(cluster, requests.PUT_PRIVILEGES, put)
    assert answer.body == {"app": {"read": {"created": True}, "all": {"created": True}}}
    answer = await run(cluster, requests.GET_PRIVILEGES, requests.ApplicationPrivilegeNames("app", ("all",)))
    assert answer.body == {
        "app": {"all": {"application": "app", "name": "all", "actions": ["*"], "metadata": {"k": 1}}}
    }
    await cluster.add_role("r", applications=[{"application": "app", "privileges": ["all"], "resources": ["o/*"]}])
    wanted = {"application": "app", "privileges": ["read", "data:read/x"], "resources": ["o/1", "p"]}
    assert (await has(cluster, user("joe", "r"), application=[wanted]))["application"] == {
        "app": {"o/1": {"read": True, "data:read/x": True}, "p": {"read": False, "data:read/x": False}}
    }
    delete = requests.ApplicationPrivilegeNames("app", ("read", "gone"))
    answer = await run(cluster, requests.DELETE_PRIVILEGES, delete)
    assert answer.body == {"app": {"read": {"found": True}, "gone": {"found": False}}}
