"""Data streams of a remote cluster: written, granted, searched over the border, rolled over and followed."""

from __future__ import annotations

from typing import Any

import pytest

from hanse.cli.local_cluster import LocalNode
from tests.journeys.world import Pair, bulk, ok, until

READER = ("stream-reader", "secret-stream-reader")
WRITER = ("stream-writer", "secret-stream-writer")


def created(node: LocalNode, stream: str, *moments: str) -> list[dict[str, Any]]:
    """The outcomes of documents that a bulk request adds to the stream."""
    lines = b"".join(b'{"create":{}}\n{"@timestamp":"%s","level":"info"}\n' % moment.encode() for moment in moments)
    status, answer = node.request("POST", f"/{stream}/_bulk?refresh=true", lines)
    assert status == 200
    return [item["create"] for item in answer["items"]]


@pytest.fixture(scope="module", autouse=True)
def template(pair: Pair) -> None:
    ok(pair.remote, "PUT", "/_index_template/logs", {"index_patterns": ["logs-*"], "data_stream": {}})
    rights = {"names": ["logs-app"], "privileges": ["read", "read_cross_cluster"]}
    ok(pair.remote, "PUT", "/_security/role/streams", {"indices": [rights]})
    ok(pair.local, "PUT", "/_security/role/streams", {})
    ok(pair.local, "PUT", "/_security/user/stream-reader", {"password": READER[1], "roles": ["streams"]})
    adder = {"indices": [{"names": ["logs-*"], "privileges": ["create_doc", "auto_configure"]}]}
    ok(pair.remote, "PUT", "/_security/role/adder", adder)
    ok(pair.remote, "PUT", "/_security/user/stream-writer", {"password": WRITER[1], "roles": ["adder"]})


def test_the_first_document_begins_the_stream(pair: Pair) -> None:
    items = created(pair.remote, "logs-app", "2026-11-28T10:00:00Z", "2026-11-29T10:00:00Z")
    assert [item["status"] for item in items] == [201, 201]
    assert items[0]["_index"].startswith(".ds-logs-app-")
    (shown,) = ok(pair.remote, "GET", "/_data_stream/logs-app")["data_streams"]
    assert (shown["name"], shown["generation"], shown["template"]) == ("logs-app", 1, "logs")
    assert [one["index_name"] for one in shown["indices"]] == [items[0]["_index"]]
    assert ok(pair.remote, "GET", "/logs-app/_count")["count"] == 2
    assert ok(pair.remote, "GET", f"/{items[0]['_index']}")[items[0]["_index"]]["data_stream"] == "logs-app"
    assert ok(pair.remote, "GET", "/logs-app/_alias") == {items[0]["_index"]: {"aliases": {}}}


def test_a_document_without_a_moment_and_a_write_that_overwrites_are_refused(pair: Pair) -> None:
    status, answer = pair.remote.request("POST", "/logs-app/_doc", {"level": "info"})
    assert status == 400
    assert "timestamp field [@timestamp] is missing" in answer["error"]["reason"]
    for method, path in (("PUT", "/logs-app/_doc/1"), ("DELETE", "/logs-app/_doc/1")):
        status, answer = pair.remote.request(method, path, {"@timestamp": "2026-11-29"} if method == "PUT" else None)
        assert status == 400, answer
        assert answer["error"]["reason"].startswith("only write ops with an op_type of create are allowed")
    status, answer = pair.remote.request("PUT", "/logs-other")
    assert status == 400
    assert "creates data streams only" in answer["error"]["reason"]


def test_who_may_only_add_documents_may_begin_and_fill_a_stream(pair: Pair) -> None:
    body = b'{"create":{}}\n{"@timestamp":"2026-11-29"}\n'
    status, answer = pair.remote.request("POST", "/logs-added/_bulk", body, user=WRITER)
    assert status == 200
    assert answer["items"][0]["create"]["status"] == 201, answer
    assert pair.remote.request("DELETE", "/_data_stream/logs-added", user=WRITER)[0] == 403


def test_a_grant_on_the_stream_reaches_over_the_border_and_no_further(pair: Pair) -> None:
    answer = ok(pair.local, "GET", "/remote:logs-app/_search", user=READER)
    assert answer["hits"]["total"]["value"] == 2
    assert all(hit["_index"].startswith("remote:.ds-logs-app-") for hit in answer["hits"]["hits"])
    assert ok(pair.local, "GET", "/remote:logs-*/_search", user=READER)["hits"]["total"]["value"] == 2
    assert pair.local.request("GET", "/remote:logs-added/_search", user=READER)[0] == 403
    shown = ok(pair.local, "GET", "/_resolve/index/remote:logs-app")
    assert [one["name"] for one in shown["data_streams"]] == ["remote:logs-app"]
    assert shown["data_streams"][0]["timestamp_field"] == "@timestamp"
    assert shown["aliases"] == []


def test_a_rollover_turns_the_writes_and_loses_nothing(pair: Pair) -> None:
    answer = ok(pair.remote, "POST", "/logs-app/_rollover")
    assert answer["rolled_over"]
    assert answer["new_index"].endswith("-000002")
    assert created(pair.remote, "logs-app", "2026-11-30")[0]["_index"] == answer["new_index"]
    assert ok(pair.local, "GET", "/remote:logs-app/_search", user=READER)["hits"]["total"]["value"] == 3
    status, refusal = pair.remote.request("DELETE", f"/{answer['new_index']}")
    assert status == 400
    assert "is the write index for data stream [logs-app]" in refusal["error"]["reason"]


def test_a_followed_stream_is_read_here_and_written_there(pair: Pair) -> None:
    (shown,) = ok(pair.remote, "GET", "/_data_stream/logs-app")["data_streams"]
    for one in shown["indices"]:
        name = one["index_name"]
        ok(pair.local, "PUT", f"/{name}/_ccr/follow?wait_for_active_shards=1", {
            "remote_cluster": "remote", "leader_index": name,
        })  # fmt: skip

    def counted() -> int:
        count: int = ok(pair.local, "GET", "/logs-app/_count")["count"]
        return count

    until(counted, lambda count: count == 3, "the copy of both backing indices")
    (here,) = ok(pair.local, "GET", "/_data_stream/logs-app")["data_streams"]
    assert (here["replicated"], here["generation"]) == (True, 2)
    assert created(pair.local, "logs-app", "2026-12-01")[0]["status"] == 403
    assert created(pair.remote, "logs-app", "2026-12-01")[0]["status"] == 201
    until(counted, lambda count: count == 4, "the document that was added over there")


def test_a_stream_goes_with_all_that_is_behind_it(pair: Pair) -> None:
    ok(pair.remote, "DELETE", "/_data_stream/logs-added")
    assert pair.remote.request("GET", "/_data_stream/logs-added")[0] == 404
    assert pair.remote.request("GET", "/logs-added/_count")[0] == 404
    status, answer = pair.remote.request("PUT", "/_data_stream/nothing-fits")
    assert status == 400
    assert answer["error"]["reason"] == "no matching index template found for data stream [nothing-fits]"
    bulk(pair.remote, b'{"create":{"_index":"logs-added"}}\n{"@timestamp":"2026-11-29"}\n')
    assert ok(pair.remote, "GET", "/_data_stream/logs-added")["data_streams"][0]["generation"] == 1
