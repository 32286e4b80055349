"""A client's mistake gets Elasticsearch's status, type and reason; never a 500; nothing written is lost."""

from __future__ import annotations

import re
from typing import Any

import pytest

from hanse.cli.local_cluster import LocalNode
from tests.journeys.world import ok

JSON = "application/json"
NDJSON = "application/x-ndjson"

MISTAKES: list[tuple[str, str, Any, int, str, str]] = [
    ("POST", "/_search", b'{"query":', 400, "", ""),
    ("POST", "/_search", {"query": {"nonsense": {}}}, 400, "parsing_exception", "unknown query [nonsense]"),
    ("POST", "/_search", {"nonsense": 1}, 400, "parsing_exception", "nonsense"),
    (
        "GET",
        "/_search?nonsense=1",
        None,
        400,
        "illegal_argument_exception",
        "request [/_search] contains unrecognized parameter: [nonsense]",
    ),
    ("POST", "/_search", {"size": -1}, 400, "", "size"),
    ("POST", "/_search", {"from": 9999, "size": 2}, 400, "", "Result window is too large"),
    ("GET", "/nothing/_search", None, 404, "index_not_found_exception", "no such index [nothing]"),
    ("GET", "/nothing/_doc/1", None, 404, "index_not_found_exception", "no such index [nothing]"),
    ("PUT", "/UPPER", None, 400, "invalid_index_name_exception", "must be lowercase"),
    ("PUT", "/_under", None, 400, "invalid_index_name_exception", "must not start with"),
    (
        "PUT",
        "/new",
        {"mappings": {"properties": {"a": {"type": "nonsense"}}}},
        400,
        "mapper_parsing_exception",
        "nonsense",
    ),
    (
        "PUT",
        "/new",
        {"settings": {"index.nonsense": 1}},
        400,
        "illegal_argument_exception",
        "unknown setting [index.nonsense]",
    ),
    ("PUT", "/new", {"settings": {"number_of_shards": 0}}, 400, "illegal_argument_exception", "number_of_shards"),
    ("PUT", "/new", {"nonsense": {}}, 400, "", "nonsense"),
    ("PUT", "/typed", None, 400, "resource_already_exists_exception", "already exists"),
    (
        "PUT",
        "/typed/_doc/1",
        {"n": "not a number"},
        400,
        "document_parsing_exception",
        "failed to parse field [n] of type [long]",
    ),
    (
        "PUT",
        "/typed/_doc/1",
        {"d": "not a date"},
        400,
        "document_parsing_exception",
        "failed to parse field [d] of type [date]",
    ),
    ("PUT", "/typed/_doc/1", b"[1,2]", 400, "", ""),
    ("PUT", "/typed/_doc/1", b'{"n":1,"n":2}', 400, "", ""),
    ("PUT", "/typed/_doc/1", None, 400, "", "request body is required"),
    ("PUT", "/typed/_doc/" + "x" * 600, {"n": 1}, 400, "", "512"),
    (
        "PUT",
        "/typed/_mapping",
        {"properties": {"n": {"type": "text"}}},
        400,
        "illegal_argument_exception",
        "mapper [n] cannot be changed from type [long] to [text]",
    ),
    (
        "POST",
        "/typed/_search",
        {"query": {"range": {"n": {"nonsense": 1}}}},
        400,
        "parsing_exception",
        "[range] query does not support [nonsense]",
    ),
    ("POST", "/typed/_search", {"query": {"term": {"n": "abc"}}}, 400, "", "abc"),
    ("POST", "/typed/_search", {"sort": ["t"]}, 400, "", "Fielddata is disabled on [t]"),
    ("POST", "/typed/_search", {"sort": ["absent"]}, 400, "", "No mapping found for [absent] in order to sort on"),
    (
        "POST",
        "/typed/_search",
        {"aggs": {"a": {"nonsense": {}}}},
        400,
        "parsing_exception",
        "Unknown aggregation type [nonsense]",
    ),
    ("POST", "/typed/_search", {"aggs": {"a": {"terms": {"field": "t"}}}}, 400, "", "Fielddata is disabled on [t]"),
    ("POST", "/typed/_update/404", {"doc": {"n": 1}}, 404, "document_missing_exception", "[404]: document missing"),
    (
        "DELETE",
        "/typed/_doc/1?if_seq_no=9&if_primary_term=1",
        None,
        409,
        "version_conflict_engine_exception",
        "version conflict",
    ),
    ("POST", "/_aliases", {"actions": [{"nonsense": {}}]}, 400, "", "nonsense"),
    (
        "PUT",
        "/_cluster/settings",
        {"persistent": {"nonsense": 1}},
        400,
        "illegal_argument_exception",
        "persistent setting [nonsense], not recognized",
    ),
    (
        "PUT",
        "/_cluster/settings",
        {"persistent": {"cluster.remote.x.seeds": ["nocolon"]}},
        400,
        "illegal_argument_exception",
        "nocolon",
    ),
    ("PUT", "/_security/role/r", {"cluster": ["nonsense"]}, 400, "", "nonsense"),
    ("PUT", "/_security/user/u", {"password": "short", "roles": []}, 400, "", "6"),
    ("GET", "/_no_such_api", None, 400, "", ""),
    ("POST", "/_cluster/health", None, 405, "", "Incorrect HTTP method"),
]


