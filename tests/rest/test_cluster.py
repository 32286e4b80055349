from __future__ import annotations

from typing import Any

import pytest
from tests.rest.conftest import Client


def test_health(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}")
    answer = client.call("GET", f"/_cluster/health/{index}?level=indices&wait_for_status=yellow")
    assert (answer.status, answer.json["indices"][index]["status"]) == (200, "yellow")
    late = client.call("GET", f"/_cluster/health/{index}?wait_for_status=green&timeout=10ms")
    assert (late.status, late.json["timed_out"]) == (408, True)
    missing = client.call("GET", "/_cluster/health/none-such?timeout=10ms")
    assert (missing.status, missing.json["status"]) == (408, "red")


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("wait_for_status=blue", "unknown cluster health status [blue]"),
        ("level=rack", "level parameter must be one of [cluster] or [indices] or [shards] but was [rack]"),
        ("wait_for_active_shards=some", "cannot parse ActiveShardCount[some]"),
        ("wait_for=green", "request [/_cluster/health] contains unrecognized parameter: [wait_for] -> did you mean"),
        ("wait_for_nodes=x", "failed to parse wait_for_nodes [x]"),
    ],
)
def test_health_refuses(client: Client, query: str, reason: str) -> None:
    answer = client.call("GET", f"/_cluster/health?{query}")
    assert answer.status == 400
    assert answer.reason.startswith(reason)


def test_state(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}")
    whole = client.call("GET", "/_cluster/state").json
    assert index in whole["metadata"]["indices"]
    assert "users" not in str(whole.keys())
    part = client.call("GET", f"/_cluster/state/routing_table/{index}").json
    assert list(part["routing_table"]["indices"]) == [index]
    assert "metadata" not in part
    assert client.call("GET", "/_cluster/state/metadata/none-such?ignore_unavailable=false").status == 404


def test_settings(client: Client) -> None:
    try:
        body = {
            "persistent": {"cluster": {"max_shards_per_node": 900}},
            "transient": {"cluster.max_shards_per_node": 800},
        }
        answer = client.call("PUT", "/_cluster/settings?flat_settings=true", body).json
        assert answer == {
            "acknowledged": True,
            "persistent": {"cluster.max_shards_per_node": "900"},
            "transient": {"cluster.max_shards_per_node": "800"},
        }
        shown = client.call("GET", "/_cluster/settings?include_defaults=true").json
        assert shown["persistent"] == {"cluster": {"max_shards_per_node": "900"}}
        assert shown["defaults"]["cluster"]["name"] == "harbour"
    finally:
        gone = {"cluster.max_shards_per_node": None}
        answer = client.call("PUT", "/_cluster/settings", {"persistent": gone, "transient": gone}).json
    assert answer == {"acknowledged": True, "persistent": {}, "transient": {}}
    assert client.call("GET", "/_cluster/settings").json == {"persistent": {}, "transient": {}}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "Validation Failed: 1: no settings to update;"),
        ({"permanent": {}}, "[cluster_update_settings_request] unknown field [permanent]"),
        ({"persistent": []}, "Validation Failed: 1: no settings to update;"),
        ({"persistent": [1]}, "[cluster_update_settings_request] failed to parse field [persistent]: not an object"),
        ({"persistent": {"a.b": 1}}, "persistent setting [a.b], not recognized"),
        (
            {"persistent": {"cluster.remote.b.skip_unavailable": "maybe"}},
            "Failed to parse value [maybe] as only [true] or [false] are allowed",
        ),
    ],
)
def test_settings_that_are_refused(client: Client, body: dict[str, Any], reason: str) -> None:
    answer = client.call("PUT", "/_cluster/settings", body)
    assert answer.status == 400
    assert answer.reason.startswith(reason)


def test_a_remote_cluster_comes_and_goes(client: Client) -> None:
    remote = {"seeds": ["127.0.0.1:1"], "skip_unavailable": False}
    assert client.call("PUT", "/_cluster/settings", {"persistent": {"cluster.remote.nowhere": remote}}).status == 200
    assert "nowhere" in client.call("GET", "/_remote/info").json
    assert client.call("PUT", "/_cluster/settings", {"persistent": {"cluster.remote.nowhere.*": None}}).status == 200
    assert "nowhere" not in client.call("GET", "/_remote/info").json


@pytest.mark.parametrize(
    ("path", "has", "lacks"),
    [
        ("/_nodes", {"settings", "http", "transport", "os"}, set()),
        ("/_nodes/http", {"http"}, {"os"}),
        ("/_nodes/_local/os,http", {"http", "os"}, {"jvm"}),
        ("/_nodes/stats", {"jvm", "fs", "indices"}, {"settings"}),
        ("/_nodes/stats/jvm", {"jvm"}, {"fs", "indices"}),
        ("/_nodes/_all/stats/indices,fs", {"fs", "indices"}, {"jvm"}),
    ],
)
def test_nodes(client: Client, path: str, has: set[str], lacks: set[str]) -> None:
    answer = client.call("GET", path).json
    (node,) = answer["nodes"].values()
    assert has <= set(node)
    assert not lacks & set(node)
    assert node["name"] == "crane"


def test_node_settings_flat(client: Client) -> None:
    (node,) = client.call("GET", "/_nodes/settings?flat_settings=true").json["nodes"].values()
    assert node["settings"]["cluster.name"] == "harbour"


