"""The settings that `PUT _cluster/settings` may change while the cluster runs (and elasticsearch.yml may set).

Those of Elasticsearch's allocation, recovery and breakers that have no meaning here are accepted and shown back, so
that runbooks and tools work. `cluster.remote.*` is declared by the remote room.
Tests: tests/settings/test_cluster_settings.py.
"""

from __future__ import annotations

from typing import Any

from hanse.errors import IllegalArgumentError
from hanse.settings.registry import (
    RawValue,
    Scope,
    Setting,
    boolean,
    choice,
    integer,
    optional_string,
    size_bytes,
    strings,
    time_s,
)

_BOTH = Scope.STATIC | Scope.DYNAMIC
_MB = 1024 * 1024


def _auto_create(raw: RawValue, key: str) -> tuple[tuple[str, bool], ...]:
    """Patterns in order with whether they allow; `true` and `false` stand for one pattern that matches all."""
    items = raw if isinstance(raw, list) else [part.strip() for part in raw.split(",")]
    if len(items) == 1 and items[0].lower() in ("true", "false"):
        return (("*", items[0].lower() == "true"),)
    patterns = []
    for item in items:
        pattern = item.removeprefix("+").removeprefix("-")
        if not pattern:
            raise IllegalArgumentError(
                f"Can't parse [{','.join(items)}] for setting [{key}] must be either [true, false, or a comma "
                f"separated list of index patterns]"
            )
        patterns.append((pattern, not item.startswith("-")))
    return tuple(patterns)


AUTO_CREATE_INDEX: Setting[tuple[tuple[str, bool], ...]] = Setting(
    "action.auto_create_index", _auto_create, (("*", True),), _BOTH, "which missing indices a write creates", "true"
)
DESTRUCTIVE_REQUIRES_NAME = boolean(
    "action.destructive_requires_name", True, _BOTH, "deleting indices by wildcard or _all is refused"
)
MAX_SHARDS_PER_NODE = integer("cluster.max_shards_per_node", 1000, _BOTH, "open shards allowed a data node", min=1)
CLUSTER_READ_ONLY = boolean("cluster.blocks.read_only", False, _BOTH, "refuses writes and changes of metadata")
CLUSTER_READ_ONLY_ALLOW_DELETE = boolean(
    "cluster.blocks.read_only_allow_delete", False, _BOTH, "as read_only, but indices may be deleted"
)
CREATE_INDEX_BLOCK = boolean("cluster.blocks.create_index", False, _BOTH, "refuses to create indices")
ALLOW_PARTIAL_RESULTS = boolean(
    "search.default_allow_partial_results", True, _BOTH, "a search answers although shards failed"
)
USE_ADAPTIVE_REPLICA_SELECTION = boolean(
    "cluster.routing.use_adaptive_replica_selection",
    True,
    _BOTH,
    "a search asks the copy of a shard that answers fastest; if not, all in turn",
)
MAX_BUCKETS = integer("search.max_buckets", 65536, _BOTH, "the most buckets an answer may hold", min=0)
DEFAULT_SEARCH_TIMEOUT = time_s("search.default_search_timeout", -1, _BOTH, "time-out of a search that names none")
DEFAULT_KEEP_ALIVE = time_s("search.default_keep_alive", 300, _BOTH, "accepted; may not exceed search.max_keep_alive")
MAX_KEEP_ALIVE = time_s("search.max_keep_alive", 24 * 3600, _BOTH, "the longest life of a scroll or point in time")
MAX_OPEN_SCROLL = integer("search.max_open_scroll_context", 500, _BOTH, "the most scrolls open at the same time", min=0)
ALLOW_EXPENSIVE_QUERIES = boolean(
    "search.allow_expensive_queries", True, _BOTH, "scripts, prefix, wildcard, regexp and fuzzy queries are allowed"
)
MAX_ASYNC_SEARCH_RESPONSE = size_bytes(
    "search.max_async_search_response_size", 10 * _MB, _BOTH, "the longest stored answer of an async search"
)
CCR_MAX_BYTES_PER_S = size_bytes(
    "ccr.indices.recovery.max_bytes_per_sec", 40 * _MB, _BOTH, "bound of a follower's first copy, a second"
)
CCR_MAX_CONCURRENT_CHUNKS = integer(
    "ccr.indices.recovery.max_concurrent_file_chunks", 5, _BOTH, "chunks in flight of a first copy", min=1, max=10
)
CCR_CHUNK_SIZE = size_bytes("ccr.indices.recovery.chunk_size", _MB, _BOTH, "size of a chunk of a first copy")
CCR_ACTIVITY_TIMEOUT = time_s(
    "ccr.indices.recovery.recovery_activity_timeout", 60, _BOTH, "after which the leader drops an idle copy"
)
CCR_ACTION_TIMEOUT = time_s(
    "ccr.indices.recovery.internal_action_timeout", 60, _BOTH, "time-out of one call of a first copy"
)
CCR_METADATA_TIMEOUT = time_s("ccr.wait_for_metadata_timeout", 60, _BOTH, "longest wait for the leader's new metadata")
CCR_AUTO_FOLLOW_METADATA_TIMEOUT = time_s(
    "ccr.auto_follow.wait_for_metadata_timeout", 60, _BOTH, "longest wait of auto-follow for the leader's new metadata"
)
DISK_INFO_INTERVAL = time_s("cluster.info.update.interval", 30, _BOTH, "how often disk use is looked at")
ALLOCATION_ENABLE = choice(
    "cluster.routing.allocation.enable",
    "all",
    ("all", "primaries", "new_primaries", "none"),
    _BOTH,
    "what is allocated",
)
REBALANCE_ENABLE = choice(
    "cluster.routing.rebalance.enable", "all", ("all", "primaries", "replicas", "none"), _BOTH, "what is rebalanced"
)
ALLOW_REBALANCE = choice(
    "cluster.routing.allocation.allow_rebalance",
    "always",
    ("always", "indices_primaries_active", "indices_all_active"),
    _BOTH,
    "when shards are rebalanced",
)
CONCURRENT_REBALANCE = integer(
    "cluster.routing.allocation.cluster_concurrent_rebalance",
    2,
    _BOTH,
    "the most copies that move for balance at the same time; -1 sets no bound",
    min=-1,
)
CONCURRENT_RECOVERIES = integer(
    "cluster.routing.allocation.node_concurrent_recoveries",
    2,
    _BOTH,
    "the most replicas that fill up on a node at the same time",
    min=0,
)
TOTAL_SHARDS_PER_NODE = integer(
    "cluster.routing.allocation.total_shards_per_node", -1, _BOTH, "the most copies on a node; -1 sets no bound", min=-1
)
ALLOCATION_FILTERS = tuple(
    optional_string(f"cluster.routing.allocation.{kind}.*", _BOTH, help)
    for kind, help in (
        ("include", "nodes that copies may lie on: any of these names, ids, addresses, hosts or attributes"),
        ("exclude", "nodes that copies may not lie on"),
        ("require", "what a node must have for copies to lie on it"),
    )
)
AWARENESS_ATTRIBUTES = strings(
    "cluster.routing.allocation.awareness.attributes", _BOTH, "copies are spread over the values of these"
)
AWARENESS_VALUES = strings(
    "cluster.routing.allocation.awareness.force.*.values",
    _BOTH,
    "values of an awareness attribute that keep their share of copies when their nodes are away",
)

