"""The configuration of a managed nats-server, written anew at every start.

It serves its own node alone: clients are taken on loopback only, with the node's certificate and a password that was
drawn at this start. Other nats-servers of the cluster come by the route port with mutual TLS. `sync_interval: always`
stands in it, so that nothing is acknowledged before it is on disk. NATS' own format takes JSON.

Two users: the one under `authorization` belongs to the account `$G`, where the data of every node ever made lie
(an account of another name would begin empty beside them); the one of the system account takes servers out of
JetStream's group (group.py), and every server has that account, also one whose configuration does not name it.
Tests: tests/cluster/jetstream/test_server_config.py.
"""

from __future__ import annotations

import json
import re
import secrets
import socket
from pathlib import Path
from typing import Any, NamedTuple

from hanse.cluster.jetstream import settings as declared
from hanse.errors import SettingsError
from hanse.settings import network
from hanse.settings.node_settings import CLUSTER_NAME, DISCOVERY_SEED_HOSTS, NODE_NAME
from hanse.settings.registry import Settings
from hanse.tls.contexts import TlsContexts
from hanse.tls.pem_files import PemFiles, write_pem_files, write_private

LOOPBACK = "127.0.0.1"
MAX_PAYLOAD = 8 * 1024 * 1024
CLIENT_USER = "hanse"
SYSTEM_USER = "hanse-system"
SYSTEM_ACCOUNT = "$SYS"
TLS_FOLDER = "tls"
NOT_VOTING = "not-voting"
"""Where this file lies, the server runs without JetStream."""
MEMORY_STORE_BYTES = 64 * 1024 * 1024
LOG_FILE_BYTES = 10 * 1024 * 1024
LOG_FILES = 3
_UNSUITABLE = re.compile(r"[^a-zA-Z0-9_-]")


class Managed(NamedTuple):
    """What was decided for this start. `peers` is how many other servers are named."""

    config_file: Path
    pid_file: Path
    log_file: Path
    server_name: str
    url: str
    password: str
    system_password: str
    peers: int


def write_config(
    settings: Settings, folder: Path, logs_path: Path, tls: TlsContexts | None, route_password: str | None
) -> Managed:
    """Writes configuration and certificates below `folder`. Raises SettingsError for what cannot work."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    logs_path.mkdir(parents=True, exist_ok=True)
    port = settings.read(declared.CLIENT_PORT) or _free_port()
    files = None if tls is None else write_pem_files(tls, folder / TLS_FOLDER)
    managed = Managed(
        config_file=folder / "nats-server.conf",
        pid_file=folder / "nats-server.pid",
        log_file=logs_path / "nats-server.log",
        server_name=_server_name(settings, folder),
        url=f"{'nats' if files is None else 'tls'}://{LOOPBACK}:{port}",
        password=secrets.token_urlsafe(32),
        system_password=secrets.token_urlsafe(32),
        peers=len(routes(settings)),
    )
    config: dict[str, Any] = {
        "server_name": managed.server_name,
        "host": LOOPBACK,
        "port": port,
        "max_payload": MAX_PAYLOAD,
        "authorization": {"users": [_user(CLIENT_USER, managed.password)]},
        "accounts": {SYSTEM_ACCOUNT: {"users": [_user(SYSTEM_USER, managed.system_password)]}},
        "pid_file": str(managed.pid_file),
        # Written when the ports are open: how the node knows that it is this very server that listens.
        "ports_file_dir": str(folder),
        "log_file": str(managed.log_file),
        "logfile_size_limit": LOG_FILE_BYTES,
        "logfile_max_num": LOG_FILES,
    }
    if files is not None:
        config["tls"] = {**_tls(files), "handshake_first": True}
    if not (managed.peers and (folder / NOT_VOTING).exists()):
        config["jetstream"] = _jetstream(folder)
    if managed.peers:
        config["cluster"] = _cluster(settings, files, route_password)
    _write(managed.config_file, config)
    return managed


def write_voting(managed: Managed, votes: bool) -> bool:
    """Has the server run with JetStream, or without it: then it is none of the group that decides, and serves its node
    from the others. Holds for later starts, too. Returns whether that is a change."""
    config = json.loads(managed.config_file.read_text())
    if votes == ("jetstream" in config):
        return False
    folder = managed.config_file.parent
    if votes:
        (folder / NOT_VOTING).unlink(missing_ok=True)
        config["jetstream"] = _jetstream(folder)
    else:
        (folder / NOT_VOTING).touch()
        del config["jetstream"]
    _write(managed.config_file, config)
    return True


def _write(file: Path, config: dict[str, Any]) -> None:
    write_private(file, json.dumps(config, indent=1).encode())


def _jetstream(folder: Path) -> dict[str, Any]:
    return {"store_dir": str(folder), "sync_interval": "always", "max_memory_store": MEMORY_STORE_BYTES}


def routes(settings: Settings) -> tuple[str, ...]:
    """host:port of the other nats-servers."""
    given = settings.read(declared.ROUTES)
    if given:
        return given
    port = settings.read(declared.ROUTE_PORT)
    return tuple(f"{_host(seed)}:{port}" for seed in settings.read(DISCOVERY_SEED_HOSTS))


def _host(seed: str) -> str:
    """A seed host is `host`, `host:port`, an address, or `[address]:port`."""
    if seed.startswith("["):
        return seed[: seed.index("]") + 1]
    return f"[{seed}]" if seed.count(":") > 1 else seed.partition(":")[0]


def _cluster(settings: Settings, files: PemFiles | None, password: str | None) -> dict[str, Any]:
    port = settings.read(declared.ROUTE_PORT)
    login = f"{CLIENT_USER}:{password}@" if password else ""
    cluster: dict[str, Any] = {
        "name": _UNSUITABLE.sub("_", settings.read(CLUSTER_NAME)),
        "host": network.transport_bind_host(settings),
        "port": port,
        "cluster_advertise": f"{network.transport_publish_host(settings)}:{port}",
        "no_advertise": True,
        "routes": [f"nats-route://{login}{route}" for route in routes(settings)],
    }
    if files is None and not network.is_loopback(cluster["host"]):
        raise SettingsError(
            "nats-servers of several nodes need [xpack.security.transport.ssl.enabled]: without TLS anybody who "
            "reaches the route port could read and write everything"
        )
    if files is not None:
        cluster["tls"] = _tls(files)
    if password:
        cluster["authorization"] = _user(CLIENT_USER, password)
    return cluster


def _user(name: str, password: str) -> dict[str, str]:
    return {"user": name, "password": password}


def _tls(files: PemFiles) -> dict[str, Any]:
    return {
        "cert_file": str(files.certificate),
        "key_file": str(files.key),
        "ca_file": str(files.authorities),
        "verify": True,
        "timeout": 5,
    }


def _server_name(settings: Settings, folder: Path) -> str:
    """Stable over restarts and unlike any other's: JetStream knows its peers by it."""
    file = folder / "server_name"
    if not file.exists():
        name = _UNSUITABLE.sub("_", settings.read(NODE_NAME))
        write_private(file, f"{name}-{secrets.token_hex(4)}".encode())
    return file.read_text()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