def test_index_statistics_of_a_node(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}/_doc/1", {"n": 1})
    (node,) = client.call("GET", "/_nodes/stats/indices/docs?level=indices").json["nodes"].values()
    assert node["indices"]["indices"][index] == {"docs": node["indices"]["indices"][index]["docs"]}
    assert node["indices"]["docs"]["count"] >= 1
    for path, known in (("transprot", "transport"), ("indices/docz", "docs")):
        answer = client.call("GET", f"/_nodes/stats/{path}")
        assert answer.status == 400
        assert f"did you mean [{known}]?" in answer.reason


@pytest.mark.parametrize(
    "path", ["/_cluster/stats", "/_cluster/pending_tasks", "/_license", "/_xpack", "/_xpack/usage", "/_nodes/none"]
)
def test_others_answer(client: Client, path: str) -> None:
    assert client.call("GET", path).status == 200


def test_reroute(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}")
    answer = client.call("POST", "/_cluster/reroute?explain=true&metric=nodes").json
    assert (answer["acknowledged"], answer["explanations"]) == (True, [])
    assert "nodes" in answer["state"]
    node = next(iter(answer["state"]["nodes"].values()))["name"]
    cancel = {"cancel": {"index": index, "shard": 0, "node": node}}
    answer = client.call(
        "POST", "/_cluster/reroute?explain=true&dry_run=true&retry_failed=true", {"commands": [cancel]}
    )
    (explanation,) = answer.json["explanations"]
    assert explanation["parameters"]["allow_primary"] is False
    assert explanation["decisions"][0]["decision"] == "NO"
    refused = client.call("POST", "/_cluster/reroute", {"commands": [cancel]})
    assert (refused.status, "shard is primary and started" in refused.reason) == (400, True)


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"commands": [{"move": {}}]}, 400, "[move] missing the index parameter"),
        ({"commands": [{"sink": {}}]}, 400, "Unknown AllocationCommand [sink]"),
        ({"commands": [{"move": {"ship": 1}}]}, 400, "[move] unknown field [ship]"),
        ({"commands": [{"move": []}]}, 400, "[move] failed to parse: not an object"),
        ({"commands": ["move"]}, 400, "a command is an object"),
        ({"commands": {}, "dry": 1}, 400, "[cluster_reroute] unknown field [dry]"),
        ({"commands": 7}, 400, "[cluster_reroute] failed to parse field [commands]"),
        ({"commands": [{"cancel": {"index": "a", "shard": "b", "node": "c"}}]}, 400, "[cancel] failed to parse"),
        ({"commands": [{"cancel": {"index": "nothing", "shard": 0, "node": "c"}}]}, 404, "no such index [nothing]"),
    ],
)
def test_reroute_that_cannot_be_read(client: Client, body: dict[str, Any], status: int, reason: str) -> None:
    answer = client.call("POST", "/_cluster/reroute", body)
    assert answer.status == status
    assert reason in answer.reason


def test_explain_an_allocation(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}")
    asked = {"index": index, "shard": 0, "primary": True}
    answer = client.call("POST", "/_cluster/allocation/explain", asked).json
    assert (answer["current_state"], answer["can_remain_on_current_node"]) == ("started", "yes")
    path = f"/_cluster/allocation/explain?index={index}&shard=0&primary=true"
    assert client.call("GET", path).json == answer
    assert client.call("GET", path, asked).status == 400
    for body, reason in (
        ({"index": index}, "shard must be specified"),
        ({"index": index, "shard": "x", "primary": True}, "failed to parse"),
        ({"ship": 1}, "unknown field [ship]"),
    ):
        refused = client.call("POST", "/_cluster/allocation/explain", body)
        assert refused.status == 400
        assert reason in refused.reason
    assert client.call("POST", "/_cluster/allocation/explain", asked | {"index": "nothing"}).status == 404


def test_resolving_clusters(client: Client, index: str) -> None:
    client.call("PUT", f"/{index}")
    found = client.call("GET", f"/_resolve/cluster/{index}*").json
    assert found["(local)"]["matching_indices"] is True
    gone = client.call("GET", "/_resolve/cluster/gone").json
    assert gone == {"(local)": {"connected": True, "skip_unavailable": False, "error": "no such index [gone]"}}
    gone = client.call("GET", "/_resolve/cluster/gone?ignore_unavailable=true").json
    assert gone["(local)"]["matching_indices"] is False
    assert client.call("GET", "/_resolve/cluster?timeout=5s").json == {}
    refused = client.call("GET", "/_resolve/cluster?expand_wildcards=all")
    assert (refused.status, refused.reason) == (
        400,
        "No index options are allowed on _resolve/cluster when no index expression is specified, but received: "
        "[expand_wildcards]",
    )


def test_voting_exclusions(client: Client) -> None:
    path = "/_cluster/voting_config_exclusions"

    def shown() -> Any:
        answer = client.call("GET", "/_cluster/state/metadata")
        return answer.json["metadata"]["cluster_coordination"]["voting_config_exclusions"]

    try:
        added = client.call("POST", f"{path}?node_names=nobody,no-one&timeout=1s&master_timeout=1s")
        assert (added.status, added.body) == (200, b"")
        assert client.call("POST", f"{path}?node_ids=none").status == 200
        assert shown() == [
            {"node_id": "_absent_", "node_name": "nobody"},
            {"node_id": "_absent_", "node_name": "no-one"},
            {"node_id": "none", "node_name": "_absent_"},
        ]
    finally:
        cleared = client.call("DELETE", path)
    assert (cleared.status, cleared.body, shown()) == (200, b"", [])
    for query in ("", "node_names=a&node_ids=b"):
        answer = client.call("POST", f"{path}?{query}")
        assert answer.status == 400
        assert answer.reason.startswith("Please set node identifiers correctly. One and only one of [node_name]")
