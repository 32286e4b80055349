"""The pages of `_cat` about the cluster: health, nodes, disks, tasks.

Tests: tests/rest/test_cat.py, tests/journeys/.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from hanse.cluster import requests as cluster
from hanse.cluster.node_actions import NO_SECTIONS
from hanse.cluster.requests import Health, ReadNodes, ReadState
from hanse.rest.cat_table import Table, columns
from hanse.rest.request import RestRequest
from hanse.security.requests import LIST_TASKS, ListTasks
from hanse.security.running import TaskInfo
from hanse.transport.actions import Empty


async def health(request: RestRequest) -> Table:
    """`ts=false` leaves the two columns of the time out."""
    with_time = request.flag("ts", True)
    health = await request.run(cluster.HEALTH, Health())
    now = datetime.now(UTC)
    table = Table(
        columns(
            "epoch|t,time|seconds since 1970-01-01 00:00:00",
            "timestamp|ts,hms,hhmmss|time in HH:MM:SS",
            "cluster|cl|cluster name",
            "status|st|health status",
            "node.total|nt,nodeTotal|total number of nodes|number",
            "node.data|nd,nodeData|number of nodes that can store data|number",
            "shards|t,sh,shards.total,shardsTotal|total number of shards|number",
            "pri|p,shards.primary,shardsPrimary|number of primary shards|number",
            "relo|r,shards.relocating,shardsRelocating|number of relocating nodes|number",
            "init|i,shards.initializing,shardsInitializing|number of initializing nodes|number",
            "unassign|u,shards.unassigned,shardsUnassigned|number of unassigned shards|number",
            "unassign.pri|up,shards.unassigned.primary|number of unassigned primary shards|number",
            "pending_tasks|pt,pendingTasks|number of pending tasks|number",
            "max_task_wait_time|mtwt,maxTaskWaitTime|wait time of longest task pending|number",
            "active_shards_percent|asp,activeShardsPercent|active number of shards in percent|number",
        )
    )
    table.rows.append(
        {
            "epoch": int(now.timestamp()),
            "timestamp": now.strftime("%H:%M:%S"),
            "cluster": health["cluster_name"],
            "status": health["status"],
            "node.total": health["number_of_nodes"],
            "node.data": health["number_of_data_nodes"],
            "shards": health["active_shards"],
            "pri": health["active_primary_shards"],
            "relo": health["relocating_shards"],
            "init": health["initializing_shards"],
            "unassign": health["unassigned_shards"],
            "unassign.pri": health["unassigned_primary_shards"],
            "pending_tasks": 0,
            "max_task_wait_time": "-",
            "active_shards_percent": f"{health['active_shards_percent_as_number']:.1f}%",
        }
    )
    return table if with_time else replace(table, columns=table.columns[2:])


async def nodes(request: RestRequest) -> Table:
    full_id = request.flag("full_id")
    info = await request.run(cluster.NODES_INFO, ReadNodes(metrics=("http",)))
    stats = await request.run(cluster.NODES_STATS, ReadNodes(metrics=("os", "process", "jvm", "fs")))
    state = await request.run(cluster.STATE, ReadState(metrics=("master_node",)))
    table = Table(
        columns(
            "id|id,nodeId|unique node id||hidden",
            "ip|i|ip address",
            "heap.percent|hp,heapPercent|used heap ratio|number",
            "ram.percent|rp,ramPercent|used machine memory ratio|number",
            "cpu||recent cpu usage|number",
            "load_1m|l|1m load avg|number",
            "load_5m|l|5m load avg|number",
            "load_15m|l|15m load avg|number",
            "node.role|r,role,nodeRole|m:master eligible node, d:data node, i:ingest node, -:coordinating node only",
            "master|m|*:current master",
            "name|n|node name",
            "port|po|bound transport port|number|hidden",
            "http_address|http|bound http address||hidden",
            "version|v|es version||hidden",
            "disk.total|dt,diskTotal|total disk space|bytes|hidden",
            "disk.avail|d,da,disk,diskAvail|available disk space|bytes|hidden",
            "disk.used|du,diskUsed|used disk space|bytes|hidden",
            "disk.used_percent|dup,diskUsedPercent|used disk space percentage|number|hidden",
            "heap.current|hc,heapCurrent|used memory|bytes|hidden",
            "heap.max|hm,heapMax|machine memory|bytes|hidden",
            "file_desc.current|fdc,fileDescriptorCurrent|used file descriptors|number|hidden",
            "file_desc.percent|fdp,fileDescriptorPercent|used file descriptor ratio|number|hidden",
            "file_desc.max|fdm,fileDescriptorMax|max file descriptors|number|hidden",
            "uptime|u|node uptime|time|hidden",
        )
    )
    for node_id, node in info["nodes"].items():
        measured = stats["nodes"].get(node_id)
        if measured is None:  # it left, or does not answer
            continue
        system = measured["os"]
        load = system["cpu"]["load_average"]
        disk, heap, process = measured["fs"]["total"], measured["jvm"]["mem"], measured["process"]
        used = disk["total_in_bytes"] - disk["available_in_bytes"]
        table.rows.append(
            {
                "id": node_id if full_id else node_id[:4],
                "ip": node["ip"],
                "heap.percent": heap["heap_used_percent"],
                "ram.percent": system["mem"]["used_percent"],
                "cpu": system["cpu"]["percent"],
                "load_1m": load["1m"],
                "load_5m": load["5m"],
                "load_15m": load["15m"],
                "node.role": _role_letters(node["roles"]),
                "master": "*" if node_id == state["master_node"] else "-",
                "name": node["name"],
                "port": node["transport_address"].rpartition(":")[2],
                "http_address": node["http"]["publish_address"],
                "version": node["version"],
                "disk.total": disk["total_in_bytes"],
                "disk.avail": disk["available_in_bytes"],
                "disk.used": used,
                "disk.used_percent": f"{used * 100 / max(1, disk['total_in_bytes']):.2f}",
                "heap.current": heap["heap_used_in_bytes"],
                "heap.max": heap["heap_max_in_bytes"],
                "file_desc.current": process["open_file_descriptors"],
                "file_desc.percent": process["open_file_descriptors"] * 100 // max(1, process["max_file_descriptors"]),
                "file_desc.max": process["max_file_descriptors"],
                "uptime": measured["jvm"]["uptime_in_millis"] / 1000,
            }
        )
    return table


_ROLE_LETTERS = {
    "data": "d",
    "data_cold": "c",
    "data_content": "s",
    "data_frozen": "f",
    "data_hot": "h",
    "data_warm": "w",
    "index": "I",
    "ingest": "i",
    "master": "m",
    "ml": "l",
    "remote_cluster_client": "r",
    "search": "S",
    "transform": "t",
    "voting_only": "v",
}


def _role_letters(roles: list[str]) -> str:
    """A node without a role only passes requests on."""
    return "".join(sorted(_ROLE_LETTERS.get(role, "") for role in roles)) or "-"


async def master(request: RestRequest) -> Table:
    state = await request.run(cluster.STATE, ReadState(metrics=("master_node", "nodes")))
    table = Table(columns("id||node id", "host|h|host name", "ip||ip address", "node|n|node name"))
    node = state["nodes"].get(state["master_node"])
    if node is not None:
        host = node["transport_address"].rpartition(":")[0]
        table.rows.append({"id": state["master_node"], "host": host, "ip": host, "node": node["name"]})
    return table


async def allocation(request: RestRequest) -> Table:
    stats = await request.run(cluster.NODES_STATS, ReadNodes(request.names("node"), ("fs", "indices")))
    state = await request.run(cluster.STATE, ReadState(metrics=("routing_nodes",)))
    table = Table(
        columns(
            "shards|s|number of shards on node|number",
            "shards.undesired||number of shards that are scheduled to be moved|number",
            "write_load.forecast|wlf|sum of index write load forecasts|number",
            "disk.indices.forecast|dif|sum of shard size forecasts|bytes",
            "disk.indices|di,diskIndices|disk used by ES indices|bytes",
            "disk.used|du,diskUsed|disk used (total, not just ES)|bytes",
            "disk.avail|da,diskAvail|disk available|bytes",
            "disk.total|dt,diskTotal|total capacity of all volumes|bytes",
            "disk.percent|dp,diskPercent|percent disk used|number",
            "host|h|host of node",
            "ip||ip of node",
            "node|n|name of node",
            "node.role|r|node roles",
        )
    )
    for node_id, node in stats["nodes"].items():
        disk = node["fs"]["total"]
        used = disk["total_in_bytes"] - disk["available_in_bytes"]
        table.rows.append(
            {
                "shards": len(state["routing_nodes"]["nodes"].get(node_id, ())),
                "shards.undesired": 0,
                "write_load.forecast": 0.0,
                "disk.indices.forecast": 0,
                "disk.indices": node["indices"]["store"]["size_in_bytes"],
                "disk.used": used,
                "disk.avail": disk["available_in_bytes"],
                "disk.total": disk["total_in_bytes"],
                "disk.percent": used * 100 // max(1, disk["total_in_bytes"]),
                "host": node["host"],
                "ip": node["host"],
                "node": node["name"],
                "node.role": _role_letters(node["roles"]),
            }
        )
    unassigned = len(state["routing_nodes"]["unassigned"])
    if unassigned and not request.has_path("node"):
        table.rows.append({"shards": unassigned, "node": "UNASSIGNED"})
    return table


async def nodeattrs(request: RestRequest) -> Table:
    info = await request.run(cluster.NODES_INFO, ReadNodes(metrics=("process",)))
    table = Table(
        columns(
            "node|name|node name",
            "id|id,nodeId|unique node id||hidden",
            "pid|p|process id|number|hidden",
            "host|h|host name",
            "ip|i|ip address",
            "port|po|bound transport port|number|hidden",
            "attr|attr.name|attribute description",
            "value|attr.value|attribute value",
        )
    )
    for node_id, node in info["nodes"].items():
        for name, value in sorted(node["attributes"].items()):
            table.rows.append(
                {
                    "node": node["name"],
                    "id": node_id[:4],
                    "pid": node["process"]["id"],
                    "host": node["host"],
                    "ip": node["ip"],
                    "port": node["transport_address"].rpartition(":")[2],
                    "attr": name,
                    "value": value,
                }
            )
    return table


async def plugins(request: RestRequest) -> Table:
    await request.run(cluster.NODES_INFO, ReadNodes(metrics=("plugins",)))
    return Table(
        columns(
            "id||unique node id||hidden",
            "name|n|node name",
            "component|c|component",
            "version|v|component version",
            "description|d|plugin details||hidden",
        )
    )


async def pending_tasks(request: RestRequest) -> Table:
    await request.run(cluster.PENDING_TASKS, Empty())
    return Table(
        columns(
            "insertOrder|o|task insertion order|number",
            "timeInQueue|t|how long task has been in queue|number",
            "priority|p|task priority",
            "source|s|task source",
        )
    )


async def thread_pool(request: RestRequest) -> Table:
    """Elasticsearch's pools have no counterpart here; the two that do work are shown under its names."""
    wanted = request.names("pools")
    stats = await request.run(cluster.NODES_STATS, ReadNodes(metrics=("thread_pool",)))
    table = Table(
        columns(
            "node_name|nn|node name",
            "node_id|id|persistent node id||hidden",
            "name|n|thread pool name",
            "active|a|number of active threads|number",
            "queue|q|number of tasks currently in queue|number",
            "rejected|r|number of rejected tasks|number",
            "completed|c|number of completed tasks|number|hidden",
        )
    )
    for node_id, node in stats["nodes"].items():
        for pool, measured in node["thread_pool"].items():
            if not wanted or any(fnmatchcase(pool, name) for name in wanted):
                table.rows.append(
                    {
                        "node_name": node["name"],
                        "node_id": node_id[:4],
                        "name": pool,
                        **{name: measured[name] for name in ("active", "queue", "rejected", "completed")},
                    }
                )
    return table


