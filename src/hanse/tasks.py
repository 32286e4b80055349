"""The one way to start a background task: named, supervised, cancelled on shutdown.

A task that ends with an exception is logged once with its name; nothing is lost to the garbage collector.
Tests: tests/test_tasks.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import structlog

log = structlog.get_logger(__name__)

R = TypeVar("R")


class Tasks:
    """Owns background tasks; `close` cancels what still runs and waits for it."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False

    def spawn(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Starts `work`. After `close` the coroutine is closed unrun and a cancelled task is returned."""
        if self._closed:
            work.close()
            task = asyncio.get_running_loop().create_task(asyncio.sleep(0), name=name)
            task.cancel()
            return task
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if task.cancelled():
            return
        failure = task.exception()
        if failure is not None:
            log.error("background task failed", task=task.get_name(), exc_info=failure)

    async def close(self) -> None:
        self._closed = True
        running = [task for task in self._running if task is not asyncio.current_task()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def together(work: Sequence[Coroutine[Any, Any, R]]) -> list[R]:
    """Runs all side by side; the results in the order of `work`. The first that raises ends the others."""
    if len(work) == 1:
        return [await work[0]]
    try:
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(one) for one in work]
    except BaseExceptionGroup as failed:
        raise _first(failed) from failed
    return [task.result() for task in running]


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
