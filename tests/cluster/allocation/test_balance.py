from __future__ import annotations

from collections import Counter

from tests.cluster.allocation.conftest import Harbour

from hanse.cluster.allocation.events import failed, started


def counts(harbour: Harbour) -> Counter[str]:
    return Counter(c.node for shards in harbour.state.routing.values() for s in shards for c in s.copies)


def test_copies_and_primaries_are_spread(harbour: Harbour) -> None:
    harbour.join("a", "b", "c")
    harbour.create("herring", shards=3, replicas=1)
    assert counts(harbour) == {"a": 2, "b": 2, "c": 2}
    assert Counter(harbour.primary(number=n).node for n in range(3)) == {"a": 1, "b": 1, "c": 1}


def test_a_node_that_joins_gets_its_share_two_moves_at_a_time(harbour: Harbour) -> None:
    harbour.join("a", "b")
    harbour.create("herring", shards=6)
    harbour.join("c")
    moving = [c for shard in harbour.state.routing["herring"] for c in shard.copies if c.state == "RELOCATING"]
    assert len(moving) == 2
    harbour.start()
    assert counts(harbour) == {"a": 2, "b": 2, "c": 2}


def test_a_primary_that_moved_begins_a_new_term_where_it_went(harbour: Harbour) -> None:
    harbour.join("a")
    harbour.create("herring", shards=2)
    harbour.join("b")
    number = next(n for n in range(2) if len(harbour.shard(number=n).copies) == 2)
    assert harbour.told(number=number) == ["a P RELOCATING b", "b R INITIALIZING a"]
    harbour.start()
    assert harbour.told(number=number) == ["b P STARTED"]
    assert harbour.shard(number=number).in_sync == ("b",)
    assert harbour.term(number=number) == 2


def test_a_move_whose_target_fails_is_given_up_after_five_times(harbour: Harbour) -> None:
    harbour.join("a")
    harbour.create("herring", shards=2)
    harbour.cluster_setting("cluster.routing.allocation.cluster_concurrent_rebalance", "1")
    harbour.join("b")
    attempts = 0
    while targets := [
        (number, copy)
        for number, shard in enumerate(harbour.state.routing["herring"])
        for copy in shard.copies
        if copy.is_target
    ]:
        number, copy = targets[0]
        attempts += 1
        harbour.commit(failed(harbour.state, "herring-uuid", number, copy.allocation_id, "no room", harbour.now_ms))
    assert attempts == 10
    assert counts(harbour) == {"a": 2}


def test_nothing_moves_for_balance_while_a_copy_fills_up(harbour: Harbour) -> None:
    harbour.join("a")
    harbour.create("herring", shards=4)
    harbour.create("cod", start=False)
    harbour.join("b")
    assert not [c for s in harbour.state.routing["herring"] for c in s.copies if c.state == "RELOCATING"]
    cod = harbour.primary("cod")
    harbour.commit(started(harbour.state, [("cod-uuid", 0, cod.allocation_id)], harbour.now_ms))
    assert [c for s in harbour.state.routing["herring"] for c in s.copies if c.state == "RELOCATING"]


def test_rebalancing_can_be_turned_off(harbour: Harbour) -> None:
    harbour.join("a")
    harbour.cluster_setting("cluster.routing.rebalance.enable", "none")
    harbour.create("herring", shards=4)
    harbour.create("cod", shards=4, routing__rebalance__enable="all")
    harbour.join("b")
    harbour.start()
    assert {harbour.primary(number=n).node for n in range(4)} == {"a"}
    assert "b" in {harbour.primary("cod", n).node for n in range(4)}


def test_copies_leave_a_node_that_is_forbidden(harbour: Harbour) -> None:
    harbour.join("a", "b", "c")
    harbour.create("herring", shards=3, replicas=1)
    harbour.cluster_setting("cluster.routing.allocation.exclude._name", "a")
    harbour.start()
    assert counts(harbour) == {"b": 3, "c": 3}


def test_a_forbidden_copy_stays_where_no_other_node_takes_it(harbour: Harbour) -> None:
    harbour.join("a")
    harbour.create("herring")
    harbour.cluster_setting("cluster.routing.allocation.exclude._name", "a")
    assert harbour.told() == ["a P STARTED"]
