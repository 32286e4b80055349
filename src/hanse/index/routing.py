"""Which shard a document belongs to: Murmur3 of its routing, as Elasticsearch computes it.

A copy of an index, or its data brought from Elasticsearch, therefore finds every document on the same shard.
Tests: tests/index/test_routing.py.
"""

from __future__ import annotations

_MASK = 0xFFFFFFFF
_LOG2_ROUTING_SHARDS_MAX = 10


def routing_num_shards(number_of_shards: int) -> int:
    """The size of the hash ring when `index.number_of_routing_shards` is not given: shards doubled up to 1024."""
    doublings = _LOG2_ROUTING_SHARDS_MAX - (number_of_shards - 1).bit_length()
    return int(number_of_shards << max(1, doublings))


def shard_for(routing: str, number_of_shards: int, routing_num_shards: int) -> int:
    """The number of the shard; `routing` is the document's routing, or its id where it has none."""
    if number_of_shards == 1:
        return 0
    return (murmur3(routing) % routing_num_shards) // (routing_num_shards // number_of_shards)


def murmur3(text: str) -> int:
    """Murmur3 (32 bits, x86, seed 0) over the text's UTF-16 code units, low byte first; signed like Java's int."""
    return murmur3_of_bytes(text.encode("utf-16-le", "surrogatepass"))


def murmur3_of_bytes(data: bytes, seed: int = 0) -> int:
    """Murmur3 (32 bits, x86), signed like Java's int."""
    size = len(data)
    whole = size & ~3
    value = seed
    for place in range(0, whole, 4):
        block = int.from_bytes(data[place : place + 4], "little") * 0xCC9E2D51 & _MASK
        value ^= (block << 15 | block >> 17) * 0x1B873593 & _MASK
        value = ((value << 13 | value >> 19) & _MASK) * 5 + 0xE6546B64 & _MASK
    if whole < size:
        block = int.from_bytes(data[whole:], "little") * 0xCC9E2D51 & _MASK
        value ^= (block << 15 | block >> 17) * 0x1B873593 & _MASK
    value ^= size
    value = (value ^ value >> 16) * 0x85EBCA6B & _MASK
    value = (value ^ value >> 13) * 0xC2B2AE35 & _MASK
    value ^= value >> 16
    return value - (1 << 32) if value & 0x80000000 else value
