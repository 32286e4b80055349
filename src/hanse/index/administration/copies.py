"""Asks all nodes that have copies of some indices, and lays what they say beside the routing.

Tests: tests/index/administration/test_statistics.py, tests/journeys/test_every_node.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from hanse.cluster.broadcast import Broadcast, failed_node
from hanse.cluster.node_selection import host_of
from hanse.cluster.routing import ShardCopy
from hanse.cluster.state import IndexMetadata, NodeMetadata
from hanse.errors import HanseError
from hanse.index.administration.requests import CopiesOf, CopyReport
from hanse.index.index_service import IndexService
from hanse.index.service import Indices
from hanse.transport.actions import Action, Call
from hanse.transport.wire_errors import from_wire


@dataclass(frozen=True, slots=True)
class ToldCopy:
    """What a node says of its copy of a shard."""

    index: str
    shard: int
    routing: ShardCopy
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class FailedCopy:
    """A copy that did not do what was asked; `node` is set when that did not answer at all."""

    index: str
    shard: int
    error: HanseError
    node: str = ""

    def shown(self) -> dict[str, Any]:
        if self.node:
            status, reason = "INTERNAL_SERVER_ERROR", failed_node(self.node, self.error)
        else:
            status = HTTPStatus(self.error.status).name
            reason = {"type": self.error.name, "reason": self.error.reason}
        return {"shard": self.shard, "index": self.index, "status": status, "reason": reason}


@dataclass(frozen=True, slots=True)
class Told:
    """By index; `active` copies were asked for. Those that `failed` did so by themselves or with their node."""

    copies: tuple[ToldCopy, ...]
    active: int
    failed: tuple[FailedCopy, ...]

    def of(self, index: str) -> Iterator[ToldCopy]:
        """Primaries first."""
        return (copy for copy in self.copies if copy.index == index)

    def counts(self, total: int) -> dict[str, Any]:
        """The member `_shards`; of the `total` those that are nowhere neither succeeded nor failed."""
        counts: dict[str, Any] = {"total": total, "successful": len(self.copies), "failed": len(self.failed)}
        if self.failed:
            counts["failures"] = [copy.shown() for copy in self.failed]
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
        timeout_s: float | None = None,
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
        gathered = await self._broadcast.ask(call, nodes, action, request, timeout_s=timeout_s)
        told: list[ToldCopy] = []
        failed = [
            FailedCopy(index, shard, gathered.failures[node], node)
            for index, shard, node in routing
            if node in gathered.failures
        ]
        for node, reports in gathered.answers.items():
            for report in reports:
                assigned = routing.get((report.index, report.shard, node))
                if assigned is not None and report.error is None:
                    told.append(ToldCopy(report.index, report.shard, assigned, report.body))
                elif assigned is not None and report.error is not None:
                    failed.append(FailedCopy(report.index, report.shard, from_wire(report.error)))
        told.sort(key=lambda copy: (copy.index, copy.shard, not copy.routing.is_primary, copy.routing.node))
        return Told(tuple(told), len(routing), tuple(failed))


def _as_named(call: Call, names: Iterable[str]) -> tuple[str, ...]:
    """How the caller named those indices: an alias may be all that is granted."""
    meant = set(names)
    return tuple(dict.fromkeys(target.name or target.index for target in call.targets.local if target.index in meant))


def meant(indices: Indices, call: Call, request: CopiesOf) -> list[IndexService]:
    """What a node is asked about of its own, as far as the caller may see it here, too."""
    names = set(call.targets.names).intersection(request.concrete)
    return [service for service in indices if service.name in names]


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
