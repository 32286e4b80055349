from __future__ import annotations

import pytest
from tests.rest.conftest import NDJSON, Client


def test_each_item_has_its_own_outcome(client: Client, index: str) -> None:
    answer = client.bulk(
        {"index": {"_index": index, "_id": "1"}},
        {"a": 1},
        {"create": {"_index": index, "_id": "1"}},
        {"a": 2},
        {"update": {"_index": index, "_id": "1"}},
        {"doc": {"b": 2}},
        {"update": {"_index": index, "_id": "9"}},
        {"doc": {"b": 2}},
        {"delete": {"_index": index, "_id": "8"}},
        {"index": {"_index": "UPPER"}},
        {},
        {"index": {"_index": index, "_id": ""}},
        {},
    )
    assert answer.status == 200
    assert answer.json["errors"] is True
    items = [next(iter(item.items())) for item in answer.json["items"]]
    assert [(kind, item["status"]) for kind, item in items] == [
        ("index", 201),
        ("create", 409),
        ("update", 200),
        ("update", 404),
        ("delete", 404),
        ("index", 400),
        ("index", 400),
    ]
    assert items[0][1] == {
        "_index": index,
        "_id": "1",
        "_version": 1,
        "result": "created",
        "_shards": {"total": 2, "successful": 1, "failed": 0},
        "_seq_no": 0,
        "_primary_term": 1,
        "status": 201,
    }
    assert items[1][1]["error"]["type"] == "version_conflict_engine_exception"
    assert "root_cause" not in items[1][1]["error"]
    assert items[3][1]["error"]["reason"] == "[9]: document missing"
    assert items[5][1]["error"]["type"] == "invalid_index_name_exception"


def test_the_bytes_that_fluent_bit_looks_for(client: Client, index: str) -> None:
    answer = client.bulk({"index": {}}, {"a": 1}, path=f"/{index}/_bulk")
    assert answer.body.startswith(b'{"took":')
    assert b',"errors":false,"items":[{"index":{"_index":"' in answer.body


def test_order_is_kept_within_a_document(client: Client, index: str) -> None:
    lines: list[object] = []
    for number in range(1500):
        lines += [{"index": {"_id": "1"}}, {"n": number}]
        lines += [{"delete": {"_id": "1"}}] if number % 2 else []
    lines += [{"index": {"_id": "1"}}, {"n": "last"}]
    client.call("PUT", f"/{index}", {"mappings": {"properties": {"n": {"type": "keyword"}}}})
    answer = client.bulk(*lines, path=f"/{index}/_bulk")
    assert answer.json["errors"] is False
    versions = [next(iter(item.values()))["_version"] for item in answer.json["items"]]
    assert versions == list(range(1, len(versions) + 1))
    assert client.call("GET", f"/{index}/_source/1").json == {"n": "last"}


def test_several_shards(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}", {"settings": {"number_of_shards": 3}})
    lines = [line for number in range(300) for line in ({"index": {}}, {"n": number})]
    answer = client.bulk(*lines, path=f"/{index}/_bulk?refresh=true")
    assert answer.json["errors"] is False
    ids = [item["index"]["_id"] for item in answer.json["items"]]
    assert len(set(ids)) == 300
    assert answer.json["items"][0]["index"]["forced_refresh"] is True
    assert client.call("GET", f"/{index}/_count").json["count"] == 300
    assert all(client.call("HEAD", f"/{index}/_doc/{id}").status == 200 for id in ids[::50])


def test_source_of_updates(client: Client, index: str) -> None:
    client.bulk({"index": {"_id": "1"}}, {"a": 1, "b": 2}, path=f"/{index}/_bulk")
    answer = client.bulk(
        {"update": {"_id": "1"}},
        {"doc": {"a": 3}},
        {"update": {"_id": "1", "_source": True}},
        {"doc": {"a": 4}},
        {"update": {"_id": "1"}},
        {"doc": {"a": 5}, "_source": False},
        path=f"/{index}/_bulk?_source_includes=a",
    )
    sources = [item["update"].get("get", {}).get("_source") for item in answer.json["items"]]
    assert sources == [{"a": 3}, {"a": 4, "b": 2}, None]


def test_an_alias_chooses_its_write_index(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}-1", {"aliases": {f"{index}-all": {}}})
    client.call("PUT", f"/{index}-2", {"aliases": {f"{index}-all": {"is_write_index": True}}})
    answer = client.bulk({"index": {"_id": "1"}}, {}, path=f"/{index}-all/_bulk?require_alias=true")
    assert answer.json["items"][0]["index"]["_index"] == f"{index}-2"
    client.call("POST", "/_aliases", {"actions": [{"add": {"index": f"{index}-2", "alias": f"{index}-all"}}]})
    refused = client.bulk({"index": {"_id": "1"}}, {}, path=f"/{index}-all/_bulk").json["items"][0]["index"]
    assert refused["status"] == 400
    assert refused["error"]["reason"].startswith(f"no write index is defined for alias [{index}-all].")
    client.call("DELETE", f"/{index}-1,{index}-2")


def test_require_alias(client: Client, index: str) -> None:
    item = client.bulk({"index": {}}, {}, path=f"/{index}/_bulk?require_alias=true").json["items"][0]["index"]
    assert item["status"] == 404
    assert item["error"]["reason"] == (
        f"no such index [{index}] and [require_alias] request flag is [true] and [{index}] is not an alias"
    )
    assert client.call("HEAD", f"/{index}").status == 404


def test_write_blocks_and_closed_indices_are_item_errors(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}", {"settings": {"blocks.write": True}})
    blocked = client.bulk({"index": {}}, {}, path=f"/{index}/_bulk").json["items"][0]["index"]
    assert (blocked["status"], blocked["error"]["type"]) == (403, "cluster_block_exception")
    assert blocked["error"]["reason"] == f"index [{index}] blocked by: [FORBIDDEN/8/index write (api)];"
    client.call("PUT", f"/{index}/_settings", {"index.blocks.write": None})
    client.call("POST", f"/{index}/_close")
    closed = client.bulk({"index": {}}, {}, path=f"/{index}/_bulk").json["items"][0]["index"]
    assert (closed["status"], closed["error"]["type"]) == (400, "index_closed_exception")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"index":{}}\n{}', "The bulk request must be terminated by a newline [\\n]"),
        (b"\n", "request body is required"),
        (b"", "request body is required"),
        (
            b'{"x":{}}\n',
            "Malformed action/metadata line [1], expected one of [create, delete, index, update] but found [x]",
        ),
    ],
)
def test_the_whole_request_is_refused(client: Client, index: str, body: bytes, reason: str) -> None:
    answer = client.call("POST", f"/{index}/_bulk", body, kind=NDJSON)
    assert (answer.status, answer.reason) == (400, reason)


def test_pipelines_do_not_exist(client: Client, index: str) -> None:
    assert client.bulk({"index": {}}, {}, path=f"/{index}/_bulk?pipeline=p").status == 400
    assert client.bulk({"index": {}}, {}, path=f"/{index}/_bulk?pipeline=_none").json["errors"] is False


def test_one_bad_document_leaves_the_others_alone(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}", {"mappings": {"properties": {"n": {"type": "long"}}}})
    answer = client.bulk(
        {"index": {}},
        {"n": 1},
        {"index": {}},
        {"n": "x"},
        {"index": {}},
        b'{"n": ',
        {"index": {}},
        {"n": 4},
        path=f"/{index}/_bulk",
    )
    assert [item["index"]["status"] for item in answer.json["items"]] == [201, 400, 400, 201]
