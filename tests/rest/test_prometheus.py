"""Metrics, read back with the parser of Prometheus' own client."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from hanse.rest.prometheus import CONTENT_TYPE, Metric, follower_metrics, node_metrics, rendered

from .conftest import Client


def samples(text: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
    return found


def test_a_node_tells_its_figures(client: Client) -> None:
    before = samples(client.call("GET", "/_prometheus/metrics").body.decode())
    assert client.call("PUT", "/measured/_doc/1?refresh=true", {"a": 1}).status == 201
    assert client.call("GET", "/measured/_search").status == 200
    answer = client.call("GET", "/_prometheus/metrics")
    assert answer.headers["Content-Type"] == CONTENT_TYPE
    after = samples(answer.body.decode())
    assert after["hanse_documents"][0][1] == before["hanse_documents"][0][1] + 1
    assert after["hanse_indexed_total"][0][1] > before["hanse_indexed_total"][0][1]
    assert after["hanse_searches_total"][0][1] > before["hanse_searches_total"][0][1]
    assert after["hanse_process_resident_memory_bytes"][0][1] > 1_000_000
    assert "hanse_tls_certificate_expiry_days" not in after, "this node has no TLS"
    assert client.call("DELETE", "/measured").status == 200


def test_metrics_are_for_those_who_may_monitor(client: Client) -> None:
    assert client.call("GET", "/_prometheus/metrics", user=None).status == 401
    assert client.call("PUT", "/_security/user/plain", {"password": "secret-plain", "roles": []}).status == 200
    assert client.call("GET", "/_prometheus/metrics", user="plain:secret-plain").status == 403
    assert client.call("GET", "/_prometheus/metrics?unknown=1").status == 400


def node(**more: Any) -> dict[str, Any]:
    return {
        "jvm": {"uptime_in_millis": 1500, "mem": {"heap_used_in_bytes": 5}},
        "process": {"cpu": {"total_in_millis": 10}, "open_file_descriptors": 3, "max_file_descriptors": 9},
        "fs": {"total": {"available_in_bytes": 7}},
        "indices": {
            "docs": {"count": 1},
            "store": {"size_in_bytes": 2},
            "indexing": {"index_total": 3},
            "search": {"query_total": 4, "query_time_in_millis": 5},
        },
        "tls": {"certificates": [], "refused_reloads": 0, "refused_handshakes": 0},
        "remote_clusters": {},
        **more,
    }


def test_tls_and_remote_clusters() -> None:
    certificates = [{"path": "a.crt", "days_to_expiry": 90}, {"path": "a.crt", "days_to_expiry": 4}]
    accepted = {"path": None, "days_to_expiry": 800}
    tls = {"certificates": [*certificates, accepted], "refused_reloads": 1, "refused_handshakes": 17}
    remotes = {
        "up": {"connected": True, "connections": 3, "round_trip_ms": 1.5, "clock_skew_ms": -250},
        "down": {"connected": False, "connections": 0},
    }
    found = samples(rendered(node_metrics(node(tls=tls, remote_clusters=remotes))))
    assert found["hanse_tls_certificate_expiry_days"] == [({"path": ""}, 800), ({"path": "a.crt"}, 4)]
    assert found["hanse_tls_handshakes_refused_total"] == [({}, 17)]
    assert found["hanse_remote_cluster_connected"] == [({"remote": "up"}, 1), ({"remote": "down"}, 0)]
    assert found["hanse_remote_cluster_round_trip_seconds"] == [({"remote": "up"}, 0.0015)]
    assert found["hanse_remote_cluster_clock_skew_seconds"] == [({"remote": "up"}, -0.25)]


def test_followers() -> None:
    shard = {
        "follower_index": "copy",
        "shard_id": 0,
        "remote_cluster": "r",
        "leader_global_checkpoint": 12,
        "follower_global_checkpoint": 2,
        "time_since_last_read_millis": 4000,
        "failed_read_requests": 1,
    }
    halted = {
        **shard,
        "shard_id": 1,
        "fatal_exception": {"type": "x", "reason": "y"},
        "time_since_last_read_millis": -1,
    }
    found = samples(rendered(follower_metrics([{"shards": [shard, halted]}])))
    labels = {"index": "copy", "shard": "0", "remote": "r"}
    assert found["hanse_follower_lag_operations"][0] == (labels, 10)
    assert [value for _, value in found["hanse_follower_halted"]] == [0, 1]
    assert found["hanse_follower_since_read_seconds"][0] == (labels, 4)


@given(st.text(), st.floats(allow_nan=False, allow_infinity=False))
def test_no_label_breaks_out_of_its_line(text: str, value: float) -> None:
    shown = rendered([Metric("hanse_x", "gauge", "x", [({"name": text}, value)])])
    assert len(shown.splitlines()) >= 3
    assert shown.count("\n") == 3
    assert samples(shown) == {"hanse_x": [({"name": text}, value)]}
