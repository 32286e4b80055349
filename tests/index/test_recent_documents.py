from collections.abc import Sequence

from hanse.index.recent_documents import HITS_MAX, RecentDocuments
from hanse.index.records import StoredDocument


class Store:
    def __init__(self, size: int = 10) -> None:
        self.read: list[int] = []
        self.size = size

    def fetch(self, seq_nos: Sequence[int]) -> list[StoredDocument]:
        self.read += seq_nos
        return [StoredDocument(f"id{n}", n, 1, 1, None, b"x" * self.size) for n in seq_nos]


def test_a_document_is_read_once_and_the_order_is_the_callers() -> None:
    store = Store()
    recent = RecentDocuments(store.fetch)
    assert [d.seq_no for d in recent.fetch([3, 1, 2])] == [3, 1, 2]
    assert [d.seq_no for d in recent.fetch([2, 9, 3])] == [2, 9, 3]
    assert store.read == [3, 1, 2, 9]


def test_it_stays_within_its_bytes() -> None:
    store = Store(size=100)
    recent = RecentDocuments(store.fetch, bytes_max=1000)
    for n in range(100):
        recent.fetch([n])
    store.read.clear()
    recent.fetch([99])
    recent.fetch([0])
    assert store.read == [0]
    assert sum(len(d.source) for d in recent._kept.values()) <= 1000


def test_one_document_larger_than_everything_is_not_kept() -> None:
    store = Store(size=5000)
    recent = RecentDocuments(store.fetch, bytes_max=1000)
    assert recent.fetch([1])[0].seq_no == 1
    recent.fetch([1])
    assert store.read == [1, 1]


def test_large_pages_pass_by() -> None:
    store = Store()
    recent = RecentDocuments(store.fetch)
    page = list(range(HITS_MAX + 1))
    recent.fetch(page)
    recent.fetch(page)
    assert store.read == page * 2
