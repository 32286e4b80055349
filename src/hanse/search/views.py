"""The shards a search reads, each as an open point-in-time view. Tests: tests/search/test_coordinate.py."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hanse.errors import HanseError, ShardFailedError
from hanse.index.service import IndexService, Indices
from hanse.index.shard import Shard, ShardReader
from hanse.search.failures import shard_failure
from hanse.search.plan import Shape
from hanse.search.request import ShardFailure
from hanse.transport.actions import Target, Targets


@dataclass(slots=True)
class ShardView:
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


@contextmanager
def open_views(
    indices: Indices, targets: Targets, routing: str | None = None, preference: str | None = None
) -> Iterator[tuple[list[ShardView], list[ShardFailure]]]:
    """Views of the shards of all targets, in the order of index and shard; closed at the end."""
    views, failures = acquire_views(indices, targets, routing, preference)
    try:
        yield views, failures
    finally:
        release(views)


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
            views.append(_view(service, target, reader, shard.number, len(views)))
    return views, failures


def _view(service: IndexService, target: Target, reader: ShardReader, number: int, ordinal: int) -> ShardView:
    metadata = service.metadata
    return ShardView(
        reader,
        target,
        metadata.settings,
        metadata.name,
        metadata.uuid,
        number,
        ordinal,
        len(service.shards),
        tuple(metadata.aliases) if metadata.aliases else (),
    )


def release(views: Iterable[ShardView]) -> None:
    for view in views:
        view.reader.close()


def _chosen(service: IndexService, target: Target, routing: str | None, preference: str | None) -> Iterable[Shard]:
    """All shards, or those that routing values and `_shards:` preferences name."""
    shards: list[Shard] = service.shards
    wanted = _routing_values(target.routing, routing)
    if wanted is not None:
        numbers = {service.shard_for("", value).number for value in wanted}
        shards = [shard for shard in shards if shard.number in numbers]
    if preference is not None and preference.startswith("_shards:"):
        named = preference[len("_shards:") :].partition("|")[0].split(",")
        shards = [shard for shard in shards if str(shard.number) in named]
    return shards


def _routing_values(of_alias: str | None, of_request: str | None) -> set[str] | None:
    alias = set(of_alias.split(",")) if of_alias else None
    request = set(of_request.split(",")) if of_request else None
    if alias is None or request is None:
        return alias if request is None else request
    return alias & request
