"""What the document store hands out: documents, heads, and where a shard stands.

Tests: tests/index/test_document_store.py.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from hanse.cluster.log import Logged
from hanse.index.changes import BEFORE_ALL


class StoredDocument(msgspec.Struct, frozen=True, gc=False):
    """A live document as it was written; `source` holds the bytes that came in."""

    id: str
    seq_no: int
    primary_term: int
    version: int
    routing: str | None
    source: bytes


class Head(NamedTuple):
    """The newest operation of an id, which may be a tombstone."""

    seq_no: int
    version: int
    primary_term: int
    deleted: bool


class Progress(msgspec.Struct, frozen=True, array_like=True):
    """Where the shard stands, written with every batch.

    `checkpoint`: everything up to it is here (a leader's is `max_seq_no`, a follower's what its feed reached).
    `position`: the commit log's last batch; `chain`: its hash, where the log has one.
    """

    max_seq_no: int = BEFORE_ALL
    checkpoint: int = BEFORE_ALL
    primary_term: int = 1
    live: int = 0
    tombstones: int = 0
    tombstone_floor: int = BEFORE_ALL
    position: int = 0
    chain: bytes = b""

    @property
    def logged(self) -> Logged:
        """The last batch that was taken from a log."""
        return Logged(self.position, self.chain, self.primary_term)
