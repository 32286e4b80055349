"""The node's indices: opens, closes and removes them, and the copies this node was given, as the cluster state says.

Folders are `<data>/indices/<uuid>/<shard>`; the folder of a deleted index is renamed first, so that a crash never
leaves half of one behind under its name. Folders the cluster state does not know are reported and left alone. What is
left of a copy that this node has no more is removed when all copies the shard shall have are active elsewhere.
Tests: tests/index/test_service.py.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import structlog

from hanse.cluster.engine import Engine
from hanse.cluster.routing import ShardCopy, ShardRouting
from hanse.cluster.state import ClusterState, IndexMetadata
from hanse.cluster.updates import ClusterService
from hanse.errors import IndexClosedError, IndexNotFoundError, ShardFailedError
from hanse.index.index_service import IndexService
from hanse.index.local_copy import Ask, LocalCopy, Surroundings, aside_of
from hanse.index.reports import Reports
from hanse.index.shard import Shard
from hanse.index.workers import Workers
from hanse.settings.registry import Settings
from hanse.tasks import Tasks
from hanse.transport.actions import Action

log = structlog.get_logger(__name__)

RECOVERY_WAIT_S = 30.0
"""How long a start waits for search indices to catch up; the rest goes on in the background."""
ACTIVE_WAIT_S = 30.0
_DELETED = ".deleted"


async def _nobody(node: str, action: Action[Any, Any], request: Any, timeout_s: float) -> Any:
    raise ShardFailedError(f"node [{node}] cannot be asked: this node stands alone")


async def _alone(node: str) -> bool:
    return True


class Indices:
    """All indices of this node; follows the cluster state from `start` to `close`."""

    def __init__(
        self,
        cluster: ClusterService,
        data_path: Path,
        settings: Settings | None = None,
        engine: Engine | None = None,
        *,
        own_id: Callable[[], str] = lambda: "",
        ask: Ask = _nobody,
        has_lapsed: Callable[[str], Awaitable[bool]] = _alone,
    ) -> None:
        """`engine` gives each shard its log; without one the shard's own store is the log. `ask` runs an action on
        another node. `has_lapsed`: whether a node that led shards before the state in force leads none of them now."""
        self._has_lapsed = has_lapsed
        self._cluster = cluster
        self._engine = engine
        self._folder = data_path / "indices"
        self._settings = settings or Settings()
        self._own_id = own_id
        self._tasks = Tasks()
        self._workers = Workers()
        self._around = Surroundings(own_id, engine, self._workers, self._tasks, ask)
        self._reports = Reports(cluster, self._tasks)
        self._services: dict[str, IndexService] = {}
        self._closing: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._left: set[tuple[str, int]] = set()
        self._unsubscribe: Callable[[], None] | None = None

    async def start(self) -> None:
        """Opens every copy this node has. One that can't be opened is reported and refuses requests."""
        await self._workers.write(self._prepare_folder, frozenset(m.uuid for m in self._cluster.state.indices.values()))
        self._unsubscribe = self._cluster.subscribe(self._follow)
        self._follow(ClusterState("", ""), self._cluster.state)
        opening = [copy.opening for service in self._services.values() for copy in service.copies.values()]
        if opening:
            await asyncio.wait(opening, timeout=RECOVERY_WAIT_S)

    def _prepare_folder(self, known: frozenset[str]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for folder in self._folder.iterdir():
            if folder.name.endswith(_DELETED):
                shutil.rmtree(folder, ignore_errors=True)
            elif folder.name not in known:
                log.warning("folder belongs to no index of this cluster and is left alone", folder=str(folder))
            else:
                for one in folder.glob("*" + _DELETED):
                    shutil.rmtree(one, ignore_errors=True)
                self._left |= {(folder.name, int(one.name)) for one in folder.iterdir() if one.name.isdecimal()}

    # -- looking up

    @property
    def own_id(self) -> str:
        """The id of this node."""
        return self._own_id()

    def get(self, name: str) -> IndexService:
        """The open index with this name. Raises IndexNotFoundError, IndexClosedError or, while it opens, a 503."""
        service = self._services.get(name)
        if service is not None:
            return service
        metadata = self._cluster.state.indices.get(name)
        if metadata is None:
            raise IndexNotFoundError.of(name)
        if metadata.is_open:
            raise ShardFailedError(f"index [{name}] is not open on this node yet", index_uuid=metadata.uuid, index=name)
        raise IndexClosedError("closed", index_uuid=metadata.uuid, index=name)

    def __iter__(self) -> Iterator[IndexService]:
        return iter(tuple(self._services.values()))

    def copy_of(self, index_uuid: str, number: int) -> Shard:
        """The copy of a shard that is open here, serving or being filled. Raises ShardFailedError (503)."""
        for service in self._services.values():
            if service.uuid == index_uuid:
                copy = service.copies.get(number)
                if copy is not None and copy.shard is not None:
                    return copy.shard
        raise ShardFailedError(f"this node has no copy of shard [{number}] of index [{index_uuid}]")

    def report_failed(self, index_uuid: str, number: int, allocation_id: str, why: str) -> None:
        """Has the cluster drop a copy, here or on another node, that does not serve as it should."""
        self._reports.failed(index_uuid, number, allocation_id, why)

    async def ready(self, name: str, copies: str = "1", timeout_s: float = ACTIVE_WAIT_S) -> bool:
        """Waits until every shard of the index has that many active copies; `all`: as many as it shall have.

        False when the time is over. Raises IndexNotFoundError when the index is deleted meanwhile.
        """

        def is_decided(state: ClusterState) -> bool:
            return name not in state.indices or _has_active(state, name, copies)

        if not await self._cluster.until(is_decided, timeout_s):
            return False
        self._cluster.state.index(name)
        await self._opened_here(name)
        return True

    async def _opened_here(self, name: str) -> None:
        """A copy counts as active a moment before it is offered here."""
        service = self._services.get(name)
        if service is not None:
            opening = [copy.opening for copy in service.copies.values() if not copy.opening.done()]
            if opening and all(copy.assigned.is_active for copy in service.copies.values()):
                await asyncio.wait(opening, timeout=ACTIVE_WAIT_S)

    # -- following the cluster state

    def _follow(self, old: ClusterState, new: ClusterState) -> None:
        if old.indices is new.indices and old.routing is new.routing:
            return
        for name, metadata in old.indices.items():
            current = new.indices.get(name)
            if current is metadata:
                continue
            if current is None or current.uuid != metadata.uuid:
                self._tasks.spawn(f"removal of [{name}]", self._remove_index(metadata, self._leave(metadata)))
            elif metadata.is_open and not current.is_open:
                self._leave(metadata)
        for name, metadata in new.indices.items():
            if not metadata.is_open:
                continue
            if old.indices.get(name) is not metadata or old.routing.get(name) is not new.routing.get(name):
                self._take(metadata, new.routing.get(name, ()))
        self._sweep(new)

    def _take(self, metadata: IndexMetadata, routing: tuple[ShardRouting, ...]) -> None:
        service = self._services.get(metadata.name)
        if service is None:
            service = self._services[metadata.name] = IndexService(
                metadata, self._cluster, self._own_id, self._has_lapsed
            )
        elif service.metadata is not metadata:
            service.update(metadata)
        own_id = self._own_id()
        for number, shard in enumerate(routing):
            self._take_shard(service, number, shard.on(own_id), shard)
        service.show()

    def _take_shard(
        self, service: IndexService, number: int, assigned: ShardCopy | None, routing: ShardRouting
    ) -> None:
        copy = service.copies.get(number)
        if copy is not None and (assigned is None or copy.assigned.allocation_id != assigned.allocation_id):
            self._close_copy(service, copy)
            copy = None
        if assigned is None:
            return
        if copy is None:
            self._left.discard((service.uuid, number))
            service.copies[number] = copy = self._open(service, number, assigned)
        else:
            copy.follow(assigned, routing)

    def _open(self, service: IndexService, number: int, assigned: ShardCopy) -> LocalCopy:
        before = self._closing.get((service.uuid, number))
        copy = LocalCopy(
            service,
            number,
            assigned,
            self._folder / service.uuid / str(number),
            self._around,
            _ended(before),
            lambda why: self._reports.failed(service.uuid, number, assigned.allocation_id, why),
        )
        copy.opening.add_done_callback(lambda opening: self._opened(service, copy, opening))
        return copy

    def _opened(self, service: IndexService, copy: LocalCopy, opening: asyncio.Task[None]) -> None:
        if opening.cancelled() or service.copies.get(copy.number) is not copy:
            return
        if opening.exception() is not None:
            log.error("copy could not be opened", shard=str(copy), error=str(opening.exception()))
            return
        service.show()
        copy.follow(copy.assigned, service.routing(copy.number))
        if not copy.assigned.is_active:
            self._reports.started(service.uuid, copy.number, copy.assigned.allocation_id)

    def _close_copy(self, service: IndexService, copy: LocalCopy) -> asyncio.Task[None]:
        del service.copies[copy.number]
        service.show()
        closing = copy.close(keep=True)
        self._left.add((service.uuid, copy.number))
        self._ends((service.uuid, copy.number), closing)
        return closing

    def _ends(self, key: tuple[str, int], ending: asyncio.Task[None]) -> None:
        """The next copy of the shard here is not opened before that is done."""
        self._closing[key] = ending
        ending.add_done_callback(lambda done: self._ended(key, done))

    def _ended(self, key: tuple[str, int], ending: asyncio.Task[None]) -> None:
        if self._closing.get(key) is ending:
            del self._closing[key]
            self._sweep(self._cluster.state)

    def _leave(self, metadata: IndexMetadata) -> list[asyncio.Task[None]]:
        service = self._services.pop(metadata.name, None)
        if service is None:
            return []
        if service.uuid != metadata.uuid:
            self._services[metadata.name] = service
            return []
        return [self._close_copy(service, copy) for copy in tuple(service.copies.values())]

    # -- removing

    async def _remove_index(self, metadata: IndexMetadata, closing: list[asyncio.Task[None]]) -> None:
        before = [task for (uuid, _), task in self._closing.items() if uuid == metadata.uuid]
        if closing or before:
            await asyncio.wait([*closing, *before])
        self._left = {(uuid, number) for uuid, number in self._left if uuid != metadata.uuid}
        await self._workers.write(self._remove, self._folder / metadata.uuid)
        if self._engine is not None:
            await self._engine.forget(metadata.uuid, metadata.number_of_shards)

    def _sweep(self, state: ClusterState) -> None:
        """Removes what is left of copies that this node has no more and the cluster does not need."""
        if not self._left:
            return
        names = {index.uuid: index.name for index in state.indices.values()}
        own_id = self._own_id()
        for uuid, number in tuple(self._left):
            shards = state.routing.get(names.get(uuid, ""), ())
            if number >= len(shards) or (uuid, number) in self._closing:
                continue
            shard = shards[number]
            if shard.on(own_id) is None and not shard.unassigned and all(copy.is_active for copy in shard.copies):
                self._left.discard((uuid, number))
                removal = self._remove_copy(uuid, number)
                self._ends((uuid, number), self._tasks.spawn(f"removal of [{names[uuid]}][{number}]", removal))

    async def _remove_copy(self, uuid: str, number: int) -> None:
        folder = self._folder / uuid / str(number)
        await self._workers.write(self._remove, folder)
        await self._workers.write(self._remove, aside_of(folder))

    def _remove(self, folder: Path) -> None:
        if folder.exists():
            doomed = folder.with_name(folder.name + _DELETED)
            shutil.rmtree(doomed, ignore_errors=True)
            shutil.rmtree(folder.rename(doomed), ignore_errors=True)

    # -- the end

    async def close(self) -> None:
        """Commits and closes everything; writes that were accepted are finished first."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        copies = [copy for service in self._services.values() for copy in service.copies.values()]
        closing = [copy.close(keep=True) for copy in copies]
        self._services.clear()
        for failure in await asyncio.gather(*closing, *self._closing.values(), return_exceptions=True):
            if isinstance(failure, BaseException):
                log.error("shard could not be closed in order", error=str(failure))
        await self._tasks.close()
        self._workers.close()


async def _ended(task: asyncio.Task[None] | None) -> None:
    if task is not None and not task.done():
        await asyncio.wait((task,))


def _has_active(state: ClusterState, name: str, copies: str) -> bool:
    wanted = state.indices[name].number_of_replicas + 1 if copies == "all" else int(copies)
    shards = state.routing.get(name, ())
    return bool(shards) and all(
        shard.active_primary is not None and sum(1 for _ in shard.active()) >= wanted for shard in shards
    )


__all__ = ["IndexService", "Indices"]
