"""A cluster of one node on the JetStream engine, with a nats-server of its own: what an operator sees and survives."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hanse.cli.local_cluster import LocalNode
from hanse.cli.local_nodes import free_ports
from hanse.cluster.jetstream.connection import connect
from hanse.errors import SettingsError
from hanse.settings.keystore import Keystore
from hanse.tls.authority import CertificateAuthority
from tests.journeys.world import bulk, ok, until
from tests.nats_servers import NatsServer


def managed(folder: Path, **settings: Any) -> LocalNode:
    port = free_ports(1)[0]
    more = {"hanse.cluster.engine": "jetstream", "hanse.nats.client_port": port, **settings}
    return LocalNode(folder, "jet", CertificateAuthority.create("CN=ca-jet"), settings=more)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[LocalNode]:
    running = managed(tmp_path / "node").start()
    yield running
    running.stop()


def lines(first: int, count: int) -> bytes:
    return b"".join(b'{"index":{"_index":"kept","_id":"%d"}}\n{"n":%d}\n' % (n, n) for n in range(first, first + count))


def nats_pid(node: LocalNode) -> int:
    return int((node.folder / "data" / "nats" / "nats-server.pid").read_text())


def is_running(pid: int) -> bool:
    try:
        return b"nats-server" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_a_killed_node_takes_its_server_along_and_has_everything_again(node: LocalNode) -> None:
    ok(node, "PUT", "/_security/user/joe", {"password": "secret-joe", "roles": ["superuser"]})
    for first in range(0, 500, 50):
        bulk(node, lines(first, 50), "/_bulk")
    ok(node, "DELETE", "/kept/_doc/7")
    pid = nats_pid(node)
    node.kill()
    until(lambda: is_running(pid), lambda running: not running, "nats-server to die with its node")
    node.start()
    assert ok(node, "GET", "/kept/_count", user=("joe", "secret-joe"))["count"] == 499
    assert node.request("GET", "/kept/_doc/7")[0] == 404
    found = ok(node, "GET", "/kept/_doc/499")
    assert (found["_seq_no"], found["_source"]) == (499, {"n": 499})
    assert ok(node, "PUT", "/kept/_doc/499?if_seq_no=499&if_primary_term=1", {"n": 0})["_seq_no"] == 501
    assert ok(node, "GET", "/_cluster/health/kept")["status"] == "yellow"


def test_a_batch_that_reached_only_the_stream_is_applied_at_start(node: LocalNode) -> None:
    """As after a crash between the append and the copy's own commit: the copy's files are those of before."""
    bulk(node, lines(0, 3))
    node.stop()
    folder = next((node.folder / "data" / "indices").glob("*/0"))
    kept = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    node.start()
    bulk(node, lines(3, 2))
    node.stop()
    for file in folder.rglob("*"):
        if file.is_file() and file not in kept:
            file.unlink()
    for file, content in kept.items():
        file.write_bytes(content)
    node.start()
    assert ok(node, "GET", "/kept/_count")["count"] == 5
    assert ok(node, "GET", "/kept/_doc/4")["_seq_no"] == 4
    assert "batches were taken from the log" in node.log_file.read_text()


def test_a_server_that_dies_is_started_again_under_writes(node: LocalNode) -> None:
    bulk(node, lines(0, 10))
    before = nats_pid(node)
    os.kill(before, signal.SIGKILL)
    bulk(node, lines(10, 10))
    assert ok(node, "GET", "/kept/_count")["count"] == 20
    assert nats_pid(node) != before
    assert "nats-server ended and is started again" in node.log_file.read_text()


def test_a_stream_that_lost_its_end_makes_the_index_red_until_it_is_begun_anew(node: LocalNode) -> None:
    bulk(node, lines(0, 10))
    bulk(node, lines(10, 10))
    ok(node, "PUT", "/other/_doc/1?refresh=true", {"n": 1})
    uuid = ok(node, "GET", "/kept/_settings")["kept"]["settings"]["index"]["uuid"]
    node.stop()
    streams = [path for path in (node.folder / "data" / "nats").rglob("streams/*") if path.name.startswith("hanse-")]
    damaged = next(path for path in streams if uuid in path.name)
    for block in damaged.glob("msgs/*.blk"):
        content = block.read_bytes()
        block.write_bytes(content[: len(content) // 2])
        for index in damaged.glob("msgs/index*"):
            index.unlink()
    node.start()
    health = ok(node, "GET", "/_cluster/health?level=shards")
    assert health["status"] == "red"
    assert health["indices"]["kept"]["shards"]["0"]["primary_active"] is False
    assert health["indices"]["other"]["status"] == "yellow"
    assert ok(node, "GET", "/other/_count")["count"] == 1
    for method, path, body in (
        ("GET", "/kept/_doc/3", None),
        ("POST", "/kept/_search", {}),
        ("PUT", "/kept/_doc/x?timeout=1s", {"n": 1}),
    ):
        assert node.request(method, path, body)[0] == 503
    assert "lost its end" in node.log_file.read_text()
    command = {"index": "kept", "shard": 0, "node": "jet-1"}
    assert node.request("POST", "/_cluster/reroute", {"commands": [{"allocate_stale_primary": command}]})[0] == 400
    command["accept_data_loss"] = True
    ok(node, "POST", "/_cluster/reroute", {"commands": [{"allocate_stale_primary": command}]})
    assert ok(node, "GET", "/_cluster/health?wait_for_status=yellow")["status"] == "yellow"
    assert ok(node, "GET", "/kept/_count")["count"] == 20, "the copy lost nothing"
    bulk(node, lines(20, 5))
    node.kill()
    node.start()
    assert ok(node, "GET", "/kept/_count")["count"] == 25


def test_nobody_but_the_node_gets_into_its_server(tmp_path: Path) -> None:
    """Not without a certificate, not with a stranger's, not with that of a cluster the transport trusts as a remote."""
    own, neighbour = CertificateAuthority.create("CN=ca-jet"), CertificateAuthority.create("CN=ca-neighbour")
    port = free_ports(1)[0]
    node = LocalNode(
        tmp_path / "node",
        "jet",
        own,
        trusted=(neighbour.certificate_pem,),
        settings={"hanse.cluster.engine": "jetstream", "hanse.nats.client_port": port},
    )
    with node:
        folder = node.folder / "data" / "nats"
        config = (folder / "nats-server.conf").read_text()
        password = re.search(r'"password": "([^"]+)"', config)[1]  # type: ignore[index]
        for path, mode in ((folder, 0o700), (folder / "nats-server.conf", 0o600), (folder / "tls", 0o700)):
            assert stat.S_IMODE(path.stat().st_mode) == mode
        assert stat.S_IMODE((folder / "tls" / "node.key").stat().st_mode) == 0o600
        assert password not in node.log_file.read_text()

        def knock(authority: CertificateAuthority | None, password: str) -> None:
            context = ssl.create_default_context(cafile=str(node.ca_file))
            context.check_hostname = False
            if authority is not None:
                certificate, key = authority.issue("jet-1", dns=("localhost",), ips=("127.0.0.1",))
                (tmp_path / "shown.pem").write_bytes(key + certificate)
                context.load_cert_chain(tmp_path / "shown.pem")
            login = {"user": "hanse", "password": password, "tls": context, "tls_handshake_first": True}

            async def once() -> None:
                await (await connect([f"tls://127.0.0.1:{port}"], login, replicas=1, timeout_s=1)).close()

            asyncio.run(once())

        knock(own, password)
        with pytest.raises(SettingsError, match="Authorization Violation"):
            knock(own, "guessed")
        for authority in (None, CertificateAuthority.create("CN=ca-jet"), neighbour):
            with pytest.raises(SettingsError, match="cannot connect to nats-server"):
                knock(authority, password)


