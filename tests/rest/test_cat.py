from __future__ import annotations

import re

import pytest
from tests.rest.conftest import Client

PAGES = [
    "indices",
    "health",
    "nodes",
    "shards",
    "aliases",
    "count",
    "master",
    "allocation",
    "templates",
    "nodeattrs",
    "plugins",
    "pending_tasks",
    "thread_pool",
    "recovery",
    "segments",
    "fielddata",
    "repositories",
    "tasks",
]


def lines(client: Client, path: str) -> list[list[str]]:
    answer = client.call("GET", path)
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"].startswith("text/plain")
    return [line.split() for line in answer.body.decode().splitlines()]


@pytest.mark.parametrize("page", PAGES)
def test_every_page_answers_as_text_help_json_and_yaml(client: Client, page: str) -> None:
    titles = lines(client, f"/_cat/{page}?v=true")[0]
    known = {line[0] for line in lines(client, f"/_cat/{page}?help=true")}
    assert set(titles) <= known
    assert isinstance(client.call("GET", f"/_cat/{page}?format=json").json, list)
    assert client.call("GET", f"/_cat/{page}?format=yaml").body.startswith(b"---")
    assert client.call("GET", f"/_cat/{page}?s=none-such").status == 400
    assert [f"/_cat/{page}"] in lines(client, "/_cat")


def test_indices(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}", {"settings": {"number_of_shards": 2, "number_of_replicas": 0}})
    client.call("PUT", f"/{index}/_doc/1?refresh=true", {"n": 1})
    (row,) = lines(client, f"/_cat/indices/{index}?bytes=b")
    assert row[:3] + row[4:8] == ["green", "open", index, "2", "0", "1", "0"]
    assert int(row[8]) > 0
    assert lines(client, f"/_cat/indices/{index}?health=red") == []
    assert client.call("GET", "/_cat/indices?health=blue").reason == "unknown cluster health status [blue]"
    client.call("POST", f"/{index}/_close")
    assert lines(client, f"/_cat/indices/{index}?h=status,docs.count") == [["close"]]
    assert client.call("GET", f"/_cat/indices/{index}?format=json&h=dc").json == [{"dc": None}]


def test_accept_header_asks_for_json(client: Client) -> None:
    answer = client.call("GET", "/_cat/health?h=cluster,st", headers={"Accept": "application/json"})
    assert answer.json[0]["cluster"] == "harbour"


def test_health_without_the_time(client: Client) -> None:
    assert lines(client, "/_cat/health?v=true")[0][:3] == ["epoch", "timestamp", "cluster"]
    assert lines(client, "/_cat/health?v=true&ts=false")[0][:2] == ["cluster", "status"]


def test_shards_and_segments(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}/_doc/1?refresh=true", {"n": 1})
    rows = lines(client, f"/_cat/shards/{index}?h=shard,prirep,state,docs,node")
    assert rows == [["0", "p", "STARTED", "1", "crane"], ["0", "r", "UNASSIGNED"]]
    assert lines(client, f"/_cat/segments/{index}?h=index,segment,docs.count,committed") == [[index, "_0", "1", "true"]]
    assert lines(client, f"/_cat/count/{index}?h=count") == [["1"]]
    assert lines(client, f"/_cat/recovery/{index}?h=index,type,stage") == [[index, "empty_store", "done"]]


def test_aliases_hidden_ones_too(client: Client, index: str) -> None:
    client.call(
        "PUT",
        f"/{index}",
        {"aliases": {"cat-a": {"is_hidden": True, "routing": "r"}, "cat-b": {"is_write_index": True}}},
    )
    assert lines(client, "/_cat/aliases/cat-*") == [
        ["cat-a", index, "-", "r", "r", "-"],
        ["cat-b", index, "-", "-", "-", "true"],
    ]


def test_templates(client: Client) -> None:
    client.call("PUT", "/_index_template/cat-new", {"index_patterns": ["cat-x*"], "priority": 4})
    client.call("PUT", "/_template/cat-old", {"index_patterns": ["cat-y*"], "order": 2})
    try:
        assert lines(client, "/_cat/templates/cat-*") == [
            ["cat-new", "[cat-x*]", "4", "[]"],
            ["cat-old", "[cat-y*]", "2"],
        ]
    finally:
        client.call("DELETE", "/_index_template/cat-new")
        client.call("DELETE", "/_template/cat-old")


def test_nodes_and_disks(client: Client) -> None:
    assert lines(client, "/_cat/nodes?h=node.role,master,name") == [["cdfhilmrstw", "*", "crane"]]
    (row,) = lines(client, "/_cat/nodes?h=diskAvail,dt,du,dup,heap.max,file_desc.current&bytes=b")
    assert int(row[0]) + int(row[2]) == int(row[1])
    assert re.fullmatch(r"\d+\.\d\d", row[3])
    for name, found in (("*", 1), ("_master", 1), ("crane", 1), ("none", 0)):
        assert len(lines(client, f"/_cat/allocation/{name}")) == found
    assert lines(client, "/_cat/master?h=node") == [["crane"]]


def test_tasks_show_the_caller_s_own_id(client: Client) -> None:
    answer = client.call("GET", "/_cat/tasks?h=action,x_opaque_id", headers={"X-Opaque-Id": "mine"})
    assert "mine" in answer.body.decode()


def test_parameters_nobody_knows(client: Client) -> None:
    assert "unrecognized parameter: [colour]" in client.call("GET", "/_cat/health?colour=red").reason
