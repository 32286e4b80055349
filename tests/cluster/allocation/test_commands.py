from __future__ import annotations

from typing import Any

import pytest
from tests.cluster.allocation.conftest import Harbour

from hanse.cluster.allocation.commands import commanded, retried
from hanse.cluster.allocation.events import failed
from hanse.cluster.requests import RerouteCommand
from hanse.errors import IllegalArgumentError, IndexNotFoundError


def order(harbour: Harbour, kind: str, index: str = "herring", shard: int = 0, **fields: Any) -> None:
    command = RerouteCommand(kind, index, shard, **fields)
    harbour.commit(commanded(harbour.state, [command], harbour.now_ms)[0])


def refused(harbour: Harbour, kind: str, index: str = "herring", shard: int = 0, **fields: Any) -> str:
    before = harbour.state
    with pytest.raises(IllegalArgumentError) as caught:
        order(harbour, kind, index, shard, **fields)
    command = RerouteCommand(kind, index, shard, **fields)
    if "failed to resolve" not in caught.value.reason and "no such shard" not in caught.value.reason:
        state, (explanation,) = commanded(before, [command], harbour.now_ms, explain=True)
        assert state is before
        assert explanation["command"] == kind
        assert explanation["decisions"][0]["decision"] == "NO"
        assert explanation["decisions"][0]["explanation"] == caught.value.reason
    return caught.value.reason


@pytest.fixture
def two(harbour: Harbour) -> Harbour:
    harbour.cluster_setting("cluster.routing.rebalance.enable", "none")
    harbour.join("a")
    harbour.create("herring")
    harbour.join("b")
    return harbour


def test_move(two: Harbour) -> None:
    order(two, "move", from_node="a", to_node="b")
    assert two.told() == ["a P RELOCATING b", "b R INITIALIZING a"]
    assert "since its not started (state = RELOCATING)" in refused(two, "move", from_node="a", to_node="b")
    two.start()
    assert two.told() == ["b P STARTED"]


def test_a_move_that_is_not_allowed(two: Harbour) -> None:
    two.join("lookout", roles=("master",))
    assert "failed to find it on node {b}{b}" in refused(two, "move", from_node="b", to_node="a")
    assert "[NO(the node does not have the role [data])]" in refused(two, "move", from_node="a", to_node="lookout")
    assert "a copy of this shard is already allocated to this node" in refused(two, "move", from_node="a", to_node="a")
    assert refused(two, "move", from_node="a", to_node="c") == "failed to resolve [c], no matching nodes"
    assert refused(two, "move", shard=3, from_node="a", to_node="b") == "no such shard [herring][3]"
    with pytest.raises(IndexNotFoundError):
        order(two, "move", index="cod", from_node="a", to_node="b")


def test_cancel_a_move_and_a_replica(two: Harbour) -> None:
    order(two, "move", from_node="a", to_node="b")
    assert "shard is primary and relocating" in refused(two, "cancel", node="a")
    order(two, "cancel", node="b")
    assert two.told() == ["a P STARTED"]
    assert "failed to find it" in refused(two, "cancel", node="b")
    two.change("herring", number_of_replicas=1)
    before = two.shard().on("b")
    order(two, "cancel", node="b")
    after = two.shard().on("b")
    assert before is not None
    assert after is not None
    assert before.allocation_id != after.allocation_id, "it begins once more"


def test_cancel_a_primary(two: Harbour) -> None:
    two.change("herring", number_of_replicas=1)
    two.start()
    assert "shard is primary and started" in refused(two, "cancel", node="a")
    order(two, "cancel", node="a", allow_primary=True)
    assert two.told() == ["a R INITIALIZING", "b P STARTED"]
    assert two.term() == 2


def test_allocate_replica(two: Harbour) -> None:
    assert "already assigned" in refused(two, "allocate_replica", node="b")
    two.cluster_setting("cluster.routing.allocation.enable", "none")
    two.change("herring", number_of_replicas=1)
    assert "no allocations are allowed" in refused(two, "allocate_replica", node="b")
    two.change("herring", settings={"index.unassigned.node_left.delayed_timeout": "1h"})
    two.cluster_setting("cluster.routing.allocation.enable", "all")
    two.start()
    two.join("c")
    two.leave("b")
    assert two.told() == ["a P STARTED", "- R NODE_LEFT"]
    order(two, "allocate_replica", node="c")
    assert two.told() == ["a P STARTED", "c R INITIALIZING"]


