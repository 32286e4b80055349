"""A search over the border: names travel, the remote decides by its own roles."""

from __future__ import annotations

import pytest

from tests.journeys.world import Pair, bulk, ok, until

READER = ("reader", "secret-reader")
STRANGER = ("stranger", "secret-stranger")


@pytest.fixture(scope="module", autouse=True)
def contents(pair: Pair) -> None:
    for node, prefix in ((pair.local, "home"), (pair.remote, "abroad")):
        lines = b""
        for number in range(20):
            lines += b'{"index":{"_index":"logs","_id":"%s-%d"}}\n' % (prefix.encode(), number)
            lines += b'{"n":%d,"where":"%s","text":"line %d","secret":"x"}\n' % (number, prefix.encode(), number)
        bulk(node, lines)
    ok(pair.remote, "PUT", "/private/_doc/1?refresh=true", {"n": 1})
    for role in ("crossing", "unknown"):
        ok(pair.local, "PUT", f"/_security/role/{role}", {})
    ok(pair.local, "PUT", "/_security/user/reader", {"password": READER[1], "roles": ["crossing"]})
    ok(pair.local, "PUT", "/_security/user/stranger", {"password": STRANGER[1], "roles": ["unknown"]})
    rights = {"names": ["logs*"], "privileges": ["read", "read_cross_cluster"]}
    ok(pair.remote, "PUT", "/_security/role/crossing", {"indices": [rights]})


def test_one_remote_is_forwarded_and_names_its_cluster(pair: Pair) -> None:
    answer = ok(pair.local, "POST", "/remote:logs/_search", {"size": 3, "sort": [{"n": "desc"}]}, user=READER)
    assert [hit["_index"] for hit in answer["hits"]["hits"]] == ["remote:logs"] * 3
    assert [hit["_source"]["n"] for hit in answer["hits"]["hits"]] == [19, 18, 17]
    assert answer["_clusters"]["total"] == 1
    assert answer["_clusters"]["details"]["remote"]["status"] == "successful"


def test_local_and_remote_merge(pair: Pair) -> None:
    body = {
        "size": 4,
        "sort": [{"n": "asc"}, {"where": "asc"}],
        "aggs": {"where": {"terms": {"field": "where.keyword"}}, "sum": {"sum": {"field": "n"}}},
    }
    body["sort"] = [{"n": "asc"}, {"where.keyword": "asc"}]
    answer = ok(pair.local, "POST", "/logs,remote:logs/_search", body)
    hits = [(hit["_index"], hit["_source"]["n"]) for hit in answer["hits"]["hits"]]
    assert hits == [("remote:logs", 0), ("logs", 0), ("remote:logs", 1), ("logs", 1)]
    assert answer["hits"]["total"]["value"] == 40
    assert {b["key"]: b["doc_count"] for b in answer["aggregations"]["where"]["buckets"]} == {"home": 20, "abroad": 20}
    assert answer["aggregations"]["sum"]["value"] == 380.0
    assert answer["_clusters"]["successful"] == 2
    assert set(answer["_clusters"]["details"]) == {"(local)", "remote"}


def test_paging_over_the_merged_order(pair: Pair) -> None:
    body = {"from": 5, "size": 5, "sort": [{"n": "asc"}, {"where.keyword": "asc"}]}
    answer = ok(pair.local, "POST", "/logs,remote:logs/_search", body)
    assert [hit["_source"]["n"] for hit in answer["hits"]["hits"]] == [2, 3, 3, 4, 4]


def test_wildcards_on_both_sides_of_the_colon(pair: Pair) -> None:
    answer = ok(pair.local, "GET", "/rem*:lo*/_search?size=0", user=READER)
    assert answer["hits"]["total"]["value"] == 20
    assert ok(pair.local, "GET", "/nobody*:logs/_search?size=0", user=READER)["hits"]["total"]["value"] == 0


def test_the_remote_refuses_in_its_own_words(pair: Pair) -> None:
    status, answer = pair.local.request("GET", "/remote:private/_search", user=READER)
    assert status == 403
    assert answer["error"]["type"] == "security_exception"
    assert answer["error"]["reason"] == (
        "action [indices:data/read/search] is unauthorized for user [reader] with effective roles [crossing] on "
        "indices [private], this action is granted by the index privileges [read,all]"
    )


def test_a_role_that_the_remote_does_not_know_gives_nothing(pair: Pair) -> None:
    status, answer = pair.local.request("GET", "/remote:logs/_search", user=STRANGER)
    assert status == 403
    assert "with effective roles [] (assigned roles [unknown] were not found)" in answer["error"]["reason"]


def test_local_rights_are_not_needed_for_the_remote_part_but_for_the_local_one(pair: Pair) -> None:
    status, answer = pair.local.request("GET", "/logs,remote:logs/_search", user=READER)
    assert status == 403
    assert "on indices [logs]" in answer["error"]["reason"]


def test_role_changes_on_the_remote_act_at_once(pair: Pair) -> None:
    ok(pair.local, "PUT", "/_security/role/changing", {})
    ok(pair.local, "PUT", "/_security/user/changing", {"password": "secret-changing", "roles": ["changing"]})
    user = ("changing", "secret-changing")
    assert pair.local.request("GET", "/remote:logs/_search", user=user)[0] == 403
    ok(pair.remote, "PUT", "/_security/role/changing", {"indices": [{"names": ["logs"], "privileges": ["read"]}]})
    assert pair.local.request("GET", "/remote:logs/_search", user=user)[0] == 200
    ok(pair.remote, "DELETE", "/_security/role/changing")
    assert pair.local.request("GET", "/remote:logs/_search", user=user)[0] == 403


