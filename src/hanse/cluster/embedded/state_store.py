"""The embedded StateStore: one row in one SQLite file.

The state is written as MessagePack in one transaction that also checks the stored version, so two processes on the
same file cannot both win. The file is readable by its owner alone: it holds password hashes. A node is alone with its
file (node_lock.py), so there is nobody to watch and leases end with the process; only their tokens are kept.
Tests: tests/contracts/test_state_store.py, tests/cluster/embedded/test_state_store.py.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import apsw
import msgspec

from hanse.cluster.state import ClusterState
from hanse.cluster.store import Lease
from hanse.errors import FencedError, ShardFailedError

BUSY_MS = 10_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS state(
  one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL, content BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS leases(name TEXT PRIMARY KEY, token INTEGER NOT NULL) STRICT
"""


class SqliteStateStore:
    """Keeps one cluster's state in the file `path`, which is made with its folder when missing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._guard = threading.Lock()
        self._held: dict[str, Lease] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            if not path.exists():
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._connection = apsw.Connection(str(path))
            self._connection.set_busy_timeout(BUSY_MS)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute(_SCHEMA)
        except apsw.Error as error:
            raise _failed(path, error) from error

    async def load(self) -> ClusterState | None:
        return await asyncio.to_thread(self._load)

    def _load(self) -> ClusterState | None:
        try:
            with self._guard:
                row = self._connection.execute("SELECT content FROM state").fetchone()
            return None if row is None else msgspec.msgpack.decode(row[0], type=ClusterState)
        except (apsw.Error, msgspec.DecodeError) as error:
            raise _failed(self._path, error) from error

    async def commit(self, old: ClusterState, new: ClusterState) -> None:
        # Shielded: a caller that goes away must not make a commit's outcome unknown to those who come after.
        await asyncio.shield(asyncio.to_thread(self._commit, old.version, new))

    def _commit(self, expected: int, new: ClusterState) -> None:
        content = msgspec.msgpack.encode(new)
        try:
            with self._guard:
                self._compare_and_set(expected, new.version, content)
        except apsw.Error as error:
            raise _failed(self._path, error) from error

    def _compare_and_set(self, expected: int, version: int, content: bytes) -> None:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            row = execute("SELECT version FROM state").fetchone()
            stored = 0 if row is None else row[0]
            if stored != expected:
                raise FencedError(f"expected cluster state version [{expected}] but [{stored}] is stored")
            execute("INSERT OR REPLACE INTO state VALUES(1, ?, ?)", (version, content))
            execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                execute("ROLLBACK")

    async def watch(self) -> AsyncIterator[ClusterState]:
        """Nobody else commits to this file."""
        return
        yield

    async def acquire(self, name: str, holder: str, ttl_s: float) -> Lease:
        now = time.monotonic()
        held = self._held.get(name)
        if held is not None and held.valid_until_s > now:
            raise FencedError(f"the lease [{name}] is held by [{held.holder}]")
        token = await asyncio.to_thread(self._next_token, name)
        self._held[name] = lease = Lease(name, holder, token, token, now + ttl_s)
        return lease

    async def renew(self, lease: Lease, ttl_s: float) -> Lease:
        now = time.monotonic()
        held = self._held.get(lease.name)
        if held is None or held.token != lease.token or held.valid_until_s <= now:
            raise FencedError(f"the lease [{lease.name}] ran out and was lost")
        self._held[lease.name] = renewed = lease._replace(valid_until_s=now + ttl_s)
        return renewed

    async def release(self, lease: Lease) -> None:
        held = self._held.get(lease.name)
        if held is not None and held.token == lease.token:
            del self._held[lease.name]

    def _next_token(self, name: str) -> int:
        query = "INSERT INTO leases VALUES(?, 1) ON CONFLICT(name) DO UPDATE SET token = token + 1 RETURNING token"
        try:
            with self._guard:
                token: Any = self._connection.execute(query, (name,)).fetchall()[0][0]
                return int(token)
        except apsw.Error as error:
            raise _failed(self._path, error) from error

    async def close(self) -> None:
        with self._guard:
            self._connection.close()


def _failed(path: Path, error: Exception) -> ShardFailedError:
    return ShardFailedError(f"cluster state store [{path}] failed: {error}")
