"""The other nodes of this cluster, as this one reaches them: one `Peer` each, dialled when first needed.

Whom a connection leads to is checked before anything is sent over it: the certificate must come from the authority of
this cluster's own nodes, and the hello must name the very node that was meant. A node that cannot be reached is dialled
again at the next call, but not more often than its pause allows. Tests: tests/cluster/test_nodes.py.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

import structlog

from hanse.cluster.state import ClusterState, NodeMetadata
from hanse.cluster.updates import ClusterService
from hanse.errors import ConnectTransportError, NodeNotConnectedError
from hanse.tasks import Tasks
from hanse.tls.contexts import TlsContexts
from hanse.tls.identity import PeerCertificate
from hanse.transport.actions import Action, Call
from hanse.transport.hello import Hello
from hanse.transport.identity import SYSTEM, Identity
from hanse.transport.pool import Peer

log = structlog.get_logger(__name__)

Q = TypeVar("Q")
R = TypeVar("R")

DIAL_TIMEOUT_S = 5.0
PAUSE_S = 0.2
"""How long a node that refused a connection is left alone."""


class Nodes:
    """Connections to the members the cluster state names."""

    def __init__(
        self,
        cluster: ClusterService,
        own_id: str,
        own: Callable[[], Hello],
        contexts: TlsContexts | None = None,
        is_own: Callable[[PeerCertificate | None], bool] = lambda certificate: True,
    ) -> None:
        """`own_id` is this node, `own` how it introduces itself; `is_own` says whether the authority of this cluster's
        own nodes vouches for a certificate."""
        self.own_id = own_id
        self._cluster = cluster
        self._own = own
        self._contexts = contexts
        self._is_own = is_own
        self._peers: dict[str, Peer] = {}
        self._dialling: dict[str, asyncio.Task[Peer | ConnectTransportError]] = {}
        self._refused: dict[str, tuple[float, ConnectTransportError]] = {}
        self._cut: dict[str, asyncio.Future[str]] = {}
        """Of nodes that are dialled: done with the reason when that is waited for no more."""
        self._tasks = Tasks()
        self._unsubscribe = cluster.subscribe(self._follow)

    def others(self) -> list[NodeMetadata]:
        return [node for node in self._cluster.state.nodes.values() if node.id != self.own_id]

    def name_of(self, node_id: str) -> str:
        node = self._cluster.state.nodes.get(node_id)
        return node_id if node is None else node.name

    def is_connected(self, node_id: str) -> bool:
        peer = self._peers.get(node_id)
        return peer is not None and peer.is_open

    async def call(
        self,
        node_id: str,
        action: Action[Q, R],
        request: Q,
        identity: Identity = SYSTEM,
        *,
        timeout_s: float | None = None,
        opaque_id: str | None = None,
        parent_task: str | None = None,
    ) -> R:
        """Runs an action on another node. Raises its error; NodeNotConnectedError and ConnectTransportError mean that
        it was not asked, NodeDisconnectedError and ReceiveTimeoutError that nobody knows."""
        peer = self._peers.get(node_id)
        if peer is None or not peer.is_open:
            peer = await self._reached(node_id)
        return await peer.call(
            action, request, identity, timeout_s=timeout_s, opaque_id=opaque_id, parent_task=parent_task
        )

    async def forward(
        self, node_id: str, call: Call, action: Action[Q, R], request: Q, *, timeout_s: float | None = None
    ) -> R:
        """Asks another node on behalf of whom `call` is from: its own gate judges anew.

        What runs there is a part of what runs here: it shows this task as its parent, and ends when this one does.
        """
        return await self.call(
            node_id,
            action,
            request,
            call.onward,
            timeout_s=timeout_s,
            opaque_id=call.origin.opaque_id,
            parent_task=f"{self.own_id}:{call.task_id}",
        )

    async def _reached(self, node_id: str) -> Peer:
        dialling = self._dialling.get(node_id)
        if dialling is None:
            node = self._cluster.state.nodes.get(node_id)
            if node is None:
                raise NodeNotConnectedError(f"[{node_id}] is no member of this cluster any more")
            refused = self._refused.get(node_id)
            if refused is not None and time.monotonic() < refused[0]:
                raise refused[1]
            dialling = self._dialling[node_id] = self._tasks.spawn(f"connect to [{node.name}]", self._outcome(node))
            dialling.add_done_callback(lambda done: self._dialled(node_id, done))
        cut = self._cut.setdefault(node_id, asyncio.get_running_loop().create_future())
        await asyncio.wait((dialling, cut), return_when=asyncio.FIRST_COMPLETED)
        if not dialling.done():
            raise NodeNotConnectedError(f"[{self.name_of(node_id)}] Node not connected: {cut.result()}")
        outcome = dialling.result()
        if isinstance(outcome, ConnectTransportError):
            raise outcome
        return outcome

    async def _outcome(self, node: NodeMetadata) -> Peer | ConnectTransportError:
        try:
            return await self._dial(node)
        except ConnectTransportError as error:
            return error

    async def _dial(self, node: NodeMetadata) -> Peer:
        host, _, port = node.transport_address.rpartition(":")
        peer = await Peer.open(host.strip("[]"), int(port), self._own(), self._contexts, timeout_s=DIAL_TIMEOUT_S)
        why = self._objection(peer, node)
        if why is not None:
            await peer.close()
            raise ConnectTransportError(f"[{node.name}][{node.transport_address}] handshake failed: {why}")
        return peer

    def _objection(self, peer: Peer, node: NodeMetadata) -> str | None:
        """Why the connection does not lead to that member; None when it does."""
        if self._contexts is not None and not self._is_own(peer.peer_certificate):
            return "its certificate is not from the authority of this cluster's own nodes"
        found = peer.peer
        if found.node_id != node.id or found.cluster_uuid != self._cluster.state.cluster_uuid:
            return f"another node answered, [{found.node_name}] of cluster [{found.cluster_name}]"
        return None

    def _dialled(self, node_id: str, dialling: asyncio.Task[Peer | ConnectTransportError]) -> None:
        self._dialling.pop(node_id, None)
        self._cut.pop(node_id, None)
        if dialling.cancelled() or dialling.exception() is not None:
            return
        outcome = dialling.result()
        if isinstance(outcome, Peer):
            self._refused.pop(node_id, None)
            self._peers[node_id] = outcome
        else:
            self._refused[node_id] = (time.monotonic() + PAUSE_S, outcome)

    def cut(self, node_id: str, why: str) -> None:
        """Whoever waits for the node waits no more: what was asked of it fails at once, as over a lost connection.

        A node that sleeps, or whose handlers hang, keeps its connections open and would be waited for without end.
        """
        peer = self._peers.pop(node_id, None)
        if peer is not None:
            peer.cut(why)
        waiting = self._cut.pop(node_id, None)
        if waiting is not None:
            waiting.set_result(why)

    def _follow(self, old: ClusterState, new: ClusterState) -> None:
        """Connections to nodes that left, or that started again since, are of no use."""
        for node_id in self._peers.keys() | self._cut.keys():
            node, peer = new.nodes.get(node_id), self._peers.get(node_id)
            if node is None:
                self.cut(node_id, "the node is no member of this cluster any more")
            elif peer is not None and node.ephemeral_id != peer.peer.ephemeral_id:
                self.cut(node_id, "the node was started again")

    async def close(self) -> None:
        self._unsubscribe()
        await self._tasks.close()
        peers, self._peers = self._peers, {}
        await asyncio.gather(*(peer.close() for peer in peers.values()))
