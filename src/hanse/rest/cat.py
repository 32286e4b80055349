"""`_cat`: what operators read in a terminal. Each page runs the same actions as its JSON sister.

Tests: tests/rest/test_cat.py, tests/journeys/.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

import orjson

from hanse.cluster import requests as cluster
from hanse.cluster.requests import Health, ReadNodes, ReadState
from hanse.index.administration import requests as indices
from hanse.index.administration.requests import ByName, ByNames, GetAliases, Stats
from hanse.rest.cat_table import Column, Table
from hanse.rest.request import RestRequest, RestResponse
from hanse.rest.routes import Routes
from hanse.search.merge import render_count
from hanse.search.parameters import count_request
from hanse.search.request import SEARCH
from hanse.transport.actions import Empty, IndicesOptions

_EVERYTHING = IndicesOptions(expand_closed=True, forbid_closed_indices=False)
Page = Callable[[RestRequest], Awaitable[Table]]


def register(routes: Routes) -> None:
    pages: dict[str, tuple[Page, tuple[str, ...]]] = {
        "indices": (_indices, ("index",)),
        "health": (_health, ()),
        "nodes": (_nodes, ()),
        "shards": (_shards, ("index",)),
        "aliases": (_aliases, ("name",)),
        "count": (_count, ("index",)),
        "master": (_master, ()),
        "cluster_manager": (_master, ()),
        "allocation": (_allocation, ("node",)),
        "templates": (_templates, ("name",)),
        "nodeattrs": (_nodeattrs, ()),
        "plugins": (_plugins, ()),
        "pending_tasks": (_pending_tasks, ()),
        "thread_pool": (_thread_pool, ("pools",)),
        "recovery": (_recovery, ("index",)),
        "segments": (_segments, ("index",)),
        "fielddata": (_fielddata, ("fields",)),
        "repositories": (_repositories, ()),
    }
    routes.add("GET", "/_cat", _listing(sorted(pages)))
    for name, (page, parameters) in pages.items():
        handler = _rendered(page)
        routes.add("GET", f"/_cat/{name}", handler)
        for parameter in parameters:
            routes.add("GET", f"/_cat/{name}/{{{parameter}}}", handler)


def _listing(names: list[str]) -> Any:
    async def handler(request: RestRequest) -> RestResponse:
        return RestResponse.text("=^.^=\n" + "".join(f"/_cat/{name}\n" for name in names))

    return handler


def _rendered(page: Page) -> Any:
    async def handler(request: RestRequest) -> RestResponse:
        """`v`, `h`, `s`, `help`, `format`, `bytes`; JSON also when the Accept header asks for it."""
        request.accept("local", "master_timeout", "time", "ts", "pri", "full_id", "include_unloaded_segments", "size")
        request.accept("expand_wildcards", "active_only", "detailed", "timeout", "health", "include_bootstrap")
        help_wanted, header = request.flag("help"), request.flag("v")
        names, keys = tuple(request.list("h")), tuple(request.list("s"))
        unit, wanted = request.text("bytes"), request.text("format")
        table = await page(request)
        if help_wanted:
            return RestResponse.text(table.help_text())
        table.sort(keys)
        if (wanted or request.accepted_format) == "json":
            return RestResponse.json(table.objects(names, unit=unit))
        return RestResponse.text(table.text(names, header=header, unit=unit))

    return handler


def _columns(*specifications: str) -> tuple[Column, ...]:
    """`name|aliases|help|kind|hidden`, short enough to read as a table."""
    columns = []
    for specification in specifications:
        name, aliases, text, kind, hidden = (specification + "||||").split("|")[:5]
        columns.append(
            Column(name, text, tuple(alias for alias in aliases.split(",") if alias), kind or "text", bool(hidden))
        )
    return tuple(columns)


async def _indices(request: RestRequest) -> Table:
    names, health = request.names("index"), request.text("health")
    found = await request.run(indices.GET_INDEX, ByNames(names, request.indices_options(_EVERYTHING)))
    chosen = tuple(found)
    statistics = await request.run(indices.STATS, Stats(chosen, _EVERYTHING)) if chosen else {"indices": {}}
    table = Table(
        _columns(
            "health|h|current health status",
            "status|s|open/close status",
            "index|i,idx|index name",
            "uuid|id,uuid|index uuid",
            "pri|p,shards.primary,shardsPrimary|number of primary shards|number",
            "rep|r,shards.replica,shardsReplica|number of replica shards|number",
            "docs.count|dc,docsCount|available docs|number",
            "docs.deleted|dd,docsDeleted|deleted docs|number",
            "store.size|ss,storeSize|store size of primaries & replicas|bytes",
            "pri.store.size||store size of primaries|bytes",
            "dataset.size||total size of dataset|bytes",
            "creation.date|cd|index creation date (millisecond value)|number|hidden",
            "creation.date.string|cds|index creation date (as string)||hidden",
        )
    )
    for name in sorted(found):
        settings = found[name]["settings"]
        entry = statistics["indices"].get(name)
        total = entry["total"] if entry else {}
        size = total.get("store", {}).get("size_in_bytes")
        created = int(settings["index.creation_date"])
        row = {
            "health": entry["health"] if entry else "green",
            "status": "open" if entry else "close",
            "index": name,
            "uuid": settings["index.uuid"],
            "pri": settings["index.number_of_shards"],
            "rep": settings["index.number_of_replicas"],
            "docs.count": total.get("docs", {}).get("count"),
            "docs.deleted": total.get("docs", {}).get("deleted"),
            "store.size": size,
            "pri.store.size": size,
            "dataset.size": size,
            "creation.date": created,
            "creation.date.string": _iso(created),
        }
        if health is None or row["health"] == health:
            table.rows.append(row)
    return table


async def _health(request: RestRequest) -> Table:
    health = await request.run(cluster.HEALTH, Health())
    now = datetime.now(UTC)
    table = Table(
        _columns(
            "epoch|t,time|seconds since 1970-01-01 00:00:00|number",
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
            "relo": 0,
            "init": 0,
            "unassign": health["unassigned_shards"],
            "unassign.pri": 0,
            "pending_tasks": 0,
            "max_task_wait_time": "-",
            "active_shards_percent": f"{health['active_shards_percent_as_number']:.1f}%",
        }
    )
    return table


async def _nodes(request: RestRequest) -> Table:
    full_id = request.flag("full_id")
    info = await request.run(cluster.NODES_INFO, ReadNodes())
    stats = await request.run(cluster.NODES_STATS, ReadNodes())
    state = await request.run(cluster.STATE, ReadState(metrics=("master_node",)))
    table = Table(
        _columns(
            "id|id,nodeId|unique node id||hidden",
            "ip|i|ip address",
            "heap.percent|hp,heapPercent|used heap ratio|number",
            "ram.percent|rp,ramPercent|used machine memory ratio|number",
            "cpu||recent cpu usage|number",
            "load_1m|l|1m load avg|number",
            "load_5m|l|5m load avg|number",
            "load_15m|l|15m load avg|number",
            "node.role|r,role,nodeRole|d:data, i:ingest, m:master, r:remote cluster client",
            "master|m|*:current master",
            "name|n|node name",
            "port|po|bound transport port|number|hidden",
            "http_address|http|bound http address||hidden",
            "version|v|es version||hidden",
            "disk.total|dt,diskTotal|total disk space|bytes|hidden",
            "disk.avail|d,da,disk,diskAvail|available disk space|bytes|hidden",
            "heap.current|hc,heapCurrent|used memory|bytes|hidden",
        )
    )
    letters = {"data": "d", "ingest": "i", "master": "m", "remote_cluster_client": "r"}
    for node_id, node in info["nodes"].items():
        measured = stats["nodes"][node_id]
        load = measured["os"]["cpu"]["load_average"]
        table.rows.append(
            {
                "id": node_id if full_id else node_id[:4],
                "ip": node["ip"],
                "heap.percent": measured["jvm"]["mem"]["heap_used_percent"],
                "ram.percent": 0,
                "cpu": 0,
                "load_1m": load["1m"],
                "load_5m": load["5m"],
                "load_15m": load["15m"],
                "node.role": "".join(sorted(letters.get(role, "") for role in node["roles"])) or "-",
                "master": "*" if node_id == state["master_node"] else "-",
                "name": node["name"],
                "port": node["transport_address"].rpartition(":")[2],
                "http_address": node["http"]["publish_address"],
                "version": node["version"],
                "disk.total": measured["fs"]["total"]["total_in_bytes"],
                "disk.avail": measured["fs"]["total"]["available_in_bytes"],
                "heap.current": measured["jvm"]["mem"]["heap_used_in_bytes"],
            }
        )
    return table


async def _shards(request: RestRequest) -> Table:
    names = request.names("index")
    statistics = await request.run(indices.STATS, Stats(names, IndicesOptions(forbid_closed_indices=False)))
    state = await request.run(cluster.STATE, ReadState(metrics=("routing_table", "nodes")))
    table = Table(
        _columns(
            "index|i,idx|index name",
            "shard|s,sh|shard name|number",
            "prirep|p,pr,primaryOrReplica|primary or replica",
            "state|st|shard state",
            "docs|d,dc|number of docs in shard|number",
            "store|sto|store size of shard|bytes",
            "dataset||size of dataset|bytes",
            "ip||ip of node where it lives",
            "node|n|name of node where it lives",
            "id||unique id of node||hidden",
        )
    )
    for name in sorted(statistics["indices"]):
        for number, copies in state["routing_table"]["indices"][name]["shards"].items():
            measured = statistics["indices"][name]["shards"][number][0]
            for copy in copies:
                node = state["nodes"].get(copy["node"]) or {}
                size = measured["store"]["size_in_bytes"] if node else None
                table.rows.append(
                    {
                        "index": name,
                        "shard": int(number),
                        "prirep": "p" if copy["primary"] else "r",
                        "state": copy["state"],
                        "docs": measured["docs"]["count"] if node else None,
                        "store": size,
                        "dataset": size,
                        "ip": node.get("transport_address", "").rpartition(":")[0] or None,
                        "node": node.get("name"),
                        "id": copy["node"],
                    }
                )
    return table


async def _aliases(request: RestRequest) -> Table:
    answer = await request.run(
        indices.GET_ALIASES, GetAliases((), request.names("name"), request.indices_options(indices.LENIENT))
    )
    table = Table(
        _columns(
            "alias|a|alias name",
            "index|i,idx|index alias points to",
            "filter|f,fi|filter",
            "routing.index|ri,routingIndex|index routing",
            "routing.search|rs,routingSearch|search routing",
            "is_write_index|w,isWriteIndex|write index",
        )
    )
    for index, entry in answer["indices"].items():
        for alias, body in entry["aliases"].items():
            table.rows.append(
                {
                    "alias": alias,
                    "index": index,
                    "filter": "*" if "filter" in body else "-",
                    "routing.index": body.get("index_routing", "-"),
                    "routing.search": body.get("search_routing", "-"),
                    "is_write_index": str(body["is_write_index"]).lower() if "is_write_index" in body else "-",
                }
            )
    table.rows.sort(key=lambda row: (row["alias"], row["index"]))
    return table


async def _count(request: RestRequest) -> Table:
    options = request.indices_options(IndicesOptions())
    result = await request.run(SEARCH, count_request(request.names("index"), options, {}, b""))
    now = datetime.now(UTC)
    table = Table(
        _columns(
            "epoch|t,time|seconds since 1970-01-01 00:00:00|number",
            "timestamp|ts,hms,hhmmss|time in HH:MM:SS",
            "count|dc,docs.count,docsCount|the document count|number",
        )
    )
    count = orjson.loads(render_count(result))["count"]
    table.rows.append({"epoch": int(now.timestamp()), "timestamp": now.strftime("%H:%M:%S"), "count": count})
    return table


async def _master(request: RestRequest) -> Table:
    state = await request.run(cluster.STATE, ReadState(metrics=("master_node", "nodes")))
    table = Table(_columns("id||node id", "host|h|host name", "ip||ip address", "node|n|node name"))
    node = state["nodes"].get(state["master_node"])
    if node is not None:
        host = node["transport_address"].rpartition(":")[0]
        table.rows.append({"id": state["master_node"], "host": host, "ip": host, "node": node["name"]})
    return table


async def _allocation(request: RestRequest) -> Table:
    wanted = request.names("node")
    stats = await request.run(cluster.NODES_STATS, ReadNodes())
    state = await request.run(cluster.STATE, ReadState(metrics=("routing_nodes",)))
    table = Table(
        _columns(
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
        if wanted and not {"_all", "_local", "_master", node_id, node["name"]} & set(wanted):
            continue
        disk = node["fs"]["total"]
        used = disk["total_in_bytes"] - disk["available_in_bytes"]
        table.rows.append(
            {
                "shards": len(state["routing_nodes"]["nodes"].get(node_id, ())),
                "shards.undesired": 0,
                "write_load.forecast": 0.0,
                "disk.indices.forecast": 0,
                "disk.indices": 0,
                "disk.used": used,
                "disk.avail": disk["available_in_bytes"],
                "disk.total": disk["total_in_bytes"],
                "disk.percent": used * 100 // max(1, disk["total_in_bytes"]),
                "host": node["host"],
                "ip": node["host"],
                "node": node["name"],
                "node.role": "dimr",
            }
        )
    return table


async def _templates(request: RestRequest) -> Table:
    pattern = ",".join(request.names("name"))
    legacy = await request.run(indices.GET_LEGACY_TEMPLATE, ByName(""))
    composable = await request.run(indices.GET_INDEX_TEMPLATE, ByName(""))
    table = Table(
        _columns(
            "name|n|template name",
            "index_patterns|t|template index patterns",
            "order|o,p|template application order/priority number|number",
            "version|v|version|number",
            "composed_of|c|component templates comprising index template",
        )
    )
    entries: list[tuple[str, dict[str, Any], int, str | None]] = [
        (name, body, body.get("order", 0), "") for name, body in legacy.items()
    ]
    entries += [
        (entry["name"], entry["index_template"], entry["index_template"].get("priority", 0), None)
        for entry in composable["index_templates"]
    ]
    for name, body, order, composed in sorted(entries, key=lambda entry: entry[0]):
        if pattern and not _fits(name, pattern):
            continue
        shown = composed if composed is not None else "[" + ", ".join(body.get("composed_of") or ()) + "]"
        table.rows.append(
            {
                "name": name,
                "index_patterns": "[" + ", ".join(body["index_patterns"]) + "]",
                "order": order,
                "version": body.get("version"),
                "composed_of": shown,
            }
        )
    return table


def _fits(name: str, patterns: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns.split(","))


async def _nodeattrs(request: RestRequest) -> Table:
    info = await request.run(cluster.NODES_INFO, ReadNodes())
    table = Table(
        _columns(
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


async def _plugins(request: RestRequest) -> Table:
    await request.run(cluster.NODES_INFO, ReadNodes(metrics=("plugins",)))
    return Table(_columns("name|n|node name", "component|c|component", "version|v|component version"))


async def _pending_tasks(request: RestRequest) -> Table:
    await request.run(cluster.PENDING_TASKS, Empty())
    return Table(
        _columns(
            "insertOrder|o|task insertion order|number",
            "timeInQueue|t|how long task has been in queue|number",
            "priority|p|task priority",
            "source|s|task source",
        )
    )


async def _thread_pool(request: RestRequest) -> Table:
    """Elasticsearch's pools have no counterpart here; the two that do work are shown under its names."""
    wanted = request.names("pools")
    info = await request.run(cluster.NODES_INFO, ReadNodes())
    table = Table(
        _columns(
            "node_name|nn|node name",
            "node_id|id|persistent node id||hidden",
            "name|n|thread pool name",
            "active|a|number of active threads|number",
            "queue|q|number of tasks currently in queue|number",
            "rejected|r|number of rejected tasks|number",
            "completed|c|number of completed tasks|number|hidden",
        )
    )
    for node_id, node in info["nodes"].items():
        for pool in ("search", "write"):
            if not wanted or any(_fits(pool, name) for name in wanted):
                table.rows.append(
                    {
                        "node_name": node["name"],
                        "node_id": node_id[:4],
                        "name": pool,
                        "active": 0,
                        "queue": 0,
                        "rejected": 0,
                        "completed": 0,
                    }
                )
    return table


