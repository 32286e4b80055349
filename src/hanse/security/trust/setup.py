"""Joins the parts of trust by invitation; the composition root registers them and lets `watch` run.

Tests: tests/security/trust/test_exchanges.py.
"""

from __future__ import annotations

from collections.abc import Callable

from hanse import clock
from hanse.security.audit import Audit
from hanse.security.ceilings import RemotePeers
from hanse.security.store import SecurityStore
from hanse.security.trust.actions import TrustActions
from hanse.security.trust.exchanges import Call, Exchanges
from hanse.security.trust.inviting_node import ask_inviter
from hanse.security.trust.trusted import Links, TrustedClusters
from hanse.transport.actions import ActionRegistry


class TrustByInvitation:
    """One per node."""

    def __init__(
        self,
        store: SecurityStore,
        peers: RemotePeers,
        links: Links,
        audit: Audit,
        *,
        call: Call = ask_inviter,
        now_ms: Callable[[], int] = clock.now_ms,
    ) -> None:
        self.trusted = TrustedClusters(store, peers, links)
        self.exchanges = Exchanges(store, self.trusted, call, now_ms=now_ms)
        self._actions = TrustActions(self.exchanges, self.trusted, links, audit, now_ms=now_ms)

    def register(self, registry: ActionRegistry) -> None:
        self._actions.register(registry)

    async def watch(self) -> None:
        await self.exchanges.watch()