async def repositories(request: RestRequest) -> Table:
    await request.run(cluster.STATE, ReadState(metrics=("version",)))
    return Table(columns("id|id,repoId|unique repository id", "type|t,type|repository type"))


async def tasks(request: RestRequest) -> Table:
    actions, detailed = tuple(request.list("actions")), request.flag("detailed")
    asked = ListTasks(actions, request.text("parent_task_id"), request.names("nodes"))
    found: list[TaskInfo] = (await request.run(LIST_TASKS, asked)).tasks
    nodes = (await request.run(cluster.NODES_INFO, ReadNodes(metrics=NO_SECTIONS)))["nodes"]
    table = Table(
        columns(
            "id||id of the task with the node||hidden",
            "action|ac|task action",
            "task_id|ti|unique task id",
            "parent_task_id|pti|parent task id",
            "type|ty|task type",
            "start_time|start|start time in ms",
            "timestamp|ts,hms,hhmmss|start time in HH:MM:SS",
            "running_time_ns||running time ns|number|hidden",
            "running_time|time|running time|time",
            "node_id|ni|unique node id||hidden",
            "ip|i|ip address",
            "port|po|bound transport port||hidden",
            "node|n|node name",
            "version|v|es version||hidden",
            "x_opaque_id|x|X-Opaque-ID header||hidden",
            f"description|desc|task action|{'text' if detailed else 'text|hidden'}",
        )
    )
    for task in found:
        node = nodes.get(task.node, {})
        started = datetime.fromtimestamp(task.start_time_in_millis / 1000, UTC)
        table.rows.append(
            {
                "id": task.id,
                "action": task.action,
                "task_id": task.full_id,
                "parent_task_id": task.parent_task_id or "-",
                "type": task.type,
                "start_time": task.start_time_in_millis,
                "timestamp": started.strftime("%H:%M:%S"),
                "running_time_ns": task.running_time_in_nanos,
                "running_time": task.running_time_in_nanos / 1e9,
                "node_id": task.node[:4],
                "ip": node.get("ip"),
                "port": node.get("transport_address", "").rpartition(":")[2],
                "node": node.get("name"),
                "version": node.get("version"),
                "x_opaque_id": task.headers.get("X-Opaque-Id"),
                "description": task.description,
            }
        )
    return table
