"""`cluster.remote.*`: the settings, what they mean together, and the errors when they contradict each other.

`RemoteConfig` is one alias' settings as values; two equal configs need no new connection (`skip_unavailable` and the
compression settings stand outside of the comparison where Elasticsearch does the same).
Tests: tests/remote/test_settings.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from hanse.errors import IllegalArgumentError
from hanse.settings.registry import (
    RawValue,
    Scope,
    Setting,
    Settings,
    boolean,
    checked,
    choice,
    integer,
    optional_string,
    string,
    strings,
    time_s,
)

PREFIX = "cluster.remote."
SNIFF, PROXY = "sniff", "proxy"

_NODE = Scope.DYNAMIC | Scope.STATIC
_HOST_PORT = re.compile(r"^(?P<host>\[[^\]]+\]|[^:\[\]]+):(?P<port>[^:]*)$")
PORT_MAX = 65535


def split_address(address: str) -> tuple[str, int]:
    """`host:port` or `[v6]:port`. Raises IllegalArgumentError with Elasticsearch's wording."""
    match = _HOST_PORT.match(address)
    if match is None:
        raise IllegalArgumentError(f"remote hosts need to be configured as [host:port], found [{address}] instead")
    try:
        port = int(match["port"])
    except ValueError as error:
        raise IllegalArgumentError(f"failed to parse port [{match['port']}] of remote host [{address}]") from error
    if port <= 0:
        raise IllegalArgumentError(f"port number must be > 0 but was: [{port}]")
    if port > PORT_MAX:
        raise IllegalArgumentError(f"port number must be <= {PORT_MAX} but was: [{port}]")
    return match["host"].strip("[]"), port


def _check_addresses(addresses: tuple[str, ...], key: str) -> None:
    for address in addresses:
        split_address(address)


def _check_address(address: str, key: str) -> None:
    if address:
        split_address(address)


def _mode(raw: RawValue, key: str) -> str:
    text = raw if isinstance(raw, str) else ",".join(raw)
    if text.lower() not in (SNIFF, PROXY):
        raise IllegalArgumentError(
            f"No enum constant RemoteConnectionStrategy.ConnectionStrategy.{text.upper()} for setting [{key}], "
            f"expected [sniff] or [proxy]"
        )
    return text.lower()


MODE = Setting("cluster.remote.*.mode", _mode, SNIFF, _NODE, "How gateways are found: sniff or proxy.", SNIFF)
SEEDS = checked(
    strings("cluster.remote.*.seeds", _NODE, "Transport addresses asked for the cluster's nodes (sniff)."),
    _check_addresses,
)
NODE_CONNECTIONS = integer("cluster.remote.*.node_connections", 3, _NODE, "Gateway nodes connected (sniff).", min=1)
SNIFF_PROXY = checked(
    string("cluster.remote.*.proxy", "", _NODE, "Address through which every node is dialled (sniff)."), _check_address
)
PROXY_ADDRESS = checked(
    string("cluster.remote.*.proxy_address", "", _NODE, "The one address dialled (proxy)."), _check_address
)
PROXY_SOCKET_CONNECTIONS = integer(
    "cluster.remote.*.proxy_socket_connections", 18, _NODE, "Sockets opened to the proxy address.", min=1
)
SERVER_NAME = string("cluster.remote.*.server_name", "", _NODE, "TLS server name sent to the proxy address (proxy).")
SKIP_UNAVAILABLE = boolean(
    "cluster.remote.*.skip_unavailable", True, _NODE, "A search goes on without this cluster when it fails."
)
COMPRESS = choice(
    "cluster.remote.*.transport.compress", "indexing_data", ("true", "indexing_data", "false"), _NODE,
    "Accepted and shown; frames are not compressed.",
)  # fmt: skip
COMPRESSION_SCHEME = choice(
    "cluster.remote.*.transport.compression_scheme", "lz4", ("deflate", "lz4"), _NODE,
    "Accepted and shown; frames are not compressed.",
)  # fmt: skip
PING_SCHEDULE = time_s(
    "cluster.remote.*.transport.ping_schedule", -1, _NODE, "Accepted and shown; every connection is pinged anyway."
)
CREDENTIALS = optional_string(
    "cluster.remote.*.credentials", Scope.SECURE, "A cross-cluster API key; selects the API-key model."
)
INITIAL_CONNECT_TIMEOUT = time_s(
    "cluster.remote.initial_connect_timeout", 30.0, Scope.STATIC, "How long a starting node waits for its remotes."
)
CONNECTIONS_PER_CLUSTER = integer(
    "cluster.remote.connections_per_cluster", 3, Scope.STATIC, "Default of node_connections.", min=1
)
NODE_ATTRIBUTE = string(
    "cluster.remote.node.attr", "", Scope.STATIC, "Only nodes with this attribute set to true become gateways (sniff)."
)

