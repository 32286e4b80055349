"""A node is replaced, disk and all: what docs/cluster.md tells an operator to do."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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
PAGE = Path(__file__).parents[2] / "docs" / "cluster.md"
EXCLUSIONS = "/_cluster/voting_config_exclusions"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    with LocalCluster(tmp_path) as running:
        wait_for(running, "green")
        ok(running.nodes[0], "PUT", "/kept", {"settings": {"number_of_shards": 2, "number_of_replicas": 2}})
        wait_for(running, "green")
        bulk(running.nodes[0], numbered("kept", 0, 200))
        yield running


def told_requests(node: LocalNode) -> list[tuple[str, str]]:
    """What the page says, of this node."""
    (section,) = re.findall(r"^### To replace a node\n(.*?)^###", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return re.findall(r"^(POST|DELETE) (\S+)$", section.replace("visby", node.node_name), re.MULTILINE)


def coordination(node: LocalNode) -> dict[str, Any]:
    found: dict[str, Any] = ok(node, "GET", "/_cluster/state/metadata")["metadata"]["cluster_coordination"]
    return found


def end_for_good(node: LocalNode) -> None:
    """The machine burns down."""
    node.kill()
    until(node.nats_pid, lambda pid: pid is None, "its nats-server to be gone with it")
    shutil.rmtree(node.folder / "data")


def server_config(node: LocalNode) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((node.folder / "data" / "nats" / "nats-server.conf").read_text())
    return found


def streams(node: LocalNode) -> dict[str, set[str]]:
    """By stream the nodes whose nats-servers have a level copy of it, as the nats-server of `node` is told."""

    async def ask() -> dict[str, set[str]]:
        folder = node.folder / "data" / "nats"
        config = server_config(node)
        tls = ssl.create_default_context(cafile=str(folder / "tls" / "authorities.crt"))
        tls.check_hostname = False
        tls.load_cert_chain(folder / "tls" / "node.crt", folder / "tls" / "node.key")
        (login,) = config["authorization"]["users"]
        url = f"tls://127.0.0.1:{config['port']}"
        client = await nats.connect(
            url, user=login["user"], password=login["password"], tls=tls, tls_handshake_first=True
        )
        found = (await all_streams(client)).led
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


@contextmanager
def writing(node: LocalNode) -> Iterator[list[str]]:
    """Writes through `node` all the while, one document after another; the ids of those that were acknowledged."""
    ok(node, "PUT", "/written", {"settings": {"number_of_replicas": 2}})
    acknowledged: list[str] = []
    is_over = threading.Event()

    def write() -> None:
        at = 0
        while not is_over.is_set():
            at += 1
            if node.request("PUT", f"/written/_doc/{at}", {"n": at})[0] == 201:
                acknowledged.append(str(at))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield acknowledged
    finally:
        is_over.set()
        thread.join()


def test_a_node_without_its_disk_is_replaced_by_one_of_another_name(cluster: LocalCluster) -> None:
    first, second, _ = cluster.nodes
    with writing(first) as acknowledged:
        wait_for(cluster, "green")
        fourth = replace(cluster)
        goes_on_without(cluster, second, 250)
        more = len(acknowledged) + 20
        until(lambda: len(acknowledged), lambda count: count > more, "writes behind the second loss")
    ok(fourth, "POST", "/written/_refresh")
    for node in (first, fourth):
        found = ok(node, "POST", "/written/_mget", {"ids": acknowledged})["docs"]
        assert [doc["_id"] for doc in found if not doc["found"]] == []
    fourth.kill()
    status, answer = first.request("POST", f"{EXCLUSIONS}?node_names={fourth.node_name}&timeout=1s")
    assert (status, answer["error"]["type"]) == (429, "timeout_exception"), answer
    assert "a majority of its nats-servers must run" in answer["error"]["reason"]


def replace(cluster: LocalCluster) -> LocalNode:
    """The third node is lost for good and a fourth takes its place."""
    first, second, third = cluster.nodes
    lost = node_ids(first)[third.node_name]
    end_for_good(third)
    wait_for(cluster, "yellow", nodes=2, among=running(cluster))
    assert lost in coordination(first)["last_committed_config"]
    status, answer = first.request("POST", f"{EXCLUSIONS}?node_names={second.node_name}")
    assert (status, answer["error"]["type"]) == (400, "illegal_argument_exception"), answer
    assert "of the [2] nats-servers that would be left [1] would answer" in answer["error"]["reason"]
    exclude, clear = told_requests(third)
    ok(second, *exclude)
    shown = coordination(first)
    assert shown["voting_config_exclusions"] == [{"node_id": lost, "node_name": third.node_name}]
    assert lost not in shown["last_committed_config"]
    ok(first, *clear)
    assert coordination(second)["voting_config_exclusions"] == []
    # With two servers left, an index can be made all the same.
    ok(first, "PUT", "/between", {"settings": {"number_of_shards": 1, "number_of_replicas": 1}})
    bulk(first, numbered("kept", 200, 50))
    fourth = cluster.add()
    fourth.start()
    wait_for(cluster, "green", among=running(cluster))
    fill(cluster)
    return fourth


def test_a_node_comes_back_under_its_name_with_an_empty_disk(cluster: LocalCluster) -> None:
    first, second, third = cluster.nodes
    lost = node_ids(first)[third.node_name]
    end_for_good(third)
    wait_for(cluster, "yellow", nodes=2, among=running(cluster))
    third.start()
    wait_for(cluster, "green")
    status, answer = second.request("POST", f"{EXCLUSIONS}?node_names={third.node_name}")
    assert (status, answer["error"]["type"]) == (400, "illegal_argument_exception"), answer
    assert f"nodes that are gone, [{lost}]: say by [node_ids]" in answer["error"]["reason"]
    ok(second, "POST", f"{EXCLUSIONS}?node_ids={lost}")
    assert coordination(first)["voting_config_exclusions"] == [{"node_id": lost, "node_name": third.node_name}]
    ok(third, "DELETE", EXCLUSIONS)
    status, answer = second.request("POST", f"{EXCLUSIONS}?node_ids=nobody")
    assert (status, answer["error"]["type"]) == (400, "illegal_argument_exception"), answer
    assert "no nats-server is known of that node" in answer["error"]["reason"]
    fill(cluster)
    goes_on_without(cluster, first, 200)


def test_a_node_that_runs_is_taken_out_and_two_go_on_and_start_again(cluster: LocalCluster) -> None:
    first, second, third = cluster.nodes
    ids = node_ids(first)
    ok(third, "POST", f"{EXCLUSIONS}?node_names={third.node_name}")
    until(lambda: votes(third), lambda is_voting: not is_voting, "the server of the excluded node to give up its vote")
    assert streams_of(first, third) == set()
    bulk(third, numbered("kept", 200, 20))
    assert ok(third, "GET", "/kept/_count")["count"] == 220
    third.stop()
    third.start()
    wait_for(cluster, "green")
    assert not votes(third), "also after it started again"
    assert ok(third, "GET", "/kept/_count")["count"] == 220
    status, answer = first.request("DELETE", f"{EXCLUSIONS}?timeout=50ms")
    assert (status, answer["error"]["type"]) == (429, "timeout_exception")
    assert f"{{{third.node_name}}}{{{ids[third.node_name]}}}" in answer["error"]["reason"]
    third.stop()
    ok(first, "DELETE", EXCLUSIONS)
    status, answer = first.request("POST", f"{EXCLUSIONS}?node_ids={ids[second.node_name]}")
    assert (status, answer["error"]["type"]) == (400, "illegal_argument_exception"), answer
    assert "[1] nats-servers would be left, but one of a cluster does not start again" in answer["error"]["reason"]
    bulk(first, numbered("kept", 220, 20))
    for node in (first, second):
        node.kill()
    for node in (first, second):
        node.start(wait=False)
    for node in (first, second):
        node.wait_until_ready()
    bulk(second, numbered("kept", 240, 20))
    assert ok(first, "GET", "/kept/_count")["count"] == 260


def test_who_is_not_excluded_any_more_votes_again(cluster: LocalCluster) -> None:
    first, _, third = cluster.nodes
    for role, privilege in (("watches", "monitor"), ("manages", "manage")):
        ok(first, "PUT", f"/_security/role/{role}", {"cluster": [privilege]})
        ok(first, "PUT", f"/_security/user/{role}", {"password": "secret-joe", "roles": [role]})
    status, answer = first.request("POST", f"{EXCLUSIONS}?node_names=hansa-3", user=("watches", "secret-joe"))
    assert (status, answer["error"]["type"]) == (403, "security_exception"), answer
    assert "[cluster:admin/voting_config/add_exclusions] is unauthorized" in answer["error"]["reason"]
    assert first.request("DELETE", EXCLUSIONS, user=("watches", "secret-joe"))[0] == 403
    third.kill()
    wait_for(cluster, "yellow", nodes=2, among=running(cluster))
    ok(first, "POST", f"{EXCLUSIONS}?node_names={third.node_name}", user=("manages", "secret-joe"))
    third.start()
    until(lambda: votes(third), lambda is_voting: not is_voting, "a node that comes back to learn that it is excluded")
    ok(first, "DELETE", f"{EXCLUSIONS}?wait_for_removal=false")
    until(lambda: votes(third), bool, "it to vote again")
    assert node_ids(first)[third.node_name] in coordination(first)["last_committed_config"]


def votes(node: LocalNode) -> bool:
    """Whether its nats-server runs with JetStream."""
    return "jetstream" in server_config(node)


def streams_of(asked: LocalNode, holder: LocalNode) -> set[str]:
    return {name for name, nodes in streams(asked).items() if holder.node_name in nodes}
