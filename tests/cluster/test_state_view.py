from __future__ import annotations

import msgspec
import pytest
from tests.cluster.conftest import CRANE

from hanse.cluster.state import ClusterState, IndexMetadata
from hanse.cluster.state_view import shown_state

STATE = ClusterState(
    "harbour",
    "uuid",
    4,
    indices={
        "a": IndexMetadata("a", "1", {"index.blocks.write": "true"}, number_of_shards=2),
        "b": IndexMetadata("b", "2", {"index.number_of_replicas": "0"}, state="close", number_of_replicas=0),
    },
    users={"elastic": {"password": "secret"}},
    roles={"r": {}},
    nodes={"n1": CRANE},
    master_node="n1",
)


@pytest.mark.parametrize(
    ("metrics", "sections"),
    [
        (set[str](), {"version", "master_node", "blocks", "nodes", "metadata", "routing_table", "routing_nodes"}),
        ({"_all"}, {"version", "master_node", "blocks", "nodes", "metadata", "routing_table", "routing_nodes"}),
        ({"master_node"}, {"version", "master_node"}),
        ({"nodes", "blocks"}, {"nodes", "blocks"}),
        ({"version"}, {"version"}),
    ],
)
def test_metrics(metrics: set[str], sections: set[str]) -> None:
    shown = shown_state(STATE, ["a", "b"], metrics)
    assert set(shown) - {"cluster_name", "cluster_uuid", "state_uuid"} == sections


def test_no_secret_is_shown() -> None:
    assert "secret" not in msgspec.json.encode(shown_state(STATE, ["a", "b"], set())).decode()


def test_blocks_of_settings_and_of_closed_indices() -> None:
    blocks = shown_state(STATE, ["a", "b"], {"blocks"})["blocks"]["indices"]
    assert blocks["a"]["8"]["description"] == "index write (api)"
    assert blocks["b"]["4"]["description"] == "index closed"
    assert shown_state(STATE, [], {"blocks"})["blocks"] == {}


def test_only_the_named_indices() -> None:
    shown = shown_state(STATE, ["b"], {"metadata", "routing_table"})
    assert list(shown["metadata"]["indices"]) == list(shown["routing_table"]["indices"]) == ["b"]
    assert shown["metadata"]["indices"]["b"]["settings"] == {"index": {"number_of_replicas": "0"}}


def test_a_replica_without_a_node_is_unassigned() -> None:
    nodes = shown_state(STATE, ["a"], {"routing_nodes"})["routing_nodes"]
    assert [copy["state"] for copy in nodes["unassigned"]] == ["UNASSIGNED", "UNASSIGNED"]
    assert [copy["shard"] for copy in nodes["nodes"]["n1"]] == [0, 1]
