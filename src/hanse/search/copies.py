"""Which copy of each shard a search asks, and the next one when that does not answer.

Only active copies are asked: a refresh reaches all of those, so whichever is chosen shows what a refresh promised.
Tests: tests/search/test_copies.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import TypeVar
from zlib import crc32

from hanse.cluster.updates import ClusterService
from hanse.errors import (
    ConnectTransportError,
    HanseError,
    IllegalArgumentError,
    IndexClosedError,
    IndexNotFoundError,
    NoShardAvailableError,
    ReceiveTimeoutError,
    ShardFailedError,
)
from hanse.index.service import IndexService, Indices
from hanse.search import preference as preferences
from hanse.search.preference import Preference, parse_preference
from hanse.search.response_times import ResponseTimes
from hanse.search.views import wanted_numbers
from hanse.tasks import together
from hanse.transport.actions import Targets

R = TypeVar("R")

ELSEWHERE = (ConnectTransportError, ReceiveTimeoutError, ShardFailedError, IndexNotFoundError, IndexClosedError)
"""What another copy may answer where this one did not: the node is gone, or has no such shard (any more)."""

_HERE = ("", preferences.LOCAL, preferences.ONLY_LOCAL)


@dataclass(frozen=True, slots=True)
class Place:
    """One shard of a search: its number among all of them, and the nodes that may be asked, in order.

    `failure` is why the last one, `asked`, did not answer, or why there is none.
    """

    index: str
    number: int
    ordinal: int
    nodes: tuple[str, ...] = ()
    failure: HanseError | None = None
    asked: str = ""


Ask = Callable[[str, list[Place]], Awaitable[tuple[R, dict[int, HanseError]]]]
"""Asks a node about some shards; returns its answer, and by ordinal why shards were not served there."""


class Copies:
    def __init__(
        self, cluster: ClusterService, indices: Indices, is_adaptive: Callable[[], bool] = lambda: True
    ) -> None:
        self._cluster = cluster
        self._indices = indices
        self._is_adaptive = is_adaptive
        self._turn = count()
        self.times = ResponseTimes()

    # -- choosing

    def all_serve_here(self, targets: Targets, preference: str | None) -> bool:
        """Whether this node alone has all that is to be searched, and nothing speaks for another."""
        if preference is not None:
            kind = parse_preference(preference).kind
            alone = len(self._cluster.state.nodes) < 2
            if kind not in _HERE and not (alone and kind == preferences.CUSTOM):
                return False
        if len(targets.local) == 1:
            # Almost every search; a generator would cost more than all the rest of this.
            return self._indices.get(targets.local[0].index).is_whole
        return all(self._indices.get(target.index).is_whole for target in targets.local)

    def places(self, targets: Targets, routing: str | None, preference: str | None) -> list[Place]:
        """All shards to search in the order of index and number."""
        wish = parse_preference(preference)
        planned: Counter[str] = Counter()
        places: list[Place] = []
        for target in sorted(targets.local, key=lambda target: target.index):
            service = self._indices.get(target.index)
            wanted = wanted_numbers(service, target, routing, preference)
            for number in range(service.metadata.number_of_shards):
                if wanted is None or number in wanted:
                    places.append(self._place(service, number, len(places), wish, planned))
        return places

    def place(self, service: IndexService, number: int) -> Place:
        """A single shard."""
        return self._place(service, number, 0, preferences.NONE, Counter())

    def _place(
        self, service: IndexService, number: int, ordinal: int, wish: Preference, planned: Counter[str]
    ) -> Place:
        own = self._indices.own_id
        nodes = [copy.node for copy in service.routing(number).active()]
        if own not in nodes and service.may_be_searched(number):
            nodes.append(own)
        if wish.kind == preferences.ONLY_LOCAL:
            nodes = [node for node in nodes if node == own]
        elif wish.kind == preferences.ONLY_NODES:
            nodes = self._only(nodes, wish, service, number)
        ordered = self._ordered(nodes, service, number, wish, planned)
        if not ordered:
            return Place(service.name, number, ordinal, failure=self._why_none(service, number))
        planned[ordered[0]] += 1
        return Place(service.name, number, ordinal, tuple(ordered))

    def _why_none(self, service: IndexService, number: int) -> HanseError:
        copy = service.copies.get(number)
        if copy is not None and copy.failure is not None:
            return copy.failure
        return NoShardAvailableError(f"no active copy of shard [{service.name}][{number}]")

    def _only(self, nodes: list[str], wish: Preference, service: IndexService, number: int) -> list[str]:
        members = self._cluster.state.nodes
        named = [node for node in nodes if wish.names(node, members.get(node))]
        if nodes and not named:
            raise IllegalArgumentError(
                f"no data nodes with criteria [{','.join(wish.nodes)}] found for shard: [{service.name}][{number}]"
            )
        return named

    def _ordered(
        self, nodes: list[str], service: IndexService, number: int, wish: Preference, planned: Counter[str]
    ) -> list[str]:
        if len(nodes) < 2:
            return nodes
        if wish.kind == preferences.CUSTOM:
            # By the hash of each, so that a copy more or less changes the choice of few.
            return sorted(nodes, key=lambda node: crc32(f"{wish.text}/{node}/{service.uuid}/{number}".encode()))
        ranked = self._ranked(nodes, planned)
        if wish.kind == preferences.LOCAL:
            ranked.sort(key=lambda node: node != self._indices.own_id)
        elif wish.kind == preferences.PREFER_NODES:
            members = self._cluster.state.nodes
            ranked.sort(key=lambda node: not wish.names(node, members.get(node)))
        return ranked

    def _ranked(self, nodes: list[str], planned: Counter[str]) -> list[str]:
        if not self._is_adaptive():
            first = next(self._turn) % len(nodes)
            return [*nodes[first:], *nodes[:first]]
        own = self._indices.own_id
        ranked = sorted(nodes, key=lambda node: (self.times.expected_s(node, planned[node]), node != own))
        self.times.chose(ranked[0], ranked[1:])
        return ranked

    # -- asking

    async def ask(self, places: Sequence[Place], ask: Ask[R]) -> tuple[list[R], list[Place]]:
        """One request for each node; shards that are not served there go on to their next copies.

        Returns the answers and the shards that no copy answered for. What `ask` raises beside ELSEWHERE is raised.
        """
        answers: list[R] = []
        lost: list[Place] = []

        async def go_on(places: Sequence[Place]) -> None:
            lost.extend(place for place in places if not place.nodes)
            groups: dict[str, list[Place]] = {}
            for place in places:
                if place.nodes:
                    groups.setdefault(place.nodes[0], []).append(place)
            # Own work comes last: what the others do begins before it.
            order = sorted(groups, key=lambda node: node == self._indices.own_id)
            if order:
                await together([one(node, groups[node]) for node in order])

        async def one(node: str, group: list[Place]) -> None:
            try:
                with self.times.measured(node):
                    answer, refused = await ask(node, group)
            except ELSEWHERE as error:
                refused = {place.ordinal: error for place in group}
            else:
                answers.append(answer)
            again = [
                replace(place, nodes=place.nodes[1:], failure=refused[place.ordinal], asked=node)
                for place in group
                if place.ordinal in refused
            ]
            if again:
                await go_on(again)

        await go_on(places)
        return answers, lost
