"""Asks all nodes that have copies of some indices, and lays what they say beside the routing.

Tests: tests/index/administration/test_statistics.py, tests/journeys/test_every_node.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hanse.cluster.broadcast import Broadcast, failed_node
from hanse.cluster.node_selection import host_of
from hanse.cluster.routing import ShardCopy
from hanse.cluster.state import IndexMetadata, NodeMetadata
from hanse.errors import HanseError
from hanse.index.administration.requests import CopiesOf, CopyReport
from hanse.transport.actions import Action, Call


@dataclass(frozen=True, slots=True)
class ToldCopy:
    """What a node says of its copy of a shard."""

    index: str
    shard: int
    routing: ShardCopy
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """By index; `active` copies were asked for, those of `failed` nodes did not answer."""

    copies: tuple[ToldCopy, ...]
    active: int
    failed: tuple[tuple[str, int, str, HanseError], ...]

    def of(self, index: str) -> Iterator[ToldCopy]:
        """Primaries first."""
        return (copy for copy in self.copies if copy.index == index)

    def counts(self, total: int) -> dict[str, Any]:
        """The member `_shards`."""
        counts: dict[str, Any] = {"total": total, "successful": len(self.copies), "failed": len(self.failed)}
        if self.failed:
            counts["failures"] = [
                {"shard": shard, "index": index, "status": "INTERNAL_SERVER_ERROR", "reason": failed_node(node, error)}
                for index, shard, node, error in self.failed
            ]
        return counts


class Copies:
    def __init__(self, broadcast: Broadcast) -> None:
        self._broadcast = broadcast

    async def ask(
        self,
        call: Call,
        names: Sequence[str],
        action: Action[CopiesOf, list[CopyReport]],
        *,
        also_filling: bool = False,
    ) -> Told:
        """Asks about the copies that serve, and with `also_filling` about those that do not yet."""
        state = self._broadcast.cluster.state
        routing: dict[tuple[str, int, str], ShardCopy] = {}
        for name in names:
            for number, shard in enumerate(state.routing.get(name, ())):
                for copy in shard.copies if also_filling else shard.active():
                    routing[name, number, copy.node] = copy
        nodes = sorted({node for _, _, node in routing})
        request = CopiesOf(_as_named(call, names), tuple(names), state.version)
        gathered = await self._broadcast.ask(call, nodes, action, request)
        told = [
            ToldCopy(report.index, report.shard, routing[report.index, report.shard, node], report.body)
            for node, reports in gathered.answers.items()
            for report in reports
            if (report.index, report.shard, node) in routing
        ]
        told.sort(key=lambda copy: (copy.index, copy.shard, not copy.routing.is_primary, copy.routing.node))
        failed = tuple(
            (index, shard, node, gathered.failures[node]) for index, shard, node in routing if node in gathered.failures
        )
        return Told(tuple(told), len(routing), failed)


def _as_named(call: Call, names: Iterable[str]) -> tuple[str, ...]:
    """How the caller named those indices: an alias may be all that is granted."""
    meant = set(names)
    return tuple(dict.fromkeys(target.name or target.index for target in call.targets.local if target.index in meant))


def copies_wanted(index: IndexMetadata) -> int:
    return index.number_of_shards * (index.number_of_replicas + 1)


def shown_routing(copy: ShardCopy) -> dict[str, Any]:
    return {
        "state": copy.state,
        "primary": copy.is_primary,
        "node": copy.node,
        "relocating_node": copy.relocating_node,
    }


def shown_node(node: NodeMetadata | None) -> dict[str, Any]:
    if node is None:
        return {}
    host = host_of(node)
    return {"id": node.id, "host": host, "transport_address": node.transport_address, "ip": host, "name": node.name}
