"""The configuration of a managed nats-server."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from hanse.cluster.jetstream.server_config import routes, write_config, write_voting
from hanse.errors import SettingsError
from hanse.settings.registry import RawValue, Settings


def written(folder: Path, password: str | None = None, **settings: RawValue) -> dict[str, Any]:
    managed = write_config(Settings(settings), folder / "nats", folder / "logs", None, password)
    assert stat.S_IMODE(managed.config_file.stat().st_mode) == 0o600
    found: dict[str, Any] = json.loads(managed.config_file.read_text())
    return found


def test_a_server_of_a_node_alone(tmp_path: Path) -> None:
    config = written(tmp_path, **{"node.name": "crane 1"})
    assert (config["host"], config["port"]) == ("127.0.0.1", 4222)
    assert config["jetstream"]["sync_interval"] == "always"
    assert "cluster" not in config
    assert config["server_name"].startswith("crane_1-")
    again = written(tmp_path, **{"node.name": "crane 1"})
    assert again["server_name"] == config["server_name"], "JetStream knows its peers by it"
    for users in (lambda c: c["authorization"]["users"], lambda c: c["accounts"]["$SYS"]["users"]):
        assert users(again)[0]["password"] != users(config)[0]["password"]


def test_routes_come_from_the_seed_hosts(tmp_path: Path) -> None:
    seeds = Settings({"discovery.seed_hosts": ["a", "b:9301", "[::1]:9300", "::1", "10.0.0.1:9300"]})
    assert routes(seeds) == ("a:6222", "b:6222", "[::1]:6222", "[::1]:6222", "10.0.0.1:6222")
    config = written(
        tmp_path, "secret", **{"discovery.seed_hosts": ["127.0.0.1"], "hanse.nats.routes": ["127.0.0.1:7"]}
    )
    assert config["cluster"]["routes"] == ["nats-route://hanse:secret@127.0.0.1:7"]
    assert config["cluster"]["authorization"] == {"user": "hanse", "password": "secret"}


def test_routes_to_other_machines_need_tls(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"need \[xpack\.security\.transport\.ssl\.enabled\]"):
        written(tmp_path, **{"network.host": "0.0.0.0", "discovery.seed_hosts": ["10.0.0.2"]})


def test_a_server_that_does_not_vote_has_no_jetstream_until_it_votes_again(tmp_path: Path) -> None:
    settings = Settings({"hanse.nats.routes": ["127.0.0.1:7"]})

    def configured() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(managed.config_file.read_text())
        return found

    managed = write_config(settings, tmp_path / "nats", tmp_path / "logs", None, None)
    voting = configured()
    assert write_voting(managed, True) is False
    assert write_voting(managed, False) is True
    assert configured() == {key: value for key, value in voting.items() if key != "jetstream"}
    managed = write_config(settings, tmp_path / "nats", tmp_path / "logs", None, None)
    assert "jetstream" not in configured(), "also at the next start"
    assert write_voting(managed, False) is False
    assert write_voting(managed, True) is True
    assert configured()["jetstream"] == voting["jetstream"]
    assert stat.S_IMODE(managed.config_file.stat().st_mode) == 0o600
    write_config(settings, tmp_path / "nats", tmp_path / "logs", None, None)
    assert configured()["jetstream"] == voting["jetstream"]


def test_a_server_without_others_always_has_jetstream(tmp_path: Path) -> None:
    write_voting(write_config(Settings({}), tmp_path / "nats", tmp_path / "logs", None, None), False)
    assert "jetstream" in written(tmp_path)
