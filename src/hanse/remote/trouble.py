"""What stands between this node and a remote cluster, in the few kinds that need different hands to mend.

Tests: tests/remote/test_health.py.
"""

from __future__ import annotations

from enum import Enum

from hanse.errors import HanseError, SecurityError
from hanse.tls.faults import Fault, fault_of

_OF_THE_NETWORK = (Fault.CLOSED, Fault.TIMED_OUT, Fault.OTHER, Fault.PLAINTEXT, Fault.PLAINTEXT_HTTP)


class Trouble(Enum):
    UNREACHABLE = "unreachable"
    CERTIFICATE_REFUSED = "certificate_refused"
    """One side does not accept what the other showed, or they found no agreement in the handshake."""
    PEER_DISABLED = "peer_disabled"
    """By a remote peer of this cluster."""
    REFUSED_THERE = "refused_there"
    """By the other cluster's ceiling, or because it has security off."""


def trouble_of(error: HanseError) -> Trouble:
    """Of a dial or of the first question that failed."""
    if isinstance(error, SecurityError):
        return Trouble.REFUSED_THERE
    cause = error.__cause__
    if cause is None or fault_of(cause) in _OF_THE_NETWORK:
        return Trouble.UNREACHABLE
    return Trouble.CERTIFICATE_REFUSED
