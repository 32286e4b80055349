"""One search, three nodes: whoever is asked answers for all, for everybody what his roles show him."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hanse.cli.local_nodes import LocalCluster
from tests.journeys.several_nodes import numbered, wait_for
from tests.journeys.world import bulk, ok


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    made = LocalCluster(tmp_path_factory.mktemp("search")).start()
    try:
        yield made
    finally:
        made.stop()


def test_roles_hold_on_the_nodes_that_search(cluster: LocalCluster) -> None:
    one = cluster.nodes[0]
    ok(one, "PUT", "/cargo", {"settings": {"number_of_shards": 3, "number_of_replicas": 0}})
    ok(one, "PUT", "/crew", {"settings": {"number_of_shards": 3, "number_of_replicas": 0}})
    wait_for(cluster, "green")
    bulk(one, numbered("cargo", 0, 30) + numbered("crew", 0, 30))
    ok(one, "POST", "/_aliases", {"actions": [
        {"add": {"index": "cargo", "alias": "heavy", "filter": {"range": {"n": {"gte": 20}}}}}
    ]})  # fmt: skip
    query = {"range": {"n": {"lt": 25}}}
    ok(one, "PUT", "/_security/role/clerk", {"indices": [
        {"names": ["cargo"], "privileges": ["read"], "query": query, "field_security": {"grant": ["n"]}},
        {"names": ["heavy"], "privileges": ["read"]},
    ]})  # fmt: skip
    ok(one, "PUT", "/_security/user/anna", {"password": "anna-1-password", "roles": ["clerk"]})
    anna = ("anna", "anna-1-password")
    for node in cluster.nodes:
        seen = ok(node, "POST", "/cargo/_search", {"size": 100, "sort": ["n"]}, user=anna)
        assert [hit["_source"] for hit in seen["hits"]["hits"]] == [{"n": n} for n in range(25)]
        assert seen["_shards"] == {"total": 3, "successful": 3, "skipped": 0, "failed": 0}
        assert ok(node, "GET", "/cargo/_count", user=anna)["count"] == 25
        assert ok(node, "GET", "/heavy/_count", user=anna)["count"] == 10
        assert node.request("POST", "/crew/_search", user=anna)[0] == 403
        assert ok(node, "GET", "/cargo,crew/_count")["count"] == 60


def test_what_a_refresh_promised_is_seen_through_every_node(cluster: LocalCluster) -> None:
    one = cluster.nodes[0]
    ok(one, "PUT", "/harbour", {"settings": {"number_of_shards": 4, "number_of_replicas": 1}})
    wait_for(cluster, "green")
    for at in range(12):
        writer = cluster.nodes[at % 3]
        bulk(writer, numbered("harbour", 10 * at, 10), "/_bulk?refresh=true")
        for node in cluster.nodes:
            assert ok(node, "GET", "/harbour/_count")["count"] == 10 * (at + 1)


def test_a_search_goes_on_while_a_node_is_killed(cluster: LocalCluster) -> None:
    one, _, three = cluster.nodes
    ok(one, "PUT", "/lighthouse", {"settings": {"number_of_shards": 6, "number_of_replicas": 1}})
    wait_for(cluster, "green")
    bulk(one, numbered("lighthouse", 0, 60))
    three.kill()
    for _ in range(30):
        answer = ok(one, "POST", "/lighthouse/_search", {"size": 0})
        assert answer["_shards"] == {"total": 6, "successful": 6, "skipped": 0, "failed": 0}
        assert answer["hits"]["total"]["value"] == 60
    three.start()
    wait_for(cluster, "green")
