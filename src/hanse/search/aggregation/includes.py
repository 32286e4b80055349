"""`include` and `exclude` of terms: exact lists, regular expressions, partitions.

Tests: tests/search/aggregation/test_terms.py.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import re2

from hanse.errors import IllegalArgumentError
from hanse.index.routing import murmur3_of_bytes
from hanse.search.aggregation.columns import Column
from hanse.search.aggregation.parameters import Parameters

PARTITION_SEED = 31
_MASK_64 = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Includes:
    """Which values become buckets."""

    include: list[Any] | str | None = None
    exclude: list[Any] | str | None = None
    partition: tuple[int, int] | None = None

    @classmethod
    def parse(cls, parameters: Parameters) -> Includes:
        include, exclude = parameters.raw("include"), parameters.raw("exclude")
        if isinstance(include, dict):
            number, total = include.get("partition"), include.get("num_partitions")
            if not isinstance(number, int) or not isinstance(total, int) or not 0 <= number < total:
                raise IllegalArgumentError(
                    "Missing or invalid [partition] or [num_partitions] parameter for partition-based include"
                )
            return cls(partition=(number, total))
        return cls(_entries(include), _entries(exclude))

    def engine_list(self, column: Column) -> list[str] | None:
        """The exact keywords wanted, which tantivy can then count alone."""
        if column.kind != "keyword" or not isinstance(self.include, list):
            return None
        return [str(entry) for entry in self.include]

    def filter_for(self, column: Column, pattern: str | None, name: str) -> Callable[[Any], bool] | None:
        """Says of a key whether it is admitted; None when all are."""
        if self.partition is not None:
            number, total = self.partition
            return lambda key: partition_of(key, total) == number
        if self.include is None and self.exclude is None:
            return None
        wanted = None if self.include is None else _test(self.include, column, pattern, name)
        refused = None if self.exclude is None else _test(self.exclude, column, pattern, name)
        return lambda key: (wanted is None or wanted(key)) and not (refused is not None and refused(key))


def partition_of(key: Any, total: int) -> int:
    """The partition a key falls into, the same as in Elasticsearch."""
    if isinstance(key, str):
        return murmur3_of_bytes(key.encode(), PARTITION_SEED) % total
    if isinstance(key, float):
        bits: int = struct.unpack(">q", struct.pack(">d", key))[0]
        # Doubles in the order of integers: the sign bit turns the others round.
        whole = bits ^ ((bits >> 63) & 0x7FFF_FFFF_FFFF_FFFF)
    else:
        whole = int(key)
    mixed = whole & _MASK_64
    mixed = (mixed ^ mixed >> 32) * 0x4CD6_944C_5CC2_0B6D & _MASK_64
    mixed = (mixed ^ mixed >> 29) * 0xFC12_C5B1_9D32_59E9 & _MASK_64
    mixed ^= mixed >> 32
    return (mixed - (1 << 64) if mixed >> 63 else mixed) % total


def _entries(value: Any) -> list[Any] | str | None:
    return value if value is None or isinstance(value, list | str) else [value]


def _test(entries: list[Any] | str, column: Column, pattern: str | None, name: str) -> Callable[[Any], bool]:
    from hanse.search.aggregation.metrics import stored_value

    if isinstance(entries, list):
        values = {stored_value(column, entry, pattern) for entry in entries}
        return lambda key: key in values
    if column.kind != "keyword":
        raise IllegalArgumentError(
            f"Aggregation [{name}] cannot support regular expression style include/exclude settings as they can only "
            "be applied to string fields. Use an array of values for include/exclude clauses"
        )
    try:
        expression = re2.compile(entries)  # type: ignore[no-untyped-call]
    except re2.error as failure:
        raise IllegalArgumentError(f"invalid regular expression [{entries}]: {failure}") from failure
    return lambda key: expression.fullmatch(key) is not None
