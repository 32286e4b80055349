from __future__ import annotations

from typing import Any

import pytest

from hanse.errors import HanseError
from hanse.security.entry_query import run_query

ENTRIES = [
    {"name": "b", "roles": ["x", "y"], "metadata": {"n": 2}, "full_name": "Bo Derek", "enabled": True},
    {"name": "a", "roles": ["z"], "metadata": {"n": 1}, "full_name": None, "enabled": False},
    {"name": "c", "roles": [], "metadata": {}, "full_name": "Cy", "enabled": True},
]


def found(query: Any = None, **more: Any) -> list[str]:
    body = {**({"query": query} if query else {}), **more}
    return [entry["name"] for entry in run_query(body, ENTRIES, key="name", answer="users")["users"]]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        (None, ["a", "b", "c"]),
        ({"match_all": {}}, ["a", "b", "c"]),
        ({"term": {"roles": "y"}}, ["b"]),
        ({"term": {"roles": {"value": "y"}}}, ["b"]),
        ({"term": {"enabled": False}}, ["a"]),
        ({"terms": {"name": ["a", "c"]}}, ["a", "c"]),
        ({"prefix": {"full_name": "B"}}, ["b"]),
        ({"wildcard": {"roles": "?"}}, ["a", "b"]),
        ({"match": {"full_name": "derek"}}, ["b"]),
        ({"exists": {"field": "full_name"}}, ["b", "c"]),
        ({"range": {"metadata.n": {"gte": 2}}}, ["b"]),
        ({"ids": {"values": ["c"]}}, ["c"]),
        ({"bool": {"must_not": {"term": {"roles": "z"}}, "filter": [{"exists": {"field": "roles"}}]}}, ["b"]),
        ({"bool": {"should": [{"term": {"name": "a"}}, {"term": {"name": "b"}}]}}, ["a", "b"]),
    ],
)
def test_queries(query: Any, names: list[str]) -> None:
    assert found(query) == names


def test_sorting_and_paging() -> None:
    assert found(sort=["name"]) == ["a", "b", "c"]
    assert found(sort=[{"name": {"order": "desc"}}]) == ["c", "b", "a"]
    assert found(sort=[{"metadata.n": "desc"}]) == ["b", "a", "c"]
    assert run_query({"from": 1, "size": 1}, ENTRIES, key="name", answer="x") == {
        "total": 3,
        "count": 1,
        "x": [ENTRIES[0]],
    }


@pytest.mark.parametrize(
    "body",
    [
        {"x": 1},
        {"size": -1},
        {"size": 100_000},
        {"query": {"script": {}}},
        {"query": {"term": {}}},
        {"query": {"term": 1}},
        {"query": [1]},
        {"aggs": {}},
    ],
)
def test_bad_queries(body: dict[str, Any]) -> None:
    with pytest.raises(HanseError) as caught:
        run_query(body, ENTRIES, key="name", answer="x")
    assert caught.value.status == 400


def test_deep_queries_are_refused() -> None:
    query: Any = {"match_all": {}}
    for _ in range(200):
        query = {"bool": {"must": [query]}}
    with pytest.raises(HanseError, match="nested depth"):
        found(query)
