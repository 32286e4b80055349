"""This node's own copy of the cluster state, beside the bucket: how a bucket that lost its end is noticed.

A bucket can come back empty or older than it was: its files were damaged, somebody deleted it, or a nats-server that
stood alone was given routes (as a server of a cluster it does not see the streams it had alone). Taking that for a new
cluster would orphan every index. So every state that was committed or seen is kept in a file too, and a bucket that is
behind it is refused, unless the operator says that the copy is to be put back.
Tests: tests/cluster/jetstream/test_state_copy.py.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import structlog

from hanse.cluster.jetstream.settings import RESTORE_STATE
from hanse.cluster.jetstream.state_store import JetStreamStateStore
from hanse.cluster.state import ClusterState
from hanse.cluster.store import Lease
from hanse.errors import SettingsError, ShardFailedError
from hanse.tls.pem_files import write_private

log = structlog.get_logger(__name__)


class CopiedStateStore:
    """A StateStore over another one, which it does not let fall behind the copy in `file`."""

    def __init__(self, store: JetStreamStateStore, file: Path, *, restore: bool) -> None:
        self._store = store
        self._file = file
        self._restore = restore
        self._kept_version = 0

    async def load(self) -> ClusterState | None:
        stored = await self._store.load()
        copy = await asyncio.to_thread(self._read)
        if copy is not None and (stored is None or stored.version < copy.version):
            if not self._restore:
                raise SettingsError(_behind(stored, copy, self._file))
            log.warning("cluster state is put back from this node's copy", version=copy.version, file=str(self._file))
            await self._store.commit(stored or ClusterState("", ""), copy)
            return copy
        if copy is not None and stored is not None and stored.cluster_uuid != copy.cluster_uuid:
            raise SettingsError(
                f"the bucket holds the state of cluster [{stored.cluster_uuid}], but this node's data folder belongs "
                f"to [{copy.cluster_uuid}]"
            )
        if stored is not None:
            await self._keep(stored)
        return stored

    async def commit(self, old: ClusterState, new: ClusterState) -> None:
        await self._store.commit(old, new)
        await self._keep(new)

    async def watch(self) -> AsyncIterator[ClusterState]:
        async for state in self._store.watch():
            await self._keep(state)
            yield state

    async def _keep(self, state: ClusterState) -> None:
        if state.version <= self._kept_version:
            return
        self._kept_version = state.version
        try:
            await asyncio.to_thread(self._write, msgspec.msgpack.encode(state))
        except OSError as error:
            # The state itself is safe in the bucket; only this guard is weaker until the next change.
            log.error("copy of the cluster state could not be written", file=str(self._file), error=str(error))

    def _write(self, content: bytes) -> None:
        write_private(self._file, content)
        folder = os.open(self._file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _read(self) -> ClusterState | None:
        try:
            return msgspec.msgpack.decode(self._file.read_bytes(), type=ClusterState)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise ShardFailedError(
                f"the copy of the cluster state in [{self._file}] cannot be read: {error}"
            ) from error

    async def acquire(self, name: str, holder: str, ttl_s: float) -> Lease:
        return await self._store.acquire(name, holder, ttl_s)

    async def renew(self, lease: Lease, ttl_s: float) -> Lease:
        return await self._store.renew(lease, ttl_s)

    async def release(self, lease: Lease) -> None:
        await self._store.release(lease)

    async def close(self) -> None:
        await self._store.close()


def _behind(stored: ClusterState | None, copy: ClusterState, file: Path) -> str:
    found = "no cluster state" if stored is None else f"cluster state version [{stored.version}]"
    return (
        f"JetStream holds {found}, but this node knows version [{copy.version}] (its copy is [{file}]): the bucket "
        f"lost its end or is another one. Bring the nats-servers back that had it; or, if they are gone for good, "
        f"start once with [{RESTORE_STATE.key}: true] to put this node's copy back"
    )
