"""A cluster of three nodes follows one of three: each follow runs where its primary is, and goes where that goes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from hanse.cli.local_cluster import LocalNode
from hanse.cli.local_nodes import LocalCluster
from hanse.tls.authority import CertificateAuthority
from tests.journeys.several_nodes import named, running
from tests.journeys.world import bulk, ok, until

pytestmark = pytest.mark.timeout(400)


class Clusters(NamedTuple):
    leader: LocalCluster
    follower: LocalCluster


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clusters]:
    folder = tmp_path_factory.mktemp("following")
    authorities = [CertificateAuthority.create(f"CN=ca-{name}") for name in ("leader", "follower")]
    leader, follower = (
        LocalCluster(folder / name, name, authority=own, trusted=(other.certificate_pem,))
        for name, own, other in zip(("leader", "follower"), authorities, reversed(authorities), strict=True)
    )
    leader.start(wait=False)
    try:
        with leader, follower:
            whole(leader)
            whole(follower)
            remote = {"seeds": [node.transport_address for node in leader.nodes], "skip_unavailable": False}
            body = {"persistent": {"cluster": {"remote": {"remote": remote}}}}
            ok(follower.nodes[0], "PUT", "/_cluster/settings", body)
            yield Clusters(leader, follower)
    finally:
        leader.kill()
        follower.kill()


def whole(cluster: LocalCluster) -> None:
    """Every node is there and every copy of every index active."""
    for node in cluster.nodes:
        until(
            lambda node=node: [
                ok(node, "GET", "/_cluster/health")["number_of_nodes"],
                *{index["health"] for index in ok(node, "GET", "/_stats")["indices"].values()},
            ],
            lambda found: found in ([3], [3, "green"]),
            f"{node.node_name} to see three nodes and all copies",
        )


def write(node: LocalNode, index: str, first: int, last: int) -> None:
    bulk(node, b"".join(b'{"index":{"_index":"%s","_id":"%d"}}\n{"n":%d}\n' % (index.encode(), n, n)
                        for n in range(first, last)))  # fmt: skip


def count(node: LocalNode, index: str) -> int:
    primaries = ok(node, "GET", f"/{index}/_stats/docs")["_all"]["primaries"]
    return int(primaries["docs"]["count"]) if primaries else 0


def caught_up(node: LocalNode, index: str, documents: int) -> None:
    until(lambda: count(node, index), lambda found: found == documents, f"{index} to have {documents} documents")


def follow_stats(node: LocalNode, index: str) -> list[dict[str, Any]]:
    (entry,) = ok(node, "GET", f"/{index}/_ccr/stats")["indices"]
    return list(entry["shards"])


def primary_of(cluster: LocalCluster, index: str, shard: int) -> LocalNode:
    asked = running(cluster)[0]
    copies = ok(asked, "GET", f"/{index}/_stats?level=shards")["indices"][index]["shards"][str(shard)]
    names = {id: node["name"] for id, node in ok(asked, "GET", "/_nodes/_all/http")["nodes"].items()}
    return named(cluster, next(names[copy["routing"]["node"]] for copy in copies if copy["routing"]["primary"]))


def leases(node: LocalNode, index: str) -> list[list[str]]:
    shards = ok(node, "GET", f"/{index}/_stats?level=shards")["indices"][index]["shards"]
    return [
        [lease["id"] for lease in copy["retention_leases"]["leases"]]
        for copies in shards.values()
        for copy in copies
        if copy["routing"]["primary"]
    ]


def test_all_shards_are_followed_from_primaries_on_any_node(clusters: Clusters) -> None:
    leader, follower = clusters
    ok(leader.nodes[0], "PUT", "/books", {"settings": {"number_of_shards": 3, "number_of_replicas": 1}})
    whole(leader)
    write(leader.nodes[1], "books", 0, 300)
    body = {"remote_cluster": "remote", "leader_index": "books", "read_poll_timeout": "5s",
            "settings": {"index.number_of_replicas": 1}}  # fmt: skip
    begun = ok(follower.nodes[1], "PUT", "/copy/_ccr/follow?wait_for_active_shards=1", body)
    assert begun["index_following_started"]
    assert count(follower.nodes[2], "copy") == 300
    write(leader.nodes[2], "books", 300, 400)
    for node in follower.nodes:
        caught_up(node, "copy", 400)
        shards = follow_stats(node, "copy")
        assert [shard["shard_id"] for shard in shards] == [0, 1, 2]
        assert all(not shard.get("fatal_exception") for shard in shards)
    until(lambda: leases(leader.nodes[0], "books"), lambda found: [len(ids) for ids in found] == [1, 1, 1], "leases")
    assert len({primary_of(follower, "copy", shard).node_name for shard in range(3)}) > 1


def test_a_follow_goes_where_its_primary_goes(clusters: Clusters) -> None:
    leader, follower = clusters
    whole(follower)
    gone = primary_of(follower, "copy", 0)
    gone.kill()
    others = running(follower)
    write(leader.nodes[0], "books", 400, 500)
    caught_up(others[0], "copy", 500)
    assert [shard["shard_id"] for shard in follow_stats(others[1], "copy")] == [0, 1, 2]
    gone.start()
    whole(follower)


def test_the_leader_may_lose_a_node(clusters: Clusters) -> None:
    leader, follower = clusters
    whole(leader)
    gone = primary_of(leader, "books", 0)
    gone.kill()
    others = running(leader)
    write(others[0], "books", 500, 600)
    caught_up(follower.nodes[0], "copy", 600)
    gone.start()
    whole(leader)


def polls(leader: LocalCluster) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Reads of the feed that one node asked another for: what was asked of the first, and its part on the second."""
    found = ok(leader.nodes[0], "GET", "/_tasks?actions=indices:data/read/xpack/ccr/shard_changes*&group_by=none")
    by_id = {f"{task['node']}:{task['id']}": task for task in found["tasks"]}
    parents = ((by_id.get(task.get("parent_task_id")), task) for task in by_id.values())
    return [(parent, task) for parent, task in parents if parent is not None]


