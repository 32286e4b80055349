"""Follow a leader on another cluster, through everything that happens to both."""

from __future__ import annotations

from typing import Any

import pytest

from hanse.cli.local_cluster import LocalNode
from tests.journeys.world import Pair, bulk, ok, until

ADMIN = ("replicator", "secret-replicator")


def documents(index: str, numbers: range, **more: Any) -> bytes:
    lines = b""
    for number in numbers:
        lines += b'{"index":{"_index":"%s","_id":"%d"}}\n{"n":%d}\n' % (index.encode(), number, number)
    return lines


def contents(node: LocalNode, index: str) -> dict[str, tuple[int, int]]:
    """Id to (seq_no, version) of everything that can be searched."""
    ok(node, "POST", f"/{index}/_refresh")
    body = {"size": 10_000, "seq_no_primary_term": True, "version": True, "_source": False}
    hits = ok(node, "POST", f"/{index}/_search", body)["hits"]["hits"]
    return {hit["_id"]: (hit["_seq_no"], hit["_version"]) for hit in hits}


def caught_up(pair: Pair, follower: str, leader: str) -> None:
    wanted = contents(pair.remote, leader)
    until(lambda: contents(pair.local, follower), lambda have: have == wanted, "the follower to catch up")


@pytest.fixture(scope="module", autouse=True)
def rights(pair: Pair) -> None:
    ok(
        pair.local,
        "PUT",
        "/_security/role/replication",
        {
            "cluster": ["manage_ccr"],
            "indices": [
                {"names": ["copy*"], "privileges": ["monitor", "read", "write", "manage_follow_index", "maintenance"]}
            ],
        },
    )
    ok(pair.local, "PUT", "/_security/user/replicator", {"password": ADMIN[1], "roles": ["replication"]})
    ok(
        pair.remote,
        "PUT",
        "/_security/role/replication",
        {"cluster": ["read_ccr"], "indices": [{"names": ["leader*"], "privileges": ["monitor", "read"]}]},
    )


def follow(pair: Pair, follower: str, leader: str, user: tuple[str, str] = ADMIN, **more: Any) -> Any:
    body = {"remote_cluster": "remote", "leader_index": leader, **more}
    return ok(pair.local, "PUT", f"/{follower}/_ccr/follow?wait_for_active_shards=1", body, user=user)


def test_a_copy_keeps_numbers_versions_and_deletes(pair: Pair) -> None:
    ok(pair.remote, "PUT", "/leader", {"settings": {"number_of_shards": 2, "number_of_replicas": 0}})
    bulk(pair.remote, documents("leader", range(500)))
    bulk(pair.remote, b'{"delete":{"_index":"leader","_id":"7"}}\n' + documents("leader", range(3)))
    answer = follow(pair, "copy", "leader")
    assert answer == {
        "follow_index_created": True,
        "follow_index_shards_acked": True,
        "index_following_started": True,
    }
    caught_up(pair, "copy", "leader")
    bulk(pair.remote, b'{"delete":{"_index":"leader","_id":"8"}}\n' + documents("leader", range(490, 510)))
    caught_up(pair, "copy", "leader")
    assert "8" not in contents(pair.local, "copy")


def test_an_empty_leader_is_followed_at_once(pair: Pair) -> None:
    ok(pair.remote, "PUT", "/leader-empty", {})
    assert follow(pair, "copy-empty", "leader-empty")["index_following_started"] is True
    ok(pair.remote, "PUT", "/leader-empty/_doc/1", {"n": 1})
    caught_up(pair, "copy-empty", "leader-empty")


def test_mappings_settings_and_aliases_follow(pair: Pair) -> None:
    ok(pair.remote, "PUT", "/leader/_mapping", {"properties": {"added": {"type": "keyword"}}})
    ok(pair.remote, "PUT", "/leader/_alias/leader-alias", {})
    bulk(pair.remote, b'{"index":{"_index":"leader","_id":"m"}}\n{"added":"x","dynamic":"new field"}\n')
    until(
        lambda: ok(pair.local, "GET", "/copy/_mapping")["copy"]["mappings"]["properties"],
        lambda properties: {"added", "dynamic"} <= set(properties),
        "the mapping to follow",
    )
    until(
        lambda: pair.local.request("GET", "/_alias/leader-alias")[0],
        lambda status: status == 200,
        "the alias to follow",
    )
    caught_up(pair, "copy", "leader")


def test_a_follower_refuses_writes(pair: Pair) -> None:
    status, answer = pair.local.request("PUT", "/copy/_doc/x", {"n": 1})
    assert status == 403
    assert answer["error"]["type"] == "status_exception"
    assert answer["error"]["reason"] == (
        "a following engine does not accept operations without an assigned sequence number"
    )
    lines = b'{"index":{"_index":"copy","_id":"x"}}\n{}\n'
    status, answer = pair.local.request("POST", "/_bulk", lines, content_type="application/x-ndjson")
    assert answer["items"][0]["index"]["status"] == 403


def test_info_and_stats(pair: Pair) -> None:
    info = ok(pair.local, "GET", "/copy/_ccr/info")["follower_indices"][0]
    assert (info["leader_index"], info["remote_cluster"], info["status"]) == ("leader", "remote", "active")
    assert info["parameters"]["max_read_request_size"] == "32mb"
    stats = until(
        lambda: ok(pair.local, "GET", "/copy/_ccr/stats")["indices"][0],
        lambda entry: entry["total_global_checkpoint_lag"] == 0,
        "no lag",
    )
    assert len(stats["shards"]) == 2
    assert sum(shard["operations_written"] for shard in stats["shards"]) >= 500
    assert ok(pair.local, "GET", "/_ccr/stats")["follow_stats"]["indices"][0]["index"] == "copy"


