"""The named cluster and index privileges and the action patterns they grant: data, no logic.

Each value is (patterns granted, patterns excepted). Names of features that Hanse does not have are kept so that role
definitions written for Elasticsearch load. Tests: tests/security/test_privileges.py.
"""

from __future__ import annotations

Patterns = tuple[str, ...]
Entry = tuple[Patterns, Patterns]

SECURITY_ACTIONS = "cluster:admin/xpack/security/*"
_HAS_PRIVILEGES = "cluster:admin/xpack/security/user/has_privileges"
_TEMPLATES = ("indices:admin/template/*", "indices:admin/index_template/*")
_TEMPLATES_GET = (
    "indices:admin/template/get",
    "indices:admin/index_template/get",
    "cluster:admin/component_template/get",
)
_REMOTE_HANDSHAKE = ("cluster:internal/remote_cluster/handshake", "cluster:internal/remote_cluster/nodes")
_OWN_KEYS = "own:api_key/*"
"""Not an action: stands for the API key actions as far as they concern the caller's own keys (own_account.py)."""


def _of(*allow: str, deny: Patterns = ()) -> Entry:
    return allow, deny


CLUSTER_PRIVILEGES: dict[str, Entry] = {
    "none": _of(),
    "all": _of("cluster:*", *_TEMPLATES, _OWN_KEYS),
    "manage": _of("cluster:*", *_TEMPLATES, deny=(SECURITY_ACTIONS,)),
    "monitor": _of("cluster:monitor/*", *_TEMPLATES_GET),
    "manage_security": _of(SECURITY_ACTIONS, _OWN_KEYS, deny=("cluster:admin/xpack/security/delegate_pki",)),
    "read_security": _of(
        "cluster:admin/xpack/security/api_key/get",
        "cluster:admin/xpack/security/api_key/query",
        "cluster:admin/xpack/security/privilege/builtin/get",
        "cluster:admin/xpack/security/privilege/get",
        "cluster:admin/xpack/security/remote_peer/get",
        "cluster:admin/xpack/security/profile/get",
        "cluster:admin/xpack/security/profile/has_privileges",
        "cluster:admin/xpack/security/profile/suggest",
        "cluster:admin/xpack/security/role/get",
        "cluster:admin/xpack/security/role/query",
        "cluster:admin/xpack/security/role_mapping/get",
        "cluster:admin/xpack/security/settings/get",
        "cluster:admin/xpack/security/service_account/get",
        "cluster:admin/xpack/security/service_account/credential/get*",
        "cluster:admin/xpack/security/user/get",
        "cluster:admin/xpack/security/user/query",
        "cluster:admin/xpack/security/user/list_privileges",
        _HAS_PRIVILEGES,
    ),
    "manage_ccr": _of("cluster:admin/xpack/ccr/*", "cluster:monitor/state", _HAS_PRIVILEGES),
    "read_ccr": _of("cluster:monitor/state", _HAS_PRIVILEGES),
    "cross_cluster_search": _of(*_REMOTE_HANDSHAKE),
    "cross_cluster_replication": _of(*_REMOTE_HANDSHAKE, "cluster:monitor/state", _HAS_PRIVILEGES),
    "transport_client": _of("cluster:monitor/nodes/liveness", "cluster:monitor/state"),
    "cancel_task": _of("cluster:admin/tasks/cancel*"),
    "manage_own_api_key": _of(_OWN_KEYS, "cluster:admin/xpack/security/api_key/create"),
    "grant_api_key": _of("cluster:admin/xpack/security/api_key/grant*"),
    "manage_api_key": _of(
        _OWN_KEYS, "cluster:admin/xpack/security/api_key/*", "cluster:admin/xpack/security/cross_cluster/api_key/*"
    ),
    "manage_token": _of("cluster:admin/xpack/security/token/*"),
    "manage_service_account": _of("cluster:admin/xpack/security/service_account/*"),
    "manage_user_profile": _of("cluster:admin/xpack/security/profile/*"),
    "manage_saml": _of("cluster:admin/xpack/security/saml/*", "cluster:admin/xpack/security/token/invalidate"),
    "manage_oidc": _of("cluster:admin/xpack/security/oidc/*"),
    "delegate_pki": _of("cluster:admin/xpack/security/delegate_pki", "cluster:admin/xpack/security/token/invalidate"),
    "manage_index_templates": _of(*_TEMPLATES, "cluster:admin/component_template/*"),
    "manage_ingest_pipelines": _of("cluster:admin/ingest/pipeline/*"),
    "manage_pipeline": _of("cluster:admin/ingest/pipeline/*"),
    "read_pipeline": _of("cluster:admin/ingest/pipeline/get", "cluster:admin/ingest/pipeline/simulate"),
    "manage_ilm": _of("cluster:admin/ilm/*"),
    "read_ilm": _of("cluster:admin/ilm/get", "cluster:admin/ilm/operation_mode/get"),
    "manage_slm": _of("cluster:admin/slm/*", "cluster:admin/ilm/operation_mode/get"),
    "read_slm": _of("cluster:admin/slm/get", "cluster:admin/slm/stats", "cluster:admin/ilm/operation_mode/get"),
    "create_snapshot": _of(
        "cluster:admin/snapshot/create",
        "cluster:admin/snapshot/get*",
        "cluster:admin/snapshot/status*",
        "cluster:admin/repository/get",
    ),
    "monitor_snapshot": _of(
        "cluster:admin/snapshot/get*", "cluster:admin/snapshot/status*", "cluster:admin/repository/get"
    ),
    "manage_enrich": _of("cluster:admin/xpack/enrich/*"),
    "monitor_enrich": _of("cluster:monitor/xpack/enrich/*", "cluster:admin/xpack/enrich/get"),
    "manage_transform": _of("cluster:admin/transform/*", "cluster:monitor/transform/*"),
    "monitor_transform": _of("cluster:monitor/transform/*"),
    "manage_data_frame_transforms": _of("cluster:admin/data_frame/*", "cluster:monitor/data_frame/*"),
    "monitor_data_frame_transforms": _of("cluster:monitor/data_frame/*"),
    "manage_ml": _of("cluster:admin/xpack/ml/*", "cluster:monitor/xpack/ml/*"),
    "monitor_ml": _of("cluster:monitor/xpack/ml/*"),
    "manage_rollup": _of("cluster:admin/xpack/rollup/*", "cluster:monitor/xpack/rollup/*"),
    "monitor_rollup": _of("cluster:monitor/xpack/rollup/*"),
    "manage_watcher": _of("cluster:admin/xpack/watcher/*", "cluster:monitor/xpack/watcher/*"),
    "monitor_watcher": _of("cluster:monitor/xpack/watcher/*"),
    "manage_logstash_pipelines": _of("cluster:admin/logstash/pipeline/*"),
    "manage_autoscaling": _of("cluster:admin/autoscaling/*"),
    "manage_search_application": _of("cluster:admin/xpack/application/search_application/*"),
    "manage_behavioral_analytics": _of("cluster:admin/xpack/application/analytics/*"),
    "post_behavioral_analytics_event": _of("cluster:admin/xpack/application/analytics/post_event"),
    "manage_search_query_rules": _of("cluster:admin/xpack/query_rules/*"),
    "manage_search_synonyms": _of("cluster:admin/synonyms/*", "cluster:admin/synonym_rules/*"),
    "manage_inference": _of("cluster:admin/xpack/inference/*", "cluster:monitor/xpack/inference*"),
    "monitor_inference": _of("cluster:monitor/xpack/inference*"),
    "manage_esql": _of("cluster:admin/xpack/esql/*", "cluster:monitor/xpack/esql/*"),
    "monitor_esql": _of("cluster:monitor/xpack/esql/*"),
    "manage_connector": _of("cluster:admin/xpack/connector/*"),
    "monitor_connector": _of("cluster:admin/xpack/connector/get", "cluster:admin/xpack/connector/list"),
    "read_connector_secrets": _of("cluster:admin/xpack/connector/secret/get"),
    "write_connector_secrets": _of(
        "cluster:admin/xpack/connector/secret/put",
        "cluster:admin/xpack/connector/secret/post",
        "cluster:admin/xpack/connector/secret/delete",
    ),
    "read_fleet_secrets": _of("cluster:admin/fleet/secrets/get"),
    "write_fleet_secrets": _of("cluster:admin/fleet/secrets/post", "cluster:admin/fleet/secrets/delete"),
    "manage_data_stream_global_retention": _of("cluster:admin/data_stream/global_retention/*"),
    "monitor_data_stream_global_retention": _of("cluster:monitor/data_stream/global_retention/*"),
    "monitor_text_structure": _of("cluster:monitor/text_structure/*"),
    "monitor_stats": _of("cluster:monitor/stats*"),
    "manage_reindex": _of("cluster:admin/reindex/*", "cluster:monitor/reindex/*"),
    "monitor_reindex": _of("cluster:monitor/reindex/*"),
}

