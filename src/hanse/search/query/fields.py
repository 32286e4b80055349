"""How queries meet fields: which field a path means, how a value reads in it, and the exact, range and presence leaves.

Everything that depends on a field's type is here. Tests: tests/search/test_queries.py.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, TypeAlias

import tantivy

from hanse.errors import HanseError, IllegalArgumentError
from hanse.index.mapping import FieldType
from hanse.search import engine
from hanse.search.field_selection import wildcard
from hanse.search.json_input import number_format
from hanse.search.query import dates
from hanse.search.query.context import (
    BM25_FACTOR,
    Matched,
    Part,
    QueryContext,
    any_of,
    constant,
    everything,
    nothing,
    scored,
)
from hanse.search.query.lucene_regex import prefix_pattern, range_patterns

_LONG_MAX, _LONG_MIN = 2**63 - 1, -(2**63)


@dataclass(frozen=True, slots=True)
class MetadataField:
    """A field every document has without a mapping; looks like a keyword to queries."""

    path: str
    slot: str
    kind: str = "keyword"
    key_prefix: str = ""
    exists_term: str | None = None
    order_slot: str | None = None
    search_analyzer: Any = None

    @property
    def type(self) -> str:
        return self.path

    @property
    def is_textual(self) -> bool:
        return self.kind == "keyword"

    @property
    def is_searchable(self) -> bool:
        return True

    def slot_value(self, raw: Any) -> str | int | float:
        return int(raw) if self.kind == "unsigned" else str(raw)


Field: TypeAlias = FieldType | MetadataField

_METADATA: dict[str, MetadataField] = {
    "_id": MetadataField("_id", "_id"),
    "_routing": MetadataField("_routing", "_routing"),
    "_ignored": MetadataField("_ignored", "_ignored"),
    "_seq_no": MetadataField("_seq_no", "_seq_no", "unsigned"),
    "_index": MetadataField("_index", "", "index"),
}


@dataclass(slots=True)
class Span:
    """A range as asked."""

    lower: Any = None
    upper: Any = None
    include_lower: bool = True
    include_upper: bool = True
    format: str | None = None
    time_zone: str | None = None


def resolve(context: QueryContext, path: str) -> Field | None:
    """The field of a path; None when nothing is mapped there, and such a field matches nothing.

    Raises for one that is mapped and not indexed: no answer would be taken for none.
    """
    field = context.mapping.field(path)
    if field is None:
        return _METADATA.get(path)
    if not field.is_searchable or field.slot is None:
        if field.kind == "stored":
            reason = f"Cannot search on field [{path}] of type [{field.type}]: its values are kept and not indexed."
            raise context.cannot_create(IllegalArgumentError(reason))
        raise context.cannot_create(IllegalArgumentError(f"Cannot search on field [{path}] since it is not indexed."))
    return field


def expand(context: QueryContext, pattern: str, searchable_text: bool = False) -> list[Field]:
    """Mapped fields that a pattern names."""
    found = [
        field for field in context.mapping.fields_matching(pattern) if field.slot is not None or not searchable_text
    ]
    if searchable_text:
        found = [field for field in found if field.is_searchable and field.kind not in ("geo_point", "stored")]
    return list(found)


def at_or_below(context: QueryContext, path: str) -> list[Field]:
    """The field of a path, or all fields below an object."""
    field = context.mapping.field(path)
    if field is not None:
        return [field]
    if context.mapping.is_object(path):
        return list(context.mapping.fields_below(path))
    metadata = _METADATA.get(path)
    return [metadata] if metadata is not None else []


def textual(context: QueryContext, path: str, query: str) -> Field | None:
    """A field whose terms are text. Raises as Elasticsearch does for others."""
    field = resolve(context, path)
    if field is None or field.is_textual or field.kind == "flattened":
        return field
    allowed = "keyword and text fields" if query in ("fuzzy", "regexp") else "keyword, text and wildcard fields"
    cause = IllegalArgumentError(
        f"Can only use {query} queries on {allowed} - not on [{path}] which is of type [{field.type}]"
    )
    raise context.cannot_create(cause)


def analyze(
    context: QueryContext, field: Field, text: str, analyzer: str | None, quoted: bool = False
) -> list[tuple[int, str]]:
    """Positions and words of a text as a query on the field reads it."""
    if analyzer is not None:
        chosen = check_analyzer(context, analyzer)
    else:
        chosen = (getattr(field, "search_quote_analyzer", None) if quoted else None) or field.search_analyzer
    if chosen is None:
        return [(0, text)]
    return [(position, term) for term, position in chosen.terms(text)]


def check_analyzer(context: QueryContext, name: str) -> Any:
    try:
        return context.mapping.analyzers.get(name)
    except HanseError as error:
        raise context.failure(f"[match] analyzer [{name}] not found", error) from error


def value_of(context: QueryContext, field: Field, value: Any) -> str | int | float:
    """A literal as the field's column holds it."""
    try:
        return field.slot_value(value)
    except HanseError as error:
        if field.kind != "boolean":
            raise context.cannot_create(error) from error
        reason = f"Can't parse boolean value [{value}], expected [true] or [false]"
        raise context.cannot_create(IllegalArgumentError(reason)) from error


