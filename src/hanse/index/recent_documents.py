"""Documents of the last hits, by seq_no: what a shard is asked for again soon need not be read again.

An operation never changes, so nothing here can be stale. Bounded in bytes; when it is full the older half goes.
Tests: tests/index/test_recent_documents.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hanse.index.records import StoredDocument

BYTES_MAX = 2 * 1024 * 1024
"""Of document sources kept for a shard."""
HITS_MAX = 100
"""Larger pages are read past the cache: they would empty it for documents nobody asks for twice."""

Read = Callable[[Sequence[int]], list[StoredDocument]]


class RecentDocuments:
    """Used from the event loop and from search threads; each step is one dictionary operation."""

    def __init__(self, read: Read, bytes_max: int = BYTES_MAX) -> None:
        self._read = read
        self._bytes_max = bytes_max
        self._kept: dict[int, StoredDocument] = {}
        self._bytes = 0

    def fetch(self, seq_nos: Sequence[int]) -> list[StoredDocument]:
        """The documents with these seq_nos, in this order."""
        if len(seq_nos) > HITS_MAX:
            return self._read(seq_nos)
        found = [self._kept.get(seq_no) for seq_no in seq_nos]
        missing = [seq_no for seq_no, document in zip(seq_nos, found, strict=True) if document is None]
        if not missing:
            return found  # type: ignore[return-value]
        read = dict(zip(missing, self._read(missing), strict=True))
        self._keep(read)
        return [document or read[seq_no] for seq_no, document in zip(seq_nos, found, strict=True)]

    def clear(self) -> None:
        self._kept, self._bytes = {}, 0

    def _keep(self, documents: dict[int, StoredDocument]) -> None:
        self._kept.update(documents)
        self._bytes += sum(len(document.source) for document in documents.values())
        if self._bytes > self._bytes_max:
            entries = list(self._kept.items())
            self._kept = dict(entries[len(entries) // 2 :])
            self._bytes = sum(len(document.source) for document in self._kept.values())
            if self._bytes > self._bytes_max:
                self.clear()
