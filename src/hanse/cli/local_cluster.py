"""A node as a real process on loopback, configured as an operator would: PEM files and elasticsearch.yml.

Used by `hanse demo`, the journeys and the benches. Every process started here is ended here, by its own id.
Several nodes of one cluster: local_nodes.py.
Tests: tests/cli/test_local_cluster.py.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from hanse.tls.authority import CertificateAuthority

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0


class LocalNode:
    """One node: its folder, its process and how to reach it. Ports are free ones unless given.

    `settings` are laid over the usual ones; None takes one of those away. `through` stands before the command that
    starts the node, as in `ip netns exec harbour`; it must become the node (exec), so that signals reach it.
    """

    def __init__(
        self,
        folder: Path,
        cluster_name: str,
        authority: CertificateAuthority,
        *,
        trusted: tuple[bytes, ...] = (),
        settings: Mapping[str, Any] | None = None,
        password: str | None = None,
        http_port: int = 0,
        transport_port: int = 0,
        node_name: str | None = None,
        dns_names: tuple[str, ...] = ("localhost",),
        ips: tuple[str, ...] = ("127.0.0.1",),
        through: tuple[str, ...] = (),
        secure: bool = True,
    ) -> None:
        self.folder = folder
        self.cluster_name = cluster_name
        self.node_name = node_name or f"{cluster_name}-1"
        self.password = password or secrets.token_urlsafe(12)
        self.secure = secure
        self.process: subprocess.Popen[bytes] | None = None
        self._ports = (http_port, transport_port)
        self._ips = ips
        self._through = through
        self._write_configuration(authority, trusted, dict(settings or {}), dns_names)

    @property
    def config(self) -> Path:
        return self.folder / "config"

    @property
    def ca_file(self) -> Path:
        return self.config / "ca.crt"

    @property
    def trust_file(self) -> Path:
        """The CAs this node's transport trusts; other clusters' CAs are added to it."""
        return self.config / "trusted.crt"

    @property
    def log_file(self) -> Path:
        return self.folder / "console.log"

    @property
    def pid(self) -> int:
        """Of the running process. Raises RuntimeError when there is none."""
        if self.process is None:
            raise RuntimeError(f"node [{self.node_name}] does not run")
        return self.process.pid

    @property
    def url(self) -> str:
        return f"{'https' if self.secure else 'http'}://{self._address('http')}"

    @property
    def transport_address(self) -> str:
        return self._address("transport")

    def _address(self, kind: str) -> str:
        return (self.folder / "logs" / f"{kind}.ports").read_text().split()[0]

    def _write_configuration(
        self,
        authority: CertificateAuthority,
        trusted: tuple[bytes, ...],
        extra: dict[str, Any],
        dns_names: tuple[str, ...],
    ) -> None:
        self.config.mkdir(parents=True, exist_ok=True)
        settings: dict[str, Any] = {
            "cluster.name": self.cluster_name,
            "node.name": self.node_name,
            "path.data": str(self.folder / "data"),
            "path.logs": str(self.folder / "logs"),
            "network.host": "127.0.0.1",
            "http.port": self._ports[0],
            "transport.port": self._ports[1],
            "discovery.type": "single-node",
            "node.portsfile": True,
            "xpack.security.enabled": self.secure,
        }
        if self.secure:
            certificate, key = authority.issue(self.node_name, dns=dns_names, ips=self._ips)
            self.ca_file.write_bytes(authority.certificate_pem)
            self.trust_file.write_bytes(b"".join((authority.certificate_pem, *trusted)))
            (self.config / "node.crt").write_bytes(certificate)
            _write_private(self.config / "node.key", key)
            for layer in ("transport", "http"):
                prefix = f"xpack.security.{layer}.ssl"
                settings |= {
                    f"{prefix}.enabled": True,
                    f"{prefix}.key": "node.key",
                    f"{prefix}.certificate": "node.crt",
                    f"{prefix}.certificate_authorities": ["trusted.crt" if layer == "transport" else "ca.crt"],
                }
        settings |= extra
        lines = [f"{key}: {json.dumps(value)}\n" for key, value in settings.items() if value is not None]
        (self.config / "elasticsearch.yml").write_text("".join(lines))

    def start(self, *, wait: bool = True) -> LocalNode:
        """Starts the process; with `wait` returns when it serves. Raises RuntimeError with its last lines when not."""
        for kind in ("http", "transport"):
            (self.folder / "logs" / f"{kind}.ports").unlink(missing_ok=True)
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [*self._through, sys.executable, "-m", "hanse", "node", "--config", str(self.config)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "ELASTIC_PASSWORD": self.password},
                start_new_session=True,
            )
        if wait:
            self.wait_until_ready()
        return self

    def wait_until_ready(self) -> None:
        """The ports files appear when the node serves."""
        assert self.process is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        while not (self.folder / "logs" / "http.ports").exists():
            if self.process.poll() is not None:
                raise RuntimeError(f"node [{self.node_name}] did not start: {self.last_lines()}")
            if time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"node [{self.node_name}] took too long to start: {self.last_lines()}")
            time.sleep(0.01)

    def last_lines(self) -> str:
        return self.log_file.read_text(errors="replace")[-2000:]

    def stop(self) -> int | None:
        """SIGTERM, then waits; returns the exit status, None when it was not running."""
        self.ask_to_stop()
        return self.wait_until_stopped()

    def ask_to_stop(self) -> None:
        self.send_signal(signal.SIGTERM)

    def wait_until_stopped(self) -> int | None:
        """The exit status, that of SIGKILL when the node did not heed SIGTERM; None when it was not running."""
        if self.process is None:
            return None
        try:
            status = self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.process = None
        return status

    def send_signal(self, number: signal.Signals) -> None:
        """Also SIGSTOP and SIGCONT: a node that sleeps, as in a long pause of its machine."""
        if self.process is not None:
            self.process.send_signal(number)

    def nats_pid(self) -> int | None:
        """The process id of its managed nats-server, None while none runs."""
        folder = self.folder / "data" / "nats"
        try:
            pid = int((folder / "nats-server.pid").read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return None
        return pid if str(folder).encode() in command else None

    def signal_nats(self, number: signal.Signals) -> bool:
        """False when no nats-server of this node runs."""
        pid = self.nats_pid()
        if pid is None:
            return False
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return False
        return True

    def wake(self) -> None:
        """SIGCONT for node and nats-server; nothing happens to those that do not sleep."""
        self.signal_nats(signal.SIGCONT)
        self.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL: what a power cut or the out-of-memory killer does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        user: tuple[str, str] | None = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Status and decoded body. `body` may be an object, or bytes (NDJSON); `headers` come before all others."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)  # noqa: S310
        name, password = user or ("elastic", self.password)
        request.add_header("Authorization", "Basic " + b64encode(f"{name}:{password}".encode()).decode())
        if data is not None:
            request.add_header("Content-Type", content_type)
        for header, value in (headers or {}).items():
            request.add_header(header, value)
        context = ssl.create_default_context(cafile=str(self.ca_file)) if self.secure else None
        try:
            with urllib.request.urlopen(request, context=context, timeout=60) as response:  # noqa: S310
                return response.status, _decoded(response.read())
        except HTTPError as error:
            return error.code, _decoded(error.read())

    def __enter__(self) -> LocalNode:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _decoded(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return raw.decode(errors="replace")


def _write_private(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)


def trust_each_other(first: LocalNode, second: LocalNode) -> None:
    """Each adds the other's CA, as an operator joins two clusters that do not share one. Before they start."""
    ours, theirs = first.ca_file.read_bytes(), second.ca_file.read_bytes()
    first.trust_file.write_bytes(ours + theirs)
    second.trust_file.write_bytes(theirs + ours)