def normalized(context: QueryContext, field: Field, value: Any) -> str:
    """Text as a keyword field stores it; text fields take it as it is."""
    if field.kind in ("text", "flattened"):
        text = _plain_text(value)
        return field.key_prefix + text
    return str(value_of(context, field, value))


def _plain_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)


def normalized_pattern(context: QueryContext, field: Field, pattern: str) -> str:
    """A pattern with its literal parts written as the field's terms are: keyword normalizer, analyzer's letter case."""
    if field.kind == "text":
        return pattern.lower() if _lowercases(field) else pattern
    if field.kind == "flattened":
        return field.key_prefix + pattern
    parts = re.split(r"(\\.|[*?])", pattern)
    return "".join(
        part if not part or part in "*?" or part[0] == "\\" else normalized(context, field, part) for part in parts
    )


def _lowercases(field: Field) -> bool:
    analyzer = field.search_analyzer
    return analyzer is not None and [term for term, _ in analyzer.terms("Qx")] == ["qx"]


def exact(context: QueryContext, field: Field, value: Any) -> Part:
    """Documents with this value."""
    if field.kind == "text":
        text = _plain_text(value)
        context.matched.append(Matched(field.path, "terms", (text,)))
        context.looked_up.append((slot_of(field), text))
        return scored(tantivy.Query.term_query(context.schema, slot_of(field), text, index_option="freq"))
    if field.kind == "keyword" or field.kind == "flattened":
        return _exact_keyword(context, field, value)
    if field.kind == "date":
        context.is_costly = True
        return between(context, field, Span(value, value))
    if field.kind == "ip":
        context.is_costly = True
        return constant(_address(context, field, value))
    if field.kind == "index":
        return index_matches(context, _plain_text(value))
    if field.kind == "long" and _has_fraction(value):
        return nothing()
    literal = value_of(context, field, value)
    context.looked_up.append((slot_of(field), literal))
    return constant(tantivy.Query.term_query(context.schema, slot_of(field), literal))


def _exact_keyword(context: QueryContext, field: Field, value: Any) -> Part:
    text = normalized(context, field, value)
    context.matched.append(Matched(field.path, "terms", (text,)))
    context.looked_up.append((slot_of(field), text))
    query = tantivy.Query.term_query(context.schema, slot_of(field), text, index_option="basic")
    if isinstance(field, MetadataField):
        return constant(query)
    return Part(tantivy.Query.boost_query(query, BM25_FACTOR), is_uniform=True)


def slot_of(field: Field) -> str:
    """The column of a field that can be searched."""
    assert field.slot is not None
    return field.slot


def _has_fraction(value: Any) -> bool:
    try:
        return not float(value).is_integer()
    except (TypeError, ValueError, OverflowError):
        return False


