"""The copies of shards as they lie on disk after a clean stop: read from the document stores, and compared.

What is compared: every document's newest operation (seq_no, primary term, version, source), tombstones where both
copies still have them, and how far each copy has come. Tests: tests/faults/test_copies.py.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from hanse.cli.local_cluster import LocalNode
from hanse.index.document_store import DocumentStore
from tests.faults.history import Finding, Head
from tests.journeys.world import ok

DIFFER = "copies of a shard differ"
MISSING = "a copy is missing"


class Copy(NamedTuple):
    """One copy of a shard: `heads` by id, tombstones that are not purged among them."""

    index: str
    shard: int
    node: str
    heads: dict[str, Head]
    max_seq_no: int
    checkpoint: int


class Held(NamedTuple):
    """A copy that the routing table knows, and where its files are."""

    index: str
    uuid: str
    shard: int
    node: LocalNode


def held(node: LocalNode, nodes: Iterable[LocalNode], indices: Iterable[str]) -> list[Held]:
    """Every copy that is STARTED, as `node` lists them; to be asked for before the nodes are stopped."""
    by_name = {each.node_name: each for each in nodes}
    found = []
    for index in indices:
        settings = ok(node, "GET", f"/{index}/_settings")
        uuid = settings[index]["settings"]["index"]["uuid"]
        rows = ok(node, "GET", f"/_cat/shards/{index}?format=json&h=index,shard,state,node")
        found += [
            Held(index, uuid, int(row["shard"]), by_name[row["node"]]) for row in rows if row["state"] == "STARTED"
        ]
    return found


def read(copy: Held) -> Copy:
    """Of a node that is stopped."""
    path = copy.node.folder / "data" / "indices" / copy.uuid / str(copy.shard) / "documents.sqlite"
    assert path.exists(), f"{copy.node.node_name} is said to have a copy, but there is no {path}"
    store = DocumentStore(path)
    try:
        operations, was_cut = store.operations(-1, 2**62, 2**31, 2**62)
        assert not was_cut
        heads = {
            op.id: Head(op.seq_no, op.primary_term, op.version, None if op.deleted else json.loads(op.source)["n"])
            for op in operations
        }
        progress = store.progress
    finally:
        store.close()
    return Copy(copy.index, copy.shard, copy.node.node_name, heads, progress.max_seq_no, progress.checkpoint)


def compare(copies: Iterable[Copy], expected: dict[str, int]) -> Iterator[Finding]:
    """`expected`: how many copies each shard of an index has."""
    shards: dict[tuple[str, int], list[Copy]] = defaultdict(list)
    for copy in copies:
        shards[copy.index, copy.shard].append(copy)
    for (index, shard), same in shards.items():
        if len(same) != expected[index]:
            yield Finding(
                MISSING, f"[{index}][{shard}] is on {[copy.node for copy in same]}, expected {expected[index]}"
            )
        for other in same[1:]:
            yield from _differences(same[0], other)


def _differences(one: Copy, other: Copy) -> Iterator[Finding]:
    where = f"[{one.index}][{one.shard}] on {one.node} and {other.node}"
    standing = [(copy.max_seq_no, copy.checkpoint) for copy in (one, other)]
    if standing[0] != standing[1]:
        yield Finding(DIFFER, f"{where}: max_seq_no and checkpoint are {standing[0]} and {standing[1]}")
    for id in sorted(one.heads.keys() | other.heads.keys()):
        ours, theirs = one.heads.get(id), other.heads.get(id)
        purged = [head for head in (ours, theirs) if head is not None and head.value is None]
        if ours != theirs and not (None in (ours, theirs) and purged):
            yield Finding(DIFFER, f"{where}: [{id}] is {ours} and {theirs}")


def final_heads(copies: Iterable[Copy]) -> dict[str, Head]:
    """What each id, as `index/id`, ended as; copies that differ are reported by `compare`."""
    found: dict[str, Head] = {}
    for copy in copies:
        for id, head in copy.heads.items():
            key = f"{copy.index}/{id}"
            found[key] = max(found.get(key, head), head, key=lambda each: each.seq_no)
    return found


def searched(node: LocalNode, index: str, node_id: str) -> dict[str, Head]:
    """The documents of an index as the copies on one node show them to a search."""
    ok(node, "POST", f"/{index}/_refresh")
    body = {"size": 10_000, "seq_no_primary_term": True, "version": True}
    answer = ok(node, "POST", f"/{index}/_search?preference=_only_nodes:{node_id}", body)
    return {
        hit["_id"]: Head(hit["_seq_no"], hit["_primary_term"], hit["_version"], hit["_source"]["n"])
        for hit in answer["hits"]["hits"]
    }
