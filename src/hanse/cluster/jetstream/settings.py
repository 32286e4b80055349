"""The settings of the JetStream engine (`hanse.nats.*`). Knows nothing of NATS' client, so it costs nothing to import.

Tests: tests/cluster/jetstream/test_settings.py.
"""

from __future__ import annotations

from typing import Any

from hanse.errors import IllegalArgumentError
from hanse.settings.node_settings import PORT_MAX
from hanse.settings.registry import (
    Scope,
    Setting,
    boolean,
    checked,
    choice,
    integer,
    optional_string,
    size_bytes,
    strings,
)
from hanse.tls.ssl_settings import ssl_settings

TLS_PREFIX = "hanse.nats.tls"
LOG_SIZE_MIN = 128 * 1024 * 1024
_STATIC = Scope.STATIC


def _hosts_and_ports(values: tuple[str, ...], key: str) -> None:
    for value in values:
        host, colon, port = value.rpartition(":")
        if not colon or not host or not port.isdecimal() or not 0 < int(port) <= PORT_MAX:
            raise IllegalArgumentError(
                f"failed to parse [{value}] in setting [{key}]: expected host:port such as [10.0.0.2:6222]"
            )


def _holds_a_batch(size: int, key: str) -> None:
    if size < LOG_SIZE_MIN:
        raise IllegalArgumentError(
            f"failed to parse value [{size}] for setting [{key}]: a log must hold the longest batch, so at least "
            f"[{LOG_SIZE_MIN}] bytes"
        )


MODE = choice(
    "hanse.nats.mode",
    "managed",
    ("managed", "external"),
    _STATIC,
    "managed: this node starts and watches a nats-server of its own; external: use those of hanse.nats.servers",
)
BINARY = optional_string(
    "hanse.nats.binary", _STATIC, "the nats-server to start; default: the one on the PATH, else that of hanse[cluster]"
)
CLIENT_PORT = integer(
    "hanse.nats.client_port",
    4222,
    _STATIC,
    "loopback port on which a managed nats-server serves its own node; 0: any free port",
    min=0,
    max=PORT_MAX,
)
ROUTE_PORT = integer(
    "hanse.nats.route_port", 6222, _STATIC, "port on which managed nats-servers reach one another", min=1, max=PORT_MAX
)
ROUTES = checked(
    strings(
        "hanse.nats.routes",
        _STATIC,
        "host:port of the other managed nats-servers; default: discovery.seed_hosts with hanse.nats.route_port",
    ),
    _hosts_and_ports,
)
ROUTE_PASSWORD = optional_string(
    "hanse.nats.route_password", Scope.SECURE, "shared by the nats-servers of one cluster, beside their certificates"
)
SERVERS = checked(
    strings("hanse.nats.servers", _STATIC, "host:port of nats-servers that exist, for mode external"), _hosts_and_ports
)
MONITORS = checked(
    strings(
        "hanse.nats.monitors",
        _STATIC,
        "host:port of each external server's monitoring, to verify sync_interval: always",
    ),
    _hosts_and_ports,
)
UNVERIFIED_SYNC = boolean(
    "hanse.nats.accept_unverified_sync",
    False,
    _STATIC,
    "start although nobody verified sync_interval: always; a power cut may then lose acknowledged writes",
)
USER = optional_string("hanse.nats.user", _STATIC, "user at external nats-servers")
PASSWORD = optional_string("hanse.nats.password", Scope.SECURE, "password of hanse.nats.user")
CREDENTIALS = optional_string(
    "hanse.nats.credentials", Scope.SECURE, "content of a NATS credentials file, instead of user and password"
)
RESTORE_STATE = boolean(
    "hanse.nats.restore_state",
    False,
    _STATIC,
    "put this node's own copy of the cluster state back where JetStream has lost it, or take over that of the embedded "
    "engine; for one start",
)
REPLICAS = integer(
    "hanse.nats.replicas", 0, _STATIC, "servers that keep each stream; 0: all of them, three at most", min=0, max=5
)
LOG_SIZE = checked(
    size_bytes(
        "hanse.nats.log_size",
        256 * 1024 * 1024,
        _STATIC,
        "how much of each shard's log is kept; who is further behind takes the documents from another copy",
    ),
    _holds_a_batch,
)

NATS_SETTINGS: list[Setting[Any]] = [
    *(value for value in list(globals().values()) if isinstance(value, Setting)),
    *ssl_settings(TLS_PREFIX),
]
"""What the registry of a node declares for this engine."""
