"""`sync_interval: always` is proven, waived loudly, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.nats_servers import Connect, NatsServer

from hanse.cluster.jetstream.verification import verify_sync
from hanse.errors import SettingsError
from hanse.settings.registry import RawValue, Settings


def settings(*monitors: str, **more: RawValue) -> Settings:
    return Settings({"hanse.nats.monitors": list(monitors), **more})


async def test_a_server_that_syncs_always_is_accepted(connect: Connect, nats_server: NatsServer) -> None:
    await verify_sync(settings(nats_server.monitor), await connect())


async def test_without_a_monitor_nothing_is_known(connect: Connect) -> None:
    with pytest.raises(SettingsError, match=r"not known whether.*\[hanse\.nats\.accept_unverified_sync: true\]"):
        await verify_sync(settings(), await connect())
    await verify_sync(settings(**{"hanse.nats.accept_unverified_sync": "true"}), await connect())


async def test_a_server_that_syncs_later_is_refused(tmp_path: Path) -> None:
    server = NatsServer(tmp_path, jetstream={"store_dir": str(tmp_path)}).start()
    connection = await server.connect()
    with pytest.raises(SettingsError, match=r"does not have \[sync_interval: always\]"):
        await verify_sync(settings(server.monitor), connection)
    await connection.close()
    server.kill()


async def test_a_monitor_of_another_server_proves_nothing(
    connect: Connect, nats_server: NatsServer, tmp_path: Path
) -> None:
    other = NatsServer(tmp_path).start()
    with pytest.raises(SettingsError, match=r"none of .* is the nats-server this node is connected to"):
        await verify_sync(settings(other.monitor), await connect())
    other.kill()
    with pytest.raises(SettingsError, match="does not answer"):
        await verify_sync(settings(nats_server.monitor, other.monitor), await connect())
