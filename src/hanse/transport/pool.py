"""The connections to one node: an interactive lane, and a bulk lane so that a change feed never delays a search.

The interactive lane is open as long as the peer counts as connected; the bulk lane is dialled when first needed, and
again after it was lost. Tests: tests/transport/test_pool.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from hanse.errors import ConnectTransportError, NodeNotConnectedError
from hanse.tls.contexts import TlsContexts
from hanse.tls.identity import PeerCertificate
from hanse.transport.actions import Action, Lane
from hanse.transport.connection import Connection, connect
from hanse.transport.hello import Hello
from hanse.transport.identity import Identity

Q = TypeVar("Q")
R = TypeVar("R")

Judge = Callable[[PeerCertificate | None], str | None]
"""Why a server with this certificate must not be called; None when it may be."""


class Peer:
    """A node we call. Made by `open`; `closed` is done with a sentence when its interactive lane is lost."""

    def __init__(
        self,
        interactive: Connection,
        host: str,
        port: int,
        hello: Hello,
        contexts: TlsContexts | None,
        server_name: str | None,
        timeout_s: float,
        judge: Judge,
    ) -> None:
        self._interactive = interactive
        self._judge = judge
        self._bulk: Connection | None = None
        self._bulk_lock = asyncio.Lock()
        self._host, self._port = host, port
        self._hello, self._contexts = hello, contexts
        self._server_name, self._timeout_s = server_name, timeout_s
        self._is_closing = False
        self.peer = interactive.peer
        self.address = interactive.address
        self.closed = interactive.closed

    @classmethod
    async def open(
        cls,
        host: str,
        port: int,
        hello: Hello,
        contexts: TlsContexts | None,
        *,
        server_name: str | None = None,
        timeout_s: float = 30.0,
        judge: Judge = lambda certificate: None,
    ) -> Peer:
        """`judge` is asked for each lane of its own: another socket may end at another machine."""
        interactive = await connect(host, port, hello, contexts, server_name=server_name, timeout_s=timeout_s)
        return cls(interactive, host, port, hello, contexts, server_name, timeout_s, judge)

    def __repr__(self) -> str:
        lanes = [lane for lane in (self._interactive, self._bulk) if lane is not None and lane.is_open]
        return f"<Peer [{self.peer.node_name}][{self.address}] lanes: {', '.join(lane.lane.value for lane in lanes)}>"

    @property
    def is_open(self) -> bool:
        return self._interactive.is_open

    @property
    def round_trip_s(self) -> float | None:
        return self._interactive.round_trip_s

    @property
    def clock_skew_s(self) -> float | None:
        return self._interactive.clock_skew_s

    @property
    def peer_certificate(self) -> PeerCertificate | None:
        return self._interactive.peer_certificate

    @property
    def certificates(self) -> tuple[PeerCertificate | None, ...]:
        """What was shown on each lane that is open."""
        lanes = (lane for lane in (self._interactive, self._bulk) if lane is not None and lane.is_open)
        return tuple(lane.peer_certificate for lane in lanes)

    async def call(
        self,
        action: Action[Q, R],
        request: Q,
        identity: Identity,
        *,
        timeout_s: float | None = None,
        opaque_id: str | None = None,
        parent_task: str | None = None,
    ) -> R:
        """`Connection.call` on the lane of the action."""
        lane = self._interactive if action.lane is Lane.INTERACTIVE else await self._bulk_lane()
        return await lane.call(
            action, request, identity, timeout_s=timeout_s, opaque_id=opaque_id, parent_task=parent_task
        )

    async def close(self) -> None:
        self._is_closing = True
        await self._interactive.close()
        if self._bulk is not None:
            await self._bulk.close()

    def cut(self, sentence: str) -> None:
        """Closes at once: whoever waits for an answer is told so."""
        self._is_closing = True
        for lane in (self._interactive, self._bulk):
            if lane is not None:
                lane.cut(sentence)

    async def _bulk_lane(self) -> Connection:
        if self._bulk is not None and self._bulk.is_open:
            return self._bulk
        async with self._bulk_lock:
            if self._bulk is not None and self._bulk.is_open:
                return self._bulk
            if self._is_closing or not self.is_open:
                raise NodeNotConnectedError(f"[{self.peer.node_name}][{self.address}] Node not connected")
            bulk = await connect(
                self._host, self._port, self._hello, self._contexts,
                server_name=self._server_name, timeout_s=self._timeout_s, lane=Lane.BULK,
            )  # fmt: skip
            if bulk.peer.ephemeral_id != self.peer.ephemeral_id or self._is_closing:
                await bulk.close()
                raise ConnectTransportError(
                    f"[{self.peer.node_name}][{self.address}] handshake failed: another node answered, "
                    f"[{bulk.peer.node_name}]"
                )
            why = self._judge(bulk.peer_certificate)
            if why is not None:
                await bulk.close()
                raise ConnectTransportError(f"[{self.peer.node_name}][{self.address}] is not called: {why}")
            self._bulk = bulk
            return bulk