async def _recovery(request: RestRequest) -> Table:
    answer = await request.run(indices.RECOVERY, ByNames(request.names("index"), IndicesOptions()))
    now = _iso(time.time_ns() // 1_000_000)
    table = Table(
        _columns(
            "index|i,idx|index name",
            "shard|s,sh|shard name|number",
            "start_time|start|recovery start time||hidden",
            "time|t,ti|recovery time",
            "type|ty|recovery type",
            "stage|st|recovery stage",
            "source_node|snode|source node name",
            "target_node|tnode|target node name",
            "files_percent|fp|files recovered percent",
            "bytes_percent|bp|bytes recovered percent",
        )
    )
    for index, entry in answer.items():
        for shard in entry["shards"]:
            table.rows.append(
                {
                    "index": index,
                    "shard": shard["id"],
                    "start_time": now,
                    "time": "0s",
                    "type": shard["type"].lower(),
                    "stage": shard["stage"].lower(),
                    "source_node": "n/a",
                    "target_node": shard["target"].get("name"),
                    "files_percent": "100.0%",
                    "bytes_percent": "100.0%",
                }
            )
    return table


async def _segments(request: RestRequest) -> Table:
    statistics = await request.run(indices.STATS, Stats(request.names("index"), IndicesOptions()))
    table = Table(
        _columns(
            "index|i,idx|index name",
            "shard|s,sh|shard name|number",
            "prirep|p,pr|primary or replica",
            "segment|seg|segment name",
            "docs.count|dc,docsCount|number of docs in segment|number",
            "size|si|segment size in bytes|bytes",
        )
    )
    for index, entry in statistics["indices"].items():
        for number, copies in entry["shards"].items():
            stats = copies[0]
            if stats["segments"]["count"]:
                table.rows.append(
                    {
                        "index": index,
                        "shard": int(number),
                        "prirep": "p",
                        "segment": "_0",
                        "docs.count": stats["docs"]["count"],
                        "size": stats["store"]["size_in_bytes"],
                    }
                )
    return table


async def _fielddata(request: RestRequest) -> Table:
    await request.run(cluster.NODES_STATS, ReadNodes())
    return Table(
        _columns("id||node id", "host|h|host name", "ip||ip", "node|n|node", "field|f|field name", "size|s|size|bytes")
    )


async def _repositories(request: RestRequest) -> Table:
    await request.run(cluster.STATE, ReadState(metrics=("version",)))
    return Table(_columns("id|id,repoId|unique repository id", "type|t,type|repository type"))


def _iso(moment_ms: int) -> str:
    moment = datetime.fromtimestamp(moment_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
