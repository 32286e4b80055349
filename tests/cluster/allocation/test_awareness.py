"""Copies of a shard are spread over the values of the awareness attributes."""

from __future__ import annotations

import pytest
from tests.cluster.allocation.conftest import Harbour
from tests.cluster.allocation.test_deciders import decided

from hanse.cluster.allocation.awareness import Attribute, attributes_of
from hanse.cluster.allocation.events import failed
from hanse.settings.registry import Settings

AWARENESS = "cluster.routing.allocation.awareness"


@pytest.fixture
def zones(harbour: Harbour) -> Harbour:
    """Two nodes in each of two zones."""
    harbour.cluster_setting(f"{AWARENESS}.attributes", "zone")
    harbour.join("a", "b", zone="east")
    harbour.join("c", "d", zone="west")
    return harbour


def zones_of(harbour: Harbour, number: int = 0) -> list[str]:
    """Of the copies that will stay, in order."""
    nodes = harbour.state.nodes
    copies = [copy for copy in harbour.shard(number=number).copies if copy.state != "RELOCATING"]
    return sorted(nodes[copy.node].attributes.get("zone", "-") for copy in copies)


def later(harbour: Harbour, seconds: int = 61) -> None:
    harbour.now_ms += seconds * 1000
    harbour.commit(harbour.state)
    harbour.start()


def test_values_are_those_of_data_nodes_and_those_that_are_forced(zones: Harbour) -> None:
    zones.join("m", roles=("master",), zone="north")
    settings = Settings({f"{AWARENESS}.attributes": "zone", f"{AWARENESS}.force.zone.values": ["west", "south"]})
    (attribute,) = attributes_of(settings, zones.state.nodes.values())
    assert attribute == Attribute("zone", ("east", "west"), ("south", "west"))
    assert (attribute.values, attribute.most(3), attribute.most(4)) == (3, 1, 2)


@pytest.mark.parametrize(
    ("replicas", "found"),
    [(1, ["east", "west"]), (2, ["east", "east", "west"]), (3, ["east", "east", "west", "west"])],
)
def test_each_zone_has_its_share(zones: Harbour, replicas: int, found: list[str]) -> None:
    zones.create("herring", shards=4, replicas=replicas)
    for number in range(4):
        assert zones_of(zones, number) in (found, [{"east": "west", "west": "east"}[zone] for zone in found][::-1])


def test_a_node_without_the_attribute_holds_nothing(zones: Harbour) -> None:
    zones.join("e")
    zones.create("herring", shards=5, replicas=1)
    assert zones.state.nodes["e"].id not in {c.node for shard in zones.state.routing["herring"] for c in shard.copies}
    assert decided(zones, "awareness", "e").explanation == (
        "node does not contain the awareness attribute [zone]; required attributes cluster setting "
        "[cluster.routing.allocation.awareness.attributes=zone]"
    )


def test_the_share_of_a_zone_that_is_gone_is_made_in_the_other(zones: Harbour) -> None:
    zones.create("herring", replicas=1)
    zones.leave("c")
    zones.leave("d")
    later(zones)
    assert zones_of(zones) == ["east", "east"]


def test_the_share_of_a_forced_zone_is_not(zones: Harbour) -> None:
    zones.cluster_setting(f"{AWARENESS}.force.zone.values", "east,west")
    zones.create("herring", replicas=1)
    zones.leave("c")
    zones.leave("d")
    later(zones)
    assert zones_of(zones) == ["east"]
    other = {"a": "b", "b": "a"}[zones.primary().node]
    assert decided(zones, "awareness", other).explanation == (
        "there are [2] copies of this shard and [2] values for attribute [zone] ([east] from nodes in the cluster and "
        "[east, west] from forced awareness) so there may be at most [1] copies of this shard allocated to nodes with "
        "each value, but (including this copy) there would be [2] copies allocated to nodes with [node.attr.zone: east]"
    )
    zones.join("c", zone="west")
    zones.start()
    assert zones_of(zones) == ["east", "west"]


