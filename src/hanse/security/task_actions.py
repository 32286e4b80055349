"""`_tasks`: what runs on all nodes now, and stopping it. Tests: tests/security/test_task_actions.py."""

from __future__ import annotations

from typing import Any

from hanse.errors import IllegalArgumentError, ResourceNotFoundError
from hanse.security import requests
from hanse.security.every_node import AskNodes
from hanse.security.requests import CancelTasks, ListTasks, TaskId, Tasks
from hanse.security.running import RunningActions, TaskInfo
from hanse.transport.actions import Action, ActionRegistry, Call


class TaskActions:
    """Handlers over the gates' registries of running actions: of every node, and of this one."""

    def __init__(self, running: RunningActions, ask_nodes: AskNodes) -> None:
        self._running = running
        self._ask_nodes = ask_nodes

    def register(self, registry: ActionRegistry) -> None:
        registry.register(requests.LIST_TASKS, self.list_tasks)
        registry.register(requests.GET_TASK, self.get)
        registry.register(requests.CANCEL_TASKS, self.cancel)
        registry.register(requests.LIST_TASKS_OF_NODE, self.list_here)
        registry.register(requests.GET_TASK_OF_NODE, self.get_here)
        registry.register(requests.CANCEL_TASKS_OF_NODE, self.cancel_here)

    # -- on all nodes

    async def list_tasks(self, call: Call, request: ListTasks) -> Tasks:
        if request.parent_task_id is not None:
            _split(request.parent_task_id)
        return await self._from_each(call, requests.LIST_TASKS_OF_NODE, request)

    async def get(self, call: Call, request: TaskId) -> TaskInfo:
        found: TaskInfo = await self._from_one(call, requests.GET_TASK_OF_NODE, request.id, request)
        return found

    async def cancel(self, call: Call, request: CancelTasks) -> Tasks:
        if request.id is None:
            return await self._from_each(call, requests.CANCEL_TASKS_OF_NODE, request)
        cancelled: Tasks = await self._from_one(call, requests.CANCEL_TASKS_OF_NODE, request.id, request)
        return cancelled

    async def _from_each(self, call: Call, action: Action[Any, Tasks], request: ListTasks | CancelTasks) -> Tasks:
        asked = await self._ask_nodes(call, request.nodes, action, request, request.timeout_s)
        return Tasks([task for answer in asked.answers.values() for task in answer.tasks], asked.shown_failures())

    async def _from_one(self, call: Call, action: Action[Any, Any], id: str, request: Any) -> Any:
        """From the node that is in the task's id. Raises what it says, ResourceNotFoundError when there is none."""
        node, _ = _split(id)
        asked = await self._ask_nodes(call, (node,), action, request, None)
        if node in asked.failures:
            raise asked.failures[node]
        if node not in asked.answers:
            raise ResourceNotFoundError(
                f"task [{id}] belongs to the node [{node}] which isn't part of the cluster and there is no record "
                f"of the task"
            )
        return asked.answers[node]

    # -- here

    async def list_here(self, call: Call, request: ListTasks) -> Tasks:
        return Tasks(self._running.matching(request.actions, request.parent_task_id))

    async def get_here(self, call: Call, request: TaskId) -> TaskInfo:
        return self._running.get(_split(request.id)[1])

    async def cancel_here(self, call: Call, request: CancelTasks) -> Tasks:
        if request.id is not None:
            return Tasks([self._running.cancel(_split(request.id)[1])])
        spare = requests.CANCEL_TASKS.name
        return Tasks(self._running.cancel_matching(request.actions, request.parent_task_id, spare=spare))


def _split(task_id: str) -> tuple[str, int]:
    node, colon, number = task_id.rpartition(":")
    if not colon or not number.isdigit():
        raise IllegalArgumentError(f"malformed task id {task_id}")
    return node, int(number)
