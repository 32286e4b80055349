"""The one way to change the cluster state: compare-and-set through the StateStore, then tell the listeners.

Tests: tests/cluster/test_updates.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import structlog

from hanse.cluster.state import ClusterState
from hanse.cluster.store import StateStore
from hanse.tasks import Tasks

log = structlog.get_logger(__name__)

Change = Callable[[ClusterState], ClusterState]
Listener = Callable[[ClusterState, ClusterState], None]


class ClusterService:
    """Holds the current state in memory. Updates are durable when `update` returns, and listeners have been called.

    Listeners run on the event loop, in the order they subscribed, and must not block or raise; what takes longer they
    spawn. A listener sees every version once, in order.
    """

    def __init__(self, store: StateStore, state: ClusterState, tasks: Tasks | None = None) -> None:
        self._store = store
        self._state = state
        self._listeners: list[Listener] = []
        self._lock = asyncio.Lock()
        self._tasks = tasks or Tasks()

    @property
    def state(self) -> ClusterState:
        return self._state

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Adds a listener; the returned function takes it off again."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def update(self, reason: str, change: Change) -> ClusterState:
        """Applies `change` to the current state and commits it. `change` may raise: then nothing happens.

        A change that returns the very same state is no update. Returns the state in force afterwards. A caller that is
        cancelled does not stop a commit half-way: memory and disk must not disagree.
        """
        return await asyncio.shield(self._tasks.spawn(f"update cluster state: {reason}", self._update(reason, change)))

    async def _update(self, reason: str, change: Change) -> ClusterState:
        async with self._lock:
            old = self._state
            changed = change(old)
            if changed is old:
                return old
            new = msgspec.structs.replace(changed, version=old.version + 1)
            await self._store.commit(old, new)
            self._state = new
            log.debug("cluster state updated", reason=reason, version=new.version)
            for listener in tuple(self._listeners):
                try:
                    listener(old, new)
                except Exception:
                    log.exception("cluster state listener failed", reason=reason)
            return new
