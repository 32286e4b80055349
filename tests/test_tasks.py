import asyncio

from hanse.tasks import Tasks


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