_SEARCH_SHARDS = ("indices:admin/shards/search_shards", "indices:admin/search/search_shards")
_RESOLVE_INDEX = "indices:admin/resolve/index"
_RESOLVE_CLUSTER = "indices:admin/resolve/cluster"

INDEX_PRIVILEGES: dict[str, Entry] = {
    "none": _of(),
    "all": _of("indices:*", "internal:transport/proxy/indices:*"),
    "read": _of("indices:data/read/*", _RESOLVE_INDEX, _RESOLVE_CLUSTER),
    "read_cross_cluster": _of(
        "internal:transport/proxy/indices:data/read/*",
        *_SEARCH_SHARDS,
        _RESOLVE_CLUSTER,
        "indices:data/read/esql",
        "indices:data/read/esql/compute",
    ),
    "write": _of("indices:data/write/*", "indices:admin/mapping/auto_put"),
    "index": _of(
        "indices:data/write/index*",
        "indices:data/write/bulk*",
        "indices:data/write/update*",
    ),
    "create": _of("indices:data/write/index*", "indices:data/write/bulk*"),
    "create_doc": _of(
        "indices:data/write/index",
        "indices:data/write/index[*",
        "indices:data/write/index:op_type/create",
        "indices:data/write/bulk*",
    ),
    "delete": _of("indices:data/write/delete*", "indices:data/write/bulk*"),
    "monitor": _of("indices:monitor/*"),
    "manage": _of(
        "indices:monitor/*",
        "indices:admin/*",
        "indices:data/read/field_caps*",
        "indices:data/read/xpack/rollup/get/*",
    ),
    "view_index_metadata": _of(
        "indices:admin/aliases/get",
        "indices:admin/get",
        "indices:admin/mappings/fields/get*",
        "indices:admin/mappings/get",
        *_SEARCH_SHARDS,
        "indices:admin/validate/query*",
        "indices:monitor/settings/get",
        "indices:admin/ilm/explain",
        "indices:admin/data_stream/get",
        "indices:admin/data_stream/lifecycle/get",
        "indices:admin/data_stream/lifecycle/explain",
        _RESOLVE_INDEX,
        _RESOLVE_CLUSTER,
        "indices:data/read/field_caps*",
        "indices:data/read/xpack/rollup/get/*",
    ),
    "create_index": _of("indices:admin/create", "indices:admin/auto_create", "indices:admin/data_stream/create"),
    "delete_index": _of("indices:admin/delete", "indices:admin/data_stream/delete"),
    "maintenance": _of(
        "indices:admin/refresh*", "indices:admin/flush*", "indices:admin/synced_flush", "indices:admin/forcemerge*"
    ),
    "auto_configure": _of("indices:admin/mapping/auto_put", "indices:admin/auto_create"),
    "manage_follow_index": _of(
        "indices:admin/xpack/ccr/put_follow",
        "indices:admin/xpack/ccr/unfollow",
        "indices:admin/close*",
        "indices:admin/data_stream/promote",
        "indices:admin/rollover",
    ),
    "manage_leader_index": _of("indices:admin/xpack/ccr/forget_follower*"),
    "manage_ilm": _of("indices:admin/ilm/*"),
    "manage_data_stream_lifecycle": _of("indices:admin/data_stream/lifecycle/*"),
    "cross_cluster_replication": _of(
        "indices:data/read/xpack/ccr/shard_changes*",
        "indices:monitor/stats*",
        "indices:admin/seq_no/add_retention_lease*",
        "indices:admin/seq_no/remove_retention_lease*",
        "indices:admin/seq_no/renew_retention_lease*",
    ),
    "cross_cluster_replication_internal": _of(
        "indices:internal/admin/ccr/restore/session/put*",
        "indices:internal/admin/ccr/restore/session/clear*",
        "indices:internal/admin/ccr/restore/file_chunk/get*",
        "internal:transport/proxy/indices:internal/admin/ccr/restore/session/put*",
        "internal:transport/proxy/indices:internal/admin/ccr/restore/session/clear*",
        "internal:transport/proxy/indices:internal/admin/ccr/restore/file_chunk/get*",
    ),
}
