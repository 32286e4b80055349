"""The search index: a tantivy index beside the document store, a view of it that can always be thrown away.

A `Generation` is one tantivy folder with one schema; when the pools of slots run dry or the files are damaged, the next
generation is filled from the store while the old one serves. Beside the folder a small file says which generation
counts and up to which seq_no its last commit goes. Everything here blocks and is called by one thread at a time
(search_feed.py sees to both). Tests: tests/index/test_search_index.py.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import structlog
import tantivy

from hanse.errors import ShardFailedError
from hanse.index.changes import BEFORE_ALL
from hanse.index.mapping import MappedDocument, Mapping
from hanse.index.slots import register_tokenizers, schema
from hanse.index.writing import IndexedOperation

log = structlog.get_logger(__name__)

WRITER_HEAP_BYTES = 32_000_000
WRITER_THREADS = 1
UNUSED_SLOTS_ANALYZER = "standard"
"""Slots without a field have it already, so a new text field with it needs nothing done."""
SCHEMA_FORMAT = 1
"""Rises when the pools of slots or the options of their fields change: older indices are then made anew."""
ID_FIELD = "_id"
SEQ_NO_FIELD = "_seq_no"
ROUTING_FIELD = "_routing"


class Standing(msgspec.Struct, frozen=True):
    """The side file: the generation that counts and what its last commit holds."""

    generation: int = 0
    pool_factor: int = 1
    through: int = BEFORE_ALL
    schema_format: int = SCHEMA_FORMAT


class Generation:
    """One tantivy index. What was fed counts for nothing before `commit`."""

    number: int
    pool_factor: int
    through: int
    schema: tantivy.Schema

    def __init__(self, folder: Path, standing: Standing, index: tantivy.Index) -> None:
        self.number = standing.generation
        self.pool_factor = standing.pool_factor
        self.through = standing.through
        self.schema = index.schema
        self.folder = folder
        self._index = index
        self._writer: tantivy.IndexWriter | None = None
        self._mapping: Mapping | None = None
        self._analyzers: dict[str, str] = {}
        self._is_dirty = False
        self._index.config_reader("manual")

    @property
    def has_writer(self) -> bool:
        return self._writer is not None

    def use(self, mapping: Mapping) -> None:
        """Registers the analyzers of the mapping's text slots, before anything mapped with it is fed.

        A segment that is being written keeps the analyzers it began with, so it is committed first.
        """
        if mapping is self._mapping:
            return
        analyzers = {
            field.slot: field.analyzer.name
            for _, field in mapping.fields()
            if field.slot and field.analyzer is not None and field.analyzer.name != UNUSED_SLOTS_ANALYZER
        }
        if self._mapping is None or analyzers != self._analyzers:
            if self._is_dirty:
                self._commit()
            register_tokenizers(self._index, mapping)
            self._analyzers = analyzers
        self._mapping = mapping

    def feed(self, operations: Iterable[IndexedOperation], always_replace: bool = False) -> None:
        """Adds and removes documents, the newest operation of an id last."""
        writer = self._open_writer()
        self._is_dirty = True
        remove, add, schema = writer.delete_documents_by_term, writer.add_document, self.schema
        try:
            for operation in operations:
                if always_replace or not operation.is_first:
                    remove(ID_FIELD, operation.id)
                if operation.document is not None:
                    add(_tantivy_document(operation, operation.document, schema))
        except (ValueError, OSError) as error:
            raise self._failed(error) from error

    def commit(self, through: int) -> None:
        """Makes durable what was fed, which is the store up to `through`."""
        self._commit()
        self.through = through

    def _commit(self) -> None:
        if self._writer is None:
            return
        try:
            self._writer.commit()
        except (ValueError, OSError) as error:
            raise self._failed(error) from error
        self._is_dirty = False

    def searcher(self) -> tantivy.Searcher:
        """A view of the last commit, which stays as it is."""
        try:
            self._index.reload()
            return self._index.searcher()
        except ValueError as error:
            raise self._failed(error) from error

    def _open_writer(self) -> tantivy.IndexWriter:
        if self._writer is None:
            try:
                self._writer = self._index.writer(WRITER_HEAP_BYTES, WRITER_THREADS)
            except ValueError as error:
                raise self._failed(error) from error
        return self._writer

    def finish_merges(self, through: int) -> None:
        """Returns when its segments are merged as far as they are to be: a commit is what sets merges going."""
        self._open_writer()
        self.commit(through)
        self.close_writer(finish_merges=True)

    def close_writer(self, *, finish_merges: bool = False) -> None:
        """Ends the writer's threads; what was not committed is gone."""
        writer, self._writer = self._writer, None
        self._is_dirty = False
        if writer is None:
            return
        if finish_merges:
            with suppress(ValueError):
                writer.wait_merging_threads()
        del writer
        give_memory_back()

    def _failed(self, error: Exception) -> ShardFailedError:
        self.close_writer()
        return ShardFailedError(f"search index [{self.folder}] failed: {error}")