@pytest.fixture(scope="module", autouse=True)
def index(node: LocalNode) -> None:
    properties = {"n": {"type": "long"}, "d": {"type": "date"}, "t": {"type": "text"}, "k": {"type": "keyword"}}
    ok(node, "PUT", "/typed", {"mappings": {"properties": properties}})


@pytest.mark.parametrize(("method", "path", "body", "status", "kind", "reason"), MISTAKES)
def test_a_mistake_is_answered(
    node: LocalNode, method: str, path: str, body: Any, status: int, kind: str, reason: str
) -> None:
    answered, answer = node.request(method, path, body)
    assert answered == status, answer
    if kind:
        assert answer["error"]["type"] == kind
    assert reason in str(answer)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"index":{"_index":"typed"}}\n{"n":1}', r"must be terminated by a newline"),
        (b'{"nonsense":{}}\n{}\n', r"Malformed action/metadata line \[1\]"),
        (b"[]\n{}\n", r"Malformed action/metadata line \[1\]"),
        (b"", r"request body is required"),
    ],
)
def test_a_malformed_bulk_is_refused_whole(node: LocalNode, body: bytes, reason: str) -> None:
    status, answer = node.request("POST", "/_bulk", body, content_type=NDJSON)
    assert status == 400
    assert re.search(reason, str(answer))


def test_a_bad_document_among_good_ones_is_refused_alone(node: LocalNode) -> None:
    lines = b'{"index":{"_index":"typed","_id":"%s"}}\n'
    body = lines % b"g1" + b'{"n":1}\n' + lines % b"bad" + b'{"n":"x"}\n' + lines % b"g2" + b'{"n":2}\n'
    status, answer = node.request("POST", "/_bulk", body, content_type=NDJSON)
    assert status == 200
    assert answer["errors"] is True
    assert [item["index"]["status"] for item in answer["items"]] == [201, 400, 201]
    assert answer["items"][1]["index"]["error"]["type"] == "document_parsing_exception"
    assert ok(node, "GET", "/typed/_doc/g2")["found"] is True
    assert node.request("GET", "/typed/_doc/bad")[0] == 404


def test_content_types_are_checked(node: LocalNode) -> None:
    status, answer = node.request("POST", "/_search", b"{}", content_type="text/html")
    assert status == 406
    assert "Content-Type header [text/html] is not supported" in str(answer)


def test_nobody_gets_in_without_a_name(node: LocalNode) -> None:
    status, answer = node.request("GET", "/_search", user=("elastic", "wrong"))
    assert status == 401
    assert answer["error"]["type"] == "security_exception"
    assert answer["error"]["reason"] == "unable to authenticate user [elastic] for REST request [/_search]"
    assert "Basic realm" in str(answer["error"]["header"]["WWW-Authenticate"])


def test_too_large_a_body(tmp_path_factory: pytest.TempPathFactory) -> None:
    from hanse.tls.authority import CertificateAuthority

    folder = tmp_path_factory.mktemp("small")
    settings = {"http.max_content_length": "10kb"}
    with LocalNode(folder, "small", CertificateAuthority.create(), settings=settings) as node:
        status, _ = node.request("PUT", "/a/_doc/1", {"x": "y" * 20_000})
        assert status == 413
        assert ok(node, "PUT", "/a/_doc/1", {"x": "y"})["result"] == "created"