def _address(context: QueryContext, field: Field, value: Any) -> tantivy.Query:
    text = _plain_text(value)
    if "/" in text:
        try:
            network = ip_network(text, strict=False)
        except ValueError as error:
            raise context.cannot_create(IllegalArgumentError(f"'{text}' is not an IP string literal.")) from error
        return engine.column_range(
            context.schema, slot_of(field), tantivy.FieldType.IpAddr, str(network[0]), str(network[-1])
        )
    address = str(value_of(context, field, text))
    return engine.column_range(context.schema, slot_of(field), tantivy.FieldType.IpAddr, address, address)


def any_exact(context: QueryContext, field: Field, values: list[Any]) -> Part:
    """Documents with any of these values, all scored alike."""
    if len(values) > context.terms_max:
        raise context.failure(
            f"The number of terms [{len(values)}] used in the Terms Query request has exceeded the allowed maximum of "
            f"[{context.terms_max}]. This maximum can be set by changing the [index.max_terms_count] index level "
            "setting."
        )
    if field.kind in ("date", "ip", "index"):
        parts = [exact(context, field, value) for value in values]
        return constant(any_of([part.query for part in parts if not part.matches_none]))
    if field.kind == "long":
        values = [value for value in values if not _has_fraction(value)]
    if field.kind in ("text", "keyword", "flattened"):
        literals: list[Any] = [normalized(context, field, value) for value in values]
        context.matched.append(Matched(field.path, "terms", tuple(literals)))
    else:
        literals = [value_of(context, field, value) for value in values]
    if not literals:
        return nothing()
    context.looked_up.extend((slot_of(field), literal) for literal in literals)
    if len(literals) == 1:
        return constant(tantivy.Query.term_query(context.schema, slot_of(field), literals[0], index_option="basic"))
    return constant(tantivy.Query.term_set_query(context.schema, slot_of(field), literals))


def between(context: QueryContext, field: Field, span: Span) -> Part:
    """Documents with a value in a range. Without bounds: documents with any value."""
    if field.kind == "date":
        return _between_dates(context, field, span)
    if span.format is not None and span.lower is None and span.upper is None:
        return constant(present(context, field))
    if span.lower is None and span.upper is None:
        return constant(present(context, field))
    if field.kind in ("text", "keyword", "flattened"):
        return _between_texts(context, field, span)
    if field.kind == "ip":
        return _between_addresses(context, field, span)
    if field.kind in ("long", "boolean", "unsigned"):
        return _between_longs(context, field, span)
    if field.kind == "double":
        return _between_doubles(context, field, span)
    cause = IllegalArgumentError(f"Field [{field.path}] of type [{field.type}] does not support range queries")
    raise context.cannot_create(cause)


def _between_texts(context: QueryContext, field: Field, span: Span) -> Part:
    context.refuse_expensive("[range] queries on [text] or [keyword] fields")
    lower = None if span.lower is None else normalized(context, field, span.lower)
    upper = None if span.upper is None else normalized(context, field, span.upper)
    if field.key_prefix:
        # All keys of a flattened field share a column: the range must not leave this key's part of it.
        lower = field.key_prefix if lower is None else lower
        upper = field.key_prefix + "\U0010ffff" if upper is None else upper
    patterns = range_patterns(lower, upper, span.include_lower, span.include_upper)
    if not patterns:
        return nothing()
    return constant(any_of([tantivy.Query.regex_query(context.schema, slot_of(field), item) for item in patterns]))


def _between_addresses(context: QueryContext, field: Field, span: Span) -> Part:
    lower = None if span.lower is None else str(value_of(context, field, span.lower))
    upper = None if span.upper is None else str(value_of(context, field, span.upper))
    return constant(
        engine.column_range(
            context.schema,
            slot_of(field),
            tantivy.FieldType.IpAddr,
            lower,
            upper,
            span.include_lower,
            span.include_upper,
        )
    )


def _between_longs(context: QueryContext, field: Field, span: Span) -> Part:
    lower = _LONG_MIN if span.lower is None else _long_bound(context, field, span.lower, span.include_lower, +1)
    upper = _LONG_MAX if span.upper is None else _long_bound(context, field, span.upper, span.include_upper, -1)
    if lower > upper or lower > _LONG_MAX or upper < _LONG_MIN:
        return nothing()
    lower, upper = max(lower, _LONG_MIN), min(upper, _LONG_MAX)
    if field.kind == "unsigned":
        if upper < 0:
            return nothing()
        return _range(context, field, tantivy.FieldType.Unsigned, max(lower, 0), upper)
    return _range(context, field, tantivy.FieldType.Integer, lower, upper)


