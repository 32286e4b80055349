"""The child process: started, started again, ended, never twice on one store."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.nats_servers import BINARY

from hanse.cluster.jetstream import server as module
from hanse.cluster.jetstream.binary import Binary
from hanse.cluster.jetstream.server import ManagedServer, end_leftover
from hanse.cluster.jetstream.server_config import Managed, write_config
from hanse.errors import SettingsError
from hanse.settings.registry import Settings

OWN = Binary(BINARY, "2.15.1", "test")


def configured(folder: Path) -> Managed:
    return write_config(Settings({"hanse.nats.client_port": "0"}), folder / "nats", folder / "logs", None, None)


def is_running(pid: int) -> bool:
    try:
        return b"nats-server" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


async def until_gone(pid: int) -> None:
    while is_running(pid):
        await asyncio.sleep(0.01)


async def test_a_server_that_dies_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_S_MIN", 0.01)
    server = ManagedServer(OWN, configured(tmp_path))
    await server.start()
    first = server.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    while server.pid == first:
        await asyncio.sleep(0.01)
    second = server.pid
    assert second is not None
    await server.close()
    await until_gone(second)


async def test_it_is_started_again_at_once_when_its_vote_changes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = ManagedServer(OWN, configured(tmp_path))
    await server.start()
    first = server.pid
    await server.set_voting(True)
    assert server.pid == first, "it votes already"
    await server.set_voting(False)
    while server.pid == first:
        await asyncio.sleep(0.01)
    assert "jetstream" not in json.loads(server.managed.config_file.read_text())
    assert "ended and is started again" not in caplog.text
    await server.close()


async def test_a_configuration_it_refuses_is_told_in_its_own_words(tmp_path: Path) -> None:
    managed = configured(tmp_path)
    managed.config_file.write_text(json.dumps({"no_such_thing": 1, "log_file": str(managed.log_file)}))
    with pytest.raises(SettingsError, match=r"nats-server ended with status \[1\]"):
        await ManagedServer(OWN, managed).start()


async def test_a_server_that_outlived_its_node_is_ended_first(tmp_path: Path) -> None:
    managed = configured(tmp_path)
    left = subprocess.Popen([str(BINARY), "-c", str(managed.config_file)], start_new_session=True)
    while not managed.pid_file.exists() or not managed.pid_file.read_text():
        await asyncio.sleep(0.01)
    server = ManagedServer(OWN, managed)
    await server.start()
    assert left.wait() == -signal.SIGKILL
    await server.close()


def test_a_number_that_was_given_to_somebody_else_is_left_alone(tmp_path: Path) -> None:
    managed = configured(tmp_path)
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    managed.pid_file.write_text(str(bystander.pid))
    end_leftover(managed)
    assert bystander.poll() is None
    bystander.communicate(b"\n")
    for content in ("", "words"):
        managed.pid_file.write_text(content)
        end_leftover(managed)
