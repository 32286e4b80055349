from __future__ import annotations

import tantivy

from hanse.index.reading import POSITIONS_ASKED_MAX, POSITIONS_MAX, Positions
from hanse.index.search_index import SEQ_NO_FIELD


class Searcher:
    """Counts what is read of the column: the seq_no of a document is its place, told apart by segment."""

    def __init__(self) -> None:
        self.read: list[int] = []

    def fast_field_values(self, column: str, addresses: list[tantivy.DocAddress]) -> list[int | None]:
        assert column == SEQ_NO_FIELD
        found = [address.segment_ord * 100_000 + address.doc or None for address in addresses]
        self.read += [value or 0 for value in found]
        return found


def addresses(*places: tuple[int, int]) -> list[tantivy.DocAddress]:
    return [tantivy.DocAddress(segment, document) for segment, document in places]


def positions() -> tuple[Positions, Searcher]:
    searcher = Searcher()
    return Positions(searcher), searcher  # type: ignore[arg-type]


def test_a_column_is_read_once_and_the_order_is_the_callers() -> None:
    seen, searcher = positions()
    assert seen.of(addresses((0, 0), (1, 7), (0, 7))) == [0, 100_007, 7]
    assert seen.of(addresses((0, 7), (0, 0), (1, 7))) == [7, 0, 100_007]
    assert searcher.read == [0, 100_007, 7]
    assert seen.of(addresses((0, 7), (0, 8))) == [7, 8]
    assert seen.of([]) == []


def test_what_is_remembered_is_bounded() -> None:
    seen, searcher = positions()
    for document in range(POSITIONS_MAX * 2):
        assert seen.of(addresses((0, document))) == [document]
    assert len(seen._known) <= POSITIONS_MAX
    searcher.read.clear()
    large = addresses(*((3, document) for document in range(POSITIONS_ASKED_MAX + 1)))
    assert seen.of(large) == seen.of(large)
    assert len(searcher.read) == 2 * len(large)