def test_a_node_on_external_servers(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "nats", authorization={"user": "u", "password": "right"}).start()
    config = {
        "hanse.cluster.engine": "jetstream",
        "hanse.nats.mode": "external",
        "hanse.nats.servers": [server.url.partition("//")[2]],
    }
    node = LocalNode(tmp_path / "node", "ext", CertificateAuthority.create(), settings=config)
    yml = node.config / "elasticsearch.yml"
    keystore = Keystore.create(node.config)
    try:
        with pytest.raises(RuntimeError, match="Authorization Violation"):
            node.start()
        yml.write_text(yml.read_text() + "hanse.nats.user: u\n")
        keystore.set("hanse.nats.password", "right")
        keystore.save()
        with pytest.raises(RuntimeError, match=r"it is not known whether the nats-servers have .sync_interval: always"):
            node.start()
        yml.write_text(yml.read_text() + f"hanse.nats.monitors: [{server.monitor}]\n")
        node.start()
        bulk(node, lines(0, 10))
        assert ok(node, "GET", "/kept/_count")["count"] == 10
    finally:
        node.stop()
        server.kill()


def test_a_server_that_comes_back_empty_is_not_taken_for_a_new_cluster(node: LocalNode) -> None:
    """As when its disk was replaced. The node's own copies bring everything back, when the operator says so."""
    bulk(node, lines(0, 10))
    node.stop()
    shutil.rmtree(node.folder / "data" / "nats" / "jetstream")
    with pytest.raises(RuntimeError, match="JetStream holds no cluster state, but this node knows version"):
        node.start()
    yml = node.config / "elasticsearch.yml"
    configured = yml.read_text()
    yml.write_text(configured + "hanse.nats.restore_state: true\n")
    node.start()
    assert ok(node, "GET", "/_cluster/health")["status"] == "red"
    assert node.request("GET", "/kept/_doc/1")[0] == 503
    command = {"index": "kept", "shard": 0, "node": "jet-1", "accept_data_loss": True}
    ok(node, "POST", "/_cluster/reroute", {"commands": [{"allocate_stale_primary": command}]})
    assert ok(node, "GET", "/_cluster/health?wait_for_status=yellow")["status"] == "yellow"
    assert ok(node, "GET", "/kept/_count")["count"] == 10
    node.stop()
    yml.write_text(configured)
    node.start()
    bulk(node, lines(10, 1))
    assert ok(node, "GET", "/kept/_count")["count"] == 11


def test_the_data_of_an_embedded_node_is_taken_over_when_told_to(tmp_path: Path) -> None:
    node = LocalNode(tmp_path, "was", CertificateAuthority.create()).start()
    yml = node.config / "elasticsearch.yml"
    configured = yml.read_text() + "hanse.cluster.engine: jetstream\nhanse.nats.client_port: 0\n"
    try:
        bulk(node, lines(0, 10))
        ok(node, "PUT", "/empty")
        node.stop()
        yml.write_text(configured)
        with pytest.raises(RuntimeError, match="holds the state of a cluster that was run with"):
            node.start()
        yml.write_text(configured + "hanse.nats.restore_state: true\n")
        node.start()
        assert ok(node, "GET", "/_cluster/health?wait_for_status=yellow")["status"] == "yellow", "the store was the log"
        assert ok(node, "GET", "/kept/_count")["count"] == 10
        node.stop()
        yml.write_text(configured)
        node.start()
        assert ok(node, "GET", "/_cluster/health?wait_for_status=yellow")["status"] == "yellow"
        bulk(node, lines(10, 5))
        node.kill()
        node.start()
        assert ok(node, "GET", "/kept/_count")["count"] == 15
        assert ok(node, "GET", "/empty/_count")["count"] == 0
    finally:
        node.stop()
