"""The pages of `_cat` about indices, their shards, aliases and templates.

Tests: tests/rest/test_cat.py, tests/journeys/.
"""

from __future__ import annotations

from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

import orjson

from hanse.cluster import requests as cluster
from hanse.cluster.node_actions import NO_SECTIONS
from hanse.cluster.requests import ReadNodes, ReadState
from hanse.errors import IllegalArgumentError
from hanse.index.administration import requests as actions
from hanse.index.administration.requests import ByName, ByNames, GetAliases, Recovery, Stats
from hanse.rest.cat_table import Table, columns
from hanse.rest.request import RestRequest
from hanse.search.merge import render_count
from hanse.search.parameters import count_request
from hanse.search.request import SEARCH
from hanse.transport.actions import IndicesOptions

_EVERYTHING = IndicesOptions(expand_closed=True, forbid_closed_indices=False)


async def indices(request: RestRequest) -> Table:
    names, health = request.names("index"), request.text("health")
    if health is not None and health not in ("green", "yellow", "red"):
        raise IllegalArgumentError(f"unknown cluster health status [{health}]")
    found = await request.run(actions.GET_SETTINGS, ByNames(names, request.indices_options(_EVERYTHING)))
    chosen = tuple(found)
    statistics = await request.run(actions.STATS, Stats(chosen, _EVERYTHING)) if chosen else {"indices": {}}
    table = Table(
        columns(
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
        total, primaries = (entry[copies] if entry else {} for copies in ("total", "primaries"))
        of_primaries = primaries.get("store", {}).get("size_in_bytes")
        created = int(settings["index.creation_date"])
        row = {
            "health": entry["health"] if entry else "green",
            "status": "open" if entry else "close",
            "index": name,
            "uuid": settings["index.uuid"],
            "pri": settings["index.number_of_shards"],
            "rep": settings["index.number_of_replicas"],
            "docs.count": primaries.get("docs", {}).get("count"),
            "docs.deleted": primaries.get("docs", {}).get("deleted"),
            "store.size": total.get("store", {}).get("size_in_bytes"),
            "pri.store.size": of_primaries,
            "dataset.size": of_primaries,
            "creation.date": created,
            "creation.date.string": _iso(created),
        }
        if health is None or row["health"] == health:
            table.rows.append(row)
    return table


async def shards(request: RestRequest) -> Table:
    names = request.names("index")
    statistics = await request.run(actions.STATS, Stats(names, IndicesOptions(forbid_closed_indices=False)))
    state = await request.run(cluster.STATE, ReadState(metrics=("routing_table", "nodes")))
    table = Table(
        columns(
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
            "unassigned.reason|ur|reason shard became unassigned||hidden",
            "unassigned.at|ua|time shard became unassigned (UTC)||hidden",
            "unassigned.details|ud|additional details as to why the shard became unassigned||hidden",
            "recoverysource.type|rs|recovery source type||hidden",
        )
    )
    for name in sorted(statistics["indices"]):
        measured = statistics["indices"][name]["shards"]
        for number, copies in state["routing_table"]["indices"].get(name, {"shards": {}})["shards"].items():
            by_node = {entry["routing"]["node"]: entry for entry in measured.get(number, ())}
            for copy in copies:
                row = {"index": name, "shard": int(number), "prirep": "p" if copy["primary"] else "r"}
                table.rows.append({**row, **_copy_row(copy, by_node.get(copy["node"]), state["nodes"])})
    return table


def _copy_row(copy: dict[str, Any], measured: dict[str, Any] | None, nodes: dict[str, Any]) -> dict[str, Any]:
    """A copy that moves names the node that it moves to as well."""
    node, target = (nodes.get(copy[name]) or {} for name in ("node", "relocating_node"))
    name = node.get("name")
    if target:
        name = f"{name} -> {_host(target)} {copy['relocating_node']} {target['name']}"
    info = copy.get("unassigned_info") or {}
    size = measured["store"]["size_in_bytes"] if measured else None
    return {
        "state": copy["state"],
        "docs": measured["docs"]["count"] if measured else None,
        "store": size,
        "dataset": size,
        "ip": _host(node),
        "node": name,
        "id": copy["node"],
        "unassigned.reason": info.get("reason"),
        "unassigned.at": info.get("at"),
        "unassigned.details": info.get("details"),
        "recoverysource.type": copy.get("recovery_source", {}).get("type", "").lower() or None,
    }


def _host(node: dict[str, Any]) -> str | None:
    return node.get("transport_address", "").rpartition(":")[0] or None


async def aliases(request: RestRequest) -> Table:
    answer = await request.run(
        actions.GET_ALIASES, GetAliases((), request.names("name"), request.indices_options(actions.EVERY))
    )
    table = Table(
        columns(
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
                    "is_write_index": _word(body["is_write_index"]) if "is_write_index" in body else "-",
                }
            )
    table.rows.sort(key=lambda row: (row["alias"], row["index"]))
    return table


async def count(request: RestRequest) -> Table:
    options = request.indices_options(IndicesOptions())
    result = await request.run(SEARCH, count_request(request.names("index"), options, {}, b""))
    now = datetime.now(UTC)
    table = Table(
        columns(
            "epoch|t,time|seconds since 1970-01-01 00:00:00",
            "timestamp|ts,hms,hhmmss|time in HH:MM:SS",
            "count|dc,docs.count,docsCount|the document count",
        )
    )
    count = orjson.loads(render_count(result))["count"]
    table.rows.append({"epoch": int(now.timestamp()), "timestamp": now.strftime("%H:%M:%S"), "count": count})
    return table


async def templates(request: RestRequest) -> Table:
    pattern = ",".join(request.names("name"))
    legacy = await request.run(actions.GET_LEGACY_TEMPLATE, ByName(""))
    composable = await request.run(actions.GET_INDEX_TEMPLATE, ByName(""))
    table = Table(
        columns(
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


async def recovery(request: RestRequest) -> Table:
    request.accept("detailed")
    asked = Recovery(request.names("index"), IndicesOptions(), request.flag("active_only"))
    answer = await request.run(actions.RECOVERY, asked)
    table = Table(
        columns(
            "index|i,idx|index name",
            "shard|s,sh|shard name|number",
            "start_time|start|recovery start time||hidden",
            "start_time_millis|start_millis|recovery start time in epoch milliseconds|number|hidden",
            "stop_time|stop|recovery stop time||hidden",
            "stop_time_millis|stop_millis|recovery stop time in epoch milliseconds|number|hidden",
            "time|t,ti|recovery time|time",
            "type|ty|recovery type",
            "stage|st|recovery stage",
            "source_host|shost|source host",
            "source_node|snode|source node name",
            "target_host|thost|target host",
            "target_node|tnode|target node name",
            "repository|rep|repository",
            "snapshot|snap|snapshot",
            "files|f|number of files to recover|number",
            "files_recovered|fr|files recovered|number",
            "files_percent|fp|files recovered percent",
            "files_total|tf|total number of files|number",
            "bytes|b|number of bytes to recover|bytes",
            "bytes_recovered|br|bytes recovered|bytes",
            "bytes_percent|bp|bytes recovered percent",
            "bytes_total|tb|total number of bytes|bytes",
            "translog_ops|to|number of translog ops to recover|number",
            "translog_ops_recovered|tor|translog ops recovered|number",
            "translog_ops_percent|top|percent of translog ops recovered",
        )
    )
    for index, entry in answer.items():
        for shard in entry["shards"]:
            table.rows.append({"index": index, **_recovery_row(shard)})
    return table


def _recovery_row(shard: dict[str, Any]) -> dict[str, Any]:
    files, size, log = shard["index"]["files"], shard["index"]["size"], shard["translog"]
    source, target = shard["source"], shard["target"]
    stopped = shard.get("stop_time_in_millis")
    return {
        "shard": shard["id"],
        "start_time": _iso(shard["start_time_in_millis"]),
        "start_time_millis": shard["start_time_in_millis"],
        "stop_time": None if stopped is None else _iso(stopped),
        "stop_time_millis": stopped,
        "time": shard["total_time_in_millis"] / 1000,
        "type": shard["type"].lower(),
        "stage": shard["stage"].lower(),
        "source_host": source.get("host", "n/a"),
        "source_node": source.get("name", "n/a"),
        "target_host": target.get("host", "n/a"),
        "target_node": target.get("name", "n/a"),
        "repository": source.get("repository", "n/a"),
        "snapshot": source.get("snapshot", "n/a"),
        "files": files["total"] - files["reused"],
        "files_recovered": files["recovered"],
        "files_percent": files["percent"],
        "files_total": files["total"],
        "bytes": size["total_in_bytes"] - size["reused_in_bytes"],
        "bytes_recovered": size["recovered_in_bytes"],
        "bytes_percent": size["percent"],
        "bytes_total": size["total_in_bytes"],
        "translog_ops": log["total"],
        "translog_ops_recovered": log["recovered"],
        "translog_ops_percent": log["percent"],
    }


async def segments(request: RestRequest) -> Table:
    answer = await request.run(actions.SEGMENTS, ByNames(request.names("index"), IndicesOptions()))
    nodes = (await request.run(cluster.NODES_INFO, ReadNodes(metrics=NO_SECTIONS)))["nodes"]
    table = Table(
        columns(
            "index|i,idx|index name",
            "shard|s,sh|shard name",
            "prirep|p,pr,primaryOrReplica|primary or replica",
            "ip||ip of node where it lives",
            "id||unique id of node where it lives||hidden",
            "segment|seg|segment name",
            "generation|g,gen|segment generation|number",
            "docs.count|dc,docsCount|number of docs in segment|number",
            "docs.deleted|dd,docsDeleted|number of deleted docs in segment|number",
            "size|si|segment size in bytes|bytes",
            "size.memory|sm,sizeMemory|segment memory in bytes|bytes",
            "committed|ic,isCommitted|is segment committed",
            "searchable|is,isSearchable|is segment searched",
            "version|v,ver|version",
            "compound|ico,isCompound|is segment compound",
        )
    )
    for index, entry in answer["indices"].items():
        for number, copies in entry["shards"].items():
            for copy, name, segment in ((c, n, s) for c in copies for n, s in c["segments"].items()):
                node_id = copy["routing"]["node"]
                table.rows.append(
                    {
                        "index": index,
                        "shard": number,
                        "prirep": "p" if copy["routing"]["primary"] else "r",
                        "ip": nodes.get(node_id, {}).get("ip"),
                        "id": node_id,
                        "segment": name,
                        "generation": segment["generation"],
                        "docs.count": segment["num_docs"],
                        "docs.deleted": segment["deleted_docs"],
                        "size": segment["size_in_bytes"],
                        "size.memory": 0,
                        "committed": _word(segment["committed"]),
                        "searchable": _word(segment["search"]),
                        "version": segment["version"],
                        "compound": _word(segment["compound"]),
                    }
                )
    return table


async def fielddata(request: RestRequest) -> Table:
    await request.run(cluster.NODES_STATS, ReadNodes(("_local",), NO_SECTIONS))
    return Table(
        columns("id||node id", "host|h|host name", "ip||ip", "node|n|node", "field|f|field name", "size|s|size|bytes")
    )


def _word(value: bool) -> str:
    return "true" if value else "false"


def _iso(moment_ms: int) -> str:
    moment = datetime.fromtimestamp(moment_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
