"""Who becomes part of a cluster and as what: strangers, nodes with few roles, and one that joins later."""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hanse.cli.local_cluster import LocalNode
from hanse.cli.local_nodes import LocalCluster
from hanse.settings.elasticsearch_yml import load
from hanse.tls.authority import CertificateAuthority
from tests.journeys.several_nodes import copies, holders, numbered, wait_for
from tests.journeys.world import bulk, ok, until

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Two nodes that hold data, and one that only takes part in elections."""
    roles = {2: {"node.roles": ["master"]}}
    with LocalCluster(tmp_path_factory.mktemp("hansa"), own_settings=roles) as running:
        wait_for(running, "green")
        yield running


def names(node: LocalNode) -> set[str]:
    return {row["name"] for row in ok(node, "GET", "/_cat/nodes?format=json&h=name")}


def test_a_stranger_does_not_join(cluster: LocalCluster) -> None:
    """It has the route password, the cluster's name and all addresses; only its certificate is of another authority."""
    stranger = cluster.add(authority=CertificateAuthority.create(f"CN=ca-{cluster.name}"))
    try:
        stranger.start(wait=False)
        logs = [node.folder / "logs" / "nats-server.log" for node in cluster.nodes[:3]]
        until(
            lambda: [log.read_text(errors="replace") for log in logs],
            lambda texts: any(
                re.search(r"TLS route handshake error|unknown authority|bad certificate", text) for text in texts
            ),
            "a nats-server to refuse the stranger",
        )
        for node in cluster.nodes[:3]:
            assert names(node) == {each.node_name for each in cluster.nodes[:3]}
        assert not (stranger.folder / "logs" / "http.ports").exists(), "it does not serve"
    finally:
        stranger.kill()
        cluster.nodes.remove(stranger)


def shown(folder: Path, authority: CertificateAuthority | None, trusted: Path) -> ssl.SSLContext:
    """What somebody with a certificate of this authority, or none, dials with."""
    context = ssl.create_default_context(cafile=str(trusted))
    if authority is not None:
        certificate, key = authority.issue("hansa-9", dns=("localhost",), ips=("127.0.0.1",))
        (folder / "shown.pem").write_bytes(key + certificate)
        context.load_cert_chain(folder / "shown.pem")
    return context


@pytest.mark.parametrize("who", ["nobody", "a stranger"])
def test_no_stranger_speaks_on_9300(cluster: LocalCluster, tmp_path: Path, who: str) -> None:
    authority = None if who == "nobody" else CertificateAuthority.create(f"CN=ca-{cluster.name}")
    for node in cluster.nodes[:3]:
        host, _, port = node.transport_address.rpartition(":")
        context = shown(tmp_path, authority, node.ca_file)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            speak(host, int(port), context)


def speak(host: str, port: int, context: ssl.SSLContext) -> None:
    """In TLS 1.3 the side that dials learns of a refusal with what it reads first."""
    with (
        socket.create_connection((host, port)) as plain,
        context.wrap_socket(plain, server_hostname=host) as connection,
    ):
        if not connection.recv(1):
            raise ConnectionResetError("closed without a word")


def route_answer(node: LocalNode, context: ssl.SSLContext, login: dict[str, str]) -> bytes:
    """What the route port of the node's nats-server says to somebody who introduces himself as a nats-server."""
    port = int(load(node.config)["hanse.nats.route_port"])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        connect = {"verbose": False, "pedantic": False, "tls_required": True, "name": "stranger", **login}
        connection.sendall(b"CONNECT " + json.dumps(connect).encode() + b"\r\nPING\r\n")
        answer = b""
        while chunk := connection.recv(4096):
            answer += chunk
            if b"-ERR" in answer or b"PONG" in answer:
                break
        return answer


def test_no_stranger_speaks_at_nats(cluster: LocalCluster, tmp_path: Path) -> None:
    node = cluster.nodes[0]
    for authority in (None, CertificateAuthority.create(f"CN=ca-{cluster.name}")):
        context = shown(tmp_path, authority, node.ca_file)
        try:
            answer = route_answer(node, context, {})
        except (ssl.SSLError, ConnectionError):
            continue
        assert not answer, "closed without a word"
    ours = shown(tmp_path, cluster.authority, node.ca_file)
    for login in ({}, {"user": "hanse", "pass": "guessed"}):
        assert b"Authorization Violation" in route_answer(node, ours, login)


