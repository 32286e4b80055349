from __future__ import annotations

from tests.cluster.allocation.conftest import Harbour, replaced

from hanse.cluster.allocation.reroute import next_wakeup_ms, reroute
from hanse.cluster.state import ClusterState, IndexMetadata


def test_nothing_to_do_gives_the_very_same_state(harbour: Harbour) -> None:
    harbour.join("a")
    harbour.create("herring", replicas=1)
    state = harbour.state
    assert reroute(state, state, harbour.now_ms) is state
    mapped = state.with_index(replaced(state.index("herring"), mappings={"properties": {}}, mapping_version=2))
    assert reroute(state, mapped, harbour.now_ms) is mapped
    with_user = replaced(state, users={"hans": {}})
    assert reroute(state, with_user, harbour.now_ms) is with_user


def test_a_deleted_index_has_no_routing_and_its_namesake_begins_empty(harbour: Harbour) -> None:
    harbour.join("a")
    harbour.create("herring")
    harbour.commit(harbour.state.without_index("herring"))
    assert harbour.state.routing == {}
    harbour.create("herring")
    harbour.change("herring", uuid="another")
    assert harbour.told() == ["a P INITIALIZING"]
    assert harbour.shard().in_sync == ()


def test_indices_of_an_older_version_have_their_data_on_the_only_node(harbour: Harbour) -> None:
    index = IndexMetadata("herring", "herring-uuid", {}, number_of_replicas=0)
    closed = replaced(index, name="cod", uuid="cod-uuid", state="close")
    harbour.state = ClusterState("harbour", "uuid", version=7, indices={"herring": index, "cod": closed})
    harbour.join("a")
    assert harbour.told() == ["a P INITIALIZING"]
    assert harbour.shard().in_sync == ("a",)
    assert harbour.told("cod") == ["a P STARTED"]
    harbour.join("b")
    assert harbour.shard().in_sync == ("a",)


def test_without_data_nodes_the_primary_waits(harbour: Harbour) -> None:
    harbour.join("lookout", roles=("master",))
    harbour.create("herring")
    assert harbour.told() == ["- P INDEX_CREATED"]
    harbour.join("a", roles=("data_hot",))
    assert harbour.told() == ["a P INITIALIZING"]
    assert harbour.term() == 1


def test_replicas_fill_up_once_the_primary_is_there(harbour: Harbour) -> None:
    harbour.join("a", "b", "c")
    harbour.create("herring", replicas=2, start=False)
    assert [line[1:] for line in harbour.told()] == [" P INITIALIZING", " R INDEX_CREATED", " R INDEX_CREATED"]
    harbour.start()
    assert sorted(line[1:] for line in harbour.told()) == [" P STARTED", " R STARTED", " R STARTED"]
    assert sorted(harbour.shard().in_sync) == ["a", "b", "c"]


def test_a_lost_replica_is_made_anew_when_its_delay_is_over(harbour: Harbour) -> None:
    harbour.join("a", "b", "c")
    harbour.create("herring", replicas=1)
    lost = next(copy.node for copy in harbour.shard().copies if not copy.is_primary)
    harbour.leave(lost)
    wakeup_ms = harbour.now_ms + 60_000
    assert next_wakeup_ms(harbour.state) == wakeup_ms
    assert reroute(harbour.state, harbour.state, wakeup_ms - 1) is harbour.state
    harbour.now_ms = wakeup_ms
    harbour.commit(harbour.state)
    assert next_wakeup_ms(harbour.state) is None
    assert sum(not copy.is_active for copy in harbour.shard().copies) == 1
    harbour.start()
    assert lost not in harbour.shard().in_sync, "replaced: what it holds is of no use any more"


def test_a_delay_that_ends_without_a_node_wakes_nobody_again(harbour: Harbour) -> None:
    harbour.join("a", "b")
    harbour.create("herring", replicas=1)
    harbour.leave("b")
    harbour.now_ms += 60_000
    harbour.commit(harbour.state)
    assert next_wakeup_ms(harbour.state) is None


def test_a_replica_returns_to_the_node_that_held_it_without_delay(harbour: Harbour) -> None:
    harbour.join("a", "b", "c")
    harbour.create("herring", replicas=1)
    lost = next(copy.node for copy in harbour.shard().copies if not copy.is_primary)
    harbour.leave(lost)
    harbour.join(lost)
    assert f"{lost} R INITIALIZING" in harbour.told()


def test_replicas_follow_the_setting(harbour: Harbour) -> None:
    harbour.join("a", "b", "c")
    harbour.create("herring")
    harbour.change("herring", number_of_replicas=2)
    harbour.start()
    assert len(harbour.shard().copies) == 3
    harbour.change("herring", number_of_replicas=0)
    assert harbour.told() == [f"{harbour.primary().node} P STARTED"]
    assert harbour.shard().in_sync == (harbour.primary().node,)


def test_replicas_expand_with_the_nodes(harbour: Harbour) -> None:
    harbour.join("a")
    harbour.create("herring", replicas=1, auto_expand_replicas="0-2")
    assert harbour.state.index("herring").number_of_replicas == 0
    for node, replicas in (("b", 1), ("c", 2), ("d", 2)):
        harbour.join(node)
        index = harbour.state.index("herring")
        assert (index.number_of_replicas, index.settings["index.number_of_replicas"]) == (replicas, str(replicas))
    harbour.start()
    assert len([*harbour.shard().active()]) == 3


def test_allocation_ids_are_never_used_twice_in_a_version(harbour: Harbour) -> None:
    harbour.join("a", "b", "c")
    harbour.create("herring", shards=5, replicas=1)
    ids = [copy.allocation_id for shard in harbour.state.routing["herring"] for copy in shard.copies]
    assert len(set(ids)) == 10
