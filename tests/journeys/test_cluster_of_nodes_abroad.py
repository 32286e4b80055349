"""A border with several nodes on one side of it: gateways and followers that die, and what goes on."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from hanse.cli.local_cluster import LocalNode
from hanse.cli.local_nodes import LocalCluster
from hanse.tls.authority import CertificateAuthority
from tests.journeys.several_nodes import named, node_ids, numbered, only_in_soak, running, wait_for
from tests.journeys.world import bulk, ok, until

pytestmark = pytest.mark.timeout(300)


class Border:
    """`inland`, a cluster of one node, and `hansa`, one of three; each knows the other under its name."""

    def __init__(self, inland: LocalNode, hansa: LocalCluster) -> None:
        self.inland = inland
        self.hansa = hansa

    def connect(self) -> None:
        seeds = [node.transport_address for node in self.hansa.nodes]
        remote: dict[str, Any] = {"hansa": {"mode": "sniff", "seeds": seeds, "skip_unavailable": False}}
        ok(self.inland, "PUT", "/_cluster/settings", {"persistent": {"cluster": {"remote": remote}}})
        remote = {"inland": {"seeds": [self.inland.transport_address], "skip_unavailable": False}}
        ok(self.hansa.nodes[0], "PUT", "/_cluster/settings", {"persistent": {"cluster": {"remote": remote}}})
        self.wait_connected()

    def wait_connected(self, gateways: int = 3) -> None:
        until(
            lambda: ok(self.inland, "GET", "/_remote/info")["hansa"],
            lambda info: info["connected"] and info["num_nodes_connected"] == gateways,
            f"{gateways} gateways",
        )
        for node in running(self.hansa):
            until(
                lambda node=node: ok(node, "GET", "/_remote/info")["inland"],
                lambda info: info["connected"],
                f"{node.node_name} to reach inland",
            )


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Border]:
    folder = tmp_path_factory.mktemp("border")
    ours, theirs = CertificateAuthority.create("CN=ca-hansa"), CertificateAuthority.create("CN=ca-inland")
    hansa = LocalCluster(folder / "hansa", authority=ours, trusted=(theirs.certificate_pem,))
    inland = LocalNode(folder / "inland", "inland", theirs, trusted=(ours.certificate_pem,))
    with inland, hansa:
        yield Border(inland, hansa)


@pytest.fixture
def border(started: Border) -> Border:
    """Every node runs and every gateway is connected."""
    started.hansa.start()
    wait_for(started.hansa, "green")
    started.connect()
    return started


def make(node: LocalNode, index: str, shards: int, replicas: int) -> None:
    ok(node, "PUT", f"/{index}", {"settings": {"number_of_shards": shards, "number_of_replicas": replicas}})


@only_in_soak
def test_a_remote_search_goes_on_while_gateways_die(border: Border) -> None:
    make(border.hansa.nodes[0], "herring", 3, 2)
    wait_for(border.hansa, "green", index="herring")
    bulk(border.hansa.nodes[0], numbered("herring", 0, 60))
    answers: Counter[str] = Counter()
    is_over = threading.Event()

    def search() -> None:
        while not is_over.is_set():
            status, answer = border.inland.request("POST", "/hansa:herring/_search", {"size": 0})
            count = answer["hits"]["total"]["value"] if status == 200 else answer["error"]["type"]
            answers[f"{status} {count}"] += 1

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for victim in border.hansa.nodes:
            seen = answers["200 60"]
            until(lambda: answers["200 60"], lambda now, wanted=seen + 10: now > wanted, "searches before")
            victim.kill()
            seen = answers["200 60"]
            until(lambda: answers["200 60"], lambda now, wanted=seen + 10: now > wanted, "searches afterwards")
            victim.start()
            wait_for(border.hansa, "green")
            border.wait_connected()
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert answers.keys() == {"200 60"}, answers


def test_a_follower_goes_on_while_the_leaders_nodes_die(border: Border) -> None:
    make(border.hansa.nodes[0], "leader", 2, 1)
    wait_for(border.hansa, "green", index="leader")
    body = {"remote_cluster": "hansa", "leader_index": "leader"}
    ok(border.inland, "PUT", "/copy/_ccr/follow?wait_for_active_shards=1", body)
    for at, victim in enumerate(border.hansa.nodes):
        other = border.hansa.nodes[(at + 1) % 3]
        bulk(other, numbered("leader", 40 * at, 20), "/_bulk")
        victim.kill()
        bulk(other, numbered("leader", 40 * at + 20, 20), "/_bulk")
        wait_for_copy(border.inland, "copy", 40 * (at + 1))
        victim.start()
        wait_for(border.hansa, "green")
    assert equal_copy(border.hansa.nodes[0], "leader", border.inland, "copy")


def wait_for_copy(node: LocalNode, index: str, count: int) -> None:
    def counted() -> Any:
        node.request("POST", f"/{index}/_refresh")
        return node.request("GET", f"/{index}/_count")

    until(counted, lambda answer: answer[0] == 200 and answer[1]["count"] == count, f"{count} documents in the copy")


def equal_copy(leader: LocalNode, index: str, follower: LocalNode, copy: str) -> bool:
    def contents(node: LocalNode, name: str) -> dict[str, Any]:
        ok(node, "POST", f"/{name}/_refresh")
        body = {"size": 10_000, "seq_no_primary_term": True, "version": True}
        hits = ok(node, "POST", f"/{name}/_search", body)["hits"]["hits"]
        return {hit["_id"]: (hit["_seq_no"], hit["_version"], hit["_source"]) for hit in hits}

    ours = contents(leader, index)
    return bool(ours) and ours == contents(follower, copy)


def following_nodes(border: Border) -> set[str]:
    """Names of the nodes that run a follow task of [mirror]."""
    names = {id: name for name, id in node_ids(running(border.hansa)[0]).items()}
    found = ok(running(border.hansa)[0], "GET", "/_tasks?actions=xpack/ccr/shard_follow_task*&detailed=true")["nodes"]
    return {names[id] for id in found}


def test_three_nodes_follow_and_a_follow_moves_when_its_node_dies(border: Border) -> None:
    make(border.inland, "origin", 3, 0)
    bulk(border.inland, numbered("origin", 0, 30))
    body = {"remote_cluster": "inland", "leader_index": "origin", "settings": {"index.number_of_replicas": 2}}
    ok(border.hansa.nodes[0], "PUT", "/mirror/_ccr/follow?wait_for_active_shards=1", body)
    wait_for(border.hansa, "green", index="mirror")
    wait_for_copy(border.hansa.nodes[1], "mirror", 30)
    followers = until(lambda: following_nodes(border), lambda names: len(names) > 1, "shard tasks on several nodes")
    for at, name in enumerate(sorted(followers)):
        victim = named(border.hansa, name)
        victim.kill()
        bulk(border.inland, numbered("origin", 30 * (at + 1), 30))
        (left, other) = running(border.hansa)
        for node in (left, other):
            wait_for_copy(node, "mirror", 30 * (at + 2))
        assert victim.node_name not in following_nodes(border)
        victim.start()
        wait_for(border.hansa, "green")
    assert equal_copy(border.inland, "origin", border.hansa.nodes[2], "mirror")
    stats = ok(border.hansa.nodes[1], "GET", "/mirror/_ccr/stats")["indices"][0]["shards"]
    assert {shard["shard_id"] for shard in stats} == {0, 1, 2}
    assert not [shard for shard in stats if shard.get("fatal_exception")]


def test_users_of_one_side_see_through_any_node_what_the_other_grants(border: Border) -> None:
    make(border.inland, "ledger", 1, 0)
    bulk(border.inland, numbered("ledger", 0, 5))
    role = {"indices": [{"names": ["ledger"], "privileges": ["read", "read_cross_cluster"]}]}
    ok(border.inland, "PUT", "/_security/role/trader", role)
    ok(border.hansa.nodes[0], "PUT", "/_security/role/trader", {})
    ok(border.hansa.nodes[1], "PUT", "/_security/user/tom", {"password": "herring-and-salt", "roles": ["trader"]})
    tom = ("tom", "herring-and-salt")
    for node in border.hansa.nodes:
        answer = ok(node, "GET", "/inland:ledger/_search", user=tom)
        assert answer["hits"]["total"]["value"] == 5
        assert node.request("GET", "/inland:origin/_search", user=tom)[0] == 403
