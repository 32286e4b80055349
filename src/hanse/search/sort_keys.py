"""Sort keys bound to an index: which column holds the values, how they are shown, and how `search_after` reads back.

A value of None means that the document has none; what is shown in its place depends on type and order, as Elasticsearch
does it. Tests: tests/search/test_sorting.py.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any

import tantivy

from hanse.errors import HanseError, IllegalArgumentError, QueryShardError
from hanse.index.mapping import FieldType
from hanse.search import engine
from hanse.search.query.context import QueryContext
from hanse.search.query.lucene_regex import range_patterns
from hanse.search.sort import SortKey

LONG_MAX, LONG_MIN = 2**63 - 1, -(2**63)
POSITION_SLOT = "_seq_no"
_UNMAPPED_KINDS = {
    "keyword": "string",
    "text": "string",
    "ip": "ip",
    "double": "double",
    "float": "double",
    "half_float": "double",
    "scaled_float": "double",
}


@dataclass(slots=True)
class BoundKey:
    """One key on one index. `slot` is None when no document of the index can have a value."""

    kind: str
    """score, position, long, double, string, ip, date or boolean."""
    descending: bool
    slot: str | None = None
    missing_first: bool = False
    replacement: Any = None
    """The value that documents without one are sorted by, when the request names one."""
    show: Callable[[Any], Any] | None = None
    read: Callable[[Any], Any] | None = None
    mode: str | None = None
    field: FieldType | None = None
    is_place: bool = False
    """Numbers documents through all shards of a search instead of within one."""

    @property
    def by_highest(self) -> bool:
        """A document with several values counts by its highest one instead of its lowest."""
        return self.descending if self.mode is None else self.mode != "min"

    @property
    def comparable_kind(self) -> str:
        """Keys of clusters merge when these agree."""
        return {"date": "long", "boolean": "long", "ip": "string"}.get(self.kind, self.kind)

    def shown(self, value: Any) -> Any:
        if value is None:
            return self._shown_missing()
        return value if self.show is None else self.show(value)

    def _shown_missing(self) -> Any:
        if self.kind in ("string", "ip"):
            return None
        highest = self.descending == self.missing_first
        if self.kind == "double":
            return "Infinity" if highest else "-Infinity"
        return LONG_MAX if highest else LONG_MIN

    def after(self, value: Any) -> Any:
        """A value of `search_after` as the column has it; None for the place of missing values."""
        if value is None:
            return None
        if self.kind in ("long", "date", "boolean", "double") and value == self._shown_missing():
            return None
        return value if self.read is None else self.read(value)


def bind(context: QueryContext, key: SortKey) -> BoundKey:
    """Raises what Elasticsearch answers for fields that are not mapped or cannot be sorted by."""
    missing_first = key.missing == "_first"
    if key.is_score:
        return BoundKey("score", key.descending, read=_read_score)
    if key.is_position or key.field == "_seq_no":
        return BoundKey("position", key.descending, POSITION_SLOT, read=_read_long, is_place=key.is_position)
    if key.field == "_id":
        raise IllegalArgumentError(
            "Fielddata access on the _id field is disallowed, you can re-enable it by updating the dynamic cluster "
            "setting: indices.id_field_data.enabled"
        )
    field = context.mapping.field(key.field)
    if field is None:
        return _unmapped(context, key, missing_first)
    return _mapped(context, key, field, missing_first)


def _unmapped(context: QueryContext, key: SortKey, missing_first: bool) -> BoundKey:
    if key.field in ("_index",):
        return _of_index_name(context, key)
    if key.unmapped_type is None:
        raise QueryShardError(
            f"No mapping found for [{key.field}] in order to sort on", index_uuid="_na_", index=context.index
        )
    kind = _UNMAPPED_KINDS.get(key.unmapped_type, "long")
    bound = BoundKey(kind, key.descending, None, missing_first)
    if key.missing not in ("_last", "_first"):
        bound.read = {"long": _read_long, "double": _read_double}.get(kind)
        bound.replacement = bound.read(key.missing) if bound.read else key.missing
    return bound


def _of_index_name(context: QueryContext, key: SortKey) -> BoundKey:
    return BoundKey("string", key.descending, None, replacement=context.shown_index)


def _mapped(context: QueryContext, key: SortKey, field: FieldType, missing_first: bool) -> BoundKey:
    if field.kind == "text":
        raise IllegalArgumentError(fielddata_disabled(field.path, context.index))
    kind = kind_of(field)
    if kind is None or not field.has_doc_values:
        raise IllegalArgumentError(
            f"Can't load fielddata on [{field.path}] because fielddata is unsupported on fields of type "
            f"[{field.type}]. Use doc values instead."
        )
    if key.mode in ("sum", "avg", "median") and kind in ("string", "ip"):
        raise IllegalArgumentError(
            f"we only support AVG, MEDIAN and SUM on number based fields; [{key.mode}] on field [{field.path}]"
        )
    bound = BoundKey(kind, key.descending, column_of(field), missing_first, mode=key.mode, field=field)
    _set_forms(context, bound, key, field)
    if key.missing not in ("_last", "_first"):
        bound.replacement = _replacement(context, bound, key)
    return bound


def kind_of(field: FieldType) -> str | None:
    """How a field's column sorts; None when it has no column."""
    if field.kind in ("date", "boolean", "ip", "long", "double"):
        return field.kind
    return "string" if field.kind in ("keyword", "flattened") and not field.key_prefix else None


