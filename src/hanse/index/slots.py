"""Slots: the search index has a fixed pool of typed fields, and each mapped field is given the next free one.

Kinds: `t` text (a tokenizer of its own, registered under the slot's name), `k` keyword, `l` 64-bit integer, `d` double,
`i` IP address. A field never loses its slot. When a pool is dry the factor doubles: the assignment is valid at once,
the search index is rebuilt with pools that large. Beside the pools the schema has `_id`, `_seq_no`, `_routing`,
`_exists` (what is in a document but has no column to tell so: text slots, and paths of fields that are only stored)
and `_ignored`. Tests: tests/index/test_slots.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import tantivy

if TYPE_CHECKING:
    from hanse.index.mapping import Mapping as FieldMapping

POOL_SIZES = {"t": 24, "k": 48, "l": 32, "d": 16, "i": 4}
EXISTS_FIELD = "_exists"
IGNORED_FIELD = "_ignored"


class Slots(Mapping[str, tuple[str, ...]]):
    """Field path to its slots, immutable; most fields have one, an IP address two (value and order)."""

    def __init__(self, fields: Mapping[str, tuple[str, ...]] | None = None, factor: int = 1) -> None:
        self._fields = dict(fields or {})
        self.factor = factor

    @classmethod
    def from_metadata(cls, raw: Mapping[str, Any]) -> Slots:
        fields = {
            path: (slot,) if isinstance(slot, str) else tuple(slot) for path, slot in raw.get("fields", {}).items()
        }
        return cls(fields, raw.get("factor", 1))

    def to_metadata(self) -> dict[str, Any]:
        if not self._fields:
            return {}
        shown = {path: slots[0] if len(slots) == 1 else list(slots) for path, slots in self._fields.items()}
        return {"factor": self.factor, "fields": shown}

    def __getitem__(self, path: str) -> tuple[str, ...]:
        return self._fields[path]

    def __iter__(self) -> Any:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def slot(self, path: str) -> str | None:
        found = self._fields.get(path)
        return found[0] if found else None

    def all_slots(self) -> list[str]:
        return [slot for slots in self._fields.values() for slot in slots]

    def with_fields(self, wanted: Iterable[tuple[str, str]]) -> Slots:
        """The same with slots for (path, kinds) that have none yet; kinds such as `t` or `ik`, one letter a slot."""
        missing = [(path, kinds) for path, kinds in wanted if path not in self._fields]
        if not missing:
            return self
        fields, used = dict(self._fields), dict.fromkeys(POOL_SIZES, 0)
        for slot in self.all_slots():
            used[slot[0]] = max(used[slot[0]], int(slot[1:]) + 1)
        for path, kinds in missing:
            given = []
            for kind in kinds:
                given.append(f"{kind}{used[kind]}")
                used[kind] += 1
            fields[path] = tuple(given)
        factor = self.factor
        while any(used[kind] > size * factor for kind, size in POOL_SIZES.items()):
            factor *= 2
        return Slots(fields, factor)


def schema(factor: int) -> tantivy.Schema:
    """The schema of a search index whose pools are `factor` times their first size."""
    builder = tantivy.SchemaBuilder()
    for name in ("_id", "_routing", EXISTS_FIELD, IGNORED_FIELD):
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
    builder.add_unsigned_field("_seq_no", indexed=True, fast=True)
    for number in range(POOL_SIZES["t"] * factor):
        builder.add_text_field(f"t{number}", tokenizer_name=f"t{number}")
    for number in range(POOL_SIZES["k"] * factor):
        builder.add_text_field(f"k{number}", tokenizer_name="raw", fast=True, index_option="basic")
    for number in range(POOL_SIZES["l"] * factor):
        builder.add_integer_field(f"l{number}", indexed=True, fast=True)
    for number in range(POOL_SIZES["d"] * factor):
        builder.add_float_field(f"d{number}", indexed=True, fast=True)
    for number in range(POOL_SIZES["i"] * factor):
        builder.add_ip_addr_field(f"i{number}", indexed=True, fast=True)
    return builder.build()


def register_tokenizers(index: tantivy.Index, mapping: FieldMapping) -> None:
    """Gives each text slot in use its field's analyzer; call after opening and after each change of the mapping.

    Every other text slot gets the standard analyzer, since the engine refuses a field whose tokenizer is missing.
    """
    given = {field.slot: field.analyzer for _, field in mapping.fields() if field.kind == "text" and field.analyzer}
    standard = mapping.analyzers.get("standard")
    for number in range(POOL_SIZES["t"] * mapping.slots.factor):
        analyzer = given.get(f"t{number}", standard)
        index.register_tokenizer(f"t{number}", analyzer.native)