def break_primary(harbour: Harbour) -> None:
    while harbour.shard().primary is not None:
        allocation_id = harbour.primary().allocation_id
        harbour.commit(failed(harbour.state, "herring-uuid", 0, allocation_id, "the log was cut off", harbour.now_ms))


def test_a_stale_primary_begins_a_new_log(two: Harbour) -> None:
    assert "is already assigned" in refused(two, "allocate_stale_primary", node="a", accept_data_loss=True)
    break_primary(two)
    term = two.term()
    assert "accept_data_loss" in refused(two, "allocate_stale_primary", node="a")
    order(two, "allocate_stale_primary", node="a", accept_data_loss=True)
    assert two.told() == ["a P INITIALIZING"]
    assert (two.primary().begins_log, two.primary().begins_empty, two.shard().in_sync) == (True, False, ("a",))
    assert two.term() == term + 1
    two.start()
    assert (two.told(), two.primary().begins_log) == (["a P STARTED"], False)


def test_a_primary_that_is_tried_again_may_be_begun_anew_as_well(two: Harbour) -> None:
    two.commit(failed(two.state, "herring-uuid", 0, two.primary().allocation_id, "torn", two.now_ms))
    before = two.primary()
    assert before.state == "INITIALIZING"
    order(two, "allocate_stale_primary", node="a", accept_data_loss=True)
    assert two.told() == ["a P INITIALIZING"]
    assert two.primary().begins_log
    assert two.primary().allocation_id != before.allocation_id


def test_a_stale_copy_makes_those_of_other_nodes_worthless(two: Harbour) -> None:
    two.change("herring", number_of_replicas=1)
    two.start()
    two.leave("b")
    two.leave("a")
    two.join("c")
    assert two.told()[0] == "- P NODE_LEFT"
    two.join("lookout", roles=("master",))
    assert "does not have the role" in refused(two, "allocate_stale_primary", node="lookout", accept_data_loss=True)
    order(two, "allocate_stale_primary", node="c", accept_data_loss=True)
    assert two.shard().in_sync == ("c",)


def test_an_empty_primary(two: Harbour) -> None:
    break_primary(two)
    assert "data loss" in refused(two, "allocate_empty_primary", node="b")
    order(two, "allocate_empty_primary", node="b", accept_data_loss=True)
    assert (two.told(), two.shard().in_sync) == (["b P INITIALIZING"], ("b",))
    assert (two.primary().begins_log, two.primary().begins_empty) == (True, True)
    two.start()
    assert (two.primary().begins_log, two.primary().begins_empty) == (False, False)


def test_what_never_held_anything_is_not_stale(harbour: Harbour) -> None:
    harbour.join("a")
    harbour.create("herring", start=False)
    break_primary(harbour)
    assert "no such shard has ever been active" in refused(
        harbour, "allocate_stale_primary", node="a", accept_data_loss=True
    )


def test_what_failed_too_often_is_tried_again(two: Harbour) -> None:
    break_primary(two)
    two.apply(lambda state: retried(state, two.now_ms))
    assert two.told() == ["a P INITIALIZING"]
    two.start()
    assert retried(two.state, two.now_ms) is two.state


def test_all_or_none(two: Harbour) -> None:
    commands = [
        RerouteCommand("move", "herring", 0, from_node="a", to_node="b"),
        RerouteCommand("move", "herring", 0, from_node="a", to_node="b"),
    ]
    with pytest.raises(IllegalArgumentError):
        commanded(two.state, commands, two.now_ms)
    state, explanations = commanded(two.state, commands, two.now_ms, explain=True)
    assert state is not two.state
    assert [entry["decisions"][0]["decision"] for entry in explanations] == ["YES", "NO"]
    assert explanations[0]["parameters"] == {"index": "herring", "shard": 0, "from_node": "a", "to_node": "b"}
