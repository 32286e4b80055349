"""What `GET _remote/info` says about each remote cluster, as this node sees it.

Elasticsearch's members; and `last_error` with its time while a cluster cannot be reached, the certificate that a
connected gateway showed, the round trip to it, and how far its clock is ahead of ours by its own word.
Tests: tests/remote/test_status.py.
"""

from __future__ import annotations

from typing import Any

from hanse.remote.connection import RemoteConnection
from hanse.remote.settings import SNIFF
from hanse.settings.units import format_time
from hanse.tls.certificate_words import iso, shown_fields
from hanse.transport.actions import Action, ActionRegistry, Call, Empty, Scope

REMOTE_INFO: Action[Empty, dict[str, Any]] = Action("cluster:monitor/remote/info", Empty, dict[str, Any], Scope.CLUSTER)


def describe(connection: RemoteConnection, initial_connect_timeout_s: float) -> dict[str, Any]:
    """One remote cluster's entry."""
    config = connection.config
    if config.mode == SNIFF:
        mode: dict[str, Any] = {
            "seeds": list(config.seeds),
            "num_nodes_connected": connection.connection_count,
            "max_connections_per_cluster": config.node_connections,
        }
    else:
        mode = {
            "proxy_address": config.proxy_address,
            "server_name": config.server_name,
            "num_proxy_sockets_connected": connection.connection_count,
            "max_proxy_socket_connections": config.proxy_socket_connections,
        }
    entry: dict[str, Any] = {
        "connected": connection.is_connected,
        "mode": config.mode,
        **mode,
        "initial_connect_timeout": format_time(initial_connect_timeout_s),
        "skip_unavailable": config.skip_unavailable,
    }
    if connection.last_error is not None and connection.last_error_at is not None:
        entry["last_error"] = connection.last_error
        entry["last_error_at"] = iso(connection.last_error_at)
    if connection.peer_certificate is not None:
        entry["peer_certificate"] = shown_fields(connection.peer_certificate)
    if connection.round_trip_s is not None:
        entry["round_trip"] = f"{connection.round_trip_s * 1000:.2f}ms"
    if connection.clock_skew_s is not None:
        entry["clock_skew"] = f"{connection.clock_skew_s * 1000:.0f}ms"
    return entry


def register(registry: ActionRegistry, remotes: Any) -> None:
    """Serves `GET _remote/info`; `remotes` is the node's RemoteClusters."""

    async def remote_info(call: Call, request: Empty) -> dict[str, Any]:
        return dict(remotes.info())

    registry.register(REMOTE_INFO, remote_info)
