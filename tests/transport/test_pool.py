from __future__ import annotations

import asyncio

import pytest

from hanse.errors import ConnectTransportError, NodeNotConnectedError
from hanse.tls.contexts import TlsContexts
from hanse.transport.actions import Action, Empty, Lane, Origin, Scope
from hanse.transport.identity import SYSTEM, Identity
from hanse.transport.pool import Peer

from .conftest import StartServer, hello

SEARCH = Action("indices:data/read/search", Empty, Empty, Scope.CLUSTER)
CHANGES = Action("indices:data/read/xpack/ccr/shard_changes", Empty, Empty, Scope.CLUSTER, lane=Lane.BULK)


class Sockets:
    """Remembers over which socket each action came."""

    def __init__(self) -> None:
        self.seen: dict[str, set[str]] = {}

    async def __call__(self, action: str, payload: bytes, identity: Identity, origin: Origin) -> bytes:
        self.seen.setdefault(action, set()).add(origin.address)
        return payload


async def test_bulk_actions_have_a_connection_of_their_own(start_server: StartServer, contexts: TlsContexts) -> None:
    sockets = Sockets()
    server, port = await start_server(sockets)
    peer = await Peer.open("127.0.0.1", port, hello("caller"), contexts)
    await peer.call(SEARCH, Empty(), SYSTEM)
    assert server.connection_count == 1
    await asyncio.gather(*(peer.call(CHANGES, Empty(), SYSTEM) for _ in range(5)))
    await peer.call(SEARCH, Empty(), SYSTEM)
    assert server.connection_count == 2
    assert len(sockets.seen[SEARCH.name]) == len(sockets.seen[CHANGES.name]) == 1
    assert sockets.seen[SEARCH.name] != sockets.seen[CHANGES.name]
    assert repr(peer) == f"<Peer [node-1][127.0.0.1:{port}] lanes: interactive, bulk>"
    await peer.close()
    assert repr(peer) == f"<Peer [node-1][127.0.0.1:{port}] lanes: >"


async def test_a_lost_bulk_lane_is_dialled_again(start_server: StartServer, contexts: TlsContexts) -> None:
    _, port = await start_server(Sockets())
    peer = await Peer.open("127.0.0.1", port, hello("caller"), contexts)
    await peer.call(CHANGES, Empty(), SYSTEM)
    bulk = peer._bulk
    assert bulk is not None
    await bulk.close()
    assert peer.is_open
    await peer.call(CHANGES, Empty(), SYSTEM)
    await peer.close()


async def test_each_lane_is_judged_by_what_it_shows(start_server: StartServer, contexts: TlsContexts) -> None:
    _, port = await start_server(Sockets())
    judged: list[object] = []

    def judge(certificate: object) -> str | None:
        judged.append(certificate)
        return "the peer [x] is disabled"

    peer = await Peer.open("127.0.0.1", port, hello("caller"), contexts, judge=judge)
    with pytest.raises(ConnectTransportError, match=r"is not called: the peer \[x\] is disabled"):
        await peer.call(CHANGES, Empty(), SYSTEM)
    assert len(peer.certificates) == 1
    assert judged == [peer.peer_certificate], "the same server, and another connection"
    await peer.close()


async def test_a_closed_peer_takes_no_calls(start_server: StartServer, contexts: TlsContexts) -> None:
    _, port = await start_server(Sockets())
    peer = await Peer.open("127.0.0.1", port, hello("caller"), contexts)
    await peer.close()
    assert peer.closed.done()
    for action in (SEARCH, CHANGES):
        with pytest.raises(NodeNotConnectedError):
            await peer.call(action, Empty(), SYSTEM)
