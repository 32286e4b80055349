import asyncio

import pytest

from hanse.tasks import Tasks, together


async def test_close_cancels_what_runs() -> None:
    tasks = Tasks()
    ended = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    task = tasks.spawn("forever", forever())
    await asyncio.sleep(0)
    await tasks.close()
    assert task.cancelled()
    assert ended == ["cancelled"]


async def test_nothing_starts_after_close() -> None:
    tasks = Tasks()
    await tasks.close()

    async def work() -> None:
        raise AssertionError("must not run")

    task = tasks.spawn("late", work())
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()


async def test_a_failing_task_does_not_take_others_along() -> None:
    tasks = Tasks()
    done = asyncio.Event()

    async def fails() -> None:
        raise ValueError("on purpose")

    async def works() -> None:
        done.set()

    tasks.spawn("fails", fails())
    tasks.spawn("works", works())
    await asyncio.wait_for(done.wait(), 5)
    await tasks.close()


async def test_together_gives_results_in_order_and_ends_the_others_when_one_fails() -> None:
    async def after(turns: int, result: int) -> int:
        for _ in range(turns):
            await asyncio.sleep(0)
        return result

    assert await together([after(3, 1), after(1, 2)]) == [1, 2]
    ended = asyncio.Event()

    async def for_ever() -> int:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return 0

    async def fails() -> int:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await together([for_ever(), fails()])
    assert ended.is_set()
