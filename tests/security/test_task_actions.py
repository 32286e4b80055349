from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from hanse.errors import HanseError, TaskCancelledError
from hanse.security import requests
from hanse.security.running import RunningActions
from hanse.transport.actions import Action, Call, Scope

from .conftest import REST, Cluster, Names, user

BOSS = user("boss", "superuser")
SLOW = Action("cluster:monitor/slow", Names, list[str], Scope.CLUSTER)
OUTER = Action("cluster:monitor/outer", Names, list[str], Scope.CLUSTER)


async def test_list_get_cancel(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster()
    started = asyncio.Event()

    async def slow(call: Call, request: Names) -> list[str]:
        started.set()
        await asyncio.Event().wait()
        return []

    async def outer(call: Call, request: Names) -> Any:
        return await call.run(SLOW, Names())

    cluster.registry.register(SLOW, slow)
    cluster.registry.register(OUTER, outer)

    async def run(action: Action[Any, Any], request: Any) -> Any:
        return await cluster.gate.run(action, request, BOSS, REST)

    work = asyncio.get_running_loop().create_task(run(OUTER, Names(("x",))))
    await started.wait()
    parent, child, own, own_part = (await run(requests.LIST_TASKS, requests.ListTasks())).tasks
    assert [task.action for task in (parent, child)] == [OUTER.name, SLOW.name]
    assert [task.action for task in (own, own_part)] == [requests.LIST_TASKS.name, requests.LIST_TASKS_OF_NODE.name]
    assert child.parent_task_id == parent.full_id
    parts = await run(requests.LIST_TASKS, requests.ListTasks(parent_task_id=parent.full_id))
    assert [task.full_id for task in parts.tasks] == [child.full_id]
    assert (await run(requests.GET_TASK, requests.TaskId(parent.full_id))).action == OUTER.name
    (cancelled,) = (await run(requests.CANCEL_TASKS, requests.CancelTasks(parent.full_id))).tasks
    assert cancelled.full_id == parent.full_id
    with pytest.raises(TaskCancelledError):
        await work
    assert len(cluster.gate.running) == 0
    for bad, status in (("n1:999", 404), ("other:1", 404), ("x", 400), ("n1:y", 400)):
        with pytest.raises(HanseError) as caught:
            await run(requests.GET_TASK, requests.TaskId(bad))
        assert caught.value.status == status


async def test_cancelling_by_name_spares_itself(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster()
    answer = await cluster.gate.run(requests.CANCEL_TASKS, requests.CancelTasks(actions=("*",)), BOSS, REST)
    assert answer.tasks == []


async def test_what_searches_and_writes_is_counted_once() -> None:
    running = RunningActions(lambda: "n1")
    search = running.start("indices:data/read/search", None, BOSS)
    running.start("indices:data/read/search[phase/query]", None, BOSS, search.id)
    running.start("indices:data/write/bulk[s][p]", None, BOSS, "n2:7")
    assert {name: pool["active"] for name, pool in running.pools().items()} == {"search": 1, "write": 1}
    (part,) = running.matching(parent="n2:7")
    assert (part.action, part.parent_task_id) == ("indices:data/write/bulk[s][p]", "n2:7")
    assert [task.full_id for task in running.matching(("*",), "n1:1")] == ["n1:2"]
