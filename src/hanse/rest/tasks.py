"""`_tasks`: what runs on this node, and stopping it.

Tests: tests/rest/test_tasks.py, tests/journeys/.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hanse.cluster.requests import NODES_INFO, ReadNodes
from hanse.rest.request import RestRequest, RestResponse
from hanse.rest.routes import Routes
from hanse.security.requests import CANCEL_TASKS, GET_TASK, LIST_TASKS, CancelTasks, ListTasks, TaskId
from hanse.security.running import TaskInfo


def register(routes: Routes) -> None:
    routes.add("GET", "/_tasks", list_tasks)
    routes.add("GET", "/_tasks/{task_id}", get_task)
    routes.add("POST", "/_tasks/_cancel", cancel)
    routes.add("POST", "/_tasks/{task_id}/_cancel", cancel)


async def list_tasks(request: RestRequest) -> RestResponse:
    request.accept("detailed", "nodes", "timeout", "wait_for_completion", "local")
    group_by = request.text("group_by") or "nodes"
    tasks: list[TaskInfo] = await request.run(
        LIST_TASKS, ListTasks(tuple(request.list("actions")), request.text("parent_task_id"))
    )
    if group_by == "none":
        return RestResponse.json({"tasks": [_shown(task) for task in tasks]})
    if group_by == "parents":
        return RestResponse.json({"tasks": {f"{task.node}:{task.id}": _shown(task) for task in tasks}})
    return RestResponse.json({"nodes": await _by_node(request, tasks)})


async def get_task(request: RestRequest) -> RestResponse:
    request.accept("timeout", "wait_for_completion")
    task = await request.run(GET_TASK, TaskId(request.path("task_id")))
    return RestResponse.json({"completed": False, "task": _shown(task)})


async def cancel(request: RestRequest) -> RestResponse:
    request.accept("nodes", "parent_task_id", "wait_for_completion")
    task_id = request.path("task_id") if request.has_path("task_id") else None
    tasks = await request.run(CANCEL_TASKS, CancelTasks(task_id, tuple(request.list("actions"))))
    return RestResponse.json({"nodes": await _by_node(request, tasks)})


async def _by_node(request: RestRequest, tasks: list[TaskInfo]) -> dict[str, Any]:
    info = await request.run(NODES_INFO, ReadNodes(metrics=("_none",)))
    nodes: dict[str, Any] = {}
    for task in tasks:
        node = info["nodes"].get(task.node, {})
        entry = nodes.setdefault(
            task.node,
            {
                "name": node.get("name"),
                "transport_address": node.get("transport_address"),
                "host": node.get("host"),
                "ip": node.get("ip"),
                "roles": node.get("roles", []),
                "tasks": {},
            },
        )
        entry["tasks"][f"{task.node}:{task.id}"] = _shown(task)
    return nodes


def _shown(task: TaskInfo) -> dict[str, Any]:
    shown: dict[str, Any] = {k: v for k, v in msgspec.to_builtins(task).items() if v is not None}
    return shown
