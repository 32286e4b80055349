"""Which copies are chosen, and how the shards that one node does not serve go on to the next."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.several_nodes import SeveralNodes, several_nodes

from hanse.errors import HanseError, NodeNotConnectedError, ParsingError, ShardFailedError
from hanse.search.copies import Copies, Place
from hanse.transport.actions import Target, Targets

TARGETS = Targets((Target("b", name="b"), Target("a", name="a")))


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[SeveralNodes]:
    async with several_nodes(tmp_path) as made:
        await made.create("a", shards=2, replicas=1)
        await made.create("b", shards=3, replicas=1)
        yield made


def copies(cluster: SeveralNodes, node: int = 0, *, is_adaptive: bool = True) -> Copies:
    here = cluster.nodes[node]
    return Copies(here.cluster, here.indices, lambda: is_adaptive)


async def test_places_are_in_the_order_of_index_and_shard(cluster: SeveralNodes) -> None:
    places = copies(cluster).places(TARGETS, None, None)
    assert [(place.index, place.number, place.ordinal) for place in places] == [
        ("a", 0, 0), ("a", 1, 1), ("b", 0, 2), ("b", 1, 3), ("b", 2, 4)
    ]  # fmt: skip
    held = [*cluster.holders("a"), *cluster.holders("b")]
    ids = [node.id for node in cluster.nodes]
    assert [{ids.index(node) for node in place.nodes} for place in places] == held


async def test_equally_fast_nodes_share_the_shards(cluster: SeveralNodes) -> None:
    for node in range(3):
        first = Counter(place.nodes[0] for place in copies(cluster, node).places(TARGETS, None, None))
        assert max(first.values()) <= 3
        assert first[cluster.nodes[node].id] >= 1


async def test_a_slow_node_is_avoided(cluster: SeveralNodes) -> None:
    chosen = copies(cluster)
    slow = cluster.nodes[1].id
    with pytest.raises(NodeNotConnectedError), chosen.times.measured(slow):
        raise NodeNotConnectedError("gone")
    assert slow not in {place.nodes[0] for place in chosen.places(TARGETS, None, None)}


async def test_without_adaptive_selection_copies_take_turns(cluster: SeveralNodes) -> None:
    chosen = copies(cluster, is_adaptive=False)
    service = cluster.nodes[0].indices.get("a")
    first = [chosen.place(service, 0).nodes[0] for _ in range(6)]
    assert len(set(first)) == 2
    assert first == first[:2] * 3


async def test_shards_go_on_to_the_next_copy(cluster: SeveralNodes) -> None:
    places = [Place("a", 0, 0, ("x", "y")), Place("a", 1, 1, ("x", "z")), Place("a", 2, 2, ("y",))]
    asked = []

    async def ask(node: str, group: list[Place]) -> tuple[str, dict[int, HanseError]]:
        asked.append((node, [place.ordinal for place in group]))
        if node == "x":
            raise NodeNotConnectedError("gone")
        return node, {1: ShardFailedError("not open here")} if node == "z" else {}

    answers, lost = await copies(cluster).ask(places, ask)
    assert sorted(asked) == [("x", [0, 1]), ("y", [0]), ("y", [2]), ("z", [1])]
    assert sorted(answers) == ["y", "y", "z"]
    assert [(place.ordinal, place.asked, str(place.failure)) for place in lost] == [(1, "z", "not open here")]


async def test_what_every_copy_would_refuse_is_raised(cluster: SeveralNodes) -> None:
    async def ask(node: str, group: list[Place]) -> tuple[str, dict[int, HanseError]]:
        raise ParsingError("no")

    with pytest.raises(ParsingError):
        await copies(cluster).ask([Place("a", 0, 0, ("x", "y")), Place("a", 1, 1, ("y",))], ask)