def column_of(field: FieldType) -> str | None:
    return field.order_slot if field.kind == "ip" else field.slot


def fielddata_disabled(path: str, index: str) -> str:
    return (
        f"Fielddata is disabled on [{path}] in [{index}]. Text fields are not optimised for operations that require "
        "per-document field data like aggregations and sorting, so these operations are disabled by default. Please "
        f"use a keyword field instead. Alternatively, set fielddata=true on [{path}] in order to load field data by "
        "uninverting the inverted index. Note that this can use significant memory."
    )


def _set_forms(context: QueryContext, bound: BoundKey, key: SortKey, field: FieldType) -> None:
    if bound.kind == "ip":
        bound.show, bound.read = ip_text, ip_order_text
    elif bound.kind == "date":
        _set_date_forms(context, bound, key, field)
    elif bound.kind == "boolean":
        bound.show, bound.read = bool, _read_boolean
    elif bound.kind == "long":
        bound.read = _read_long
    elif bound.kind == "double":
        bound.read = _read_double
    else:
        bound.read = _read_text


def _set_date_forms(context: QueryContext, bound: BoundKey, key: SortKey, field: FieldType) -> None:
    from hanse.search.query import dates

    if key.format is not None:
        bound.show = lambda millis: dates.format_millis(millis, key.format or "", field)
    bound.read = lambda value: (
        value if isinstance(value, int) and key.format is None else dates.parse(context, field, value, key.format)
    )


def _replacement(context: QueryContext, bound: BoundKey, key: SortKey) -> Any:
    try:
        return key.missing if bound.read is None else bound.read(key.missing)
    except HanseError as error:
        raise context.failure(error.reason, error) from error


def _read_long(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        pass
    try:
        return int(float(value))
    except (TypeError, ValueError, OverflowError) as error:
        raise IllegalArgumentError(f"Failed to parse search_after value for field, value: [{value}]") from error


def _read_double(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise IllegalArgumentError(f"Failed to parse search_after value for field, value: [{value}]") from error


def single(value: float) -> float:
    """The nearest 32-bit float: scores are such."""
    return ctypes.c_float(value).value


def _read_score(value: Any) -> float:
    return single(_read_double(value))


def _read_boolean(value: Any) -> int:
    return 1 if value in (True, "true", 1) else 0


def _read_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)


def ip_text(order_text: str) -> str:
    """The sortable hexadecimal form as an address; mapped IPv4 addresses in their usual form."""
    address = IPv6Address(int(order_text, 16))
    return str(address.ipv4_mapped or address)


def ip_order_text(value: Any) -> str:
    try:
        address = ip_address(value)
    except ValueError as error:
        raise IllegalArgumentError(f"'{value}' is not an IP string literal.") from error
    number = int(address) if address.version == 6 else 0xFFFF_0000_0000 | int(address)
    return f"{number:032x}"


def equals(schema: tantivy.Schema, key: BoundKey, value: Any) -> tantivy.Query:
    assert key.slot is not None
    return tantivy.Query.term_query(schema, key.slot, value, index_option="basic")


def present(key: BoundKey) -> tantivy.Query:
    assert key.slot is not None
    return tantivy.Query.exists_query(key.slot)


def outside(
    schema: tantivy.Schema, key: BoundKey, value: Any, *, above: bool, inclusive: bool = False
) -> tantivy.Query:
    """Documents with some value above, or below, the given one."""
    assert key.slot is not None
    lower, upper = (value, None) if above else (None, value)
    if key.kind in ("string", "ip"):
        patterns = range_patterns(lower, upper, inclusive, inclusive)
        if not patterns:
            return tantivy.Query.empty_query()
        alternatives = [tantivy.Query.regex_query(schema, key.slot, pattern) for pattern in patterns]
        return tantivy.Query.boolean_query([(tantivy.Occur.Should, item) for item in alternatives])
    column_type = tantivy.FieldType.Float if key.kind == "double" else tantivy.FieldType.Integer
    if key.kind == "position":
        if value < 0:
            return tantivy.Query.all_query() if above else tantivy.Query.empty_query()
        column_type = tantivy.FieldType.Unsigned
    return engine.column_range(schema, key.slot, column_type, lower, upper, inclusive, inclusive)
