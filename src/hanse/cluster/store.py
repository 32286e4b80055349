"""The seam to whatever keeps the cluster state durable and agreed: embedded (SQLite) or JetStream.

Contract tests in tests/contracts/test_state_store.py run against every engine.
"""

from __future__ import annotations

from typing import Protocol

from hanse.cluster.state import ClusterState


class StateStore(Protocol):
    """Compare-and-set storage of one cluster's state.

    Promises: `commit` is durable when it returns; it is atomic; it raises FencedError, changing nothing, when the
    stored version is not `old.version`. `load` returns the last committed state, None before the first.
    """

    async def load(self) -> ClusterState | None: ...

    async def commit(self, old: ClusterState, new: ClusterState) -> None: ...

    async def close(self) -> None: ...
