from __future__ import annotations

import pytest
from tests.rest.conftest import Client


def test_a_document_lives_and_dies(client: Client, index: str) -> None:
    made = client.call("PUT", f"/{index}/_doc/1", {"x": 1})
    assert made.status == 201
    assert made.headers["Location"] == f"/{index}/_doc/1"
    assert made.json == {
        "_index": index,
        "_id": "1",
        "_version": 1,
        "result": "created",
        "_shards": {"total": 2, "successful": 1, "failed": 0},
        "_seq_no": 0,
        "_primary_term": 1,
    }
    changed = client.call("POST", f"/{index}/_doc/1", {"x": 2})
    assert (changed.status, changed.json["result"], changed.json["_version"]) == (200, "updated", 2)
    found = client.call("GET", f"/{index}/_doc/1")
    assert found.json == {
        "_index": index,
        "_id": "1",
        "_version": 2,
        "_seq_no": 1,
        "_primary_term": 1,
        "found": True,
        "_source": {"x": 2},
    }
    assert client.call("HEAD", f"/{index}/_doc/1").status == 200
    gone = client.call("DELETE", f"/{index}/_doc/1")
    assert (gone.status, gone.json["result"]) == (200, "deleted")
    assert client.call("DELETE", f"/{index}/_doc/1").json["result"] == "not_found"
    missing = client.call("GET", f"/{index}/_doc/1")
    assert (missing.status, missing.json) == (404, {"_index": index, "_id": "1", "found": False})
    assert client.call("HEAD", f"/{index}/_doc/1").status == 404


def test_the_source_is_kept_as_it_came(client: Client, index: str) -> None:
    body = b'{ "n": 1.50,\n "big": 123456789012345678901234567890,  "s": "\\u00e9" }'
    client.call("PUT", f"/{index}?wait_for_active_shards=1", {"mappings": {"enabled": False}})
    client.call("PUT", f"/{index}/_doc/1", body)
    assert client.call("GET", f"/{index}/_source/1").body == body
    assert body in client.call("GET", f"/{index}/_doc/1").body


def test_create_only_once(client: Client, index: str) -> None:
    assert client.call("PUT", f"/{index}/_create/1", {}).status == 201
    for path in (f"/{index}/_create/1", f"/{index}/_doc/1?op_type=create"):
        again = client.call("PUT", path, {})
        assert again.status == 409
        assert again.reason == "[1]: version conflict, document already exists (current version [1])"
        assert again.json["error"]["type"] == "version_conflict_engine_exception"


def test_an_id_is_made_where_none_is_given(client: Client, index: str) -> None:
    made = client.call("POST", f"/{index}/_doc", {"x": 1})
    assert made.status == 201
    assert len(made.json["_id"]) == 20
    assert client.call("POST", f"/{index}/_doc?op_type=create", {"x": 1}).status == 201


def test_ids_in_a_url_are_decoded_and_encoded_again(client: Client, index: str) -> None:
    made = client.call("PUT", f"/{index}/_doc/a%2Fb%20%C3%BC?routing=x%26y", {})
    assert made.json["_id"] == "a/b ü"
    assert made.headers["Location"] == f"/{index}/_doc/a%2Fb%20%C3%BC?routing=x%26y"
    found = client.call("GET", f"/{index}/_doc/a%2Fb%20%C3%BC?routing=x%26y").json
    assert (found["found"], found["_routing"]) == (True, "x&y")


def test_an_id_at_the_limit_and_one_past_it(client: Client, index: str) -> None:
    assert client.call("PUT", f"/{index}/_doc/{'x' * 512}", {}).status == 201
    refused = client.call("PUT", f"/{index}/_doc/{'x' * 513}", {})
    assert refused.status == 400
    assert "is too long, must be no longer than 512 bytes but was: 513" in refused.reason


def test_conditions_on_the_sequence_number(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}/_doc/1", {"x": 1})
    good = client.call("PUT", f"/{index}/_doc/1?if_seq_no=0&if_primary_term=1", {"x": 2})
    assert good.status == 200
    stale = client.call("DELETE", f"/{index}/_doc/1?if_seq_no=0&if_primary_term=1")
    assert stale.status == 409
    assert stale.reason == (
        "[1]: version conflict, required seqNo [0], primary term [1]. "
        "current document has seqNo [1] and primary term [1]"
    )
    half = client.call("PUT", f"/{index}/_doc/1?if_seq_no=0", {})
    assert half.reason == "Validation Failed: 1: ifSeqNo is set to [0], but primary term is [0];"


