from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hanse.errors import HanseError
from hanse.security import requests
from hanse.security.requests import Answer
from hanse.security.role_mapping_actions import parse_mapping
from hanse.transport.actions import Action

from .conftest import REST, Cluster, user

RULES = {"all": [{"field": {"username": "*"}}, {"except": {"field": {"groups": None}}}]}


async def run(cluster: Cluster, action: Action[Any, Any], request: Any) -> Answer:
    answer: Answer = await cluster.gate.run(action, request, user("boss", "superuser"), REST)
    return answer


async def test_put_get_delete(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster()
    put = requests.PutRoleMapping("everyone", {"roles": ["kibana_user"], "rules": RULES, "enabled": True})
    assert (await run(cluster, requests.PUT_ROLE_MAPPING, put)).body == {"role_mapping": {"created": True}}
    assert (await run(cluster, requests.PUT_ROLE_MAPPING, put)).body == {"role_mapping": {"created": False}}
    shown = await run(cluster, requests.GET_ROLE_MAPPINGS, requests.ByNames())
    assert shown.body["everyone"] == {"enabled": True, "roles": ["kibana_user"], "rules": RULES, "metadata": {}}
    assert await run(cluster, requests.DELETE_ROLE_MAPPING, requests.ByNames(("everyone",))) == Answer({"found": True})
    assert (await run(cluster, requests.DELETE_ROLE_MAPPING, requests.ByNames(("everyone",)))).status == 404
    assert (await run(cluster, requests.GET_ROLE_MAPPINGS, requests.ByNames(("everyone",)))).status == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"roles": ["a"]},
        {"rules": RULES},
        {"roles": ["a"], "rules": {}},
        {"roles": ["a"], "rules": {"maybe": []}},
        {"roles": ["a"], "rules": {"any": {}}},
        {"roles": ["a"], "rules": {"field": {"a": 1, "b": 2}}},
        {"roles": ["a"], "rules": RULES, "x": 1},
    ],
)
def test_bad_mappings(body: dict[str, Any]) -> None:
    with pytest.raises(HanseError) as caught:
        parse_mapping("m", body)
    assert caught.value.status == 400


def test_deeply_nested_rules_are_refused() -> None:
    rules: Any = {"field": {"username": "x"}}
    for _ in range(100):
        rules = {"except": rules}
    with pytest.raises(HanseError, match="nested deeper"):
        parse_mapping("m", {"roles": ["a"], "rules": rules})
