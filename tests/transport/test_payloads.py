from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hanse.transport.frames import CHUNK_BYTES, MESSAGE_BYTES_MAX, Chunk, Credit, Response, Violation
from hanse.transport.payloads import (
    GRANT_BYTES,
    PARTIAL_BYTES_MAX,
    WINDOW_BYTES,
    Complete,
    IncomingPayloads,
    OutgoingPayloads,
)


def transfer(payloads: dict[int, bytes]) -> tuple[dict[int, bytes], list[int]]:
    """Sends all payloads over one wire that delivers at once; also returns whose turn each chunk was."""
    outgoing, incoming = OutgoingPayloads(), IncomingPayloads()
    arrived: dict[int, bytes] = {}
    turns = []
    for id, payload in payloads.items():
        assert incoming.begin(Response(id, outgoing.begin(id, payload), len(payload))) is None
    while (chunk := outgoing.next_chunk()) is not None:
        turns.append(chunk.id)
        outcome = incoming.add(chunk)
        if isinstance(outcome, Credit):
            outgoing.grant(outcome)
        elif isinstance(outcome, Complete):
            arrived[outcome.head.id] = bytes(outcome.payload)
    assert len(outgoing) == len(incoming) == 0
    return arrived, turns


@given(st.lists(st.integers(CHUNK_BYTES + 1, 14 * CHUNK_BYTES), min_size=1, max_size=3))
def test_what_is_sent_in_chunks_arrives_whole(sizes: list[int]) -> None:
    payloads = {id: bytes([id]) * size for id, size in enumerate(sizes, 1)}
    assert transfer(payloads)[0] == payloads


def test_streams_take_turns() -> None:
    _, turns = transfer({1: bytes(6 * CHUNK_BYTES), 2: bytes(3 * CHUNK_BYTES)})
    assert turns == [1, 2, 1, 2, 1, 1, 1]


def test_a_sender_stops_at_the_window_until_credit_comes() -> None:
    outgoing = OutgoingPayloads()
    outgoing.begin(7, bytes(50 * CHUNK_BYTES))
    sent = 0
    while (chunk := outgoing.next_chunk()) is not None:
        sent += len(chunk.payload)
    assert sent == WINDOW_BYTES
    outgoing.grant(Credit(7, CHUNK_BYTES))
    assert outgoing.next_chunk() is not None
    assert outgoing.next_chunk() is None


def test_more_credit_than_the_window_counts_as_the_window() -> None:
    outgoing = OutgoingPayloads()
    outgoing.begin(7, bytes(100 * CHUNK_BYTES))
    outgoing.grant(Credit(7, 2**62))
    sent = 0
    while (chunk := outgoing.next_chunk()) is not None:
        sent += len(chunk.payload)
    assert sent <= 2 * WINDOW_BYTES


def test_a_dropped_payload_is_not_sent_on() -> None:
    outgoing = OutgoingPayloads()
    outgoing.begin(7, bytes(3 * CHUNK_BYTES))
    outgoing.drop(7)
    outgoing.grant(Credit(7, 1))
    assert outgoing.next_chunk() is None


def test_credit_comes_back_in_portions() -> None:
    incoming = IncomingPayloads()
    incoming.begin(Response(1, b"x", 10 * CHUNK_BYTES))
    assert incoming.add(Chunk(1, bytes(CHUNK_BYTES))) is None
    assert incoming.add(Chunk(1, bytes(CHUNK_BYTES))) == Credit(1, GRANT_BYTES)


def test_sizes_are_bounded_before_they_are_believed() -> None:
    incoming = IncomingPayloads()
    assert isinstance(incoming.begin(Response(1, b"x", MESSAGE_BYTES_MAX + 1)), Violation)
    assert isinstance(incoming.begin(Response(1, b"xx", 2)), Violation)
    assert isinstance(incoming.begin(Response(1, b"xx", -5)), Violation)
    for id in range(PARTIAL_BYTES_MAX // MESSAGE_BYTES_MAX):
        assert incoming.begin(Response(id, b"x", MESSAGE_BYTES_MAX)) is None
    violation = incoming.begin(Response(99, b"x", 2))
    assert isinstance(violation, Violation)
    assert "unfinished messages claim more than" in violation.sentence
    incoming.drop(0)
    assert incoming.begin(Response(99, b"x", 2)) is None


def test_more_bytes_than_announced_are_a_violation() -> None:
    incoming = IncomingPayloads()
    incoming.begin(Response(1, b"x", 10))
    assert isinstance(incoming.add(Chunk(1, bytes(10))), Violation)


def test_an_empty_chunk_would_never_end_and_is_a_violation() -> None:
    incoming = IncomingPayloads()
    incoming.begin(Response(1, b"x", 10))
    assert isinstance(incoming.add(Chunk(1, b"")), Violation)


def test_one_id_cannot_have_two_unfinished_messages() -> None:
    incoming = IncomingPayloads()
    incoming.begin(Response(1, b"x", 10))
    assert incoming.begin(Response(1, b"x", 10)) == Violation("two unfinished messages have the id [1]")


def test_a_chunk_nobody_waits_for_is_ignored() -> None:
    assert IncomingPayloads().add(Chunk(5, b"late")) is None
