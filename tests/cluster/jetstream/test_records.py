"""Records: what goes in comes out, and nothing that was changed does."""

from __future__ import annotations

import msgspec
import pytest

from hanse.cluster.jetstream.records import Assembler, Record, decoded, encoded
from hanse.cluster.log import Batch, Operation
from hanse.errors import LogDamagedError


def batch(size: int = 10) -> Batch:
    return Batch(3, [Operation(0, 3, "a", 1, False, None, b"x" * size)])


@pytest.mark.parametrize("piece_bytes", [7, 100, 1_000_000])
def test_a_batch_comes_out_as_it_went_in(piece_bytes: int) -> None:
    messages, own = encoded(batch(500), b"before", piece_bytes)
    assembler = Assembler(b"before")
    taken = [assembler.take(at, message) for at, message in enumerate(messages, 1)]
    assert taken[:-1] == [None] * (len(messages) - 1)
    assert taken[-1] == (len(messages), batch(500), own)


def test_a_chain_is_followed_and_a_missing_link_noticed() -> None:
    first, one = encoded(batch(1), b"", 1000)
    second, two = encoded(batch(2), one, 1000)
    third, _ = encoded(batch(3), two, 1000)
    assembler = Assembler(b"")
    for at, message in enumerate((*first, *second, *third), 1):
        assert assembler.take(at, message) is not None
    skipping = Assembler(b"")
    skipping.take(1, first[0])
    with pytest.raises(LogDamagedError, match="follows a batch with hash"):
        skipping.take(2, third[0])


def test_a_reader_who_knows_no_hash_takes_the_first_batch_as_it_is() -> None:
    messages, _ = encoded(batch(), b"whatever", 1000)
    assert Assembler(None).take(5, messages[0]) is not None


@pytest.mark.parametrize("change", [{"primary_term": 4}, {"previous": b"other"}, {"content": b"x"}, {"hash": b"no"}])
def test_a_changed_record_is_noticed(change: dict[str, object]) -> None:
    record = msgspec.structs.replace(decoded(encoded(batch(), b"", 1000)[0][0], 1), **change)
    with pytest.raises(LogDamagedError, match="hash"):
        Assembler(b"").take(1, msgspec.msgpack.encode(record))


def test_pieces_without_an_end_are_dropped_and_an_end_without_pieces_is_damage() -> None:
    long, _ = encoded(batch(500), b"", 100)
    whole, _ = encoded(batch(), b"", 1000)
    assembler = Assembler(b"")
    assert assembler.take(1, long[0]) is None
    assert assembler.take(2, whole[0]) is not None
    with pytest.raises(LogDamagedError, match="whose beginning is missing"):
        assembler.take(3, long[1])


def test_a_record_of_another_format_is_refused() -> None:
    with pytest.raises(LogDamagedError, match=r"has format \[9\]"):
        decoded(msgspec.msgpack.encode(Record(9, 1, b"", b"", 0, 1, b"")), 1)
    with pytest.raises(LogDamagedError, match="is not a record"):
        decoded(b"\xc1", 1)