def test_a_cancelled_read_ends_its_part_on_the_primary(clusters: Clusters) -> None:
    leader, follower = clusters
    whole(leader)
    (asked, part), *_ = until(lambda: polls(leader), bool, "a read that goes on to another node")
    assert (asked["node"], part["action"]) != (part["node"], asked["action"])
    assert part["action"] == "indices:data/read/xpack/ccr/shard_changes[p]"
    ok(leader.nodes[1], "POST", f"/_tasks/{asked['node']}:{asked['id']}/_cancel")
    gone = f"/_tasks/{part['node']}:{part['id']}"
    until(lambda: leader.nodes[2].request("GET", gone)[0], lambda status: status == 404, "the part to end")
    write(leader.nodes[0], "books", 600, 610)
    caught_up(follower.nodes[0], "copy", 610)


def test_auto_follow_runs_once_on_the_master(clusters: Clusters) -> None:
    leader, follower = clusters
    pattern = {
        "remote_cluster": "remote",
        "leader_index_patterns": ["log-*"],
        "follow_index_pattern": "{{leader_index}}",
    }
    ok(follower.nodes[0], "PUT", "/_ccr/auto_follow/logs", pattern)
    ok(leader.nodes[0], "PUT", "/log-1", {"settings": {"number_of_replicas": 1}})
    write(leader.nodes[0], "log-1", 0, 5)
    until(lambda: follower.nodes[1].request("HEAD", "/log-1")[0], lambda status: status == 200, "log-1 to be followed")
    caught_up(follower.nodes[1], "log-1", 5)
    for node in follower.nodes:
        stats = ok(node, "GET", "/_ccr/stats")
        assert stats["auto_follow_stats"]["number_of_successful_follow_indices"] == 1
        assert {entry["index"] for entry in stats["follow_stats"]["indices"]} == {"copy", "log-1"}
    master = named(follower, ok(follower.nodes[0], "GET", "/_cat/master?format=json")[0]["node"])
    master.kill()
    others = running(follower)
    ok(leader.nodes[0], "PUT", "/log-2", {"settings": {"number_of_replicas": 1}})
    until(lambda: others[0].request("HEAD", "/log-2")[0], lambda status: status == 200, "log-2 to be followed")
    master.start()
    whole(follower)


