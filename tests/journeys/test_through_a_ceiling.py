"""A cluster under a ceiling goes about its work: counts, follows, API keys, run-as; and an unlisted one is denied."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.world import Pair, ok, until

SETTING = "xpack.security.remote_peer.default"
PEER = "/_security/remote_peer/home"
MATCH = {"any": [{"issuer": "CN=ca-home"}]}
LOGS = [{"names": ["logs-*"]}]
SECRET = "secret-of-joe"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder: Path = tmp_path_factory.mktemp("through")
    made = Pair(folder)
    try:
        made.start()
        for index in ("logs-1", "private"):
            ok(made.remote, "PUT", f"/{index}/_doc/1?refresh=true", {"n": 1})
        entry = {"names": ["logs-1", "private"], "privileges": ["read", "monitor"]}
        ok(made.remote, "PUT", "/_security/role/reader", {"cluster": ["read_ccr"], "indices": [entry]})
        ok(made.local, "PUT", "/_security/role/reader", {})
        ok(made.local, "PUT", "/_security/role/actor", {"run_as": ["joe"]})
        ok(made.local, "PUT", "/_security/user/joe", {"password": SECRET, "roles": ["reader"]})
        ok(made.local, "PUT", "/_security/user/boss", {"password": SECRET, "roles": ["actor"]})
        made.connect()
        yield made
    finally:
        made.stop()


def limit(pair: Pair, **limits: Any) -> None:
    ok(pair.remote, "PUT", PEER, {"match": MATCH, "limits": limits})


def refused(answer: tuple[int, Any], says: str = "the ceiling of peer [home] decided") -> None:
    assert answer[0] == 403, answer
    assert says in answer[1]["error"]["reason"] or says in str(answer[1]), answer


def test_counts_and_what_does_not_cross(pair: Pair) -> None:
    limit(pair, search=LOGS)
    joe = ("joe", SECRET)
    assert ok(pair.local, "GET", "/remote:logs-1/_count", user=joe)["count"] == 1
    assert ok(pair.local, "GET", "/remote:*/_count", user=joe)["count"] == 1
    refused(pair.local.request("GET", "/remote:private/_count", user=joe))
    # Documents are read by id on their own cluster only, as in Elasticsearch.
    status, answer = pair.local.request("GET", "/remote:logs-1/_doc/1")
    assert status == 400, answer
    status, answer = pair.local.request("POST", "/_mget", {"docs": [{"_index": "remote:logs-1", "_id": "1"}]})
    assert "error" in (answer.get("docs") or [answer])[0], answer
    status, answer = pair.local.request("GET", "/remote:logs-1/_search?scroll=1m", user=joe)
    assert status == 400, answer


def test_replication_that_is_allowed(pair: Pair) -> None:
    limit(pair, search=LOGS)
    follow = {"remote_cluster": "remote", "leader_index": "logs-1"}
    refused(pair.local.request("PUT", "/copy/_ccr/follow", follow))
    limit(pair, replication=LOGS)
    ok(pair.local, "PUT", "/copy/_ccr/follow?wait_for_active_shards=1", follow)
    ok(pair.remote, "PUT", "/logs-1/_doc/2?refresh=true", {"n": 2})

    def copied() -> int:
        ok(pair.local, "POST", "/copy/_refresh")
        return int(ok(pair.local, "GET", "/copy/_count")["count"])

    until(copied, lambda count: count == 2, "the copy")
    refused(pair.local.request("GET", "/remote:logs-1/_search"), "its [limits.search] does not allow it")
    refused(pair.local.request("PUT", "/stolen/_ccr/follow", {**follow, "leader_index": "private"}))
    told = ok(pair.local, "GET", "/_security/_explain?user=elastic&index=remote:logs-1&action=replication")
    assert told["allowed"] is True
    # Taken back it stands still, and goes on where it was when it is given again.
    limit(pair, search=LOGS)
    ok(pair.remote, "PUT", "/logs-1/_doc/3?refresh=true", {"n": 3})
    until(
        lambda: ok(pair.local, "GET", "/copy/_ccr/stats")["indices"][0]["shards"][0]["read_exceptions"],
        lambda errors: bool(errors) and "ceiling of peer [home]" in errors[0]["exception"]["reason"],
        "the refusal",
    )
    limit(pair, replication=LOGS)
    until(copied, lambda count: count == 3, "the copy after the pause")


def test_api_keys_are_worth_what_their_owners_roles_mean_there(pair: Pair) -> None:
    key = ok(pair.local, "PUT", "/_security/api_key", {"name": "of-elastic"})
    headers = {"Authorization": f"ApiKey {key['encoded']}"}
    limit(pair, search=LOGS)
    assert ok(pair.local, "GET", "/remote:logs-1/_count", headers=headers)["count"] >= 1
    refused(pair.local.request("GET", "/remote:private/_count", headers=headers))
    limit(pair, search=LOGS, roles=["reader"])
    refused(pair.local.request("GET", "/remote:logs-1/_count", headers=headers), "accepts only [reader]")


def test_run_as_is_decided_on_both_sides(pair: Pair) -> None:
    boss, acting = ("boss", SECRET), {"es-security-runas-user": "joe"}
    limit(pair, search=LOGS)
    refused(
        pair.local.request("GET", "/remote:logs-1/_count", user=boss, headers=acting), "is unauthorized to run as [joe]"
    )
    ok(pair.remote, "PUT", "/_security/role/actor", {"run_as": ["joe"]})
    assert ok(pair.local, "GET", "/remote:logs-1/_count", user=boss, headers=acting)["count"] >= 1
    limit(pair, search=LOGS, roles=["reader"])
    answer = pair.local.request("GET", "/remote:logs-1/_count", user=boss, headers=acting)
    refused(answer, "the ceiling of peer [home] decided: its [limits.roles] accepts only [reader]")


def test_whom_nobody_listed_is_denied_as_soon_as_the_setting_says_so(pair: Pair) -> None:
    ok(pair.remote, "DELETE", PEER)
    assert pair.local.request("GET", "/remote:logs-1/_search")[0] == 200
    ok(pair.remote, "PUT", "/_cluster/settings", {"persistent": {SETTING: "deny"}})
    refused(pair.local.request("GET", "/remote:logs-1/_search"), f"[{SETTING}] is [deny]")
    limit(pair, search=LOGS)
    assert pair.local.request("GET", "/remote:logs-1/_search")[0] == 200
    ok(pair.remote, "DELETE", PEER)
    ok(pair.remote, "PUT", "/_cluster/settings", {"persistent": {SETTING: None}})
    assert pair.local.request("GET", "/remote:logs-1/_search")[0] == 200
    status, answer = pair.remote.request("PUT", "/_cluster/settings", {"persistent": {SETTING: "maybe"}})
    assert status == 400, answer


def test_health_and_metrics_tell_of_a_peer_that_was_disabled_here(pair: Pair) -> None:
    ok(
        pair.local,
        "PUT",
        "/_security/remote_peer/abroad",
        {"match": {"any": [{"issuer": "CN=ca-abroad"}]}, "enabled": False},
    )
    report = until(
        lambda: ok(pair.local, "GET", "/_health_report/remote_clusters")["indicators"]["remote_clusters"],
        lambda indicator: indicator["status"] == "yellow",
        "the report",
    )
    assert report["details"]["not_connected"][0]["trouble"] == "peer_disabled", report
    assert 'hanse_remote_cluster_connected{remote="remote"} 0\n' in _metrics(pair)
    ok(pair.local, "DELETE", "/_security/remote_peer/abroad")
    pair.wait_connected()
    text = _metrics(pair)
    assert 'hanse_tls_certificate_expiry_days{path="node.crt"} ' in text
    assert 'hanse_follower_lag_operations{index="copy",shard="0",remote="remote"} ' in text


def _metrics(pair: Pair) -> str:
    answer: str = ok(pair.local, "GET", "/_prometheus/metrics")
    return answer
