from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hanse.errors import HanseError
from hanse.security import requests
from hanse.security.builtin_roles import BUILTIN_ROLES
from hanse.security.requests import Answer
from hanse.transport.actions import Action

from .conftest import REST, Cluster, user

Make = Callable[..., Cluster]


async def run(cluster: Cluster, action: Action[Any, Any], request: Any) -> Answer:
    answer: Answer = await cluster.gate.run(action, request, user("boss", "superuser"), REST)
    return answer


async def test_put_get_delete(make_cluster: Make) -> None:
    cluster = make_cluster()
    put = requests.PutRole("reader", {"cluster": ["monitor"], "indices": [{"names": "*", "privileges": ["read"]}]})
    assert await run(cluster, requests.PUT_ROLE, put) == Answer({"role": {"created": True}})
    assert await run(cluster, requests.PUT_ROLE, put) == Answer({"role": {"created": False}})
    shown = await run(cluster, requests.GET_ROLES, requests.ByNames(("reader", "gone")))
    assert list(shown.body) == ["reader"]
    assert shown.body["reader"]["indices"] == [
        {"names": ["*"], "privileges": ["read"], "allow_restricted_indices": False}
    ]
    assert await run(cluster, requests.DELETE_ROLE, requests.ByNames(("reader",))) == Answer({"found": True})
    assert await run(cluster, requests.DELETE_ROLE, requests.ByNames(("reader",))) == Answer({"found": False}, 404)
    assert await run(cluster, requests.GET_ROLES, requests.ByNames(("reader",))) == Answer({}, 404)


async def test_reserved_roles_are_shown_and_never_changed(make_cluster: Make) -> None:
    cluster = make_cluster()
    assert set((await run(cluster, requests.GET_ROLES, requests.ByNames())).body) == set(BUILTIN_ROLES)
    with pytest.raises(HanseError, match=r"Role \[superuser\] is reserved and may not be used."):
        await run(cluster, requests.PUT_ROLE, requests.PutRole("superuser", {}))
    with pytest.raises(HanseError, match=r"role \[superuser\] is reserved and cannot be deleted"):
        await run(cluster, requests.DELETE_ROLE, requests.ByNames(("superuser",)))


async def test_bulk(make_cluster: Make) -> None:
    cluster = make_cluster()
    roles: dict[str, Any] = {"a": {"cluster": ["all"]}, "b": {}, "bad": {"cluster": ["reed"]}, "viewer": {}}
    answer = await run(cluster, requests.BULK_PUT_ROLES, requests.BulkRoles({"roles": roles}))
    assert answer.body["created"] == ["a", "b"]
    assert answer.body["errors"]["count"] == 2
    roles = {"a": {"cluster": ["all"]}, "b": {"cluster": ["monitor"]}, "c": {}}
    answer = await run(cluster, requests.BULK_PUT_ROLES, requests.BulkRoles({"roles": roles}))
    assert answer.body == {"created": ["c"], "updated": ["b"], "noop": ["a"]}
    answer = await run(cluster, requests.BULK_DELETE_ROLES, requests.BulkRoles({"names": ["a", "gone", "viewer"]}))
    assert answer.body["deleted"] == ["a"]
    assert answer.body["not_found"] == ["gone"]
    assert list(answer.body["errors"]["details"]) == ["viewer"]
    assert set(cluster.store.roles()) == {"b", "c"}


async def test_query(make_cluster: Make) -> None:
    cluster = make_cluster()
    await cluster.add_role("mine", cluster=["monitor"])
    query = {"bool": {"must_not": {"term": {"metadata._reserved": True}}}}
    answer = await run(cluster, requests.QUERY_ROLES, requests.Query({"query": query}))
    assert (answer.body["total"], answer.body["roles"][0]["name"]) == (1, "mine")
