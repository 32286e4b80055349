"""REST of the cluster: health, state, settings, nodes, statistics, licence.

Tests: tests/rest/test_cluster.py, tests/journeys/.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hanse.cluster import requests as actions
from hanse.cluster.allocation.commands import COMMANDS
from hanse.cluster.broadcast import TIMEOUT_S
from hanse.cluster.requests import (
    AddVotingExclusions,
    ClearVotingExclusions,
    ClusterStats,
    ExplainAllocation,
    Health,
    ReadNodes,
    ReadSettings,
    ReadState,
    Reroute,
    RerouteCommand,
    UpdateSettings,
)
from hanse.errors import ActionRequestValidationError, IllegalArgumentError
from hanse.rest.request import RestRequest, RestResponse
from hanse.rest.routes import Routes
from hanse.rest.statistics import METRICS, check_level, node_statistics, unrecognized_metric
from hanse.settings.registry import flatten, nest
from hanse.transport.actions import Action, Empty

NODE_METRICS = frozenset(
    {
        "settings",
        "os",
        "process",
        "jvm",
        "thread_pool",
        "transport",
        "http",
        "plugins",
        "ingest",
        "aggregations",
        "indices",
        "modules",
        "fs",
        "breaker",
        "breakers",
        "script",
        "discovery",
        "adaptive_selection",
        "indexing_pressure",
        "remote_cluster_server",
        "tls",
        "remote_clusters",
        "_all",
    }
)


def register(routes: Routes) -> None:
    add = routes.add
    add("GET", "/_cluster/health", health)
    add("GET", "/_cluster/health/{index}", health)
    add("GET", "/_health_report", health_report)
    add("GET", "/_health_report/{indicator}", health_report)
    add("GET", "/_cluster/state", state)
    add("GET", "/_cluster/state/{metric}", state)
    add("GET", "/_cluster/state/{metric}/{index}", state)
    add("GET", "/_cluster/settings", read_settings)
    add("PUT", "/_cluster/settings", update_settings)
    add("GET", "/_cluster/stats", cluster_stats)
    add("GET", "/_cluster/stats/nodes/{node}", cluster_stats)
    add("GET", "/_cluster/pending_tasks", _plain(actions.PENDING_TASKS))
    add("POST", "/_cluster/reroute", reroute)
    add("POST", "/_cluster/voting_config_exclusions", add_voting_exclusions)
    add("DELETE", "/_cluster/voting_config_exclusions", clear_voting_exclusions)
    add("GET", "/_cluster/allocation/explain", explain_allocation)
    add("POST", "/_cluster/allocation/explain", explain_allocation)
    add("GET", "/_nodes", nodes_info)
    add("GET", "/_nodes/stats", nodes_stats)
    add("GET", "/_nodes/stats/{metric}", nodes_stats)
    add("GET", "/_nodes/stats/{metric}/{index_metric}", nodes_stats)
    add("GET", "/_nodes/{node}/stats", nodes_stats)
    add("GET", "/_nodes/{node}/stats/{metric}", nodes_stats)
    add("GET", "/_nodes/{node}/stats/{metric}/{index_metric}", nodes_stats)
    add("GET", "/_nodes/{node}", nodes_info)
    add("GET", "/_nodes/{node}/{metric}", nodes_info)
    add("POST", "/_nodes/reload_secure_settings", reload_secure_settings)
    add("POST", "/_nodes/{node}/reload_secure_settings", reload_secure_settings)
    add("GET", "/_license", _plain(actions.LICENSE))
    add("GET", "/_xpack", _plain(actions.XPACK_INFO))
    add("GET", "/_xpack/usage", _plain(actions.XPACK_USAGE))


def _plain(action: Action[Empty, dict[str, Any]]) -> Any:
    async def handler(request: RestRequest) -> RestResponse:
        request.accept(
            "local", "master_timeout", "timeout", "categories", "accept_enterprise", "human", "include_remotes"
        )
        return RestResponse.json(await request.run(action, Empty()))

    return handler


async def health(request: RestRequest) -> RestResponse:
    """408 when a wait_for condition was not reached in time."""
    request.accept("local", "master_timeout", "cluster_manager_timeout", "wait_for_events")
    status = request.text("wait_for_status")
    if status is not None and status.lower() not in ("green", "yellow", "red"):
        raise IllegalArgumentError(f"unknown cluster health status [{status}]")
    level = request.text("level") or "cluster"
    check_level(level)
    answer = await request.run(
        actions.HEALTH,
        Health(
            indices=request.names("index"),
            options=request.indices_options(Health().options),
            level=level,
            wait_for_status=status.lower() if status else None,
            wait_for_nodes=request.text("wait_for_nodes"),
            wait_for_active_shards=request.text("wait_for_active_shards"),
            wait_for_no_relocating_shards=request.flag("wait_for_no_relocating_shards"),
            wait_for_no_initializing_shards=request.flag("wait_for_no_initializing_shards"),
            timeout_s=request.time_s("timeout", 30.0),
        ),
    )
    return RestResponse.json(answer, status=408 if answer["timed_out"] else 200)


async def state(request: RestRequest) -> RestResponse:
    request.accept(
        "local", "master_timeout", "flat_settings", "wait_for_metadata_version", "wait_for_timeout", "include_defaults"
    )
    answer = await request.run(
        actions.STATE,
        ReadState(request.names("metric"), request.names("index"), request.indices_options(ReadState().options)),
    )
    return RestResponse.json(answer)


async def read_settings(request: RestRequest) -> RestResponse:
    request.accept("local", "master_timeout", "timeout")
    flat = request.flag("flat_settings")
    answer = await request.run(actions.GET_SETTINGS, ReadSettings(request.flag("include_defaults")))
    return RestResponse.json({key: values if flat else nest(values) for key, values in answer.items()})


async def update_settings(request: RestRequest) -> RestResponse:
    request.accept("master_timeout", "timeout")
    flat = request.flag("flat_settings")
    body = request.json_object(required=True)
    unknown = sorted(set(body) - {"persistent", "transient"})
    if unknown:
        raise IllegalArgumentError(f"[cluster_update_settings_request] unknown field [{unknown[0]}]")
    persistent, transient = (flatten(_object(body, kind)) for kind in ("persistent", "transient"))
    if not persistent and not transient:
        raise ActionRequestValidationError.of("no settings to update")
    answer = await request.run(actions.UPDATE_SETTINGS, UpdateSettings(persistent, transient))
    shown = {key: answer[key] if flat else nest(answer[key]) for key in ("persistent", "transient")}
    return RestResponse.json({"acknowledged": True, **shown})


def _object(body: dict[str, Any], key: str) -> dict[str, Any]:
    value = body.get(key) or {}
    if not isinstance(value, dict):
        raise IllegalArgumentError(f"[cluster_update_settings_request] failed to parse field [{key}]: not an object")
    return value


async def reroute(request: RestRequest) -> RestResponse:
    """`metric` adds that part of the state."""
    request.accept("master_timeout", "timeout")
    body = request.json_object()
    unknown = sorted(set(body) - {"commands", "dry_run"})
    if unknown:
        raise IllegalArgumentError(f"[cluster_reroute] unknown field [{unknown[0]}]")
    commands = body.get("commands") or ()
    if not isinstance(commands, list | tuple):
        raise IllegalArgumentError("[cluster_reroute] failed to parse field [commands]: not an array")
    asked = Reroute(
        tuple(_command(command) for command in commands),
        dry_run=request.flag("dry_run") or body.get("dry_run") is True,
        explain=request.flag("explain"),
        retry_failed=request.flag("retry_failed"),
        metrics=request.names("metric"),
    )
    return RestResponse.json(await request.run(actions.REROUTE, asked))


def _command(command: Any) -> RerouteCommand:
    """`{"move": {"index": ..., ...}}`."""
    if not isinstance(command, dict) or len(command) != 1:
        raise IllegalArgumentError("[cluster_reroute] a command is an object with its name as the only field")
    ((kind, fields),) = command.items()
    if kind not in COMMANDS:
        raise IllegalArgumentError(f"Unknown AllocationCommand [{kind}]")
    if not isinstance(fields, dict):
        raise IllegalArgumentError(f"[{kind}] failed to parse: not an object")
    for name in fields:
        if name not in COMMANDS[kind]:
            raise IllegalArgumentError(f"[{kind}] unknown field [{name}]")
    for name in COMMANDS[kind]:
        if name not in fields and name not in ("allow_primary", "accept_data_loss"):
            raise IllegalArgumentError(f"[{kind}] missing the {name} parameter")
    try:
        return msgspec.convert({"kind": kind, **fields}, RerouteCommand, strict=False)
    except msgspec.ValidationError as error:
        raise IllegalArgumentError(f"[{kind}] failed to parse: {error}") from error


async def add_voting_exclusions(request: RestRequest) -> RestResponse:
    request.accept("master_timeout")
    names, ids = request.names("node_names"), request.names("node_ids")
    if bool(names) == bool(ids):
        raise IllegalArgumentError(
            "Please set node identifiers correctly. One and only one of [node_name], [node_names] and [node_ids] has "
            "to be set"
        )
    await request.run(actions.ADD_VOTING_EXCLUSIONS, AddVotingExclusions(names, ids, request.time_s("timeout", 30.0)))
    return RestResponse.text("")


async def clear_voting_exclusions(request: RestRequest) -> RestResponse:
    request.accept("master_timeout")
    asked = ClearVotingExclusions(request.flag("wait_for_removal", True), request.time_s("timeout", 30.0))
    await request.run(actions.CLEAR_VOTING_EXCLUSIONS, asked)
    return RestResponse.text("")


async def explain_allocation(request: RestRequest) -> RestResponse:
    """The shard is named in the body or by parameters, not by both."""
    request.accept("master_timeout", "include_disk_info")
    body = request.json_object()
    fields = ("index", "shard", "primary", "current_node")
    unknown = sorted(set(body) - set(fields))
    if unknown:
        raise IllegalArgumentError(f"[cluster_allocation_explain_request] unknown field [{unknown[0]}]")
    given = {name: text for name in fields if (text := request.text(name)) is not None}
    if given and body:
        raise IllegalArgumentError("Parameters must be passed in either the body or the query string, not both")
    try:
        asked = msgspec.convert(given or body, ExplainAllocation, strict=False)
    except msgspec.ValidationError as error:
        raise IllegalArgumentError(f"[cluster_allocation_explain_request] failed to parse: {error}") from error
    asked = msgspec.structs.replace(asked, include_yes_decisions=request.flag("include_yes_decisions"))
    return RestResponse.json(await request.run(actions.ALLOCATION_EXPLAIN, asked))


async def health_report(request: RestRequest) -> RestResponse:
    request.accept("timeout", "size")
    indicator = request.path("indicator") if request.has_path("indicator") else None
    asked = actions.ReadHealthReport(indicator, request.flag("verbose", True))
    return RestResponse.json(await request.run(actions.HEALTH_REPORT, asked))


async def cluster_stats(request: RestRequest) -> RestResponse:
    request.accept("human", "include_remotes")
    asked = ClusterStats(request.names("node"), _timeout_s(request))
    return RestResponse.json(await request.run(actions.STATS, asked))


def _timeout_s(request: RestRequest) -> float:
    """How long a node may take to answer."""
    return request.time_s("timeout", TIMEOUT_S)


async def nodes_info(request: RestRequest) -> RestResponse:
    """`/_nodes/{x}`: x may be nodes or metrics, as Elasticsearch reads it."""
    flat = request.flag("flat_settings")
    nodes, metrics = request.names("node"), request.names("metric")
    if not metrics and nodes and all(name in NODE_METRICS for name in nodes):
        nodes, metrics = (), nodes
    answer = await request.run(actions.NODES_INFO, ReadNodes(nodes, metrics, _timeout_s(request)))
    for node in answer["nodes"].values():
        if flat and "settings" in node:
            node["settings"] = flatten(node["settings"])
    return RestResponse.json(answer)


async def nodes_stats(request: RestRequest) -> RestResponse:
    """`/_nodes/stats/{metric}/{index_metric}?level=`: the last two shape the `indices` section."""
    request.accept(
        "types",
        "groups",
        "fields",
        "fielddata_fields",
        "completion_fields",
        "include_segment_file_sizes",
        "include_unloaded_segments",
    )
    metrics, index_metrics, level = request.names("metric"), request.names("index_metric"), request.text("level")
    check_level(level or "node", whole="node")
    for names, known in ((metrics, NODE_METRICS), (index_metrics, METRICS | {"_all"})):
        unknown = [name for name in names if name not in known]
        if unknown:
            raise unrecognized_metric(request.uri_path, unknown[0], known)
    answer = await request.run(actions.NODES_STATS, ReadNodes(request.names("node"), metrics, _timeout_s(request)))
    for node in answer["nodes"].values():
        if "indices" in node:
            node["indices"] = node_statistics(node["indices"], index_metrics, level or "node")
    return RestResponse.json(answer)


async def reload_secure_settings(request: RestRequest) -> RestResponse:
    request.json_object()
    asked = ReadNodes(request.names("node"), timeout_s=_timeout_s(request))
    return RestResponse.json(await request.run(actions.RELOAD_SECURE_SETTINGS, asked))
