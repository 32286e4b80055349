from __future__ import annotations

from pathlib import Path

import pytest

from hanse.cli.local_nodes import LocalCluster
from tests.faults.copies import DIFFER, MISSING, Copy, compare, final_heads, held, read, searched
from tests.faults.history import Head


def copy(node: str, heads: dict[str, Head], max_seq_no: int = 5, checkpoint: int = 5) -> Copy:
    return Copy("i", 0, node, heads, max_seq_no, checkpoint)


SAME = {"a": Head(1, 1, 1, 10), "b": Head(5, 2, 3, 11)}


def test_equal_copies_differ_in_nothing() -> None:
    purged = {"c": Head(4, 1, 2, None)}
    assert list(compare([copy("x", SAME), copy("y", SAME | purged), copy("z", SAME)], {"i": 3})) == []


@pytest.mark.parametrize(
    "other",
    [
        copy("y", {"a": SAME["a"]}),
        copy("y", SAME | {"c": Head(4, 1, 2, 12)}),
        copy("y", SAME | {"a": Head(1, 1, 1, 99)}),
        copy("y", SAME | {"a": Head(2, 1, 1, 10)}),
        copy("y", SAME | {"a": Head(1, 2, 1, 10)}),
        copy("y", SAME | {"a": Head(1, 1, 2, 10)}),
        copy("y", SAME | {"a": Head(3, 1, 2, None)}),
        copy("y", SAME, max_seq_no=6),
        copy("y", SAME, checkpoint=4),
    ],
)
def test_a_copy_that_went_its_own_way_is_found_out(other: Copy) -> None:
    assert [found.what for found in compare([copy("x", SAME), other], {"i": 2})] == [DIFFER]
    assert [found.what for found in compare([other, copy("x", SAME)], {"i": 2})] == [DIFFER]


def test_a_missing_copy_is_found_out() -> None:
    assert [found.what for found in compare([copy("x", SAME)], {"i": 2})] == [MISSING]


def test_a_store_is_read_as_clients_see_it(tmp_path: Path) -> None:
    with LocalCluster(tmp_path, nodes=1) as cluster:
        node = cluster.nodes[0]
        node.request("PUT", "/i", {"settings": {"number_of_shards": 2, "number_of_replicas": 0}})
        for at in range(10):
            node.request("PUT", f"/i/_doc/{at}", {"n": at})
        node.request("PUT", "/i/_doc/3", {"n": 33})
        node.request("DELETE", "/i/_doc/4")
        (node_id,) = node.request("GET", "/_nodes")[1]["nodes"]
        shown = searched(node, "i", node_id)
        copies = held(node, cluster.nodes, ["i"])
    stored = [read(each) for each in copies]
    assert list(compare(stored, {"i": 1})) == []
    final = final_heads(stored)
    assert {id.removeprefix("i/"): head for id, head in final.items() if head.value is not None} == shown
    assert final["i/4"].value is None
    assert (final["i/3"].value, final["i/3"].version) == (33, 2)