def _range(
    context: QueryContext,
    field: Field,
    column: tantivy.FieldType,
    lower: float | None,
    upper: float | None,
    include_lower: bool = True,
    include_upper: bool = True,
) -> Part:
    slot = slot_of(field)
    if context.is_ruled_out(slot, lower, upper):
        return nothing()
    return constant(engine.column_range(context.schema, slot, column, lower, upper, include_lower, include_upper))


def _long_bound(context: QueryContext, field: Field, value: Any, inclusive: bool, step: int) -> int:
    """An inclusive whole-number bound: fractions round inwards, an exclusive bound moves by one."""
    if field.kind == "boolean":
        number: int | float = int(value_of(context, field, value))
    elif isinstance(value, bool):
        raise context.cannot_create(number_format(_plain_text(value)))
    else:
        try:
            number = value if isinstance(value, int) else int(value) if _is_whole(value) else float(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise context.cannot_create(number_format(_plain_text(value))) from error
    if isinstance(number, float):
        if math.isinf(number) or math.isnan(number):
            raise context.cannot_create(number_format(_plain_text(value)))
        if number.is_integer():
            number = int(number)
        else:
            return math.ceil(number) if step > 0 else math.floor(number)
    return number if inclusive else number + step


def _is_whole(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[+-]?\d+", value.strip()) is not None


def _between_doubles(context: QueryContext, field: Field, span: Span) -> Part:
    lower = None if span.lower is None else float(value_of(context, field, span.lower))
    upper = None if span.upper is None else float(value_of(context, field, span.upper))
    return _range(context, field, tantivy.FieldType.Float, lower, upper, span.include_lower, span.include_upper)


def _between_dates(context: QueryContext, field: Field, span: Span) -> Part:
    if span.lower is None and span.upper is None:
        return constant(present(context, field))
    zone = dates.time_zone_of(context, span.time_zone)
    lower = upper = None
    if span.lower is not None:
        lower = dates.parse(context, field, span.lower, span.format, not span.include_lower, zone)
        lower += 0 if span.include_lower else 1
    if span.upper is not None:
        upper = dates.parse(context, field, span.upper, span.format, span.include_upper, zone)
        upper -= 0 if span.include_upper else 1
    if lower is not None and upper is not None and lower > upper:
        return nothing()
    return _range(context, field, tantivy.FieldType.Integer, lower, upper)


def present(context: QueryContext, field: Field) -> tantivy.Query:
    """Documents with any value in the field."""
    if field.kind == "index" or field.path == "_id" or field.path == "_seq_no":
        return tantivy.Query.all_query()
    if field.exists_term is not None:
        return tantivy.Query.term_query(context.schema, "_exists", field.exists_term, index_option="basic")
    if isinstance(field, MetadataField):
        return tantivy.Query.regex_query(context.schema, field.slot, prefix_pattern(""))
    if field.key_prefix:
        return tantivy.Query.regex_query(context.schema, slot_of(field), prefix_pattern(field.key_prefix))
    return tantivy.Query.exists_query(slot_of(field))


def index_matches(context: QueryContext, pattern: str, case_insensitive: bool = False) -> Part:
    """`_index`: decided once for the whole index, by its name or an alias of it.

    A pattern for a remote cluster's index has the cluster's alias and a colon in front, and no other pattern has one
    (the documentation's page on the `_index` field).
    """
    cluster, colon, name_pattern = pattern.rpartition(":")
    if bool(colon) != bool(context.cluster_alias):
        return nothing()

    def fits(text: str, name: str) -> bool:
        if case_insensitive:
            text, name = text.lower(), name.lower()
        return wildcard(text).fullmatch(name) is not None

    is_named = any(fits(name_pattern, name) for name in (context.index, *context.aliases))
    return everything() if is_named and fits(cluster, context.cluster_alias) else nothing()
