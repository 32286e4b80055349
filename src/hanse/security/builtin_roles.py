"""The roles and users that every cluster has. Reserved: the API shows them and refuses to change them.

There is no built-in role for cross-cluster search or replication. Tests: tests/security/test_builtin_roles.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from hanse.security.roles import ApplicationPrivileges, IndexPrivileges, RoleDescriptor

_RESERVED = {"_reserved": True}
_NO_DOT = "/~(([.]|ilm-history-).*)/"


def _on(names: str, *privileges: str, restricted: bool = False) -> IndexPrivileges:
    return IndexPrivileges(tuple(names.split(",")), privileges, allow_restricted_indices=restricted)


def _on_every_cluster(entry: IndexPrivileges) -> IndexPrivileges:
    return IndexPrivileges(
        entry.names, entry.privileges, allow_restricted_indices=entry.allow_restricted_indices, clusters=("*",)
    )


def _role(
    name: str,
    description: str,
    cluster: tuple[str, ...] = (),
    indices: tuple[IndexPrivileges, ...] = (),
    applications: tuple[ApplicationPrivileges, ...] = (),
) -> RoleDescriptor:
    return RoleDescriptor(name, cluster, indices, applications, metadata=dict(_RESERVED), description=description)


_EVERYTHING = _on("*", "all")
_RESTRICTED = _on("*", "monitor", "read", "view_index_metadata", "read_cross_cluster", restricted=True)

SUPERUSER = RoleDescriptor(
    "superuser",
    cluster=("all",),
    indices=(_EVERYTHING, _RESTRICTED),
    applications=(ApplicationPrivileges("*", ("*",), ("*",)),),
    run_as=("*",),
    metadata=dict(_RESERVED),
    description="Grants full access to cluster management and data indices.",
    remote_indices=(_on_every_cluster(_EVERYTHING), _on_every_cluster(_RESTRICTED)),
    remote_cluster=({"privileges": ["monitor_enrich", "monitor_stats"], "clusters": ["*"]},),
)

_MONITORING_BULK = ("monitor", "cluster:admin/xpack/monitoring/bulk")

BUILTIN_ROLES: Mapping[str, RoleDescriptor] = {
    role.name: role
    for role in (
        SUPERUSER,
        _role("transport_client", "Grants the privileges a transport client needs.", ("transport_client",)),
        _role(
            "kibana_system",
            "Grants access necessary for Kibana to read from and write to its indices.",
            (
                "monitor",
                "manage_index_templates",
                "manage_saml",
                "manage_token",
                "manage_oidc",
                "delegate_pki",
                "manage_pipeline",
                "manage_ilm",
                "manage_transform",
                "manage_own_api_key",
                "grant_api_key",
                "manage_user_profile",
                "cancel_task",
            ),
            (
                _on(".kibana*,.reporting-*", "all", restricted=True),
                _on(".monitoring-*", "read", "read_cross_cluster"),
                _on(".management-beats", "create_index", "read", "write"),
                _on(".apm-agent-configuration,.apm-custom-link", "all", restricted=True),
            ),
        ),
        _role(
            "kibana_admin",
            "Grants access to all features in Kibana.",
            applications=(ApplicationPrivileges("kibana-.kibana", ("all",), ("*",)),),
        ),
        _role(
            "kibana_user",
            "Grants access to all features in Kibana.",
            applications=(ApplicationPrivileges("kibana-.kibana", ("all",), ("*",)),),
        ),
        _role(
            "viewer",
            "Grants read-only access to all features in Kibana and to data in Elasticsearch.",
            indices=(_on(_NO_DOT, "read", "view_index_metadata"),),
            applications=(ApplicationPrivileges("kibana-.kibana", ("read",), ("*",)),),
        ),
        _role(
            "editor",
            "Grants full access to all features in Kibana and read-only access to data in Elasticsearch.",
            indices=(_on(_NO_DOT, "read", "view_index_metadata"),),
            applications=(ApplicationPrivileges("kibana-.kibana", ("all",), ("*",)),),
        ),
        _role(
            "monitoring_user",
            "Grants the minimum privileges required to monitor the cluster.",
            (
                "cluster:monitor/main",
                "cluster:monitor/xpack/info",
                "cluster:monitor/remote/info",
                "monitor_text_structure",
            ),
            (_on(".monitoring-*", "read", "read_cross_cluster"),),
        ),
        _role(
            "remote_monitoring_agent",
            "Grants the minimum privileges required to write data into the monitoring indices.",
            ("manage_index_templates", "manage_ingest_pipelines", "monitor", "cluster:monitor/xpack/watcher/*"),
            (
                _on(".monitoring-*", "all"),
                _on("metricbeat-*", "index", "create_index", "view_index_metadata"),
            ),
        ),
        _role(
            "remote_monitoring_collector",
            "Grants the minimum privileges required to collect monitoring data.",
            ("monitor",),
            (_on("*", "monitor", restricted=True), _on(".kibana*", "read", restricted=True)),
        ),
        _role("logstash_system", "Grants access necessary for Logstash to send system-level data.", _MONITORING_BULK),
        _role("beats_system", "Grants access necessary for Beats to send system-level data.", _MONITORING_BULK),
        _role("apm_system", "Grants access necessary for APM to send system-level data.", _MONITORING_BULK),
        _role(
            "logstash_admin",
            "Grants access to the .logstash* indices for managing configurations.",
            ("manage_logstash_pipelines",),
            (_on(".logstash*", "create", "delete", "index", "manage", "read", restricted=True),),
        ),
        _role(
            "beats_admin",
            "Grants access to the .management-beats index.",
            indices=(_on(".management-beats", "all"),),
        ),
        _role(
            "ingest_admin",
            "Grants access to manage index templates and ingest pipelines.",
            ("manage_index_templates", "manage_pipeline"),
        ),
        _role(
            "snapshot_user",
            "Grants the privileges to create snapshots of all the indices.",
            ("create_snapshot", "cluster:admin/repository/get"),
            (_on("*", "view_index_metadata", restricted=True),),
        ),
        _role("reporting_user", "Grants the privileges required to use reporting in Kibana."),
        _role("transform_admin", "Grants manage_transform cluster privileges.", ("manage_transform",)),
        _role("transform_user", "Grants monitor_transform cluster privileges.", ("monitor_transform",)),
        _role("machine_learning_admin", "Provides all privileges of machine learning.", ("manage_ml",)),
        _role("machine_learning_user", "Grants the privileges to view machine learning.", ("monitor_ml",)),
        _role("watcher_admin", "Allows to manage all Watcher-related configurations.", ("manage_watcher",)),
        _role("watcher_user", "Grants the privileges to view Watcher.", ("monitor_watcher",)),
        _role("rollup_admin", "Grants manage_rollup cluster privileges.", ("manage_rollup",)),
        _role("rollup_user", "Grants monitor_rollup cluster privileges.", ("monitor_rollup",)),
        _role(
            "enrich_user",
            "Grants access to manage all enrich indices and to perform all operations on ingest pipelines.",
            ("manage_enrich", "manage_ingest_pipelines", "monitor"),
            (_on(".enrich-*", "manage", "read", "write"),),
        ),
        _role("inference_admin", "Grants manage_inference cluster privileges.", ("manage_inference",)),
        _role("inference_user", "Grants monitor_inference cluster privileges.", ("monitor_inference",)),
    )
}

RESERVED_USERS: Mapping[str, tuple[str, ...]] = {
    "elastic": ("superuser",),
    "kibana": ("kibana_system",),
    "kibana_system": ("kibana_system",),
    "logstash_system": ("logstash_system",),
    "beats_system": ("beats_system",),
    "apm_system": ("apm_system",),
    "remote_monitoring_user": ("remote_monitoring_agent", "remote_monitoring_collector"),
}
"""Built-in users and their roles. Without a password set they cannot log in."""

INTERNAL_USERS = frozenset(
    {"_system", "_xpack", "_xpack_security", "_async_search", "_security_profile", "_storage", "_cross_cluster_access"}
)
"""Names that nobody can log in as, run as, or create."""