def test_external_versions(client: Client, index: str) -> None:
    assert client.call("PUT", f"/{index}/_doc/1?version=5&version_type=external", {}).json["_version"] == 5
    assert client.call("PUT", f"/{index}/_doc/1?version=5&version_type=external", {}).status == 409
    assert client.call("PUT", f"/{index}/_doc/1?version=5&version_type=external_gte", {}).status == 200
    assert client.call("GET", f"/{index}/_doc/1?version=4").status == 409
    assert client.call("GET", f"/{index}/_doc/1?version=5").status == 200


def test_update_merges_and_notices_when_nothing_changes(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}/_doc/1", {"a": {"b": 1, "c": 2}})
    changed = client.call("POST", f"/{index}/_update/1?_source=a.b", {"doc": {"a": {"b": 3}}})
    assert changed.json["result"] == "updated"
    assert changed.json["get"]["_source"] == {"a": {"b": 3}}
    same = client.call("POST", f"/{index}/_update/1", {"doc": {"a": {"b": 3}}})
    assert (same.json["result"], same.json["_shards"]["total"]) == ("noop", 0)
    assert client.call("GET", f"/{index}/_source/1").json == {"a": {"b": 3, "c": 2}}


def test_update_of_what_is_missing(client: Client, index: str) -> None:
    missing = client.call("POST", f"/{index}/_update/1", {"doc": {"a": 1}})
    assert (missing.status, missing.reason) == (404, "[1]: document missing")
    made = client.call("POST", f"/{index}/_update/1", {"doc": {"a": 1}, "upsert": {"a": 0}})
    assert (made.status, made.json["result"]) == (201, "created")
    assert client.call("GET", f"/{index}/_source/1").json == {"a": 0}
    client.call("POST", f"/{index}/_update/2", {"doc": {"a": 7}, "doc_as_upsert": True})
    assert client.call("GET", f"/{index}/_source/2").json == {"a": 7}


def test_sources_chosen_by_parameters(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}/_doc/1", {"a": 1, "b": {"c": 2, "d": 3}})
    get = f"/{index}/_doc/1"
    assert client.call("GET", f"{get}?_source=b.*").json["_source"] == {"b": {"c": 2, "d": 3}}
    assert client.call("GET", f"{get}?_source_includes=a,b.c").json["_source"] == {"a": 1, "b": {"c": 2}}
    assert client.call("GET", f"{get}?_source_excludes=b").json["_source"] == {"a": 1}
    assert "_source" not in client.call("GET", f"{get}?_source=false").json
    assert client.call("GET", f"/{index}/_source/1?_source_includes=a").json == {"a": 1}
    refused = client.call("GET", f"/{index}/_source/1?_source=false")
    assert refused.reason == "Validation Failed: 1: fetching source can not be disabled;"


def test_a_missing_source(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}", {"mappings": {"_source": {"enabled": False}}})
    client.call("PUT", f"/{index}/_doc/1", {"a": 1})
    assert "_source" not in client.call("GET", f"/{index}/_doc/1").json
    assert client.call("GET", f"/{index}/_source/1").reason == f"Source not found [{index}]/[1]"
    nothing = client.call("GET", f"/{index}/_source/2")
    assert (nothing.status, nothing.reason) == (404, f"Document not found [{index}]/[2]")
    assert nothing.json["error"]["type"] == "resource_not_found_exception"
    assert client.call("HEAD", f"/{index}/_source/2").status == 404


def test_real_time_and_as_searched(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}", {"settings": {"refresh_interval": "-1"}})
    client.call("PUT", f"/{index}/_doc/1", {"a": 1})
    assert client.call("GET", f"/{index}/_doc/1").status == 200
    assert client.call("GET", f"/{index}/_doc/1?realtime=false").status == 404
    client.call("PUT", f"/{index}/_doc/1", {"a": 2})
    assert client.call("GET", f"/{index}/_doc/1?realtime=false&refresh=true").json["_source"] == {"a": 2}


