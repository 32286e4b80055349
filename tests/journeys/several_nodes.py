"""What the journeys of a cluster of several nodes ask it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pytest

from hanse.cli.local_cluster import LocalNode
from hanse.cli.local_nodes import LocalCluster
from tests.journeys.world import ok, until

only_in_soak = pytest.mark.skipif("HANSE_SOAK" not in os.environ, reason="takes long: make soak")


def wait_for(
    cluster: LocalCluster, status: str, *, nodes: int = 3, among: Iterable[LocalNode] = (), index: str = ""
) -> None:
    """Every node (or those `among`) sees exactly this status, of an index where one is named, and so many nodes."""
    for node in among or cluster.nodes:
        until(
            lambda node=node: node.request("GET", f"/_cluster/health/{index}")[1],
            lambda health: (health.get("status"), health.get("number_of_nodes")) == (status, nodes),
            f"{node.node_name} to see {nodes} nodes and {status}",
        )


def copies(node: LocalNode, index: str) -> list[dict[str, str]]:
    """Rows of _cat/shards: index, shard, prirep, state, node."""
    return list(ok(node, "GET", f"/_cat/shards/{index}?format=json&h=index,shard,prirep,state,node"))


def holders(node: LocalNode, index: str) -> set[str]:
    """The names of the nodes that have a started copy of any shard."""
    return {row["node"] for row in copies(node, index) if row["state"] in ("STARTED", "RELOCATING")}


def primary_of(cluster: LocalCluster, index: str, shard: int = 0) -> LocalNode:
    """The node whose copy is the primary now."""
    rows = until(
        lambda: [
            row
            for row in copies(running(cluster)[0], index)
            if row["prirep"] == "p" and row["shard"] == str(shard) and row["state"] == "STARTED"
        ],
        bool,
        "a primary",
    )
    return named(cluster, rows[0]["node"])


def named(cluster: LocalCluster, name: str) -> LocalNode:
    return next(node for node in cluster.nodes if node.node_name == name)


def running(cluster: LocalCluster, *, but: LocalNode | None = None) -> list[LocalNode]:
    return [node for node in cluster.nodes if node.process is not None and node is not but]


def node_ids(node: LocalNode) -> dict[str, str]:
    """Id by name."""
    return {each["name"]: id for id, each in ok(node, "GET", "/_nodes")["nodes"].items()}


def hits_on(asked: LocalNode, index: str, holder: LocalNode, ids: dict[str, str]) -> dict[str, Any]:
    """What the copies on one node show: id to (seq_no, source)."""
    ok(asked, "POST", f"/{index}/_refresh")
    body = {"size": 10_000, "seq_no_primary_term": True}
    path = f"/{index}/_search?preference=_only_nodes:{ids[holder.node_name]}"
    return {hit["_id"]: (hit["_seq_no"], hit["_source"]) for hit in ok(asked, "POST", path, body)["hits"]["hits"]}


def numbered(index: str, first: int, count: int) -> bytes:
    """Lines of a bulk: documents {"n": number} with their number as id."""
    return b"".join(
        b'{"index":{"_index":"%s","_id":"%d"}}\n{"n":%d}\n' % (index.encode(), n, n)
        for n in range(first, first + count)
    )
