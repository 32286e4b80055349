"""A mapped field as everybody outside the mapping sees it.

Tests: tests/index/test_mapping.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hanse.index.analysis import Analyzer, Normalizer
from hanse.index.mapping import values
from hanse.index.mapping.dates import DateFormat

KIND_OF_TYPE = {
    "text": "text",
    "match_only_text": "text",
    "keyword": "keyword",
    "constant_keyword": "keyword",
    "wildcard": "keyword",
    "version": "keyword",
    "long": "long",
    "integer": "long",
    "short": "long",
    "byte": "long",
    "unsigned_long": "long",
    "double": "double",
    "float": "double",
    "half_float": "double",
    "scaled_float": "double",
    "date": "date",
    "date_nanos": "date",
    "boolean": "boolean",
    "ip": "ip",
    "geo_point": "geo_point",
    "flattened": "flattened",
}
"""Type to kind; every other type Hanse accepts is of kind `stored`: kept in `_source`, not searchable.

A `version` sorts and compares as text, a `wildcard` is a keyword, a `match_only_text` has scores like any text.
"""

SLOTS_OF_KIND = {
    "text": "t",
    "keyword": "k",
    "long": "l",
    "double": "d",
    "date": "l",
    "boolean": "l",
    "ip": "ik",
    "geo_point": "dd",
    "flattened": "kk",
    "stored": "",
}
KEY_SEPARATOR = "\0"


@dataclass(frozen=True, slots=True, eq=False)
class FieldType:
    """One leaf field. Kinds: text, keyword, long, double, date, boolean, ip, geo_point, flattened, stored.

    `slot` is the field's column in the search index, None for `stored`. `order_slot` is a second one: for ip a keyword
    that sorts as the address, for geo_point the longitude (slot: latitude), for flattened the column of its sub-keys.
    A date is epoch milliseconds (date_nanos too: finer parts are cut), a boolean 0 or 1.
    """

    path: str
    type: str
    kind: str
    params: Mapping[str, Any] = field(default_factory=dict)
    slot: str | None = None
    order_slot: str | None = None
    analyzer: Analyzer | None = None
    search_analyzer: Analyzer | None = None
    search_quote_analyzer: Analyzer | None = None
    normalizer: Normalizer | None = None
    date_format: DateFormat | None = None
    source_path: str = ""
    key_prefix: str = ""
    """For a sub-key of a flattened field: what stands before each of its values in `slot`."""

    @property
    def exists_term(self) -> str | None:
        """The term of `_exists` that says the field is there; None when its column says so."""
        if self.kind == "text":
            return self.slot
        return self.path if self.kind == "stored" else None

    @property
    def is_textual(self) -> bool:
        return self.kind in ("text", "keyword", "flattened")

    @property
    def is_indexed(self) -> bool:
        return self.kind != "stored" and bool(self.params.get("index", True))

    @property
    def has_doc_values(self) -> bool:
        return self.kind not in ("text", "stored") and bool(self.params.get("doc_values", True))

    @property
    def is_searchable(self) -> bool:
        return self.is_indexed or self.has_doc_values

    @property
    def is_aggregatable(self) -> bool:
        return self.has_doc_values

    @property
    def format(self) -> str | None:
        return self.date_format.pattern if self.date_format else None

    @property
    def ignore_above(self) -> int | None:
        return self.params.get("ignore_above")

    @property
    def null_value(self) -> Any:
        return self.params.get("null_value")

    def slot_value(self, raw: Any) -> Any:
        """A query's literal as `slot` holds it (a date without date math). Raises IllegalArgumentError."""
        kind = self.kind
        if kind == "long":
            return values.integer_of(self.type, raw)
        if kind == "double":
            if self.type == "scaled_float":
                return values.scaled_of(raw, float(self.params["scaling_factor"]))
            return values.float_of(self.type, raw)
        if kind == "date":
            assert self.date_format is not None
            return self.date_format.parse(values.plain_text(raw))
        if kind == "boolean":
            return values.boolean_of(raw)
        if kind == "ip":
            return values.address_of(raw)[0]
        text = values.plain_text(raw)
        if self.normalizer is not None:
            text = self.normalizer.normalize(text)
        return self.key_prefix + text

    def render(self, value: Any) -> Any:
        """A slot's value as JSON shows it: dates formatted, booleans and addresses as such."""
        if self.kind == "date" and self.date_format is not None:
            return self.date_format.format(int(value))
        if self.kind == "boolean":
            return bool(value)
        if self.kind == "ip" and isinstance(value, str) and len(value) == 32 and ":" not in value:
            return values.address_from_order(value)
        if self.key_prefix and isinstance(value, str):
            return value.removeprefix(self.key_prefix)
        return value

    def at_key(self, key: str) -> FieldType:
        """The sub-key of a flattened field."""
        return replace(
            self, path=f"{self.path}.{key}", slot=self.order_slot, order_slot=None, key_prefix=key + KEY_SEPARATOR
        )
