from __future__ import annotations

import pytest
from tests.rest.conftest import Client


@pytest.fixture
def filled(client: Client, index: str) -> str:
    client.bulk(
        {"index": {"_id": "1"}},
        {"title": "the sea", "year": 1904},
        {"index": {"_id": "2"}},
        {"title": "the sea wolf", "year": 1952},
        path=f"/{index}/_bulk?refresh=true",
    )
    return index


def test_by_body_and_by_uri(client: Client, filled: str) -> None:
    by_body = client.call("POST", f"/{filled}/_search", {"query": {"match": {"title": "wolf"}}}).json
    by_uri = client.call("GET", f"/{filled}/_search?q=title:wolf").json
    assert [hit["_id"] for hit in by_body["hits"]["hits"]] == ["2"]
    assert by_uri["hits"] == by_body["hits"]
    assert by_body["hits"]["total"] == {"value": 1, "relation": "eq"}


def test_parameters(client: Client, filled: str) -> None:
    path = f"/{filled}/_search?size=1&from=1&sort=year:desc&_source=year&rest_total_hits_as_int=true"
    hits = client.call("GET", path).json["hits"]
    assert hits["total"] == 2
    assert hits["hits"][0]["_source"] == {"year": 1904}
    typed = client.call("POST", f"/{filled}/_search?typed_keys", {"size": 0, "aggs": {"y": {"max": {"field": "year"}}}})
    assert typed.json["aggregations"] == {"max#y": {"value": 1952.0}}


def test_unrecognized_parameters(client: Client, filled: str) -> None:
    answer = client.call("GET", f"/{filled}/_search?siz=1")
    assert answer.status == 400
    assert (
        f"request [/{filled}/_search] contains unrecognized parameter: [siz] -> did you mean [size]?" == answer.reason
    )


def test_missing_indices(client: Client, index: str) -> None:
    assert client.call("GET", f"/{index}/_search").status == 404
    assert client.call("GET", f"/{index}/_search?ignore_unavailable=true").json["_shards"]["total"] == 0
    assert client.call("GET", f"/{index}*/_search?allow_no_indices=false").reason == f"no such index [{index}*]"
    assert client.call("GET", f"/{index}*/_search").status == 200


def test_count(client: Client, filled: str) -> None:
    assert client.call("GET", f"/{filled}/_count?q=year:1904").json == {
        "count": 1,
        "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0},
    }
    assert client.call("POST", f"/{filled}/_count", {"query": {"match_all": {}}}).json["count"] == 2
    assert client.call("POST", f"/{filled}/_count", {"size": 1}).status == 400


def test_field_caps(client: Client, filled: str) -> None:
    by_uri = client.call("GET", f"/{filled}/_field_caps?fields=year,ti*").json
    by_body = client.call("POST", f"/{filled}/_field_caps", {"fields": ["year", "ti*"]}).json
    assert by_uri == by_body
    assert by_uri["fields"]["year"]["long"]["aggregatable"] is True
    both = client.call("POST", f"/{filled}/_field_caps?fields=a", {"fields": ["a"]})
    assert both.reason == "can't specify a request body and [fields] request parameter, either specify one"
    assert client.call("GET", f"/{filled}/_field_caps").reason == "Validation Failed: 1: no fields specified;"
    assert client.call("POST", f"/{filled}/_field_caps?fields=a", {"x": 1}).status == 400


def test_validate_and_explain(client: Client, filled: str) -> None:
    assert client.call("GET", f"/{filled}/_validate/query?q=title:sea").json["valid"] is True
    wrong = client.call("POST", f"/{filled}/_validate/query?explain=true", {"query": {"range": {"year": {"gte": "x"}}}})
    assert wrong.json["valid"] is False
    explained = client.call("GET", f"/{filled}/_explain/2?q=title:wolf").json
    assert explained["matched"] is True
    assert client.call("GET", f"/{filled}/_explain/nope?q=title:wolf").status == 404


def test_malformed_bodies(client: Client, filled: str) -> None:
    for body in (b'{"query": ', b"[]", b'{"query": {"nope": {}}}', b'{"nope": 1}'):
        assert client.call("POST", f"/{filled}/_search", body).status == 400


def test_lone_remote_clusters_are_unknown(client: Client) -> None:
    answer = client.call("GET", "/berlin:books/_search")
    assert (answer.status, answer.reason) == (404, "no such remote cluster: [berlin]")


def test_the_buckets_of_an_answer_are_limited(client: Client, index: str) -> None:
    lines = [line for number in range(5) for line in ({"index": {}}, {"n": number})]
    client.bulk(*lines, path=f"/{index}/_bulk?refresh=true")
    by_number = {"size": 0, "aggs": {"by": {"terms": {"field": "n"}}}}
    composite = {"size": 0, "aggs": {"by": {"composite": {"size": 5, "sources": [{"n": {"terms": {"field": "n"}}}]}}}}
    try:
        client.call("PUT", "/_cluster/settings", {"persistent": {"search.max_buckets": 4}})
        refused = client.call("POST", f"/{index}/_search", by_number)
        assert refused.status == 400
        error = refused.json["error"]
        assert (error["type"], error["root_cause"], error["failed_shards"]) == (
            "search_phase_execution_exception",
            [],
            [],
        )
        assert error["caused_by"] == {
            "type": "too_many_buckets_exception",
            "reason": "Trying to create too many buckets. Must be less than or equal to: [4] but this number of "
            "buckets was exceeded. This limit can be set by changing the [search.max_buckets] cluster level setting.",
            "max_buckets": 4,
        }
        at_once = client.call("POST", f"/{index}/_search", composite)
        assert (at_once.status, at_once.json["error"]["root_cause"][0]["type"]) == (400, "too_many_buckets_exception")
        several = client.bulk({"index": index}, by_number, {"index": index}, {"size": 0}, path="/_msearch").json
        assert [item["status"] for item in several["responses"]] == [400, 200]
    finally:
        client.call("PUT", "/_cluster/settings", {"persistent": {"search.max_buckets": None}})
    assert len(client.call("POST", f"/{index}/_search", by_number).json["aggregations"]["by"]["buckets"]) == 5
