"""Routing: known hashes, ring sizes, and that every shard gets its share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanse.index.routing import murmur3, routing_num_shards, shard_for


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hell", 0x5A0CB7C3),
        ("hello", 0xD7C31989),
        ("hello w", 0x22AB2984),
        ("hello wo", 0xDF0CA123),
        ("hello wor", 0xE7744D61),
        ("The quick brown fox jumps over the lazy dog", 0xE07DB09C),
        ("The quick brown fox jumps over the lazy cog", 0x4E63D2AD),
    ],
)
def test_murmur3_equals_elasticsearchs(text: str, expected: int) -> None:
    assert murmur3(text) & 0xFFFFFFFF == expected


def test_ring_size_is_the_shards_doubled_up_to_1024() -> None:
    assert [routing_num_shards(shards) for shards in (1, 2, 3, 5, 512, 1024)] == [1024, 1024, 768, 640, 1024, 2048]


@given(st.text(), st.integers(1, 64))
def test_every_routing_has_a_shard(routing: str, shards: int) -> None:
    assert 0 <= shard_for(routing, shards, routing_num_shards(shards)) < shards


def test_shards_share_evenly() -> None:
    counts = [0] * 5
    for number in range(5000):
        counts[shard_for(f"document-{number}", 5, routing_num_shards(5))] += 1
    assert min(counts) > 800
