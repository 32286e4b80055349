from __future__ import annotations

import msgspec
import pytest
from tests.cluster.conftest import CRANE, NOW_MS, initializing

from hanse.cluster.allocation import reroute, started, with_member
from hanse.cluster.state import ClusterState, IndexMetadata
from hanse.cluster.state_view import shown_state
from hanse.cluster.voting import Exclusion, Voter, with_exclusions, with_voter

EMPTY = ClusterState("harbour", "uuid", 3, nodes={"n1": CRANE}, master_node="n1")
NEW = msgspec.structs.replace(
    EMPTY,
    indices={
        "a": IndexMetadata("a", "1", {"index.blocks.write": "true"}, number_of_shards=2),
        "b": IndexMetadata("b", "2", {"index.number_of_replicas": "0"}, state="close", number_of_replicas=0),
    },
    users={"elastic": {"password": "secret"}},
    roles={"r": {}},
)
ROUTED = reroute(EMPTY, NEW, NOW_MS)
STATE = started(ROUTED, initializing(ROUTED), NOW_MS)


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


def test_a_copy_that_moves_is_on_both_nodes_and_once_in_the_table() -> None:
    state = reroute(STATE, with_member(STATE, msgspec.structs.replace(CRANE, id="n2", name="tug"), NOW_MS), NOW_MS)
    state = started(state, initializing(state), NOW_MS)
    state = reroute(state, state.without_index("b"), NOW_MS)
    excluded = msgspec.structs.replace(state, transient={"cluster.routing.allocation.exclude._name": "crane"})
    (copy,) = [c for c in state.routing["a"][0].copies if c.is_primary]
    assert copy.node == "n1"
    moving = reroute(state, state.with_index(msgspec.structs.replace(state.indices["a"], number_of_replicas=0)), NOW_MS)
    moving = reroute(moving, msgspec.structs.replace(moving, transient=excluded.transient), NOW_MS)
    shown = shown_state(moving, ["a"], {"routing_table", "routing_nodes", "metadata"})
    (entry,) = shown["routing_table"]["indices"]["a"]["shards"]["0"]
    assert (entry["state"], entry["node"], entry["relocating_node"], entry["primary"]) == (
        "RELOCATING",
        "n1",
        "n2",
        True,
    )
    target = next(c for c in shown["routing_nodes"]["nodes"]["n2"] if c["shard"] == 0)
    assert (target["state"], target["primary"], target["recovery_source"]) == ("INITIALIZING", True, {"type": "PEER"})
    in_sync = shown["metadata"]["indices"]["a"]["in_sync_allocations"]
    assert in_sync["0"] == [entry["allocation_id"]["id"]]


def test_a_copy_says_how_it_came_to_be_unassigned() -> None:
    (copy,) = shown_state(ROUTED, ["a"], {"routing_table"})["routing_table"]["indices"]["a"]["shards"]["0"][:1]
    assert (copy["state"], copy["recovery_source"]) == ("INITIALIZING", {"type": "EMPTY_STORE"})
    assert copy["unassigned_info"] == {"reason": "INDEX_CREATED", "at": "1970-01-01T00:16:40.000Z"}
    waiting = shown_state(ROUTED, ["a"], {"routing_nodes"})["routing_nodes"]["unassigned"][0]
    assert (waiting["state"], waiting["unassigned_info"]["delayed"]) == ("UNASSIGNED", False)


def test_who_votes_and_who_was_taken_out() -> None:
    shown = shown_state(STATE, [], {"metadata"})["metadata"]["cluster_coordination"]
    assert shown == {
        "term": 1,
        "last_committed_config": [],
        "last_accepted_config": [],
        "voting_config_exclusions": [],
    }
    state = with_voter(with_voter(STATE, "n1", Voter("crane", "crane-a")), "n2", Voter("pram", "pram-a"))
    state = with_exclusions(state, [Exclusion("n2", "pram")])
    shown = shown_state(state, [], {"metadata"})["metadata"]["cluster_coordination"]
    assert shown["last_committed_config"] == shown["last_accepted_config"] == ["n1"]
    assert shown["voting_config_exclusions"] == [{"node_id": "n2", "node_name": "pram"}]
