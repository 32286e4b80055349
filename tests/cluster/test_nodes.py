"""Calls between nodes of one cluster over real mutual TLS: who is reached, who is refused, what a lost call means."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.nats_servers import NatsServer
from tests.node_group import Group, Member, node_group, refused, until

from hanse.cluster import nodes as module
from hanse.cluster.membership import CHECK, About, Check, Heard
from hanse.cluster.nodes import Nodes
from hanse.cluster.state import ClusterState, NodeMetadata
from hanse.cluster.updates import ClusterService
from hanse.errors import (
    ConnectTransportError,
    NodeDisconnectedError,
    NodeNotConnectedError,
    ReceiveTimeoutError,
    RetryOnPrimaryError,
    SecurityError,
)
from hanse.transport.actions import Action, Call, Scope

ASK = Action("internal:test/ask", About, Heard, Scope.MEMBER)


@pytest.fixture
async def group(tmp_path: Path, nats_server: NatsServer) -> AsyncIterator[Group]:
    async with node_group(tmp_path, nats_server, 2) as made:
        yield made


def reading(group: Group, state: ClusterState) -> Nodes:
    """The connections of the first node, with a state of the test's own."""
    node = group[0].node
    cluster = ClusterService(node._engine.state_store, state)
    return Nodes(cluster, group[0].id, node._hello, node._transport_tls, node._own_authority.admits)


async def test_each_reaches_the_other_over_one_connection(group: Group) -> None:
    a, b = group.members
    nodes = reading(group, a.state)
    assert not nodes.is_connected(b.id)
    answers = await asyncio.gather(*(nodes.call(b.id, CHECK, Check("tester")) for _ in range(20)))
    assert {answer.version for answer in answers} == {b.state.version}
    assert len(nodes._peers) == 1
    assert nodes.is_connected(b.id)
    assert [node.id for node in nodes.others()] == [b.id]
    assert (nodes.own_id, nodes.name_of(b.id), nodes.name_of("x")) == (a.id, "node-1", "x")
    await nodes.close()
    assert not nodes.is_connected(b.id)


async def test_who_is_no_member_is_not_asked(group: Group) -> None:
    error = await refused(group[0].node.nodes.call("nobody", CHECK, Check("tester")), NodeNotConnectedError)
    assert error.reason == "[nobody] is no member of this cluster any more"


@pytest.mark.parametrize("strange", ["id", "cluster"])
async def test_another_node_at_the_address_is_not_taken_for_the_one_that_was_meant(group: Group, strange: str) -> None:
    a, b = group.members
    state = a.state
    if strange == "id":
        moved = msgspec.structs.replace(state.nodes[b.id], id="meant")
        state = msgspec.structs.replace(state, nodes={"meant": moved})
    else:
        state = msgspec.structs.replace(state, cluster_uuid="another")
    nodes = reading(group, state)
    error = await refused(nodes.call(next(iter(nodes.others())).id, CHECK, Check("tester")), ConnectTransportError)
    assert "handshake failed: another node answered, [node-1] of cluster [group-" in error.reason
    await nodes.close()


async def test_a_node_of_a_strange_authority_is_neither_asked_nor_answered(group: Group) -> None:
    a, _ = group.members
    stranger = group.made(authority=group.strange)
    await stranger.start()
    at_a = a.node.nodes
    await until(lambda: stranger.id in a.state.nodes)
    error = await refused(reading(group, a.state).call(stranger.id, CHECK, Check("tester")), ConnectTransportError)
    assert "its certificate is not from the authority of this cluster's own nodes" in error.reason
    assert not at_a.is_connected(stranger.id)
    # The one it dials does not see a member either, even if the stranger itself does not look at certificates.
    careless = Nodes(stranger.node.cluster, stranger.id, stranger.node._hello, stranger.node._transport_tls)
    await refused(careless.call(a.id, CHECK, Check("tester")), SecurityError)
    await careless.close()


