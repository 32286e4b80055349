"""Shapes and refusals; what follows is in tests/journeys/test_replication.py."""

from __future__ import annotations

from typing import Any

import pytest
from tests.rest.conftest import Client


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "reason"),
    [
        ("PUT", "/copy/_ccr/follow", None, 400, "request body is required"),
        ("PUT", "/copy/_ccr/follow", {"leader_index": "l"}, 400, "[remote_cluster] is missing"),
        ("PUT", "/copy/_ccr/follow", {"remote_cluster": "r", "x": 1}, 400, "[put_follow_request] unknown field [x]"),
        ("PUT", "/copy/_ccr/follow", {"remote_cluster": "r", "leader_index": "l"}, 404, "no such remote cluster: [r]"),
        ("POST", "/copy/_ccr/pause_follow", None, 404, "no such index [copy]"),
        ("POST", "/copy/_ccr/resume_follow", {}, 404, "no such index [copy]"),
        ("POST", "/copy/_ccr/unfollow", None, 404, "no such index [copy]"),
        ("POST", "/copy/_ccr/forget_follower", {}, 404, "no such index [copy]"),
        ("GET", "/copy/_ccr/info", None, 404, "no such index [copy]"),
        ("GET", "/copy/_ccr/stats", None, 404, "no such index [copy]"),
        ("PUT", "/_ccr/auto_follow/p", {}, 400, "[remote_cluster] is missing;2: [leader_index_patterns] is missing"),
        ("GET", "/_ccr/auto_follow/p", None, 404, "auto-follow pattern [p] is missing"),
        ("DELETE", "/_ccr/auto_follow/p", None, 404, "auto-follow pattern [p] is missing"),
        ("POST", "/_ccr/auto_follow/p/pause", None, 404, "auto-follow pattern [p] is missing"),
    ],
)
def test_refused(client: Client, method: str, path: str, body: Any, status: int, reason: str) -> None:
    answer = client.call(method, path, body)
    assert (answer.status, reason in answer.reason) == (status, True), answer.body


def test_nothing_is_followed(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}")
    stats = client.call("GET", "/_ccr/stats").json
    assert stats["follow_stats"] == {"indices": []}
    assert stats["auto_follow_stats"]["recent_auto_follow_errors"] == []
    assert client.call("GET", "/_all/_ccr/info").json == {"follower_indices": []}
    assert client.call("GET", "/_ccr/auto_follow").json == {"patterns": []}
    unfollow = client.call("POST", f"/{index}/_ccr/unfollow")
    assert unfollow.reason == f"index [{index}] is not a follower index"
