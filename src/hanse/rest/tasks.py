"""`_tasks`: what runs on the nodes, and stopping it.

Tests: tests/rest/test_tasks.py, tests/journeys/.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hanse.cluster.broadcast import TIMEOUT_S
from hanse.cluster.node_actions import NO_SECTIONS
from hanse.cluster.requests import NODES_INFO, ReadNodes
from hanse.errors import IllegalArgumentError
from hanse.rest.request import RestRequest, RestResponse
from hanse.rest.routes import Routes
from hanse.security.requests import CANCEL_TASKS, GET_TASK, LIST_TASKS, CancelTasks, ListTasks, TaskId, Tasks
from hanse.security.running import TaskInfo


def register(routes: Routes) -> None:
    routes.add("GET", "/_tasks", list_tasks)
    routes.add("GET", "/_tasks/{task_id}", get_task)
    routes.add("POST", "/_tasks/_cancel", cancel)
    routes.add("POST", "/_tasks/{task_id}/_cancel", cancel)


async def list_tasks(request: RestRequest) -> RestResponse:
    """Grouped by nodes, or under their parents, or in one list."""
    request.accept("wait_for_completion", "local")
    group_by = request.text("group_by") or "nodes"
    if group_by not in ("nodes", "parents", "none"):
        raise IllegalArgumentError(f"[group_by] must be one of [nodes], [parents] or [none] but was [{group_by}]")
    detailed = request.flag("detailed")
    asked = ListTasks(
        tuple(request.list("actions")),
        request.text("parent_task_id"),
        tuple(request.list("nodes")),
        request.time_s("timeout", TIMEOUT_S),
    )
    found: Tasks = await request.run(LIST_TASKS, asked)
    if group_by == "none":
        return _answer(found, {"tasks": [_shown(task, detailed=detailed) for task in found.tasks]})
    if group_by == "parents":
        return _answer(found, {"tasks": _under_parents(found.tasks, detailed=detailed)})
    return _answer(found, {"nodes": await _by_node(request, found.tasks, detailed=detailed)})


async def get_task(request: RestRequest) -> RestResponse:
    request.accept("timeout", "wait_for_completion")
    task = await request.run(GET_TASK, TaskId(request.path("task_id")))
    return RestResponse.json({"completed": False, "task": _shown(task, detailed=True)})


async def cancel(request: RestRequest) -> RestResponse:
    request.accept("wait_for_completion")
    task_id = request.path("task_id") if request.has_path("task_id") else None
    asked = CancelTasks(
        task_id,
        tuple(request.list("actions")),
        request.text("parent_task_id"),
        tuple(request.list("nodes")),
        request.time_s("timeout", TIMEOUT_S),
    )
    found: Tasks = await request.run(CANCEL_TASKS, asked)
    return _answer(found, {"nodes": await _by_node(request, found.tasks, detailed=True)})


def _answer(found: Tasks, shown: dict[str, Any]) -> RestResponse:
    failures = {"node_failures": found.node_failures} if found.node_failures else {}
    return RestResponse.json({**failures, **shown})


def _under_parents(tasks: list[TaskInfo], *, detailed: bool) -> dict[str, Any]:
    """Those without a parent among the found, each with its parts below `children`."""
    entries = {task.full_id: _shown(task, detailed=detailed) for task in tasks}
    for task in tasks:
        parent = entries.get(task.parent_task_id or "")
        if parent is not None:
            parent.setdefault("children", []).append(entries[task.full_id])
    return {task.full_id: entries[task.full_id] for task in tasks if task.parent_task_id not in entries}


async def _by_node(request: RestRequest, tasks: list[TaskInfo], *, detailed: bool) -> dict[str, Any]:
    info = await request.run(NODES_INFO, ReadNodes(metrics=NO_SECTIONS))
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
        entry["tasks"][task.full_id] = _shown(task, detailed=detailed)
    return nodes


def _shown(task: TaskInfo, *, detailed: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {k: v for k, v in msgspec.to_builtins(task).items() if v is not None}
    if not detailed:
        del shown["description"]
    return shown