@pytest.mark.parametrize(("refresh", "forced"), [("", True), ("true", True), ("wait_for", None), ("false", None)])
def test_refresh(client: Client, index: str, refresh: str, forced: bool | None) -> None:
    client.call("PUT", f"/{index}", {"settings": {"refresh_interval": "-1"}})
    made = client.call("PUT", f"/{index}/_doc/1?refresh={refresh}", {"a": 1})
    assert made.json.get("forced_refresh") is forced
    assert client.call("GET", f"/{index}/_count").json["count"] == (0 if refresh == "false" else 1)


def test_stored_fields(client: Client, index: str) -> None:
    fields = {"a": {"type": "keyword", "store": True}, "b": {"type": "keyword"}}
    client.call("PUT", f"/{index}", {"mappings": {"properties": fields}})
    client.call("PUT", f"/{index}/_doc/1", {"a": ["x", "y"], "b": "z"})
    found = client.call("GET", f"/{index}/_doc/1?stored_fields=a,b").json
    assert found["fields"] == {"a": ["x", "y"]}
    assert "_source" not in found
    assert client.call("GET", f"/{index}/_doc/1?stored_fields=a,_source").json["_source"]["b"] == "z"


def test_routing_may_be_required(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}", {"mappings": {"_routing": {"required": True}}})
    assert client.call("PUT", f"/{index}/_doc/1?routing=a", {}).status == 201
    for method, path, body in (
        ("PUT", "_doc/1", {}),
        ("GET", "_doc/1", None),
        ("DELETE", "_doc/1", None),
        ("POST", "_update/1", {"doc": {}}),
    ):
        refused = client.call(method, f"/{index}/{path}", body)
        assert (refused.status, refused.reason) == (400, f"routing is required for [{index}]/[1]")
        assert refused.json["error"]["type"] == "routing_missing_exception"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "reason"),
    [
        ("PUT", "_doc/1", None, 400, "request body is required"),
        ("POST", "_update/1", None, 400, "request body is required"),
        ("PUT", "_doc/1?op_type=x", {}, 400, "opType must be 'create' or 'index', found: [x]"),
        ("PUT", "_doc/1?pipeline=p", {}, 400, "pipeline with id [p] does not exist"),
        ("PUT", "_doc/1?refresh=x", {}, 400, "Unknown value for refresh: [x]."),
        ("PUT", "_doc/1?version_type=x", {}, 400, "No version type match [x]"),
        ("PUT", "_doc/1?rooting=x", {}, 400, "contains unrecognized parameter: [rooting] -> did you mean [routing]?"),
        ("POST", "_update/1", {"dok": {}}, 400, "[UpdateRequest] unknown field [dok] -> did you mean [doc]?"),
        ("POST", "_update/1", {}, 400, "Validation Failed: 1: script or doc is missing;"),
        ("POST", "_update/1", {"doc": 1}, 400, "[UpdateRequest] doc doesn't support values of type: VALUE_NUMBER"),
        ("DELETE", "_doc/1", None, 404, "no such index ["),
        ("GET", "_doc/1", None, 404, "no such index ["),
        ("GET", "_doc/1?fields=a", None, 400, "the parameter [fields] is no longer supported"),
        ("PUT", "_doc/1?require_alias=true", {}, 404, "and [require_alias] request flag is [true] and ["),
    ],
)
def test_refusals(client: Client, index: str, method: str, path: str, body: object, status: int, reason: str) -> None:
    refused = client.call(method, f"/{index}/{path}", body)
    assert refused.status == status
    assert reason in refused.reason


def test_a_document_that_cannot_be_mapped(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}", {"mappings": {"properties": {"n": {"type": "long"}}}})
    refused = client.call("PUT", f"/{index}/_doc/1", {"n": "many"})
    assert refused.status == 400
    assert refused.json["error"]["type"] == "document_parsing_exception"
    assert client.call("PUT", f"/{index}/_doc/1", b'{"n": 1').status == 400
    assert client.call("PUT", f"/{index}/_doc/1", b"[1]").status == 400


@pytest.mark.parametrize("name", ["version", "if_seq_no", "if_primary_term"])
def test_what_counts_writes_is_a_long(client: Client, index: str, name: str) -> None:
    refused = client.call("PUT", f"/{index}/_doc/1?{name}=abc", {})
    assert (refused.status, refused.json["error"]["type"]) == (400, "illegal_argument_exception")
    assert refused.reason == f"Failed to parse long parameter [{name}] with value [abc]"
