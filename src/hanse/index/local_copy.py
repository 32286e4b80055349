"""The copy of a shard that this node was given: opened, filled, reported, kept level, closed.

A primary attaches to its log and takes over. A replica that stands in the log reads it on; one that does not (it is
new, was away for longer than the log is kept, or contradicts the log) takes the documents from the primary's feed
first, and then what the log holds behind the place at which the primary stood. A copy that had something before is put
aside until its successor is whole: nothing of it is lost to a log that is damaged.
Tests: tests/index/test_local_copy.py.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from hanse.cluster.engine import Engine
from hanse.cluster.log import Logged
from hanse.cluster.routing import ShardCopy, ShardRouting
from hanse.errors import (
    ConnectTransportError,
    HanseError,
    LogDamagedError,
    RetryOnPrimaryError,
    ShardFailedError,
    UnavailableShardsError,
)
from hanse.index.changes import BEFORE_ALL
from hanse.index.copy_requests import READ_COPY, SEND_BATCHES, CopyAt, CopyPage, ReadCopy, SendBatches
from hanse.index.group_commit import Owner
from hanse.index.recovery import Recovery
from hanse.index.replicas import Replicas
from hanse.index.shard import Shard
from hanse.index.workers import Workers
from hanse.tasks import Tasks
from hanse.transport.actions import Action

log = structlog.get_logger(__name__)

RETRY_S = 0.2
READ_TIMEOUT_S = 60.0
SEND_TIMEOUT_S = 10.0
_PUT_ASIDE = ".aside"


Ask = Callable[[str, Action[Any, Any], Any, float], Awaitable[Any]]
"""Node, action, request and time-out in seconds."""


class Surroundings(NamedTuple):
    """What every copy needs of its node. `ask` runs an action on another node."""

    own_id: Callable[[], str]
    engine: Engine | None
    workers: Workers
    tasks: Tasks
    ask: Ask


class LocalCopy:
    """One assignment of a shard to this node. `opening` ends when the copy serves, or with what keeps it from it."""

    def __init__(
        self,
        owner: Owner,
        number: int,
        assigned: ShardCopy,
        folder: Path,
        around: Surroundings,
        before: Awaitable[None],
        failed: Callable[[str], None],
    ) -> None:
        """`before` ends when whatever used the folder earlier is closed; `failed` is told why it does not serve."""
        self._failed = failed
        self._owner = owner
        self._folder = folder
        self._around = around
        self.number = number
        self.assigned = assigned
        self.shard: Shard | None = None
        self.recovery = Recovery()
        self._had_files = False
        self._has_begun_log = False
        self.opening = around.tasks.spawn(f"opening of {self}", self._open(before))
        self._replicas: Replicas | None = None
        self._leading: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None

    def __str__(self) -> str:
        return f"[{self._owner.metadata.name}][{self.number}]"

    @property
    def is_serving(self) -> bool:
        return self.opening.done() and not self.opening.cancelled() and self.opening.exception() is None

    @property
    def failure(self) -> HanseError | None:
        """Why the copy serves nothing; None while it does or is on its way."""
        return None if self.shard is None else self.shard.failure

    # -- opening

    async def _open(self, before: Awaitable[None]) -> None:
        await before
        try:
            await self._open_files()
        except (HanseError, OSError) as error:
            self._failed(str(error))
            raise
        assert self.shard is not None
        self.shard.when_failed(lambda error: self._failed(error.reason))

    async def _open_files(self) -> None:
        if self.assigned.begins_empty:
            await self._around.workers.write(self._empty)
        self._had_files = await self._around.workers.write(self._folder.exists)
        self.shard = await self._around.workers.write(self._make_shard)
        await self._settle_aside()
        while True:
            try:
                if self.assigned.is_primary:
                    await self._open_primary(self.shard)
                else:
                    await self._open_replica()
                self.recovery.done()
                return
            except (UnavailableShardsError, ConnectTransportError, RetryOnPrimaryError) as error:
                # Servers that elect a leader, a primary that is only just taking over: asked for as long as it takes.
                log.warning("copy waits", shard=str(self), why=error.reason)
            await asyncio.sleep(RETRY_S)

    def _make_shard(self) -> Shard:
        around, metadata = self._around, self._owner.metadata
        commit_log = None if around.engine is None else around.engine.commit_log(metadata.uuid, self.number)
        try:
            return Shard(self._owner, self.number, self._folder, around.workers, around.tasks, commit_log)
        except OSError as error:
            raise ShardFailedError(f"shard folder [{self._folder}] failed: {error}") from error

    async def _open_primary(self, shard: Shard) -> None:
        if self.assigned.begins_log and not self._has_begun_log:
            await self._begin_log(shard)
            self._has_begun_log = True
        self.recovery.begins("EXISTING_STORE" if shard.logged.position > 0 or shard.max_seq_no >= 0 else "EMPTY_STORE")
        await self._replay(shard, is_new=self._may_begin(shard))
        term = self._owner.leads(self.number)
        if term is not None and shard.logged.primary_term > term:
            await self._owner.raise_term(self.number, shard.logged.primary_term)
        await shard.lead()

    def _may_begin(self, shard: Shard) -> bool:
        """Whether a log that is not there is no loss: nothing was ever written, by what the cluster knows or by what
        this copy, which was here before, holds."""
        was_empty = self._had_files and shard.max_seq_no < 0
        return was_empty or not self._owner.routing(self.number).in_sync

    async def _replay(self, shard: Shard, *, is_new: bool) -> None:
        """Reads the log on."""
        self.recovery.replays(shard.logged.position)
        await shard.recover(is_new=is_new)
        self.recovery.replayed(shard.logged.position)

    async def _begin_log(self, shard: Shard) -> None:
        """Makes the log begin anew behind what this copy holds, which is another history from here on. Only when an
        operator said so, and once: opening that is tried again later finds in the log what was appended since."""
        assert self._around.engine is not None
        commit_log = self._around.engine.commit_log(shard.index_uuid, self.number)
        if commit_log is not None:
            at = shard.logged
            log.warning("log of a shard begins anew from this copy", shard=str(self), at=at.position)
            await commit_log.rebuild(at.position, at.chain)
        await shard.adopt(secrets.token_hex(16), None)

    async def _open_replica(self) -> None:
        assert self.shard is not None
        primary = self._owner.routing(self.number).primary
        self.recovery.begins("PEER", None if primary is None else primary.node)
        try:
            if self.shard.logged.position > 0:
                await self._replay(self.shard, is_new=False)
                return
        except LogDamagedError as error:
            log.warning(
                "copy does not follow the log and is filled from the primary", shard=str(self), why=error.reason
            )
            await self._put_aside()
        await self._fill(self.shard)
        await self._replay(self.shard, is_new=False)
        await self._around.workers.write(shutil.rmtree, self._aside, ignore_errors=True)

    @property
    def _aside(self) -> Path:
        return aside_of(self._folder)

    async def _settle_aside(self) -> None:
        """Of a copy that was put aside and its successor one is whole: the successor as soon as it stands in the log,
        which it does with the last piece it was filled with. A primary begins with the whole one."""
        workers = self._around.workers
        if not await workers.write(self._aside.exists):
            return
        if self._current().logged.position > 0:
            await workers.write(shutil.rmtree, self._aside, ignore_errors=True)
        elif self.assigned.is_primary:
            await self._current().close(keep=False)
            await workers.write(self._take_whole)
            self.shard = await workers.write(self._make_shard)

    def _empty(self) -> None:
        """An operator had the shard begin with nothing, and accepted what is lost by it."""
        for folder in (self._folder, self._aside):
            shutil.rmtree(folder, ignore_errors=True)

    def _take_whole(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._aside.rename(self._folder)

    async def _put_aside(self) -> None:
        assert self.shard is not None
        await self.shard.close(keep=False)
        await self._around.workers.write(_move, self._folder, self._aside)
        self.shard = await self._around.workers.write(self._make_shard)

    async def _fill(self, shard: Shard) -> None:
        """Takes the primary's documents, page by page."""
        after, floor = shard.checkpoint, BEFORE_ALL
        while True:
            page = await self._read(ReadCopy(shard.index_uuid, self.number, after, floor))
            if page.lost or (after > BEFORE_ALL and page.history_uuid != shard.history_uuid):
                await self._put_aside()
                shard, after, floor = self._current(), BEFORE_ALL, BEFORE_ALL
                continue
            if after == BEFORE_ALL:
                floor = page.tombstone_floor
                await shard.adopt(page.history_uuid, page.leases)
            at = None if page.more else Logged(page.position, page.chain, page.primary_term)
            await shard.take_copied(page.operations, page.up_to, at, page.mapping_version)
            size_bytes = sum(len(operation.source) for operation in page.operations)
            self.recovery.took(len(page.operations), size_bytes, page.up_to, page.through)
            after = page.up_to
            if not page.more:
                return

    def _current(self) -> Shard:
        assert self.shard is not None
        return self.shard

    async def _read(self, request: ReadCopy) -> CopyPage:
        primary = self._owner.routing(self.number).active_primary
        if primary is None or primary.node == self._around.own_id():
            raise RetryOnPrimaryError(f"{self} has no primary on another node to be filled from")
        page: CopyPage = await self._around.ask(primary.node, READ_COPY, request, READ_TIMEOUT_S)
        return page

    # -- following the routing

    def follow(self, assigned: ShardCopy, routing: ShardRouting) -> None:
        """Takes over what the cluster state says of this assignment and of the other copies."""
        was_primary, self.assigned = self.assigned.is_primary, assigned
        if assigned.is_primary and not was_primary:
            self._leading = self._around.tasks.spawn(f"take over as primary of {self}", self._lead())
        if assigned.is_primary and self.is_serving:
            self._keep_level(routing)
        elif not assigned.is_primary and self._replicas is not None:
            self._replicas.close()
            self._replicas = None

    async def _lead(self) -> None:
        await asyncio.wait((self.opening,))
        while self.assigned.is_primary and self._closing is None and self.shard is not None:
            try:
                await self.shard.lead()
                return
            except (UnavailableShardsError, RetryOnPrimaryError) as error:
                log.warning("copy cannot take over as primary yet", shard=str(self), why=error.reason)
            except HanseError as error:
                log.error("copy cannot take over as primary", shard=str(self), why=error.reason)
                return
            await asyncio.sleep(RETRY_S)

    def _keep_level(self, routing: ShardRouting) -> None:
        assert self.shard is not None
        if not self.shard.has_log:
            return
        if self._replicas is None:
            self._replicas = Replicas(str(self), self.shard.index_uuid, self.number, self._send, self._around.tasks)
            self.shard.tell(self._replicas.sent)
        own_id = self._around.own_id()
        self._replicas.set_nodes({copy.node for copy in routing.copies if copy.node != own_id}, self.shard.logged)

    async def _send(self, node: str, request: SendBatches) -> CopyAt:
        answer: CopyAt = await self._around.ask(node, SEND_BATCHES, request, SEND_TIMEOUT_S)
        return answer

    # -- the end

    def close(self, *, keep: bool) -> asyncio.Task[None]:
        """Lets accepted writes finish and closes the files; without `keep` the folder is about to go."""
        if self._closing is None:
            self._closing = self._around.tasks.spawn(f"closing of {self}", self._close(keep=keep))
        return self._closing

    async def _close(self, *, keep: bool) -> None:
        for task in (self.opening, self._leading):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.wait((task,))
        if self._replicas is not None:
            self._replicas.close()
        if self.shard is not None:
            await self.shard.close(keep=keep and self.is_serving)


def aside_of(folder: Path) -> Path:
    """Where the copy in a folder lies while its successor is being filled."""
    return folder.with_name(folder.name + _PUT_ASIDE)


def _move(folder: Path, to: Path) -> None:
    """What was put aside before stays: it is the copy that once was whole."""
    if to.exists():
        shutil.rmtree(folder)
    else:
        folder.rename(to)