_COUNTS = {
    "cluster.max_shards_per_node.frozen": 3000,
    "cluster.routing.allocation.node_concurrent_incoming_recoveries": 2,
    "cluster.routing.allocation.node_concurrent_outgoing_recoveries": 2,
    "cluster.routing.allocation.node_initial_primaries_recoveries": 4,
    "indices.recovery.max_concurrent_file_chunks": 2,
    "indices.recovery.max_concurrent_operations": 1,
    "search.aggs.max_depth": 30,
}
_FLAGS = {
    "cluster.routing.allocation.disk.threshold_enabled": True,
    "cluster.routing.allocation.disk.watermark.enable_for_single_data_node": True,
    "cluster.routing.allocation.same_shard.host": False,
    "cluster.indices.close.enable": True,
    "cluster.auto_shrink_voting_configuration": True,
    "indices.id_field_data.enabled": False,
    "ingest.geoip.downloader.enabled": True,
    "search.check_ccs_compatibility": False,
    "search.aggs.rewrite_to_filter_by_filter": True,
    "search.low_level_cancellation": True,
    "xpack.monitoring.collection.enabled": False,
    "xpack.monitoring.elasticsearch.collection.enabled": True,
    "xpack.security.fips_mode.enabled": False,
    "stack.templates.enabled": True,
    "slm.history_index_enabled": True,
    "indices.lifecycle.history_index_enabled": True,
}
_TIMES_S = {
    "cluster.info.update.timeout": 15,
    "cluster.persistent_tasks.allocation.recheck_interval": 30,
    "cluster.service.slow_task_logging_threshold": 10,
    "indices.lifecycle.poll_interval": 600,
    "indices.mapping.dynamic_timeout": 30,
    "indices.recovery.internal_action_long_timeout": 1800,
    "indices.recovery.internal_action_timeout": 900,
    "indices.recovery.recovery_activity_timeout": 1800,
    "indices.recovery.retry_delay_network": 5,
    "indices.recovery.retry_delay_state_sync": 0.5,
    "xpack.monitoring.collection.interval": 10,
    "xpack.monitoring.history.duration": 7 * 24 * 3600,
}
_TEXTS = (
    "cluster.metadata.*",
    "cluster.routing.allocation.balance.*",
    "cluster.routing.allocation.disk.watermark.flood_stage",
    "cluster.routing.allocation.disk.watermark.flood_stage.frozen",
    "cluster.routing.allocation.disk.watermark.flood_stage.max_headroom",
    "cluster.routing.allocation.disk.watermark.high",
    "cluster.routing.allocation.disk.watermark.high.max_headroom",
    "cluster.routing.allocation.disk.watermark.low",
    "cluster.routing.allocation.disk.watermark.low.max_headroom",
    "cluster.routing.allocation.type",
    "indices.breaker.*",
    "indices.recovery.max_bytes_per_sec",
    "logger.*",
    "network.breaker.*",
    "script.cache.*",
    "script.max_compilations_rate",
    "script.max_size_in_bytes",
    "script.painless.regex.enabled",
    "script.painless.regex.limit-factor",
    "xpack.license.upload.types",
    "xpack.monitoring.exporters.*",
)

CLUSTER_SETTINGS: list[Setting[Any]] = [
    *(value for value in list(globals().values()) if isinstance(value, Setting)),
    *ALLOCATION_FILTERS,
    *(integer(key, default, _BOTH, "accepted and without effect") for key, default in _COUNTS.items()),
    *(boolean(key, default, _BOTH, "accepted and without effect") for key, default in _FLAGS.items()),
    *(time_s(key, default, _BOTH, "accepted and without effect") for key, default in _TIMES_S.items()),
    *(optional_string(key, _BOTH, "accepted and without effect") for key in _TEXTS),
]
"""Every dynamic setting this room declares."""
