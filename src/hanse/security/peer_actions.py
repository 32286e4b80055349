"""Remote peers: put, show, delete. Those of peers.yml are shown and never changed here.

Tests: tests/security/test_peer_actions.py, tests/journeys/test_peer_ceilings.py.
"""

from __future__ import annotations

from typing import Any

from hanse.errors import IllegalArgumentError
from hanse.security import peer_requests
from hanse.security.audit import Audit
from hanse.security.ceilings import RemotePeers
from hanse.security.peers import KIND, RemotePeer, parse_peer
from hanse.security.requests import Answer, ByNames
from hanse.security.store import Changes, Entries, SecurityStore
from hanse.transport.actions import ActionRegistry, Call


class PeerActions:
    """Handlers over the security store."""

    def __init__(self, store: SecurityStore, peers: RemotePeers, audit: Audit) -> None:
        self._store = store
        self._peers = peers
        self._audit = audit

    def register(self, registry: ActionRegistry) -> None:
        registry.register(peer_requests.PUT_REMOTE_PEER, self.put)
        registry.register(peer_requests.GET_REMOTE_PEERS, self.get)
        registry.register(peer_requests.DELETE_REMOTE_PEER, self.delete)

    async def put(self, call: Call, request: peer_requests.PutRemotePeer) -> Answer:
        peer = parse_peer(request.name, request.body)
        self._refuse_of_file(peer.name)
        created = False

        def change(stored: Entries) -> Changes:
            nonlocal created
            created = peer.name not in stored
            return {peer.name: peer.body}

        await self._store.change(KIND, change)
        self._changed(call, "put_remote_peer", peer.name)
        return Answer({"remote_peer": {"created": created}})

    async def get(self, call: Call, request: ByNames) -> Answer:
        peers = self._peers.all()
        found = {name: self._render(peers[name]) for name in request.names or sorted(peers) if name in peers}
        return Answer(found, 404 if request.names and not found else 200)

    async def delete(self, call: Call, request: ByNames) -> Answer:
        name = request.only
        self._refuse_of_file(name)
        found = False

        def change(stored: Entries) -> Changes:
            nonlocal found
            found = name in stored
            return {name: None} if found else {}

        await self._store.change(KIND, change)
        if found:
            self._changed(call, "delete_remote_peer", name)
        return Answer({"found": found}, 200 if found else 404)

    def _refuse_of_file(self, name: str) -> None:
        if self._peers.is_of_file(name):
            raise IllegalArgumentError(
                f"remote peer [{name}] is defined in [peers.yml] and can only be changed in that file"
            )

    def _render(self, peer: RemotePeer) -> dict[str, Any]:
        return {**peer.body, "read_only": True} if self._peers.is_of_file(peer.name) else peer.body

    def _changed(self, call: Call, event: str, name: str) -> None:
        if self._audit.enabled:
            self._audit.security_changed(event, call.identity, name)
