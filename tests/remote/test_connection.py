"""One remote cluster over real sockets with mutual TLS: connecting, calling, losing, coming back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from hanse.errors import ConnectTransportError, NodeDisconnectedError, NoSeedNodeLeftError
from hanse.remote.connection import RemoteConnection, may_be_asked_again
from hanse.remote.settings import RemoteConfig
from hanse.tls.contexts import TlsContexts
from hanse.transport.actions import Empty
from hanse.transport.identity import Identity

from .conftest import BERGEN, WHO, WHO_BULK, WRITE, Cluster, WhoAmI, until

ALICE = Identity("alice", ("reader",))
Connect = Callable[..., Awaitable[RemoteConnection]]


@pytest.fixture
async def connect(contexts: TlsContexts) -> AsyncIterator[Callable[..., RemoteConnection]]:
    made: list[RemoteConnection] = []

    def start(**config: Any) -> RemoteConnection:
        connection = RemoteConnection(RemoteConfig("l", **config), BERGEN, contexts, jitter=lambda: 0.0)
        made.append(connection)
        connection.start()
        return connection

    yield start
    for connection in made:
        await connection.close()


async def who(connection: RemoteConnection) -> str:
    return (await connection.call(WHO, Empty(), ALICE)).node


async def test_sniffing_finds_the_nodes_and_calls_go_round(luebeck: Cluster, connect: Any) -> None:
    seed = await luebeck.add("seed")
    await luebeck.add("second")
    await luebeck.add("boss", roles=("master",))
    connection = connect(seeds=(seed.address,))
    assert await connection.call(WHO, Empty(), ALICE) == WhoAmI("seed", "alice")
    await until(lambda: connection.connection_count == 2)
    assert {await who(connection) for _ in range(4)} == {"seed", "second"}
    assert connection.cluster_name == "luebeck"
    assert sorted(peer.node_name for peer in connection.peers) == ["second", "seed"]
    assert repr(connection) == "<remote cluster [l] sniff, idle, 2 of 3>"


async def test_bulk_actions_travel_apart_from_interactive_ones(luebeck: Cluster, connect: Any) -> None:
    node = await luebeck.add("node")
    for config in (
        {"seeds": (node.address,)},
        {"mode": "proxy", "proxy_address": node.address, "proxy_socket_connections": 3},
    ):
        node.sockets.clear()
        connection = connect(**config)
        await connection.ensure_connected(10)
        await until(lambda connection=connection: "connecting" not in repr(connection))
        for _ in range(4):
            await connection.call(WHO, Empty(), ALICE)
            await connection.call(WHO_BULK, Empty(), ALICE)
        assert not node.sockets[WHO.name] & node.sockets[WHO_BULK.name]


async def test_proxy_mode_opens_its_sockets(luebeck: Cluster, connect: Any) -> None:
    node = await luebeck.add("node")
    connection = connect(
        mode="proxy", proxy_address=f"localhost:{node.port}", proxy_socket_connections=4, server_name="localhost"
    )
    await until(lambda: connection.connection_count == 4)
    assert await who(connection) == "node"
    assert node.server.connection_count == 4


async def test_a_restarted_node_is_connected_again_by_itself(luebeck: Cluster, connect: Any) -> None:
    node = await luebeck.add("node")
    connection = connect(seeds=(node.address,))
    assert await who(connection) == "node"
    await node.stop()
    await until(lambda: not connection.is_connected)
    await until(lambda: connection.last_error is not None)
    assert f"unable to connect to remote cluster [l]: seed [{node.address}]: " in connection.last_error
    assert "Connection refused" in connection.last_error
    assert connection.last_error_at is not None
    await node.start()
    await until(lambda: connection.is_connected)
    assert connection.last_error is None
    assert await who(connection) == "node"


async def test_a_demand_connects_at_once(luebeck: Cluster, contexts: TlsContexts) -> None:
    node = await luebeck.add("node")
    await node.stop()
    slow_timer = RemoteConnection(RemoteConfig("l", seeds=(node.address,)), BERGEN, contexts, jitter=lambda: 10_000.0)
    slow_timer.start()
    with pytest.raises(ConnectTransportError, match=r"unable to connect to remote cluster \[l\]: seed"):
        await slow_timer.ensure_connected(10)
    await node.start()
    await slow_timer.ensure_connected(10)
    assert slow_timer.is_connected
    await slow_timer.close()


async def test_an_unreachable_proxy_is_no_seed_node_left(connect: Any) -> None:
    connection = connect(mode="proxy", proxy_address="127.0.0.1:1")
    with pytest.raises(NoSeedNodeLeftError) as raised:
        await connection.ensure_connected(10)
    assert raised.value.reason.startswith(
        "Unable to open any proxy connections to cluster [l] at address [127.0.0.1:1]: "
        "[][127.0.0.1:1] connect_exception: Connection refused"
    )


async def test_waiting_ends_in_time_with_what_is_known(connect: Any) -> None:
    silent = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
    address = f"127.0.0.1:{silent.sockets[0].getsockname()[1]}"
    connection = connect(seeds=(address,))
    with pytest.raises(ConnectTransportError) as raised:
        await connection.ensure_connected(0.05)
    assert raised.value.reason == f"no connection to remote cluster [l] within [0.05s] at [{address}]"
    silent.close()


@pytest.mark.parametrize("action", [WHO, WHO_BULK])
async def test_what_waits_for_a_server_that_is_revoked_ends_at_once(
    luebeck: Cluster, contexts: TlsContexts, action: Any
) -> None:
    node = await luebeck.add("node")
    revoked: list[str] = []
    connection = RemoteConnection(
        RemoteConfig("l", seeds=(node.address,)), BERGEN, contexts, jitter=lambda: 0.0,
        judge=lambda certificate: revoked[0] if revoked else None,
    )  # fmt: skip
    connection.start()
    assert await who(connection) == "node"
    assert connection.clock_skew_s is not None
    asked = asyncio.Event()
    node.gate.clear()  # it never answers
    node.on_call = asked.set
    waiting = asyncio.ensure_future(connection.call(action, Empty(), ALICE))
    await asked.wait()
    connection.drop_revoked()
    await asyncio.sleep(0)
    assert not waiting.done(), "nothing is revoked yet"
    revoked.append("the remote peer [abroad] is disabled here")
    connection.drop_revoked()
    with pytest.raises(ConnectTransportError, match=r"\[abroad\] is disabled here"):
        await waiting
    await connection.close()


async def test_another_cluster_at_the_same_address_is_refused(luebeck: Cluster, connect: Any) -> None:
    node = await luebeck.add("node")
    connection = connect(seeds=(node.address,))
    assert await who(connection) == "node"
    await node.stop()
    luebeck.name = "visby"
    await node.start()
    await until(lambda: "unexpected remote cluster name visby" in (connection.last_error or ""))
    assert not connection.is_connected


async def test_a_read_cut_off_by_a_lost_node_is_asked_again_elsewhere(luebeck: Cluster, connect: Any) -> None:
    first, second = await luebeck.add("first"), await luebeck.add("second")
    connection = connect(seeds=(first.address,))
    await until(lambda: connection.connection_count == 2)
    asked = asyncio.Event()
    for node in (first, second):
        node.gate.clear()
        node.on_call = asked.set
    async with asyncio.TaskGroup() as group:
        answer = group.create_task(connection.call(WHO, Empty(), ALICE))
        await asked.wait()
        hit, other = (first, second) if WHO.name in first.sockets else (second, first)
        other.gate.set()
        await hit.stop()
    assert answer.result().node == other.name


async def test_a_write_cut_off_by_a_lost_node_fails(luebeck: Cluster, connect: Any) -> None:
    node = await luebeck.add("node")
    connection = connect(seeds=(node.address,))
    asked = asyncio.Event()
    node.gate.clear()
    node.on_call = asked.set
    async with asyncio.TaskGroup() as group:
        call = group.create_task(_failure(connection.call(WRITE, Empty(), ALICE)))
        await asked.wait()
        await node.stop()
    assert isinstance(call.result(), NodeDisconnectedError)


async def _failure(call: Awaitable[Any]) -> BaseException:
    with pytest.raises(ConnectTransportError) as raised:
        await call
    return raised.value


@pytest.mark.parametrize(
    ("action", "is_safe"),
    [
        ("indices:data/read/search", True),
        ("indices:data/read/scroll", False),
        ("indices:data/read/scroll/clear", False),
        ("indices:data/read/xpack/ccr/shard_changes", True),
        ("cluster:monitor/state", True),
        ("indices:data/write/bulk", False),
        ("indices:admin/forget_follower", False),
    ],
)
def test_what_may_be_asked_again(action: str, is_safe: bool) -> None:
    assert may_be_asked_again(action) is is_safe


async def test_closing_ends_everything(luebeck: Cluster, contexts: TlsContexts) -> None:
    node = await luebeck.add("node")
    connection = RemoteConnection(RemoteConfig("l", seeds=(node.address,)), BERGEN, contexts, jitter=lambda: 0.0)
    connection.start()
    await connection.ensure_connected(10)
    await connection.close()
    assert not connection.is_connected
    await until(lambda: node.server.connection_count == 0)


async def test_closing_while_somebody_waits_tells_him(contexts: TlsContexts) -> None:
    connection = RemoteConnection(RemoteConfig("l", seeds=("127.0.0.1:1",)), BERGEN, contexts, jitter=lambda: 1.0)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(_failure(connection.ensure_connected(10)))
        await asyncio.sleep(0)
        await connection.close()
    assert "was removed or changed" in str(waiting.result())
