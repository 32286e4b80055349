"""Tells the cluster which copies of this node serve and which cannot, as changes of the cluster state.

What comes together while one change is committed goes into the next, so many shards that open at once cost few of them.
Tests: tests/index/test_reports.py.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import structlog

from hanse import clock
from hanse.cluster import allocation
from hanse.cluster.state import ClusterState
from hanse.cluster.updates import ClusterService
from hanse.errors import HanseError
from hanse.tasks import Tasks

log = structlog.get_logger(__name__)

RETRY_S = 0.5


class Failure(NamedTuple):
    index_uuid: str
    shard: int
    allocation_id: str
    details: str


class Reports:
    def __init__(self, cluster: ClusterService, tasks: Tasks) -> None:
        self._cluster = cluster
        self._tasks = tasks
        self._started: list[tuple[str, int, str]] = []
        self._failed: list[Failure] = []
        self._sending: asyncio.Task[None] | None = None

    def started(self, index_uuid: str, shard: int, allocation_id: str) -> None:
        self._started.append((index_uuid, shard, allocation_id))
        self._ensure()

    def failed(self, index_uuid: str, shard: int, allocation_id: str, details: str) -> None:
        self._failed.append(Failure(index_uuid, shard, allocation_id, details))
        self._ensure()

    def _ensure(self) -> None:
        if self._sending is None:
            self._sending = self._tasks.spawn("report shards", self._send())

    async def _send(self) -> None:
        try:
            while self._started or self._failed:
                started, self._started = self._started, []
                failed, self._failed = self._failed, []
                try:
                    await self._cluster.update("shards-reported", lambda state: _with(state, started, failed))  # noqa: B023
                except HanseError as error:
                    log.warning("shards could not be reported yet", why=error.reason)
                    self._started[:0] = started
                    self._failed[:0] = failed
                    await asyncio.sleep(RETRY_S)
        finally:
            self._sending = None


def _with(state: ClusterState, started: list[tuple[str, int, str]], failed: list[Failure]) -> ClusterState:
    now_ms = clock.now_ms()
    if started:
        state = allocation.started(state, started, now_ms)
    for one in failed:
        state = allocation.failed(state, one.index_uuid, one.shard, one.allocation_id, one.details, now_ms)
    return state
