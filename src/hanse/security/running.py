"""The actions that run on this node now: what `_tasks` lists, gets and cancels.

Sub-actions are entries with a parent, which may run on another node. Cancelling raises TaskCancelledError in the
handler, not in the connection that asked for it. Tests: tests/security/test_task_actions.py.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from hanse import clock
from hanse.errors import ResourceNotFoundError
from hanse.security.patterns import NamePatterns
from hanse.transport.identity import Identity

_POOLS = {"search": "indices:data/read/search", "write": "indices:data/write/"}


class RunningAction:
    """One running action. `request` is kept so that its description is only made when somebody lists it."""

    __slots__ = (
        "_task",
        "action",
        "id",
        "identity",
        "is_cancelled",
        "is_persistent",
        "opaque_id",
        "parent",
        "request",
        "started_ns",
    )

    def __init__(
        self,
        id: int,
        action: str,
        request: Any,
        identity: Identity,
        parent: int | str,
        opaque_id: str | None,
        *,
        is_persistent: bool = False,
    ) -> None:
        """`parent` is the number of an action of this node, or `node:number` of one elsewhere; 0 or empty for none."""
        self.id = id
        self.action = action
        self.request = request
        self.identity = identity
        self.parent = parent
        self.opaque_id = opaque_id
        self.started_ns = time.monotonic_ns()
        self.is_persistent = is_persistent
        self.is_cancelled = False
        self._task = asyncio.current_task()

    def cancel(self) -> None:
        if not self.is_cancelled and not self.is_persistent and self._task is not None:
            self.is_cancelled = True
            self._task.cancel()

    def settle(self) -> bool:
        """Called in a cancelled handler: True when it was cancelled here, which then is no cancellation of its task."""
        if self.is_cancelled and self._task is not None:
            self._task.uncancel()
        return self.is_cancelled


class TaskInfo(msgspec.Struct, frozen=True):
    """One entry of the `_tasks` answer."""

    node: str
    id: int
    type: str
    action: str
    description: str
    start_time_in_millis: int
    running_time_in_nanos: int
    cancellable: bool
    cancelled: bool
    parent_task_id: str | None
    headers: dict[str, str]
    user: str

    @property
    def full_id(self) -> str:
        return f"{self.node}:{self.id}"


class RunningActions:
    """The registry; the gate adds and removes."""

    def __init__(self, node_id: Callable[[], str] = lambda: "", now_ms: Callable[[], int] | None = None) -> None:
        self.node_id = node_id
        self._now_ms = now_ms or clock.now_ms
        self._running: dict[int, RunningAction] = {}
        self._last_id = 0

    def __len__(self) -> int:
        return len(self._running)

    def start(
        self, action: str, request: Any, identity: Identity, parent: int | str = 0, opaque_id: str | None = None
    ) -> RunningAction:
        self._last_id += 1
        entry = RunningAction(self._last_id, action, request, identity, parent, opaque_id)
        self._running[entry.id] = entry
        return entry

    @contextmanager
    def listed(self, action: str, request: Any, identity: Identity) -> Iterator[None]:
        """Shows work of the node's own, which the cluster state asks for and no request: nobody cancels it here."""
        self._last_id += 1
        entry = RunningAction(self._last_id, action, request, identity, 0, None, is_persistent=True)
        self._running[entry.id] = entry
        try:
            yield
        finally:
            self.finish(entry)

    def finish(self, entry: RunningAction) -> None:
        self._running.pop(entry.id, None)

    def pools(self) -> dict[str, dict[str, int]]:
        """`thread_pool` of `_nodes/stats`: Elasticsearch's pools have no counterpart here, but what would run in two of
        them is counted under their names. Nothing waits before it runs or is refused for want of a thread."""
        active = dict.fromkeys(_POOLS, 0)
        for entry in self._running.values():
            if isinstance(entry.parent, int) and entry.parent:
                continue  # a part of what is counted already
            for name, prefix in _POOLS.items():
                active[name] += entry.action.startswith(prefix)
        idle = {"threads": 0, "queue": 0, "rejected": 0, "largest": 0, "completed": 0}
        return {name: {**idle, "active": count} for name, count in active.items()}

    def matching(self, actions: tuple[str, ...] = (), parent: str | None = None) -> list[TaskInfo]:
        """Running actions whose name matches one of the patterns (all without patterns) and that are a part of
        `parent`, `node:number`, where one is given."""
        return [self._info(entry) for entry in self._matching(actions, parent)]

    def _matching(self, actions: tuple[str, ...], parent: str | None) -> list[RunningAction]:
        wanted = NamePatterns(actions or ("*",))
        return [
            entry
            for entry in self._running.values()
            if wanted.matches(entry.action) and (parent is None or self._parent_of(entry) == parent)
        ]

    def get(self, id: int) -> TaskInfo:
        return self._info(self._find(id))

    def cancel(self, id: int) -> TaskInfo:
        """Asks a running action to stop. Raises ResourceNotFoundError when it no longer runs."""
        entry = self._find(id)
        info = self._info(entry)
        entry.cancel()
        return info

    def cancel_matching(
        self, actions: tuple[str, ...], parent: str | None = None, *, spare: str = ""
    ) -> list[TaskInfo]:
        """Cancels what `matching` finds, but not the actions that ask for it: those whose name begins with `spare`."""
        found = [e for e in self._matching(actions, parent) if not spare or not e.action.startswith(spare)]
        infos = [self._info(entry) for entry in found]
        for entry in found:
            entry.cancel()
        return infos

    def _parent_of(self, entry: RunningAction) -> str | None:
        if not entry.parent:
            return None
        return entry.parent if isinstance(entry.parent, str) else f"{self.node_id()}:{entry.parent}"

    def _find(self, id: int) -> RunningAction:
        entry = self._running.get(id)
        if entry is None:
            raise ResourceNotFoundError(f"task [{self.node_id()}:{id}] isn't running and hasn't stored its results")
        return entry

    def _info(self, entry: RunningAction) -> TaskInfo:
        running_ns = time.monotonic_ns() - entry.started_ns
        return TaskInfo(
            node=self.node_id(),
            id=entry.id,
            type="persistent" if entry.is_persistent else "transport",
            action=entry.action,
            description=_describe(entry.request),
            start_time_in_millis=self._now_ms() - running_ns // 1_000_000,
            running_time_in_nanos=running_ns,
            cancellable=not entry.is_persistent,
            cancelled=entry.is_cancelled,
            parent_task_id=self._parent_of(entry),
            headers={"X-Opaque-Id": entry.opaque_id} if entry.opaque_id else {},
            user=entry.identity.username,
        )


def _describe(request: Any) -> str:
    """Names of indices only: request bodies hold documents and passwords."""
    indices = getattr(request, "indices", None)
    return f"indices[{', '.join(indices)}]" if isinstance(indices, tuple | list) else ""
