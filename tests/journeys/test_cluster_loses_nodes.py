"""Nodes of three go and come back: what goes on meanwhile, what moves, and what is there again afterwards."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import elasticsearch as client9
import pytest

from hanse.cli.local_cluster import LocalNode
from hanse.cli.local_nodes import LocalCluster
from tests.journeys.several_nodes import (
    copies,
    hits_on,
    holders,
    named,
    node_ids,
    numbered,
    only_in_soak,
    primary_of,
    running,
    wait_for,
)
from tests.journeys.world import bulk, ok, until

pytestmark = pytest.mark.timeout(300)
LONG = "10m"
"""A delay that no test outlives."""


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(tmp_path_factory.mktemp("hansa")) as running:
        yield running


@pytest.fixture
def cluster(started: LocalCluster) -> Iterator[LocalCluster]:
    """Whole and empty before each test."""
    started.start()
    wait_for(started, "green")
    yield started
    started.start()
    wait_for(started, "green", index="")
    ok(started.nodes[0], "DELETE", "/*")
    settings = {"cluster.routing.allocation.exclude._name": None, "cluster.routing.allocation.enable": None}
    ok(started.nodes[0], "PUT", "/_cluster/settings", {"persistent": settings})


def make(cluster: LocalCluster, index: str, shards: int = 1, replicas: int = 1, delay: str = LONG) -> None:
    settings = {
        "number_of_shards": shards,
        "number_of_replicas": replicas,
        "index.unassigned.node_left.delayed_timeout": delay,
    }
    ok(cluster.nodes[0], "PUT", f"/{index}", {"settings": settings})
    wait_for(cluster, "green", index=index)


@contextmanager
def searching(nodes: list[LocalNode], index: str, count: int) -> Iterator[Counter[str]]:
    """Searches through `nodes` all the while; counts whatever is not all `count` documents from all shards."""
    flaws: Counter[str] = Counter()
    is_over = threading.Event()

    def search(node: LocalNode) -> None:
        while not is_over.is_set():
            status, answer = node.request("POST", f"/{index}/_search", {"size": 0, "track_total_hits": True})
            if status != 200:
                flaws[f"{status} {answer['error']['type']}"] += 1
            elif answer["_shards"]["failed"] or answer["hits"]["total"]["value"] != count:
                flaws[f"{answer['_shards']} {answer['hits']['total']}"] += 1
            flaws["searches"] += 1

    threads = [threading.Thread(target=search, args=(node,)) for node in nodes]
    for thread in threads:
        thread.start()
    try:
        yield flaws
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def test_a_killed_node_makes_it_yellow_and_comes_back_to_green(cluster: LocalCluster) -> None:
    make(cluster, "herring", shards=3, replicas=2)
    bulk(cluster.nodes[0], numbered("herring", 0, 60))
    victim = primary_of(cluster, "herring")
    left = running(cluster, but=victim)
    victim.kill()
    wait_for(cluster, "yellow", nodes=2, among=left)
    for node in left:
        rows = until(
            lambda node=node: copies(node, "herring"),
            lambda rows: Counter(row["state"] for row in rows) == {"STARTED": 6, "UNASSIGNED": 3},
            "three unassigned copies",
        )
        primaries = {row["shard"]: row["node"] for row in rows if row["prirep"] == "p"}
        assert primaries.keys() == {"0", "1", "2"}
        assert set(primaries.values()) <= {node.node_name for node in left}
    for at, node in enumerate(left):
        bulk(node, numbered("herring", 60 + 20 * at, 20))
        assert ok(node, "GET", "/herring/_count")["count"] == 80 + 20 * at
    written = ok(left[0], "PUT", "/herring/_doc/5?refresh=true", {"n": 500})
    assert written["_shards"] == {"total": 3, "successful": 2, "failed": 0}
    victim.start()
    wait_for(cluster, "green")
    ids = node_ids(left[0])
    shown = [hits_on(victim, "herring", holder, ids) for holder in cluster.nodes]
    assert (len(shown[0]), shown[0]["5"][1]) == (100, {"n": 500})
    assert shown[0] == shown[1] == shown[2]


def test_the_primary_term_rises_with_a_new_primary(cluster: LocalCluster) -> None:
    make(cluster, "terms")
    first = ok(cluster.nodes[0], "PUT", "/terms/_doc/1", {"n": 1})
    victim = primary_of(cluster, "terms")
    victim.kill()
    (left, _) = running(cluster)
    second = ok(left, "PUT", "/terms/_doc/1", {"n": 2})
    assert second["_primary_term"] > first["_primary_term"]
    assert (second["_seq_no"], second["_version"]) == (first["_seq_no"] + 1, 2)
    old = f"/terms/_doc/1?if_seq_no={first['_seq_no']}&if_primary_term={first['_primary_term']}"
    assert left.request("PUT", old, {"n": 3})[0] == 409


@only_in_soak
def test_every_node_is_killed_in_turn_and_nothing_is_lost(cluster: LocalCluster) -> None:
    make(cluster, "turn", shards=2, replicas=1)
    for at, victim in enumerate(cluster.nodes):
        bulk(cluster.nodes[(at + 1) % 3], numbered("turn", 30 * at, 15), "/_bulk")
        victim.kill()
        bulk(cluster.nodes[(at + 2) % 3], numbered("turn", 30 * at + 15, 15), "/_bulk")
        victim.start()
        wait_for(cluster, "green")
    ok(cluster.nodes[0], "POST", "/turn/_refresh")
    for node in cluster.nodes:
        assert ok(node, "GET", "/turn/_count")["count"] == 90
        assert [node.request("GET", f"/turn/_doc/{n}")[0] for n in range(0, 90, 7)] == [200] * 13


def test_reads_never_stop_while_a_copy_is_left(cluster: LocalCluster) -> None:
    make(cluster, "read", shards=3, replicas=2)
    bulk(cluster.nodes[0], numbered("read", 0, 50))
    victim = primary_of(cluster, "read")
    left = running(cluster, but=victim)
    with searching(left, "read", 50) as flaws:
        for end in (victim.kill, victim.stop):
            before = flaws["searches"]
            until(lambda: flaws["searches"], lambda done, wanted=before + 20: done > wanted, "some searches before")
            end()
            wait_for(cluster, "yellow", nodes=2, among=left)
            victim.start()
            wait_for(cluster, "green")
    assert flaws.pop("searches") > 40
    assert not flaws


def test_a_copy_waits_for_its_node_and_then_goes_elsewhere(cluster: LocalCluster) -> None:
    make(cluster, "delayed", shards=1, replicas=1, delay=LONG)
    bulk(cluster.nodes[0], numbered("delayed", 0, 20))
    names = holders(cluster.nodes[0], "delayed")
    replica = next(named(cluster, name) for name in sorted(names) if name != primary_of(cluster, "delayed").node_name)
    replica.kill()
    (left, other) = running(cluster)
    wait_for(cluster, "yellow", nodes=2, among=(left, other))
    health = ok(other, "GET", "/_cluster/health/delayed")
    assert (health["unassigned_shards"], health["delayed_unassigned_shards"]) == (1, 1)
    body = {"index": "delayed", "shard": 0, "primary": False}
    explained = ok(left, "POST", "/_cluster/allocation/explain", body)
    assert explained["unassigned_info"]["reason"] == "NODE_LEFT"
    assert explained["can_allocate"] == "allocation_delayed"
    ok(other, "PUT", "/delayed/_settings", {"index.unassigned.node_left.delayed_timeout": "0"})
    wait_for(cluster, "green", nodes=2, among=(left, other))
    assert holders(left, "delayed") == {left.node_name, other.node_name}
    replica.start()
    wait_for(cluster, "green")
    for node in cluster.nodes:
        assert ok(node, "GET", "/delayed/_count")["count"] == 20


def test_a_write_that_wants_all_copies_waits_for_them(cluster: LocalCluster) -> None:
    make(cluster, "all", replicas=2)
    cluster.nodes[2].kill()
    (left, other) = running(cluster)
    wait_for(cluster, "yellow", nodes=2, among=(left, other))
    status, answer = other.request("PUT", "/all/_doc/1?wait_for_active_shards=all&timeout=100ms", {"n": 1})
    assert (status, answer["error"]["type"]) == (503, "unavailable_shards_exception")
    assert "have 2, needed 3" in answer["error"]["reason"]
    assert left.request("GET", "/all/_doc/1")[0] == 404
    done: list[int] = []
    path = "/all/_doc/1?wait_for_active_shards=all&timeout=5m"
    waiting = threading.Thread(target=lambda: done.append(left.request("PUT", path, {"n": 1})[0]))
    waiting.start()
    cluster.nodes[2].start()
    waiting.join()
    assert done == [201]


def test_shards_leave_an_excluded_node_and_may_return(cluster: LocalCluster) -> None:
    make(cluster, "move", shards=4, replicas=1)
    bulk(cluster.nodes[0], numbered("move", 0, 100))
    one, two, three = cluster.nodes
    assert three.node_name in holders(one, "move")

    def exclude(name: str | None) -> None:
        settings = {"persistent": {"cluster.routing.allocation.exclude._name": name}}
        ok(two, "PUT", "/_cluster/settings", settings)

    with searching([one, two, three], "move", 100) as flaws:
        exclude(three.node_name)
        until(
            lambda: copies(one, "move"),
            lambda rows: {row["node"] for row in rows} == {one.node_name, two.node_name},
            "the shards to leave",
        )
        wait_for(cluster, "green")
    assert flaws.pop("searches") > 0
    assert not flaws, "a shard that moves is searched all the while"
    bulk(three, numbered("move", 100, 20))
    assert ok(three, "GET", "/move/_count")["count"] == 120
    exclude(None)
    until(lambda: holders(two, "move"), lambda names: three.node_name in names, "shards to return")
    wait_for(cluster, "green")
    assert ok(three, "GET", "/move/_count")["count"] == 120


def test_an_index_without_replicas_is_red_while_its_node_is_away(cluster: LocalCluster) -> None:
    make(cluster, "alone", shards=3, replicas=0)
    make(cluster, "other", shards=1, replicas=1)
    bulk(cluster.nodes[0], numbered("alone", 0, 30))
    bulk(cluster.nodes[0], numbered("other", 0, 30))
    victim = primary_of(cluster, "alone")
    victim.kill()
    (left, other) = running(cluster)
    wait_for(cluster, "red", nodes=2, among=(left, other))
    answer = ok(left, "POST", "/alone/_search", {})
    assert answer["_shards"]["failed"] >= 1
    assert answer["_shards"]["successful"] + answer["_shards"]["failed"] == 3
    assert left.request("POST", "/alone/_search?allow_partial_search_results=false", {})[0] == 503
    assert ok(other, "GET", "/other/_count")["count"] == 30
    statuses = Counter(left.request("PUT", f"/alone/_doc/{n}?timeout=100ms", {"n": -n})[0] for n in range(30))
    assert statuses.keys() == {200, 503}
    victim.start()
    wait_for(cluster, "green")
    assert ok(victim, "GET", "/alone/_count")["count"] == 30


def test_the_master_dies_and_another_is_elected(cluster: LocalCluster) -> None:
    master = named(cluster, ok(cluster.nodes[0], "GET", "/_cat/master?format=json")[0]["node"])
    master.kill()
    left = running(cluster)
    for node in left:
        elected = until(
            lambda node=node: node.request("GET", "/_cat/master?format=json"),
            lambda answer: answer[0] == 200 and answer[1][0]["node"] != master.node_name,
            "another master",
        )
        assert elected[1][0]["node"] in {node.node_name for node in left}
    ok(left[0], "PUT", "/after", {"settings": {"number_of_replicas": 1}})
    wait_for(cluster, "green", nodes=2, among=left, index="after")
    ok(left[1], "PUT", "/after/_doc/1?refresh=true", {"n": 1})
    master.start()
    wait_for(cluster, "green")
    assert ok(master, "GET", "/after/_count")["count"] == 1


def test_without_a_majority_nothing_is_acknowledged_and_with_it_everything_goes_on(cluster: LocalCluster) -> None:
    make(cluster, "majority", replicas=2)
    bulk(cluster.nodes[0], numbered("majority", 0, 10))
    (last, *others) = cluster.nodes
    for node in others:
        node.kill()
    status, answer = last.request("PUT", "/majority/_doc/1?timeout=1s", {"n": -1})
    assert status == 503, answer
    assert last.request("PUT", "/new-index?master_timeout=1s&timeout=1s")[0] == 503
    for node in others:
        node.start(wait=False)
    for node in others:
        node.wait_until_ready()
    wait_for(cluster, "green")
    for node in cluster.nodes:
        assert ok(node, "GET", "/majority/_count")["count"] == 10
    assert ok(last, "PUT", "/majority/_doc/1", {"n": 100})["result"] == "updated"


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_the_whole_cluster_stops_and_has_everything_again(cluster: LocalCluster, how: str) -> None:
    make(cluster, "whole", shards=3, replicas=1)
    ok(cluster.nodes[1], "PUT", "/_security/user/joe", {"password": "secret-joe", "roles": ["superuser"]})
    bulk(cluster.nodes[0], numbered("whole", 0, 100), "/_bulk")
    if how == "stop":
        assert set(cluster.stop().values()) == {0}
    else:
        cluster.kill()
    cluster.start()
    wait_for(cluster, "green")
    for node in cluster.nodes:
        assert ok(node, "GET", "/whole/_count", user=("joe", "secret-joe"))["count"] == 100
    assert ok(cluster.nodes[2], "PUT", "/whole/_doc/1", {"n": -1})["_version"] == 2


def test_the_official_client_goes_on_when_a_host_dies(cluster: LocalCluster) -> None:
    make(cluster, "official", shards=2, replicas=1)
    options: dict[str, Any] = {"basic_auth": ("elastic", cluster.password), "request_timeout": 60}
    urls = [node.url for node in cluster.nodes]
    client = client9.Elasticsearch(
        urls, ca_certs=str(cluster.nodes[0].ca_file), retry_on_timeout=True, max_retries=5, **options
    )
    with client:
        for at in range(60):
            if at == 20:
                cluster.nodes[1].kill()
            client.index(index="official", id=str(at), document={"n": at})
        client.indices.refresh(index="official")
        assert [client.count(index="official")["count"] for _ in range(6)] == [60] * 6
