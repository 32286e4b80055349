"""What a node promises when it is stopped, killed, or started twice."""

from __future__ import annotations

import threading
from pathlib import Path

from hanse.cli.local_cluster import LocalNode
from hanse.tls.authority import CertificateAuthority
from tests.journeys.world import bulk, ok

BATCH = 50


def test_a_killed_node_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    node = LocalNode(tmp_path, "kill", CertificateAuthority.create()).start()
    acknowledged: list[int] = []
    enough = threading.Event()

    def write() -> None:
        first = 0
        while True:
            lines = b"".join(
                b'{"index":{"_index":"kept","_id":"%d"}}\n{"n":%d}\n' % (n, n) for n in range(first, first + BATCH)
            )
            try:
                status, answer = node.request("POST", "/_bulk", lines, content_type="application/x-ndjson")
            except OSError:
                return
            assert status == 200
            assert not answer["errors"]
            acknowledged.extend(range(first, first + BATCH))
            first += BATCH
            if len(acknowledged) >= 20 * BATCH:
                enough.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert enough.wait(60)
        node.kill()
        writer.join(60)
        node.start()
        body = {"ids": [str(n) for n in acknowledged]}
        docs = ok(node, "POST", "/kept/_mget", body)["docs"]
        assert [doc["_id"] for doc in docs if not doc["found"]] == []
        ok(node, "POST", "/kept/_refresh")
        assert ok(node, "GET", "/kept/_count")["count"] >= len(acknowledged)
    finally:
        node.stop()


def test_sigterm_stops_cleanly_and_everything_is_there_again(tmp_path: Path) -> None:
    node = LocalNode(tmp_path, "stop", CertificateAuthority.create()).start()
    ok(node, "PUT", "/things", {"mappings": {"properties": {"tag": {"type": "keyword"}}}})
    bulk(node, b'{"index":{"_index":"things","_id":"1"}}\n{"tag":"a"}\n')
    ok(node, "PUT", "/_security/user/joe", {"password": "secret-joe", "roles": ["superuser"]})
    assert node.stop() == 0
    node.start()
    try:
        assert ok(node, "GET", "/things/_doc/1", user=("joe", "secret-joe"))["_source"] == {"tag": "a"}
        found = ok(node, "POST", "/things/_search", {"query": {"term": {"tag": "a"}}})
        assert found["hits"]["total"]["value"] == 1
    finally:
        node.stop()


def test_a_second_node_on_the_same_data_is_refused(tmp_path: Path) -> None:
    authority = CertificateAuthority.create()
    first = LocalNode(tmp_path / "first", "twice", authority).start()
    second = LocalNode(tmp_path / "second", "twice", authority, settings={"path.data": str(first.folder / "data")})
    try:
        second.start(wait=False)
        assert second.process is not None
        assert second.process.wait(60) == 78
        assert "failed to obtain node locks" in second.log_file.read_text()
        assert ok(first, "GET", "/")["cluster_name"] == "twice"
    finally:
        second.kill()
        first.stop()
