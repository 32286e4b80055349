"""Feeding: the newest of an id counts, documents that are new need no removal."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.index.shards import TEXT

from hanse.errors import ShardFailedError
from hanse.index.mapping import DocumentMapper, MappedDocument, Mapping
from hanse.index.search_index import Generation, SearchIndex, newest_only
from hanse.index.writing import IndexedOperation

MAPPING = Mapping.from_metadata(*Mapping.from_metadata({}, {}, {}).merge(TEXT), {})


def document(source: bytes) -> MappedDocument:
    return DocumentMapper(MAPPING).map(source)


def put(seq_no: int, id: str, *, is_first: bool = True, routing: str | None = None) -> IndexedOperation:
    return IndexedOperation(seq_no, id, routing, document(b'{"title":"x"}'), is_first, 10)


def gone(seq_no: int, id: str, *, is_first: bool = False) -> IndexedOperation:
    return IndexedOperation(seq_no, id, None, None, is_first, 0)


def made(folder: Path) -> tuple[SearchIndex, Generation]:
    index = SearchIndex(folder)
    generation = index.make(1)
    generation.use(MAPPING)
    return index, generation


def test_only_the_newest_of_an_id_is_fed() -> None:
    operations = [put(0, "a"), put(1, "b"), put(2, "a", is_first=False), gone(3, "b")]
    newest = newest_only(operations)
    assert [(operation.seq_no, operation.is_first) for operation in newest] == [(2, True), (3, True)]


def test_what_was_fed_counts_with_the_commit(tmp_path: Path) -> None:
    index, generation = made(tmp_path)
    generation.feed([put(0, "a"), put(1, "b", routing="r")])
    assert generation.searcher().num_docs == 0
    generation.commit(1)
    assert generation.searcher().num_docs == 2
    index.adopt(generation)
    index.close()
    again = SearchIndex(tmp_path)
    assert again.standing.through == 1
    assert again.open().searcher().num_docs == 2
    again.close()


def test_documents_are_replaced_and_removed_by_id(tmp_path: Path) -> None:
    _, generation = made(tmp_path)
    generation.feed([put(0, "a"), put(1, "b"), put(2, "c")])
    generation.commit(2)
    generation.feed([put(3, "a", is_first=False), gone(4, "b")])
    generation.feed([put(2, "c")], always_replace=True)
    generation.commit(4)
    assert generation.searcher().num_docs == 2
    generation.close_writer()


def test_a_closed_writer_forgets_what_was_not_committed(tmp_path: Path) -> None:
    _, generation = made(tmp_path)
    generation.feed([put(0, "a")])
    generation.close_writer()
    generation.feed([put(1, "b")])
    generation.commit(1)
    assert generation.searcher().num_docs == 1
    generation.close_writer(finish_merges=True)
    assert not generation.has_writer


def test_adopting_removes_other_generations(tmp_path: Path) -> None:
    index, first = made(tmp_path)
    first.commit(-1)
    index.adopt(first)
    second = index.make(2)
    second.commit(-1)
    index.adopt(second)
    assert [path.name for path in tmp_path.glob("search-*")] == ["search-2"]
    assert index.standing.pool_factor == 2
    index.close()


def test_an_index_that_is_not_there_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ShardFailedError, match="search index"):
        SearchIndex(tmp_path).open()
