"""Real nodes for the journeys: processes, PEM files and TLS as an operator would have them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hanse.cli.local_cluster import LocalNode, trust_each_other
from hanse.tls.authority import CertificateAuthority

WAIT_S = 60.0


def until(ask: Callable[[], Any], holds: Callable[[Any], bool], what: str) -> Any:
    """Asks until it holds. The limit only ends a test that would never end."""
    deadline = time.monotonic() + WAIT_S
    while not holds(answer := ask()):
        assert time.monotonic() < deadline, f"waited for {what}; last answer: {answer}"
        time.sleep(0.01)
    return answer


class FreshNode(LocalNode):
    """A node that nobody has configured."""

    def _write_configuration(self, *_: Any) -> None:
        self.config.mkdir(parents=True)
        lines = (
            f"node.name: {self.node_name}", f"path.data: {self.folder}/data", f"path.logs: {self.folder}/logs",
            "http.host: 127.0.0.1", "http.port: 0", "transport.port: 0", "node.portsfile: true",
        )  # fmt: skip
        (self.config / "elasticsearch.yml").write_text("\n".join(lines) + "\n")

    @property
    def ca_file(self) -> Path:
        return self.config / "certs" / "http_ca.crt"


class Pair:
    """`local` connects to `remote` under the alias `remote`; each has a CA of its own and trusts the other's."""

    def __init__(self, folder: Path, names: tuple[str, str] = ("home", "abroad"), **settings: Any) -> None:
        self.local, self.remote = (
            LocalNode(folder / name, name, CertificateAuthority.create(f"CN=ca-{name}"), settings=settings)
            for name in names
        )
        trust_each_other(self.local, self.remote)

    def start(self) -> Pair:
        self.local.start(wait=False)
        self.remote.start(wait=False)
        self.local.wait_until_ready()
        self.remote.wait_until_ready()
        return self

    def connect(self, **extra: Any) -> None:
        remote = {"seeds": [self.remote.transport_address], "skip_unavailable": False, **extra}
        ok(self.local, "PUT", "/_cluster/settings", {"persistent": {"cluster": {"remote": {"remote": remote}}}})
        self.wait_connected()

    def wait_connected(self) -> None:
        until(
            lambda: self.local.request("GET", "/_remote/info")[1],
            lambda info: info["remote"]["connected"],
            "the remote cluster to connect",
        )

    def stop(self) -> None:
        self.local.stop()
        self.remote.stop()


def ok(node: LocalNode, method: str, path: str, body: Any = None, **more: Any) -> Any:
    status, answer = node.request(method, path, body, **more)
    assert status < 300, f"{method} {path}: {status} {answer}"
    return answer


def bulk(node: LocalNode, lines: bytes, path: str = "/_bulk?refresh=true", **more: Any) -> Any:
    answer = ok(node, "POST", path, lines, content_type="application/x-ndjson", **more)
    assert not answer["errors"], answer
    return answer
