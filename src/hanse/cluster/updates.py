"""The one way to change the cluster state: compare-and-set through the StateStore, then tell the listeners.

Tests: tests/cluster/test_updates.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import structlog

from hanse.cluster.state import ClusterState
from hanse.cluster.store import StateStore
from hanse.errors import FailedToCommitClusterStateError, FencedError, HanseError
from hanse.tasks import Tasks

log = structlog.get_logger(__name__)

ROUNDS_MAX = 100
COMES_BY_ITSELF_S = 0.1
Change = Callable[[ClusterState], ClusterState]
Derive = Callable[[ClusterState, ClusterState], ClusterState]
"""From the state in force and the changed one: the changed one with everything that follows from the change."""
Announce = Callable[[int], Awaitable[None]]
"""Tells the other nodes of a version that was committed here, and returns when they have it (or do not answer)."""
Listener = Callable[[ClusterState, ClusterState], None]


class ClusterService:
    """Holds the current state in memory. Updates are durable when `update` returns, and listeners have been called.

    Listeners run on the event loop, in the order they subscribed, and must not block or raise; what takes longer they
    spawn. A listener sees every version this node makes once, and in order; of those that others commit at once after
    one another it may see only the last.
    """

    def __init__(
        self,
        store: StateStore,
        state: ClusterState,
        tasks: Tasks | None = None,
        derive: Derive = lambda old, changed: changed,
    ) -> None:
        """`derive` is applied to every change before it is committed, so that no state lacks its consequences."""
        self.announce: Announce = _nobody
        self._derive = derive
        self._store = store
        self._state = state
        self._listeners: list[Listener] = []
        self._lock = asyncio.Lock()
        self._tasks = tasks or Tasks()
        self._reading: asyncio.Task[None] | None = None

    @property
    def state(self) -> ClusterState:
        return self._state

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Adds a listener; the returned function takes it off again."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def update(self, reason: str, change: Change) -> ClusterState:
        """Applies `change` to the current state and commits it. `change` may raise: then nothing happens.

        A change that returns the very same state is no update. Returns the state in force afterwards, which the other
        nodes have by then too, as far as they answer. A caller that is cancelled does not stop a commit half-way:
        memory and disk must not disagree.
        """
        task = self._tasks.spawn(f"update cluster state: {reason}", self._outcome(reason, change))
        outcome: ClusterState | HanseError = await asyncio.shield(task)
        if isinstance(outcome, HanseError):
            raise outcome
        return outcome

    async def until(self, holds: Callable[[ClusterState], bool], timeout_s: float) -> bool:
        """Waits until `holds` is true of the state in force or of one that follows; False when the time was over first.

        It is asked at once and at every change, behind the listeners that subscribed before, and must not block.
        """
        if holds(self._state):
            return True
        came: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def look(old: ClusterState, new: ClusterState) -> None:
            if not came.done() and holds(new):
                came.set_result(None)

        unsubscribe = self.subscribe(look)
        try:
            await asyncio.wait((came,), timeout=timeout_s)
        finally:
            unsubscribe()
        return came.done()

    async def reached(self, version: int, timeout_s: float) -> bool:
        """Waits until this node has the state of that version or a newer one; False when the time was over first."""
        self.hear_of(version)
        return await self.until(lambda state: state.version >= version, timeout_s)

    def hear_of(self, version: int) -> None:
        """Another node has that version. It is read here if it does not come by itself: what would bring it may have
        been on a machine that has just died, which is noticed seconds later."""
        if version > self._state.version and (self._reading is None or self._reading.done()):
            self._reading = self._tasks.spawn("read the cluster state others have", self._read(version))

    async def _read(self, version: int) -> None:
        if await self.until(lambda state: state.version >= version, COMES_BY_ITSELF_S):
            return
        async with self._lock:
            try:
                await self._learnt()
            except HanseError as error:
                log.debug("the cluster state that others have could not be read yet", why=error.reason)

    async def follow(self) -> None:
        """Takes over what other nodes commit, until it is cancelled; ends at once where there can be no others."""
        async for state in self._store.watch():
            async with self._lock:
                self._take_over(state)

    def _take_over(self, state: ClusterState) -> None:
        if state.version > self._state.version:
            self._publish(state, "committed by another node")

    async def _outcome(self, reason: str, change: Change) -> ClusterState | HanseError:
        """A change that is refused is the caller's to report, not the task's."""
        try:
            return await self._update(reason, change)
        except HanseError as error:
            return error

    async def _update(self, reason: str, change: Change) -> ClusterState:
        before = self._state.version
        state = await self._commit(reason, change)
        if state.version > before:
            await self.announce(state.version)
        return state

    async def _commit(self, reason: str, change: Change) -> ClusterState:
        """A change that another node forestalled is applied again to what that one committed."""
        async with self._lock:
            for _ in range(ROUNDS_MAX):
                old = self._state
                changed = self._derive(old, change(old))
                if changed is old:
                    return old
                new = msgspec.structs.replace(changed, version=old.version + 1)
                try:
                    await self._store.commit(old, new)
                except FencedError:
                    if not await self._learnt():
                        raise
                    continue
                self._publish(new, reason)
                return new
            raise FailedToCommitClusterStateError(f"other nodes forestalled [{reason}] [{ROUNDS_MAX}] times")

    async def _learnt(self) -> bool:
        """Whether the store held something newer."""
        before = self._state
        stored = await self._store.load()
        if stored is not None:
            self._take_over(stored)
        return self._state is not before

    def _publish(self, new: ClusterState, reason: str) -> None:
        old, self._state = self._state, new
        log.debug("cluster state updated", reason=reason, version=new.version)
        for listener in tuple(self._listeners):
            try:
                listener(old, new)
            except Exception:
                log.exception("cluster state listener failed", reason=reason)


async def _nobody(version: int) -> None:
    """A cluster of one node."""
