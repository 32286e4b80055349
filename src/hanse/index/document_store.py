"""The document store: one SQLite file per shard, and the truth (design, decision 2).

`ops` holds every operation that is still needed by its seq_no, `heads` the newest operation of each id, `superseded`
which operations are no longer heads and since when. One connection writes, in one thread at a time (the shard's writer
sees to that); others read. A method that writes is one transaction and durable when it returns.
This is, with cluster/embedded, the only file that knows apsw: it ships SQLite without the WAL-reset bug of Python's.
Tests: tests/index/test_document_store.py.
"""

from __future__ import annotations

import os
import secrets
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import apsw
import msgspec

from hanse.cluster.log import Batch, Logged, Operation
from hanse.errors import FencedError, ShardFailedError
from hanse.index.changes import BEFORE_ALL
from hanse.index.records import Head, Progress, StoredDocument

P = ParamSpec("P")
R = TypeVar("R")

BUSY_MS = 10_000
IDLE_READERS_MAX = 2
PURGE_ROWS_MAX = 5_000
_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE ops(
  seq_no INTEGER PRIMARY KEY, id TEXT NOT NULL, version INTEGER NOT NULL, primary_term INTEGER NOT NULL,
  deleted INTEGER NOT NULL, routing TEXT, source BLOB NOT NULL);
