"""Joining, leaving, being missed: three real nodes, TLS between them, one store of the cluster state."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from tests.nats_servers import NatsServer
from tests.node_group import Group, Member, eventually, node_group, refused, routing, until

from hanse import clock
from hanse.cluster import allocation
from hanse.cluster.membership import Membership
from hanse.cluster.requests import (
    ADD_VOTING_EXCLUSIONS,
    CLEAR_VOTING_EXCLUSIONS,
    AddVotingExclusions,
    ClearVotingExclusions,
)
from hanse.cluster.state import ClusterState, NodeMetadata
from hanse.cluster.updates import ClusterService
from hanse.errors import ConnectTransportError, IllegalArgumentError
from hanse.settings.registry import Settings


@pytest.fixture
async def group(tmp_path: Path, nats_server: NatsServer) -> AsyncIterator[Group]:
    async with node_group(tmp_path, nats_server, cluster__fault_detection__follower_check__interval="100ms") as made:
        yield made


def masters(group: Group) -> set[str | None]:
    return {member.state.master_node for member in group.up}


def deaf_to(member: Member, other: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    """The member cannot reach the other one any more; everybody else can."""
    nodes = member.node.nodes
    dial = nodes._dial

    async def no_way(node: NodeMetadata) -> object:
        if node.id == other.id:
            raise ConnectTransportError(f"[{node.name}] no route to host")
        return await dial(node)

    monkeypatch.setattr(nodes, "_dial", no_way)
    peer = nodes._peers.pop(other.id, None)
    if peer is not None:
        nodes._tasks.spawn("hang up", peer.close())


async def test_the_first_is_the_master_and_all_know_all(group: Group) -> None:
    assert masters(group) == {group[0].id}
    assert [member.node.membership.is_master for member in group.members] == [True, False, False]
    assert {node.name for node in group[2].state.nodes.values()} == {"node-0", "node-1", "node-2"}


async def test_an_update_ends_when_all_have_it(group: Group) -> None:
    state = await group[1].node.cluster.update("mark", lambda now: now.with_custom("mark", {"at": 1}))
    assert [member.state.version >= state.version for member in group.members] == [True] * 3


async def test_who_was_taken_out_while_it_was_alive_joins_again_and_serves_again(group: Group) -> None:
    await group[0].create("books", replicas=2)
    await group[0].write("books", "1", "2")
    out = group[2]
    earlier = out.copy("books")
    await group[0].node.cluster.update(
        "taken out", lambda state: allocation.without_member(state, out.id, "a test", clock.now_ms())
    )
    await group.agree()
    await group.all_serve("books", 3)
    again = out.copy("books")
    assert earlier is not None
    assert again is not None
    assert again.allocation_id != earlier.allocation_id, "it is a new assignment of the same data"
    assert out.shard("books").get("2") is not None


async def test_a_member_that_died_is_taken_out_and_its_primaries_are_replaced(group: Group) -> None:
    await group[0].create("books", replicas=2)
    await group[0].node.cluster.update("to 1", lambda state: _led_by(state, "books", group[1].id))
    await until(lambda: group.primary("books") is group[1])
    await eventually(lambda: group[0].write("books", "1"))
    term = group[0].state.indices["books"].primary_terms[0]
    await group[1].vanish()
    await group.agree()
    assert masters(group) == {group[0].id}
    assert group.primary("books") in (group[0], group[2])
    assert group[0].state.indices["books"].primary_terms[0] == term + 1
    await eventually(lambda: group[0].write("books", "2"))
    assert group.primary("books").shard("books").get("1") is not None


def _led_by(state: ClusterState, index: str, node_id: str) -> ClusterState:
    """Primaries go over to the node, by having the others step down."""
    while (primary := routing(state, index).active_primary) is not None and primary.node != node_id:
        others = [copy.node for copy in routing(state, index).active() if copy.node not in (node_id, primary.node)]
        for other in others:
            state = allocation.without_member(state, other, "a test", clock.now_ms())
        state = allocation.stepping_down(state, primary.node, clock.now_ms())
    return state


async def test_a_master_that_died_is_followed_by_one_who_noticed(group: Group) -> None:
    await group[0].create("books", replicas=2)
    await group[0].vanish()
    await group.agree()
    assert masters(group) <= {group[1].id, group[2].id}
    assert len(masters(group)) == 1
    await eventually(lambda: group[1].write("books", "1"))
    await group[0].start()
    await group.agree()
    await group.all_serve("books", 3)
    assert group[0].state.master_node != group[0].id, "who comes back is a member like any other"


async def test_a_master_that_one_cannot_hear_stays_while_another_hears_it(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, _ = group.members
    asked: list[bool] = []
    whether = b.node.membership._is_heard_by_others

    async def counted(node_id: str) -> bool:
        asked.append(await whether(node_id))
        return asked[-1]

    monkeypatch.setattr(b.node.membership, "_is_heard_by_others", counted)
    deaf_to(b, a, monkeypatch)
    await until(lambda: len(asked) >= 3)
    assert all(asked)
    assert masters(group) == {a.id}
    assert a.id in b.state.nodes
    await a.vanish()
    await until(lambda: not masters(group) & {a.id, None})


async def test_a_stop_hands_primaries_over_before_the_node_is_gone(group: Group) -> None:
    await group[0].create("books", shards=3, replicas=1)
    for number in range(3):
        await group.all_serve("books", 2, number)
    watching = group[1] if group.primary("books") is not group[1] else group[2]
    leaving = group.primary("books")
    led: list[bool] = []
    watching.node.cluster.subscribe(
        lambda old, new: led.append(all(shard.active_primary for shard in new.routing["books"]))
    )
    await leaving.stop()
    await group.agree()
    assert led
    assert all(led), "at no moment a shard had no primary"
    assert masters(group) <= {member.id for member in group.up}
    await eventually(lambda: watching.write("books", *(str(at) for at in range(20))))


async def test_a_replica_comes_about_elsewhere_when_its_node_stays_away(group: Group) -> None:
    await group[0].create("books", replicas=1, index__unassigned__node_left__delayed_timeout="1s")
    await group[0].write("books", "1")
    (replica,) = group.replicas("books")
    (spare,) = (member for member in group.members if member.copy("books") is None)
    await replica.vanish()
    await group.agree()
    await until(lambda: spare.serves("books"))
    await group.all_serve("books", 2)
    assert spare.shard("books").get("1") is not None


async def test_a_stranger_that_wrote_itself_in_is_taken_out(group: Group) -> None:
    stranger = group.made(authority=group.strange)
    await stranger.start()
    version = stranger.state.version
    await until(lambda: group[0].state.version > version and stranger.id not in group[0].state.nodes)
    assert masters(group) == {group[0].id}


def of(node_id: str, address: str, **fields: object) -> NodeMetadata:
    return msgspec.structs.replace(NodeMetadata(node_id, node_id, address, ""), **fields)


def membership_of(own: NodeMetadata) -> Membership:
    service = ClusterService(None, ClusterState("c", "u"))  # type: ignore[arg-type]
    return Membership(service, None, lambda: own, Settings())  # type: ignore[arg-type]


def test_a_node_takes_the_place_of_one_that_had_its_address() -> None:
    state = ClusterState("c", "u", nodes={"old": of("old", "h:1"), "b": of("b", "h:2")}, master_node="old")
    joined = membership_of(of("new", "h:1"))._with_own(state)
    assert set(joined.nodes) == {"new", "b"}
    assert joined.master_node == "b"


def test_only_who_may_be_master_becomes_it() -> None:
    data, able = of("data", "h:2", roles=("data",)), of("able", "h:3")
    state = ClusterState("c", "u", nodes={n.id: n for n in (of("m", "h:1"), data, able)}, master_node="m")
    assert membership_of(data)._without(state, "m", "died", is_dead=True).master_node == "able"
    assert membership_of(able)._without(state, "m", "died", is_dead=True).master_node == "able"
    assert membership_of(able)._without(state, "data", "died", is_dead=True) is state, "that is the master's business"
    out = membership_of(of("gone", "h:9"))
    assert out._without(state, "m", "died", is_dead=True) is state, "who is no member itself takes nobody out"


async def test_where_nats_servers_are_external_no_node_is_taken_out_of_the_vote(group: Group) -> None:
    named = AddVotingExclusions(names=("node-1",))
    error = await refused(group[0].run(ADD_VOTING_EXCLUSIONS, named), IllegalArgumentError)
    assert "[hanse.nats.mode] is [external]" in error.reason
    await group[0].run(CLEAR_VOTING_EXCLUSIONS, ClearVotingExclusions())