async def test_a_node_that_refused_is_left_alone_for_a_moment(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = group.members
    nodes = reading(group, a.state)
    await b.vanish()
    monkeypatch.setattr(module, "PAUSE_S", 1000.0)
    first = await refused(nodes.call(b.id, CHECK, Check("tester")), ConnectTransportError)
    assert await refused(nodes.call(b.id, CHECK, Check("tester")), ConnectTransportError) is first
    await nodes.close()


async def test_a_node_that_started_again_is_dialled_anew(group: Group) -> None:
    a, b = group.members
    await a.node.nodes.call(b.id, CHECK, Check("tester"))
    before = a.node.nodes._peers[b.id]
    await b.stop()
    await until(lambda: not a.node.nodes.is_connected(b.id) and b.id not in a.state.nodes)
    await b.start()
    await until(lambda: b.id in a.state.nodes)
    await a.node.nodes.call(b.id, CHECK, Check("tester"))
    assert a.node.nodes._peers[b.id] is not before
    assert not before.is_open


async def test_errors_keep_their_class_on_the_way(group: Group) -> None:
    async def fail(call: Call, request: About) -> Heard:
        raise RetryOnPrimaryError("not here", index="books")

    a, b = group.members
    b.node.actions.register(ASK, fail)
    error = await refused(a.node.nodes.call(b.id, ASK, About("x")), RetryOnPrimaryError)
    assert (error.reason, error.metadata["index"]) == ("not here", "books")


def leaves_unanswered(member: Member) -> asyncio.Event:
    """Set when the member is asked what it never answers."""
    asked = asyncio.Event()

    async def wait(call: Call, request: About) -> Heard:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    member.node.actions.register(ASK, wait)
    return asked


async def test_a_lost_call_is_told_from_one_that_was_never_made(group: Group) -> None:
    a, b = group.members
    asked = leaves_unanswered(b)
    await refused(a.node.nodes.call(b.id, ASK, About("x"), timeout_s=0.01), ReceiveTimeoutError)
    assert a.node.nodes.is_connected(b.id), "a slow answer is no reason to hang up"
    asked.clear()
    lost: asyncio.Task[Any] = asyncio.ensure_future(a.node.nodes.call(b.id, ASK, About("x")))
    await asked.wait()
    await b.vanish()
    await refused(lost, NodeDisconnectedError)
    never = await refused(a.node.nodes.call(b.id, ASK, About("x")), ConnectTransportError)
    assert not isinstance(never, NodeDisconnectedError)


async def test_calls_to_a_node_that_left_fail_at_once(group: Group) -> None:
    a, b = group.members
    asked = leaves_unanswered(b)
    nodes = reading(group, a.state)
    waiting = asyncio.ensure_future(nodes.call(b.id, ASK, About("x")))
    await asked.wait()
    without = {a.id: a.state.nodes[a.id]}
    nodes._follow(a.state, msgspec.structs.replace(a.state, nodes=without))
    error = await refused(waiting, NodeDisconnectedError)
    assert "disconnected: the node is no member of this cluster any more" in error.reason
    await nodes.close()


async def test_a_node_that_is_given_up_is_not_dialled_to_the_end(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its host takes the connection, and nothing ever answers."""
    monkeypatch.setattr(module, "DIAL_TIMEOUT_S", 1000.0)
    reached = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        asleep = NodeMetadata("asleep", "asleep", f"{host}:{port}", "")
        state = group[0].state
        nodes = reading(group, msgspec.structs.replace(state, nodes={**state.nodes, "asleep": asleep}))
        waiting = asyncio.ensure_future(nodes.call("asleep", CHECK, Check("tester")))
        await reached.wait()
        nodes.cut("asleep", "it does not answer")
        error = await refused(waiting, NodeNotConnectedError)
        assert error.reason == "[asleep] Node not connected: it does not answer"
        await nodes.close()
