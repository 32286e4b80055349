from __future__ import annotations

from tests.cluster.allocation.conftest import Harbour

from hanse.cluster.allocation.events import failed, stepping_down


def test_a_move_ends_when_its_target_leaves(harbour: Harbour) -> None:
    harbour.join("a")
    harbour.create("herring", shards=2)
    harbour.join("b")
    number = next(n for n in range(2) if len(harbour.shard(number=n).copies) == 2)
    harbour.leave("b")
    assert harbour.told(number=number) == ["a P STARTED"]
    assert harbour.term(number=number) == 1


def test_a_target_without_its_source_is_a_replica_like_others(harbour: Harbour) -> None:
    harbour.join("a", "b")
    harbour.create("herring", replicas=1)
    source = next(copy.node for copy in harbour.shard().copies if not copy.is_primary)
    harbour.join("c")
    harbour.cluster_setting("cluster.routing.allocation.exclude._name", source)
    assert f"c R INITIALIZING {source}" in harbour.told()
    harbour.leave(source)
    assert sorted(harbour.told()) == sorted([f"{harbour.primary().node} P STARTED", "c R INITIALIZING"])


def test_a_half_filled_target_never_becomes_the_primary(harbour: Harbour) -> None:
    harbour.join("a")
    harbour.create("herring")
    harbour.join("b")
    harbour.cluster_setting("cluster.routing.allocation.exclude._name", "a")
    assert harbour.told() == ["a P RELOCATING b", "b R INITIALIZING a"]
    harbour.leave("a")
    assert harbour.told() == ["- P NODE_LEFT"]
    assert harbour.shard().in_sync == ("a",)


def test_replicas_that_fill_up_wait_when_the_primary_is_lost(harbour: Harbour) -> None:
    harbour.join("a")
    harbour.create("herring", replicas=1)
    harbour.join("b")
    assert harbour.told() == ["a P STARTED", "b R INITIALIZING"]
    copy = harbour.primary()
    harbour.commit(failed(harbour.state, "herring-uuid", 0, copy.allocation_id, "torn page", harbour.now_ms))
    assert harbour.told() == ["a P INITIALIZING", "- R PRIMARY_FAILED"]


def test_a_moving_primary_that_steps_down_stays_and_drops_its_target(harbour: Harbour) -> None:
    harbour.join("a", "b")
    harbour.create("herring", replicas=1)
    source = harbour.primary().node
    harbour.join("c")
    harbour.cluster_setting("cluster.routing.allocation.exclude._name", source)
    assert f"{source} P RELOCATING c" in harbour.told()
    harbour.apply(lambda state: stepping_down(state, source))
    other = {"a": "b", "b": "a"}[source]
    assert harbour.primary().node == other
    assert harbour.term() == 2


def test_an_in_sync_node_that_returns_revives_a_shard_that_lost_everybody_else(harbour: Harbour) -> None:
    harbour.join("a", "b")
    harbour.create("herring", replicas=1)
    first = harbour.primary().node
    other = {"a": "b", "b": "a"}[first]
    harbour.leave(other)
    harbour.join("c")
    harbour.leave(first)
    assert [line[:4] for line in harbour.told()] == ["- P ", "- R "]
    harbour.join(other)
    assert harbour.told()[0] == f"{other} P INITIALIZING", "the log brings it up to date"