def test_when_the_zone_is_back_a_replica_moves_there(zones: Harbour) -> None:
    zones.create("herring", replicas=1)
    zones.leave("c")
    zones.leave("d")
    later(zones)
    primary = zones.primary()
    zones.join("c", zone="west")
    assert zones_of(zones) == ["east", "west"]
    assert zones.primary() == primary, "the replica is on its way"
    zones.start()
    assert zones_of(zones) == ["east", "west"]


def test_copies_move_when_it_is_switched_on(harbour: Harbour) -> None:
    harbour.join("a", "b", "c", zone="east")
    harbour.create("herring", replicas=2)
    harbour.join("d", zone="west")
    harbour.start()
    assert zones_of(harbour) == ["east"] * 3
    harbour.cluster_setting(f"{AWARENESS}.attributes", "zone")
    harbour.start()
    assert zones_of(harbour) == ["east", "east", "west"]
    assert decided(harbour, "awareness", "d").decision == "YES"


def test_balance_does_not_bring_copies_together(zones: Harbour) -> None:
    """The west has more nodes and less on each: nothing may go there that has its other copy there."""
    zones.create("herring", shards=6, replicas=1)
    zones.join("e", "f", "g", zone="west")
    zones.start()
    for number in range(6):
        assert zones_of(zones, number) == ["east", "west"]


def test_all_attributes_count_each_for_itself(harbour: Harbour) -> None:
    harbour.cluster_setting(f"{AWARENESS}.attributes", "zone,rack")
    harbour.join("a", zone="east", rack="1")
    harbour.join("b", zone="east", rack="2")
    harbour.join("c", zone="west", rack="1")
    harbour.join("d", zone="west", rack="2")
    harbour.create("herring", shards=4, replicas=1)
    for shard in harbour.state.routing["herring"]:
        assert {copy.node for copy in shard.copies} in ({"a", "d"}, {"b", "c"})


def test_who_is_to_be_on_every_node_is_not_spread(zones: Harbour) -> None:
    zones.join("e", zone="east")
    zones.create("herring", auto_expand_replicas="0-all")
    assert zones_of(zones) == ["east"] * 3 + ["west"] * 2
    assert decided(zones, "awareness", "a").explanation == (
        "allocation awareness is ignored, this index is set to auto-expand to all nodes"
    )


def test_fewer_replicas_stay_spread(zones: Harbour) -> None:
    zones.create("herring", replicas=3)
    zones.change("herring", number_of_replicas=1)
    assert zones_of(zones) == ["east", "west"]
    assert all(copy.state == "STARTED" for copy in zones.shard().copies)


def test_a_primary_is_opened_where_its_data_are(zones: Harbour) -> None:
    """Also where it may not stay: it moves when it serves."""
    zones.create("herring")
    zones.leave(zones.primary().node)
    assert zones.told() == ["- P NODE_LEFT"]
    last = zones.shard().in_sync[0]
    zones.join(last)
    assert zones.primary().node == last
    zones.start()
    assert zones.primary().node != last


def test_copies_that_failed_go_on_obeying(zones: Harbour) -> None:
    zones.create("herring", replicas=1)
    replica = next(copy for copy in zones.shard().copies if not copy.is_primary)
    uuid = zones.state.indices["herring"].uuid
    zones.apply(lambda state: failed(state, uuid, 0, replica.allocation_id, "torn page", zones.now_ms))
    zones.start()
    assert zones_of(zones) == ["east", "west"]


def test_without_it_nothing_is_asked(harbour: Harbour) -> None:
    harbour.join("a")
    harbour.create("herring")
    assert decided(harbour, "awareness", "a").explanation == (
        "allocation awareness is not enabled, set cluster setting "
        "[cluster.routing.allocation.awareness.attributes] to enable it"
    )
