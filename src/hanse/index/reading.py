"""Point-in-time views of a shard, and what they pin: an operation a view can still name is not purged.

Tests: tests/index/test_tending.py.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

import tantivy

from hanse.index.mapping import Mapping
from hanse.index.records import StoredDocument

if TYPE_CHECKING:
    from hanse.index.shard import Shard


Extent = tuple[float, float] | None
"""The least and the greatest value of a column; None when no document has one."""


class Published(NamedTuple):
    """What searches see: a searcher over the store up to `through`, and how many batches that includes.

    `extents` collects the least and greatest value of columns that somebody asked for.
    """

    searcher: tantivy.Searcher
    schema: tantivy.Schema
    through: int
    batches: int
    extents: dict[str, Extent]


class Pins:
    """The seq_nos open views stand at. Views are closed from any thread."""

    def __init__(self) -> None:
        self._at: Counter[int] = Counter()
        self._guard = threading.Lock()

    def add(self, through: int) -> None:
        with self._guard:
            self._at[through] += 1

    def remove(self, through: int) -> None:
        with self._guard:
            self._at[through] -= 1
            if not self._at[through]:
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