CREATE TABLE heads(
  id TEXT PRIMARY KEY, seq_no INTEGER NOT NULL, version INTEGER NOT NULL, primary_term INTEGER NOT NULL,
  deleted INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX tombstones ON heads(seq_no) WHERE deleted = 1;
CREATE TABLE superseded(seq_no INTEGER PRIMARY KEY, by_seq_no INTEGER NOT NULL);
CREATE TABLE batches(
  position INTEGER PRIMARY KEY, primary_term INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL);
CREATE TABLE meta(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""
_OPERATION = "seq_no, primary_term, id, version, deleted, routing, source"
_DOCUMENT = "o.id, o.seq_no, o.primary_term, o.version, o.routing, o.source"


def _translated(method: Callable[P, R]) -> Callable[P, R]:
    """SQLite's errors in our family; the store's own state is unchanged when one is raised."""

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except apsw.Error as error:
            store = cast(DocumentStore, args[0])
            raise ShardFailedError(f"document store [{store.path}] failed: {error}") from error

    return call


class DocumentStore:
    """One shard's documents. `apply`, `append`, `purge`, `put_meta`, `checkpoint_wal` write; the others read.

    Writing methods must not run at the same time as one another; reading ones may run in any thread at any time.
    """

    path: Path
    history_uuid: str
    progress: Progress

    def __init__(self, path: Path) -> None:
        self.path = path
        self.progress = Progress()
        self._readers: deque[apsw.Connection] = deque()
        self._closed = False
        self._wal_pages = 0
        self._batch_scan = 0
        self._open()

    @_translated
    def _open(self) -> None:
        is_new = not self.path.exists()
        if is_new:
            _make_file(self.path)
        self._writer = apsw.Connection(str(self.path))
        self._writer.set_busy_timeout(BUSY_MS)
        for pragma in ("page_size = 8192", "journal_mode = WAL", "synchronous = FULL", "cache_size = -8000"):
            self._writer.execute(f"PRAGMA {pragma}")
        # Checkpoints are the shard's business: inside a commit one could hold the event loop.
        self._writer.execute("PRAGMA wal_autocheckpoint = 0")
        self._writer.set_wal_hook(self._wal_grew)
        version = self._writer.pragma("user_version")
        if version == 0:
            self._create()
        elif version != _SCHEMA_VERSION:
            raise ShardFailedError(f"document store [{self.path}] has format [{version}], expected [{_SCHEMA_VERSION}]")
        self.progress = msgspec.msgpack.decode(self.get_meta("progress") or b"", type=Progress)
        self.history_uuid = (self.get_meta("history_uuid") or b"").decode()

    def _create(self) -> None:
        with self._transaction():
            self._writer.execute(_SCHEMA)
            self._put("progress", msgspec.msgpack.encode(self.progress))
            self._put("history_uuid", secrets.token_urlsafe(16).encode())
            self._writer.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")

    def _wal_grew(self, connection: apsw.Connection, name: str, pages: int) -> int:
        self._wal_pages = pages
        return 0

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._writer.execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise

    @contextmanager
    def _reader(self) -> Iterator[apsw.Connection]:
        """A connection nobody else uses meanwhile: SQLite's own locking would only queue threads behind one another."""
        try:
            connection = self._readers.pop()
        except IndexError:
            if self._closed:
                raise ShardFailedError(f"document store [{self.path}] is closed") from None
            connection = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READONLY)
            connection.set_busy_timeout(BUSY_MS)
        try:
            yield connection
        finally:
            if self._closed or len(self._readers) >= IDLE_READERS_MAX:
                connection.close()
            else:
                self._readers.append(connection)

    @_translated
    def close(self) -> None:
        self._closed = True
        while self._readers:
            self._readers.pop().close()
        self._writer.close()

    # -- reading

    @_translated
    def get(self, id: str) -> StoredDocument | None:
        with self._reader() as reader:
            row = reader.execute(
                f"SELECT {_DOCUMENT} FROM heads h JOIN ops o ON o.seq_no = h.seq_no WHERE h.id = ? AND h.deleted = 0",  # noqa: S608
                (id,),
            ).fetchone()
        return None if row is None else StoredDocument(*row)

    @_translated
    def fetch(self, seq_nos: Sequence[int]) -> list[StoredDocument]:
        """The documents with these seq_nos, in this order; a reader's pin keeps them there."""
        with self._reader() as reader:
            rows = reader.execute(
                f"SELECT {_DOCUMENT} FROM ops o WHERE o.seq_no IN carray(?)",  # noqa: S608
                (_integers(seq_nos),),
            ).fetchall()
        found: dict[int, Any] = {cast(int, row[1]): row for row in rows}
        try:
            return [StoredDocument(*found[seq_no]) for seq_no in seq_nos]
        except KeyError as error:
            raise ShardFailedError(f"document store [{self.path}] has no operation [{error}] any more") from error

    @_translated
    def heads(self, ids: Iterable[str]) -> dict[str, Head]:
        """The newest operations of those ids that have one, read by the writer."""
        wanted = tuple(ids)
        if not wanted:
            return {}
        columns = "SELECT id, seq_no, version, primary_term, deleted FROM heads WHERE id"
        # carray hands C strings over, which end at a NUL.
        if len(wanted) == 1 or any("\0" in id for id in wanted):
            rows = [row for id in wanted for row in self._writer.execute(f"{columns} = ?", (id,))]
        else:
            rows = self._writer.execute(f"{columns} IN carray(?)", (apsw.carray(wanted),)).fetchall()
        return {row[0]: Head(row[1], row[2], row[3], bool(row[4])) for row in rows}

    @_translated
    def operations(self, after: int, through: int, ops_max: int, bytes_max: int) -> tuple[list[Operation], bool]:
        """Heads with after < seq_no <= through, ascending, and whether a limit cut them short (at least one comes)."""
        found: list[Operation] = []
        size = 0
        with self._reader() as reader:
            rows = reader.execute(
                f"SELECT {_OPERATION} FROM ops WHERE seq_no > ? AND seq_no <= ? AND NOT EXISTS "  # noqa: S608
                "(SELECT 1 FROM superseded s WHERE s.seq_no = ops.seq_no) ORDER BY seq_no LIMIT ?",
                (after, through, ops_max),
            )
            for row in rows:
                found.append(_operation(row))
                size += len(row[6])
                if size >= bytes_max:
                    return found, True
        return found, len(found) >= ops_max

    def get_meta(self, key: str) -> bytes | None:
        row = self._writer.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def size_bytes(self) -> int:
        size = 0
        for part in self.path.parent.glob(self.path.name + "*"):
            with suppress(OSError):  # the write-ahead log may go meanwhile
                size += part.stat().st_size
        return size

    # -- writing

    @_translated
    def apply(
        self,
        operations: Sequence[Operation],
        *,
        known: Mapping[str, Head] | None = None,
        up_to: int | None = None,
        logged: Logged | None = None,
    ) -> list[Operation]:
        """Takes over operations that carry a leader's numbers, newest seq_no per id; returns those that were new.

        `up_to` is the feed's checkpoint and becomes durable with them. Doing it twice changes nothing. `logged`: they
        came through a log, which this copy has then followed so far.
        """
        now = self.progress
        fresh = [op for op in operations if op.seq_no > now.checkpoint]
        heads = self.heads({op.id for op in fresh}) if known is None else known
        progress = msgspec.structs.replace(now, checkpoint=max(now.checkpoint, BEFORE_ALL if up_to is None else up_to))
        if logged is not None:
            progress = msgspec.structs.replace(
                progress, position=logged.position, chain=logged.chain, primary_term=logged.primary_term
            )
        return self._write(fresh, heads, progress)

    @_translated
    def append(
        self,
        batch: Batch,
        expected_last: int,
        known: Mapping[str, Head] | None = None,
        logged: Logged | None = None,
    ) -> int:
        """The commit log's append: the next batch of this shard's own primary. Raises FencedError, changing nothing.

        `logged`: the batch lies in a log outside of the store already, which gave it its position.
        """
        now = self.progress
        if expected_last != now.position:
            raise FencedError(f"expected last position [{expected_last}] but the log is at [{now.position}]")
        if batch.primary_term < now.primary_term:
            raise FencedError(f"primary term [{batch.primary_term}] is older than [{now.primary_term}]")
        operations = batch.operations
        first, last = operations[0].seq_no, operations[-1].seq_no
        if first <= now.max_seq_no:
            raise FencedError(f"seq_no [{first}] was given before, the highest is [{now.max_seq_no}]")
        position, chain = (now.position + 1, b"") if logged is None else (logged.position, logged.chain)
        progress = msgspec.structs.replace(
            now, checkpoint=last, primary_term=batch.primary_term, position=position, chain=chain
        )
        heads = self.heads({op.id for op in operations}) if known is None else known
        self._write(operations, heads, progress, (position, batch.primary_term, first, last))
        return position

    def _write(
        self,
        operations: Sequence[Operation],
        heads: Mapping[str, Head],
        progress: Progress,
        batch: tuple[int, int, int, int] | None = None,
    ) -> list[Operation]:
        newest: dict[str, Operation] = {}
        taken: list[Operation] = []
        superseded: list[tuple[int, int]] = []
        for op in operations:
            head = newest.get(op.id) or heads.get(op.id)
            if head is not None:
                if head.seq_no >= op.seq_no:
                    continue
                superseded.append((head.seq_no, op.seq_no))
            newest[op.id] = op
            taken.append(op)
        added = [op for op in newest.values() if op.id not in heads]
        changed = [op for op in newest.values() if op.id in heads]
        live = sum(not op.deleted for op in newest.values()) - sum(not heads[op.id].deleted for op in changed)
        progress = msgspec.structs.replace(
            progress,
            max_seq_no=max(progress.max_seq_no, progress.checkpoint, *(op.seq_no for op in taken), BEFORE_ALL),
            live=progress.live + live,
            tombstones=progress.tombstones + len(added) - live,
        )
        with self._transaction():
            execute_many = self._writer.executemany
            execute_many(
                "INSERT INTO ops VALUES(?, ?, ?, ?, ?, ?, ?)",
                [(o.seq_no, o.id, o.version, o.primary_term, o.deleted, o.routing, o.source) for o in taken],
            )
            execute_many(
                "INSERT INTO heads VALUES(?, ?, ?, ?, ?)",
                [(o.id, o.seq_no, o.version, o.primary_term, o.deleted) for o in added],
            )
            if changed:
                execute_many(
                    "UPDATE heads SET seq_no = ?, version = ?, primary_term = ?, deleted = ? WHERE id = ?",
                    [(o.seq_no, o.version, o.primary_term, o.deleted, o.id) for o in changed],
                )
            if superseded:
                execute_many("INSERT INTO superseded VALUES(?, ?)", superseded)
            if batch is not None:
                self._writer.execute("INSERT INTO batches VALUES(?, ?, ?, ?)", batch)
            self._put("progress", msgspec.msgpack.encode(progress))
        self.progress = progress
        return taken

    @_translated
    def adopt_history(self, history_uuid: str) -> None:
        """This copy holds the history of another one from now on."""
        self.put_meta("history_uuid", history_uuid.encode())
        self.history_uuid = history_uuid

    @_translated
    def put_meta(self, key: str, value: bytes) -> None:
        with self._transaction():
            self._put(key, value)

    def _put(self, key: str, value: bytes) -> None:
        self._writer.execute("INSERT OR REPLACE INTO meta VALUES(?, ?)", (key, value))

    # -- tidying

    @_translated
    def purge(self, superseded_through: int, tombstones_through: int) -> bool:
        """Drops a bounded number of rows nobody can see; True when there may be more.

        Goes: operations whose successor has a seq_no <= `superseded_through`, tombstones <= `tombstones_through`.
        """
        gone = self._seq_nos("SELECT seq_no FROM superseded WHERE by_seq_no <= ? LIMIT ?", superseded_through)
        dead = self._seq_nos(
            "SELECT seq_no FROM heads INDEXED BY tombstones WHERE deleted = 1 AND seq_no <= ? ORDER BY seq_no LIMIT ?",
            tombstones_through,
        )
        if gone or dead:
            self._drop(gone, dead)
        return len(gone) >= PURGE_ROWS_MAX or len(dead) >= PURGE_ROWS_MAX

    def _seq_nos(self, query: str, through: int) -> list[int]:
        return [row[0] for row in self._writer.execute(query, (through, PURGE_ROWS_MAX))]

    def _drop(self, gone: list[int], dead: list[int]) -> None:
        progress = self.progress
        if dead:
            progress = msgspec.structs.replace(
                progress, tombstones=progress.tombstones - len(dead), tombstone_floor=dead[-1]
            )
        with self._transaction():
            execute = self._writer.execute
            execute("DELETE FROM superseded WHERE seq_no IN carray(?)", (_integers(gone),))
            execute(
                "DELETE FROM heads WHERE id IN (SELECT id FROM ops WHERE seq_no IN carray(?))",
                (_integers(dead),),
            )
            execute("DELETE FROM ops WHERE seq_no IN carray(?)", (_integers(gone + dead),))
            self._prune_batches()
            self._put("progress", msgspec.msgpack.encode(progress))
        self.progress = progress

    def _prune_batches(self) -> None:
        """Forgets batches of which no operation is left, a stretch of the table at a time."""
        stretch = self._seq_nos("SELECT position FROM batches WHERE position > ? LIMIT ?", self._batch_scan)
        if not stretch:
            self._batch_scan = 0
            return
        self._batch_scan = stretch[-1]
        self._writer.execute(
            "DELETE FROM batches WHERE position BETWEEN ? AND ? AND position < ? AND NOT EXISTS "
            "(SELECT 1 FROM ops WHERE seq_no BETWEEN first AND last)",
            (stretch[0], stretch[-1], self.progress.position),
        )

    @property
    def wal_pages(self) -> int:
        """Pages in the write-ahead log; the shard moves them into the file when there are many."""
        return self._wal_pages

    @_translated
    def checkpoint_wal(self) -> None:
        self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        self._wal_pages = 0

    @_translated
    def rest(self) -> None:
        """Nothing is written for a while: empties the write-ahead log and gives cached pages back."""
        self.checkpoint_wal()
        self._writer.execute("PRAGMA shrink_memory")

    # -- the commit log's view

    @property
    def log_position(self) -> int:
        return self.progress.position

    @_translated
    def batches(self, after: int, limit: int) -> list[tuple[int, Batch]]:
        """What is left of the batches after a position: superseded operations may have been purged from them."""
        with self._reader() as reader:
            rows: list[Any] = reader.execute(
                "SELECT position, primary_term, first, last FROM batches WHERE position > ? ORDER BY position LIMIT ?",
                (after, limit),
            ).fetchall()
            return [(row[0], Batch(row[1], self._operations_of(reader, row[2], row[3]))) for row in rows]

    @staticmethod
    def _operations_of(reader: apsw.Connection, first: int, last: int) -> list[Operation]:
        query = f"SELECT {_OPERATION} FROM ops WHERE seq_no BETWEEN ? AND ? ORDER BY seq_no"  # noqa: S608
        return [_operation(row) for row in reader.execute(query, (first, last))]


def _make_file(path: Path) -> None:
    """An empty file that is still there after a power cut, for its owner alone."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    for folder in (path.parent, path.parent.parent, path.parent.parent.parent):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _integers(values: Sequence[int]) -> Any:
    # An empty array's address is not aligned, which apsw refuses; no operation has the number -1.
    return apsw.carray(array("q", values or (BEFORE_ALL,)))


def _operation(row: tuple[Any, ...]) -> Operation:
    return Operation(row[0], row[1], row[2], row[3], bool(row[4]), row[5], row[6])
