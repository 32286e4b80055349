from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanse.transport.frames import (
    ACCEPTING_HELLO,
    CALLING,
    CHUNK_BYTES,
    HEADER,
    HELLO_BYTES_MAX,
    SERVING,
    Cancel,
    Chunk,
    Credit,
    Error,
    Event,
    Frame,
    FrameReader,
    Hello,
    HelloFrame,
    Ping,
    Pong,
    Request,
    Response,
    Violation,
    encode_frame,
)
from hanse.transport.wire_errors import WireError

ids = st.integers(1, 2**53)
payloads = st.binary(max_size=300)
served = st.one_of(
    st.builds(Request, ids, st.text(max_size=40), st.binary(max_size=90), payloads, st.just(0), st.none() | st.text()),
    st.builds(Cancel, ids),
    st.builds(Chunk, ids, payloads),
    st.builds(Credit, ids, st.integers(1, CHUNK_BYTES)),
    st.builds(Ping, ids),
)
called = st.one_of(
    st.builds(Response, ids, payloads),
    st.builds(Error, ids, st.builds(WireError, st.text(), st.text(), st.integers(100, 599))),
    st.builds(Pong, ids),
)


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(bounds)]


def read(reader: FrameReader, pieces: Sequence[bytes]) -> list[Event]:
    return [event for piece in pieces for event in reader.feed(piece)]


@given(st.lists(served, max_size=8), st.lists(st.integers(0, 10_000), max_size=20))
def test_however_the_bytes_are_cut_the_same_frames_come_out(frames: list[Frame], places: list[int]) -> None:
    data = b"".join(encode_frame(frame) for frame in frames)
    assert read(FrameReader(SERVING), cut(data, places)) == frames


@given(st.lists(called, max_size=8), st.lists(st.integers(0, 10_000), max_size=20))
def test_the_same_holds_for_answers(frames: list[Frame], places: list[int]) -> None:
    data = b"".join(encode_frame(frame) for frame in frames)
    assert read(FrameReader(CALLING), cut(data, places)) == frames


@settings(max_examples=300)
@given(st.lists(served, max_size=2), st.binary(max_size=200), st.lists(st.integers(0, 10_000), max_size=20))
def test_garbage_gives_the_same_events_however_it_is_cut(
    frames: list[Frame], garbage: bytes, places: list[int]
) -> None:
    data = b"".join(encode_frame(frame) for frame in frames) + garbage
    whole = read(FrameReader(SERVING), [data])
    assert read(FrameReader(SERVING), cut(data, places)) == whole
    assert whole[: len(frames)] == frames
    assert not any(isinstance(event, Violation) for event in whole[:-1])


@pytest.mark.parametrize("frame", [Cancel(1), Credit(1, 5), Ping(1)])
def test_each_kind_has_its_own_bound(frame: Frame) -> None:
    oversize = HEADER.pack(65, frame.KIND)
    (event,) = FrameReader(SERVING).feed(oversize)
    assert event == Violation(f"a frame of kind [{frame.KIND}] claims [65] bytes, at most [64] are allowed")


def test_an_oversize_length_is_refused_before_its_bytes_come() -> None:
    reader = FrameReader(SERVING)
    (event,) = reader.feed(HEADER.pack(2**32 - 1, Request.KIND))
    assert isinstance(event, Violation)
    assert "claims [4294967295] bytes" in event.sentence
    assert reader.feed(encode_frame(Ping(1))) == []


def test_before_the_hello_is_answered_little_is_believed() -> None:
    (event,) = FrameReader(ACCEPTING_HELLO).feed(HEADER.pack(HELLO_BYTES_MAX + 1, HelloFrame.KIND))
    assert isinstance(event, Violation)
    (event,) = FrameReader(ACCEPTING_HELLO).feed(encode_frame(Ping(1)))
    assert event == Violation("a frame of kind [9] is not expected here")


def test_a_frame_of_the_wrong_shape_is_a_violation() -> None:
    (event,) = FrameReader(SERVING).feed(HEADER.pack(2, Ping.KIND) + b"\x91\xa0")
    assert isinstance(event, Violation)
    assert "a frame of kind [9] could not be read: Expected `int`, got `str`" in event.sentence


def test_a_later_version_may_add_fields_at_the_end() -> None:
    longer = b"\x92\x05\xa3new"
    assert FrameReader(SERVING).feed(HEADER.pack(len(longer), Ping.KIND) + longer) == [Ping(5)]


def test_a_chunk_of_full_size_passes_and_one_byte_more_than_the_bound_does_not() -> None:
    frame = Chunk(2**53, bytes(CHUNK_BYTES))
    assert FrameReader(SERVING).feed(encode_frame(frame)) == [frame]
    (event,) = FrameReader(SERVING).feed(encode_frame(Chunk(1, bytes(CHUNK_BYTES + 64))))
    assert isinstance(event, Violation)


def test_hello_names_its_fields_so_that_versions_may_add_some() -> None:
    node = Hello("hanse", "u", "i", "n", "e", "9.1.0", "127.0.0.1:9300", ("data",), {"zone": "a"})
    assert FrameReader(ACCEPTING_HELLO).feed(encode_frame(HelloFrame(node, "bulk"))) == [HelloFrame(node, "bulk")]
    assert b"cluster_name" in encode_frame(HelloFrame(node, "bulk"))
