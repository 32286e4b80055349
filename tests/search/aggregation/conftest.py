"""Shards for aggregation tests: real tantivy indices over slots, with a mapping of a handful of fields."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
import tantivy

from hanse.index.mapping.dates import DEFAULT_PATTERN, DateFormat
from hanse.index.mapping.field_type import FieldType
from hanse.search.aggregation import (
    CollectContext,
    TopHits,
    collect,
    finish,
    merge_partials,
    parse_aggregations,
)


def mapped(kind: str, slot: str, order_slot: str | None = None, pattern: str | None = None) -> FieldType:
    """A field in the slots of the test schema; its type is named like its kind."""
    date_format = DateFormat.of(pattern or DEFAULT_PATTERN) if kind == "date" else None
    return FieldType(kind, kind, kind, slot=slot, order_slot=order_slot, date_format=date_format)


FIELDS = {
    "tag": mapped("keyword", "k0"),
    "color": mapped("keyword", "k1"),
    "count": mapped("long", "l0"),
    "price": mapped("double", "d0"),
    "weight": mapped("double", "d1"),
    "at": mapped("date", "l1"),
    "day": mapped("date", "l3", pattern="yyyy-MM-dd"),
    "flag": mapped("boolean", "l2"),
    "ip": mapped("ip", "i0", order_slot="k2"),
    "body": mapped("text", "t0"),
}


class Lookup:
    def __init__(self, fields: dict[str, FieldType]) -> None:
        self._fields = fields

    def field(self, path: str) -> FieldType | None:
        return self._fields.get(path)


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("_id", tokenizer_name="raw")
    builder.add_unsigned_field("_seq_no", indexed=True, fast=True)
    for number in range(4):
        builder.add_text_field(f"k{number}", tokenizer_name="raw", fast=True, index_option="basic")
        builder.add_integer_field(f"l{number}", indexed=True, fast=True)
        builder.add_float_field(f"d{number}", indexed=True, fast=True)
    builder.add_ip_addr_field("i0", indexed=True, fast=True)
    builder.add_text_field("t0")
    return builder.build()


SCHEMA = _schema()


class Shard:
    """One shard of documents given in slot values: lists, numbers in stored form, addresses as text."""

    def __init__(
        self, documents: Sequence[dict[str, Any]], fields: dict[str, FieldType] = FIELDS, commit_every: int = 0
    ) -> None:
        self.mapping = Lookup(fields)
        self.index = tantivy.Index(SCHEMA)
        writer = self.index.writer(15_000_000, 1)
        for number, document in enumerate(documents):
            writer.add_document(tantivy.Document.from_dict(self._slots(number, document, fields), SCHEMA))
            if commit_every and number % commit_every == commit_every - 1:
                writer.commit()
        writer.commit()
        writer.wait_merging_threads()
        self.index.reload()
        self.searcher = self.index.searcher()

    @staticmethod
    def _slots(number: int, document: dict[str, Any], fields: dict[str, FieldType]) -> dict[str, Any]:
        slots: dict[str, Any] = {"_id": [str(number)], "_seq_no": [number]}
        for name, given in document.items():
            field = fields.get(name)
            values = given if isinstance(given, list) else [given]
            if field is None or field.slot is None or not values:
                continue
            if field.kind in ("keyword", "ip"):
                values = sorted(set(values))
            slots[field.slot] = [float(v) for v in values] if field.slot.startswith("d") else values
            if field.order_slot is not None:
                slots[field.order_slot] = sorted(sortable(v) for v in values)
        return slots

    def compile_query(self, query: dict[str, Any]) -> tantivy.Query:
        """The few queries the tests filter with."""
        kind, body = next(iter(query.items()), ("match_all", {}))
        if kind not in ("term", "range"):
            return tantivy.Query.all_query()
        ((name, value),) = body.items()
        field = self.mapping.field(name)
        if field is None:
            return tantivy.Query.empty_query()
        if kind == "term":
            return tantivy.Query.term_query(SCHEMA, field.slot, value)
        kinds = {"l": tantivy.FieldType.Integer, "d": tantivy.FieldType.Float, "i": tantivy.FieldType.IpAddr}
        return tantivy.Query.range_query(
            SCHEMA, field.slot, kinds[field.slot[0]], value.get("gte"), value.get("lt"), True, "lt" not in value
        )

    def render_hits(self, query: tantivy.Query, body: dict[str, Any]) -> TopHits:
        """Hits sorted by one numeric field, rendered as their numbers."""
        asked = body.get("sort")
        first = asked[0] if isinstance(asked, list) and asked and isinstance(asked[0], dict) else {"count": "asc"}
        ((path, direction),) = first.items()
        order = tantivy.Order.Desc if direction == "desc" else tantivy.Order.Asc
        slot = (self.mapping.field(path) or FIELDS["count"]).slot
        found = self.searcher.search(query, body["size"] or 1, order_by_field=slot, order=order)
        hits = [([value], msgspec.json.encode({"sort": [value]})) for value, _ in found.hits[: body["size"]]]
        return TopHits(found.count, "eq", None, hits)

    def collect(self, aggs: dict[str, Any], query: tantivy.Query | None = None, **context: Any) -> dict[str, Any]:
        everything = tantivy.Query.all_query()
        partial = collect(
            parse_aggregations(aggs),
            searcher=self.searcher,
            schema=SCHEMA,
            query=query or everything,
            mapping=self.mapping,
            compile_query=self.compile_query,
            context=CollectContext(index="logs", global_query=everything, render_hits=self.render_hits, **context),
        )
        # Whatever leaves a shard must survive the wire.
        return msgspec.msgpack.decode(msgspec.msgpack.encode(partial))


def sortable(address: str) -> str:
    parsed = ipaddress.ip_address(address)
    number = int(parsed) if parsed.version == 6 else 0xFFFF_0000_0000 | int(parsed)
    return f"{number:032x}"


def run(
    aggs: dict[str, Any],
    *shards: Sequence[dict[str, Any]] | Shard,
    query: tantivy.Query | None = None,
    typed_keys: bool = False,
    max_buckets: int = 65_536,
) -> dict[str, Any]:
    """The finished answer over shards, given as such or as their documents."""
    plan = parse_aggregations(aggs)
    partials = [(s if isinstance(s, Shard) else Shard(s)).collect(aggs, query) for s in shards]
    return finish(plan, merge_partials(plan, partials), typed_keys=typed_keys, max_buckets=max_buckets)


@dataclass(frozen=True)
class Kit:
    """What the tests use, in one fixture, since test modules cannot import each other."""

    Shard: type[Shard]
    mapped: Callable[..., FieldType]
    FIELDS: dict[str, FieldType]
    run: Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def kit() -> Kit:
    return Kit(Shard, mapped, FIELDS, run)
