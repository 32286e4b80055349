"""`_tasks`: what runs on this node now, and stopping it. Tests: tests/security/test_task_actions.py."""

from __future__ import annotations

from hanse.errors import IllegalArgumentError, ResourceNotFoundError
from hanse.security import requests
from hanse.security.running import RunningActions, TaskInfo
from hanse.transport.actions import ActionRegistry, Call


class TaskActions:
    """Handlers over the gate's registry of running actions."""

    def __init__(self, running: RunningActions) -> None:
        self._running = running

    def register(self, registry: ActionRegistry) -> None:
        registry.register(requests.LIST_TASKS, self.list_tasks)
        registry.register(requests.GET_TASK, self.get)
        registry.register(requests.CANCEL_TASKS, self.cancel)

    async def list_tasks(self, call: Call, request: requests.ListTasks) -> list[TaskInfo]:
        parent = None if request.parent_task_id is None else self._number(request.parent_task_id)
        return self._running.matching(request.actions, parent)

    async def get(self, call: Call, request: requests.TaskId) -> TaskInfo:
        return self._running.get(self._number(request.id))

    async def cancel(self, call: Call, request: requests.CancelTasks) -> list[TaskInfo]:
        if request.id is not None:
            return [self._running.cancel(self._number(request.id))]
        return self._running.cancel_matching(request.actions, except_id=call.task_id)

    def _number(self, task_id: str) -> int:
        node, colon, number = task_id.rpartition(":")
        if not colon or not number.isdigit():
            raise IllegalArgumentError(f"malformed task id {task_id}")
        if node != self._running.node_id():
            raise ResourceNotFoundError(
                f"task [{task_id}] belongs to the node [{node}] which isn't part of the cluster and there is no record "
                f"of the task"
            )
        return int(number)
