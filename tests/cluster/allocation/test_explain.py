from __future__ import annotations

from typing import Any

import pytest
from tests.cluster.allocation.conftest import Harbour

from hanse.cluster.allocation.events import failed
from hanse.cluster.allocation.explain import explained
from hanse.cluster.requests import ExplainAllocation
from hanse.errors import ActionRequestValidationError, IllegalArgumentError, IndexNotFoundError


def explain(harbour: Harbour, primary: bool = True, index: str = "herring", shard: int = 0, **how: Any) -> Any:
    return explained(harbour.state, ExplainAllocation(index, shard, primary, **how), harbour.now_ms)


def test_a_replica_that_has_no_node(harbour: Harbour) -> None:
    harbour.join("a")
    harbour.create("herring", replicas=1)
    answer = explain(harbour, primary=False)
    assert (answer["index"], answer["shard"], answer["primary"]) == ("herring", 0, False)
    assert (answer["current_state"], answer["can_allocate"]) == ("unassigned", "no")
    assert answer["unassigned_info"] == {
        "reason": "INDEX_CREATED",
        "at": "1970-01-01T00:16:40.000Z",
        "last_allocation_status": "no",
    }
    (node,) = answer["node_allocation_decisions"]
    assert (node["node_name"], node["node_decision"], node["weight_ranking"]) == ("a", "no", 1)
    assert [(one["decider"], one["decision"]) for one in node["deciders"]] == [("same_shard", "NO")]
    every = explain(harbour, primary=False, include_yes_decisions=True)["node_allocation_decisions"][0]["deciders"]
    assert len(every) > 5


def test_without_a_shard_any_unassigned_one_is_explained(harbour: Harbour) -> None:
    harbour.join("a")
    harbour.create("cod", replicas=1)
    harbour.create("herring", routing__allocation__require__zone="west")
    answer = explained(harbour.state, ExplainAllocation(), harbour.now_ms)
    assert (answer["index"], answer["primary"]) == ("herring", True)
    assert answer["note"].startswith("No shard was specified")
    harbour.commit(harbour.state.without_index("cod").without_index("herring"))
    with pytest.raises(IllegalArgumentError, match="no unassigned shards"):
        explained(harbour.state, ExplainAllocation(), harbour.now_ms)


def test_what_is_asked_for_must_be_complete_and_there(harbour: Harbour) -> None:
    harbour.join("a")
    harbour.create("herring")
    with pytest.raises(ActionRequestValidationError, match="1: shard must be specified;2: primary must be specified;"):
        explained(harbour.state, ExplainAllocation("herring"), harbour.now_ms)
    with pytest.raises(IndexNotFoundError):
        explain(harbour, index="cod")
    with pytest.raises(IllegalArgumentError, match="no such shard"):
        explain(harbour, shard=1)
    with pytest.raises(IllegalArgumentError, match="no such copy"):
        explain(harbour, primary=False)
    with pytest.raises(IllegalArgumentError, match="unable to find a primary shard assigned to node \\[b\\]"):
        explain(harbour, current_node="b")


def test_a_primary_whose_data_are_gone(harbour: Harbour) -> None:
    harbour.join("a", "b")
    harbour.create("herring")
    gone = harbour.primary().node
    harbour.leave(gone)
    answer = explain(harbour)
    assert answer["can_allocate"] == "no_valid_shard_copy"
    assert answer["unassigned_info"]["last_allocation_status"] == "no_valid_shard_copy"
    (node,) = answer["node_allocation_decisions"]
    assert (node["node_decision"], node["store"]) == ("no", {"in_sync": False})


def test_a_primary_that_failed_too_often_says_how(harbour: Harbour) -> None:
    harbour.join("a")
    harbour.create("herring")
    for _ in range(5):
        allocation_id = harbour.primary().allocation_id
        harbour.commit(failed(harbour.state, "herring-uuid", 0, allocation_id, "the log was cut off", harbour.now_ms))
    answer = explain(harbour)
    assert (answer["can_allocate"], answer["unassigned_info"]["failed_allocation_attempts"]) == ("no", 5)
    assert answer["unassigned_info"]["details"] == "the log was cut off"
    assert answer["node_allocation_decisions"][0]["deciders"][0]["decider"] == "max_retry"


def test_a_replica_that_waits_for_its_node(harbour: Harbour) -> None:
    harbour.join("a", "b", "c")
    harbour.create("herring", replicas=1)
    harbour.leave(next(copy.node for copy in harbour.shard().copies if not copy.is_primary))
    harbour.now_ms += 20_000
    answer = explain(harbour, primary=False)
    assert answer["can_allocate"] == "allocation_delayed"
    assert (answer["configured_delay_in_millis"], answer["remaining_delay_in_millis"]) == (60_000, 40_000)
    assert "within [40s]" in answer["allocate_explanation"]


def test_copies_that_open_move_and_rest(harbour: Harbour) -> None:
    harbour.join("a")
    harbour.create("herring", start=False)
    answer = explain(harbour)
    assert answer["current_state"] == "initializing"
    assert "initializing on node [a]" in answer["explanation"]
    harbour.start()
    harbour.join("b")
    resting = explain(harbour, current_node="a")
    assert resting["current_node"]["name"] == "a"
    assert (resting["can_remain_on_current_node"], resting["can_rebalance_cluster"]) == ("yes", "yes")
    assert resting["can_rebalance_to_other_node"] == "no"
    assert resting["node_allocation_decisions"][0]["node_decision"] == "worse_balance"
    harbour.cluster_setting("cluster.routing.allocation.exclude._name", "a")
    assert "relocating from node [a] to node [b]" in explain(harbour)["explanation"]


def test_a_copy_that_may_not_stay_and_cannot_go(harbour: Harbour) -> None:
    harbour.join("a")
    harbour.create("herring")
    harbour.cluster_setting("cluster.routing.allocation.exclude._name", "a")
    answer = explain(harbour)
    assert (answer["can_remain_on_current_node"], answer["can_move_to_other_node"]) == ("no", "no")
    assert answer["can_remain_decisions"][0]["decider"] == "filter"
