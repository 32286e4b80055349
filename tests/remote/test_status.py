from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from hanse.remote.connection import RemoteConnection
from hanse.remote.settings import RemoteConfig
from hanse.remote.status import REMOTE_INFO, describe
from hanse.tls.contexts import TlsContexts
from hanse.transport.actions import Scope

from .conftest import BERGEN, Cluster


def connection(config: RemoteConfig) -> RemoteConnection:
    return RemoteConnection(config, BERGEN, None, jitter=lambda: 0.0)


async def test_sniff_mode() -> None:
    entry = describe(connection(RemoteConfig("a", seeds=("127.0.0.1:9300",), skip_unavailable=False)), 30)
    assert list(entry.items()) == [
        ("connected", False),
        ("mode", "sniff"),
        ("seeds", ["127.0.0.1:9300"]),
        ("num_nodes_connected", 0),
        ("max_connections_per_cluster", 3),
        ("initial_connect_timeout", "30s"),
        ("skip_unavailable", False),
    ]


async def test_proxy_mode() -> None:
    entry = describe(connection(RemoteConfig("b", mode="proxy", proxy_address="host:9400")), 90)
    assert list(entry.items()) == [
        ("connected", False),
        ("mode", "proxy"),
        ("proxy_address", "host:9400"),
        ("server_name", ""),
        ("num_proxy_sockets_connected", 0),
        ("max_proxy_socket_connections", 18),
        ("initial_connect_timeout", "90s"),
        ("skip_unavailable", True),
    ]


async def test_the_last_error_and_its_time() -> None:
    remote = connection(RemoteConfig("a", seeds=("127.0.0.1:9300",)))
    remote.last_error, remote.last_error_at = "refused", datetime(2026, 1, 2, 3, 4, 5, 6000, UTC)
    entry = describe(remote, 30)
    assert (entry["last_error"], entry["last_error_at"]) == ("refused", "2026-01-02T03:04:05.006Z")


def test_the_action_is_elasticsearchs() -> None:
    assert (REMOTE_INFO.name, REMOTE_INFO.scope) == ("cluster:monitor/remote/info", Scope.CLUSTER)


async def test_a_connected_gateway_shows_its_certificate_and_round_trip(contexts: TlsContexts) -> None:
    node = await Cluster("oslo", contexts).add("oslo-1")
    remote = RemoteConnection(RemoteConfig("oslo", seeds=(node.address,)), BERGEN, contexts, jitter=lambda: 0.0)
    remote.start()
    await remote.ensure_connected(20)
    async with asyncio.timeout(20):
        while remote.round_trip_s is None:
            await asyncio.sleep(0.001)
    entry = describe(remote, 30)
    shown = entry["peer_certificate"]
    assert shown["subject_alternative_names"] == ["DNS:localhost", "IP:127.0.0.1"]
    assert len(shown["fingerprint_sha256"]) == 64
    assert shown["expiry"].endswith("Z")
    assert entry["round_trip"].endswith("ms")
    await remote.close()
    await node.stop()
