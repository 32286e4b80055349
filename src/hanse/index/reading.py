"""Point-in-time views of a shard, and what they pin: an operation a view can still name is not purged.

Tests: tests/index/test_tending.py, tests/index/test_reading.py.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

import tantivy

from hanse.index.mapping import Mapping
from hanse.index.records import StoredDocument
from hanse.index.search_index import SEQ_NO_FIELD

if TYPE_CHECKING:
    from hanse.index.shard import Shard

Extent = tuple[float, float] | None
"""The least and the greatest value of a column; None when no document has one."""

POSITIONS_MAX = 4096
"""Of documents whose seq_no is remembered for a searcher."""
POSITIONS_ASKED_MAX = 100
"""Larger pages are read past what is remembered, as in recent_documents.py."""


class Positions:
    """The seq_nos of a searcher's documents. Those of the last hits are remembered.

    Reading the column opens it anew in every segment, which costs nearly as much as a short query. A searcher never
    changes, so nothing here can be stale. Used from the event loop and from search threads.
    """

    def __init__(self, searcher: tantivy.Searcher) -> None:
        self._searcher = searcher
        self._known: dict[tuple[int, int], int] = {}

    def of(self, addresses: list[tantivy.DocAddress]) -> list[int]:
        """In the order of the addresses."""
        if len(addresses) > POSITIONS_ASKED_MAX:
            return self._read(addresses)
        known = self._known
        places = [(address.segment_ord, address.doc) for address in addresses]
        try:
            return [known[place] for place in places]
        except KeyError:
            found = self._read(addresses)
        if len(known) + len(found) > POSITIONS_MAX:
            self._known = known = {}
        known.update(zip(places, found, strict=True))
        return found

    def _read(self, addresses: list[tantivy.DocAddress]) -> list[int]:
        return [int(value or 0) for value in self._searcher.fast_field_values(SEQ_NO_FIELD, addresses)]


class Published(NamedTuple):
    """What searches see: a searcher over the store up to `through`, and how many batches that includes.

    `extents` collects the least and greatest value of columns that somebody asked for.
    """

    searcher: tantivy.Searcher
    schema: tantivy.Schema
    positions: Positions
    through: int
    batches: int
    extents: dict[str, Extent]

    @classmethod
    def now(cls, searcher: tantivy.Searcher, schema: tantivy.Schema, through: int, batches: int) -> Published:
        return cls(searcher, schema, Positions(searcher), through, batches, {})


class Pins:
    """The seq_nos open views stand at. Views are closed from any thread."""

    def __init__(self) -> None:
        self._at: dict[int, int] = {}
        self._guard = threading.Lock()

    def add(self, through: int) -> None:
        with self._guard:
            self._at[through] = self._at.get(through, 0) + 1

    def remove(self, through: int) -> None:
        with self._guard:
            others = self._at[through] - 1
            if others:
                self._at[through] = others
            else:
                del self._at[through]

    def lowest(self, current: int) -> int:
        """The oldest view, `current` being what the next one would see."""
        with self._guard:
            return min((*self._at, current))

    def __len__(self) -> int:
        return sum(self._at.values())


class ShardReader:
    """A view that does not change while it is open. Close it, or use it as a context manager."""

    def __init__(self, shard: Shard, published: Published, pins: Pins, mapping: Mapping) -> None:
        self.shard = shard
        self.searcher = published.searcher
        self.schema = published.schema
        self.positions = published.positions
        self.mapping = mapping
        self.through = published.through
        self._extents = published.extents
        self._pins = pins
        self._is_open = True
        pins.add(published.through)

    def fetch(self, seq_nos: Sequence[int]) -> list[StoredDocument]:
        """The documents of hits, in this order."""
        return self.shard.recent.fetch(seq_nos) if seq_nos else []

    def extent(self, column: str) -> Extent:
        """The column's least and greatest value, rounded outwards to doubles; reads the whole column the first time."""
        if column not in self._extents:
            found = self.searcher.aggregate(tantivy.Query.all_query(), {"s": {"stats": {"field": column}}})["s"]
            self._extents[column] = (
                None
                if found["min"] is None
                else (math.nextafter(found["min"], -math.inf), math.nextafter(found["max"], math.inf))
            )
        return self._extents[column]

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._pins.remove(self.through)

    def __enter__(self) -> ShardReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
