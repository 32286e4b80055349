"""Connecting: the version that is read, and refusals that say why."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from tests.nats_servers import NatsServer

from hanse.cluster.jetstream.connection import connect, is_new_enough
from hanse.errors import SettingsError


@pytest.mark.parametrize(
    ("version", "accepted"),
    [("2.14.0", True), ("2.15.1", True), ("v3.0.0-beta", True), ("2.13.9", False), ("2.9.10", False), ("?", False)],
)
def test_the_floor(version: str, accepted: bool) -> None:
    assert is_new_enough(version) is accepted


async def test_an_old_server_is_refused_with_a_sentence() -> None:
    """What Debian 12 ships says so in its first line."""

    async def old(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        info = {"server_id": "OLD", "version": "2.9.10", "max_payload": 1048576, "headers": True}
        writer.write(b"INFO " + json.dumps(info).encode() + b"\r\n")
        while line := await reader.readline():
            if line.startswith(b"PING"):
                writer.write(b"PONG\r\n")
        writer.close()

    server = await asyncio.start_server(old, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(SettingsError, match=r"has version \[2\.9\.10\], but \[2\.14\] or newer is needed"):
        await connect([f"nats://127.0.0.1:{port}"], {}, replicas=1, timeout_s=10)
    server.close()
    await server.wait_closed()


async def test_nobody_there() -> None:
    with pytest.raises(SettingsError, match="cannot connect to nats-server at"):
        await connect(["nats://127.0.0.1:1"], {}, replicas=1, timeout_s=0.2)


async def test_a_wrong_login_is_told_at_once(tmp_path: Path) -> None:
    server = NatsServer(tmp_path, authorization={"user": "u", "password": "right"}).start()
    try:
        with pytest.raises(SettingsError, match="Authorization Violation") as refused:
            await connect([server.url], {"user": "u", "password": "wrong-one"}, replicas=1, timeout_s=60)
        assert "wrong-one" not in refused.value.reason
        connection = await connect([server.url], {"user": "u", "password": "right"}, replicas=1, timeout_s=60)
        await connection.close()
    finally:
        server.kill()