def test_a_node_without_the_role_data_holds_no_shards(cluster: LocalCluster) -> None:
    only_master = cluster.nodes[2]
    settings = {"number_of_shards": 4, "number_of_replicas": 1}
    ok(only_master, "PUT", "/herring", {"settings": settings})
    wait_for(cluster, "green", index="herring")
    bulk(only_master, numbered("herring", 0, 40))
    assert holders(only_master, "herring") == {node.node_name for node in cluster.nodes[:2]}
    health = ok(only_master, "GET", "/_cluster/health")
    assert (health["number_of_nodes"], health["number_of_data_nodes"]) == (3, 2)
    (row,) = [row for row in ok(only_master, "GET", "/_cat/nodes?format=json") if row["name"] == only_master.node_name]
    assert row["node.role"] == "m"
    assert ok(only_master, "GET", "/herring/_count")["count"] == 40
    assert ok(only_master, "GET", "/herring/_doc/7")["_source"] == {"n": 7}
    assert not list((only_master.folder / "data").glob("indices/*/*/documents.sqlite"))


def test_a_node_that_only_coordinates(cluster: LocalCluster) -> None:
    settings = {"number_of_shards": 3, "number_of_replicas": 1}
    ok(cluster.nodes[0], "PUT", "/salt", {"settings": settings})
    coordinator = cluster.add({"node.roles": []})
    try:
        coordinator.start()
        wait_for(cluster, "green", nodes=4)
        (row,) = [
            row for row in ok(coordinator, "GET", "/_cat/nodes?format=json") if row["name"] == coordinator.node_name
        ]
        assert (row["node.role"], row["master"]) == ("-", "-")
        bulk(coordinator, numbered("salt", 0, 50))
        answer = ok(coordinator, "POST", "/salt/_search", {"size": 100, "sort": ["n"]})
        assert [hit["_source"]["n"] for hit in answer["hits"]["hits"]] == list(range(50))
        assert ok(coordinator, "POST", "/salt/_update/3", {"doc": {"n": 300}})["result"] == "updated"
        assert ok(cluster.nodes[0], "GET", "/salt/_doc/3")["_source"] == {"n": 300}
        assert coordinator.node_name not in holders(coordinator, "salt")
        ok(coordinator, "PUT", "/_security/user/anna", {"password": "herring-and-salt", "roles": ["superuser"]})
        anna = ("anna", "herring-and-salt")
        assert cluster.nodes[1].request("GET", "/_security/_authenticate", user=anna)[0] == 200
    finally:
        coordinator.stop()
        cluster.nodes.remove(coordinator)
    wait_for(cluster, "green", nodes=3)


def test_a_node_that_joins_takes_shards_and_leaves_without_loss(cluster: LocalCluster) -> None:
    one = cluster.nodes[0]
    body: dict[str, Any] = {"settings": {"number_of_shards": 6, "number_of_replicas": 0}}
    ok(one, "PUT", "/amber", body)
    bulk(one, numbered("amber", 0, 120))
    joined = cluster.add({"node.attr.zone": "east"})
    try:
        joined.start()
        until(
            lambda: copies(one, "amber"),
            lambda rows: sum(row["node"] == joined.node_name and row["state"] == "STARTED" for row in rows) >= 2,
            "shards to move to the new node",
        )
        wait_for(cluster, "green", nodes=4)
        assert ok(joined, "GET", "/amber/_count")["count"] == 120
        ok(one, "PUT", "/amber/_settings", {"index.routing.allocation.exclude.zone": "east"})
        ok(
            one,
            "PUT",
            "/_cluster/settings",
            {"persistent": {"cluster.routing.allocation.exclude._name": joined.node_name}},
        )
        until(
            lambda: holders(one, "amber"),
            lambda held: not any(joined.node_name in where for where in held),
            "shards to leave it",
        )
        until(
            lambda: {row["node"] for row in ok(one, "GET", "/_cat/shards?format=json&h=node")},
            # Of one that moves the row names both: `here -> address id there`.
            lambda held: not any(joined.node_name in str(where) for where in held),
            "every shard to leave it",
        )
        assert joined.stop() == 0
        wait_for(cluster, "green", nodes=3, among=cluster.nodes[:3])
        assert ok(cluster.nodes[1], "GET", "/amber/_count")["count"] == 120
    finally:
        joined.stop()
        cluster.nodes.remove(joined)
        ok(one, "PUT", "/_cluster/settings", {"persistent": {"cluster.routing.allocation.exclude._name": None}})