class SearchIndex:
    """The generations of one shard. `standing` is read at once, the index itself opened when asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._side_file = folder / "search.json"
        self._opening = threading.Lock()
        self.current: Generation | None = None
        self.standing = self._read()

    def _read(self) -> Standing:
        try:
            standing = msgspec.json.decode(self._side_file.read_bytes(), type=Standing)
        except (OSError, msgspec.DecodeError):
            return Standing()
        return standing if standing.schema_format == SCHEMA_FORMAT else Standing(standing.generation)

    @property
    def is_made(self) -> bool:
        return self.standing.generation > 0 and self._path(self.standing.generation).is_dir()

    def _path(self, generation: int) -> Path:
        return self._folder / f"search-{generation}"

    def open(self) -> Generation:
        """The generation that counts. Raises ShardFailedError when there is none or it cannot be read.

        The first search opens it on the event loop, the first feed in a thread.
        """
        with self._opening:
            return self.current or self._open()

    def _open(self) -> Generation:
        path = self._path(self.standing.generation)
        try:
            self.current = Generation(path, self.standing, tantivy.Index.open(str(path)))
        except (ValueError, OSError) as error:
            raise ShardFailedError(f"search index [{path}] failed: {error}") from error
        return self.current

    def make(self, pool_factor: int) -> Generation:
        """A new empty generation; it counts once it is adopted."""
        number = max((self.standing.generation, *self._numbers())) + 1
        path = self._path(number)
        try:
            path.mkdir()
            index = tantivy.Index(schema(pool_factor), path=str(path), reuse=False)
        except (ValueError, OSError) as error:
            raise ShardFailedError(f"search index [{path}] failed: {error}") from error
        return Generation(path, Standing(number, pool_factor), index)

    def _numbers(self) -> list[int]:
        names = [path.name.removeprefix("search-") for path in self._folder.glob("search-*")]
        return [int(name) for name in names if name.isdigit()]

    def adopt(self, generation: Generation) -> None:
        """Lets a committed generation count. Folders of others go; searchers that still use one keep its files."""
        if generation is not self.current:
            if self.current is not None:
                self.current.close_writer()
            self.current = generation
        standing = Standing(generation.number, generation.pool_factor, generation.through)
        if standing != self.standing:
            self._write(standing)
        for number in self._numbers():
            if number != generation.number:
                shutil.rmtree(self._path(number), ignore_errors=True)

    def _write(self, standing: Standing) -> None:
        # Not synced: an older file after a crash means only that more is fed again.
        beside = self._side_file.with_suffix(".new")
        try:
            beside.write_bytes(msgspec.json.encode(standing))
            os.replace(beside, self._side_file)
        except OSError as error:
            raise ShardFailedError(f"search index [{self._folder}] failed: {error}") from error
        self.standing = standing

    def size_bytes(self) -> int:
        path = self._path(self.standing.generation)
        size = 0
        for part in path.glob("*"):
            with suppress(OSError):  # merged away meanwhile
                size += part.stat().st_size
        return size

    def close(self) -> None:
        if self.current is not None:
            self.current.close_writer()
            self.current = None


def _tantivy_document(
    operation: IndexedOperation, document: MappedDocument, schema: tantivy.Schema
) -> tantivy.Document:
    extra = {ID_FIELD: operation.id, SEQ_NO_FIELD: operation.seq_no}
    if operation.routing is not None:
        extra[ROUTING_FIELD] = operation.routing
    try:
        return document.document(schema, **extra)
    except (ValueError, OverflowError, TypeError) as error:
        # The document is acknowledged: found by its id alone is better than a shard that can't go on.
        log.error("document could not be indexed", id=operation.id, seq_no=operation.seq_no, error=str(error))
        return tantivy.Document.from_dict(extra, schema)


def newest_only(operations: Sequence[IndexedOperation]) -> list[IndexedOperation]:
    """Drops what a later operation on the same id makes pointless."""
    newest = {operation.id: operation for operation in operations}
    if len(newest) == len(operations):
        return list(operations)
    first = {operation.id: operation.is_first for operation in reversed(operations)}
    return [msgspec.structs.replace(operation, is_first=first[id]) for id, operation in newest.items()]


def give_memory_back() -> None:
    """A closed writer's arenas stay with the C library until it is told to return them (musl has no such call)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
