"""Three nodes under fire: clients write and read while nodes are killed, put to sleep and cut off from one another.

Afterwards the history must be one that a single honest store could have produced, and all copies of a shard must be
equal on disk. The seed is printed; HANSE_SEED=<seed> replays schedule and choices of the clients. HANSE_SOAK=1 runs
longer. When something is found, the history lies beside the nodes' folders as history.json.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from hanse import clock
from hanse.cli.local_nodes import LocalCluster
from hanse.index.routing import routing_num_shards, shard_for
from tests.faults.clients import Clients
from tests.faults.copies import DIFFER, compare, final_heads, held, read, searched
from tests.faults.history import Finding, Head, check
from tests.faults.nemesis import NEED_NETWORK, Harm, Nemesis, schedule
from tests.faults.network import Network, network, why_not
from tests.journeys.world import ok, until

FAULTS = int(os.environ.get("HANSE_FAULTS") or (200 if os.environ.get("HANSE_SOAK") else 5))
CLIENTS = 18
IDS = 20
# Copies on every node; and copies on two of three, which move when a node stays away.
SHARDS = {"full": 2, "spare": 3}
REPLICAS = {"full": 2, "spare": 1}


@pytest.fixture
def joined() -> Iterator[Network | None]:
    """None where there can be no namespaces: everything but cuts is done all the same."""
    with ExitStack() as stack:
        why = why_not()
        if why is not None:
            print(f"no node is cut off: {why}")
        yield stack.enter_context(network(3)) if why is None else None


@pytest.mark.timeout(7200)
def test_what_was_acknowledged_stays_true(tmp_path: Path, joined: Network | None) -> None:
    seed = int(os.environ.get("HANSE_SEED") or clock.now_ms() % 2**32)
    print(f"seed {seed}")
    places = None if joined is None else joined.places
    cluster = LocalCluster(tmp_path, places=places)
    try:
        cluster.start()
        findings = under_fire(cluster, joined, seed, tmp_path)
    finally:
        cluster.stop()
    kinds = Counter(finding.what for finding in findings)
    assert not findings, f"seed {seed}: {dict(kinds)}; " + "\n".join(f"{what}: {why}" for what, why in findings[:20])


def under_fire(cluster: LocalCluster, joined: Network | None, seed: int, folder: Path) -> list[Finding]:
    first = cluster.nodes[0]
    for index in SHARDS:
        settings = {
            "number_of_shards": SHARDS[index],
            "number_of_replicas": REPLICAS[index],
            "index.unassigned.node_left.delayed_timeout": "2s",
        }
        ok(first, "PUT", f"/{index}", {"settings": settings})
    wait_for_green(cluster)
    clients = Clients(cluster.nodes, list(SHARDS), IDS, seed)
    nemesis = Nemesis(cluster, joined, clients.acknowledged)
    harms = [harm for harm in Harm if joined is not None or harm not in NEED_NETWORK]
    faults = schedule(random.Random(seed), FAULTS, harms)

    def strike() -> None:
        try:
            nemesis.run(faults, lambda line: print(line, flush=True))
        finally:
            clients.stop()

    async def both() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(clients.run(CLIENTS))
            group.create_task(asyncio.to_thread(strike))

    try:
        asyncio.run(both())
        nemesis.heal()
        wait_for_green(cluster)
        # A copy follows behind the acknowledgement; a refresh has each come to where its primary is.
        assert ok(first, "POST", "/_refresh")["_shards"]["failed"] == 0
        shown = shown_by_each_node(cluster)
        copies = held(first, cluster.nodes, SHARDS)
        statuses = cluster.stop()
    finally:
        (folder / "history.json").write_bytes(msgspec.json.encode(clients.events))
    stored = [read(each) for each in copies]
    final = final_heads(stored)
    findings = [
        *check(clients.events, final, shard_of),
        *compare(stored, {index: 1 + REPLICAS[index] for index in REPLICAS}),
        *differences(final, shown),
        *(Finding("a node misbehaved", complaint) for complaint in nemesis.complaints),
        *(Finding("a node misbehaved", f"{name} ended with {status}") for name, status in statuses.items() if status),
    ]
    outcomes = Counter(event.outcome.value for event in clients.events if event.is_write)
    print(
        f"{len(clients.events)} operations on {len(final)} documents, writes {dict(outcomes)}; {nemesis.struck} faults"
    )
    print(f"answers: {dict(clients.statuses.most_common())}")
    print(f"{len(stored)} copies compared; {len(findings)} findings")
    return findings


def shard_of(id: str) -> tuple[str, int]:
    index, _, name = id.partition("/")
    return index, shard_for(name, SHARDS[index], routing_num_shards(SHARDS[index]))


def wait_for_green(cluster: LocalCluster) -> None:
    path = "/_cluster/health?wait_for_status=green&wait_for_nodes=3&wait_for_no_relocating_shards=true&timeout=5s"
    for node in cluster.nodes:
        until(
            lambda node=node: node.request("GET", path)[1],
            lambda health: health.get("status") == "green" and health["number_of_nodes"] == 3,
            f"{node.node_name} to see a green cluster of three",
        )


def shown_by_each_node(cluster: LocalCluster) -> dict[tuple[str, str], dict[str, Head]]:
    """By index and node: what a search of that node's copies shows. Only of indices that every node has whole."""
    nodes = ok(cluster.nodes[0], "GET", "/_nodes")["nodes"]
    whole = [index for index, replicas in REPLICAS.items() if replicas == 2]
    return {
        (index, each["name"]): searched(cluster.nodes[0], index, node_id)
        for node_id, each in nodes.items()
        for index in whole
    }


def differences(final: dict[str, Head], shown: dict[tuple[str, str], dict[str, Head]]) -> Iterator[Finding]:
    """What searches showed against what is stored."""
    for (index, node), documents in shown.items():
        live = {
            id.partition("/")[2]: head
            for id, head in final.items()
            if id.startswith(f"{index}/") and head.value is not None
        }
        if documents != live:
            odd = sorted(id for id in documents.keys() | live.keys() if documents.get(id) != live.get(id))
            yield Finding(DIFFER, f"a search of [{index}] on {node} shows other documents than are stored: {odd}")
