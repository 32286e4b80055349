"""The node's indices: opens, closes and removes them as the cluster state says.

`IndexService` is one index with its shards and current mapping, `Indices` all of them. Folders are
`<data>/indices/<uuid>/<shard>`; the folder of a deleted index is renamed first, so that a crash never leaves half of
one behind under its name. Folders the cluster state does not know are reported and left alone.
Tests: tests/index/test_service.py.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import structlog

from hanse.cluster.engine import Engine
from hanse.cluster.state import ClusterState, IndexMetadata
from hanse.cluster.updates import ClusterService
from hanse.errors import (
    ClusterBlockError,
    HanseError,
    IndexClosedError,
    IndexNotFoundError,
    ShardFailedError,
    StatusError,
    UnavailableShardsError,
)
from hanse.index import settings as index_settings
from hanse.index.document_store import DocumentStore
from hanse.index.mapping import DocumentMapper, Mapping
from hanse.index.records import Progress
from hanse.index.routing import routing_num_shards, shard_for
from hanse.index.shard import Shard
from hanse.index.workers import Workers
from hanse.settings.registry import Settings
from hanse.tasks import Tasks

log = structlog.get_logger(__name__)

RECOVERY_WAIT_S = 30.0
"""How long a start waits for search indices to catch up; the rest goes on in the background."""
LOG_RETRY_S = 0.5
_DELETED = ".deleted"
_WRITE_BLOCKS = (
    ("index.blocks.read_only", 403, "FORBIDDEN/5/index read-only (api)"),
    ("index.blocks.write", 403, "FORBIDDEN/8/index write (api)"),
    (
        "index.blocks.read_only_allow_delete",
        429,
        "TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has read-only-allow-delete block",
    ),
)


class IndexService:
    """One open index. `metadata` and `mapping` follow the cluster state; its shards ask for them as they need them."""

    def __init__(self, metadata: IndexMetadata, cluster: ClusterService) -> None:
        self._cluster = cluster
        self.shards: list[Shard] = []
        self._take(metadata)
        self._make_mapper()

    def _take(self, metadata: IndexMetadata) -> None:
        self.metadata = metadata
        settings = metadata.typed_settings
        self.refresh_interval_s = settings.read(index_settings.REFRESH_INTERVAL)
        self.write_refusal = _write_refusal(metadata)
        given = settings.get("index.number_of_routing_shards")
        self._routing_shards = int(str(given)) if given else routing_num_shards(metadata.number_of_shards)

    def _make_mapper(self) -> None:
        metadata = self.metadata
        self.mapping = Mapping.from_metadata(metadata.mappings, metadata.slots, metadata.settings)
        self.mapper = DocumentMapper(self.mapping)

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def uuid(self) -> str:
        return self.metadata.uuid

    def shard_for(self, id: str, routing: str | None = None) -> Shard:
        if len(self.shards) == 1:
            return self.shards[0]
        return self.shards[shard_for(id if routing is None else routing, len(self.shards), self._routing_shards)]

    def update(self, metadata: IndexMetadata) -> None:
        """Takes a newer version of the metadata."""
        old = self.metadata
        self._take(metadata)
        if (old.mappings, old.slots) != (metadata.mappings, metadata.slots) or old.settings != metadata.settings:
            self._make_mapper()

    async def put_dynamic(self, updates: Sequence[dict[str, Any]]) -> None:
        """Commits new fields that documents brought; updates that came to the same meanwhile change nothing."""

        def change(state: ClusterState) -> ClusterState:
            index = state.indices.get(self.name)
            if index is None or index.uuid != self.uuid:
                raise IndexNotFoundError.of(self.name)
            changed = _with_fields(index, updates)
            return state if changed is index else state.with_index(changed)

        await self._cluster.update(f"dynamic mapping of [{self.name}]", change)


def _with_fields(index: IndexMetadata, updates: Sequence[dict[str, Any]]) -> IndexMetadata:
    mappings, slots = index.mappings, index.slots
    for update in updates:
        mappings, slots = Mapping.from_metadata(mappings, slots, index.settings).merge(update)
    if mappings == index.mappings and slots == index.slots:
        return index
    return msgspec.structs.replace(
        index, mappings=mappings, slots=slots, mapping_version=index.mapping_version + 1, version=index.version + 1
    )


def _write_refusal(metadata: IndexMetadata) -> HanseError | None:
    for key, status, text in _WRITE_BLOCKS:
        if metadata.settings.get(key) == "true":
            error = ClusterBlockError(f"index [{metadata.name}] blocked by: [{text}];")
            error.status = status
            return error
    if metadata.is_follower:
        return StatusError("a following engine does not accept operations without an assigned sequence number", 403)
    return None


def _progress_of(folder: Path) -> Progress:
    store = DocumentStore(folder / "documents.sqlite")
    try:
        return store.progress
    finally:
        store.close()


class Indices:
    """All indices of this node; follows the cluster state from `start` to `close`."""

    def __init__(
        self,
        cluster: ClusterService,
        data_path: Path,
        settings: Settings | None = None,
        engine: Engine | None = None,
    ) -> None:
        """`engine` gives each shard its log; without one the shard's own store is the log."""
        self._cluster = cluster
        self._engine = engine
        self._folder = data_path / "indices"
        self._settings = settings or Settings()
        self._tasks = Tasks()
        self._workers = Workers()
        self._services: dict[str, IndexService] = {}
        self._opening: dict[str, asyncio.Task[None]] = {}
        self._closing: dict[str, asyncio.Task[None]] = {}
        self._refusing: dict[str, frozenset[int]] = {}
        self._is_closing = False
        self._unsubscribe: Callable[[], None] | None = None

    async def start(self) -> None:
        """Opens every open index. One that can't be opened is reported and refuses requests; the others serve."""
        await self._workers.write(self._prepare_folder, frozenset(m.uuid for m in self._cluster.state.indices.values()))
        self._unsubscribe = self._cluster.subscribe(self._follow)
        self._follow(ClusterState("", ""), self._cluster.state)
        if self._opening:
            await asyncio.wait(self._opening.values(), timeout=RECOVERY_WAIT_S)

    def _prepare_folder(self, known: frozenset[str]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for folder in self._folder.iterdir():
            if folder.name.endswith(_DELETED):
                shutil.rmtree(folder, ignore_errors=True)
            elif folder.name not in known:
                log.warning("folder belongs to no index of this cluster and is left alone", folder=str(folder))

    def get(self, name: str) -> IndexService:
        """The open index with this name. Raises IndexNotFoundError, IndexClosedError or, while it opens, a 503."""
        service = self._services.get(name)
        if service is not None:
            return service
        metadata = self._cluster.state.indices.get(name)
        if metadata is None:
            raise IndexNotFoundError.of(name)
        if not metadata.is_open:
            raise IndexClosedError("closed", index_uuid=metadata.uuid, index=name)
        raise ShardFailedError(f"index [{name}] is not open on this node yet", index_uuid=metadata.uuid, index=name)

    def __iter__(self) -> Iterator[IndexService]:
        return iter(tuple(self._services.values()))

    async def ready(self, name: str) -> None:
        """Returns when the index' shards are open; raises what kept them from it."""
        opening = self._opening.get(name)
        if opening is not None:
            await asyncio.shield(opening)

    def _follow(self, old: ClusterState, new: ClusterState) -> None:
        if old.indices is new.indices:
            return
        for name, metadata in old.indices.items():
            current = new.indices.get(name)
            if current is None or current.uuid != metadata.uuid:
                self._leave(metadata, keep=False)
            elif metadata.is_open and not current.is_open:
                self._leave(metadata, keep=True)
        for name, metadata in new.indices.items():
            before = old.indices.get(name)
            if before is metadata or not metadata.is_open:
                continue
            if before is None or before.uuid != metadata.uuid or not before.is_open:
                self._opening[name] = self._tasks.spawn(f"opening of [{name}]", self._open(metadata))
            elif (service := self._services.get(name)) is not None:
                service.update(metadata)

    async def _open(self, metadata: IndexMetadata) -> None:
        closing = self._closing.get(metadata.uuid)
        if closing is not None:
            await asyncio.wait((closing,))
        service = IndexService(metadata, self._cluster)
        try:
            for number in range(metadata.number_of_shards):
                service.shards.append(await self._workers.write(self._make_shard, service, number))
            await self._recover(service)
            current = self._cluster.state.indices.get(metadata.name)
            if current is None or current.uuid != metadata.uuid:
                raise IndexNotFoundError.of(metadata.name)
            service.update(current)
            self._services[metadata.name] = service
            self._refusing.pop(metadata.name, None)
        except IndexNotFoundError:
            await self._give_up(service)
        except BaseException as error:
            log.error("index could not be opened", index=metadata.name, error=str(error))
            await self._give_up(service)
            raise
        finally:
            if self._opening.get(metadata.name) is asyncio.current_task():
                del self._opening[metadata.name]

    async def _recover(self, service: IndexService) -> None:
        """All shards, or the index does not open; those that contradict their log are remembered as refusing."""
        outcomes = await asyncio.gather(*(self._recovered(shard) for shard in service.shards), return_exceptions=True)
        damaged = [shard.number for shard in service.shards if shard.failure is not None]
        if damaged:
            self._refusing[service.name] = frozenset(damaged)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _recovered(self, shard: Shard) -> None:
        """A log that does not answer now (its servers elect a leader) is asked again for as long as it takes."""
        while True:
            try:
                return await shard.recover()
            except UnavailableShardsError as error:
                if self._is_closing:
                    raise
                log.warning("shard waits for its log", shard=str(shard), why=error.reason)
            await asyncio.sleep(LOG_RETRY_S)

    def refusing_shards(self) -> dict[str, frozenset[int]]:
        """Shards whose copy contradicts its log and serves nothing, by index."""
        found = {name: numbers for name, numbers in self._refusing.items() if name in self._cluster.state.indices}
        if self._engine is None:
            return found
        for service in self._services.values():
            numbers = frozenset(shard.number for shard in service.shards if shard.failure is not None)
            if numbers:
                found[service.name] = numbers
        return found

    async def begin_log_anew(self, name: str, number: int) -> None:
        """Makes a shard's log begin behind what its copy here holds, and opens the index again. Only when told to."""
        metadata = self._cluster.state.index(name)
        service = self._services.pop(name, None)
        if service is not None:
            await asyncio.gather(*(shard.close() for shard in service.shards), return_exceptions=True)
        folder = self._folder / metadata.uuid / str(number)
        progress = await self._workers.write(_progress_of, folder)
        commit_log = None if self._engine is None else self._engine.commit_log(metadata.uuid, number)
        if commit_log is not None:
            log.warning("log of a shard begins anew from this copy", shard=f"[{name}][{number}]", at=progress.position)
            await commit_log.rebuild(progress.position, progress.chain)
        self._opening[name] = opening = self._tasks.spawn(f"opening of [{name}]", self._open(metadata))
        await asyncio.wait((opening,))

    async def _give_up(self, service: IndexService) -> None:
        await asyncio.gather(*(shard.close(keep=False) for shard in service.shards), return_exceptions=True)

    def _make_shard(self, service: IndexService, number: int) -> Shard:
        folder = self._folder / service.uuid / str(number)
        try:
            commit_log = None if self._engine is None else self._engine.commit_log(service.uuid, number)
            return Shard(service, number, folder, self._workers, self._tasks, commit_log)
        except OSError as error:
            raise ShardFailedError(f"shard folder [{folder}] failed: {error}") from error

    def _leave(self, metadata: IndexMetadata, *, keep: bool) -> None:
        service = self._services.get(metadata.name)
        if service is not None and service.uuid == metadata.uuid:
            del self._services[metadata.name]
        else:
            service = None
        opening = self._opening.pop(metadata.name, None)
        before = self._closing.get(metadata.uuid)
        task = self._tasks.spawn(
            f"closing of [{metadata.name}]", self._close_index(metadata, service, opening, before, keep)
        )
        self._closing[metadata.uuid] = task

    async def _close_index(
        self,
        metadata: IndexMetadata,
        service: IndexService | None,
        opening: asyncio.Task[None] | None,
        before: asyncio.Task[None] | None,
        keep: bool,
    ) -> None:
        for task in (opening, before):
            if task is not None:
                await asyncio.wait((task,))
        if service is None:
            late = self._services.get(metadata.name)
            if late is not None and late.uuid == metadata.uuid:
                service = self._services.pop(metadata.name)
        try:
            if service is not None:
                await asyncio.gather(*(shard.close(keep=keep) for shard in service.shards), return_exceptions=True)
            if not keep:
                await self._workers.write(self._remove, metadata.uuid)
                if self._engine is not None:
                    await self._engine.forget(metadata.uuid, metadata.number_of_shards)
        finally:
            if self._closing.get(metadata.uuid) is asyncio.current_task():
                del self._closing[metadata.uuid]

    def _remove(self, uuid: str) -> None:
        folder = self._folder / uuid
        if folder.exists():
            shutil.rmtree(folder.rename(folder.with_name(uuid + _DELETED)), ignore_errors=True)

    async def close(self) -> None:
        """Commits and closes everything; writes that were accepted are finished first."""
        self._is_closing = True
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        pending = [*self._opening.values(), *self._closing.values()]
        if pending:
            await asyncio.wait(pending)
        shards = [shard for service in self._services.values() for shard in service.shards]
        self._services.clear()
        for failure in await asyncio.gather(*(shard.close() for shard in shards), return_exceptions=True):
            if isinstance(failure, BaseException):
                log.error("shard could not be closed in order", error=str(failure))
        await self._tasks.close()
        self._workers.close()
