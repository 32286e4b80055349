"""The settings a node reads once at start: names, paths, addresses, ports, roles, and the check of all of them.

Settings of Elasticsearch that have no meaning here but stand in operators' files are accepted (see ACCEPTED below), so
that a file need not be rewritten. Dynamic ones: cluster_settings.py. Tests: tests/settings/test_node_settings.py.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hanse.errors import IllegalArgumentError, SettingsError
from hanse.settings.cluster_settings import CLUSTER_SETTINGS
from hanse.settings.registry import (
    RawValue,
    Scope,
    Setting,
    Settings,
    SettingsRegistry,
    boolean,
    checked,
    choice,
    integer,
    optional_string,
    size_bytes,
    string,
    strings,
    time_s,
)

PORT_MAX = 65535
ROLES = (
    "data",
    "data_cold",
    "data_content",
    "data_frozen",
    "data_hot",
    "data_warm",
    "index",
    "ingest",
    "master",
    "ml",
    "remote_cluster_client",
    "search",
    "transform",
    "voting_only",
)
_DEFAULT_ROLES = tuple(role for role in ROLES if role not in ("index", "search", "voting_only"))
_STATIC = Scope.STATIC
_VERSION = re.compile(r"^\d{1,3}\.\d{1,3}\.\d{1,3}$")


@dataclass(frozen=True, slots=True)
class PortRange:
    """`9200-9300`: the first free port of it is taken. `0`: any free port."""

    first: int
    last: int

    def ports(self) -> range:
        return range(self.first, self.last + 1)

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


def ports(key: str, default: PortRange, help: str) -> Setting[PortRange]:
    """A port or a range of ports."""

    def parse(raw: RawValue, name: str) -> PortRange:
        text = raw if isinstance(raw, str) else ",".join(raw)
        match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", text.strip())
        if match is None:
            raise IllegalArgumentError(
                f"Failed to parse value [{text}] for setting [{name}]: expected a port or a range such as [{default}]"
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if first > last or last > PORT_MAX:
            raise IllegalArgumentError(f"invalid port range [{text}] for setting [{name}]")
        return PortRange(first, last)

    return Setting(key, parse, default, _STATIC, help, str(default))


def _known_roles(roles: tuple[str, ...], key: str) -> None:
    for role in roles:
        if role not in ROLES:
            raise IllegalArgumentError(f"unknown role [{role}] in setting [{key}], known roles are {list(ROLES)}")


def _cluster_name(name: str, key: str) -> None:
    if not name or ":" in name or "/" in name:
        raise IllegalArgumentError(f"[{key}] must not be empty nor contain [:] or [/], but was [{name}]")


def _version(text: str, key: str) -> None:
    if not _VERSION.match(text):
        raise IllegalArgumentError(f"Failed to parse value [{text}] for setting [{key}]: expected a version like 9.2.0")


CLUSTER_NAME = checked(string("cluster.name", "elasticsearch", _STATIC, "the cluster this node is of"), _cluster_name)
NODE_NAME = string("node.name", socket.gethostname(), _STATIC, "the node's name in logs and APIs; default: host name")
NODE_ATTRIBUTES = string("node.attr.*", "", _STATIC, "an attribute of this node")
NODE_ROLES = checked(strings("node.roles", _STATIC, "what this node does", _DEFAULT_ROLES), _known_roles)
PATH_DATA = string("path.data", "data", _STATIC, "the node's data folder")
PATH_LOGS = optional_string("path.logs", _STATIC, "folder of the log files; without it only the console has a log")
NETWORK_HOST = strings("network.host", _STATIC, "address to bind to, _local_, _site_ or 0.0.0.0", ("_local_",))
NETWORK_BIND_HOST = strings("network.bind_host", _STATIC, "address to bind to, instead of network.host")
NETWORK_PUBLISH_HOST = strings("network.publish_host", _STATIC, "address that other nodes are told")
HTTP_HOST = strings("http.host", _STATIC, "address of the HTTP port, instead of network.host")
HTTP_BIND_HOST = strings("http.bind_host", _STATIC, "address the HTTP port binds to, instead of http.host")
HTTP_PUBLISH_HOST = strings("http.publish_host", _STATIC, "address that clients are told")
HTTP_PORT = ports("http.port", PortRange(9200, 9300), "port for clients, or a range; 0: any free port")
HTTP_PUBLISH_PORT = integer("http.publish_port", -1, _STATIC, "port that clients are told", min=-1, max=PORT_MAX)
HTTP_MAX_CONTENT_LENGTH = size_bytes(
    "http.max_content_length", 100 * 1024 * 1024, _STATIC, "the longest request body; longer ones are answered 413"
)
HTTP_MAX_HEADER_SIZE = size_bytes("http.max_header_size", 16 * 1024, _STATIC, "the most bytes of headers")
HTTP_MAX_INITIAL_LINE_LENGTH = size_bytes("http.max_initial_line_length", 4096, _STATIC, "the longest request line")
HTTP_COMPRESSION = boolean("http.compression", True, _STATIC, "compress answers for clients that ask for it")
HTTP_DETAILED_ERRORS = boolean("http.detailed_errors.enabled", True, _STATIC, "accepted, detail is always shown")
TRANSPORT_HOST = strings("transport.host", _STATIC, "address of the transport port, instead of network.host")
TRANSPORT_BIND_HOST = strings("transport.bind_host", _STATIC, "address the transport port binds to")
TRANSPORT_PUBLISH_HOST = strings("transport.publish_host", _STATIC, "address that other nodes are told")
TRANSPORT_PORT = ports("transport.port", PortRange(9300, 9400), "port for nodes, or a range; 0: any free port")
TRANSPORT_PUBLISH_PORT = integer("transport.publish_port", -1, _STATIC, "port told to nodes", min=-1, max=PORT_MAX)
TRANSPORT_COMPRESS = choice(
    "transport.compress", "indexing_data", ("true", "false", "indexing_data"), _STATIC, "compress calls between nodes"
)
TRANSPORT_COMPRESSION_SCHEME = choice(
    "transport.compression_scheme", "lz4", ("lz4", "deflate"), _STATIC, "how calls are compressed"
)
TRANSPORT_PING_SCHEDULE = time_s("transport.ping_schedule", -1, _STATIC, "pings on idle connections; -1: our own pace")
TRANSPORT_CONNECT_TIMEOUT = time_s("transport.connect_timeout", 30, _STATIC, "bounds a connect with its handshake")
DISCOVERY_TYPE = choice(
    "discovery.type", "multi-node", ("multi-node", "single-node"), _STATIC, "single-node: a cluster of this node alone"
)
DISCOVERY_SEED_HOSTS = strings("discovery.seed_hosts", _STATIC, "where to look for the other nodes")
INITIAL_MASTER_NODES = strings("cluster.initial_master_nodes", _STATIC, "the nodes of a new cluster's first election")
SECURITY_ENABLED = boolean("xpack.security.enabled", True, _STATIC, "who calls must log in and may do what roles grant")
COMPATIBILITY_VERSION = checked(
    string("hanse.compatibility.version", "9.2.0", _STATIC, "the Elasticsearch version told to clients"), _version
)
MINIMUM_WIRE_VERSION = "8.19.0"
MINIMUM_INDEX_VERSION = "8.0.0"
"""Told to clients beside the compatible version."""

NODE_SETTINGS: list[Setting[Any]] = [
    *(value for value in list(globals().values()) if isinstance(value, Setting)),
    *CLUSTER_SETTINGS,
]
"""What the registry of a node declares for this room."""

_FLAGS = (
    "bootstrap.memory_lock",
    "bootstrap.system_call_filter",
    "cluster.deprecation_indexing.enabled",
    "http.cors.allow-credentials",
    "http.cors.enabled",
    "http.tcp.keep_alive",
    "http.tcp.no_delay",
    "http.tcp.reuse_address",
    "ingest.geoip.downloader.eager.download",
    "network.tcp.keep_alive",
    "network.tcp.no_delay",
    "network.tcp.reuse_address",
    "node.store.allow_mmap",
    "transport.tcp.keep_alive",
    "transport.tcp.no_delay",
    "transport.tcp.reuse_address",
    "xpack.ccr.enabled",
    "xpack.graph.enabled",
    "xpack.ml.enabled",
    "xpack.monitoring.enabled",
    "xpack.security.autoconfiguration.enabled",
    "xpack.security.enrollment.enabled",
    "xpack.watcher.enabled",
)
_TEXTS = (
    "discovery.probe.connect_timeout",
    "discovery.probe.handshake_timeout",
    "discovery.seed_providers",
    "gateway.expected_data_nodes",
    "gateway.recover_after_data_nodes",
    "gateway.recover_after_time",
    "http.cors.allow-headers",
    "http.cors.allow-methods",
    "http.cors.allow-origin",
    "http.cors.expose-headers",
    "http.cors.max-age",
    "http.max_warning_header_count",
    "http.max_warning_header_size",
    "http.netty.worker_count",
    "indices.fielddata.cache.size",
    "indices.memory.index_buffer_size",
    "indices.memory.max_index_buffer_size",
    "indices.memory.min_index_buffer_size",
    "indices.queries.cache.count",
    "indices.queries.cache.size",
    "indices.query.bool.max_clause_count",
    "indices.query.bool.max_nested_depth",
    "indices.requests.cache.expire",
    "indices.requests.cache.size",
    "ingest.geoip.cache_size",
    "node.max_local_storage_nodes",
    "node.processors",
    "path.repo",
    "path.shared_data",
    "pidfile",
    "repositories.url.allowed_urls",
    "resource.reload.interval.low",
    "resource.reload.interval.medium",
    "script.allowed_contexts",
    "script.allowed_types",
    "thread_pool.*",
    "transport.tcp.connect_timeout",
    "xpack.license.self_generated.type",
    "xpack.ml.model_repository",
    "xpack.searchable.snapshot.shared_cache.size",
)
ACCEPTED: list[Setting[Any]] = [
    *(boolean(key, False, _STATIC, "accepted and without effect") for key in _FLAGS),
    *(strings(key, _STATIC, "accepted and without effect") for key in _TEXTS),
]
NODE_SETTINGS += ACCEPTED


def check_node_settings(
    registry: SettingsRegistry, settings: Settings, secure: Mapping[str, str] | None = None
) -> None:
    """Raises SettingsError, in one line that names the setting, for an unknown name, a wrong place or a wrong type."""
    level = sorted(key for key in settings if key.startswith("index."))
    if level:
        raise SettingsError(f"node settings must not contain any index level settings, but found [{', '.join(level)}]")
    hidden = {key: value for key, value in (secure or {}).items() if not key.startswith("keystore.")}
    for key, value in settings.items():
        _check_one(registry, key, value, Scope.STATIC | Scope.DYNAMIC, "setting")
    for key, value in hidden.items():
        _check_one(registry, key, value, Scope.SECURE, "secure setting")


def _check_one(registry: SettingsRegistry, key: str, value: RawValue, allowed: Scope, what: str) -> None:
    try:
        registry.check({key: value}, allowed=allowed, what=what)
    except IllegalArgumentError as error:
        named = error.reason if f"[{key}]" in error.reason else f"setting [{key}]: {error.reason}"
        raise SettingsError(named) from error
