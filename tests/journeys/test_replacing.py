"""A node is replaced, disk and all: what docs/cluster.md tells an operator to do."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats
import pytest

from hanse.cli.local_cluster import LocalNode
from hanse.cli.local_nodes import LocalCluster
from hanse.cluster.jetstream.streams import all_streams
from tests.journeys.several_nodes import node_ids, numbered, running, wait_for
from tests.journeys.world import bulk, ok, until

pytestmark = pytest.mark.timeout(400)
EXCLUSIONS = "/_cluster/voting_config_exclusions"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    with LocalCluster(tmp_path) as running:
        wait_for(running, "green")
        ok(running.nodes[0], "PUT", "/kept", {"settings": {"number_of_shards": 2, "number_of_replicas": 2}})
        wait_for(running, "green")
        bulk(running.nodes[0], numbered("kept", 0, 200))
        yield running


def coordination(node: LocalNode) -> dict[str, Any]:
    found: dict[str, Any] = ok(node, "GET", "/_cluster/state/metadata")["metadata"]["cluster_coordination"]
    return found


def end_for_good(node: LocalNode) -> None:
    """The machine burns down."""
    node.kill()
    until(node.nats_pid, lambda pid: pid is None, "its nats-server to be gone with it")
    shutil.rmtree(node.folder / "data")


def streams(node: LocalNode) -> dict[str, set[str]]:
    """By stream the nodes whose nats-servers have a level copy of it, as the nats-server of `node` is told."""

    async def ask() -> dict[str, set[str]]:
        folder = node.folder / "data" / "nats"
        config = json.loads((folder / "nats-server.conf").read_text())
        tls = ssl.create_default_context(cafile=str(folder / "tls" / "authorities.crt"))
        tls.check_hostname = False
        tls.load_cert_chain(folder / "tls" / "node.crt", folder / "tls" / "node.key")
        (login,) = config["authorization"]["users"]
        url = f"tls://127.0.0.1:{config['port']}"
        client = await nats.connect(
            url, user=login["user"], password=login["password"], tls=tls, tls_handshake_first=True
        )
        found = await all_streams(client)
        await client.close()
        return {one.name: {name.rpartition("-")[0] for name, level in one.copies.items() if level} for one in found}

    return asyncio.run(ask())


def fill(cluster: LocalCluster) -> None:
    """Waits until each stream is on all nodes that run."""
    names = {node.node_name for node in running(cluster)}
    until(lambda: streams(running(cluster)[0]), lambda now: all(on == names for on in now.values()), "full streams")


def goes_on_without(cluster: LocalCluster, victim: LocalNode, known: int) -> None:
    """Another node dies: writes go on, and everything acknowledged is there."""
    victim.kill()
    left = running(cluster)
    for at, node in enumerate(left):
        until(
            lambda node=node, at=at: node.request("PUT", f"/kept/_doc/later-{at}", {"n": at})[0],
            lambda status: status in (200, 201),
            "writes to go on",
        )
    ok(left[0], "POST", "/kept/_refresh")
    for node in left:
        assert ok(node, "GET", "/kept/_count")["count"] == known + len(left)
    ok(left[0], "PUT", "/made-later", {"settings": {"number_of_replicas": 1}})
    wait_for(cluster, "green", nodes=len(left), among=left, index="made-later")


def test_a_node_without_its_disk_is_replaced_by_one_of_another_name(cluster: LocalCluster) -> None:
    first, second, third = cluster.nodes
    lost = node_ids(first)[third.node_name]
    end_for_good(third)
    left = running(cluster)
    wait_for(cluster, "yellow", nodes=2, among=left)
    assert lost in coordination(first)["last_committed_config"]
    ok(second, "POST", f"{EXCLUSIONS}?node_names={third.node_name}")
    shown = coordination(first)
    assert shown["voting_config_exclusions"] == [{"node_id": lost, "node_name": third.node_name}]
    assert lost not in shown["last_committed_config"]
    ok(first, "DELETE", EXCLUSIONS)
    assert coordination(second)["voting_config_exclusions"] == []
    # With two servers left, an index can be made all the same.
    ok(first, "PUT", "/between", {"settings": {"number_of_shards": 1, "number_of_replicas": 1}})
    bulk(first, numbered("kept", 200, 50))
    fourth = cluster.add()
    fourth.start()
    among = running(cluster)
    wait_for(cluster, "green", among=among)
    fill(cluster)
    goes_on_without(cluster, second, 250)
