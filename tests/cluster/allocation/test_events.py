from __future__ import annotations

from tests.cluster.allocation.conftest import Harbour, replaced

from hanse.cluster.allocation.events import (
    failed,
    reopened,
    started,
    stepping_down,
    with_member,
    without_member,
)
from hanse.cluster.routing import ShardCopy


def test_the_first_copy_of_a_shard_starts_in_term_one_and_is_in_sync(harbour: Harbour) -> None:
    harbour.join("crane")
    harbour.create("herring", start=False)
    assert harbour.told() == ["crane P INITIALIZING"]
    assert harbour.shard().in_sync == ()
    harbour.start()
    assert harbour.told() == ["crane P STARTED"]
    assert harbour.shard().in_sync == ("crane",)
    assert harbour.term() == 1


def test_another_copy_takes_over_when_the_primary_leaves(harbour: Harbour) -> None:
    harbour.join("a", "b")
    harbour.create("herring", replicas=1)
    version = harbour.state.index("herring").version
    first = harbour.primary().node
    harbour.leave(first)
    other = {"a": "b", "b": "a"}[first]
    assert harbour.told() == [f"{other} P STARTED", "- R NODE_LEFT"]
    assert (harbour.term(), harbour.state.index("herring").version) == (2, version + 1)
    info = harbour.shard().unassigned[0]
    assert (info.last_node, info.delayed_until_ms) == (first, harbour.now_ms + 60_000)
    assert first in harbour.shard().in_sync, "it can catch up from the log as long as nobody replaced it"


def test_without_another_copy_the_shard_waits_for_the_node_that_has_its_data(harbour: Harbour) -> None:
    harbour.join("a")
    harbour.create("herring")
    harbour.join("b")
    harbour.leave("a")
    assert harbour.told() == ["- P NODE_LEFT"]
    harbour.join("a")
    assert harbour.told() == ["a P INITIALIZING"]
    assert harbour.term() == 2


def test_a_node_that_started_again_unnoticed_hands_its_primaries_over(harbour: Harbour) -> None:
    harbour.join("a", "b")
    harbour.create("herring", replicas=1)
    first = harbour.primary().node
    harbour.join(first)
    other = {"a": "b", "b": "a"}[first]
    assert sorted(harbour.told()) == sorted([f"{other} P STARTED", f"{first} R INITIALIZING"])
    assert harbour.term() == 2


def test_a_node_that_started_again_alone_opens_its_own_copy(harbour: Harbour) -> None:
    harbour.join("a")
    harbour.create("herring", replicas=1)
    before = harbour.primary().allocation_id
    harbour.join("a")
    assert harbour.told() == ["a P INITIALIZING", "- R INDEX_CREATED"]
    assert harbour.primary().allocation_id != before
    assert harbour.term() == 2


def test_the_same_process_may_say_something_new_about_itself(harbour: Harbour) -> None:
    harbour.join("a")
    harbour.create("herring")
    node = harbour.state.nodes["a"]
    assert with_member(harbour.state, node, harbour.now_ms) is harbour.state
    harbour.commit(with_member(harbour.state, replaced(node, http_address="10.0.0.1:9200"), harbour.now_ms))
    assert harbour.told() == ["a P STARTED"]


def test_a_node_that_is_no_member_cannot_leave(harbour: Harbour) -> None:
    assert without_member(harbour.state, "a", "", harbour.now_ms) is harbour.state


def test_stepping_down_hands_primaries_over_and_keeps_the_copies(harbour: Harbour) -> None:
    harbour.join("a", "b", "c")
    harbour.create("herring", shards=3, replicas=1)
    harbour.create("cod")
    held = [number for number in range(3) if harbour.primary(number=number).node == "a"]
    assert held
    harbour.apply(lambda state: stepping_down(state, "a"))
    for number in held:
        assert harbour.primary(number=number).node != "a"
        assert "a R STARTED" in harbour.told(number=number)
        assert harbour.term(number=number) == 2
    assert stepping_down(harbour.state, "a") is harbour.state


