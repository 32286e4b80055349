"""REST of the cluster: health, state, settings, nodes, statistics, licence.

Tests: tests/rest/test_cluster.py, tests/journeys/.
"""

from __future__ import annotations

from typing import Any

from hanse.cluster import requests as actions
from hanse.cluster.requests import Health, ReadNodes, ReadSettings, ReadState, UpdateSettings
from hanse.errors import ActionRequestValidationError, IllegalArgumentError
from hanse.rest.request import RestRequest, RestResponse
from hanse.rest.routes import Routes
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
        "_all",
    }
)


def register(routes: Routes) -> None:
    add = routes.add
    add("GET", "/_cluster/health", health)
    add("GET", "/_cluster/health/{index}", health)
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
    add("GET", "/_nodes/{node}/stats", nodes_stats)
    add("GET", "/_nodes/{node}/stats/{metric}", nodes_stats)
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
    if level not in ("cluster", "indices", "shards"):
        raise IllegalArgumentError(
            f"level parameter must be one of [cluster] or [indices] or [shards] but was [{level}]"
        )
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
    persistent, transient = (flatten(body.get(kind) or {}) for kind in ("persistent", "transient"))
    if not persistent and not transient:
        raise ActionRequestValidationError.of("no settings to update")
    answer = await request.run(actions.UPDATE_SETTINGS, UpdateSettings(persistent, transient))
    shown = {key: answer[key] if flat else nest(answer[key]) for key in ("persistent", "transient")}
    return RestResponse.json({"acknowledged": True, **shown})


async def reroute(request: RestRequest) -> RestResponse:
    request.accept("dry_run", "explain", "metric", "retry_failed", "master_timeout", "timeout")
    request.json_object()
    return RestResponse.json(await request.run(actions.REROUTE, Empty()))


async def nodes_info(request: RestRequest) -> RestResponse:
    """`/_nodes/{x}`: x may be nodes or metrics, as Elasticsearch reads it."""
    request.accept("flat_settings", "timeout")
    nodes, metrics = request.names("node"), request.names("metric")
    if not metrics and nodes and all(name in NODE_METRICS for name in nodes):
        nodes, metrics = (), nodes
    return RestResponse.json(await request.run(actions.NODES_INFO, ReadNodes(nodes, metrics)))


async def nodes_stats(request: RestRequest) -> RestResponse:
    request.accept(
        "timeout",
        "level",
        "types",
        "groups",
        "fields",
        "fielddata_fields",
        "completion_fields",
        "include_segment_file_sizes",
        "include_unloaded_segments",
    )
    metrics = request.names("metric")
    unknown = [name for name in metrics if name not in NODE_METRICS]
    if unknown:
        raise IllegalArgumentError(f"request [{request.uri_path}] contains unrecognized metric: [{unknown[0]}]")
    return RestResponse.json(await request.run(actions.NODES_STATS, ReadNodes(request.names("node"), metrics)))


async def reload_secure_settings(request: RestRequest) -> RestResponse:
    request.accept("timeout")
    request.json_object()
    return RestResponse.json(await request.run(actions.RELOAD_SECURE_SETTINGS, ReadNodes(request.names("node"))))