def test_document_and_field_rules_of_the_remote_hold(pair: Pair) -> None:
    ok(pair.local, "PUT", "/_security/role/narrow", {})
    ok(pair.local, "PUT", "/_security/user/narrow", {"password": "secret-narrow", "roles": ["narrow"]})
    rights = {
        "names": ["logs"],
        "privileges": ["read"],
        "query": {"range": {"n": {"lt": 3}}},
        "field_security": {"grant": ["n", "where"]},
    }
    ok(pair.remote, "PUT", "/_security/role/narrow", {"indices": [rights]})
    user = ("narrow", "secret-narrow")
    answer = ok(pair.local, "POST", "/remote:logs/_search", {"sort": [{"n": "asc"}]}, user=user)
    assert [hit["_source"] for hit in answer["hits"]["hits"]] == [{"n": n, "where": "abroad"} for n in range(3)]
    hidden = ok(pair.local, "POST", "/remote:logs/_search", {"query": {"match": {"text": "line"}}}, user=user)
    assert hidden["hits"]["total"]["value"] == 0


def test_unknown_alias(pair: Pair) -> None:
    status, answer = pair.local.request("GET", "/nobody:logs/_search")
    assert (status, answer["error"]["type"]) == (404, "no_such_remote_cluster_exception")
    assert answer["error"]["reason"] == "no such remote cluster: [nobody]"


def test_a_missing_remote_index_is_not_found(pair: Pair) -> None:
    status, answer = pair.local.request("GET", "/remote:nothing/_search")
    assert (status, answer["error"]["type"]) == (404, "index_not_found_exception")


def test_apis_that_do_not_cross_say_so(pair: Pair) -> None:
    status, answer = pair.local.request("GET", "/remote:logs/_mapping")
    assert status == 400
    assert answer["error"]["reason"] == (
        "Cross-cluster calls are not supported in this context but remote indices were requested: [remote:logs]"
    )


def test_counts_field_caps_and_many_searches_cross(pair: Pair) -> None:
    assert ok(pair.local, "GET", "/logs,remote:logs/_count")["count"] == 40
    caps = ok(pair.local, "GET", "/remote:logs/_field_caps?fields=n")
    assert "remote:logs" in caps["indices"]
    lines = b'{"index":"remote:logs"}\n{"size":0}\n{"index":"remote:nothing"}\n{}\n'
    status, answer = pair.local.request("POST", "/_msearch", lines, content_type="application/x-ndjson")
    assert status == 200
    assert answer["responses"][0]["hits"]["total"]["value"] == 20
    assert answer["responses"][1]["status"] == 404


def test_a_lost_remote_fails_or_is_skipped_and_comes_back_by_itself(pair: Pair) -> None:
    pair.remote.kill()
    until(
        lambda: pair.local.request("GET", "/_remote/info")[1],
        lambda info: not info["remote"]["connected"],
        "the loss to be seen",
    )
    status, answer = pair.local.request("GET", "/logs,remote:logs/_search")
    assert status == 500
    assert answer["error"]["type"] in ("connect_transport_exception", "no_seed_node_left_exception")
    assert "remote" in str(answer["error"])
    setting = "cluster.remote.remote.skip_unavailable"
    ok(pair.local, "PUT", "/_cluster/settings", {"persistent": {setting: True}})
    skipped = ok(pair.local, "GET", "/logs,remote:logs/_search?size=0")
    assert skipped["hits"]["total"]["value"] == 20
    assert skipped["_clusters"]["skipped"] == 1
    assert skipped["_clusters"]["details"]["remote"]["failures"][0]["shard"] == -1
    address = pair.remote.transport_address if (pair.remote.folder / "logs" / "transport.ports").exists() else None
    pair.remote.start()
    if pair.remote.transport_address != address:
        ok(
            pair.local,
            "PUT",
            "/_cluster/settings",
            {"persistent": {"cluster.remote.remote.seeds": [pair.remote.transport_address]}},
        )
    pair.wait_connected()
    ok(pair.local, "PUT", "/_cluster/settings", {"persistent": {setting: False}})
    assert ok(pair.local, "GET", "/logs,remote:logs/_search?size=0")["hits"]["total"]["value"] == 40


def test_proxy_mode(pair: Pair) -> None:
    proxy = {
        "mode": "proxy",
        "proxy_address": pair.remote.transport_address,
        "proxy_socket_connections": 2,
        "skip_unavailable": False,
    }
    ok(pair.local, "PUT", "/_cluster/settings", {"persistent": {"cluster": {"remote": {"byproxy": proxy}}}})
    info = until(
        lambda: pair.local.request("GET", "/_remote/info")[1]["byproxy"],
        lambda entry: entry["connected"] and entry["num_proxy_sockets_connected"] == 2,
        "the proxy connections",
    )
    assert info["mode"] == "proxy"
    assert ok(pair.local, "GET", "/byproxy:logs/_search?size=0")["hits"]["total"]["value"] == 20
    gone = dict.fromkeys(proxy)
    ok(pair.local, "PUT", "/_cluster/settings", {"persistent": {"cluster": {"remote": {"byproxy": gone}}}})
    assert "byproxy" not in ok(pair.local, "GET", "/_remote/info")