def test_pause_resume_and_unfollow_from_any_node(clusters: Clusters) -> None:
    leader, follower = clusters
    ok(follower.nodes[2], "POST", "/copy/_ccr/pause_follow")
    for node in follower.nodes:
        assert node.request("GET", "/copy/_ccr/stats")[0] == 404
        (info,) = ok(node, "GET", "/copy/_ccr/info")["follower_indices"]
        assert info["status"] == "paused"
    write(leader.nodes[1], "books", 610, 650)
    ok(follower.nodes[0], "POST", "/copy/_ccr/resume_follow")
    caught_up(follower.nodes[1], "copy", 650)
    ok(follower.nodes[1], "POST", "/copy/_ccr/pause_follow")
    ok(follower.nodes[2], "POST", "/copy/_close")
    ok(follower.nodes[0], "POST", "/copy/_ccr/unfollow")
    until(lambda: leases(leader.nodes[0], "books"), lambda found: found == [[], [], []], "the leases to go")


def test_a_follower_is_forgotten_on_every_primary(clusters: Clusters) -> None:
    leader, follower = clusters
    body = {"remote_cluster": "remote", "leader_index": "books"}
    ok(follower.nodes[1], "PUT", "/again/_ccr/follow?wait_for_active_shards=1", body)
    until(lambda: leases(leader.nodes[0], "books"), lambda found: [len(ids) for ids in found] == [1, 1, 1], "leases")
    ok(follower.nodes[1], "POST", "/again/_ccr/pause_follow")
    uuid = ok(follower.nodes[0], "GET", "/again/_settings")["again"]["settings"]["index"]["uuid"]
    forgotten = ok(
        leader.nodes[2],
        "POST",
        "/books/_ccr/forget_follower",
        {
            "follower_cluster": "follower",
            "follower_index": "again",
            "follower_index_uuid": uuid,
            "leader_remote_cluster": "remote",
        },
    )
    assert forgotten["_shards"] == {"total": 3, "successful": 3, "failed": 0}
    assert leases(leader.nodes[1], "books") == [[], [], []]


def test_a_ceiling_lies_over_what_the_asked_node_passes_on(clusters: Clusters) -> None:
    """The follower reaches any node of the leader's cluster; the primary's node holds the peer's ceiling, too."""
    leader, follower = clusters
    limits = {"replication": [{"names": ["books"]}]}
    peer = {"match": {"any": [{"issuer": "CN=ca-follower"}]}, "limits": limits}
    ok(leader.nodes[0], "PUT", "/_security/remote_peer/follower", peer)
    ok(follower.nodes[0], "PUT", "/limited/_ccr/follow?wait_for_active_shards=1",
       {"remote_cluster": "remote", "leader_index": "books"})  # fmt: skip
    caught_up(follower.nodes[2], "limited", 650)
    ok(
        leader.nodes[1],
        "PUT",
        "/_security/remote_peer/follower",
        {**peer, "limits": {"search": [{"names": ["books"]}]}},
    )
    write(leader.nodes[0], "books", 650, 700)
    until(
        lambda: follow_stats(follower.nodes[1], "limited"),
        lambda shards: all(shard["read_exceptions"] for shard in shards),
        "all shards to be refused",
    )
    ok(leader.nodes[2], "PUT", "/_security/remote_peer/follower", peer)
    caught_up(follower.nodes[2], "limited", 700)