REMOTE_SETTINGS: tuple[Setting[Any], ...] = (
    MODE, SEEDS, NODE_CONNECTIONS, SNIFF_PROXY, PROXY_ADDRESS, PROXY_SOCKET_CONNECTIONS, SERVER_NAME, SKIP_UNAVAILABLE,
    COMPRESS, COMPRESSION_SCHEME, PING_SCHEDULE, CREDENTIALS,
    INITIAL_CONNECT_TIMEOUT, CONNECTIONS_PER_CLUSTER, NODE_ATTRIBUTE,
)  # fmt: skip

_AFFIX = tuple(setting for setting in REMOTE_SETTINGS if "*" in setting.key)
_ONLY_SNIFF: tuple[Setting[Any], ...] = (SEEDS, NODE_CONNECTIONS, SNIFF_PROXY)
_ONLY_PROXY: tuple[Setting[Any], ...] = (PROXY_ADDRESS, PROXY_SOCKET_CONNECTIONS, SERVER_NAME)
_NEED_ENABLED: tuple[Setting[Any], ...] = (SKIP_UNAVAILABLE, COMPRESS, COMPRESSION_SCHEME, PING_SCHEDULE)


class RemoteConfig(msgspec.Struct, frozen=True):
    """One remote cluster's settings, typed."""

    alias: str
    mode: str = SNIFF
    seeds: tuple[str, ...] = ()
    node_connections: int = 3
    proxy: str = ""
    node_attribute: str = ""
    proxy_address: str = ""
    proxy_socket_connections: int = 18
    server_name: str = ""
    skip_unavailable: bool = True
    compress: str = "indexing_data"
    compression_scheme: str = "lz4"
    ping_schedule_s: float = -1

    @property
    def is_enabled(self) -> bool:
        return bool(self.seeds if self.mode == SNIFF else self.proxy_address)

    @property
    def connections_max(self) -> int:
        return self.node_connections if self.mode == SNIFF else self.proxy_socket_connections

    def needs_rebuild(self, other: RemoteConfig) -> bool:
        """True when `other` cannot be had without new connections; the order of seeds does not matter."""
        return self._connecting() != other._connecting()

    def _connecting(self) -> RemoteConfig:
        return msgspec.structs.replace(self, skip_unavailable=True, seeds=tuple(sorted(set(self.seeds))))


def merged_settings(
    yml: Settings, persistent: Mapping[str, RawValue] | None = None, transient: Mapping[str, RawValue] | None = None
) -> Settings:
    """The settings that count: transient over persistent over elasticsearch.yml."""
    return yml.merged(dict(persistent or {})).merged(dict(transient or {}))


def aliases_of(settings: Settings) -> list[str]:
    """Every alias a setting names, enabled or not. Raises IllegalArgumentError for an empty one."""
    found = set()
    for key in settings:
        if not key.startswith(PREFIX):
            continue
        if key.startswith(PREFIX + "."):
            raise IllegalArgumentError("remote clusters must not have the empty string as its key")
        for setting in _AFFIX:
            match = setting.pattern.match(key)
            if match is not None:
                found.add(match[1])
    return sorted(found)


def read_config(settings: Settings, alias: str) -> RemoteConfig:
    def read(setting: Setting[Any]) -> Any:
        return settings.read(setting.at(alias))

    has_own_count = NODE_CONNECTIONS.at(alias).key in settings
    return RemoteConfig(
        alias,
        read(MODE),
        read(SEEDS),
        read(NODE_CONNECTIONS) if has_own_count else settings.read(CONNECTIONS_PER_CLUSTER),
        read(SNIFF_PROXY),
        settings.read(NODE_ATTRIBUTE),
        read(PROXY_ADDRESS),
        read(PROXY_SOCKET_CONNECTIONS),
        read(SERVER_NAME),
        read(SKIP_UNAVAILABLE),
        read(COMPRESS),
        read(COMPRESSION_SCHEME),
        read(PING_SCHEDULE),
    )


def read_configs(settings: Settings) -> dict[str, RemoteConfig]:
    """The enabled remote clusters by alias."""
    configs = (read_config(settings, alias) for alias in aliases_of(settings))
    return {config.alias: config for config in configs if config.is_enabled}


def validate_remote_settings(settings: Settings) -> None:
    """Judges each alias' settings as a group, merged as they would count. Raises IllegalArgumentError."""
    for alias in aliases_of(settings):
        config = read_config(settings, alias)
        foreign, required = (_ONLY_PROXY, PROXY) if config.mode == SNIFF else (_ONLY_SNIFF, SNIFF)
        for setting in foreign:
            key = setting.at(alias).key
            if key in settings:
                raise IllegalArgumentError(
                    f'Setting "{key}" cannot be used with the configured "{MODE.at(alias).key}" '
                    f"[required={required.upper()}, configured={config.mode.upper()}]"
                )
        for setting in _NEED_ENABLED:
            key = setting.at(alias).key
            if key in settings and not config.is_enabled:
                raise IllegalArgumentError(f"Cannot configure setting [{key}] if remote cluster is not enabled.")
