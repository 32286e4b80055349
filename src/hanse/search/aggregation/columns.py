"""From a field's name to the tantivy column an aggregation reads, and from a column's raw keys to what a user sees.

A `Column` is one of six kinds (keyword, long, double, date, boolean, ip); everything above works on kinds, never on
mapping types. An unmapped field is None: aggregations answer as for a field no document has. `_index` has one value for
all documents of a shard: its column is that constant and nothing is ever read from it.
Tests: tests/search/aggregation/test_terms.py.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any, Protocol

from hanse.errors import IllegalArgumentError

KINDS = frozenset({"keyword", "long", "double", "date", "boolean", "ip"})
NUMERIC_KINDS = frozenset({"long", "double", "date", "boolean"})
UNMAPPED_KINDS = {"string": "keyword", "numeric": "double", "float": "double", "integer": "long"}
_FIELDDATA_DISABLED = (
    "Fielddata is disabled on [{field}] in [{index}]. Text fields are not optimised for operations that require "
    "per-document field data like aggregations and sorting, so these operations are disabled by default. Please use a "
    "keyword field instead. Alternatively, set fielddata=true on [{field}] in order to load field data by uninverting "
    "the inverted index. Note that this can use significant memory."
)


class FieldLookup(Protocol):
    """What an aggregation asks of a mapping."""

    def field(self, path: str) -> Any: ...


@dataclass(frozen=True, slots=True)
class Column:
    """A readable column. `slot` holds the values aggregations read (for ip the sortable hexadecimal form).

    A sub-key of a flattened field shares its column with all others; its values are those that begin with `prefix`.
    With a `constant` there is no slot: every document of the shard has this very value.
    """

    field: str
    type: str
    kind: str
    slot: str
    format: str | None = None
    prefix: str = ""
    constant: str | None = None

    @property
    def is_numeric(self) -> bool:
        return self.kind in NUMERIC_KINDS

    @property
    def is_integral(self) -> bool:
        return self.kind in ("long", "date", "boolean")


def index_name(shown: str) -> Column:
    """`_index`, of which a shard knows only its own name (a remote cluster's with the alias in front)."""
    return Column("_index", "_index", "keyword", "", constant=shown)


def resolve(mapping: FieldLookup, field: str, index: str) -> Column | None:
    """The column of a field, None when it is not mapped; raises where Elasticsearch refuses fielddata."""
    mapped = mapping.field(field)
    if mapped is None:
        return None
    if mapped.kind == "text":
        raise IllegalArgumentError(_FIELDDATA_DISABLED.format(field=field, index=index))
    kind = "keyword" if mapped.kind == "flattened" else mapped.kind
    slot = mapped.order_slot if kind == "ip" else mapped.slot
    if kind not in KINDS or slot is None:
        raise IllegalArgumentError(f"Field [{field}] of type [{mapped.type}] is not supported for aggregations")
    if not mapped.has_doc_values:
        raise IllegalArgumentError(
            f"Can't load fielddata on [{field}] because fielddata is unsupported on fields of type [{mapped.type}]. "
            "Use doc values instead."
        )
    return Column(field, mapped.type, kind, slot, mapped.format if kind == "date" else None, mapped.key_prefix)


def ip_from_sortable(text: str) -> str:
    """`2001:db8::1` or `192.0.2.1` from the 32 hexadecimal digits of the order slot."""
    address = ipaddress.IPv6Address(int(text, 16))
    return str(address.ipv4_mapped or address)


def ip_to_sortable(text: str) -> str:
    """The order slot's form of an address; raises with Elasticsearch's wording on anything else."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError as failure:
        raise IllegalArgumentError(f"'{text}' is not an IP string literal.") from failure
    number = int(address) if address.version == 6 else 0xFFFF_0000_0000 | int(address)
    return f"{number:032x}"
