"""Two mergeable sketches: how many distinct values, and how values are distributed.

Both are exact while small, and then bounded; in both the sketch of a union depends only on the union, never on how the
parts were joined, so merging is associative and commutative to the bit.

`DistinctSketch` keeps the K smallest 64-bit hashes (KMV): exact below K distinct values, then a standard error of
1/sqrt(K-2) = 1.6 %. `ValueSketch` keeps up to EXACT_VALUES_MAX distinct values with counts, then counts per logarithmic
bin: every quantile is within RELATIVE_ERROR (0.1 %) of the exact value's magnitude.
Tests: tests/search/aggregation/test_sketches.py.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import accumulate, islice
from typing import Any

DISTINCT_HASHES_MAX = 4096
EXACT_VALUES_MAX = 10_000
RELATIVE_ERROR = 0.001
_GAMMA_LOG = math.log((1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR))
_HASH_SPACE = 2.0**64


def hash_value(value: Any) -> bytes:
    """Eight bytes, big-endian; a whole double hashes like the integer, since long and double indices mix."""
    if isinstance(value, str):
        data = b"s" + value.encode()
    elif isinstance(value, float) and not value.is_integer():
        data = b"d" + struct.pack(">d", value)
    else:
        data = b"i%d" % int(value)
    return blake2b(data, digest_size=8).digest()


def distinct_sketch(values: Iterable[Any]) -> bytes:
    """The sketch of a set of values: their smallest hashes, ascending, eight bytes each."""
    kept: set[bytes] = set()
    bound = b"\xff" * 9
    for value in values:
        hashed = hash_value(value)
        if hashed < bound:
            kept.add(hashed)
            if len(kept) >= 4 * DISTINCT_HASHES_MAX:
                kept = set(sorted(kept)[:DISTINCT_HASHES_MAX])
                bound = max(kept)
    return _smallest(kept)


def merge_distinct(sketches: Iterable[bytes]) -> bytes:
    return _smallest({sketch[at : at + 8] for sketch in sketches for at in range(0, len(sketch), 8)})


def _smallest(hashes: set[bytes]) -> bytes:
    return b"".join(islice(sorted(hashes), DISTINCT_HASHES_MAX))


def estimate_distinct(sketch: bytes) -> int:
    count = len(sketch) // 8
    if count < DISTINCT_HASHES_MAX:
        return count
    largest = int.from_bytes(sketch[-8:], "big") + 1
    return round((count - 1) * _HASH_SPACE / largest)


# -- values ------------------------------------------------------------------------------------------------------------

ValueSketch = dict[str, Any]  # {"exact": [[value, count], ...]} or {"low", "high", "bins": [[sign, bin, count], ...]}


def value_sketch(counts: Iterable[tuple[float, int]]) -> ValueSketch:
    return merge_values([{"exact": [[float(value), count] for value, count in counts]}])


def merge_values(sketches: Sequence[ValueSketch]) -> ValueSketch:
    exact: Counter[float] = Counter()
    bins: Counter[tuple[int, int]] = Counter()
    bounds: list[float] = []
    for sketch in sketches:
        for value, count in sketch.get("exact", ()):
            exact[value] += count
        if "bins" in sketch:
            bounds += [sketch["low"], sketch["high"]]
            for sign, index, count in sketch["bins"]:
                bins[sign, index] += count
    if not bins and len(exact) <= EXACT_VALUES_MAX:
        return {"exact": [[value, exact[value]] for value in sorted(exact)]}
    for value, count in exact.items():
        bins[_bin(value)] += count
    bounds += exact.keys()
    return {"low": min(bounds), "high": max(bounds), "bins": [[*key, bins[key]] for key in sorted(bins)]}


def _bin(value: float) -> tuple[int, int]:
    """Bins sort like the values they hold."""
    if not value:
        return (0, 0)
    index = math.ceil(math.log(abs(value)) / _GAMMA_LOG)
    return (1, index) if value > 0 else (-1, -index)


def _middle_of(sign: int, index: int) -> float:
    if not sign:
        return 0.0
    top = math.exp((index if sign > 0 else -index) * _GAMMA_LOG)
    return sign * top * (1 - RELATIVE_ERROR)


class Distribution:
    """A value sketch made readable: ordered values, counts and ranks."""

    def __init__(self, sketch: ValueSketch) -> None:
        if "exact" in sketch:
            rows: list[tuple[float, int]] = [(value, count) for value, count in sketch["exact"]]
        else:
            low, high = sketch["low"], sketch["high"]
            rows = [(min(max(_middle_of(s, i), low), high), count) for s, i, count in sketch["bins"]]
        self.values: list[float] = [value for value, _ in rows]
        self.counts = [count for _, count in rows]
        self._until = list(accumulate(self.counts))
        self.total = self._until[-1] if rows else 0

    def at_rank(self, rank: int) -> float:
        """The value of this rank (from 0) in the sorted multiset."""
        low, high = 0, len(self._until) - 1
        while low < high:
            middle = (low + high) // 2
            if self._until[middle] > rank:
                high = middle
            else:
                low = middle + 1
        return float(self.values[low])

    def quantile(self, fraction: float) -> float | None:
        """Linear between the two nearest ranks, None when there is no value."""
        if not self.total:
            return None
        position = fraction * (self.total - 1)
        rank = math.floor(position)
        value = self.at_rank(rank)
        if rank == position:
            return value
        above = self.at_rank(rank + 1)
        return value + (above - value) * (position - rank)

    def nearest(self, fraction: float) -> float | None:
        """The value of the nearest rank, never between two values."""
        return self.at_rank(max(math.ceil(fraction * self.total), 1) - 1) if self.total else None

    def share_up_to(self, bound: float) -> float | None:
        """The share of values that are not greater."""
        if not self.total:
            return None
        return sum(count for value, count in zip(self.values, self.counts, strict=True) if value <= bound) / self.total

    def median_deviation(self) -> float | None:
        """The median of the distances from the median."""
        median = self.quantile(0.5)
        if median is None:
            return None
        distances: Counter[float] = Counter()
        for value, count in zip(self.values, self.counts, strict=True):
            distances[abs(value - median)] += count
        return Distribution({"exact": sorted(distances.items())}).quantile(0.5)
