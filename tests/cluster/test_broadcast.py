from __future__ import annotations

import asyncio
from typing import Any, cast

import msgspec
from tests.one_node import Asking

from hanse.cluster.broadcast import Broadcast, Gathered
from hanse.cluster.nodes import Nodes
from hanse.cluster.updates import ClusterService
from hanse.errors import NodeNotConnectedError
from hanse.transport.actions import Action, Call, Empty, Scope


class Word(msgspec.Struct, frozen=True):
    word: str


ALL = Action("cluster:monitor/words", Empty, dict, Scope.CLUSTER)
ONE = Action("cluster:monitor/words[n]", Empty, Word, Scope.CLUSTER, within=True)


class Door:
    """Stands where the network begins. n1 is this node, n2 answers, n3 is gone, n4 never answers."""

    own_id = "n1"

    async def forward(self, node: str, call: Call, action: Action[Any, Any], request: Any, *, timeout_s: float) -> Any:
        assert call.action is ALL
        if node == "n3":
            raise NodeNotConnectedError("[heron] Node not connected")
        if node == "n4":
            await asyncio.Event().wait()
        return Word(f"word of {node}")


async def gathered(cluster: ClusterService, *nodes: str, timeout_s: float | None = None) -> Gathered[Word]:
    broadcast = Broadcast(cluster, cast(Nodes, Door()))
    found: list[Gathered[Word]] = []
    asking = Asking(cluster)

    async def every(call: Call, request: Empty) -> dict[str, Any]:
        found.append(await broadcast.ask(call, nodes, ONE, request, timeout_s=timeout_s))
        return {}

    async def own(call: Call, request: Empty) -> Word:
        return Word("own word")

    asking.registry.register(ALL, every)
    asking.registry.register(ONE, own)
    await asking.run(ALL, Empty())
    return found[0]


async def test_this_node_and_others_answer(cluster: ClusterService) -> None:
    answer = await gathered(cluster, "n2", "n1")
    assert answer.answers == {"n2": Word("word of n2"), "n1": Word("own word")}
    assert answer.header() == {"_nodes": {"total": 2, "successful": 2, "failed": 0}}


async def test_who_does_not_answer_is_an_entry_and_no_error(cluster: ClusterService) -> None:
    answer = await gathered(cluster, "n1", "n3", "n4", "n4", timeout_s=0.01)
    assert list(answer.answers) == ["n1"]
    header = answer.header()["_nodes"]
    assert (header["total"], header["successful"], header["failed"]) == (3, 1, 2)
    assert header["failures"][0] == {
        "type": "failed_node_exception",
        "reason": "Failed node [n3]",
        "node_id": "n3",
        "caused_by": {"type": "node_not_connected_exception", "reason": "[heron] Node not connected"},
    }
    assert header["failures"][1]["caused_by"]["type"] == "receive_timeout_transport_exception"


async def test_without_others_it_is_this_node(cluster: ClusterService) -> None:
    assert Broadcast(cluster).own_id == "n1"