def test_late_reports_change_nothing(harbour: Harbour) -> None:
    harbour.join("a")
    harbour.create("herring")
    now_ms = harbour.now_ms
    assert started(harbour.state, [("herring-uuid", 0, "1.99")], now_ms) is harbour.state
    assert started(harbour.state, [("herring-uuid", 0, harbour.primary().allocation_id)], now_ms) is harbour.state
    assert started(harbour.state, [("cod-uuid", 0, "1.1"), ("herring-uuid", 7, "1.1")], now_ms) is harbour.state
    assert failed(harbour.state, "herring-uuid", 0, "1.99", "late", now_ms) is harbour.state


def fail(harbour: Harbour, copy: ShardCopy) -> None:
    harbour.apply(lambda state: failed(state, "herring-uuid", 0, copy.allocation_id, "torn page", harbour.now_ms))


def test_a_copy_that_failed_is_tried_again_five_times(harbour: Harbour) -> None:
    harbour.join("a")
    harbour.create("herring", start=False)
    for _ in range(4):
        fail(harbour, harbour.primary())
        assert harbour.told() == ["a P INITIALIZING"]
    fail(harbour, harbour.primary())
    assert harbour.told() == ["- P ALLOCATION_FAILED"]
    info = harbour.shard().unassigned[0]
    assert (info.failed_allocations, info.details) == (5, "torn page")


def test_failures_are_forgotten_when_the_copy_started(harbour: Harbour) -> None:
    harbour.join("a")
    harbour.create("herring", start=False)
    for _ in range(3):
        fail(harbour, harbour.primary())
    harbour.start()
    fail(harbour, harbour.primary())
    info = harbour.primary().unassigned_info
    assert info is not None
    assert info.failed_allocations == 1


def test_a_failed_primary_is_replaced_and_its_copy_is_not_trusted(harbour: Harbour) -> None:
    harbour.join("a", "b")
    harbour.create("herring", replicas=1)
    bad = harbour.primary()
    fail(harbour, bad)
    assert harbour.primary().node != bad.node
    assert harbour.shard().in_sync == (harbour.primary().node,)
    assert harbour.term() == 2


def test_the_last_copy_stays_known_when_it_fails(harbour: Harbour) -> None:
    harbour.join("a", "b")
    harbour.create("herring")
    bad = harbour.primary()
    for _ in range(5):
        fail(harbour, harbour.primary())
    assert harbour.told() == ["- P ALLOCATION_FAILED"]
    assert harbour.shard().in_sync == (bad.node,)


def test_a_closed_index_keeps_its_copies_when_its_node_starts_again(harbour: Harbour) -> None:
    harbour.join("a")
    harbour.create("herring")
    harbour.change("herring", state="close")
    harbour.join("a")
    assert harbour.told() == ["a P STARTED"]


def test_an_index_opens_its_primary_first(harbour: Harbour) -> None:
    harbour.join("a", "b")
    harbour.create("herring", replicas=1)
    harbour.change("herring", state="close")
    before = harbour.primary().node
    harbour.change("herring", state="open")
    assert harbour.told() == [f"{before} P INITIALIZING", "- R INDEX_REOPENED"]
    again = reopened(harbour.state, "herring", harbour.now_ms)
    assert again is harbour.state
    harbour.start()
    assert sorted(line[1:] for line in harbour.told()) == [" P STARTED", " R STARTED"]


def test_a_closed_index_gets_its_copies_back_but_no_new_ones(harbour: Harbour) -> None:
    harbour.join("a", "b", "c")
    harbour.create("herring", replicas=1, unassigned__node_left__delayed_timeout="0s")
    harbour.change("herring", state="close")
    replica = next(copy.node for copy in harbour.shard().copies if not copy.is_primary)
    harbour.leave(replica)
    assert harbour.told()[1:] == ["- R NODE_LEFT"]
    harbour.join(replica)
    assert f"{replica} R STARTED" in harbour.told()
