"""REST of the cluster: health, state, settings, nodes, statistics, licence.

Tests: tests/rest/test_cluster.py, tests/journeys/.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hanse.cluster import requests as actions
from hanse.cluster.requests import (
    AllocateStalePrimary,
    Health,
    ReadNodes,
    ReadSettings,
    ReadState,
    Reroute,
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
    add("GET", "/_cluster/stats", _plain(actions.STATS))
    add("GET", "/_cluster/pending_tasks", _plain(actions.PENDING_TASKS))
    add("POST", "/_cluster/reroute", reroute)
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
    """`metric` adds that part of the state. Copies are not moved: there is nowhere to move one to."""
    request.accept("dry_run", "retry_failed", "master_timeout", "timeout")
    explain, metrics = request.flag("explain"), request.names("metric")
    dry_run = request.flag("dry_run")
    commands = tuple(_stale_primary(command) for command in request.json_object().get("commands") or ())
    answer = await request.run(actions.REROUTE, Reroute(() if dry_run else commands))
    if metrics and "none" not in metrics:
        answer["state"] |= await request.run(actions.STATE, ReadState(metrics))
    if explain:
        answer["explanations"] = []
    return RestResponse.json(answer)


async def health_report(request: RestRequest) -> RestResponse:
    request.accept("timeout", "size")
    indicator = request.path("indicator") if request.has_path("indicator") else None
    asked = actions.ReadHealthReport(indicator, request.flag("verbose", True))
    return RestResponse.json(await request.run(actions.HEALTH_REPORT, asked))


def _stale_primary(command: Any) -> AllocateStalePrimary:
    """The one command there is; Elasticsearch's name for taking a copy as it is."""
    if not isinstance(command, dict) or list(command) != ["allocate_stale_primary"]:
        raise IllegalArgumentError("shard copies cannot be moved: this cluster has one node")
    try:
        return msgspec.convert(command["allocate_stale_primary"], AllocateStalePrimary)
    except msgspec.ValidationError as error:
        raise IllegalArgumentError(f"[allocate_stale_primary] failed to parse: {error}") from error


async def nodes_info(request: RestRequest) -> RestResponse:
    """`/_nodes/{x}`: x may be nodes or metrics, as Elasticsearch reads it."""
    request.accept("timeout")
    flat = request.flag("flat_settings")
    nodes, metrics = request.names("node"), request.names("metric")
    if not metrics and nodes and all(name in NODE_METRICS for name in nodes):
        nodes, metrics = (), nodes
    answer = await request.run(actions.NODES_INFO, ReadNodes(nodes, metrics))
    for node in answer["nodes"].values():
        if flat and "settings" in node:
            node["settings"] = flatten(node["settings"])
    return RestResponse.json(answer)


async def nodes_stats(request: RestRequest) -> RestResponse:
    """`/_nodes/stats/{metric}/{index_metric}?level=`: the last two shape the `indices` section."""
    request.accept(
        "timeout",
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
    answer = await request.run(actions.NODES_STATS, ReadNodes(request.names("node"), metrics))
    for node in answer["nodes"].values():
        if "indices" in node:
            node["indices"] = node_statistics(node["indices"], index_metrics, level or "node")
    return RestResponse.json(answer)


async def reload_secure_settings(request: RestRequest) -> RestResponse:
    request.accept("timeout")
    request.json_object()
    return RestResponse.json(await request.run(actions.RELOAD_SECURE_SETTINGS, ReadNodes(request.names("node"))))
