"""The shards a search reads, each as an open point-in-time view. Tests: tests/search/test_coordinate.py."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

import msgspec

from hanse.errors import HanseError, IndexNotFoundError, ShardFailedError
from hanse.index.service import IndexService, Indices
from hanse.index.shard import Shard, ShardReader
from hanse.search.failures import shard_failure
from hanse.search.plan import Shape
from hanse.search.request import ShardFailure
from hanse.transport.actions import Target, Targets

SHARDS = "_shards:"


class ShardView(msgspec.Struct):
    """One shard to search. `ordinal` is its number among all shards of the search."""

    reader: ShardReader
    target: Target
    settings: Any
    index: str
    index_uuid: str
    number: int
    ordinal: int
    shards: int = 1
    aliases: tuple[str, ...] = ()
    node: str = ""

    def shape(self, cluster_alias: str, allows_expensive: bool = True) -> Shape:
        reader = self.reader
        return Shape(
            self.index,
            reader.mapping,
            reader.schema,
            self.settings,
            self.target,
            cluster_alias,
            self.number,
            self.shards,
            self.aliases,
            allows_expensive,
        )


class OpenViews:
    """Views of the shards of all targets, in the order of index and shard; closed at the end."""

    __slots__ = ("_found",)

    def __init__(
        self, indices: Indices, targets: Targets, routing: str | None = None, preference: str | None = None
    ) -> None:
        self._found = acquire_views(indices, targets, routing, preference)

    def __enter__(self) -> tuple[list[ShardView], list[ShardFailure]]:
        return self._found

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        release(self._found[0])


def acquire_views(
    indices: Indices, targets: Targets, routing: str | None = None, preference: str | None = None
) -> tuple[list[ShardView], list[ShardFailure]]:
    views: list[ShardView] = []
    failures: list[ShardFailure] = []
    local = targets.local if len(targets.local) < 2 else sorted(targets.local, key=lambda target: target.index)
    for target in local:
        try:
            service = indices.get(target.index)
        except ShardFailedError as error:
            failures.append(shard_failure(target.index, 0, error))
            continue
        for shard in _chosen(service, target, routing, preference):
            try:
                reader = shard.reader()
            except HanseError as error:
                failures.append(shard_failure(target.index, shard.number, error, service.uuid))
                continue
            views.append(_view(service, target, reader, shard.number, len(views), indices.own_id))
    return views, failures


Named = Mapping[str, Sequence[tuple[int, int]]]
"""By index the shards to search, each with its number among all shards of the search."""


def acquire_named(indices: Indices, targets: Targets, named: Named) -> tuple[list[ShardView], list[ShardFailure]]:
    """Views of just these shards. One that does not serve here, or whose index is no target, is a failure."""
    views: list[ShardView] = []
    failures: list[ShardFailure] = []
    by_index = {target.index: target for target in targets.local}
    for index, shards in named.items():
        for number, ordinal in shards:
            uuid = None
            try:
                target = by_index.get(index)
                if target is None:
                    raise IndexNotFoundError.of(index)
                service = indices.get(index)
                uuid = service.uuid
                reader = service.shard(number).reader()
            except HanseError as error:
                failures.append(shard_failure(index, number, error, uuid, indices.own_id))
                continue
            views.append(_view(service, target, reader, number, ordinal, indices.own_id))
    return views, failures


def _view(
    service: IndexService, target: Target, reader: ShardReader, number: int, ordinal: int, node: str
) -> ShardView:
    metadata = service.metadata
    return ShardView(
        reader,
        target,
        metadata.settings,
        metadata.name,
        metadata.uuid,
        number,
        ordinal,
        metadata.number_of_shards,
        tuple(metadata.aliases) if metadata.aliases else (),
        node,
    )


def release(views: Iterable[ShardView]) -> None:
    for view in views:
        view.reader.close()


def _chosen(service: IndexService, target: Target, routing: str | None, preference: str | None) -> Iterable[Shard]:
    wanted = wanted_numbers(service, target, routing, preference)
    return service.shards if wanted is None else [shard for shard in service.shards if shard.number in wanted]


def wanted_numbers(
    service: IndexService, target: Target, routing: str | None, preference: str | None
) -> set[int] | None:
    """The shards that routing values and a `_shards:` preference name; None for all."""
    numbers: set[int] | None = None
    values = _routing_values(target.routing, routing)
    if values is not None:
        numbers = {service.number_for("", value) for value in values}
    if preference is not None and preference.startswith(SHARDS):
        named = preference[len(SHARDS) :].partition("|")[0].split(",")
        every = range(service.metadata.number_of_shards) if numbers is None else numbers
        numbers = {number for number in every if str(number) in named}
    return numbers


def _routing_values(of_alias: str | None, of_request: str | None) -> set[str] | None:
    alias = set(of_alias.split(",")) if of_alias else None
    request = set(of_request.split(",")) if of_request else None
    if alias is None or request is None:
        return alias if request is None else request
    return alias & request
