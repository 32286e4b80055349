from __future__ import annotations

import pytest
from tests.cluster.allocation.conftest import Harbour

from hanse.cluster.allocation.deciders import Decision, Question, decisions
from hanse.cluster.allocation.draft import Draft, Shard
from hanse.cluster.routing import Unassigned


def decided(harbour: Harbour, decider: str, node: str, info: Unassigned | None = None) -> Decision:
    state = harbour.state
    at = Shard("herring", 0)
    is_primary = info is not None and info.is_primary
    asked = Question(at, state.indices["herring"], harbour.shard(), state.nodes[node], is_primary, info=info)
    return next(found for found in decisions(Draft(state, harbour.now_ms), asked) if found.decider == decider)


def test_a_node_has_one_copy(harbour: Harbour) -> None:
    harbour.join("a", "b")
    harbour.create("herring")
    here, other = harbour.primary().node, {"a": "b", "b": "a"}[harbour.primary().node]
    found = decided(harbour, "same_shard", here)
    assert found.decision == "NO"
    assert found.explanation.startswith(
        f"a copy of this shard is already allocated to this node [[herring][0], node[{here}]"
    )
    assert decided(harbour, "same_shard", other).decision == "YES"


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("include._name", "a*,b", ["anchor", "b"]),
        ("include.zone", "east", ["anchor"]),
        ("exclude._id", "b", ["anchor", "c"]),
        ("require.zone", "west", ["b", "c"]),
        ("exclude._ip", "10.0.0.1", ["b", "c"]),
        ("include._host", "10.0.0.2", ["b"]),
        ("require.nothing", "x", []),
        ("include._tier_preference", "data_content", ["anchor", "b", "c"]),
    ],
)
@pytest.mark.parametrize("level", ["index", "cluster"])
def test_filters(harbour: Harbour, level: str, key: str, value: str, allowed: list[str]) -> None:
    harbour.join("anchor", zone="east")
    harbour.join("b", "c", zone="west")
    name = f"routing.allocation.{key}"
    if level == "cluster":
        harbour.cluster_setting(f"cluster.{name}", value)
        harbour.create("herring")
    else:
        harbour.create("herring", **{name.replace(".", "__"): value})
    passing = [node for node in ("anchor", "b", "c") if decided(harbour, "filter", node).decision == "YES"]
    assert passing == allowed
    assert harbour.told()[0].split()[0] in (allowed or ["-"])


def test_a_filter_says_what_it_is(harbour: Harbour) -> None:
    harbour.join("a", zone="east")
    harbour.create("herring", routing__allocation__require__zone="west")
    assert decided(harbour, "filter", "a").explanation == (
        'node does not match index setting [index.routing.allocation.require] filters [zone:"west"]'
    )


@pytest.mark.parametrize(
    ("value", "new", "old", "replica"),
    [
        ("all", "YES", "YES", "YES"),
        ("primaries", "YES", "YES", "NO"),
        ("new_primaries", "YES", "YES", "NO"),
        ("none", "NO", "YES", "NO"),
    ],
)
def test_what_is_enabled(harbour: Harbour, value: str, new: str, old: str, replica: str) -> None:
    """A primary is always opened again where its data are."""
    harbour.join("a")
    harbour.cluster_setting("cluster.routing.allocation.enable", value)
    harbour.create("herring", start=False)
    primary = Unassigned("INDEX_CREATED", 0, is_primary=True)
    assert decided(harbour, "enable", "a", primary).decision == new
    harbour.cluster_setting("cluster.routing.allocation.enable", "all")
    harbour.start()
    harbour.cluster_setting("cluster.routing.allocation.enable", value)
    assert decided(harbour, "enable", "a", primary).decision == old
    assert decided(harbour, "enable", "a").decision == replica
    harbour.join("a")
    assert harbour.told() == ["a P INITIALIZING"]


def test_the_index_setting_goes_before_that_of_the_cluster(harbour: Harbour) -> None:
    harbour.join("a")
    harbour.cluster_setting("cluster.routing.allocation.enable", "all")
    harbour.create("herring", routing__allocation__enable="none")
    assert harbour.told() == ["- P INDEX_CREATED"]
    assert decided(harbour, "enable", "a").explanation == (
        "no allocations are allowed due to index setting [index.routing.allocation.enable=none]"
    )


def test_too_many_failures(harbour: Harbour) -> None:
    harbour.join("a")
    harbour.create("herring", allocation__max_retries="2")
    info = Unassigned("ALLOCATION_FAILED", 0, failed_allocations=2, details="torn page")
    found = decided(harbour, "max_retry", "a", info)
    assert found.decision == "NO"
    assert "[POST /_cluster/reroute?retry_failed] to retry" in found.explanation
    assert "details[torn page]" in found.explanation


@pytest.mark.parametrize("level", ["index", "cluster"])
def test_a_bound_of_copies_on_a_node(harbour: Harbour, level: str) -> None:
    harbour.join("a", "b")
    name = "routing.allocation.total_shards_per_node"
    own = {name.replace(".", "__"): "2"} if level == "index" else {}
    if level == "cluster":
        harbour.cluster_setting(f"cluster.{name}", "2")
    harbour.create("herring", shards=5, **own)
    told = [harbour.told(number=number)[0][0] for number in range(5)]
    assert sorted(told) == ["-", "a", "a", "b", "b"]
    assert decided(harbour, "shards_limit", "a").decision == "NO"


def test_a_follower_needs_a_node_that_calls_remote_clusters(harbour: Harbour) -> None:
    harbour.join("a")
    harbour.create("herring", xpack__ccr__following_index="true")
    assert harbour.told() == ["- P INDEX_CREATED"]
    harbour.join("b", roles=("data", "remote_cluster_client"))
    assert harbour.told() == ["b P INITIALIZING"]


def test_two_replicas_at_a_time_fill_up_on_a_node(harbour: Harbour) -> None:
    harbour.join("a")
    harbour.create("herring", shards=5, replicas=1)
    harbour.join("b")
    filling = [c for shard in harbour.state.routing["herring"] for c in shard.copies if not c.is_active]
    assert len(filling) == 2
    assert decided(harbour, "throttling", "b").decision == "THROTTLE"
    harbour.start()
    assert all(len([*shard.active()]) == 2 for shard in harbour.state.routing["herring"])
