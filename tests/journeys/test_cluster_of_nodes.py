"""Three nodes are one cluster: whatever is asked or told through one is so through the others."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import elasticsearch as client9
import elasticsearch8 as client8
import pytest
from elastic_transport import HttpHeaders
from elastic_transport.client_utils import url_to_node_config

from hanse.cli.local_nodes import LocalCluster
from tests.journeys.several_nodes import copies, hits_on, holders, node_ids, numbered, wait_for
from tests.journeys.world import bulk, ok, until

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(tmp_path_factory.mktemp("hansa")) as running:
        wait_for(running, "green")
        yield running


def make(cluster: LocalCluster, index: str, shards: int = 3, replicas: int = 1, **settings: Any) -> None:
    body = {"settings": {"number_of_shards": shards, "number_of_replicas": replicas, **settings}}
    ok(cluster.nodes[0], "PUT", f"/{index}", body)
    wait_for(cluster, "green", index=index)


def test_they_see_one_another_and_one_master(cluster: LocalCluster) -> None:
    names = {node.node_name for node in cluster.nodes}
    masters = set()
    for node in cluster.nodes:
        path = "/_cluster/health?wait_for_nodes=3&wait_for_status=green&timeout=30s"
        health = ok(node, "GET", path)
        assert (health["timed_out"], health["number_of_nodes"], health["number_of_data_nodes"]) == (False, 3, 3)
        rows = ok(node, "GET", "/_cat/nodes?format=json&h=name,master,node.role,ip")
        assert {row["name"] for row in rows} == names
        masters |= {row["name"] for row in rows if row["master"] == "*"}
        assert ok(node, "GET", "/_cat/master?format=json")[0]["node"] in names
    assert len(masters) == 1
    states = [ok(node, "GET", "/_cluster/state/master_node,nodes") for node in cluster.nodes]
    assert len({state["master_node"] for state in states}) == 1
    assert states[0]["nodes"].keys() == states[1]["nodes"].keys() == states[2]["nodes"].keys()
    assert len({ok(node, "GET", "/")["cluster_uuid"] for node in cluster.nodes}) == 1
    assert {ok(node, "GET", "/")["name"] for node in cluster.nodes} == names


def test_a_health_that_does_not_come_is_said(cluster: LocalCluster) -> None:
    status, health = cluster.nodes[1].request("GET", "/_cluster/health?wait_for_nodes=4&timeout=100ms")
    assert (status, health["timed_out"], health["number_of_nodes"]) == (408, True, 3)
    for expression in ("%3E=3", "ge(2)", "%3C4", "3"):
        assert ok(cluster.nodes[2], "GET", f"/_cluster/health?wait_for_nodes={expression}")["timed_out"] is False


def test_each_node_tells_of_all(cluster: LocalCluster) -> None:
    infos = [ok(node, "GET", "/_nodes") for node in cluster.nodes]
    assert infos[0]["_nodes"] == {"total": 3, "successful": 3, "failed": 0}
    assert infos[0]["nodes"].keys() == infos[1]["nodes"].keys() == infos[2]["nodes"].keys()
    addresses = {each["transport_address"] for each in infos[0]["nodes"].values()}
    assert addresses == {node.transport_address for node in cluster.nodes}
    for node in cluster.nodes:
        for other in cluster.nodes:
            (only,) = ok(node, "GET", f"/_nodes/{other.node_name}")["nodes"].values()
            assert only["name"] == other.node_name
            assert other.process is not None
            assert only["process"]["id"] == other.process.pid
        assert [each["name"] for each in ok(node, "GET", "/_nodes/_local")["nodes"].values()] == [node.node_name]
        stats = ok(node, "GET", "/_nodes/stats")
        assert {each["name"] for each in stats["nodes"].values()} == {each.node_name for each in cluster.nodes}


def test_documents_written_through_one_are_there_through_all(cluster: LocalCluster) -> None:
    one, two, three = cluster.nodes
    make(cluster, "herring")
    bulk(one, numbered("herring", 0, 100), "/_bulk")
    for node in (one, two, three):
        assert ok(node, "GET", "/herring/_doc/42")["_source"] == {"n": 42}, "a get is realtime everywhere"
    ok(two, "POST", "/herring/_refresh")
    for node in (one, two, three):
        assert ok(node, "GET", "/herring/_count")["count"] == 100
        answer = ok(node, "POST", "/herring/_search", {"size": 200, "sort": ["n"]})
        assert [hit["_source"]["n"] for hit in answer["hits"]["hits"]] == list(range(100))
        assert answer["_shards"] == {"total": 3, "successful": 3, "skipped": 0, "failed": 0}
        total = ok(node, "POST", "/herring/_search", {"size": 0, "aggs": {"sum": {"sum": {"field": "n"}}}})
        assert total["aggregations"]["sum"]["value"] == sum(range(100))
    updated = ok(two, "POST", "/herring/_update/7", {"doc": {"n": 700}})
    assert updated["_shards"] == {"total": 2, "successful": 2, "failed": 0}
    assert ok(three, "GET", "/herring/_doc/7")["_source"] == {"n": 700}
    deleted = ok(three, "DELETE", "/herring/_doc/8")
    assert (deleted["result"], one.request("GET", "/herring/_doc/8")[0]) == ("deleted", 404)
    found = ok(three, "POST", "/_mget", {"docs": [{"_index": "herring", "_id": str(n)} for n in (7, 8, 9)]})
    assert [each["found"] for each in found["docs"]] == [True, False, True]


def test_a_compare_and_set_succeeds_once_whoever_is_asked(cluster: LocalCluster) -> None:
    make(cluster, "casks")
    first = ok(cluster.nodes[0], "PUT", "/casks/_doc/1", {"n": 0})
    path = f"/casks/_doc/1?if_seq_no={first['_seq_no']}&if_primary_term={first['_primary_term']}"
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda at: cluster.nodes[at % 3].request("PUT", path, {"n": at})[0], range(12)))
    assert Counter(answers) == {200: 1, 409: 11}


def test_copies_of_a_shard_are_on_different_nodes_and_equal(cluster: LocalCluster) -> None:
    make(cluster, "salt", shards=3, replicas=2)
    rows = copies(cluster.nodes[1], "salt")
    assert Counter((row["shard"], row["prirep"]) for row in rows) == {
        (str(shard), kind): 1 if kind == "p" else 2 for shard in range(3) for kind in "pr"
    }
    assert len({(row["shard"], row["node"]) for row in rows}) == 9
    bulk(cluster.nodes[0], numbered("salt", 0, 50))
    bulk(cluster.nodes[1], numbered("salt", 25, 50))
    ids = node_ids(cluster.nodes[0])
    shown = [hits_on(cluster.nodes[at], "salt", holder, ids) for at, holder in enumerate(cluster.nodes)]
    assert len(shown[0]) == 75
    assert shown[0] == shown[1] == shown[2]


def test_shards_are_spread_evenly(cluster: LocalCluster) -> None:
    make(cluster, "amber", shards=6, replicas=1)
    spread = {(node.node_name, "STARTED"): 4 for node in cluster.nodes}
    until(
        lambda: copies(cluster.nodes[2], "amber"),
        lambda rows: Counter((row["node"], row["state"]) for row in rows) == spread,
        "four copies on each node",
    )
    per_node = ok(cluster.nodes[0], "GET", "/_cat/allocation?format=json&h=node,shards")
    assert {row["node"] for row in per_node} == {node.node_name for node in cluster.nodes}
    totals = ok(cluster.nodes[0], "GET", "/amber/_stats")
    assert totals["_shards"] == {"total": 12, "successful": 12, "failed": 0}


def test_number_of_replicas_is_changed_live(cluster: LocalCluster) -> None:
    make(cluster, "wax", shards=2, replicas=0)
    bulk(cluster.nodes[0], numbered("wax", 0, 200))
    assert len(copies(cluster.nodes[0], "wax")) == 2
    for replicas, node in ((2, cluster.nodes[1]), (1, cluster.nodes[2]), (0, cluster.nodes[0])):
        ok(node, "PUT", "/wax/_settings", {"index": {"number_of_replicas": replicas}})
        until(
            lambda: copies(cluster.nodes[0], "wax"),
            lambda rows, wanted=2 * (1 + replicas): [row["state"] for row in rows] == ["STARTED"] * wanted,
            f"{replicas} replicas",
        )
        wait_for(cluster, "green", index="wax")
        for each in cluster.nodes:
            assert ok(each, "GET", "/wax/_count")["count"] == 200
        if replicas == 2:
            ids = node_ids(node)
            shown = [hits_on(node, "wax", holder, ids) for holder in cluster.nodes]
            assert len(shown[0]) == 200
            assert shown[0] == shown[1] == shown[2]


def test_users_and_roles_hold_on_every_node_at_once(cluster: LocalCluster) -> None:
    one, two, three = cluster.nodes
    make(cluster, "ledger")
    make(cluster, "secret")
    ok(one, "PUT", "/_security/role/clerk", {"indices": [{"names": ["ledger"], "privileges": ["read"]}]})
    ok(two, "PUT", "/_security/user/anna", {"password": "herring-and-salt", "roles": ["clerk"]})
    anna = ("anna", "herring-and-salt")
    for node in (three, one, two):
        assert ok(node, "GET", "/_security/_authenticate", user=anna)["roles"] == ["clerk"]
        assert node.request("GET", "/ledger/_search", user=anna)[0] == 200
        assert node.request("GET", "/secret/_search", user=anna)[0] == 403
        assert node.request("PUT", "/ledger/_doc/1", {"n": 1}, user=anna)[0] == 403
    ok(three, "PUT", "/_security/role/clerk", {"indices": [{"names": ["secret"], "privileges": ["read"]}]})
    for node in (one, two, three):
        assert node.request("GET", "/secret/_search", user=anna)[0] == 200
        assert node.request("GET", "/ledger/_search", user=anna)[0] == 403
    ok(one, "POST", "/_security/user/anna/_password", {"password": "wax-and-amber"})
    for node in (two, three, one):
        assert node.request("GET", "/_security/_authenticate", user=anna)[0] == 401
        assert node.request("GET", "/_security/_authenticate", user=("anna", "wax-and-amber"))[0] == 200
    ok(two, "DELETE", "/_security/user/anna")
    for node in (three, two, one):
        assert node.request("GET", "/_security/_authenticate", user=("anna", "wax-and-amber"))[0] == 401


def test_an_api_key_holds_on_every_node_and_ends_on_every_node(cluster: LocalCluster) -> None:
    one, two, three = cluster.nodes
    key = ok(one, "POST", "/_security/api_key", {"name": "ship"})
    assert b64decode(key["encoded"]).decode() == f"{key['id']}:{key['api_key']}"
    options = {"api_key": key["encoded"], "ca_certs": str(one.ca_file)}
    with client9.Elasticsearch(two.url, **options) as second, client9.Elasticsearch(three.url, **options) as third:
        for client in (second, third):
            assert client.security.authenticate()["authentication_type"] == "api_key"
        ok(two, "DELETE", "/_security/api_key", {"ids": [key["id"]]})
        for client in (second, third):
            with pytest.raises(client9.AuthenticationException):
                client.security.authenticate()


def test_mappings_aliases_templates_and_settings_are_the_same_everywhere(cluster: LocalCluster) -> None:
    one, two, three = cluster.nodes
    ok(one, "PUT", "/_index_template/logs", {"index_patterns": ["logs-*"], "template": {"aliases": {"all-logs": {}}}})
    ok(two, "PUT", "/logs-1/_doc/1?refresh=true", {"at": 1})
    assert ok(three, "GET", "/all-logs/_count")["count"] == 1

    def write(at: int) -> int:
        return cluster.nodes[at % 3].request("PUT", f"/logs-1/_doc/m{at}", {f"field{at}": at})[0]

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(write, range(12))) == {201}
    mappings = [ok(node, "GET", "/logs-1/_mapping") for node in cluster.nodes]
    assert {f"field{at}" for at in range(12)} <= mappings[0]["logs-1"]["mappings"]["properties"].keys()
    assert mappings[0] == mappings[1] == mappings[2]
    ok(three, "PUT", "/_cluster/settings", {"persistent": {"cluster.blocks.create_index": True}})
    assert one.request("PUT", "/refused")[0] == 403
    ok(two, "PUT", "/_cluster/settings", {"persistent": {"cluster.blocks.create_index": None}})
    ok(two, "DELETE", "/logs-1")
    for node in cluster.nodes:
        assert node.request("GET", "/logs-1")[0] == 404


def test_a_scroll_and_a_point_in_time_go_on_through_other_nodes(cluster: LocalCluster) -> None:
    one, two, three = cluster.nodes
    make(cluster, "ships")
    bulk(one, numbered("ships", 0, 90))
    page = ok(one, "POST", "/ships/_search?scroll=1m", {"size": 10, "sort": ["n"]})
    seen = [hit["_source"]["n"] for hit in page["hits"]["hits"]]
    ok(one, "PUT", "/ships/_doc/900?refresh=true", {"n": -1})
    for at in range(1, 9):
        page = ok(cluster.nodes[at % 3], "POST", "/_search/scroll", {"scroll": "1m", "scroll_id": page["_scroll_id"]})
        seen += [hit["_source"]["n"] for hit in page["hits"]["hits"]]
    assert seen == list(range(90)), "a scroll sees what was there when it began"
    assert ok(two, "DELETE", "/_search/scroll", {"scroll_id": page["_scroll_id"]})["succeeded"] is True
    assert three.request("POST", "/_search/scroll", {"scroll_id": page["_scroll_id"]})[0] == 404

    pit = ok(three, "POST", "/ships/_pit?keep_alive=1m")["id"]
    ok(one, "PUT", "/ships/_doc/901?refresh=true", {"n": -2})
    body: dict[str, Any] = {"size": 40, "sort": ["n"], "pit": {"id": pit, "keep_alive": "1m"}}
    seen = []
    for node in (one, two, three, one):
        hits = ok(node, "POST", "/_search", body)["hits"]["hits"]
        seen += [hit["_source"]["n"] for hit in hits]
        if hits:
            body["search_after"] = hits[-1]["sort"]
    assert seen == list(range(-1, 90))
    assert ok(two, "DELETE", "/_pit", {"id": pit}) == {"succeeded": True, "num_freed": 3}
    assert one.request("POST", "/_search", body)[0] == 404


def test_tasks_of_every_node_are_listed_anywhere(cluster: LocalCluster) -> None:
    ids = set(node_ids(cluster.nodes[0]).values())
    for node in cluster.nodes:
        found = ok(node, "GET", "/_tasks?actions=cluster:monitor/tasks/lists*&detailed=true")["nodes"]
        assert set(found) == ids, "each node tells of the listing that runs on it"


def test_wait_for_active_shards(cluster: LocalCluster) -> None:
    make(cluster, "patient", shards=1, replicas=2)
    written = ok(cluster.nodes[0], "PUT", "/patient/_doc/1?wait_for_active_shards=all", {"n": 1})
    assert written["_shards"] == {"total": 3, "successful": 3, "failed": 0}
    status, answer = cluster.nodes[1].request("PUT", "/patient/_doc/2?wait_for_active_shards=4&timeout=100ms", {"n": 1})
    assert (status, answer["error"]["type"]) == (503, "unavailable_shards_exception")
    assert cluster.nodes[1].request("GET", "/patient/_doc/2")[0] == 404


@pytest.fixture
def greedy(cluster: LocalCluster) -> Iterator[str]:
    """More copies than nodes."""
    ok(cluster.nodes[0], "PUT", "/greedy", {"settings": {"number_of_shards": 1, "number_of_replicas": 3}})
    yield "greedy"
    ok(cluster.nodes[2], "DELETE", "/greedy")


def test_an_index_that_wants_more_copies_than_nodes_is_yellow(cluster: LocalCluster, greedy: str) -> None:
    for node in cluster.nodes:
        health = until(
            lambda node=node: ok(node, "GET", f"/_cluster/health/{greedy}"),
            lambda health: health["active_shards"] == 3,
            "three copies",
        )
        assert (health["status"], health["unassigned_shards"]) == ("yellow", 1)
    # Without a body it explains any copy that is unassigned.
    explained = ok(cluster.nodes[1], "GET", "/_cluster/allocation/explain")
    assert (explained["index"], explained["current_state"], explained["can_allocate"]) == (greedy, "unassigned", "no")
    decisions = explained["node_allocation_decisions"]
    assert {each["node_name"] for each in decisions} == {node.node_name for node in cluster.nodes}
    assert {decider["decider"] for each in decisions for decider in each["deciders"]} == {"same_shard"}


def test_a_deleted_index_leaves_nothing_on_any_node(cluster: LocalCluster) -> None:
    make(cluster, "gone", shards=2, replicas=2)
    uuid = ok(cluster.nodes[0], "GET", "/gone/_settings")["gone"]["settings"]["index"]["uuid"]
    folders = [node.folder / "data" / "indices" / uuid for node in cluster.nodes]
    assert all(folder.exists() for folder in folders)
    ok(cluster.nodes[1], "DELETE", "/gone")
    until(lambda: [folder.exists() for folder in folders], lambda there: not any(there), "the folders to go")


@pytest.mark.parametrize("library", [client8, client9], ids=["8", "9"])
def test_the_official_client_with_all_hosts(cluster: LocalCluster, library: Any) -> None:
    token = b64encode(f"elastic:{cluster.password}".encode()).decode()
    client = library.Elasticsearch(
        [node.url for node in cluster.nodes],
        ca_certs=str(cluster.nodes[0].ca_file),
        headers={"authorization": f"Basic {token}"},
        request_timeout=60,
    )
    with client:
        index = f"official-{library.__versionstr__.split('.')[0]}"
        client.indices.create(index=index, settings={"number_of_shards": 2, "number_of_replicas": 1})
        for at in range(30):
            client.index(index=index, id=str(at), document={"n": at})
        client.indices.refresh(index=index)
        assert {client.info()["name"] for _ in range(30)} == {node.node_name for node in cluster.nodes}
        assert [client.count(index=index)["count"] for _ in range(6)] == [30] * 6
        assert len(holders(cluster.nodes[0], index)) >= 2


def test_the_official_client_sniffs_the_nodes(cluster: LocalCluster) -> None:
    first = cluster.nodes[0]
    token = b64encode(f"elastic:{cluster.password}".encode()).decode()
    # The client sniffs without its own credentials, but with the headers of the node it was given.
    given = url_to_node_config(first.url).replace(
        ca_certs=str(first.ca_file), headers=HttpHeaders({"authorization": f"Basic {token}"})
    )
    with client9.Elasticsearch([given], sniff_on_start=True) as client:
        assert {client.info()["name"] for _ in range(30)} == {node.node_name for node in cluster.nodes}
