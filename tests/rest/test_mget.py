from __future__ import annotations

from typing import Any

import pytest
from tests.rest.conftest import Client


@pytest.fixture
def filled(client: Client, index: str) -> str:
    client.bulk(
        {"index": {"_id": "1"}},
        {"a": 1, "b": 2},
        {"index": {"_id": "2", "routing": "r"}},
        {"a": 3},
        path=f"/{index}/_bulk",
    )
    return index


def test_by_ids(client: Client, filled: str) -> None:
    docs = client.call("POST", f"/{filled}/_mget", {"ids": ["1", 9]}).json["docs"]
    assert docs[0]["_source"] == {"a": 1, "b": 2}
    assert docs[1] == {"_index": filled, "_id": "9", "found": False}


def test_each_with_its_own_wishes(client: Client, filled: str) -> None:
    wanted: list[dict[str, Any]] = [
        {"_id": "1", "_source": ["a"]},
        {"_id": "2", "routing": "r", "_source": False},
        {"_index": "nowhere", "_id": "1"},
        {"_id": "1", "version": 7},
    ]
    docs = client.call("GET", f"/{filled}/_mget", {"docs": wanted}).json["docs"]
    assert docs[0]["_source"] == {"a": 1}
    assert docs[1]["found"] is True
    assert docs[1]["_routing"] == "r"
    assert "_source" not in docs[1]
    assert docs[2]["error"]["root_cause"][0]["reason"] == "no such index [nowhere]"
    assert docs[3]["error"]["type"] == "version_conflict_engine_exception"


def test_an_alias_of_many_indices_is_no_place(client: Client, index: str) -> None:
    for number in (1, 2):
        client.call("PUT", f"/{index}-{number}", {"aliases": {f"{index}-all": {}}})
    docs = client.call("POST", "/_mget", {"docs": [{"_index": f"{index}-all", "_id": "1"}]}).json["docs"]
    assert docs[0]["error"]["reason"] == (
        f"alias [{index}-all] has more than one index associated with it [{index}-1, {index}-2], "
        "can't execute a single index op"
    )
    client.call("DELETE", f"/{index}-1,{index}-2")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"docs": []}, "Validation Failed: 1: no documents to get;"),
        ({}, "Validation Failed: 1: no documents to get;"),
        ({"docs": [{"_id": "1"}]}, "Validation Failed: 1: index is missing for doc 0;"),
        ({"docs": [{"_index": "a"}]}, "Validation Failed: 1: id is missing for doc 0;"),
        ({"docs": [1]}, "docs array element should include an object"),
        ({"ids": [{}]}, "ids array element should only contain ids"),
        ({"dogs": []}, "unknown key [dogs] for a START_ARRAY, expected [docs] or [ids]"),
        ({"docs": [{"_index": "a", "_id": "1", "_type": "x"}]}, "unexpected field [_type] in a document to get"),
    ],
)
def test_refusals(client: Client, body: dict[str, Any], reason: str) -> None:
    answer = client.call("POST", "/_mget", body)
    assert (answer.status, answer.reason) == (400, reason)
