"""The seam to whatever keeps the cluster state durable and agreed: embedded (SQLite) or JetStream.

Contract tests in tests/contracts/test_state_store.py run against every engine.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple, Protocol

from hanse.cluster.state import ClusterState


class Lease(NamedTuple):
    """The right to be the only one, for a while. `token` is higher than that of every lease of this name before.

    `valid_until_s` is on this process' monotonic clock and errs to the safe side: whoever holds the lease must stop
    acting on it then, and whatever it writes carries the token (or is fenced otherwise), since a process may sleep.
    """

    name: str
    holder: str
    token: int
    revision: int
    valid_until_s: float


class StateStore(Protocol):
    """Compare-and-set storage of one cluster's state, and its leases.

    Promises: `commit` is durable when it returns; it is atomic; it raises FencedError, changing nothing, when the
    stored version is not `old.version`, and FailedToCommitClusterStateError when the outcome is unknown. `load` returns
    the last committed state, None before the first. `watch` yields states that others commit from then on, versions
    rising; one that was followed by another at once may be left out.
    """

    async def load(self) -> ClusterState | None: ...

    async def commit(self, old: ClusterState, new: ClusterState) -> None: ...

    def watch(self) -> AsyncIterator[ClusterState]: ...

    async def acquire(self, name: str, holder: str, ttl_s: float) -> Lease:
        """The lease of this name, for `ttl_s`. Raises FencedError while somebody else holds it."""
        ...

    async def renew(self, lease: Lease, ttl_s: float) -> Lease:
        """The same lease, longer. Raises FencedError when it ran out and was lost."""
        ...

    async def release(self, lease: Lease) -> None:
        """Gives it back before its time; nothing happens when it was lost already."""
        ...

    async def close(self) -> None: ...
