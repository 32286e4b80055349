"""Which certificates are of this cluster's own nodes: those that their authority vouches for.

Tests: tests/tls/test_own_authority.py.
"""

from __future__ import annotations

from typing import Any

from hanse.tls.contexts import TlsContexts
from hanse.tls.identity import PeerCertificate, is_of_same_authority


class OwnAuthority:
    """Judges by the transport's certificate and trust as they are now; asked for every request of another node, so it
    remembers its answers until one of the two changes."""

    def __init__(self, contexts: TlsContexts | None) -> None:
        """`contexts`: of the transport; None without security."""
        self._contexts = contexts
        self._judged_under: Any = None
        self._judged: dict[str, bool] = {}

    @property
    def is_verified(self) -> bool:
        """Whether nodes of this cluster verify one another at all."""
        return self._contexts is not None and self._contexts.verification_mode != "none"

    def vouches_for(self, certificate: PeerCertificate) -> bool:
        if self._contexts is None:
            return False
        now = (self._contexts.identity, self._contexts.trusted)
        if self._judged_under != now:
            self._judged_under, self._judged = now, {}
        known = self._judged.get(certificate.anchor_sha256)
        if known is None:
            known = self._judged[certificate.anchor_sha256] = is_of_same_authority(certificate, *now)
        return known

    def admits(self, certificate: PeerCertificate | None) -> bool:
        """Whether a node with this certificate may be one of the cluster."""
        return not self.is_verified or (certificate is not None and self.vouches_for(certificate))
