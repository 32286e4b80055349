"""What is asked of all nodes at once: each answers for itself, and one that is gone is an entry and no error."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hanse.cli.local_cluster import LocalNode
from hanse.cli.local_nodes import LocalCluster
from tests.journeys.several_nodes import wait_for
from tests.journeys.world import bulk, ok, until

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    own = {0: {"node.attr.rack": "r1"}, 1: {"node.attr.rack": "r2"}, 2: {"node.attr.rack": "x"}}
    with LocalCluster(tmp_path_factory.mktemp("every"), "hansa", own_settings=own) as running:
        wait_for(running, "green")
        first = running.nodes[0]
        body = {"settings": {"number_of_shards": 3, "number_of_replicas": 1}}
        ok(first, "PUT", "/books", body)
        wait_for(running, "green")
        bulk(first, b"".join(b'{"index":{"_index":"books","_id":"%d"}}\n{"n":%d}\n' % (n, n) for n in range(60)))
        yield running


def names(answer: Any) -> list[str]:
    return sorted(node["name"] for node in answer["nodes"].values())


def test_each_node_tells_of_itself(cluster: LocalCluster) -> None:
    for node in cluster.nodes:
        info = ok(node, "GET", "/_nodes")
        assert info["_nodes"] == {"total": 3, "successful": 3, "failed": 0}
        pids = {each["process"]["id"] for each in info["nodes"].values()}
        assert pids == {each.process.pid for each in cluster.nodes if each.process is not None}
        assert {each["settings"]["node"]["attr"]["rack"] for each in info["nodes"].values()} == {"r1", "r2", "x"}
    stats = ok(cluster.nodes[1], "GET", "/_nodes/stats")["nodes"].values()
    assert sum(each["indices"]["docs"]["count"] for each in stats) == 120
    assert all(each["jvm"]["mem"]["heap_used_in_bytes"] > 0 for each in stats)


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ("_local", ["hansa-2"]),
        ("hansa-1,hansa-3", ["hansa-1", "hansa-3"]),
        ("*-3", ["hansa-3"]),
        ("rack:r*", ["hansa-1", "hansa-2"]),
        ("_all,data:false", []),
        ("master:true", ["hansa-1", "hansa-2", "hansa-3"]),
    ],
)
def test_filters_choose_nodes(cluster: LocalCluster, filters: str, found: list[str]) -> None:
    for path in (f"/_nodes/{filters}", f"/_nodes/{filters}/stats/jvm", f"/_nodes/{filters}/http"):
        assert names(ok(cluster.nodes[1], "GET", path)) == found
    assert names(ok(cluster.nodes[1], "POST", f"/_nodes/{filters}/reload_secure_settings")) == found


def test_the_cluster_in_sums(cluster: LocalCluster) -> None:
    stats = ok(cluster.nodes[2], "GET", "/_cluster/stats")
    assert stats["indices"]["docs"]["count"] == 60
    shards = stats["indices"]["shards"]
    assert (shards["total"], shards["primaries"], shards["replication"]) == (6, 3, 1.0)
    assert (stats["nodes"]["count"]["total"], stats["nodes"]["discovery_types"]) == (3, {"multi-node": 3})


def test_statistics_of_primaries_and_of_all_copies(cluster: LocalCluster) -> None:
    for node in cluster.nodes:
        stats = ok(node, "GET", "/books/_stats?level=shards")
        assert stats["_shards"] == {"total": 6, "successful": 6, "failed": 0}
        books = stats["indices"]["books"]
        assert (books["primaries"]["docs"]["count"], books["total"]["docs"]["count"]) == (60, 120)
        assert (books["health"], stats["_all"]["total"]["docs"]["count"]) == ("green", 120)
        copies = [copy["routing"] for copies in books["shards"].values() for copy in copies]
        assert [routing["primary"] for routing in copies] == [True, False] * 3
        assert len({routing["node"] for routing in copies}) == 3


def test_who_has_only_an_alias_sees_its_index_on_every_node(cluster: LocalCluster) -> None:
    first = cluster.nodes[0]
    ok(first, "PUT", "/secret", {"settings": {"number_of_replicas": 0}})
    ok(first, "PUT", "/books/_alias/shelf")
    ok(first, "PUT", "/_security/role/reader", {"indices": [{"names": ["shelf"], "privileges": ["monitor"]}]})
    ok(first, "PUT", "/_security/user/ada", {"password": "ada-password", "roles": ["reader"]})
    for node in cluster.nodes:
        stats = ok(node, "GET", "/shelf/_stats", user=("ada", "ada-password"))
        assert stats["_shards"]["successful"] == 6
        assert list(ok(node, "GET", "/_stats", user=("ada", "ada-password"))["indices"]) == ["books"]
        assert node.request("GET", "/secret/_stats", user=("ada", "ada-password"))[0] == 403


def test_segments_and_recoveries_of_every_copy(cluster: LocalCluster) -> None:
    ids = {each["name"]: id for id, each in ok(cluster.nodes[0], "GET", "/_nodes")["nodes"].items()}
    for node in cluster.nodes:
        segments = ok(node, "GET", "/books/_segments")
        assert segments["_shards"]["successful"] == 6
        assert all(len(copies) == 2 for copies in segments["indices"]["books"]["shards"].values())
        recoveries = ok(node, "GET", "/books/_recovery")["books"]["shards"]
        primaries = [each for each in recoveries if each["primary"]]
        replicas = [each for each in recoveries if not each["primary"]]
        assert {each["type"] for each in primaries} == {"EMPTY_STORE"}
        assert {(each["type"], each["stage"]) for each in replicas} == {("PEER", "DONE")}
        for each in replicas:
            assert each["source"]["name"] != each["target"]["name"]
            assert each["source"]["id"] == ids[each["source"]["name"]]


def test_a_copy_that_was_filled_tells_how_much_it_took(cluster: LocalCluster) -> None:
    first, second, _ = cluster.nodes
    ok(first, "PUT", "/filled", {"settings": {"number_of_replicas": 0}})
    bulk(first, b"".join(b'{"index":{"_index":"filled","_id":"%d"}}\n{"n":%d}\n' % (n, n) for n in range(50)))
    ok(first, "PUT", "/filled/_settings", {"number_of_replicas": 2})
    until(
        lambda: ok(second, "GET", "/filled/_stats")["_shards"]["successful"], lambda found: found == 3, "three copies"
    )
    replicas = [each for each in ok(second, "GET", "/filled/_recovery")["filled"]["shards"] if not each["primary"]]
    assert [(each["type"], each["index"]["documents"]["recovered"]) for each in replicas] == [("PEER", 50)] * 2
    assert all(each["index"]["size"]["recovered_in_bytes"] > 0 for each in replicas)
    assert ok(second, "GET", "/filled/_recovery?active_only=true") == {}
    ok(first, "DELETE", "/filled")


def test_tls_of_every_node(cluster: LocalCluster) -> None:
    ids = {each["name"]: id for id, each in ok(cluster.nodes[0], "GET", "/_nodes/_all/http")["nodes"].items()}
    for node in cluster.nodes:
        certificates = ok(node, "GET", "/_ssl/certificates")
        own = [entry for entry in certificates if entry["has_private_key"]]
        assert sorted(entry["nodes"] for entry in own) == sorted([id] for id in ids.values())
        assert all(len(entry["nodes"]) == 3 for entry in certificates if not entry["has_private_key"])
        reloaded = ok(node, "POST", "/_ssl/reload")
        assert reloaded["_nodes"] == {"total": 3, "successful": 3, "failed": 0}
        assert names(reloaded) == ["hansa-1", "hansa-2", "hansa-3"]
        indicator = ok(node, "GET", "/_health_report/tls_certificates")["indicators"]["tls_certificates"]
        assert indicator["status"] == "green"
        assert sorted(indicator["details"]["nodes"]) == ["hansa-1", "hansa-2", "hansa-3"]


def uptimes_ms(node: LocalNode) -> dict[str, int]:
    stats = ok(node, "GET", "/_nodes/stats/jvm")["nodes"].values()
    return {one["name"]: one["jvm"]["uptime_in_millis"] for one in stats}


def test_tables_of_every_node(cluster: LocalCluster) -> None:
    for node in cluster.nodes:
        before = uptimes_ms(node)
        rows = ok(node, "GET", "/_cat/nodes?format=json&h=name,heap.percent,ram.percent,cpu,load_1m,uptime&time=ms")
        after = uptimes_ms(node)
        assert sorted(row["name"] for row in rows) == ["hansa-1", "hansa-2", "hansa-3"]
        assert all(0 < int(row["ram.percent"]) <= 100 and 0 <= int(row["cpu"]) <= 100 for row in rows)
        assert all(before[row["name"]] <= int(row["uptime"]) <= after[row["name"]] for row in rows)
        (books,) = ok(node, "GET", "/_cat/indices/books?format=json&bytes=b")
        assert (books["health"], books["docs.count"]) == ("green", "60")
        assert int(books["store.size"]) > int(books["pri.store.size"]) > 0
        shards = ok(node, "GET", "/_cat/shards/books?format=json")
        assert sum(int(row["docs"]) for row in shards) == 120
        recoveries = ok(node, "GET", "/_cat/recovery/books?format=json")
        peers = [row for row in recoveries if row["type"] == "peer"]
        assert len(peers) == 3
        assert all(row["source_node"] != row["target_node"] and row["bytes_percent"] == "100.0%" for row in peers)
        segments = ok(node, "GET", "/_cat/segments/books?format=json&h=shard,prirep,id")
        assert len({(row["shard"], row["prirep"]) for row in segments}) == 6
        pools = ok(node, "GET", "/_cat/thread_pool/search?format=json&h=node_name,name,active")
        assert sorted(row["node_name"] for row in pools) == ["hansa-1", "hansa-2", "hansa-3"]
        allocation = ok(node, "GET", "/_cat/allocation?format=json&h=node,shards,disk.indices&bytes=b")
        assert sorted(row["node"] for row in allocation) == ["hansa-1", "hansa-2", "hansa-3"]
        assert all(int(row["disk.indices"]) > 0 for row in allocation)


def waiting_healths(node: LocalNode, **more: str) -> dict[str, Any]:
    """Tasks by id; who has been asked waits for a node that never comes."""
    asked = "&".join(f"{key}={value}" for key, value in {"actions": "cluster:monitor/health", **more}.items())
    nodes = ok(node, "GET", f"/_tasks?{asked}")["nodes"]
    return {id: task for each in nodes.values() for id, task in each["tasks"].items()}


def test_tasks_of_every_node_are_seen_and_cancelled_from_any(cluster: LocalCluster) -> None:
    first, second, third = cluster.nodes
    with ThreadPoolExecutor(1) as asking:
        waiting = asking.submit(second.request, "GET", "/_cluster/health?wait_for_nodes=9&timeout=60s")
        ((id, task),) = until(lambda: waiting_healths(first), bool, "the task to be seen").items()
        assert ok(third, "GET", f"/_nodes/{task['node']}")["nodes"][task["node"]]["name"] == second.node_name
        assert "description" not in task
        assert ok(third, "GET", f"/_tasks/{id}")["task"]["action"] == "cluster:monitor/health"
        assert list(waiting_healths(third, nodes=second.node_name)) == [id]
        assert waiting_healths(third, nodes=first.node_name) == {}
        assert first.request("GET", f"/_tasks/{task['node']}:999999")[0] == 404
        assert first.request("GET", "/_tasks/nobody:1")[0] == 404
        (cancelled,) = ok(third, "POST", f"/_tasks/{id}/_cancel")["nodes"].values()
        assert list(cancelled["tasks"]) == [id]
        status, answer = waiting.result()
        assert (status, answer["error"]["type"]) == (400, "task_cancelled_exception")


def test_what_nodes_ask_one_another_is_a_part_of_what_they_were_asked(cluster: LocalCluster) -> None:
    tasks = ok(cluster.nodes[1], "GET", "/_tasks?actions=*tasks/lists*&group_by=parents&detailed=true")["tasks"]
    (whole,) = tasks.values()
    assert len({part["node"] for part in whole["children"]}) == 3
    assert {part["parent_task_id"] for part in whole["children"]} == set(tasks)
    flat = ok(cluster.nodes[2], "GET", "/_tasks?actions=*tasks/lists*&group_by=none")["tasks"]
    assert len(flat) == 4
    assert cluster.nodes[0].request("GET", "/_tasks?group_by=color")[0] == 400


def test_a_node_that_does_not_answer_in_time_is_an_entry(cluster: LocalCluster) -> None:
    asleep = cluster.nodes[2]
    asleep.send_signal(signal.SIGSTOP)
    try:
        answer = ok(cluster.nodes[0], "GET", "/_nodes?timeout=300ms")
    finally:
        asleep.wake()
    header = answer["_nodes"]
    assert (header["total"], header["successful"], header["failed"]) == (3, 2, 1)
    assert header["failures"][0]["caused_by"]["type"] == "receive_timeout_transport_exception"
    assert names(answer) == ["hansa-1", "hansa-2"]
    wait_for(cluster, "green")
