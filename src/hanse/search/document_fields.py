"""`fields`, `docvalue_fields` and `stored_fields`: values of single fields, taken from `_source` and written by type.

Tests: tests/search/test_document_fields.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv6Address, ip_address
from typing import Any

from hanse.errors import HanseError, IllegalArgumentError
from hanse.index.mapping import FieldType, Mapping
from hanse.search.field_selection import FieldRequest, matches_any
from hanse.search.query import dates


def values_at(source: Any, path: str) -> Iterator[Any]:
    """All scalar values at a dotted path, through arrays and through keys that hold dots themselves."""
    if isinstance(source, list):
        for item in source:
            yield from values_at(item, path)
        return
    if not isinstance(source, dict):
        return
    if path in source:
        yield from _flat(source[path])
    for at, char in enumerate(path):
        if char == "." and path[:at] in source:
            yield from values_at(source[path[:at]], path[at + 1 :])


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _flat(item)
    else:
        yield value


def requested_fields(
    wanted: Sequence[FieldRequest], mapping: Mapping, source: dict[str, Any], index: str
) -> dict[str, list[Any]]:
    """`fields`: every value in document order, as the field's type writes it."""
    if wanted and not mapping.source_enabled:
        raise IllegalArgumentError(
            f"Unable to retrieve the requested [fields] since _source is disabled in the mappings for index [{index}]"
        )
    found: dict[str, list[Any]] = {}
    for request in wanted:
        if request.pattern in ("_id", "_index", "_seq_no", "_version", "_routing", "_source"):
            continue
        for path, field in _matching(mapping, request.pattern):
            if "*" not in request.pattern:
                _check_format(path, field, request.format)
            values = _written(field, request.format, values_at(source, field.source_path), mapping)
            if values:
                found[path] = values
        if request.include_unmapped:
            for path, values in _unmapped(source, mapping, request.pattern):
                found.setdefault(path, values)
    return found


def docvalue_fields(wanted: Sequence[FieldRequest], mapping: Mapping, source: dict[str, Any]) -> dict[str, list[Any]]:
    """`docvalue_fields`: sorted values without duplicates, as the columns hold them."""
    found: dict[str, list[Any]] = {}
    for request in wanted:
        for path, field in _matching(mapping, request.pattern):
            if field.kind == "text":
                raise IllegalArgumentError(
                    "Text fields are not optimised for operations that require per-document field data like "
                    "aggregations and sorting, so these operations are disabled by default. Please use a keyword "
                    f"field instead. Alternatively, set fielddata=true on [{path}] in order to load field data by "
                    "uninverting the inverted index. Note that this can use significant memory."
                )
            columns = sorted(column_values(field, values_at(source, field.source_path)))
            if field.kind in ("keyword", "ip"):
                columns = sorted(set(columns))
            values = [_rendered(field, value, request.format) for value in columns]
            if values:
                found[path] = values
    return found


def stored_fields(wanted: Sequence[str], mapping: Mapping, source: dict[str, Any]) -> dict[str, list[Any]]:
    """Fields mapped with `store: true`."""
    found: dict[str, list[Any]] = {}
    for pattern in wanted:
        for path, field in _matching(mapping, pattern):
            if field.params.get("store") in (True, "true"):
                values = _written(field, None, values_at(source, field.source_path), mapping)
                if values:
                    found[path] = values
    return found


def _matching(mapping: Mapping, pattern: str) -> Iterable[tuple[str, FieldType]]:
    if "*" not in pattern:
        field = mapping.field(pattern)
        return [] if field is None else [(pattern, field)]
    return [(path, field) for path, field in mapping.fields() if matches_any(path, (pattern,))]


def column_values(field: FieldType, values: Iterable[Any]) -> list[Any]:
    """Values as the column holds them; what was ignored while indexing is left out."""
    return list(_column_values(field, values))


def _column_values(field: FieldType, values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if value is None:
            value = field.null_value
        if value is None or isinstance(value, dict):
            continue
        try:
            column = field.slot_value(value)
        except HanseError:
            continue
        if field.ignore_above is not None and isinstance(column, str) and len(column) > field.ignore_above:
            continue
        yield column


def _written(field: FieldType, text_format: str | None, values: Iterable[Any], mapping: Mapping) -> list[Any]:
    if field.kind == "text":
        return [value if isinstance(value, str) else _json_text(value) for value in values if value is not None]
    if field.kind in ("stored", "geo_point", "flattened"):
        return [value for value in values if value is not None]
    return [_rendered(field, column, text_format) for column in column_values(field, values)]


def _check_format(path: str, field: FieldType, text_format: str | None) -> None:
    if text_format is not None and field.kind not in ("date", "long", "double"):
        raise IllegalArgumentError(f"Field [{path}] of type [{field.type}] doesn't support formats.")


def _json_text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _rendered(field: FieldType, column: Any, text_format: str | None) -> Any:
    if field.kind == "date" and text_format is not None:
        return dates.format_millis(column, text_format, field)
    if field.kind == "ip":
        address = ip_address(column)
        return str(address.ipv4_mapped or address) if isinstance(address, IPv6Address) else str(address)
    if field.kind in ("long", "double") and text_format is not None:
        return decimal_text(column, text_format)
    return field.render(column)


def decimal_text(number: float, pattern: str) -> str:
    """A number in a decimal pattern such as `#,##0.00`: digits wanted and allowed after the point, and grouping."""
    positive = pattern.split(";")[0]
    whole, _, fraction = positive.strip("'").partition(".")
    least, most = fraction.count("0"), len(re.sub(r"[^0#]", "", fraction))
    head, tail = re.match(r"[^#0,.]*", positive), re.search(r"[^#0,.]*$", positive)
    text = f"{number:,.{most}f}" if "," in whole else f"{number:.{most}f}"
    digits, _, decimals = text.partition(".")
    decimals = decimals.rstrip("0").ljust(least, "0")
    return (head[0] if head else "") + (f"{digits}.{decimals}" if decimals else digits) + (tail[0] if tail else "")


def _unmapped(source: Any, mapping: Mapping, pattern: str, path: str = "") -> Iterator[tuple[str, list[Any]]]:
    for key, value in source.items():
        here = f"{path}.{key}" if path else key
        if isinstance(value, dict):
            yield from _unmapped(value, mapping, pattern, here)
        elif mapping.field(here) is None and matches_any(here, (pattern,)) and value is not None:
            values = [item for item in _flat(value) if item is not None and not isinstance(item, dict)]
            if values:
                yield here, values