def test_pause_and_resume(pair: Pair) -> None:
    ok(pair.local, "POST", "/copy/_ccr/pause_follow", user=ADMIN)
    status, answer = pair.local.request("POST", "/copy/_ccr/pause_follow", user=ADMIN)
    assert (status, answer["error"]["reason"]) == (400, "no shard follow tasks for [copy]")
    assert ok(pair.local, "GET", "/copy/_ccr/info")["follower_indices"][0]["status"] == "paused"
    before = contents(pair.local, "copy")
    bulk(pair.remote, documents("leader", range(600, 650)))
    assert contents(pair.local, "copy") == before
    ok(pair.local, "POST", "/copy/_ccr/resume_follow", {"max_read_request_operation_count": 7}, user=ADMIN)
    caught_up(pair, "copy", "leader")
    info = ok(pair.local, "GET", "/copy/_ccr/info")["follower_indices"][0]
    assert info["parameters"]["max_read_request_operation_count"] == 7


def test_it_goes_on_after_either_side_was_killed(pair: Pair) -> None:
    seed = pair.remote.transport_address
    pair.remote.kill()
    pair.remote.start()
    if pair.remote.transport_address != seed:
        pair.connect()
    bulk(pair.remote, documents("leader", range(700, 720)))
    caught_up(pair, "copy", "leader")
    pair.local.kill()
    bulk(pair.remote, documents("leader", range(720, 740)) + b'{"delete":{"_index":"leader","_id":"700"}}\n')
    pair.local.start()
    pair.wait_connected()
    caught_up(pair, "copy", "leader")


def test_taking_the_role_away_stops_it_and_giving_it_back_mends_it(pair: Pair) -> None:
    rights = ok(pair.remote, "GET", "/_security/role/replication")["replication"]
    body = {"cluster": rights["cluster"], "indices": [{"names": ["leader*"], "privileges": ["monitor", "read"]}]}
    ok(pair.remote, "PUT", "/_security/role/replication", {})
    bulk(pair.remote, documents("leader", range(800, 805)))
    until(
        lambda: ok(pair.local, "GET", "/copy/_ccr/stats")["indices"][0]["shards"],
        lambda shards: any(
            failure["exception"]["type"] == "security_exception"
            for shard in shards
            for failure in shard["read_exceptions"]
        ),
        "the refusal to show",
    )
    ok(pair.remote, "PUT", "/_security/role/replication", body)
    caught_up(pair, "copy", "leader")


def test_without_rights_on_the_leader_nothing_is_followed(pair: Pair) -> None:
    ok(pair.remote, "PUT", "/other/_doc/1", {"n": 1})
    body = {"remote_cluster": "remote", "leader_index": "other"}
    status, answer = pair.local.request("PUT", "/copy-other/_ccr/follow", body, user=ADMIN)
    assert status == 403, answer
    assert pair.local.request("HEAD", "/copy-other")[0] == 404


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"remote_cluster": "nobody", "leader_index": "leader"}, 404, "no such remote cluster: [nobody]"),
        ({"remote_cluster": "remote", "leader_index": "nothing"}, 404, "no such index [nothing]"),
        (
            {"remote_cluster": "remote", "leader_index": "leader", "settings": {"index.number_of_shards": 9}},
            400,
            'can not put follower index that could override leader settings {"index.number_of_shards":"9"}',
        ),
    ],
)
def test_follows_that_cannot_be(pair: Pair, body: dict[str, Any], status: int, reason: str) -> None:
    answered, answer = pair.local.request("PUT", "/copy-new/_ccr/follow", body)
    assert (answered, answer["error"]["reason"]) == (status, reason)


def test_unfollow_makes_a_regular_index(pair: Pair) -> None:
    status, answer = pair.local.request("POST", "/copy/_ccr/unfollow", user=ADMIN)
    assert status == 400
    assert answer["error"]["reason"].endswith("because it has not been closed")
    ok(pair.local, "POST", "/copy/_ccr/pause_follow", user=ADMIN)
    ok(pair.local, "POST", "/copy/_close", user=ADMIN)
    ok(pair.local, "POST", "/copy/_ccr/unfollow", user=ADMIN)
    ok(pair.local, "POST", "/copy/_open")
    assert ok(pair.local, "PUT", "/copy/_doc/own", {"n": 1})["result"] == "created"
    leases = ok(pair.remote, "GET", "/leader/_stats?level=shards")["indices"]["leader"]["shards"]["0"][0]
    assert leases["retention_leases"]["leases"] == []


def test_auto_follow_takes_new_indices_only(pair: Pair) -> None:
    ok(pair.remote, "PUT", "/auto-old/_doc/1", {"n": 1})
    pattern = {
        "remote_cluster": "remote",
        "leader_index_patterns": ["auto-*"],
        "follow_index_pattern": "{{leader_index}}-copy",
    }
    ok(pair.local, "PUT", "/_ccr/auto_follow/every", pattern)
    ok(pair.remote, "PUT", "/auto-new/_doc/1", {"n": 1})
    until(lambda: pair.local.request("GET", "/auto-new-copy/_doc/1")[0], lambda status: status == 200, "the new index")
    assert pair.local.request("HEAD", "/auto-old-copy")[0] == 404
    ok(pair.local, "DELETE", "/_ccr/auto_follow/every")
